// What a container has used of its node, as its cgroup would tell (cgroup v2: cpu.stat usage_usec, memory.current): processor time
// that its programs took of the event loop or say that they would take, and memory that they say they hold.
// Invariant: cpuMs never falls; the simulated rate is never negative.
import type { Clock } from "@podwire/base";

export class ResourceUsage {
  readonly #clock: Clock;
  #cpuMs = 0;
  #millicores = 0;
  #sinceMs = 0;
  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Processor time that was taken. */
  add(ms: number): void {
    this.#cpuMs += ms;
  }

  /** A simulated load begins (or, negative, ends). */
  changeRate(millicores: number): void {
    this.#cpuMs = this.cpuMs;
    this.#sinceMs = this.#clock.monotonicMs();
    this.#millicores = Math.max(0, this.#millicores + millicores);
  }

  /** All processor time until now, milliseconds of one core. */
  get cpuMs(): number {
    return this.#millicores === 0 ? this.#cpuMs : this.#cpuMs + ((this.#clock.monotonicMs() - this.#sinceMs) * this.#millicores) / 1000;
  }
}
