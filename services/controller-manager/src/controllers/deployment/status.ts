// A Deployment's status and its conditions Available, Progressing and ReplicaFailure. Pure.
import { type KubeObject, time, timeMs } from "@podwire/client";
import { availableOf, maxUnavailable, replicasOf, sumOf } from "./sizes.ts";

export interface Condition {
  type: string;
  status: "True" | "False" | "Unknown";
  reason: string;
  message: string;
  lastUpdateTime?: string;
  lastTransitionTime?: string;
}

/** No deadline: progress is not judged. */
const NO_DEADLINE = 2147483647;

export const hasDeadline = (d: KubeObject): boolean =>
  d["spec"].progressDeadlineSeconds !== undefined &&
  d["spec"].progressDeadlineSeconds !== null &&
  d["spec"].progressDeadlineSeconds !== NO_DEADLINE;

export const conditionOf = (status: any, type: string): Condition | undefined =>
  status?.conditions?.find((c: Condition) => c.type === type);

/** Replaces a condition unless status and reason stay; the transition time stays when the status does. */
export function setCondition(status: any, c: Omit<Condition, "lastUpdateTime" | "lastTransitionTime">, nowMs: number): void {
  const old = conditionOf(status, c.type);
  if (old && old.status === c.status && old.reason === c.reason) return;
  const now = time(nowMs);
  const next: Condition = {
    ...c,
    lastUpdateTime: now,
    lastTransitionTime: old?.status === c.status ? (old.lastTransitionTime ?? now) : now,
  };
  status.conditions = [...(status.conditions ?? []).filter((x: Condition) => x.type !== c.type), next];
}

export function removeCondition(status: any, type: string): void {
  if (conditionOf(status, type)) status.conditions = status.conditions.filter((c: Condition) => c.type !== type);
}

export function countStatus(d: KubeObject, all: readonly KubeObject[], newSet: KubeObject | undefined, nowMs: number): Record<string, any> {
  const actual = (rs: KubeObject) => rs["status"]?.replicas ?? 0;
  const available = sumOf(all, availableOf);
  const ready = sumOf(all, (rs) => rs["status"]?.readyReplicas ?? 0);
  const replicas = sumOf(all, actual);
  const updated = newSet ? actual(newSet) : 0;
  const unavailable = Math.max(0, sumOf(all, replicasOf) - available);
  const status: Record<string, any> = {
    observedGeneration: d.metadata.generation ?? 0,
    ...(replicas > 0 ? { replicas } : {}),
    ...(updated > 0 ? { updatedReplicas: updated } : {}),
    ...(ready > 0 ? { readyReplicas: ready } : {}),
    ...(available > 0 ? { availableReplicas: available } : {}),
    ...(unavailable > 0 ? { unavailableReplicas: unavailable } : {}),
    ...(d["status"]?.collisionCount !== undefined ? { collisionCount: d["status"].collisionCount } : {}),
    conditions: [...(d["status"]?.conditions ?? [])],
  };
  if (available >= replicasOf(d) - maxUnavailable(d))
    setCondition(
      status,
      { type: "Available", status: "True", reason: "MinimumReplicasAvailable", message: "Deployment has minimum availability." },
      nowMs,
    );
  else
    setCondition(
      status,
      {
        type: "Available",
        status: "False",
        reason: "MinimumReplicasUnavailable",
        message: "Deployment does not have minimum availability.",
      },
      nowMs,
    );
  return status;
}

export function isComplete(d: KubeObject, s: any): boolean {
  const n = replicasOf(d);
  return (
    (s.updatedReplicas ?? 0) === n &&
    (s.replicas ?? 0) === n &&
    (s.availableReplicas ?? 0) === n &&
    (s.observedGeneration ?? 0) >= (d.metadata.generation ?? 0)
  );
}

function isProgressing(d: KubeObject, s: any): boolean {
  const old = d["status"] ?? {};
  const outdated = (x: any) => (x.replicas ?? 0) - (x.updatedReplicas ?? 0);
  return (
    (s.updatedReplicas ?? 0) > (old.updatedReplicas ?? 0) ||
    outdated(s) < outdated(old) ||
    (s.readyReplicas ?? 0) > (old.readyReplicas ?? 0) ||
    (s.availableReplicas ?? 0) > (old.availableReplicas ?? 0)
  );
}

function isTimedOut(d: KubeObject, s: any, nowMs: number): boolean {
  const c = conditionOf(s, "Progressing");
  if (!hasDeadline(d) || !c || c.reason === "NewReplicaSetAvailable") return false;
  if (c.reason === "ProgressDeadlineExceeded") return true;
  return (timeMs(c.lastUpdateTime) ?? nowMs) + d["spec"].progressDeadlineSeconds * 1000 < nowMs;
}

/** The status during a rollout, with the progress conditions. */
export function rolloutStatus(
  d: KubeObject,
  all: readonly KubeObject[],
  newSet: KubeObject | undefined,
  nowMs: number,
): Record<string, any> {
  const s = countStatus(d, all, newSet, nowMs);
  if (!hasDeadline(d)) removeCondition(s, "Progressing");
  const current = conditionOf(d["status"], "Progressing");
  const settled = (s["replicas"] ?? 0) === (s["updatedReplicas"] ?? 0) && current?.reason === "NewReplicaSetAvailable";
  const subject = newSet ? `ReplicaSet "${newSet.metadata.name}"` : `Deployment "${d.metadata.name}"`;
  if (hasDeadline(d) && !settled) {
    if (isComplete(d, s))
      setCondition(
        s,
        { type: "Progressing", status: "True", reason: "NewReplicaSetAvailable", message: `${subject} has successfully progressed.` },
        nowMs,
      );
    else if (isProgressing(d, s)) {
      const c = { type: "Progressing", status: "True", reason: "ReplicaSetUpdated", message: `${subject} is progressing.` } as const;
      const since = current?.status === "True" ? current.lastTransitionTime : undefined;
      // Written even when the reason stays: the update time is what the deadline counts from.
      removeCondition(s, "Progressing");
      setCondition(s, c, nowMs);
      const written = conditionOf(s, "Progressing");
      if (written && since !== undefined) written.lastTransitionTime = since;
    } else if (isTimedOut(d, s, nowMs))
      setCondition(
        s,
        { type: "Progressing", status: "False", reason: "ProgressDeadlineExceeded", message: `${subject} has timed out progressing.` },
        nowMs,
      );
  }
  const failure = setFailure(all, newSet);
  if (failure) setCondition(s, failure, nowMs);
  else removeCondition(s, "ReplicaFailure");
  return s;
}

function setFailure(
  all: readonly KubeObject[],
  newSet: KubeObject | undefined,
): Omit<Condition, "lastUpdateTime" | "lastTransitionTime"> | undefined {
  const sets = newSet ? [newSet, ...all.filter((rs) => rs !== newSet)] : all;
  for (const rs of sets) {
    const c = conditionOf(rs["status"], "ReplicaFailure");
    if (c) return { type: "ReplicaFailure", status: c.status, reason: c.reason, message: c.message };
  }
  return undefined;
}

/** When the progress deadline must be judged again; undefined when it need not. */
export function deadlineCheckMs(d: KubeObject, s: any, nowMs: number): number | undefined {
  const c = conditionOf(d["status"], "Progressing");
  if (!hasDeadline(d) || !c || isComplete(d, s) || c.reason === "ProgressDeadlineExceeded" || c.reason === "NewReplicaSetAvailable")
    return undefined;
  const due = (timeMs(c.lastUpdateTime) ?? nowMs) + d["spec"].progressDeadlineSeconds * 1000;
  return Math.max(1000, due - nowMs + 1000);
}
