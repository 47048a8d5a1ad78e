// Defaults of storage, policy, admission, flow control and the other cluster kinds (Kubernetes 1.34).
import { defaultClaimSpec, defaultLegacySources } from "./pod.ts";

type Obj = Record<string, any>;

export function defaultNamespace(o: Obj): void {
  if (o.status) o.status.phase ??= "Active";
  if (o.metadata.name) {
    o.metadata.labels ??= {};
    o.metadata.labels["kubernetes.io/metadata.name"] = o.metadata.name;
  }
}

export function defaultNode(o: Obj): void {
  const spec = o.spec;
  if (spec?.podCIDR !== undefined && (spec.podCIDRs ?? []).length === 0) spec.podCIDRs = [spec.podCIDR];
  else if (spec?.podCIDR === undefined && spec?.podCIDRs?.length > 0) spec.podCIDR = spec.podCIDRs[0];
  const s = o.status;
  if (s?.allocatable === undefined && s?.capacity !== undefined) s.allocatable = { ...s.capacity };
}

export function defaultSecret(o: Obj): void {
  // stringData is write-only: it becomes data.
  for (const key of Object.keys(o.stringData ?? {})) {
    o.data ??= {};
    o.data[key] = Buffer.from(o.stringData[key], "utf8").toString("base64");
  }
  delete o.stringData;
  o.type ??= "Opaque";
}

export function defaultPersistentVolume(o: Obj): void {
  o.status.phase ??= "Pending";
  o.spec.persistentVolumeReclaimPolicy ??= "Retain";
  o.spec.volumeMode ??= "Filesystem";
  if (o.spec.hostPath) o.spec.hostPath.type ??= "";
  defaultLegacySources(o.spec);
}

export function defaultPersistentVolumeClaim(o: Obj): void {
  o.status.phase ??= "Pending";
  defaultClaimSpec(o.spec);
}

export function defaultLimitRange(o: Obj): void {
  for (const item of o.spec?.limits ?? []) {
    if (item.type !== "Container") continue;
    fill(item, "default", item.max);
    fill(item, "defaultRequest", item.default);
    fill(item, "defaultRequest", item.min);
  }
}

function fill(item: Obj, key: string, from: Obj | undefined): void {
  for (const name in from) {
    item[key] ??= {};
    item[key][name] ??= from[name];
  }
}

const RBAC = "rbac.authorization.k8s.io";

export function defaultRoleBinding(o: Obj): void {
  if (o.roleRef && !o.roleRef.apiGroup) o.roleRef.apiGroup = RBAC;
  for (const s of o.subjects ?? []) if ((s.kind === "User" || s.kind === "Group") && s.apiGroup === undefined) s.apiGroup = RBAC;
}

export function defaultStorageClass(o: Obj): void {
  o.reclaimPolicy ??= "Delete";
  o.volumeBindingMode ??= "Immediate";
}

export function defaultCsiDriver(o: Obj): void {
  const s = o.spec;
  s.attachRequired ??= true;
  s.podInfoOnMount ??= false;
  s.storageCapacity ??= false;
  s.fsGroupPolicy ??= "ReadWriteOnceWithFSType";
  if ((s.volumeLifecycleModes ?? []).length === 0) s.volumeLifecycleModes = ["Persistent"];
  s.requiresRepublish ??= false;
  s.seLinuxMount ??= false;
}

export function defaultPriorityClass(o: Obj): void {
  o.preemptionPolicy ??= "PreemptLowerPriority";
}

const WEBHOOK_SECONDS = 10;
const HTTPS = 443;

export function defaultWebhooks(o: Obj, mutating: boolean): void {
  for (const w of o.webhooks ?? []) {
    w.failurePolicy ??= "Fail";
    w.matchPolicy ??= "Equivalent";
    w.namespaceSelector ??= {};
    w.objectSelector ??= {};
    w.timeoutSeconds ??= WEBHOOK_SECONDS;
    if (mutating) w.reinvocationPolicy ??= "Never";
    if (w.clientConfig?.service) w.clientConfig.service.port ??= HTTPS;
    for (const r of w.rules ?? []) r.scope ??= "*";
  }
}

function defaultMatchResources(m: Obj | undefined): void {
  if (m === undefined) return;
  m.matchPolicy ??= "Equivalent";
  m.namespaceSelector ??= {};
  m.objectSelector ??= {};
  for (const r of [...(m.resourceRules ?? []), ...(m.excludeResourceRules ?? [])]) r.scope ??= "*";
}

export function defaultAdmissionPolicy(o: Obj): void {
  o.spec.failurePolicy ??= "Fail";
  defaultMatchResources(o.spec.matchConstraints);
}

export function defaultMutatingPolicy(o: Obj): void {
  defaultAdmissionPolicy(o);
  o.spec.reinvocationPolicy ??= "Never";
}
export function defaultAdmissionPolicyBinding(o: Obj): void {
  defaultMatchResources(o.spec.matchResources);
}

export function defaultCrd(o: Obj): void {
  const s = o.spec;
  s.conversion ??= { strategy: "None" };
  if (s.names.kind && !s.names.singular) s.names.singular = s.names.kind.toLowerCase();
  if (s.names.kind && !s.names.listKind) s.names.listKind = `${s.names.kind}List`;
  const service = s.conversion.webhook?.clientConfig?.service;
  if (service) service.port ??= HTTPS;
}

export function defaultApiService(o: Obj): void {
  if (o.spec?.service) o.spec.service.port ??= HTTPS;
}

export function defaultFlowSchema(o: Obj): void {
  o.spec.matchingPrecedence ??= 1000;
}

export function defaultPriorityLevel(o: Obj): void {
  const { exempt, limited } = o.spec;
  if (exempt) {
    exempt.nominalConcurrencyShares ??= 0;
    exempt.lendablePercent ??= 0;
  }
  if (!limited) return;
  limited.nominalConcurrencyShares ??= 30;
  limited.lendablePercent ??= 0;
  const queuing = limited.limitResponse?.queuing;
  if (queuing) {
    queuing.queues ??= 64;
    queuing.handSize ??= 8;
    queuing.queueLengthLimit ??= 50;
  }
}

export function defaultTokenRequest(o: Obj): void {
  o.spec.expirationSeconds ??= 3600;
}

export function defaultDevices(devices: Obj | undefined): void {
  for (const r of devices?.requests ?? []) {
    for (const q of [...(r.exactly ? [r.exactly] : []), ...(r.firstAvailable ?? [])]) {
      q.allocationMode ??= "ExactCount";
      if (q.allocationMode === "ExactCount") q.count ??= 1;
      for (const t of q.tolerations ?? []) t.operator ??= "Equal";
    }
  }
}
