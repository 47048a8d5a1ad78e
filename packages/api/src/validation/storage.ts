// PersistentVolumes, claims, storage classes, attachments, CSI (core and storage validation of Kubernetes 1.34).

import { forbidden, invalid, notSupported, required, Verbatim } from "../errors/field-error.ts";
import { isDns1123Subdomain, isQualifiedName } from "../meta/names.ts";
import { parseQuantity } from "../meta/quantity.ts";
import { deepEqual } from "../patch/json-patch.ts";
import { cloneJson } from "../schema/clone.ts";
import { validateNodeSelector } from "./affinity.ts";
import { internalForm, unifiedDiff } from "./internal-form.ts";
import { validateAnnotations, validateLabels } from "./meta.ts";
import { validateAmount, validateResourceName } from "./resources.ts";
import { dnsSubdomain, type Errors, IMMUTABLE, invalidAll, isEmptyObject, type Obj, oneOf } from "./rules.ts";
import { validateLabelSelector } from "./selectors.ts";

const ACCESS_MODES = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const VOLUME_MODES = ["Block", "Filesystem"];
const RECLAIM_POLICIES = ["Delete", "Recycle", "Retain"];
const NOT_POSITIVE = "must be greater than zero";

function accessModes(errs: Errors, modes: string[], path: string): void {
  let once = false;
  for (const m of modes) {
    if (!ACCESS_MODES.includes(m)) errs.push(notSupported(path, m, ACCESS_MODES));
    if (m === "ReadWriteOncePod") once = true;
  }
  if (once && modes.length > 1) errs.push(forbidden(path, "may not use ReadWriteOncePod with other access modes"));
}

export function validateClaimSpec(errs: Errors, s: Obj, path: string): void {
  const modes: string[] = s.accessModes ?? [];
  if (modes.length === 0) errs.push(required(`${path}.accessModes`, "at least 1 access mode is required"));
  if (s.selector) validateLabelSelector(errs, s.selector, `${path}.selector`);
  accessModes(errs, modes, `${path}.accessModes`);
  const storage = s.resources?.requests?.storage;
  if (storage === undefined) errs.push(required(`${path}.resources[storage]`));
  else if (parseQuantity(storage).sign() <= 0) errs.push(invalid(`${path}.resources[storage]`, storage, NOT_POSITIVE));
  if (s.storageClassName) dnsSubdomain(errs, `${path}.storageClassName`, s.storageClassName);
  if (s.volumeMode !== undefined && !VOLUME_MODES.includes(s.volumeMode))
    errs.push(notSupported(`${path}.volumeMode`, s.volumeMode, VOLUME_MODES));
  for (const f of ["dataSource", "dataSourceRef"]) if (s[f]) dataSource(errs, s[f], `${path}.${f}`);
  if (s.dataSource && s.dataSourceRef && !s.dataSourceRef.namespace && !deepEqual(s.dataSource, s.dataSourceRef)) {
    errs.push(invalid(path, `${path}.dataSource`, "must match dataSourceRef"));
  }
  if (s.volumeAttributesClassName) dnsSubdomain(errs, `${path}.volumeAttributesClassName`, s.volumeAttributesClassName);
}

function dataSource(errs: Errors, d: Obj, path: string): void {
  if (!d.name) errs.push(required(`${path}.name`));
  if (!d.kind) errs.push(required(`${path}.kind`));
  if (!d.apiGroup && d.kind !== "PersistentVolumeClaim")
    errs.push(invalid(path, d.kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup"));
}

export function validateClaimTemplate(errs: Errors, t: Obj, path: string): void {
  if (t.metadata?.labels) validateLabels(errs, t.metadata.labels, `${path}.metadata.labels`);
  if (t.metadata?.annotations) validateAnnotations(errs, t.metadata.annotations, `${path}.metadata.annotations`);
  validateClaimSpec(errs, t.spec, `${path}.spec`);
}

export function validateClaim(errs: Errors, o: Obj): void {
  validateClaimSpec(errs, o.spec, "spec");
}

const CLAIM_IMMUTABLE = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";

export function validateClaimUpdate(errs: Errors, o: Obj, old: Obj): void {
  validateClaim(errs, o);
  const next = cloneJson(o.spec);
  const before = old.spec;
  if (!before.volumeName && next.volumeName) {
    // The binder may set the volume and, with it, the class.
    next.volumeName = before.volumeName;
    if (next.volumeName === undefined) delete next.volumeName;
  }
  const bound = old.status?.phase === "Bound";
  if (bound) {
    next.resources.requests = before.resources?.requests;
    if (next.resources.requests === undefined) delete next.resources.requests;
    next.volumeAttributesClassName = before.volumeAttributesClassName;
    if (next.volumeAttributesClassName === undefined) delete next.volumeAttributesClassName;
  }
  if (before.storageClassName === undefined && next.storageClassName !== undefined && !bound) delete next.storageClassName;
  if (!deepEqual(next, before)) {
    const ref = "core/v1.PersistentVolumeClaimSpec";
    errs.push(forbidden("spec", `${CLAIM_IMMUTABLE}\n${unifiedDiff(internalForm(ref, before), internalForm(ref, next))}`));
  }
  if (bound) {
    const size = o.spec.resources?.requests?.storage;
    const was = before.resources?.requests?.storage;
    const status = old.status?.capacity?.storage;
    if (size !== undefined && was !== undefined && parseQuantity(size).cmp(parseQuantity(was)) < 0) {
      if (status === undefined || parseQuantity(size).cmp(parseQuantity(status)) <= 0) {
        errs.push(forbidden("spec.resources.requests.storage", "field can not be less than status.capacity"));
      }
    }
  }
  if ((o.spec.volumeMode ?? null) !== (before.volumeMode ?? null)) errs.push(invalid("spec.volumeMode", o.spec.volumeMode, IMMUTABLE));
}

/** In Kubernetes' order; each names what must be set in it. */
const VOLUME_SOURCES: Record<string, readonly string[]> = {
  hostPath: ["path"],
  gcePersistentDisk: ["pdName"],
  awsElasticBlockStore: ["volumeID"],
  glusterfs: ["endpoints", "path"],
  flocker: [],
  nfs: ["server", "path"],
  rbd: ["image"],
  quobyte: ["registry", "volume"],
  cephfs: [],
  iscsi: ["targetPortal", "iqn"],
  cinder: ["volumeID"],
  fc: [],
  flexVolume: ["driver"],
  azureFile: ["secretName", "shareName"],
  vsphereVolume: ["volumePath"],
  photonPersistentDisk: ["pdID"],
  portworxVolume: ["volumeID"],
  azureDisk: ["diskName", "diskURI"],
  scaleIO: ["gateway", "system", "volumeName"],
  local: ["path"],
  storageos: [],
  csi: ["driver", "volumeHandle"],
};

export function validateVolume(errs: Errors, o: Obj): void {
  const s = o.spec;
  const modes: string[] = s.accessModes ?? [];
  if (modes.length === 0) errs.push(required("spec.accessModes"));
  accessModes(errs, modes, "spec.accessModes");
  if (isEmptyObject(s.capacity)) errs.push(required("spec.capacity"));
  if (s.capacity?.storage === undefined || Object.keys(s.capacity).length > 1)
    errs.push(notSupported("spec.capacity", s.capacity === undefined ? new Verbatim("null") : s.capacity, ["storage"]));
  for (const r in s.capacity) {
    validateResourceName(errs, r, `spec.capacity[${r}]`);
    if (parseQuantity(s.capacity[r]).sign() <= 0) errs.push(invalid(`spec.capacity[${r}]`, s.capacity[r], NOT_POSITIVE));
    else validateAmount(errs, r, s.capacity[r], `spec.capacity[${r}]`);
  }
  if (s.persistentVolumeReclaimPolicy && !RECLAIM_POLICIES.includes(s.persistentVolumeReclaimPolicy)) {
    errs.push(notSupported("spec.persistentVolumeReclaimPolicy", s.persistentVolumeReclaimPolicy, RECLAIM_POLICIES));
  }
  if (s.nodeAffinity?.required) validateNodeSelector(errs, s.nodeAffinity.required, "spec.nodeAffinity.required");
  else if (s.nodeAffinity) errs.push(required("spec.nodeAffinity.required", "must specify required node constraints"));
  let n = 0;
  for (const kind in VOLUME_SOURCES) {
    if (s[kind] === undefined) continue;
    if (n++ > 0) {
      errs.push(forbidden(`spec.${kind}`, "may not specify more than 1 volume type"));
      continue;
    }
    for (const f of VOLUME_SOURCES[kind]!) if (!s[kind][f]) errs.push(required(`spec.${kind}.${f}`));
    if ((kind === "hostPath" || kind === "local") && (s[kind].path ?? "").split("/").includes(".."))
      errs.push(invalid(`spec.${kind}.path`, s[kind].path, "must not contain '..'"));
    if (kind === "local" && !s.nodeAffinity) errs.push(required("spec.nodeAffinity", "Local volume requires node affinity"));
    if (kind === "nfs" && s.nfs.path && !s.nfs.path.startsWith("/"))
      errs.push(invalid("spec.nfs.path", s.nfs.path, "must be an absolute path"));
  }
  if (n === 0) errs.push(required("spec", "must specify a volume type"));
  if (s.hostPath?.path === "/" && s.persistentVolumeReclaimPolicy === "Recycle") {
    errs.push(forbidden("spec.persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'"));
  }
  if (s.storageClassName) dnsSubdomain(errs, "spec.storageClassName", s.storageClassName);
  if (s.volumeMode !== undefined && !VOLUME_MODES.includes(s.volumeMode))
    errs.push(notSupported("spec.volumeMode", s.volumeMode, VOLUME_MODES));
}

export function validateVolumeUpdate(errs: Errors, o: Obj, old: Obj): void {
  validateVolume(errs, o);
  const source = (s: Obj) =>
    Object.fromEntries(
      Object.keys(VOLUME_SOURCES)
        .filter((k) => s[k] !== undefined)
        .map((k) => [k, s[k]]),
    );
  if (!deepEqual(source(o.spec), source(old.spec)))
    errs.push(forbidden("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation"));
  if ((o.spec.volumeMode ?? null) !== (old.spec.volumeMode ?? null)) errs.push(invalid("spec.volumeMode", o.spec.volumeMode, IMMUTABLE));
  if (old.spec.nodeAffinity && !deepEqual(o.spec.nodeAffinity, old.spec.nodeAffinity))
    errs.push(invalid("spec.nodeAffinity", o.spec.nodeAffinity ?? null, IMMUTABLE));
}

export function validateStorageClass(errs: Errors, o: Obj): void {
  if (!o.provisioner) errs.push(required("provisioner"));
  else invalidAll(errs, "provisioner", o.provisioner, isQualifiedName(o.provisioner.toLowerCase()));
  for (const k in o.parameters) if (k === "") errs.push(invalid("parameters", k, "field can not be empty."));
  if (o.reclaimPolicy && !["Delete", "Retain"].includes(o.reclaimPolicy))
    errs.push(notSupported("reclaimPolicy", o.reclaimPolicy, ["Delete", "Retain"]));
  oneOf(errs, "volumeBindingMode", o.volumeBindingMode, ["Immediate", "WaitForFirstConsumer"], "required");
}

export function validateStorageClassUpdate(errs: Errors, o: Obj, old: Obj): void {
  if (!deepEqual(o.parameters ?? {}, old.parameters ?? {})) errs.push(forbidden("parameters", "updates to parameters are forbidden."));
  if (o.provisioner !== old.provisioner) errs.push(forbidden("provisioner", "updates to provisioner are forbidden."));
  if (o.reclaimPolicy !== old.reclaimPolicy) errs.push(forbidden("reclaimPolicy", "updates to reclaimPolicy are forbidden."));
  if (o.volumeBindingMode !== old.volumeBindingMode) errs.push(invalid("volumeBindingMode", o.volumeBindingMode, IMMUTABLE));
}

function driverName(errs: Errors, name: string | undefined, path: string): void {
  if (!name) errs.push(required(path));
  else {
    if (name.length > 63) errs.push({ type: "FieldValueTooLong", field: path, detail: "may not be more than 63 bytes", badValue: "" });
    invalidAll(errs, path, name, isDns1123Subdomain(name.toLowerCase()));
  }
}

export function validateCsiDriver(errs: Errors, o: Obj): void {
  if (o.metadata.name) driverName(errs, o.metadata.name, "metadata.name");
  for (const m of o.spec.volumeLifecycleModes ?? []) oneOf(errs, "spec.volumeLifecycleModes", m, ["Ephemeral", "Persistent"]);
  if (o.spec.fsGroupPolicy !== undefined)
    oneOf(errs, "spec.fsGroupPolicy", o.spec.fsGroupPolicy, ["File", "None", "ReadWriteOnceWithFSType"]);
}

export function validateCsiNode(errs: Errors, o: Obj): void {
  const seen = new Set<string>();
  (o.spec.drivers ?? []).forEach((d: Obj, i: number) => {
    const p = `spec.drivers[${i}]`;
    driverName(errs, d.name, `${p}.name`);
    if (!d.nodeID) errs.push(required(`${p}.nodeID`, d.nodeID ?? ""));
    if (d.allocatable?.count < 0) errs.push(invalid(`${p}.allocatable.count`, d.allocatable.count, "must be greater than or equal to 0"));
    if (seen.has(d.name)) errs.push({ type: "FieldValueDuplicate", field: `${p}.name`, detail: "", badValue: d.name });
    seen.add(d.name);
  });
}

export function validateVolumeAttachment(errs: Errors, o: Obj): void {
  const s = o.spec;
  driverName(errs, s.attacher, "spec.attacher");
  const pv = s.source?.persistentVolumeName;
  if (pv === undefined && s.source?.inlineVolumeSpec === undefined)
    errs.push(required("spec.source", "must specify exactly one of inlineVolumeSpec and persistentVolumeName"));
  else if (pv === "") errs.push(required("spec.source.persistentVolumeName", "must specify non empty persistentVolumeName"));
  if (!s.nodeName) errs.push(required("spec.nodeName"));
  else invalidAll(errs, "spec.nodeName", s.nodeName, isDns1123Subdomain(s.nodeName));
}

export function validateVolumeAttachmentUpdate(errs: Errors, o: Obj, old: Obj): void {
  validateVolumeAttachment(errs, o);
  if (!deepEqual(o.spec, old.spec)) errs.push(invalid("spec", o.spec, "field is immutable"));
}
