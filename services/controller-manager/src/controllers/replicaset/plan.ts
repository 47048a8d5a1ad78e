// ReplicaSet (and ReplicationController): keep `spec.replicas` active pods. Pure: objects and time in, what to do out.
// Follows apps/v1 ReplicaSet; at most BURST creations or deletions at a time.
import { type KubeObject, time } from "@podwire/client";
import { podsPerNode, podsToDelete } from "../../pods/deletion-order.ts";
import { hasLabels, isActive, isAvailable, isReady, isTerminating, nextAvailableMs } from "../../pods/status.ts";

export const BURST = 500;

export interface ReplicaSetState {
  replicaSet: KubeObject;
  /** Pods that it controls. */
  pods: readonly KubeObject[];
  /** Pods of all sets with the same owner, for spreading deletions; asked for only when something is to be deleted. */
  related: () => readonly KubeObject[];
  nowMs: number;
}

export interface Scaling {
  create: number;
  delete: KubeObject[];
}

export function planScaling(s: ReplicaSetState): Scaling {
  if (isTerminating(s.replicaSet)) return { create: 0, delete: [] };
  const active = s.pods.filter(isActive);
  const diff = active.length - (s.replicaSet["spec"].replicas ?? 1);
  if (diff < 0) return { create: Math.min(-diff, BURST), delete: [] };
  if (diff > 0) return { create: 0, delete: podsToDelete(active, Math.min(diff, BURST), podsPerNode(s.related()), s.nowMs) };
  return { create: 0, delete: [] };
}

/** The new status, or undefined when the one it has is right. `failure` is why scaling failed, when it did. */
export function planStatus(s: Omit<ReplicaSetState, "related">, scaling: Scaling, failure?: string): Record<string, any> | undefined {
  const rs = s.replicaSet;
  const old = rs["status"] ?? {};
  const minReady = rs["spec"].minReadySeconds ?? 0;
  const labels = rs["spec"].template?.metadata?.labels;
  let replicas = 0;
  let labelled = 0;
  let ready = 0;
  let available = 0;
  for (const p of s.pods) {
    if (!isActive(p)) continue;
    replicas++;
    if (hasLabels(p, labels)) labelled++;
    if (!isReady(p)) continue;
    ready++;
    if (isAvailable(p, minReady, s.nowMs)) available++;
  }
  const conditions = failureConditions(old.conditions ?? [], scaling, failure, s.nowMs);
  const next = {
    replicas,
    ...(labelled > 0 ? { fullyLabeledReplicas: labelled } : {}),
    ...(ready > 0 ? { readyReplicas: ready } : {}),
    ...(available > 0 ? { availableReplicas: available } : {}),
    observedGeneration: rs.metadata.generation ?? 0,
    ...(conditions.length > 0 ? { conditions } : {}),
  };
  const unchanged =
    (old.replicas ?? 0) === replicas &&
    (old.fullyLabeledReplicas ?? 0) === labelled &&
    (old.readyReplicas ?? 0) === ready &&
    (old.availableReplicas ?? 0) === available &&
    (old.observedGeneration ?? 0) === next.observedGeneration &&
    JSON.stringify(old.conditions ?? []) === JSON.stringify(conditions);
  return unchanged ? undefined : next;
}

/** When to look again although nothing changes: a ready pod becomes available. */
export function nextLookMs(s: Omit<ReplicaSetState, "related">): number | undefined {
  return nextAvailableMs(s.pods.filter(isActive), s.replicaSet["spec"].minReadySeconds ?? 0, s.nowMs);
}

function failureConditions(old: readonly any[], scaling: Scaling, failure: string | undefined, nowMs: number): any[] {
  const existing = old.find((c) => c.type === "ReplicaFailure");
  if (failure === undefined) return existing ? old.filter((c) => c !== existing) : [...old];
  const reason = scaling.create > 0 ? "FailedCreate" : "FailedDelete";
  if (existing?.status === "True" && existing.reason === reason) return [...old];
  return [
    ...old.filter((c) => c !== existing),
    {
      type: "ReplicaFailure",
      status: "True",
      lastTransitionTime: existing?.status === "True" ? existing.lastTransitionTime : time(nowMs),
      reason,
      message: failure,
    },
  ];
}
