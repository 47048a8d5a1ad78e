// When watchers are written to. A write into a TLS socket costs more than the event in it, so with many watchers events of a few milliseconds leave together.
// Invariant: what was added is flushed once, in the next turn when few watchers had something, within GATHER_MS when many had.
import type { Clock } from "@podwire/base";

/** From this many writes at once on, the next ones are gathered. */
export const MANY = 8;
export const GATHER_MS = 3;

export class WatchFlusher {
  readonly #clock: Clock;
  #due = new Set<() => void>();
  #scheduled = false;
  #lastMs = Number.NEGATIVE_INFINITY;
  #many = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** `flush` is called once, soon; it must not throw. */
  add(flush: () => void): void {
    this.#due.add(flush);
    if (this.#scheduled) return;
    this.#scheduled = true;
    const waitMs = this.#many ? this.#lastMs + GATHER_MS - this.#clock.monotonicMs() : 0;
    if (waitMs <= 0) this.#clock.soon(() => this.#run());
    else this.#clock.after(waitMs, () => this.#run());
  }

  #run(): void {
    const due = this.#due;
    this.#due = new Set();
    this.#scheduled = false;
    this.#lastMs = this.#clock.monotonicMs();
    this.#many = due.size >= MANY;
    for (const flush of due) flush();
  }
}
