// Defaults of apps, batch and autoscaling kinds (Kubernetes 1.34).
import { defaultClaimSpec, defaultPodSpec } from "./pod.ts";

type Obj = Record<string, any>;

const isEmpty = (o: Obj | undefined): boolean => o === undefined || Object.keys(o).length === 0;

export function defaultDeployment(o: Obj): void {
  const s = o.spec;
  s.replicas ??= 1;
  s.strategy.type ??= "RollingUpdate";
  if (s.strategy.type === "RollingUpdate") {
    s.strategy.rollingUpdate ??= {};
    s.strategy.rollingUpdate.maxUnavailable ??= "25%";
    s.strategy.rollingUpdate.maxSurge ??= "25%";
  }
  s.revisionHistoryLimit ??= 10;
  s.progressDeadlineSeconds ??= 600;
  defaultPodSpec(s.template.spec);
}

export function defaultReplicaSet(o: Obj): void {
  o.spec.replicas ??= 1;
  if (o.spec.template?.spec) defaultPodSpec(o.spec.template.spec);
}

export function defaultReplicationController(o: Obj): void {
  const s = o.spec;
  const labels = s.template?.metadata?.labels;
  if (!isEmpty(labels)) {
    if (isEmpty(s.selector)) s.selector = { ...labels };
    if (isEmpty(o.metadata.labels)) o.metadata.labels = { ...labels };
  }
  s.replicas ??= 1;
  if (s.template?.spec) defaultPodSpec(s.template.spec);
}

export function defaultStatefulSet(o: Obj): void {
  const s = o.spec;
  s.podManagementPolicy ??= "OrderedReady";
  s.updateStrategy.type ??= "RollingUpdate";
  if (s.updateStrategy.type === "RollingUpdate") {
    s.updateStrategy.rollingUpdate ??= {};
    s.updateStrategy.rollingUpdate.partition ??= 0;
  }
  s.persistentVolumeClaimRetentionPolicy ??= {};
  s.persistentVolumeClaimRetentionPolicy.whenDeleted ??= "Retain";
  s.persistentVolumeClaimRetentionPolicy.whenScaled ??= "Retain";
  s.replicas ??= 1;
  s.revisionHistoryLimit ??= 10;
  for (const c of s.volumeClaimTemplates ?? []) {
    c.kind ??= "PersistentVolumeClaim";
    c.apiVersion ??= "v1";
    defaultClaimSpec(c.spec);
    c.status.phase ??= "Pending";
  }
  defaultPodSpec(s.template.spec);
}

export function defaultDaemonSet(o: Obj): void {
  const s = o.spec;
  s.updateStrategy.type ??= "RollingUpdate";
  if (s.updateStrategy.type === "RollingUpdate") {
    s.updateStrategy.rollingUpdate ??= {};
    s.updateStrategy.rollingUpdate.maxUnavailable ??= 1;
    s.updateStrategy.rollingUpdate.maxSurge ??= 0;
  }
  s.revisionHistoryLimit ??= 10;
  defaultPodSpec(s.template.spec);
  o.metadata.annotations ??= {};
  o.metadata.annotations["deprecated.daemonset.template.generation"] ??= "0";
}

const INT32_MAX = 2147483647;

export function defaultJobSpec(s: Obj): void {
  if (s.completions === undefined && s.parallelism === undefined) s.completions = 1;
  s.parallelism ??= 1;
  s.backoffLimit ??= s.backoffLimitPerIndex === undefined ? 6 : INT32_MAX;
  s.completionMode ??= "NonIndexed";
  s.suspend ??= false;
  for (const r of s.podFailurePolicy?.rules ?? []) for (const c of r.onPodConditions ?? []) c.status ||= "True";
  s.podReplacementPolicy ??= s.podFailurePolicy === undefined ? "TerminatingOrFailed" : "Failed";
  defaultPodSpec(s.template.spec);
}

export function defaultJob(o: Obj): void {
  const labels = o.spec.template?.metadata?.labels;
  if (!isEmpty(labels) && isEmpty(o.metadata.labels)) o.metadata.labels = { ...labels };
  o.spec.manualSelector ??= false;
  defaultJobSpec(o.spec);
}

export function defaultCronJob(o: Obj): void {
  const s = o.spec;
  s.concurrencyPolicy ??= "Allow";
  s.suspend ??= false;
  s.successfulJobsHistoryLimit ??= 3;
  s.failedJobsHistoryLimit ??= 1;
  defaultPodSpec(s.jobTemplate.spec.template.spec);
}

const DEFAULT_CPU_PERCENT = 80;

export function defaultAutoscalerV1(o: Obj): void {
  o.spec.minReplicas ??= 1;
}

export function defaultAutoscalerV2(o: Obj): void {
  const s = o.spec;
  s.minReplicas ??= 1;
  if ((s.metrics ?? []).length === 0) {
    s.metrics = [{ type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: DEFAULT_CPU_PERCENT } } }];
  }
  if (s.behavior === undefined) return;
  s.behavior.scaleUp = scalingRules(s.behavior.scaleUp, 0, [
    { type: "Pods", value: 4, periodSeconds: 15 },
    { type: "Percent", value: 100, periodSeconds: 15 },
  ]);
  s.behavior.scaleDown = scalingRules(s.behavior.scaleDown, undefined, [{ type: "Percent", value: 100, periodSeconds: 15 }]);
}

function scalingRules(given: Obj | undefined, windowSeconds: number | undefined, policies: Obj[]): Obj {
  const out: Obj = { ...given };
  if (windowSeconds !== undefined) out.stabilizationWindowSeconds ??= windowSeconds;
  out.selectPolicy ??= "Max";
  if (out.policies === undefined) out.policies = policies;
  return out;
}
