// The node's processor time for simulated processes. Programs are async functions on one event loop, so each must offer to
// stop often (`checkpoint`); who used up the slice waits in a queue, and one waiter continues per turn of the event loop.
// Invariant: between two turns of the event loop, processes that call checkpoint run at most SLICE_MS plus one step.
import type { Clock } from "@podwire/base";

/** Half of the 8 ms that a busy loop may keep the node's event loop. */
export const SLICE_MS = 4;
/** Steps between two looks at the clock. */
const STEPS_PER_LOOK = 16;

/** Whom the time between two looks is charged to. */
export interface CpuConsumer {
  addCpu(ms: number): void;
}

export class Cpu {
  readonly #clock: Clock;
  #sliceStartMs = -1;
  #steps = 0;
  #queue: (() => void)[] = [];
  #turnAsked = false;
  #lastSeen: CpuConsumer | undefined;
  #lastLookMs = 0;
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** undefined when the process may go on at once; else what to await. Cheap enough for every simple command. */
  checkpoint(p?: CpuConsumer): Promise<void> | undefined {
    if (++this.#steps < STEPS_PER_LOOK && this.#queue.length === 0) return undefined;
    this.#steps = 0;
    const now = this.#clock.monotonicMs();
    const first = this.#sliceStartMs < 0;
    // Steps between two looks in one slice are taken as those of whoever is seen at both.
    if (!first && p !== undefined && p === this.#lastSeen) p.addCpu(now - this.#lastLookMs);
    this.#lastSeen = p;
    this.#lastLookMs = now;
    if (first) {
      this.#sliceStartMs = now;
      this.#askTurn();
      return undefined;
    }
    if (now - this.#sliceStartMs < SLICE_MS) return undefined;
    return new Promise((resolve) => {
      this.#queue.push(resolve);
      this.#askTurn();
    });
  }

  #askTurn(): void {
    if (this.#turnAsked) return;
    this.#turnAsked = true;
    this.#clock.soon(() => {
      this.#turnAsked = false;
      this.#sliceStartMs = -1;
      const next = this.#queue.shift();
      if (next === undefined) return;
      this.#sliceStartMs = this.#clock.monotonicMs();
      this.#lastLookMs = this.#sliceStartMs;
      this.#lastSeen = undefined;
      this.#askTurn();
      next();
    });
  }
}
