// A queue of keys with client-go's semantics. Invariants:
//  - a key is in `queue` at most once, and only if it is in `dirty`;
//  - a key in `processing` is never in `queue`: added meanwhile it becomes dirty and is queued again by `done`;
//  - so no two workers ever hold the same key, and an add during processing is never lost;
//  - a key waits for at most one timer, the earliest that was asked for.
// Its size is bounded by the number of distinct keys, that is, of objects.
import type { Clock, Timer } from "@podwire/base";
import { controllerLimiter, type RateLimiter } from "./rate-limiter.ts";

export interface WorkQueue {
  add(key: string): void;
  addAfter(key: string, delayMs: number): void;
  /** Adds after the rate limiter's delay; counts a failure. */
  addRateLimited(key: string): void;
  forget(key: string): void;
  failures(key: string): number;
  /** The next key, which the caller must hand back by `done`; undefined once the queue was shut down and is empty. */
  get(): Promise<string | undefined>;
  done(key: string): void;
  readonly length: number;
  /** Keys that are being worked on. */
  readonly processing: number;
  /** No more adds; waiting workers get undefined when what is queued was handed out. */
  shutDown(): void;
}

/** An empty queue; `limiter` defaults to client-go's for controllers. */
export function workQueue(o: { clock: Clock; limiter?: RateLimiter }): WorkQueue {
  const limiter = o.limiter ?? controllerLimiter(o.clock);
  const dirty = new Set<string>();
  const processing = new Set<string>();
  const waiting = new Map<string, { dueMs: number; timer: Timer }>();
  const getters: ((key: string | undefined) => void)[] = [];
  let queue: string[] = [];
  let head = 0;
  let down = false;

  const take = () => {
    const key = queue[head++] as string;
    if (head > 1024 && head * 2 > queue.length) {
      queue = queue.slice(head);
      head = 0;
    }
    processing.add(key);
    dirty.delete(key);
    return key;
  };
  const push = (key: string) => {
    queue.push(key);
    getters.shift()?.(take());
  };
  const add = (key: string) => {
    if (down || dirty.has(key)) return;
    dirty.add(key);
    if (!processing.has(key)) push(key);
  };
  const addAfter = (key: string, delayMs: number) => {
    if (down) return;
    if (delayMs <= 0) return add(key);
    const dueMs = o.clock.monotonicMs() + delayMs;
    const before = waiting.get(key);
    if (before) {
      if (before.dueMs <= dueMs) return;
      before.timer.cancel();
    }
    const timer = o.clock.after(
      delayMs,
      () => {
        waiting.delete(key);
        add(key);
      },
      { unref: true },
    );
    waiting.set(key, { dueMs, timer });
  };

  return {
    add,
    addAfter,
    addRateLimited: (key) => addAfter(key, limiter.whenMs(key)),
    forget: (key) => limiter.forget(key),
    failures: (key) => limiter.failures(key),
    get() {
      if (head < queue.length) return Promise.resolve(take());
      if (down) return Promise.resolve(undefined);
      return new Promise((resolve) => getters.push(resolve));
    },
    done(key) {
      processing.delete(key);
      if (dirty.has(key)) push(key);
    },
    get length() {
      return queue.length - head;
    },
    get processing() {
      return processing.size;
    },
    shutDown() {
      down = true;
      for (const w of waiting.values()) w.timer.cancel();
      waiting.clear();
      for (const g of getters.splice(0)) g(undefined);
    },
  };
}
