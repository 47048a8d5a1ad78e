// Rows of nodes, namespaces, storage, policy, identity and the other cluster kinds (Kubernetes 1.34).
import {
  accessModes,
  age,
  boolText,
  type Cell,
  formatLabels,
  formatSelector,
  humanDuration,
  images,
  NONE,
  names,
  type Obj,
  type PrintContext,
  type Printer,
  since,
  UNKNOWN,
  UNSET,
} from "./cells.ts";

const ROLE_PREFIX = "node-role.kubernetes.io/";

function nodeRoles(o: Obj): string {
  const roles = new Set<string>();
  for (const [k, v] of Object.entries<string>(o.metadata.labels ?? {})) {
    if (k.startsWith(ROLE_PREFIX) && k.length > ROLE_PREFIX.length) roles.add(k.slice(ROLE_PREFIX.length));
    else if (k === "kubernetes.io/role" && v !== "") roles.add(v);
  }
  return roles.size === 0 ? NONE : [...roles].sort().join(",");
}

function printNode(o: Obj, c: PrintContext): Cell[] {
  const ready = (o.status?.conditions ?? []).find((x: Obj) => x.type === "Ready");
  let status = ready === undefined ? "Unknown" : ready.status === "True" ? "Ready" : "NotReady";
  if (o.spec?.unschedulable) status += ",SchedulingDisabled";
  const address = (type: string) => (o.status?.addresses ?? []).find((a: Obj) => a.type === type)?.address ?? NONE;
  const info = o.status?.nodeInfo ?? {};
  return [
    o.metadata.name,
    status,
    nodeRoles(o),
    age(o, c),
    info.kubeletVersion ?? "",
    address("InternalIP"),
    address("ExternalIP"),
    info.osImage || UNKNOWN,
    info.kernelVersion || UNKNOWN,
    info.containerRuntimeVersion || UNKNOWN,
  ];
}

/** core/v1 and events.k8s.io/v1 name the same facts differently. */
function printEvent(o: Obj, c: PrintContext): Cell[] {
  const ref = o.involvedObject ?? o.regarding ?? {};
  const source = o.source ?? o.deprecatedSource ?? {};
  const first = o.firstTimestamp ?? o.deprecatedFirstTimestamp ?? o.eventTime;
  const last = o.lastTimestamp ?? o.deprecatedLastTimestamp;
  const firstSeen = since(first, c);
  let lastSeen = last ? since(last, c) : firstSeen;
  let count = o.count ?? o.deprecatedCount ?? 0;
  if (o.series) {
    lastSeen = since(o.series.lastObservedTime, c);
    count = o.series.count ?? 0;
  } else if (count === 0) count = 1;
  const kind = (ref.kind ?? "").toLowerCase();
  const component = source.component || o.reportingComponent || o.reportingController || "";
  const host = source.host || o.reportingInstance || "";
  return [
    lastSeen,
    o.type ?? "",
    o.reason ?? "",
    ref.name ? `${kind}/${ref.name}` : kind,
    ref.fieldPath ?? "",
    host === "" ? component : `${component}, ${host}`,
    (o.message ?? o.note ?? "").trim(),
    firstSeen,
    count,
    o.metadata.name,
  ];
}

function quota(o: Obj): [string, string] {
  const requests: string[] = [];
  const limits: string[] = [];
  for (const r of Object.keys(o.status?.hard ?? {}).sort()) {
    (r.startsWith("limits.") ? limits : requests).push(`${r}: ${o.status.used?.[r] ?? "0"}/${o.status.hard[r]}`);
  }
  return [requests.join(", "), limits.join(", ")];
}

function subjects(o: Obj, kind: string): string {
  return (o.subjects ?? [])
    .filter((s: Obj) => s.kind === kind)
    .map((s: Obj) => (kind === "ServiceAccount" ? `${s.namespace ?? ""}/${s.name}` : s.name))
    .join(", ");
}

function printBinding(o: Obj, c: PrintContext): Cell[] {
  return [
    o.metadata.name,
    `${o.roleRef?.kind}/${o.roleRef?.name}`,
    age(o, c),
    subjects(o, "User"),
    subjects(o, "Group"),
    subjects(o, "ServiceAccount"),
  ];
}

function csrStatus(o: Obj): string {
  let approved = false;
  let denied = false;
  let failed = false;
  for (const x of o.status?.conditions ?? []) {
    if (x.type === "Approved") approved = true;
    else if (x.type === "Denied") denied = true;
    else if (x.type === "Failed") failed = true;
  }
  let s = denied ? "Denied" : approved ? "Approved" : "Pending";
  if (failed) s += ",Failed";
  if (o.status?.certificate) s += ",Issued";
  return s;
}

function apiServiceAvailable(o: Obj): string {
  const x = (o.status?.conditions ?? []).find((y: Obj) => y.type === "Available");
  if (x === undefined) return "Unknown";
  return x.status === "True" ? "True" : `${x.status} (${x.reason ?? ""})`;
}

function claimState(o: Obj): string {
  const states: string[] = [];
  if (o.metadata.deletionTimestamp) states.push("deleted");
  if (o.status?.allocation === undefined) {
    if (states.length === 0) states.push("pending");
  } else {
    states.push("allocated");
    states.push((o.status.reservedFor ?? []).length > 0 ? "reserved" : "");
  }
  return states.filter(Boolean).join(",");
}

function parentRef(p: Obj | undefined): string {
  if (p === undefined) return NONE;
  const resource = p.group ? `${p.resource}.${p.group}` : p.resource;
  return p.namespace ? `${resource}/${p.namespace}/${p.name}` : `${resource}/${p.name}`;
}

function controllerOf(o: Obj): string {
  const r = (o.metadata.ownerReferences ?? []).find((x: Obj) => x.controller);
  if (r === undefined) return NONE;
  const group = r.apiVersion?.includes("/") ? r.apiVersion.split("/")[0] : "";
  return `${r.kind.toLowerCase()}${group ? `.${group}` : ""}/${r.name}`;
}

const created = (o: Obj): Cell[] => [o.metadata.name, o.metadata.creationTimestamp ?? ""];
const nameAge: Printer = (o, c) => [o.metadata.name, age(o, c)];
const phaseOf = (o: Obj): string => (o.metadata.deletionTimestamp ? "Terminating" : (o.status?.phase ?? ""));
const webhooks: Printer = (o, c) => [o.metadata.name, (o.webhooks ?? []).length, age(o, c)];

const policyBinding: Printer = (o, c) => {
  const p = o.spec?.paramRef;
  let ref = UNSET;
  if (p) ref = p.name ? (p.namespace ? `${p.namespace}/${p.name}` : p.name) : p.selector ? formatSelector(p.selector) : UNSET;
  return [o.metadata.name, o.spec?.policyName ?? "", ref, age(o, c)];
};

export const CLUSTER: Record<string, Printer> = {
  "/Node": printNode,
  "/Event": printEvent,
  "events.k8s.io/Event": printEvent,
  "/Namespace": (o, c) => [o.metadata.name, o.status?.phase ?? "", age(o, c)],
  "/ComponentStatus": (o) => {
    const x = (o.conditions ?? []).find((y: Obj) => y.type === "Healthy");
    const status = x === undefined ? "Unknown" : x.status === "True" ? "Healthy" : "Unhealthy";
    return [o.metadata.name, status, x?.message ?? "", x?.error ?? ""];
  },
  "/ConfigMap": (o, c) => [o.metadata.name, Object.keys(o.data ?? {}).length + Object.keys(o.binaryData ?? {}).length, age(o, c)],
  "/Secret": (o, c) => [o.metadata.name, o.type ?? "", Object.keys(o.data ?? {}).length, age(o, c)],
  "/ServiceAccount": (o, c) => [o.metadata.name, (o.secrets ?? []).length, age(o, c)],
  "/LimitRange": created,
  "/ResourceQuota": (o, c) => [o.metadata.name, ...quota(o), age(o, c)],
  "/PodTemplate": (o) => [o.metadata.name, names(o.template?.spec), images(o.template?.spec), formatLabels(o.template?.metadata?.labels)],
  "/PersistentVolume": (o, c) => [
    o.metadata.name,
    o.spec.capacity?.storage ?? "0",
    accessModes(o.spec.accessModes),
    o.spec.persistentVolumeReclaimPolicy ?? "",
    phaseOf(o),
    o.spec.claimRef ? `${o.spec.claimRef.namespace ?? ""}/${o.spec.claimRef.name ?? ""}` : "",
    o.metadata.annotations?.["volume.beta.kubernetes.io/storage-class"] ?? o.spec.storageClassName ?? "",
    o.spec.volumeAttributesClassName ?? UNSET,
    o.status?.reason ?? "",
    age(o, c),
    o.spec.volumeMode ?? UNSET,
  ],
  "/PersistentVolumeClaim": (o, c) => {
    const bound = o.spec.volumeName !== undefined && o.spec.volumeName !== "";
    return [
      o.metadata.name,
      phaseOf(o),
      o.spec.volumeName ?? "",
      bound ? (o.status?.capacity?.storage ?? "0") : "",
      bound ? accessModes(o.status?.accessModes) : "",
      o.metadata.annotations?.["volume.beta.kubernetes.io/storage-class"] ?? o.spec.storageClassName ?? "",
      o.spec.volumeAttributesClassName ?? UNSET,
      age(o, c),
      o.spec.volumeMode ?? UNSET,
    ];
  },
  "apiregistration.k8s.io/APIService": (o, c) => [
    o.metadata.name,
    o.spec?.service ? `${o.spec.service.namespace}/${o.spec.service.name}` : "Local",
    apiServiceAvailable(o),
    age(o, c),
  ],
  "apps/ControllerRevision": (o, c) => [o.metadata.name, controllerOf(o), o.revision ?? 0, age(o, c)],
  "certificates.k8s.io/CertificateSigningRequest": (o, c) => [
    o.metadata.name,
    age(o, c),
    o.spec.signerName || NONE,
    o.spec.username ?? "",
    o.spec.expirationSeconds === undefined ? NONE : humanDuration(o.spec.expirationSeconds * 1000),
    csrStatus(o),
  ],
  "networking.k8s.io/IngressClass": (o, c) => {
    const p = o.spec?.parameters;
    return [o.metadata.name, o.spec?.controller ?? "", p ? `${p.kind}${p.apiGroup ? `.${p.apiGroup}` : ""}/${p.name}` : NONE, age(o, c)];
  },
  "networking.k8s.io/IPAddress": (o) => [o.metadata.name, parentRef(o.spec?.parentRef)],
  "networking.k8s.io/ServiceCIDR": (o, c) => [o.metadata.name, (o.spec?.cidrs ?? []).join(","), age(o, c)],
  "networking.k8s.io/NetworkPolicy": (o, c) => [o.metadata.name, formatSelector(o.spec?.podSelector), age(o, c)],
  "policy/PodDisruptionBudget": (o, c) => [
    o.metadata.name,
    o.spec?.minAvailable === undefined ? "N/A" : String(o.spec.minAvailable),
    o.spec?.maxUnavailable === undefined ? "N/A" : String(o.spec.maxUnavailable),
    o.status?.disruptionsAllowed ?? 0,
    age(o, c),
  ],
  "rbac.authorization.k8s.io/Role": created,
  "rbac.authorization.k8s.io/ClusterRole": created,
  "rbac.authorization.k8s.io/RoleBinding": printBinding,
  "rbac.authorization.k8s.io/ClusterRoleBinding": printBinding,
  "storage.k8s.io/CSIDriver": (o, c) => [
    o.metadata.name,
    o.spec.attachRequired ?? true,
    o.spec.podInfoOnMount ?? false,
    o.spec.storageCapacity ?? false,
    (o.spec.tokenRequests ?? []).length === 0 ? UNSET : o.spec.tokenRequests.map((t: Obj) => t.audience).join(","),
    o.spec.requiresRepublish ?? false,
    (o.spec.volumeLifecycleModes ?? []).join(",") || NONE,
    age(o, c),
  ],
  "storage.k8s.io/CSINode": (o, c) => [o.metadata.name, (o.spec?.drivers ?? []).length, age(o, c)],
  "storage.k8s.io/CSIStorageCapacity": created,
  "storage.k8s.io/StorageClass": (o, c) => {
    const a = o.metadata.annotations ?? {};
    const isDefault =
      a["storageclass.kubernetes.io/is-default-class"] === "true" || a["storageclass.beta.kubernetes.io/is-default-class"] === "true";
    return [
      isDefault ? `${o.metadata.name} (default)` : o.metadata.name,
      o.provisioner ?? "",
      o.reclaimPolicy ?? "Delete",
      o.volumeBindingMode ?? "Immediate",
      o.allowVolumeExpansion ?? false,
      age(o, c),
    ];
  },
  "storage.k8s.io/VolumeAttachment": (o, c) => [
    o.metadata.name,
    o.spec.attacher ?? "",
    o.spec.source?.persistentVolumeName ?? "",
    o.spec.nodeName ?? "",
    o.status?.attached ?? false,
    age(o, c),
  ],
  "storage.k8s.io/VolumeAttributesClass": (o, c) => [o.metadata.name, o.driverName ?? "", age(o, c)],
  "admissionregistration.k8s.io/MutatingWebhookConfiguration": webhooks,
  "admissionregistration.k8s.io/ValidatingWebhookConfiguration": webhooks,
  "admissionregistration.k8s.io/ValidatingAdmissionPolicy": (o, c) => [
    o.metadata.name,
    (o.spec?.validations ?? []).length,
    o.spec?.paramKind ? `${o.spec.paramKind.apiVersion}/${o.spec.paramKind.kind}` : UNSET,
    age(o, c),
  ],
  "admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding": policyBinding,
  "admissionregistration.k8s.io/MutatingAdmissionPolicy": (o, c) => [
    o.metadata.name,
    (o.spec?.mutations ?? []).length,
    o.spec?.paramKind ? `${o.spec.paramKind.apiVersion}/${o.spec.paramKind.kind}` : UNSET,
    age(o, c),
  ],
  "admissionregistration.k8s.io/MutatingAdmissionPolicyBinding": policyBinding,
  "apiextensions.k8s.io/CustomResourceDefinition": created,
  "scheduling.k8s.io/PriorityClass": (o, c) => [
    o.metadata.name,
    o.value ?? 0,
    o.globalDefault ?? false,
    age(o, c),
    o.preemptionPolicy ?? "",
  ],
  "coordination.k8s.io/Lease": (o, c) => [o.metadata.name, o.spec?.holderIdentity ?? "", age(o, c)],
  "node.k8s.io/RuntimeClass": (o, c) => [o.metadata.name, o.handler ?? "", age(o, c)],
  "resource.k8s.io/DeviceClass": nameAge,
  "resource.k8s.io/ResourceClaim": (o, c) => [o.metadata.name, claimState(o), age(o, c)],
  "resource.k8s.io/ResourceClaimTemplate": nameAge,
  "resource.k8s.io/ResourceSlice": (o, c) => [
    o.metadata.name,
    o.spec?.nodeName ?? "",
    o.spec?.driver ?? "",
    o.spec?.pool?.name ?? "",
    age(o, c),
  ],
  "flowcontrol.apiserver.k8s.io/FlowSchema": (o, c) => {
    const dangling = (o.status?.conditions ?? []).find((x: Obj) => x.type === "Dangling")?.status;
    return [
      o.metadata.name,
      o.spec?.priorityLevelConfiguration?.name ?? "",
      o.spec?.matchingPrecedence ?? 0,
      o.spec?.distinguisherMethod?.type ?? NONE,
      age(o, c),
      dangling === undefined ? "?" : boolText(dangling === "True"),
    ];
  },
  "flowcontrol.apiserver.k8s.io/PriorityLevelConfiguration": (o, c) => {
    const l = o.spec?.limited;
    const q = l?.limitResponse?.queuing;
    const text = (v: unknown) => (v === undefined ? NONE : String(v));
    return [
      o.metadata.name,
      o.spec?.type ?? "",
      text((l ?? o.spec?.exempt)?.nominalConcurrencyShares),
      text(q?.queues),
      text(q?.handSize),
      text(q?.queueLengthLimit),
      age(o, c),
    ];
  },
};
