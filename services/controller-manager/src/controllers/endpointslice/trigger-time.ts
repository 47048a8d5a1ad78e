// When the change happened that endpoints are written for: the earliest of the readiness transitions and service creations that
// were not seen before. Metrics of network programming latency count from it. A write without such a change carries none.
import { type KubeObject, timeMs } from "@podwire/client";
import { podCondition } from "../../pods/status.ts";

export class TriggerTimes {
  readonly #seen = new Map<string, { service: number; pods: Map<string, number> }>();

  /** Milliseconds since the epoch, or undefined when nothing new has happened. */
  next(key: string, service: KubeObject, pods: readonly KubeObject[]): number | undefined {
    const before = this.#seen.get(key) ?? { service: 0, pods: new Map<string, number>() };
    const now = { service: timeMs(service.metadata.creationTimestamp) ?? 0, pods: new Map<string, number>() };
    let first: number | undefined;
    const take = (at: number) => {
      if (first === undefined || at < first) first = at;
    };
    for (const p of pods) {
      const at = timeMs(podCondition(p, "Ready")?.lastTransitionTime);
      if (at === undefined) continue;
      now.pods.set(p.metadata.name, at);
      if (at > (before.pods.get(p.metadata.name) ?? 0)) take(at);
    }
    if (now.service > before.service) take(now.service);
    this.#seen.set(key, now);
    return first;
  }

  forget(key: string): void {
    this.#seen.delete(key);
  }
}
