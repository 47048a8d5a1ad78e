// What the server does to an object before validating it: status belongs to the status endpoint, spec to the main one,
// generation counts changes of what the object asks for (the registry strategies of Kubernetes 1.34).
// Invariant: only the server's own fields are touched here; defaults and validation have their own rooms.
import { timeFromMs } from "../meta/time.ts";
import { deepEqual } from "../patch/json-patch.ts";
import type { ResourceInfo } from "../resources.ts";
import { conform } from "../schema/conform.ts";
import { structOf } from "../schema/registry.ts";
import { preparePodCreate, preparePodUpdate } from "./pod.ts";

type Obj = any;
type Info = Pick<ResourceInfo, "group" | "version" | "kind" | "type" | "custom" | "subresources">;

/** Kinds whose generation counts, and the parts whose change counts ("*" = everything but metadata). */
const GENERATION: Record<string, readonly string[]> = {
  "/Pod": ["spec"],
  "/PodTemplate": ["template"],
  "/ReplicationController": ["spec"],
  "apps/Deployment": ["spec", "annotations"],
  "apps/ReplicaSet": ["spec"],
  "apps/StatefulSet": ["spec"],
  "apps/DaemonSet": ["spec"],
  "batch/Job": ["spec"],
  "batch/CronJob": ["spec"],
  "policy/PodDisruptionBudget": ["spec"],
  "networking.k8s.io/Ingress": ["spec"],
  "networking.k8s.io/IngressClass": ["spec"],
  "networking.k8s.io/NetworkPolicy": ["spec"],
  "discovery.k8s.io/EndpointSlice": ["*", "labels"],
  "scheduling.k8s.io/PriorityClass": [],
  "admissionregistration.k8s.io/MutatingWebhookConfiguration": ["webhooks"],
  "admissionregistration.k8s.io/ValidatingWebhookConfiguration": ["webhooks"],
  "admissionregistration.k8s.io/ValidatingAdmissionPolicy": ["spec"],
  "admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding": ["spec"],
  "admissionregistration.k8s.io/MutatingAdmissionPolicy": ["spec"],
  "admissionregistration.k8s.io/MutatingAdmissionPolicyBinding": ["spec"],
  "apiextensions.k8s.io/CustomResourceDefinition": ["spec"],
  "flowcontrol.apiserver.k8s.io/FlowSchema": ["spec"],
  "flowcontrol.apiserver.k8s.io/PriorityLevelConfiguration": ["spec"],
  "resource.k8s.io/ResourceSlice": ["spec"],
  "resource.k8s.io/DeviceClass": ["spec"],
};

/** Kinds with a status endpoint that nevertheless take a status when they are created. */
const STATUS_ON_CREATE = new Set([
  "/Node",
  "/Namespace",
  "/Pod",
  "/PersistentVolume",
  "/PersistentVolumeClaim",
  "apiextensions.k8s.io/CustomResourceDefinition",
]);

/** DaemonSets of old counted template changes in a field that lives on as an annotation. */
const TEMPLATE_GENERATION = "deprecated.daemonset.template.generation";

const keyOf = (info: Info): string => `${info.group}/${info.kind}`;
const hasStatus = (info: Info): boolean => info.subresources.some((s) => s.name === "status");

/** The empty status of a kind, as Go prints it. */
function emptyStatus(info: Info): Obj {
  const f = info.type?.byName.get("status");
  return f === undefined || f.type.shape !== "struct" ? undefined : conform(structOf(f.type), {});
}

/** Before validation of a create. `nowMs` stamps what the server stamps besides creationTimestamp. */
export function prepareForCreate(info: Info, object: Obj, opts: { nowMs?: number } = {}): void {
  const key = keyOf(info);
  const m = object.metadata;
  delete m.deletionTimestamp;
  delete m.deletionGracePeriodSeconds;
  delete m.selfLink;
  if (info.custom !== undefined) {
    m.generation = 1;
    return;
  }
  if (GENERATION[key] !== undefined) m.generation = 1;
  if (hasStatus(info) && !STATUS_ON_CREATE.has(key)) object.status = emptyStatus(info);
  CREATE[key]?.(object, opts);
}

const CREATE: Record<string, (o: Obj, opts: { nowMs?: number }) => void> = {
  "/Pod": preparePodCreate,
  "/Namespace": (o) => {
    o.status = { phase: "Active" };
    o.spec.finalizers ??= [];
    if (!o.spec.finalizers.includes("kubernetes")) o.spec.finalizers.push("kubernetes");
  },
  "/PersistentVolume": (o, { nowMs }) => {
    o.status = { phase: "Pending" };
    if (nowMs !== undefined) o.status.lastPhaseTransitionTime = `${new Date(nowMs).toISOString().slice(0, 19)}Z`;
  },
  "/PersistentVolumeClaim": (o) => {
    o.status = { phase: "Pending" };
    syncDataSources(o.spec);
  },
  "apps/StatefulSet": (o) => {
    for (const c of o.spec.volumeClaimTemplates ?? []) c.status = { phase: "Pending" };
  },
  "batch/Job": generateJobSelector,
  "apps/DaemonSet": (o) => {
    o.metadata.annotations ??= {};
    o.metadata.annotations[TEMPLATE_GENERATION] = "1";
  },
  "apiextensions.k8s.io/CustomResourceDefinition": (o) => {
    o.status = { conditions: null, acceptedNames: { plural: "", kind: "" }, storedVersions: [] };
    for (const v of o.spec.versions ?? []) if (v.storage) o.status.storedVersions.push(v.name);
  },
  "certificates.k8s.io/CertificateSigningRequest": (o) => {
    o.status = {};
  },
  "apiregistration.k8s.io/APIService": (o, { nowMs }) => {
    o.status = {};
    if (o.spec.service || nowMs === undefined) return;
    const [status, reason, message] = ["True", "Local", "Local APIServices are always available"];
    o.status.conditions = [{ type: "Available", status, lastTransitionTime: timeFromMs(nowMs), reason, message }];
  },
};

/** dataSource and dataSourceRef mirror each other within the claim's own namespace. */
function syncDataSources(spec: Obj): void {
  if (spec.dataSource !== undefined && spec.dataSourceRef === undefined) spec.dataSourceRef = { ...spec.dataSource };
  else if (spec.dataSource === undefined && spec.dataSourceRef !== undefined && !spec.dataSourceRef.namespace) {
    const { namespace: _, ...rest } = spec.dataSourceRef;
    spec.dataSource = rest;
  }
}

/** Unless its selector is manual, a Job selects its pods by its own uid. */
function generateJobSelector(o: Obj): void {
  if (o.spec.manualSelector === true) return;
  const { uid = "", name = "" } = o.metadata;
  o.spec.template.metadata ??= {};
  const labels = (o.spec.template.metadata.labels ??= {});
  // A Job without labels of its own has been given its template's, and keeps following them here.
  const follows = o.metadata.labels !== undefined && JSON.stringify(o.metadata.labels) === JSON.stringify(labels);
  labels["job-name"] ??= name;
  labels["batch.kubernetes.io/job-name"] ??= name;
  labels["controller-uid"] ??= uid;
  labels["batch.kubernetes.io/controller-uid"] ??= uid;
  if (follows) o.metadata.labels = { ...labels };
  o.spec.selector ??= {};
  o.spec.selector.matchLabels ??= {};
  o.spec.selector.matchLabels["batch.kubernetes.io/controller-uid"] ??= uid;
}

const CSR = "certificates.k8s.io/CertificateSigningRequest";

/** Conditions of certificate requests get the times that their writer left out. */
function stampConditions(o: Obj, nowMs: number): void {
  for (const c of o.status?.conditions ?? []) {
    c.lastUpdateTime ??= timeFromMs(nowMs);
    c.lastTransitionTime ??= timeFromMs(nowMs);
  }
}

/** Before validation of an update: keeps what this endpoint may not change, and counts generations. */
export function prepareForUpdate(info: Info, object: Obj, old: Obj, subresource = "", opts: { nowMs?: number } = {}): void {
  const key = keyOf(info);
  keepSystemMetadata(object, old);
  if (key === CSR && subresource !== "" && opts.nowMs !== undefined) stampConditions(object, opts.nowMs);
  if (subresource === "status") {
    prepareStatusUpdate(info, object, old);
    return;
  }
  if (info.custom !== undefined) {
    if (hasStatus(info)) keep(object, old, "status");
    bumpCustomGeneration(info, object, old);
    return;
  }
  if (subresource === "" && hasStatus(info)) keep(object, old, "status");
  UPDATE[key]?.(object, old, subresource);
  const parts = GENERATION[key];
  if (parts !== undefined) {
    object.metadata.generation = old.metadata.generation;
    if (changed(parts, object, old)) object.metadata.generation = (old.metadata.generation ?? 0) + 1;
    if (object.metadata.generation === undefined) delete object.metadata.generation;
  }
}

const UPDATE: Record<string, (o: Obj, old: Obj, subresource: string) => void> = {
  "apiextensions.k8s.io/CustomResourceDefinition": (o) => {
    const stored: string[] = o.status?.storedVersions ?? [];
    const current = (o.spec.versions ?? []).find((v: Obj) => v.storage)?.name;
    if (current !== undefined && !stored.includes(current)) o.status = { ...o.status, storedVersions: [...stored, current] };
  },
  "/Pod": preparePodUpdate,
  "/Namespace": (o, old, subresource) => {
    if (subresource === "finalize") o.status = old.status;
    else o.spec.finalizers = old.spec?.finalizers ?? [];
    if ((o.spec.finalizers ?? []).length === 0) delete o.spec.finalizers;
  },
  "/PersistentVolumeClaim": (o) => syncDataSources(o.spec),
  "/Service": keepAllocations,
  "apps/DaemonSet": (o, old) => {
    const before = old.metadata.annotations?.[TEMPLATE_GENERATION];
    const next = deepEqual(o.spec.template, old.spec.template) ? before : String(Number(before ?? 0) + 1);
    if (next !== undefined) {
      o.metadata.annotations ??= {};
      o.metadata.annotations[TEMPLATE_GENERATION] = next;
    }
  },
  "apps/StatefulSet": (o) => {
    for (const c of o.spec.volumeClaimTemplates ?? []) c.status ??= { phase: "Pending" };
  },
  "certificates.k8s.io/CertificateSigningRequest": (o, old, subresource) => {
    o.spec = old.spec;
    if (subresource !== "approval") return;
    // The approval endpoint may change the conditions only.
    const conditions = o.status?.conditions ?? [];
    o.status = { ...old.status };
    if (conditions.length > 0) o.status.conditions = conditions;
    else delete o.status.conditions;
  },
};

/** What the server allocated stays when an update does not mention it; clusterIP and clusterIPs[0] are one. */
function keepAllocations(o: Obj, old: Obj): void {
  const s = o.spec;
  const b = old.spec;
  if (s.clusterIP !== b.clusterIP && deepEqual(s.clusterIPs ?? null, b.clusterIPs ?? null)) {
    if (s.clusterIP === undefined) delete s.clusterIPs;
    else s.clusterIPs = [s.clusterIP];
  } else if (
    s.clusterIP === b.clusterIP &&
    s.clusterIP !== undefined &&
    !deepEqual(s.clusterIPs ?? null, b.clusterIPs ?? null) &&
    s.clusterIPs?.length > 0
  ) {
    s.clusterIP = s.clusterIPs[0];
  }
  const hasIp = (x: Obj): boolean => x.type !== "ExternalName";
  if (hasIp(s) && hasIp(b)) {
    s.clusterIP ??= b.clusterIP;
    if (s.clusterIPs === undefined && s.clusterIP === b.clusterIP) s.clusterIPs = b.clusterIPs;
    s.ipFamilies ??= b.ipFamilies;
    s.ipFamilyPolicy ??= b.ipFamilyPolicy;
    for (const f of ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"]) if (s[f] === undefined) delete s[f];
  }
  const hasNodePort = (x: Obj): boolean =>
    x.type === "NodePort" || (x.type === "LoadBalancer" && x.allocateLoadBalancerNodePorts !== false);
  if (hasNodePort(s) && hasNodePort(b)) {
    for (const p of s.ports ?? []) {
      const was = (b.ports ?? []).find((x: Obj) => x.port === p.port && x.protocol === p.protocol);
      if (!p.nodePort && was?.nodePort && !(s.ports ?? []).some((x: Obj) => x.nodePort === was.nodePort && x.protocol === was.protocol))
        p.nodePort = was.nodePort;
    }
  }
  dropTypeFields(s, b, hasIp, hasNodePort);
  const healthChecked = (x: Obj): boolean => x.type === "LoadBalancer" && x.externalTrafficPolicy === "Local";
  if (healthChecked(s) && healthChecked(b) && b.healthCheckNodePort) s.healthCheckNodePort ??= b.healthCheckNodePort;
}

/** Fields of a type that the Service no longer has go, unless the update says otherwise. */
function dropTypeFields(s: Obj, b: Obj, hasIp: (x: Obj) => boolean, hasNodePort: (x: Obj) => boolean): void {
  const drop = (field: string, was: boolean, is: boolean): void => {
    if (was && !is && deepEqual(s[field] ?? null, b[field] ?? null)) delete s[field];
  };
  const loadBalancer = (x: Obj): boolean => x.type === "LoadBalancer";
  const external = (x: Obj): boolean =>
    loadBalancer(x) || x.type === "NodePort" || (x.type === "ClusterIP" && (x.externalIPs ?? []).length > 0);
  const healthCheck = (x: Obj): boolean => loadBalancer(x) && x.externalTrafficPolicy === "Local";
  if (hasIp(b) && !hasIp(s)) for (const f of ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"]) drop(f, true, false);
  if (hasNodePort(b) && !hasNodePort(s)) {
    const ports = (x: Obj): number[] => (x.ports ?? []).map((p: Obj) => p.nodePort ?? 0).sort();
    if (deepEqual(ports(s), ports(b))) for (const p of s.ports ?? []) delete p.nodePort;
  }
  drop("healthCheckNodePort", healthCheck(b), healthCheck(s));
  drop("allocateLoadBalancerNodePorts", loadBalancer(b), loadBalancer(s));
  drop("loadBalancerClass", loadBalancer(b), loadBalancer(s));
  drop("externalTrafficPolicy", external(b), external(s));
}

const APPROVAL = new Set(["Approved", "Denied"]);

function prepareStatusUpdate(info: Info, object: Obj, old: Obj): void {
  const key = keyOf(info);
  if (info.custom !== undefined) {
    // Everything but status and managedFields is the main endpoint's.
    for (const k of Object.keys(object)) if (k !== "status" && k !== "metadata" && k !== "kind" && k !== "apiVersion") delete object[k];
    for (const k of Object.keys(old)) if (k !== "status" && k !== "metadata" && k !== "kind" && k !== "apiVersion") object[k] = old[k];
    keepMetadata(object, old);
    return;
  }
  if (key === "certificates.k8s.io/CertificateSigningRequest") {
    // Verdicts keep their values; one more or one less of them is validation's to refuse.
    const conditions: Obj[] = object.status?.conditions ?? [];
    for (const type of APPROVAL) {
      const before = (old.status?.conditions ?? []).filter((c: Obj) => c.type === type);
      if (conditions.filter((c) => c.type === type).length !== before.length) continue;
      for (const [i, c] of conditions.entries()) if (c.type === type) conditions[i] = before.shift();
    }
  }
  if (info.type?.byName.has("spec")) keep(object, old, "spec");
  if (META_FROM_OLD.has(key)) keepMetadata(object, old);
  if (key === "apps/Deployment") keep(object.metadata, old.metadata, "labels");
  if (key === "/Pod") preparePodUpdate(object, old, "status");
  object.metadata.generation = old.metadata.generation;
  if (object.metadata.generation === undefined) delete object.metadata.generation;
}

/** Status endpoints that leave labels and annotations alone (a CustomResourceDefinition's takes them, though it lets nobody own them). */
const META_FROM_OLD = new Set([
  "admissionregistration.k8s.io/ValidatingAdmissionPolicy",
  "apiregistration.k8s.io/APIService",
  "flowcontrol.apiserver.k8s.io/FlowSchema",
  "flowcontrol.apiserver.k8s.io/PriorityLevelConfiguration",
  "networking.k8s.io/ServiceCIDR",
  "resource.k8s.io/ResourceClaim",
  "storage.k8s.io/VolumeAttachment",
]);

function keep(object: Obj, old: Obj, field: string): void {
  if (old[field] === undefined) delete object[field];
  else object[field] = old[field];
}

function keepMetadata(object: Obj, old: Obj): void {
  const { managedFields, resourceVersion } = object.metadata;
  object.metadata = { ...old.metadata };
  if (managedFields !== undefined) object.metadata.managedFields = managedFields;
  if (resourceVersion !== undefined) object.metadata.resourceVersion = resourceVersion;
}

/** Fields that no writer changes. Missing ones are filled in; different ones are validation's to refuse. */
function keepSystemMetadata(object: Obj, old: Obj): void {
  const m = object.metadata;
  const o = old.metadata;
  for (const f of [
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generateName",
    "selfLink",
    "generation",
  ] as const) {
    if (f === "generateName") continue;
    if (f === "generation") {
      if (o.generation === undefined) delete m.generation;
      else m.generation = o.generation;
    } else if (f === "uid" || f === "creationTimestamp") m[f] ??= o[f];
    else if (f === "selfLink") delete m.selfLink;
    else if (o[f] !== undefined) m[f] ??= o[f];
  }
}

function changed(parts: readonly string[], object: Obj, old: Obj): boolean {
  for (const p of parts) {
    if (p === "*") {
      const { metadata: _a, apiVersion: _b, kind: _c, ...rest } = object;
      const { metadata: _d, apiVersion: _e, kind: _f, ...before } = old;
      if (!deepEqual(rest, before)) return true;
    } else if (p === "annotations" || p === "labels") {
      if (!deepEqual(object.metadata[p] ?? {}, old.metadata[p] ?? {})) return true;
    } else if (!deepEqual(object[p], old[p])) return true;
  }
  return false;
}

function bumpCustomGeneration(info: Info, object: Obj, old: Obj): void {
  const body = (o: Obj): Obj => {
    const { metadata: _a, apiVersion: _b, kind: _c, status, ...rest } = o;
    return hasStatus(info) || status === undefined ? rest : { ...rest, status };
  };
  object.metadata.generation = (old.metadata.generation ?? 1) + (deepEqual(body(object), body(old)) ? 0 : 1);
}
