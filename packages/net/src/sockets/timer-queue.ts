// One host timer for all connections of a socket layer: a binary heap of wake-up times. A deadline that moves later (the usual case)
// costs nothing; the entry is found early when it comes up and put back.
// Invariant: an entry is in the heap at most once; its wakeAtMs is never later than the deadline it was last given.
import type { Clock, Timer } from "@podwire/base";

export interface Sleeper {
  /** Place in the heap, -1 outside. Owned by the queue. */
  wakeIndex: number;
  /** When the queue will call. Owned by the queue. */
  wakeAtMs: number;
}

/** Later than this, the event loop was busy: what has arrived meanwhile is handled before timers are believed. */
const LATE_MS = 2;

export class TimerQueue<T extends Sleeper> {
  readonly #clock: Clock;
  readonly #wake: (sleeper: T, nowMs: number) => void;
  readonly #heap: T[] = [];
  #timer: Timer | null = null;
  #timerAtMs = Number.POSITIVE_INFINITY;

  /** `wake` is called with an entry that was taken out; it sets the next deadline by `set`. */
  constructor(clock: Clock, wake: (sleeper: T, nowMs: number) => void) {
    this.#clock = clock;
    this.#wake = wake;
  }

  /** Calls `wake` at `atMs` or, when it was to be called earlier, then (the owner sets it again). Infinity takes nothing out. */
  set(s: T, atMs: number): void {
    if (atMs === Number.POSITIVE_INFINITY) return;
    if (s.wakeIndex < 0) {
      s.wakeIndex = this.#heap.length;
      s.wakeAtMs = atMs;
      this.#heap.push(s);
    } else if (atMs < s.wakeAtMs) s.wakeAtMs = atMs;
    else return;
    this.#up(s.wakeIndex);
    if (this.#heap[0] === s) this.#arm();
  }

  remove(s: T): void {
    const at = s.wakeIndex;
    if (at < 0) return;
    const last = this.#heap.pop()!;
    s.wakeIndex = -1;
    if (last === s) return;
    this.#heap[at] = last;
    last.wakeIndex = at;
    this.#up(at);
    this.#down(last.wakeIndex);
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
    for (const s of this.#heap) s.wakeIndex = -1;
    this.#heap.length = 0;
  }

  #arm(): void {
    const first = this.#heap[0];
    if (first === undefined || first.wakeAtMs >= this.#timerAtMs) return;
    this.#timer?.cancel();
    this.#timerAtMs = first.wakeAtMs;
    const delayMs = Math.max(0, first.wakeAtMs - this.#clock.monotonicMs());
    this.#timer = this.#clock.after(delayMs, () => this.#fired(), { unref: true });
  }

  #fired(): void {
    const late = this.#clock.monotonicMs() - this.#timerAtMs > LATE_MS;
    this.#timer = null;
    // Two turns: one for packets that wait in the host's sockets, one for those queued between our devices.
    if (late) this.#clock.soon(() => this.#clock.soon(() => this.#run()));
    else this.#run();
  }

  #run(): void {
    const now = this.#clock.monotonicMs();
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    for (let s = this.#heap[0]; s !== undefined && s.wakeAtMs <= now; s = this.#heap[0]) {
      this.remove(s);
      this.#wake(s, now);
    }
    this.#arm();
  }

  #up(at: number): void {
    const s = this.#heap[at]!;
    while (at > 0) {
      const parentAt = (at - 1) >>> 1;
      const parent = this.#heap[parentAt]!;
      if (parent.wakeAtMs <= s.wakeAtMs) break;
      this.#heap[at] = parent;
      parent.wakeIndex = at;
      at = parentAt;
    }
    this.#heap[at] = s;
    s.wakeIndex = at;
  }

  #down(at: number): void {
    const s = this.#heap[at]!;
    for (;;) {
      let childAt = 2 * at + 1;
      if (childAt >= this.#heap.length) break;
      if (childAt + 1 < this.#heap.length && this.#heap[childAt + 1]!.wakeAtMs < this.#heap[childAt]!.wakeAtMs) childAt++;
      const child = this.#heap[childAt]!;
      if (child.wakeAtMs >= s.wakeAtMs) break;
      this.#heap[at] = child;
      child.wakeIndex = at;
      at = childAt;
    }
    this.#heap[at] = s;
    s.wakeIndex = at;
  }
}
