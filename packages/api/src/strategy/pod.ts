// The server's own part in Pods: initial status, scheduling gates, matchLabelKeys (Kubernetes 1.34).
import { timeFromMs } from "../meta/time.ts";
import { podQosClass } from "./qos.ts";

type Obj = any;

const GATED = "Scheduling is blocked due to non-empty scheduling gates";

export function preparePodCreate(pod: Obj, opts: { nowMs?: number } = {}): void {
  pod.status = { phase: "Pending", qosClass: podQosClass(pod) };
  if ((pod.spec.schedulingGates ?? []).length > 0) {
    pod.status.conditions = [
      {
        type: "PodScheduled",
        status: "False",
        lastProbeTime: null,
        lastTransitionTime: opts.nowMs === undefined ? null : timeFromMs(opts.nowMs),
        reason: "SchedulingGated",
        message: GATED,
      },
    ];
  }
  for (const term of affinityTerms(pod.spec.affinity)) mergeMatchLabelKeys(term, pod.metadata.labels ?? {});
  for (const c of pod.spec.topologySpreadConstraints ?? []) mergeMatchLabelKeys(c, pod.metadata.labels ?? {});
}

function* affinityTerms(affinity: Obj | undefined): Generator<Obj> {
  for (const a of [affinity?.podAffinity, affinity?.podAntiAffinity]) {
    yield* a?.requiredDuringSchedulingIgnoredDuringExecution ?? [];
    for (const p of a?.preferredDuringSchedulingIgnoredDuringExecution ?? []) if (p.podAffinityTerm) yield p.podAffinityTerm;
  }
}

/** matchLabelKeys become expressions with the pod's own values, so that the scheduler needs no special case. */
function mergeMatchLabelKeys(term: Obj, labels: Record<string, string>): void {
  if (term.labelSelector === undefined) return;
  for (const [keys, operator] of [
    [term.matchLabelKeys, "In"],
    [term.mismatchLabelKeys, "NotIn"],
  ] as const) {
    for (const key of keys ?? []) {
      if (!Object.hasOwn(labels, key)) continue;
      term.labelSelector.matchExpressions ??= [];
      term.labelSelector.matchExpressions.push({ key, operator, values: [labels[key]] });
    }
  }
}

export function preparePodUpdate(pod: Obj, old: Obj, subresource: string): void {
  if (subresource === "status") {
    pod.spec = old.spec;
    pod.metadata.deletionTimestamp = old.metadata.deletionTimestamp;
    if (pod.metadata.deletionTimestamp === undefined) delete pod.metadata.deletionTimestamp;
    // Only the owner's endpoint changes ownership.
    if (old.metadata.ownerReferences === undefined) delete pod.metadata.ownerReferences;
    else pod.metadata.ownerReferences = old.metadata.ownerReferences;
    pod.status.qosClass ??= old.status?.qosClass ?? podQosClass(pod);
    return;
  }
  pod.status = old.status;
  if (subresource === "ephemeralcontainers") {
    const given = pod.spec.ephemeralContainers;
    pod.spec = { ...old.spec };
    if (given !== undefined) pod.spec.ephemeralContainers = given;
    else delete pod.spec.ephemeralContainers;
    keepMetadata(pod, old);
  } else if (subresource === "resize") {
    keepMetadata(pod, old);
  }
}

function keepMetadata(pod: Obj, old: Obj): void {
  const { managedFields, resourceVersion } = pod.metadata;
  pod.metadata = { ...old.metadata };
  if (managedFields !== undefined) pod.metadata.managedFields = managedFields;
  if (resourceVersion !== undefined) pod.metadata.resourceVersion = resourceVersion;
}
