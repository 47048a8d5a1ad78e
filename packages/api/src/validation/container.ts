// Containers of a pod spec: regular, init, sidecar and ephemeral (core/validation of Kubernetes 1.34).
import { duplicate, forbidden, invalid, notFound, notSupported, required } from "../errors/field-error.ts";
import { isConfigMapKey, isDns1123Subdomain, isPortName, isPortNumber, isRelaxedEnvVarName } from "../meta/names.ts";
import { parseQuantity } from "../meta/quantity.ts";
import { validateLifecycle, validateProbes } from "./probes.ts";
import { validateContainerResources } from "./resources.ts";
import { dnsLabel, type Errors, invalidAll, type Obj, oneOf, qualifiedName } from "./rules.ts";
import { validateSecurityContext } from "./security.ts";

export interface ContainerContext {
  /** Volumes of the pod by name. */
  readonly volumes: ReadonlyMap<string, Obj>;
  readonly claims: ReadonlySet<string>;
  readonly graceSeconds: number | undefined;
  readonly restartPolicy: string | undefined;
  readonly hostUsers: boolean;
}

const PROTOCOLS = ["SCTP", "TCP", "UDP"];
const PULL_POLICIES = ["Always", "IfNotPresent", "Never"];
const FIELD_PATHS = [
  "metadata.annotations",
  "metadata.labels",
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
  "spec.nodeName",
  "spec.serviceAccountName",
  "status.hostIP",
  "status.hostIPs",
  "status.podIP",
  "status.podIPs",
];
const ENV_FIELD_PATHS = [
  "metadata.name",
  "metadata.namespace",
  "metadata.uid",
  "spec.nodeName",
  "spec.serviceAccountName",
  "status.hostIP",
  "status.hostIPs",
  "status.podIP",
  "status.podIPs",
];
export const VOLUME_FIELD_PATHS = ["metadata.name", "metadata.namespace", "metadata.labels", "metadata.annotations", "metadata.uid"];
const RESOURCE_FIELDS = [
  "limits.cpu",
  "limits.ephemeral-storage",
  "limits.memory",
  "requests.cpu",
  "requests.ephemeral-storage",
  "requests.memory",
];

export function validateContainers(errs: Errors, containers: Obj[] | undefined | null, path: string, c: ContainerContext): void {
  if (!containers || containers.length === 0) {
    errs.push(required(path));
    return;
  }
  const names = new Set<string>();
  containers.forEach((x, i) => {
    const p = `${path}[${i}]`;
    validateCommon(errs, x, p, c);
    if (names.has(x.name)) errs.push(duplicate(`${p}.name`, x.name));
    names.add(x.name);
    validateLifecycle(errs, x.lifecycle, `${p}.lifecycle`, c.graceSeconds);
    validateProbes(errs, x, p);
    if (x.restartPolicy !== undefined) errs.push(forbidden(`${p}.restartPolicy`, "may not be set for non-init containers"));
  });
  hostPortConflicts(errs, containers, path);
}

export function validateInitContainers(
  errs: Errors,
  containers: Obj[] | undefined,
  regular: Obj[] | undefined,
  path: string,
  c: ContainerContext,
): void {
  if (containers === undefined) return;
  const names = new Set((regular ?? []).map((x) => x.name));
  containers.forEach((x, i) => {
    const p = `${path}[${i}]`;
    const sidecar = x.restartPolicy === "Always";
    validateCommon(errs, x, p, c);
    if (x.restartPolicy !== undefined && !sidecar) errs.push(notSupported(`${p}.restartPolicy`, x.restartPolicy, ["Always"]));
    if (names.has(x.name)) errs.push(duplicate(`${p}.name`, x.name));
    else if (x.name) names.add(x.name);
    // Init containers run one by one; upstream calls each of them the first.
    hostPortConflicts(errs, [x], path);
    if (sidecar) {
      validateLifecycle(errs, x.lifecycle, `${p}.lifecycle`, c.graceSeconds);
      validateProbes(errs, x, p);
    } else {
      for (const f of ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"]) {
        if (x[f] !== undefined) errs.push(forbidden(`${p}.${f}`, "may not be set for init containers without restartPolicy=Always"));
      }
    }
  });
}

const EPHEMERAL_ALLOWED = new Set([
  "name",
  "image",
  "command",
  "args",
  "workingDir",
  "env",
  "envFrom",
  "volumeMounts",
  "volumeDevices",
  "terminationMessagePath",
  "terminationMessagePolicy",
  "imagePullPolicy",
  "securityContext",
  "stdin",
  "stdinOnce",
  "tty",
  "targetContainerName",
  "resources",
]);

export function validateEphemeralContainers(
  errs: Errors,
  containers: Obj[] | undefined,
  spec: Obj,
  path: string,
  c: ContainerContext,
): void {
  if (containers === undefined) return;
  const others = new Set<string>([...(spec.containers ?? []), ...(spec.initContainers ?? [])].map((x: Obj) => x.name));
  const own = new Set<string>();
  containers.forEach((x, i) => {
    const p = `${path}[${i}]`;
    validateCommon(errs, x, p, c);
    if (own.has(x.name) || others.has(x.name)) errs.push(duplicate(`${p}.name`, x.name));
    own.add(x.name);
    if (x.targetContainerName && !others.has(x.targetContainerName)) errs.push(notFound(`${p}.targetContainerName`, x.targetContainerName));
    for (const k of Object.keys(x)) {
      if (!EPHEMERAL_ALLOWED.has(k)) errs.push(forbidden(`${p}.${k}`, "cannot be set for an Ephemeral Container"));
    }
    if (x.resources && Object.keys(x.resources).length > 0)
      errs.push(forbidden(`${p}.resources`, "cannot be set for an Ephemeral Container"));
    (x.volumeMounts ?? []).forEach((m: Obj, j: number) => {
      if (m.subPath) errs.push(forbidden(`${p}.volumeMounts[${j}].subPath`, "cannot be set for an Ephemeral Container"));
      if (m.subPathExpr) errs.push(forbidden(`${p}.volumeMounts[${j}].subPathExpr`, "cannot be set for an Ephemeral Container"));
    });
  });
}

function validateCommon(errs: Errors, x: Obj, path: string, c: ContainerContext): void {
  if (!x.name) errs.push(required(`${path}.name`));
  else dnsLabel(errs, `${path}.name`, x.name);
  if (!x.image) errs.push(required(`${path}.image`));
  oneOf(errs, `${path}.terminationMessagePolicy`, x.terminationMessagePolicy, ["FallbackToLogsOnError", "File"], "required");
  if (x.ports) validatePorts(errs, x.ports, `${path}.ports`);
  if (x.env)
    x.env.forEach((e: Obj, i: number) => {
      validateEnv(errs, e, `${path}.env[${i}]`, c);
    });
  if (x.envFrom)
    x.envFrom.forEach((e: Obj, i: number) => {
      validateEnvFrom(errs, e, `${path}.envFrom[${i}]`, `${path}.envFrom`);
    });
  if (x.volumeMounts) validateMounts(errs, x, `${path}.volumeMounts`, c);
  if (x.volumeDevices) validateDevices(errs, x, `${path}.volumeDevices`, c);
  oneOf(errs, `${path}.imagePullPolicy`, x.imagePullPolicy, PULL_POLICIES, "required");
  validateContainerResources(errs, x.resources, `${path}.resources`, c.claims);
  if (x.resizePolicy) validateResizePolicy(errs, x.resizePolicy, `${path}.resizePolicy`, c.restartPolicy);
  if (x.securityContext) validateSecurityContext(errs, x.securityContext, `${path}.securityContext`, c.hostUsers);
}

function validatePorts(errs: Errors, ports: Obj[], path: string): void {
  const names = new Set<string>();
  ports.forEach((p, i) => {
    const at = `${path}[${i}]`;
    if (p.name) {
      const bad = isPortName(p.name);
      invalidAll(errs, `${at}.name`, p.name, bad);
      if (bad.length === 0) {
        if (names.has(p.name)) errs.push(duplicate(`${at}.name`, p.name));
        else names.add(p.name);
      }
    }
    if (!p.containerPort) errs.push(required(`${at}.containerPort`));
    else invalidAll(errs, `${at}.containerPort`, p.containerPort, isPortNumber(p.containerPort));
    if (p.hostPort) invalidAll(errs, `${at}.hostPort`, p.hostPort, isPortNumber(p.hostPort));
    oneOf(errs, `${at}.protocol`, p.protocol, PROTOCOLS, "required");
  });
}

/** On the host's network a pod's ports are the host's; a template may leave that to the pod's defaults. */
export function validateHostNetworkPorts(errs: Errors, containers: Obj[] | undefined, path: string, isPod: boolean): void {
  (containers ?? []).forEach((x, i) => {
    (x.ports ?? []).forEach((p: Obj, j: number) => {
      const hostPort = p.hostPort ?? 0;
      if ((isPod || hostPort !== 0) && hostPort !== (p.containerPort ?? 0))
        errs.push(invalid(`${path}[${i}].ports[${j}].hostPort`, hostPort, "must match `containerPort` when `hostNetwork` is true"));
    });
  });
}

function hostPortConflicts(errs: Errors, containers: Obj[], path: string): void {
  const used = new Set<string>();
  containers.forEach((x, i) => {
    (x.ports ?? []).forEach((p: Obj, j: number) => {
      if (!p.hostPort) return;
      const key = `${p.protocol}/${p.hostIP ?? ""}/${p.hostPort}`;
      if (used.has(key)) errs.push(duplicate(`${path}[${i}].ports[${j}].hostPort`, key));
      else used.add(key);
    });
  });
}

function validateEnv(errs: Errors, e: Obj, path: string, c: ContainerContext): void {
  if (!e.name) errs.push(required(`${path}.name`));
  else invalidAll(errs, `${path}.name`, e.name, isRelaxedEnvVarName(e.name));
  const from = e.valueFrom;
  if (from === undefined) return;
  const p = `${path}.valueFrom`;
  let n = 0;
  if (from.fieldRef) {
    n++;
    validateFieldRef(errs, from.fieldRef, `${p}.fieldRef`, ENV_FIELD_PATHS);
  }
  if (from.resourceFieldRef) {
    n++;
    validateResourceFieldRef(errs, from.resourceFieldRef, `${p}.resourceFieldRef`, false);
  }
  if (from.configMapKeyRef) {
    n++;
    keySelector(errs, from.configMapKeyRef, `${p}.configMapKeyRef`);
  }
  if (from.secretKeyRef) {
    n++;
    keySelector(errs, from.secretKeyRef, `${p}.secretKeyRef`);
  }
  if (from.fileKeyRef) {
    n++;
    const k = from.fileKeyRef;
    if (!k.volumeName) errs.push(required(`${p}.fileKeyRef.volumeName`));
    else if (!c.volumes.has(k.volumeName)) errs.push(notFound(`${p}.fileKeyRef.volumeName`, k.volumeName));
    if (!k.path) errs.push(required(`${p}.fileKeyRef.path`));
    if (!k.key) errs.push(required(`${p}.fileKeyRef.key`));
  }
  if (n === 0)
    errs.push(invalid(p, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"));
  else if (e.value) errs.push(invalid(p, "", "may not be specified when `value` is not empty"));
  else if (n > 1) errs.push(invalid(p, "", "may not have more than one field specified at a time"));
}

function keySelector(errs: Errors, s: Obj, path: string): void {
  invalidAll(errs, `${path}.name`, s.name ?? "", isDns1123Subdomain(s.name ?? ""));
  if (!s.key) errs.push(required(`${path}.key`));
  else invalidAll(errs, `${path}.key`, s.key, isConfigMapKey(s.key));
}

export function validateFieldRef(errs: Errors, f: Obj, path: string, allowed: readonly string[]): void {
  if (!f.apiVersion) {
    errs.push(required(`${path}.apiVersion`));
    return;
  }
  if (!f.fieldPath) {
    errs.push(required(`${path}.fieldPath`));
    return;
  }
  const subscript = /^(.*)\['(.*)'\]$/.exec(f.fieldPath);
  if (subscript) {
    const [, field, key = ""] = subscript;
    if (field === "metadata.annotations") qualifiedName(errs, path, key.toLowerCase());
    else if (field === "metadata.labels") qualifiedName(errs, path, key);
    else errs.push(invalid(path, field, "does not support subscript"));
    return;
  }
  if (!FIELD_PATHS.includes(f.fieldPath)) {
    errs.push(invalid(`${path}.fieldPath`, f.fieldPath, `error converting fieldPath: field label not supported: ${f.fieldPath}`));
  } else if (!allowed.includes(f.fieldPath)) {
    errs.push(notSupported(`${path}.fieldPath`, f.fieldPath, [...allowed].sort()));
  }
}

export function validateResourceFieldRef(errs: Errors, f: Obj, path: string, volume: boolean): void {
  if (volume && !f.containerName) errs.push(required(`${path}.containerName`));
  else if (!f.resource) errs.push(required(`${path}.resource`));
  else if (!RESOURCE_FIELDS.includes(f.resource) && !/^(limits|requests)\.hugepages-/.test(f.resource)) {
    errs.push(notSupported(`${path}.resource`, f.resource, RESOURCE_FIELDS));
  }
  validateDivisor(errs, f.resource ?? "", f.divisor ?? "0", `${path}.divisor`);
}

const CPU_DIVISORS = ["1m", "1"];
const BYTE_DIVISORS = ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

function validateDivisor(errs: Errors, name: string, text: string, path: string): void {
  const divisor = parseQuantity(text);
  if (divisor.isZero()) return;
  const kind = name.replace(/^(limits|requests)\./, "");
  const what = kind === "ephemeral-storage" ? "local ephemeral storage" : kind.startsWith("hugepages-") ? "hugepages" : kind;
  if (!["cpu", "memory", "local ephemeral storage", "hugepages"].includes(what)) return;
  if ((kind === "cpu" ? CPU_DIVISORS : BYTE_DIVISORS).includes(divisor.toString())) return;
  const values = kind === "cpu" ? "1m and 1" : BYTE_DIVISORS.join(", ");
  errs.push(invalid(path, name, `only divisor's values ${values} are supported with the ${what} resource`));
}

function validateEnvFrom(errs: Errors, e: Obj, path: string, listPath: string): void {
  if (e.prefix) invalidAll(errs, `${path}.prefix`, e.prefix, isRelaxedEnvVarName(e.prefix));
  let n = 0;
  for (const f of ["configMapRef", "secretRef"]) {
    if (!e[f]) continue;
    n++;
    if (!e[f].name) errs.push(required(`${path}.${f}.name`));
    else invalidAll(errs, `${path}.${f}.name`, e[f].name, isDns1123Subdomain(e[f].name.replace(/(?<=.)-$/, "a")));
  }
  if (n === 0) errs.push(invalid(listPath, "", "must specify one of: `configMapRef` or `secretRef`"));
  else if (n > 1) errs.push(invalid(listPath, "", "may not have more than one field specified at a time"));
}

function validateMounts(errs: Errors, x: Obj, path: string, c: ContainerContext): void {
  const paths = new Set<string>();
  const devices: Obj[] = x.volumeDevices ?? [];
  x.volumeMounts.forEach((m: Obj, i: number) => {
    const p = `${path}[${i}]`;
    if (!m.name) errs.push(required(`${p}.name`));
    if (!c.volumes.has(m.name)) errs.push(notFound(`${p}.name`, m.name));
    if (!m.mountPath) errs.push(required(`${p}.mountPath`));
    if (paths.has(m.mountPath)) errs.push(invalid(`${p}.mountPath`, m.mountPath, "must be unique"));
    paths.add(m.mountPath);
    if (devices.some((d) => d.name === m.name)) errs.push(invalid(`${p}.name`, m.name, "must not already exist in volumeDevices"));
    if (devices.some((d) => d.devicePath === m.mountPath))
      errs.push(invalid(`${p}.mountPath`, m.mountPath, "must not already exist as a path in volumeDevices"));
    // What follows names the list, not the item, as upstream does.
    if (m.subPath) validateLocalDescendingPath(errs, m.subPath, `${path}.subPath`);
    if (m.subPathExpr) {
      if (m.subPath) errs.push(invalid(`${p}.subPathExpr`, m.subPathExpr, "subPathExpr and subPath are mutually exclusive"));
      validateLocalDescendingPath(errs, m.subPathExpr, `${path}.subPathExpr`);
    }
    if (m.mountPropagation !== undefined) {
      oneOf(errs, `${path}.mountPropagation`, m.mountPropagation, ["Bidirectional", "HostToContainer", "None"]);
      if (m.mountPropagation === "Bidirectional" && x.securityContext?.privileged !== true) {
        errs.push(forbidden(`${path}.mountPropagation`, "Bidirectional mount propagation is available only to privileged containers"));
      }
    }
    if (m.recursiveReadOnly !== undefined) {
      oneOf(errs, `${path}.recursiveReadOnly`, m.recursiveReadOnly, ["Disabled", "Enabled", "IfPossible"]);
      if ((m.recursiveReadOnly === "Enabled" || m.recursiveReadOnly === "IfPossible") && m.readOnly !== true) {
        errs.push(forbidden(`${path}.recursiveReadOnly`, "may only be specified when readOnly is true"));
      }
    }
  });
}

export function validateLocalDescendingPath(errs: Errors, value: string, path: string): void {
  if (value.startsWith("/")) errs.push(invalid(path, value, "must be a relative path"));
  pathHasNoDots(errs, value, path);
}

export function pathHasNoDots(errs: Errors, value: string, path: string): void {
  if (value.split("/").includes("..")) errs.push(invalid(path, value, "must not contain '..'"));
}

function validateDevices(errs: Errors, x: Obj, path: string, c: ContainerContext): void {
  const paths = new Set<string>();
  const names = new Set<string>();
  x.volumeDevices.forEach((d: Obj, i: number) => {
    const p = `${path}[${i}]`;
    if (!d.name) errs.push(required(`${p}.name`));
    if (names.has(d.name)) errs.push(invalid(`${p}.name`, d.name, "must be unique"));
    const v = c.volumes.get(d.name);
    if (v === undefined) errs.push(notFound(`${p}.name`, d.name));
    else if (v.persistentVolumeClaim === undefined && v.ephemeral === undefined) {
      errs.push(invalid(`${p}.name`, d.name, "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"));
    }
    if (!d.devicePath) errs.push(required(`${p}.devicePath`));
    if (paths.has(d.devicePath)) errs.push(invalid(`${p}.devicePath`, d.devicePath, "must be unique"));
    if (d.devicePath?.split("/").includes("..")) errs.push(invalid(`${p}.devicePath`, d.devicePath, "can not contain backsteps ('..')"));
    const mounts: Obj[] = x.volumeMounts ?? [];
    if (mounts.some((m) => m.name === d.name)) errs.push(invalid(`${p}.name`, d.name, "must not already exist in volumeMounts"));
    if (mounts.some((m) => m.mountPath === d.devicePath))
      errs.push(invalid(`${p}.devicePath`, d.devicePath, "must not already exist as a path in volumeMounts"));
    paths.add(d.devicePath);
    names.add(d.name);
  });
}

function validateResizePolicy(errs: Errors, policies: Obj[], path: string, restartPolicy: string | undefined): void {
  const seen = new Set<string>();
  policies.forEach((r, i) => {
    const p = `${path}[${i}]`;
    if (seen.has(r.resourceName)) errs.push(duplicate(p, r.resourceName));
    seen.add(r.resourceName);
    oneOf(errs, path, r.resourceName, ["cpu", "memory"], "required");
    oneOf(errs, path, r.restartPolicy, ["NotRequired", "RestartContainer"], "required");
    if (restartPolicy === "Never" && r.restartPolicy !== "NotRequired") {
      errs.push(invalid(path, r.restartPolicy, "must be 'NotRequired' when `restartPolicy` is 'Never'"));
    }
  });
}

/** Checks that pods get but templates, for the sake of old objects, do not. */
export function validateContainersOnlyForPod(errs: Errors, containers: Obj[] | undefined, path: string): void {
  (containers ?? []).forEach((x, i) => {
    if (x.image && x.image.trim() !== x.image)
      errs.push(invalid(`${path}[${i}].image`, x.image, "must not have leading or trailing whitespace"));
  });
}
