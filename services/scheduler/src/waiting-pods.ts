// Pods that a permit plugin holds back: each waits until every plugin that asked for it has allowed it, one has refused it, or its time is up
// (frameworkImpl's waiting pods). Invariant: a pod is settled once.
import type { Clock, Timer } from "@podwire/base";
import type { PodInfo } from "./framework/pod-info.ts";

/** No pod waits longer than this, whatever a plugin says. */
export const MAX_WAIT_MS = 15 * 60_000;

export type Verdict = { allowed: true } | { allowed: false; plugin: string; message: string };

export interface WaitingPod {
  readonly pod: PodInfo;
  readonly node: string;
  /** Plugins whose word is missing. */
  pending(): readonly string[];
  allow(plugin: string): void;
  reject(plugin: string, message: string): void;
}

export class WaitingPods {
  readonly #clock: Clock;
  readonly #pods = new Map<string, WaitingPod>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#pods.size;
  }

  get(uid: string): WaitingPod | undefined {
    return this.#pods.get(uid);
  }

  all(): readonly WaitingPod[] {
    return [...this.#pods.values()];
  }

  /** Resolves when the pod is settled. `waits` are plugins and how long each would wait. */
  hold(pod: PodInfo, node: string, waits: ReadonlyMap<string, number>): Promise<Verdict> {
    return new Promise((resolve) => {
      const timers = new Map<string, Timer>();
      const settle = (v: Verdict) => {
        if (this.#pods.get(pod.uid) !== waiting) return;
        this.#pods.delete(pod.uid);
        for (const t of timers.values()) t.cancel();
        resolve(v);
      };
      const waiting: WaitingPod = {
        pod,
        node,
        pending: () => [...timers.keys()],
        allow(plugin) {
          timers.get(plugin)?.cancel();
          timers.delete(plugin);
          if (timers.size === 0) settle({ allowed: true });
        },
        reject: (plugin, message) =>
          settle({ allowed: false, plugin, message: `pod "${pod.pod.metadata.name}" rejected while waiting on permit: ${message}` }),
      };
      this.#pods.set(pod.uid, waiting);
      for (const [plugin, ms] of waits) {
        const message = `rejected due to timeout after waiting ${Math.min(ms, MAX_WAIT_MS) / 1000}s at plugin ${plugin}`;
        timers.set(
          plugin,
          this.#clock.after(Math.min(ms, MAX_WAIT_MS), () => waiting.reject(plugin, message), { unref: true }),
        );
      }
    });
  }

  /** The scheduler stops: nobody waits any longer. */
  close(): void {
    for (const w of this.all()) w.reject("", "the scheduler stops");
  }
}
