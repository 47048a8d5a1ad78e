// Graceful node shutdown (KEP-2000, nodeshutdown_manager.go): the node turns NotReady and admits nobody, pods end in order of priority, each
// group within its part of --shutdown-grace-period.
// Invariant: critical pods are asked to end only after the others have, or have used up their time.
import type { Pod } from "@podwire/api";
import type { Clock } from "@podwire/base";
import type { PodWorker } from "./pod-worker.ts";

const CRITICAL_PRIORITY = 2_000_000_000;
const REASON = "Terminated";
const MESSAGE = "Pod was terminated in response to imminent node shutdown.";
const LOOK_MS = 20;

export interface ShutdownGroup {
  fromPriority: number;
  periodMs: number;
}

/** The groups in the order in which they end. */
export function shutdownGroups(graceMs: number, criticalMs: number): ShutdownGroup[] {
  const ordinary = Math.max(0, graceMs - criticalMs);
  return [
    { fromPriority: Number.NEGATIVE_INFINITY, periodMs: ordinary },
    { fromPriority: CRITICAL_PRIORITY, periodMs: Math.min(criticalMs, graceMs) },
  ];
}

export function groupOf(pod: Pod, groups: readonly ShutdownGroup[]): ShutdownGroup {
  const priority = pod.spec!.priority ?? 0;
  return groups.findLast((g) => priority >= g.fromPriority) as ShutdownGroup;
}

/** Ends all pods; resolves when they are over or the time is. */
export async function shutDownPods(workers: readonly PodWorker[], groups: readonly ShutdownGroup[], clock: Clock): Promise<void> {
  for (const group of groups) {
    const mine = workers.filter((w) => !w.record.finished && groupOf(w.record.pod, groups) === group);
    for (const w of mine) {
      const own = Number(w.record.pod.spec!.terminationGracePeriodSeconds ?? 30);
      w.terminate(Math.min(own, Math.floor(group.periodMs / 1000)), REASON, MESSAGE, true);
    }
    const endMs = clock.nowMs() + group.periodMs;
    while (mine.some((w) => !w.record.finished) && clock.nowMs() < endMs) await clock.sleep(LOOK_MS);
  }
}
