// Time that a test owns. Invariants: nothing runs but inside `tick` or `advance`; events run in order of due time, ties in
// order of creation; while an event runs, `monotonicMs` is exactly its due time.
import { type Clock, sleepOn, type Timer } from "@podwire/base";

interface Event extends Timer {
  dueMs: number;
  order: number;
  fn: (() => void) | undefined;
  unref: boolean;
}

export interface VirtualClock extends Clock {
  /** Runs what is due within the next `ms`, then stands `ms` later. For code without promises. */
  tick(ms: number): void;
  /** As `tick`, and lets promise chains settle after every event. */
  advance(ms: number): Promise<void>;
  /** Advances event by event until `done()` holds; throws when it does not within `maxMs`. */
  until(done: () => boolean, maxMs?: number): Promise<void>;
  /** Events that wait (cancelled ones not counted). */
  pending(): number;
}

/** A run that takes more events than this is taken for an endless loop. */
const MAX_EVENTS = 50_000_000;

/** Starts at `epochMs` of wall time (default 2026-01-01T00:00:00Z) and 0 of monotonic time. */
export function virtualClock(epochMs = Date.UTC(2026, 0, 1)): VirtualClock {
  const heap: Event[] = [];
  let now = 0;
  let order = 0;
  let live = 0;
  let ran = 0;

  const before = (a: Event, b: Event) => a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
  const push = (e: Event) => {
    let i = heap.push(e) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(e, heap[parent] as Event)) break;
      heap[i] = heap[parent] as Event;
      i = parent;
    }
    heap[i] = e;
  };
  const pop = (): Event => {
    const top = heap[0] as Event;
    const last = heap.pop() as Event;
    if (heap.length > 0) {
      let i = 0;
      while (true) {
        let child = 2 * i + 1;
        if (child >= heap.length) break;
        if (child + 1 < heap.length && before(heap[child + 1] as Event, heap[child] as Event)) child++;
        if (!before(heap[child] as Event, last)) break;
        heap[i] = heap[child] as Event;
        i = child;
      }
      heap[i] = last;
    }
    return top;
  };
  const schedule = (delayMs: number, fn: () => void, unref = false): Event => {
    live++;
    const e: Event = {
      dueMs: now + Math.max(0, delayMs),
      order: order++,
      fn,
      unref,
      cancel() {
        if (e.fn === undefined) return;
        e.fn = undefined;
        live--;
      },
    };
    push(e);
    return e;
  };
  /** Runs the next event that is due by `limitMs`; false when there is none. */
  const step = (limitMs: number): boolean => {
    while (heap.length > 0 && (heap[0] as Event).fn === undefined) pop();
    const next = heap[0];
    if (next === undefined || next.dueMs > limitMs) return false;
    pop();
    const fn = next.fn as () => void;
    next.fn = undefined;
    live--;
    now = next.dueMs;
    if (++ran > MAX_EVENTS) throw new Error(`more than ${MAX_EVENTS} events: is there an endless loop?`);
    fn();
    return true;
  };
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

  const clock: VirtualClock = {
    nowMs: () => Math.floor(epochMs + now),
    monotonicMs: () => now,
    after: (delayMs, fn, opts) => schedule(delayMs, fn, opts?.unref),
    every(periodMs, fn, opts) {
      let current: Event;
      let cancelled = false;
      const again = () => {
        current = schedule(
          periodMs,
          () => {
            again();
            fn();
          },
          opts?.unref,
        );
        if (cancelled) current.cancel();
      };
      again();
      return {
        cancel() {
          cancelled = true;
          current.cancel();
        },
      };
    },
    soon: (fn) => void schedule(0, fn),
    sleep: (delayMs, signal) => sleepOn(clock, delayMs, signal),
    tick(ms) {
      const limit = now + ms;
      while (step(limit));
      now = limit;
    },
    async advance(ms) {
      const limit = now + ms;
      await settle();
      while (step(limit)) await settle();
      now = limit;
    },
    async until(done, maxMs = 600_000) {
      const limit = now + maxMs;
      await settle();
      while (!done()) {
        if (!step(limit)) throw new Error(`not reached within ${maxMs} ms of virtual time: ${done}`);
        await settle();
      }
    },
    pending: () => live,
  };
  return clock;
}
