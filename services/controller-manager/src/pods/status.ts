// Questions about pods that many controllers ask, answered as Kubernetes' pod utilities do.
import { type KubeObject, timeMs } from "@podwire/client";

export interface PodCondition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastTransitionTime?: string;
  lastProbeTime?: string;
  observedGeneration?: number;
}

export function podCondition(pod: KubeObject, type: string): PodCondition | undefined {
  const conditions = pod["status"]?.conditions as PodCondition[] | undefined;
  if (conditions) for (const c of conditions) if (c.type === type) return c;
  return undefined;
}

export const isReady = (pod: KubeObject): boolean => podCondition(pod, "Ready")?.status === "True";
export const isTerminating = (o: KubeObject): boolean =>
  o.metadata.deletionTimestamp !== undefined && o.metadata.deletionTimestamp !== null;
export const phaseOf = (pod: KubeObject): string => pod["status"]?.phase ?? "Pending";

/** Finished: it will never run again. */
export function isTerminal(pod: KubeObject): boolean {
  const phase = pod["status"]?.phase;
  return phase === "Succeeded" || phase === "Failed";
}

/** Neither finished nor on its way out. */
export const isActive = (pod: KubeObject): boolean => !isTerminal(pod) && !isTerminating(pod);

/** Ready, and has been so for `minReadySeconds`. */
export function isAvailable(pod: KubeObject, minReadySeconds: number, nowMs: number): boolean {
  const c = podCondition(pod, "Ready");
  if (c?.status !== "True") return false;
  if (minReadySeconds === 0) return true;
  const since = timeMs(c.lastTransitionTime);
  return since !== undefined && since + minReadySeconds * 1000 <= nowMs;
}

/** Milliseconds until the next of the ready pods becomes available; undefined when none is waiting. */
export function nextAvailableMs(pods: readonly KubeObject[], minReadySeconds: number, nowMs: number): number | undefined {
  if (minReadySeconds === 0) return undefined;
  let next: number | undefined;
  for (const p of pods) {
    const c = podCondition(p, "Ready");
    const since = c?.status === "True" ? timeMs(c.lastTransitionTime) : undefined;
    if (since === undefined) continue;
    const wait = since + minReadySeconds * 1000 - nowMs;
    if (wait > 0 && (next === undefined || wait < next)) next = wait;
  }
  return next;
}

/** The largest restart count among the pod's containers. */
export function maxRestarts(pod: KubeObject): number {
  let n = 0;
  for (const s of pod["status"]?.containerStatuses ?? []) n = Math.max(n, s.restartCount ?? 0);
  return n;
}

/** controller.kubernetes.io/pod-deletion-cost; nonsense counts as 0. */
export function deletionCost(pod: KubeObject): number {
  const text = pod.metadata.annotations?.["controller.kubernetes.io/pod-deletion-cost"];
  return text !== undefined && /^(0|-?[1-9][0-9]*)$/.test(text) ? Number(text) : 0;
}

/** Pod labels by which templates are found. */
export function hasLabels(o: KubeObject, labels: Record<string, string> | undefined): boolean {
  const have = o.metadata.labels ?? {};
  for (const k in labels) if (have[k] !== labels[k]) return false;
  return true;
}
