// What a controller has asked for and not yet seen in its cache, per key. While something is outstanding the cache is known
// to be behind, and acting on it would create or delete twice. client-go's ControllerExpectations with UIDs for deletions.
// Invariant: an expectation that is never observed stops counting after EXPECTATION_TIMEOUT_MS (the event may be lost).
import type { Clock } from "@podwire/base";

export const EXPECTATION_TIMEOUT_MS = 5 * 60_000;

export interface Expectations {
  /** Sets what is outstanding for `key`: a number of creations and the identities of objects to be deleted. */
  expect(key: string, creations: number, deletions: readonly string[]): void;
  /** Adds to what is outstanding. */
  expectCreations(key: string, n: number): void;
  observeCreation(key: string): void;
  observeDeletion(key: string, identity: string): void;
  /** A creation failed: it will never be observed. */
  creationFailed(key: string, n?: number): void;
  deletionFailed(key: string, identity: string): void;
  /** True when nothing is outstanding, or it has timed out. */
  satisfied(key: string): boolean;
  forget(key: string): void;
}

/** Nothing is outstanding at first: every key is satisfied. */
export function expectations(clock: Clock): Expectations {
  const held = new Map<string, { creations: number; deletions: Set<string>; sinceMs: number }>();
  const lower = (key: string, n: number) => {
    const e = held.get(key);
    if (e) e.creations -= n;
  };
  const removeDeletion = (key: string, identity: string) => void held.get(key)?.deletions.delete(identity);
  return {
    expect: (key, creations, deletions) => void held.set(key, { creations, deletions: new Set(deletions), sinceMs: clock.monotonicMs() }),
    expectCreations(key, n) {
      const e = held.get(key);
      if (e) {
        e.creations += n;
        e.sinceMs = clock.monotonicMs();
      } else held.set(key, { creations: n, deletions: new Set(), sinceMs: clock.monotonicMs() });
    },
    observeCreation: (key) => lower(key, 1),
    creationFailed: (key, n = 1) => lower(key, n),
    observeDeletion: removeDeletion,
    deletionFailed: removeDeletion,
    satisfied(key) {
      const e = held.get(key);
      if (!e) return true;
      if (e.creations <= 0 && e.deletions.size === 0) return true;
      return clock.monotonicMs() - e.sinceMs > EXPECTATION_TIMEOUT_MS;
    },
    forget: (key) => void held.delete(key),
  };
}
