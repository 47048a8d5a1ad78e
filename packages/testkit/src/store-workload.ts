// Clients that fight over a few keys of a store and write down what they saw, for checkStoreHistory.
import type { Clock, Random } from "@podwire/base";
import { type Key, KeyExistsError, KeyNotFoundError, RevisionConflictError, type Store, StoreUnavailableError } from "@podwire/store";
import type { StoreOperation } from "./history.ts";

export interface WorkloadOptions {
  clock: Clock;
  random: Random;
  /** One store each: two of them are two apiservers. */
  stores: readonly Store[];
  clients: number;
  keys: number;
  /** Stops when this says so. */
  over(): boolean;
  /** Mean pause between operations of a client. */
  pauseMs: number;
}

export async function runStoreWorkload(o: WorkloadOptions): Promise<StoreOperation[]> {
  const operations: StoreOperation[] = [];
  const keys = Array.from({ length: o.keys }, (_, i): Key => ({ group: "", resource: "configmaps", namespace: "fight", name: `k${i}` }));
  let next = 0;
  const client = async (n: number) => {
    const store = o.stores[n % o.stores.length] as Store;
    const known = new Map<Key, number>();
    while (!o.over()) {
      if (o.pauseMs > 0) await o.clock.sleep(o.random.float() * 2 * o.pauseMs);
      const key = o.random.pick(keys);
      const kind = o.random.pick(["create", "update", "update", "update", "delete", "get"] as const);
      const base = { client: `c${n}`, key, calledMs: o.clock.monotonicMs() };
      if (kind === "get") {
        const e = await store.get(key);
        if (e) known.set(key, e.revision);
        const found = e && { revision: e.revision, value: new TextDecoder().decode(e.value) };
        operations.push({ ...base, kind, found, returnedMs: o.clock.monotonicMs() });
        continue;
      }
      const value = `v${next++}`;
      const expected = kind === "create" ? 0 : (known.get(key) ?? 1);
      const bytes = new TextEncoder().encode(value);
      const outcome = await attempt(() =>
        kind === "create"
          ? store.create(key, bytes)
          : kind === "update"
            ? store.update(key, bytes, expected)
            : store.delete(key, bytes, expected),
      );
      if (outcome.kind === "done") known.set(key, outcome.revision);
      else if (outcome.kind === "refused" && outcome.current > 0) known.set(key, outcome.current);
      operations.push({ ...base, kind, value, expected, outcome, returnedMs: o.clock.monotonicMs() });
    }
  };
  await Promise.all(Array.from({ length: o.clients }, (_, n) => client(n)));
  return operations;
}

async function attempt(write: () => Promise<number>): Promise<Exclude<StoreOperation, { kind: "get" }>["outcome"]> {
  try {
    return { kind: "done", revision: await write() };
  } catch (e) {
    if (e instanceof RevisionConflictError || e instanceof KeyExistsError) return { kind: "refused", current: e.currentRevision };
    if (e instanceof KeyNotFoundError) return { kind: "refused", current: 0 };
    if (e instanceof StoreUnavailableError) return { kind: "unknown" };
    throw e;
  }
}
