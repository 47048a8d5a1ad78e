// The node that containers run on, as /proc shows it: processors, memory, uptime, load. One a node, shared by its pods.
// Invariant: what it says is what the node's programs took or declared (kernel/usage.ts), and what the node says that it has.
import type { Clock } from "@podwire/base";
import { ResourceUsage } from "./usage.ts";

/** What a node has unless it says so. */
const DEFAULT_CORES = 8;
const DEFAULT_MEMORY_BYTES = 16 * 1024 ** 3;
/** The three averages of /proc/loadavg, minutes. */
const LOAD_MINUTES = [1, 5, 15] as const;

export class Machine {
  readonly cores: number;
  readonly memoryBytes: number;
  readonly bootMs: number;
  readonly usage: ResourceUsage;
  /** Memory that programs of all pods say that they hold. */
  usedBytes = 0;
  readonly #clock: Clock;
  readonly #load = [0, 0, 0];
  #lookMs: number;
  #lookCpuMs = 0;

  constructor(clock: Clock, o: { cores?: number; memoryBytes?: number } = {}) {
    this.#clock = clock;
    this.cores = Math.max(1, Math.floor(o.cores ?? DEFAULT_CORES));
    this.memoryBytes = o.memoryBytes ?? DEFAULT_MEMORY_BYTES;
    this.bootMs = clock.nowMs();
    this.usage = new ResourceUsage(clock);
    this.#lookMs = clock.monotonicMs();
  }

  get uptimeMs(): number {
    return this.#clock.nowMs() - this.bootMs;
  }

  /** Busy cores over 1, 5 and 15 minutes, decaying as Linux's do; between two looks the load counts as even. */
  load(): readonly number[] {
    const now = this.#clock.monotonicMs();
    const passed = now - this.#lookMs;
    if (passed > 0) {
      const cpuMs = this.usage.cpuMs;
      const busy = (cpuMs - this.#lookCpuMs) / passed;
      LOAD_MINUTES.forEach((minutes, i) => {
        const kept = Math.exp(-passed / (minutes * 60_000));
        this.#load[i] = (this.#load[i] as number) * kept + busy * (1 - kept);
      });
      this.#lookMs = now;
      this.#lookCpuMs = cpuMs;
    }
    return this.#load;
  }
}
