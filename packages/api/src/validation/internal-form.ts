// How Kubernetes prints a whole struct inside an error: the unversioned Go type as JSON, so field names are Go's, in the
// order of that type, absent ones included.
// Invariant: only printing depends on this; nothing is stored in this form.

import { type Field, type StructType, structOf, structType, type TypeRef } from "../schema/registry.ts";
import { sortedMap } from "./rules.ts";

/** Where the unversioned type orders or names its fields differently from v1. JSON names; "!" marks those printed with the spec. */
const ORDER: Record<string, readonly string[]> = {
  "core/v1.PodSpec": [
    "volumes",
    "initContainers",
    "containers",
    "ephemeralContainers",
    "restartPolicy",
    "terminationGracePeriodSeconds",
    "activeDeadlineSeconds",
    "dnsPolicy",
    "nodeSelector",
    "serviceAccountName",
    "automountServiceAccountToken",
    "nodeName",
    "securityContext",
    "imagePullSecrets",
    "hostname",
    "subdomain",
    "setHostnameAsFQDN",
    "affinity",
    "schedulerName",
    "tolerations",
    "hostAliases",
    "priorityClassName",
    "priority",
    "preemptionPolicy",
    "dnsConfig",
    "readinessGates",
    "runtimeClassName",
    "overhead",
    "enableServiceLinks",
    "topologySpreadConstraints",
    "os",
    "schedulingGates",
    "resourceClaims",
    "resources",
    "hostnameOverride",
  ],
  "core/v1.Container": [
    "name",
    "image",
    "command",
    "args",
    "workingDir",
    "ports",
    "envFrom",
    "env",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    "volumeMounts",
    "volumeDevices",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
    "terminationMessagePath",
    "terminationMessagePolicy",
    "imagePullPolicy",
    "securityContext",
    "stdin",
    "stdinOnce",
    "tty",
  ],
  "core/v1.PodSecurityContext": [
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "shareProcessNamespace",
    "hostUsers",
    "seLinuxOptions",
    "windowsOptions",
    "runAsUser",
    "runAsGroup",
    "runAsNonRoot",
    "supplementalGroups",
    "supplementalGroupsPolicy",
    "fsGroup",
    "fsGroupChangePolicy",
    "sysctls",
    "seccompProfile",
    "appArmorProfile",
    "seLinuxChangePolicy",
  ],
  "core/v1.SecurityContext": [
    "capabilities",
    "privileged",
    "seLinuxOptions",
    "windowsOptions",
    "runAsUser",
    "runAsGroup",
    "runAsNonRoot",
    "readOnlyRootFilesystem",
    "allowPrivilegeEscalation",
    "procMount",
    "seccompProfile",
    "appArmorProfile",
  ],
  "core/v1.PersistentVolumeClaimSpec": [
    "accessModes",
    "selector",
    "resources",
    "volumeName",
    "storageClassName",
    "volumeMode",
    "dataSource",
    "dataSourceRef",
    "volumeAttributesClassName",
  ],
  "core/v1.ServicePort": ["name", "protocol", "appProtocol", "port", "targetPort", "nodePort"],
  "apps/v1.DeploymentStrategy": ["type", "rollingUpdate"],
};

/** Go's spelling of JSON names whose capitals are not just the first letter. */
const GO_NAMES: Record<string, string> = {
  dnsPolicy: "DNSPolicy",
  dnsConfig: "DNSConfig",
  os: "OS",
  tty: "TTY",
  tcpSocket: "TCPSocket",
  httpGet: "HTTPGet",
  httpHeaders: "HTTPHeaders",
  grpc: "GRPC",
  seLinuxOptions: "SELinuxOptions",
  seLinuxChangePolicy: "SELinuxChangePolicy",
  fsGroup: "FSGroup",
  fsGroupChangePolicy: "FSGroupChangePolicy",
  fsType: "FSType",
  nfs: "NFS",
  iscsi: "ISCSI",
  rbd: "RBD",
  cephfs: "CephFS",
  fc: "FC",
  csi: "CSI",
  gcePersistentDisk: "GCEPersistentDisk",
  awsElasticBlockStore: "AWSElasticBlockStore",
  downwardAPI: "DownwardAPI",
  scaleIO: "ScaleIO",
  storageos: "StorageOS",
  configMap: "ConfigMap",
  ip: "IP",
  uid: "UID",
};

const goName = (json: string): string => GO_NAMES[json] ?? `${json.charAt(0).toUpperCase()}${json.slice(1)}`;

/** Types that keep their JSON tags when unversioned. */
const TAGGED = (ref: string): boolean => ref.startsWith("meta/v1.");

/** The unversioned form of a value of a struct type. */
export function internalForm(ref: string, value: any): unknown {
  return struct(structType(ref), value);
}

function struct(s: StructType, v: any): unknown {
  if (TAGGED(s.ref)) return v;
  const out: Record<string, unknown> = {};
  if (s.ref === "core/v1.PodTemplateSpec") {
    return { ...metadata(v?.metadata ?? {}), Spec: struct(structType("core/v1.PodSpec"), v?.spec) };
  }
  const order = ORDER[s.ref];
  const fields: { name: string; field: Field | undefined }[] = order
    ? order.map((name) => ({ name, field: s.byName.get(name) }))
    : s.fields.map((field) => ({ name: field.name, field }));
  for (const { name, field } of fields) {
    const value = s.ref === "core/v1.PodSpec" && name === "securityContext" ? hostFields(v) : v?.[name];
    out[goName(name)] =
      field === undefined ? (value ?? (name.startsWith("host") && name !== "hostUsers" ? false : null)) : typed(field.type, value);
  }
  return out;
}

/** Host namespaces belong to the security context when unversioned. */
function hostFields(spec: any): unknown {
  if (spec?.securityContext === undefined) return undefined;
  const { hostNetwork = false, hostPID = false, hostIPC = false, shareProcessNamespace, hostUsers } = spec;
  return { hostNetwork, hostPID, hostIPC, shareProcessNamespace, hostUsers, ...spec.securityContext };
}

function typed(t: TypeRef, v: any): unknown {
  if (v === undefined || v === null) {
    if (t.pointer) return null;
    switch (t.shape) {
      case "string":
        return "";
      case "bool":
        return false;
      case "int32":
      case "int64":
      case "float64":
      case "IntOrString":
        return 0;
      case "struct":
        return struct(structOf(t), {});
      default:
        return null;
    }
  }
  if (t.shape === "struct") return struct(structOf(t), v);
  if (t.shape === "map") return sortedMap(v);
  if (t.shape === "list" && t.element!.shape === "struct") return v.map((x: any) => struct(structOf(t.element!), x));
  return v;
}

/** Metadata in the order of its type, maps sorted. */
function metadata(m: any): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const f of structType("meta/v1.ObjectMeta").fields)
    if (m[f.name] !== undefined) out[f.name] = f.type.shape === "map" ? sortedMap(m[f.name]) : m[f.name];
  return out;
}

const CONTEXT_LINES = 3;

/** A unified diff of two values printed as JSON with one space of indentation, as immutable-spec errors carry. */
export function unifiedDiff(before: unknown, after: unknown): string {
  const a = JSON.stringify(before, null, 1).split("\n");
  const b = JSON.stringify(after, null, 1).split("\n");
  const ops = diffLines(a, b);
  let out = "";
  let i = 0;
  while (i < ops.length) {
    if (ops[i]!.kind === " ") {
      i++;
      continue;
    }
    const start = Math.max(0, i - CONTEXT_LINES);
    let end = i;
    for (let quiet = 0; end < ops.length && quiet <= 2 * CONTEXT_LINES; end++) quiet = ops[end]!.kind === " " ? quiet + 1 : 0;
    let last = end - 1;
    while (ops[last]!.kind === " ") last--;
    end = Math.min(ops.length, last + 1 + CONTEXT_LINES);
    const hunk = ops.slice(start, end);
    const aLines = hunk.filter((o) => o.kind !== "+").length;
    const bLines = hunk.filter((o) => o.kind !== "-").length;
    const aAt = ops.slice(0, start).filter((o) => o.kind !== "+").length + 1;
    const bAt = ops.slice(0, start).filter((o) => o.kind !== "-").length + 1;
    out += `@@ -${aAt},${aLines} +${bAt},${bLines} @@\n${hunk.map((o) => `${o.kind}${o.line}\n`).join("")}`;
    i = end;
  }
  return out;
}

interface Op {
  kind: " " | "-" | "+";
  line: string;
}

const LCS_CELLS_MAX = 4_000_000;

/** Longest common subsequence between the common head and tail. */
function diffLines(a: string[], b: string[]): Op[] {
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const x = a.slice(head, a.length - tail);
  const y = b.slice(head, b.length - tail);
  const same = (lines: string[]): Op[] => lines.map((line) => ({ kind: " ", line }));
  return [...same(a.slice(0, head)), ...middle(x, y), ...same(a.slice(a.length - tail))];
}

function middle(x: string[], y: string[]): Op[] {
  const removed: Op[] = x.map((line) => ({ kind: "-", line }));
  const added: Op[] = y.map((line) => ({ kind: "+", line }));
  if (x.length === 0 || y.length === 0 || x.length * y.length > LCS_CELLS_MAX) return [...removed, ...added];
  const w = y.length + 1;
  const lcs = new Int32Array((x.length + 1) * w);
  for (let i = x.length - 1; i >= 0; i--) {
    for (let j = y.length - 1; j >= 0; j--) {
      lcs[i * w + j] = x[i] === y[j] ? lcs[(i + 1) * w + j + 1]! + 1 : Math.max(lcs[(i + 1) * w + j]!, lcs[i * w + j + 1]!);
    }
  }
  const out: Op[] = [];
  let i = 0;
  let j = 0;
  while (i < x.length && j < y.length) {
    if (x[i] === y[j]) {
      out.push({ kind: " ", line: x[i]! });
      i++;
      j++;
    } else if (lcs[(i + 1) * w + j]! >= lcs[i * w + j + 1]!) out.push(removed[i++]!);
    else out.push(added[j++]!);
  }
  return [...out, ...removed.slice(i), ...added.slice(j)];
}
