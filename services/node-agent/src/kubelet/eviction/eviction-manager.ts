// Watches what the node has left and ends pods when it is too little (eviction_manager.go). The decisions are `plan.ts`'s.
// Invariant: at most one pod is ended a look for the node's sake; a condition stays for the transition period after its cause has gone.
import type { Clock, Logger, Timer } from "@podwire/base";
import type { PodUsage } from "../stats/usage.ts";
import {
  CONDITION_OF,
  type Condition,
  choose,
  crossed,
  type Eviction,
  type Observation,
  type Observations,
  overLocalLimits,
  RESOURCE_OF,
} from "./plan.ts";
import type { Signal, Threshold } from "./thresholds.ts";

export interface EvictionOptions {
  thresholds: readonly Threshold[];
  transitionMs: number;
  /** How often it looks. */
  periodMs: number;
  usage(): PodUsage[];
  observe(pods: readonly PodUsage[]): Observations;
  /** Frees images that nobody uses; true when that helped. */
  reclaimImages(): boolean;
  evict(e: Eviction): void;
  /** An event on the node. */
  nodeEvent(type: "Normal" | "Warning", reason: string, message: string): void;
  /** Conditions have come or gone. */
  onChange(): void;
  clock: Clock;
  log: Logger;
}

export class EvictionManager {
  readonly #o: EvictionOptions;
  /** When each condition's cause was last there. */
  readonly #lastMs = new Map<Condition, number>();
  /** Since when each threshold is crossed. */
  readonly #since = new Map<Threshold, number>();
  readonly #evicting = new Set<string>();
  #told = "";
  #timer: Timer | undefined;

  constructor(o: EvictionOptions) {
    this.#o = o;
  }

  start(): void {
    this.#timer = this.#o.clock.every(this.#o.periodMs, () => this.look(), { unref: true });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  pressures(): Condition[] {
    const now = this.#o.clock.nowMs();
    return [...this.#lastMs].filter(([, at]) => now - at < this.#o.transitionMs || at === now).map(([c]) => c);
  }

  /** One look: at local limits of pods, then at the node's thresholds. */
  look(): void {
    const { usage, observe, thresholds, clock } = this.#o;
    const all = usage();
    const live = all.filter((p) => !this.#evicting.has(p.pod.metadata!.uid!));
    for (const uid of this.#evicting) if (!all.some((p) => p.pod.metadata!.uid === uid)) this.#evicting.delete(uid);
    const local = overLocalLimits(live);
    for (const e of local) this.#evict(e);
    const seen = observe(all);
    const now = clock.nowMs();
    const met = crossed(thresholds, seen, new Set(this.#since.keys()));
    for (const t of met) {
      this.#lastMs.set(CONDITION_OF[t.signal], now);
      if (!this.#since.has(t)) this.#since.set(t, now);
    }
    for (const t of this.#since.keys()) if (!met.includes(t)) this.#since.delete(t);
    this.#tell();
    // What leaves already may be enough.
    if (local.length > 0 || this.#evicting.size > 0) return;
    const first = met.find((t) => now - (this.#since.get(t) as number) >= (t.graceMs ?? 0));
    if (first) this.#reclaim(first, seen.get(first.signal) as Observation, live);
  }

  #reclaim(t: Threshold, o: Observation, pods: readonly PodUsage[]): void {
    this.#o.nodeEvent("Warning", "EvictionThresholdMet", `Attempting to reclaim ${RESOURCE_OF[t.signal]}`);
    if (isDisk(t.signal) && this.#o.reclaimImages()) return;
    const e = choose(t, o, pods);
    if (e) this.#evict(e);
    else this.#o.log.warn({ signal: t.signal }, "the node is under pressure and no pod may be evicted");
  }

  #evict(e: Eviction): void {
    this.#evicting.add(e.pod.metadata!.uid!);
    this.#o.evict(e);
  }

  #tell(): void {
    const text = this.pressures().sort().join(",");
    if (text === this.#told) return;
    this.#told = text;
    this.#o.onChange();
  }
}

function isDisk(s: Signal): boolean {
  return CONDITION_OF[s] === "DiskPressure";
}
