// Namespaces, nodes, ConfigMaps, Secrets, service accounts, events, quotas, limit ranges (core/validation of Kubernetes 1.34).

import { duplicate, forbidden, invalid, notSupported, required, tooLong } from "../errors/field-error.ts";
import { CIDR_ERROR, parseCidr } from "../meta/addresses.ts";
import { byteLength, isConfigMapKey, isQualifiedName } from "../meta/names.ts";
import { parseQuantity } from "../meta/quantity.ts";
import { deepEqual } from "../patch/json-patch.ts";
import { lookup } from "../schema/lookup.ts";
import { isIntegerResource, isStandardQuota, validateAmount, validateResourceName } from "./resources.ts";
import { type Errors, IMMUTABLE, invalidAll, NOT_NEGATIVE, type Obj, qualifiedName } from "./rules.ts";

const DATA_MAX_BYTES = 1024 * 1024;
const IMMUTABLE_SET = "field is immutable when `immutable` is set";

export function validateConfigMap(errs: Errors, o: Obj): void {
  let total = 0;
  for (const k in o.data) {
    invalidAll(errs, `data[${k}]`, k, isConfigMapKey(k));
    if (o.binaryData && Object.hasOwn(o.binaryData, k)) errs.push(invalid(`data[${k}]`, k, "duplicate of key present in binaryData"));
    total += byteLength(o.data[k]);
  }
  for (const k in o.binaryData) {
    invalidAll(errs, `binaryData[${k}]`, k, isConfigMapKey(k));
    total += base64Length(o.binaryData[k]);
  }
  if (total > DATA_MAX_BYTES) errs.push(tooLong("[]", DATA_MAX_BYTES));
}

function base64Length(s: string): number {
  return (s.length / 4) * 3 - (s.endsWith("==") ? 2 : s.endsWith("=") ? 1 : 0);
}

export function validateConfigMapUpdate(errs: Errors, o: Obj, old: Obj): void {
  if (old.immutable === true) {
    if (o.immutable !== true) errs.push(forbidden("immutable", IMMUTABLE_SET));
    if (!deepEqual(o.data ?? {}, old.data ?? {})) errs.push(forbidden("data", IMMUTABLE_SET));
    if (!deepEqual(o.binaryData ?? {}, old.binaryData ?? {})) errs.push(forbidden("binaryData", IMMUTABLE_SET));
  }
  validateConfigMap(errs, o);
}

/** Keys that typed Secrets must have. */
const SECRET_KEYS: Record<string, readonly string[]> = lookup({
  "kubernetes.io/ssh-auth": ["ssh-privatekey"],
  "kubernetes.io/tls": ["tls.crt", "tls.key"],
});

export function validateSecret(errs: Errors, o: Obj): void {
  const data: Record<string, string> = o.data ?? {};
  let total = 0;
  for (const k in data) {
    invalidAll(errs, `data[${k}]`, k, isConfigMapKey(k));
    total += base64Length(data[k]!);
  }
  if (total > DATA_MAX_BYTES) errs.push(tooLong("data", DATA_MAX_BYTES));
  switch (o.type) {
    case "kubernetes.io/service-account-token":
      if (!o.metadata.annotations?.["kubernetes.io/service-account.name"]) {
        errs.push(required("metadata.annotations[kubernetes.io/service-account.name]"));
      }
      break;
    case "kubernetes.io/dockercfg":
    case "kubernetes.io/dockerconfigjson": {
      const key = o.type === "kubernetes.io/dockercfg" ? ".dockercfg" : ".dockerconfigjson";
      if (data[key] === undefined) errs.push(required(`data[${key}]`));
      else {
        const text = Buffer.from(data[key], "base64").toString("utf8");
        try {
          JSON.parse(text);
        } catch {
          errs.push(invalid(`data[${key}]`, "<secret contents redacted>", text === "" ? "unexpected end of JSON input" : "invalid JSON"));
        }
      }
      break;
    }
    case "kubernetes.io/basic-auth":
      if (data["username"] === undefined && data["password"] === undefined) {
        errs.push(required("data[username]"));
        errs.push(required("data[password]"));
      }
      break;
    default:
      for (const k of SECRET_KEYS[o.type] ?? []) if (data[k] === undefined) errs.push(required(`data[${k}]`));
  }
}

export function validateSecretUpdate(errs: Errors, o: Obj, old: Obj): void {
  if (o.type !== old.type) errs.push(invalid("type", o.type, IMMUTABLE));
  if (old.immutable === true) {
    if (o.immutable !== true) errs.push(forbidden("immutable", IMMUTABLE_SET));
    if (!deepEqual(o.data ?? {}, old.data ?? {})) errs.push(forbidden("data", IMMUTABLE_SET));
  }
  validateSecret(errs, o);
}

const STANDARD_FINALIZERS = new Set(["kubernetes", "orphan", "foregroundDeletion"]);

export function validateNamespace(errs: Errors, o: Obj): void {
  (o.spec?.finalizers ?? []).forEach((f: string, i: number) => {
    const p = "spec.finalizers";
    const bad = isQualifiedName(f);
    invalidAll(errs, p, f, bad);
    if (bad.length === 0 && !f.includes("/") && !STANDARD_FINALIZERS.has(f)) {
      errs.push(invalid(`${p}[${i}]`, f, "name is neither a standard finalizer name nor is it fully qualified"));
    }
  });
}

export function validateNamespaceStatusUpdate(errs: Errors, o: Obj, old: Obj): void {
  const phase = o.status?.phase;
  const deleting = old.metadata.deletionTimestamp !== undefined;
  if (deleting ? phase !== "Terminating" : phase !== "Active") {
    errs.push(
      invalid(
        "status.Phase",
        phase ?? "",
        deleting ? "may only be 'Terminating' if `deletionTimestamp` is not empty" : "may only be 'Active' if `deletionTimestamp` is empty",
      ),
    );
  }
}

const TAINT_EFFECTS = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

export function validateNode(errs: Errors, o: Obj): void {
  const s = o.spec ?? {};
  const seen = new Set<string>();
  (s.taints ?? []).forEach((t: Obj, i: number) => {
    const p = `spec.taints[${i}]`;
    qualifiedName(errs, `${p}.key`, t.key);
    if (t.value) {
      const bad = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/.test(t.value) && t.value.length <= 63;
      if (!bad)
        errs.push(
          invalid(
            `${p}.value`,
            t.value,
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
          ),
        );
    }
    if (!t.effect) errs.push(required(`${p}.effect`));
    else if (!TAINT_EFFECTS.includes(t.effect)) errs.push(notSupported(`${p}.effect`, t.effect, TAINT_EFFECTS));
    const key = `${t.key}:${t.effect}`;
    if (seen.has(key)) errs.push(duplicate(p, { Key: t.key, Value: t.value ?? "", Effect: t.effect, TimeAdded: t.timeAdded ?? null }));
    seen.add(key);
  });
  (s.podCIDRs ?? []).forEach((c: string, i: number) => {
    if (parseCidr(c) === undefined) errs.push(invalid(`spec.podCIDRs[${i}]`, c, CIDR_ERROR));
  });
  for (const f of ["capacity", "allocatable"]) {
    for (const r in o.status?.[f]) {
      validateResourceName(errs, r, `status.${f}.${r}`);
      validateAmount(errs, r, o.status[f][r], `status.${f}.${r}`);
    }
  }
}

export function validateNodeUpdate(errs: Errors, o: Obj, old: Obj): void {
  const addresses: Obj[] = o.status?.addresses ?? [];
  addresses.forEach((a, i) => {
    if (addresses.findIndex((b) => deepEqual(a, b)) < i)
      errs.push(duplicate(`status.addresses[${i}]`, { Type: a.type, Address: a.address }));
  });
  if (old.spec?.podCIDR && o.spec?.podCIDR !== old.spec.podCIDR)
    errs.push(forbidden("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid'));
  if (old.spec?.providerID && o.spec?.providerID !== old.spec.providerID)
    errs.push(forbidden("spec.providerID", 'node updates may not change providerID except from "" to valid'));
  validateNode(errs, o);
}

const EVENT_TYPES = ["Normal", "Warning"];

/** Events of core/v1 are checked loosely; those of events.k8s.io/v1 strictly. */
export function validateCoreEvent(errs: Errors, o: Obj): void {
  const ref = o.involvedObject ?? {};
  const ns = o.metadata.namespace;
  if (o.eventTime) {
    strictEvent(errs, o, "reportingComponent", "involvedObject");
    return;
  }
  if (!ref.namespace) {
    if (ns && ns !== "default" && ns !== "kube-system")
      errs.push(invalid("involvedObject.namespace", ref.namespace ?? "", "does not match event.namespace"));
  } else if (ns !== ref.namespace) errs.push(invalid("involvedObject.namespace", ref.namespace, "does not match event.namespace"));
}

export function validateEvent(errs: Errors, o: Obj): void {
  if (!o.eventTime) errs.push(required("eventTime"));
  strictEvent(errs, o, "reportingController", "regarding");
}

function strictEvent(errs: Errors, o: Obj, component: string, reference: string): void {
  const ref = o[reference] ?? {};
  const ns = o.metadata.namespace;
  if (ref.namespace ? ref.namespace !== ns : ns !== "default" && ns !== "kube-system") {
    errs.push(invalid(`${reference}.namespace`, ref.namespace ?? "", "does not match event.namespace"));
  }
  if (!o[component]) errs.push(required(component));
  else qualifiedName(errs, component, o[component]);
  if (!o.reportingInstance) errs.push(required("reportingInstance"));
  else if (o.reportingInstance.length > 128) errs.push(invalid("reportingInstance", "", "can have at most 128 characters"));
  if (!o.action) errs.push(required("action"));
  else if (o.action.length > 128) errs.push(invalid("action", "", "can have at most 128 characters"));
  if (!o.reason) errs.push(required("reason"));
  else if (o.reason.length > 128) errs.push(invalid("reason", "", "can have at most 128 characters"));
  if (!EVENT_TYPES.includes(o.type)) errs.push(invalid("type", "", `has invalid value: ${o.type ?? ""}`));
}

const SCOPES = [
  "Terminating",
  "NotTerminating",
  "BestEffort",
  "NotBestEffort",
  "PriorityClass",
  "CrossNamespacePodAffinity",
  "VolumeAttributesClass",
];
const COMPUTE = new Set([
  "cpu",
  "memory",
  "ephemeral-storage",
  "requests.cpu",
  "requests.memory",
  "requests.ephemeral-storage",
  "limits.cpu",
  "limits.memory",
  "limits.ephemeral-storage",
  "pods",
]);
const BEST_EFFORT = new Set(["pods"]);

function scopeFits(scope: string, resource: string): boolean {
  switch (scope) {
    case "BestEffort":
      return BEST_EFFORT.has(resource);
    case "VolumeAttributesClass":
      return resource === "persistentvolumeclaims" || resource === "requests.storage";
    default:
      return COMPUTE.has(resource) || resource.startsWith("requests.") || resource.startsWith("limits.");
  }
}

export function validateQuota(errs: Errors, o: Obj): void {
  const s = o.spec ?? {};
  for (const r in s.hard) {
    const p = `spec.hard[${r}]`;
    quotaName(errs, r, p);
    quotaAmount(errs, r, s.hard[r], p);
  }
  const scopes: string[] = s.scopes ?? [];
  if (scopes.length > 0) quotaScopes(errs, scopes, Object.keys(s.hard ?? {}), "spec.scopes", scopes);
  const expressions: Obj[] = s.scopeSelector?.matchExpressions ?? [];
  expressions.forEach((e, i) => {
    const p = `spec.scopeSelector.matchExpressions[${i}]`;
    if (!SCOPES.includes(e.scopeName))
      errs.push(invalid("spec.scopeSelector.matchExpressions.scopeName", e.scopeName, "unsupported scope"));
    const n = (e.values ?? []).length;
    switch (e.operator) {
      case "In":
      case "NotIn":
        if (n === 0) errs.push(required(`${p}.values`, "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"));
        break;
      case "Exists":
      case "DoesNotExist":
        if (n > 0)
          errs.push(invalid(`${p}.values`, e.values, "must be no value when `operator` is 'Exists' or 'DoesNotExist' for scope selector"));
        break;
      default:
        errs.push(invalid(`${p}.operator`, e.operator, "not a valid selector operator"));
    }
  });
}

function quotaName(errs: Errors, r: string, path: string): void {
  validateResourceName(errs, r, path);
  if (!r.includes("/") && !isStandardQuota(r)) errs.push(invalid(path, r, "must be a standard resource for quota"));
}

function quotaAmount(errs: Errors, r: string, amount: string, path: string): void {
  const q = parseQuantity(amount);
  if (q.sign() < 0) errs.push(invalid(path, amount, NOT_NEGATIVE));
  if (isIntegerResource(r) && q.nano % 1_000_000_000n !== 0n) errs.push(invalid(path, amount, "must be an integer"));
}

function quotaScopes(errs: Errors, scopes: string[], hard: string[], path: string, badValue: string[]): void {
  const known = new Set<string>();
  for (const scope of scopes) {
    if (!SCOPES.includes(scope)) {
      errs.push(invalid(path, badValue, "unsupported scope"));
    }
    if (SCOPES.includes(scope) && hard.some((r) => !scopeFits(scope, r)))
      errs.push(invalid(path, badValue, "unsupported scope applied to resource"));
    known.add(scope);
  }
  for (const [a, b] of [
    ["BestEffort", "NotBestEffort"],
    ["Terminating", "NotTerminating"],
  ] as const) {
    if (known.has(a) && known.has(b)) errs.push(invalid(path, badValue, "conflicting scopes"));
  }
}

export function validateQuotaUpdate(errs: Errors, o: Obj, old: Obj): void {
  validateQuota(errs, o);
  const sorted = (v: string[] | undefined) => [...(v ?? [])].sort();
  if (!deepEqual(sorted(o.spec?.scopes), sorted(old.spec?.scopes))) errs.push(invalid("spec.scopes", o.spec?.scopes ?? null, IMMUTABLE));
}

export function validateLimitRange(errs: Errors, o: Obj): void {
  const types = new Set<string>();
  (o.spec?.limits ?? []).forEach((l: Obj, i: number) => {
    const p = `spec.limits[${i}]`;
    limitType(errs, l.type ?? "", `${p}.type`);
    if (types.has(l.type)) errs.push(duplicate(`${p}.type`, l.type));
    types.add(l.type);
    const keys = new Set<string>();
    for (const f of ["max", "min"]) {
      for (const r in l[f]) {
        limitName(errs, r, l.type, `${p}.${f}[${r}]`);
        keys.add(r);
      }
    }
    if (l.type === "Pod") {
      for (const f of ["default", "defaultRequest"])
        if (Object.keys(l[f] ?? {}).length > 0) errs.push(forbidden(`${p}.${f}`, "may not be specified when `type` is 'Pod'"));
    } else {
      for (const f of ["default", "defaultRequest"]) {
        for (const r in l[f]) {
          limitName(errs, r, l.type, `${p}.${f}[${r}]`);
          keys.add(r);
        }
      }
    }
    if (l.type === "PersistentVolumeClaim" && l.min?.storage === undefined && l.max?.storage === undefined) {
      errs.push(required(`${p}`, "either minimum or maximum storage value is required, but neither was provided"));
    }
    for (const k in l.maxLimitRequestRatio) {
      limitName(errs, k, l.type, `${p}.maxLimitRequestRatio[${k}]`);
      keys.add(k);
    }
    for (const k of keys) limitAmounts(errs, l, k, p);
  });
}

function limitType(errs: Errors, type: string, path: string): void {
  const bad = isQualifiedName(type);
  invalidAll(errs, path, type, bad);
  if (bad.length === 0 && !type.includes("/") && !["Pod", "Container", "PersistentVolumeClaim"].includes(type)) {
    errs.push(invalid(path, type, "must be a standard limit type or fully qualified"));
  }
}

function limitName(errs: Errors, r: string, type: string, path: string): void {
  if (type === "Pod" || type === "Container") {
    validateResourceName(errs, r, path);
    if (!r.includes("/") && !["cpu", "memory", "ephemeral-storage"].includes(r) && !r.startsWith("hugepages-"))
      errs.push(invalid(path, r, "must be a standard resource for containers"));
  } else validateResourceName(errs, r, path);
}

function limitAmounts(errs: Errors, l: Obj, k: string, p: string): void {
  const q = (f: string) => (l[f]?.[k] === undefined ? undefined : parseQuantity(l[f][k]));
  const [max, min, request, def, ratio] = ["max", "min", "defaultRequest", "default", "maxLimitRequestRatio"].map(q);
  if (min && max && min.cmp(max) > 0) errs.push(invalid(`${p}.min[${k}]`, l.min[k], `min value ${min} is greater than max value ${max}`));
  if (request && min && min.cmp(request) > 0)
    errs.push(
      invalid(`${p}.defaultRequest[${k}]`, l.defaultRequest[k], `min value ${min} is greater than default request value ${request}`),
    );
  if (request && max && request.cmp(max) > 0)
    errs.push(
      invalid(`${p}.defaultRequest[${k}]`, l.defaultRequest[k], `default request value ${request} is greater than max value ${max}`),
    );
  if (request && def && request.cmp(def) > 0)
    errs.push(
      invalid(
        `${p}.defaultRequest[${k}]`,
        l.defaultRequest[k],
        `default request value ${request} is greater than default limit value ${def}`,
      ),
    );
  if (def && min && min.cmp(def) > 0)
    errs.push(invalid(`${p}.default[${k}]`, min.toString(), `min value ${min} is greater than default value ${def}`));
  if (def && max && def.cmp(max) > 0)
    errs.push(invalid(`${p}.default[${k}]`, max.toString(), `default value ${def} is greater than max value ${max}`));
  if (ratio && ratio.nano < 1_000_000_000n)
    errs.push(invalid(`${p}.maxLimitRequestRatio[${k}]`, ratio.toString(), `ratio ${ratio} is less than 1`));
  if (ratio && min && max && !min.isZero() && ratio.nano * min.nano > max.nano * 1_000_000_000n) {
    errs.push(
      invalid(
        `${p}.maxLimitRequestRatio[${k}]`,
        ratio.toString(),
        `ratio ${ratio} is greater than max/min = ${(max.toNumber() / min.toNumber()).toFixed(6)}`,
      ),
    );
  }
}
