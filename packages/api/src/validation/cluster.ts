// RBAC, priority and runtime classes, leases, disruption budgets, autoscalers, certificate requests, flow control
// (validation of those groups in Kubernetes 1.34).

import { forbidden, invalid, notSupported, required } from "../errors/field-error.ts";
import { isDns1123Subdomain, isPathSegmentName } from "../meta/names.ts";
import { parseQuantity } from "../meta/quantity.ts";
import { deepEqual } from "../patch/json-patch.ts";
import { lookup } from "../schema/lookup.ts";
import { validateTolerations } from "./affinity.ts";
import { validateLabels } from "./meta.ts";
import {
  dnsLabel,
  dnsSubdomain,
  type Errors,
  IMMUTABLE,
  invalidAll,
  nonNegative,
  notMoreThan100Percent,
  type Obj,
  oneOf,
  positive,
  positiveIntOrPercent,
} from "./rules.ts";
import { validateLabelSelector } from "./selectors.ts";

const RBAC = "rbac.authorization.k8s.io";

export function validateRole(errs: Errors, o: Obj, namespaced: boolean): void {
  (o.rules ?? []).forEach((r: Obj, i: number) => {
    const p = `rules[${i}]`;
    if ((r.verbs ?? []).length === 0) errs.push(required(`${p}.verbs`, "verbs must contain at least one value"));
    if ((r.nonResourceURLs ?? []).length > 0) {
      if (namespaced) errs.push(invalid(`${p}.nonResourceURLs`, r.nonResourceURLs, "namespaced rules cannot apply to non-resource URLs"));
      if ((r.apiGroups ?? []).length > 0 || (r.resources ?? []).length > 0 || (r.resourceNames ?? []).length > 0) {
        errs.push(invalid(`${p}.nonResourceURLs`, r.nonResourceURLs, "rules cannot apply to both regular resources and non-resource URLs"));
      }
      return;
    }
    if ((r.apiGroups ?? []).length === 0) errs.push(required(`${p}.apiGroups`, "resource rules must supply at least one api group"));
    if ((r.resources ?? []).length === 0) errs.push(required(`${p}.resources`, "resource rules must supply at least one resource"));
  });
  if (!namespaced && o.aggregationRule) {
    const selectors: Obj[] = o.aggregationRule.clusterRoleSelectors ?? [];
    if (selectors.length === 0)
      errs.push(
        required("aggregationRule.clusterRoleSelectors", "at least one clusterRoleSelector required if aggregationRule is non-nil"),
      );
    selectors.forEach((s, i) => {
      validateLabelSelector(errs, s, `aggregationRule.clusterRoleSelectors[${i}]`);
    });
  }
}

export function validateRoleBinding(errs: Errors, o: Obj, namespaced: boolean): void {
  const r = o.roleRef ?? {};
  if (r.apiGroup !== RBAC) errs.push(notSupported("roleRef.apiGroup", r.apiGroup ?? "", [RBAC]));
  const kinds = namespaced ? ["Role", "ClusterRole"] : ["ClusterRole"];
  if (!kinds.includes(r.kind)) errs.push(notSupported("roleRef.kind", r.kind ?? "", kinds));
  if (!r.name) errs.push(required("roleRef.name"));
  else invalidAll(errs, "roleRef.name", r.name, isPathSegmentName(r.name));
  (o.subjects ?? []).forEach((s: Obj, i: number) => {
    subject(errs, s, namespaced, `subjects[${i}]`);
  });
}

function subject(errs: Errors, s: Obj, namespaced: boolean, path: string): void {
  if (!s.name) errs.push(required(`${path}.name`));
  switch (s.kind) {
    case "ServiceAccount":
      if (s.name) invalidAll(errs, `${path}.name`, s.name, isDns1123Subdomain(s.name));
      if (s.apiGroup) errs.push(notSupported(`${path}.apiGroup`, s.apiGroup, [""]));
      if (!namespaced && !s.namespace) errs.push(required(`${path}.namespace`));
      break;
    case "User":
    case "Group":
      if (s.apiGroup !== RBAC) errs.push(notSupported(`${path}.apiGroup`, s.apiGroup ?? "", [RBAC]));
      break;
    default:
      errs.push(notSupported(`${path}.kind`, s.kind ?? "", ["ServiceAccount", "User", "Group"]));
  }
}

export function validateRoleBindingUpdate(errs: Errors, o: Obj, old: Obj, namespaced: boolean): void {
  validateRoleBinding(errs, o, namespaced);
  if (!deepEqual(o.roleRef, old.roleRef)) errs.push(invalid("roleRef", o.roleRef, "cannot change roleRef"));
}

const USER_PRIORITY_MAX = 1_000_000_000;
const SYSTEM_CLASSES: Record<string, number> = lookup({ "system-node-critical": 2_000_001_000, "system-cluster-critical": 2_000_000_000 });

export function validatePriorityClass(errs: Errors, o: Obj): void {
  const name: string = o.metadata.name ?? "";
  if (name.startsWith("system-")) {
    const known = SYSTEM_CLASSES[name];
    if (known === undefined || o.value !== known || o.globalDefault === true) {
      const why = known === undefined ? `${name} is not a known system priority class` : `value of ${name} PriorityClass must be ${known}`;
      errs.push(forbidden("metadata.name", `priority class names with 'system-' prefix are reserved for system use only. error: ${why}`));
    }
  } else if ((o.value ?? 0) > USER_PRIORITY_MAX) {
    errs.push(forbidden("value", `maximum allowed value of a user defined priority is ${USER_PRIORITY_MAX}`));
  }
  if (o.preemptionPolicy !== undefined) oneOf(errs, "preemptionPolicy", o.preemptionPolicy, ["PreemptLowerPriority", "Never"], "required");
}

export function validatePriorityClassUpdate(errs: Errors, o: Obj, old: Obj): void {
  if (o.value !== old.value) errs.push(forbidden("value", "may not be changed in an update."));
  if (o.preemptionPolicy !== old.preemptionPolicy) errs.push(invalid("preemptionPolicy", o.preemptionPolicy ?? null, IMMUTABLE));
}

export function validateRuntimeClass(errs: Errors, o: Obj): void {
  dnsLabel(errs, "handler", o.handler ?? "");
  for (const r in o.overhead?.podFixed) {
    if (parseQuantity(o.overhead.podFixed[r]).sign() < 0)
      errs.push(invalid(`overhead.podFixed[${r}]`, o.overhead.podFixed[r], "must be greater than or equal to 0"));
  }
  if (o.scheduling) {
    if (o.scheduling.nodeSelector) validateLabels(errs, o.scheduling.nodeSelector, "scheduling.nodeSelector");
    validateTolerations(errs, o.scheduling.tolerations, "scheduling.tolerations");
  }
}

export function validateRuntimeClassUpdate(errs: Errors, o: Obj, old: Obj): void {
  if (o.handler !== old.handler) errs.push(invalid("handler", o.handler, IMMUTABLE));
}

export function validateLease(errs: Errors, o: Obj): void {
  const s = o.spec ?? {};
  positive(errs, "spec.leaseDurationSeconds", s.leaseDurationSeconds);
  nonNegative(errs, "spec.leaseTransitions", s.leaseTransitions);
  if (s.strategy !== undefined && !s.strategy) errs.push(required("spec.strategy"));
}

export function validateBudget(errs: Errors, o: Obj): void {
  const s = o.spec ?? {};
  if (s.minAvailable !== undefined && s.maxUnavailable !== undefined) {
    errs.push(invalid("spec", { ...s }, "minAvailable and maxUnavailable cannot be both set"));
  }
  for (const f of ["minAvailable", "maxUnavailable"]) {
    positiveIntOrPercent(errs, `spec.${f}`, s[f]);
    notMoreThan100Percent(errs, `spec.${f}`, s[f]);
  }
  validateLabelSelector(errs, s.selector, "spec.selector");
  if (s.unhealthyPodEvictionPolicy !== undefined)
    oneOf(errs, "spec.unhealthyPodEvictionPolicy", s.unhealthyPodEvictionPolicy, ["AlwaysAllow", "IfHealthyBudget"]);
}

export function validateAutoscaler(errs: Errors, o: Obj): void {
  const s = o.spec ?? {};
  const ref = s.scaleTargetRef ?? {};
  for (const f of ["kind", "name"]) {
    if (!ref[f]) errs.push(required(`spec.scaleTargetRef.${f}`));
    else invalidAll(errs, `spec.scaleTargetRef.${f}`, ref[f], isPathSegmentName(ref[f]));
  }
  if (s.minReplicas !== undefined && s.minReplicas < 1)
    errs.push(invalid("spec.minReplicas", s.minReplicas, "must be greater than or equal to 1"));
  if ((s.maxReplicas ?? 0) < 1) errs.push(invalid("spec.maxReplicas", s.maxReplicas ?? 0, "must be greater than 0"));
  if (s.minReplicas !== undefined && (s.maxReplicas ?? 0) < s.minReplicas)
    errs.push(invalid("spec.maxReplicas", s.maxReplicas ?? 0, "must be greater than or equal to `minReplicas`"));
  (s.metrics ?? []).forEach((m: Obj, i: number) => {
    metric(errs, m, `spec.metrics[${i}]`);
  });
  for (const d of ["scaleUp", "scaleDown"]) if (s.behavior?.[d]) scalingRules(errs, s.behavior[d], `spec.behavior.${d}`);
}

const METRIC_TYPES = ["ContainerResource", "External", "Object", "Pods", "Resource"];

function metric(errs: Errors, m: Obj, path: string): void {
  if (!m.type) {
    errs.push(required(`${path}.type`, "must specify a metric source type"));
    return;
  }
  if (!METRIC_TYPES.includes(m.type)) {
    errs.push(notSupported(`${path}.type`, m.type, METRIC_TYPES));
    return;
  }
  const field = m.type.charAt(0).toLowerCase() + m.type.slice(1);
  const x = m[field];
  if (x === undefined) {
    errs.push(required(`${path}.${field}`, `must populate information for the given metric source`));
    return;
  }
  if ((m.type === "Resource" || m.type === "ContainerResource") && !x.name)
    errs.push(required(`${path}.${field}.name`, "must specify a resource name"));
  if (m.type === "ContainerResource" && !x.container) errs.push(required(`${path}.${field}.container`, "must specify a container"));
  const t = x.target ?? {};
  if (!t.type) errs.push(required(`${path}.${field}.target.type`, "must specify a metric target type"));
  else oneOf(errs, `${path}.${field}.target.type`, t.type, ["Utilization", "Value", "AverageValue"]);
  for (const f of ["value", "averageValue"]) {
    if (t[f] !== undefined && parseQuantity(t[f]).sign() !== 1)
      errs.push(invalid(`${path}.${field}.target.${f}`, t[f], "must be positive"));
  }
  if (t.averageUtilization !== undefined && t.averageUtilization < 1)
    errs.push(invalid(`${path}.${field}.target.averageUtilization`, t.averageUtilization, "must be greater than 0"));
}

const WINDOW_MAX = 3600;
const PERIOD_MAX = 1800;

function scalingRules(errs: Errors, r: Obj, path: string): void {
  const w = r.stabilizationWindowSeconds;
  if (w !== undefined && w < 0) errs.push(invalid(`${path}.stabilizationWindowSeconds`, w, "must be greater than or equal to zero"));
  if (w !== undefined && w > WINDOW_MAX)
    errs.push(invalid(`${path}.stabilizationWindowSeconds`, w, `must be less than or equal to ${WINDOW_MAX}`));
  if (r.selectPolicy !== undefined) oneOf(errs, `${path}.selectPolicy`, r.selectPolicy, ["Disabled", "Max", "Min"]);
  const policies: Obj[] = r.policies ?? [];
  if (policies.length === 0) errs.push(required(`${path}.policies`, "must specify at least one Policy"));
  policies.forEach((p, i) => {
    const at = `${path}.policies[${i}]`;
    oneOf(errs, `${at}.type`, p.type, ["Percent", "Pods"]);
    if (p.value <= 0) errs.push(invalid(`${at}.value`, p.value, "must be greater than zero"));
    if (p.periodSeconds <= 0) errs.push(invalid(`${at}.periodSeconds`, p.periodSeconds, "must be greater than zero"));
    if (p.periodSeconds > PERIOD_MAX)
      errs.push(invalid(`${at}.periodSeconds`, p.periodSeconds, `must be less than or equal to ${PERIOD_MAX}`));
  });
}

const CSR_SECONDS_MIN = 600;

export function validateCsr(errs: Errors, o: Obj): void {
  const s = o.spec ?? {};
  const text = s.request ? Buffer.from(s.request, "base64").toString("utf8") : "";
  if (!/-----BEGIN CERTIFICATE REQUEST-----[\s\S]+-----END CERTIFICATE REQUEST-----/.test(text)) {
    errs.push(invalid("spec.request", s.request ? goBytes(s.request) : "", "PEM block type must be CERTIFICATE REQUEST"));
  }
  const usages: string[] = s.usages ?? [];
  if (usages.length === 0) errs.push(required("spec.usages"));
  usages.forEach((u, i) => {
    if (!KEY_USAGES.includes(u)) errs.push(notSupported(`spec.usages[${i}]`, u, [...KEY_USAGES].sort()));
    else if (usages.indexOf(u) < i) errs.push({ type: "FieldValueDuplicate", field: `spec.usages[${i}]`, detail: "", badValue: u });
  });
  const name: string = s.signerName ?? "";
  if (name === "") errs.push(required("spec.signerName"));
  else {
    const parts = name.split("/");
    if (parts.length !== 2)
      errs.push(invalid("spec.signerName", name, "must be a fully qualified domain and path of the form 'example.com/signer-name'"));
    else {
      if (!parts[0]!.includes("."))
        errs.push(invalid("spec.signerName", name, "should be a domain with at least two segments separated by dots"));
      invalidAll(errs, "spec.signerName", name, isDns1123Subdomain(parts[0]!));
    }
    if (name === "kubernetes.io/legacy-unknown")
      errs.push(invalid("spec.signerName", name, "the legacy signerName is not allowed via this API version"));
  }
  if (s.expirationSeconds !== undefined && s.expirationSeconds < CSR_SECONDS_MIN)
    errs.push(invalid("spec.expirationSeconds", s.expirationSeconds, "may not specify a duration less than 600 seconds (10 minutes)"));
  validateCsrConditions(errs, o);
}

const goBytes = (b64: string): string => b64;

const KEY_USAGES = [
  "signing",
  "digital signature",
  "content commitment",
  "key encipherment",
  "key agreement",
  "data encipherment",
  "cert sign",
  "crl sign",
  "encipher only",
  "decipher only",
  "any",
  "server auth",
  "client auth",
  "code signing",
  "email protection",
  "s/mime",
  "ipsec end system",
  "ipsec tunnel",
  "ipsec user",
  "timestamping",
  "ocsp signing",
  "microsoft sgc",
  "netscape sgc",
];

export function validateCsrConditions(errs: Errors, o: Obj): void {
  const conditions: Obj[] = o.status?.conditions ?? [];
  const seen = new Set<string>();
  conditions.forEach((c, i) => {
    const p = `status.conditions[${i}]`;
    if (!c.type) errs.push(required(`${p}.type`));
    else if (["Approved", "Denied", "Failed"].includes(c.type)) {
      if (!c.status) errs.push(required(`${p}.status`));
      else if (c.status !== "True") errs.push(notSupported(`${p}.status`, c.status, ["True"]));
    } else if (!c.status) errs.push(required(`${p}.status`));
    else oneOf(errs, `${p}.status`, c.status, ["False", "True", "Unknown"]);
    const opposite = c.type === "Approved" ? "Denied" : c.type === "Denied" ? "Approved" : undefined;
    if (opposite && seen.has(opposite)) errs.push(invalid(`${p}.type`, c.type, "Approved and Denied conditions are mutually exclusive"));
    else if (seen.has(c.type)) errs.push({ type: "FieldValueDuplicate", field: `${p}.type`, detail: "", badValue: c.type });
    seen.add(c.type);
  });
}

/** Updates of a certificate request may not take a verdict back. */
export function validateCsrVerdicts(errs: Errors, o: Obj, old: Obj): void {
  validateCsrConditions(errs, o);
  for (const type of ["Approved", "Denied", "Failed"]) {
    const has = (x: Obj): boolean => (x.status?.conditions ?? []).some((c: Obj) => c.type === type);
    if (has(old) && !has(o))
      errs.push(forbidden("status.conditions", `updates may not remove a condition of type ${JSON.stringify(type)}`));
  }
}

export function validateCsrStatus(errs: Errors, o: Obj, old: Obj): void {
  validateCsrVerdicts(errs, o, old);
  for (const type of ["Approved", "Denied"]) {
    const count = (x: Obj): number => (x.status?.conditions ?? []).filter((c: Obj) => c.type === type).length;
    if (count(o) > count(old)) errs.push(forbidden("status.conditions", `updates may not add a condition of type ${JSON.stringify(type)}`));
  }
  const pem = o.status?.certificate;
  if (pem !== undefined && pem !== old.status?.certificate) {
    const text = Buffer.from(pem, "base64").toString("utf8");
    if (!/-----BEGIN CERTIFICATE-----[\s\S]+-----END CERTIFICATE-----/.test(text)) {
      errs.push(invalid("status.certificate", "<certificate data>", "must contain at least one CERTIFICATE PEM block"));
    }
  }
}

export function validateFlowSchema(errs: Errors, o: Obj): void {
  const s = o.spec ?? {};
  if (s.matchingPrecedence <= 0) errs.push(invalid("spec.matchingPrecedence", s.matchingPrecedence, "must be a positive value"));
  if (s.matchingPrecedence > 10_000) errs.push(invalid("spec.matchingPrecedence", s.matchingPrecedence, "must not be greater than 10000"));
  if (s.distinguisherMethod) oneOf(errs, "spec.distinguisherMethod.type", s.distinguisherMethod.type, ["ByNamespace", "ByUser"]);
  if (!s.priorityLevelConfiguration?.name) errs.push(required("spec.priorityLevelConfiguration.name", "must reference a priority level"));
  else dnsSubdomain(errs, "spec.priorityLevelConfiguration.name", s.priorityLevelConfiguration.name);
  (s.rules ?? []).forEach((r: Obj, i: number) => {
    const p = `spec.rules[${i}]`;
    if ((r.subjects ?? []).length === 0) errs.push(required(`${p}.subjects`, "subjects must contain at least one value"));
    if ((r.resourceRules ?? []).length === 0 && (r.nonResourceRules ?? []).length === 0) {
      errs.push(required(p, "at least one of resourceRules and nonResourceRules has to be non-empty"));
    }
  });
}

export function validatePriorityLevel(errs: Errors, o: Obj): void {
  const s = o.spec ?? {};
  if (s.type === "Exempt") {
    if (s.limited) errs.push(forbidden("spec.limited", "must be nil if the type is not Limited"));
  } else if (s.type === "Limited") {
    if (!s.limited) errs.push(required("spec.limited", "must not be empty when type is Limited"));
    else {
      if (s.limited.nominalConcurrencyShares < 0)
        errs.push(invalid("spec.limited.nominalConcurrencyShares", s.limited.nominalConcurrencyShares, "must be a non-negative integer"));
      const r = s.limited.limitResponse ?? {};
      if (r.type === "Reject" && r.queuing)
        errs.push(forbidden("spec.limited.limitResponse.queuing", "must be nil if limited.limitResponse.type is not Limited"));
      else if (r.type === "Queue") {
        if (!r.queuing)
          errs.push(required("spec.limited.limitResponse.queuing", "must not be empty if limited.limitResponse.type is Limited"));
        else
          for (const f of ["queueLengthLimit", "queues", "handSize"])
            if (r.queuing[f] <= 0) errs.push(invalid(`spec.limited.limitResponse.queuing.${f}`, r.queuing[f], "must be positive"));
      } else if (r.type !== "Reject") errs.push(notSupported("spec.limited.limitResponse.type", r.type ?? "", ["Queue", "Reject"]));
    }
  } else errs.push(notSupported("spec.type", s.type ?? "", ["Exempt", "Limited"]));
}

export function validateApiService(errs: Errors, o: Obj): void {
  const s = o.spec ?? {};
  const want = `${s.version ?? ""}.${s.group ?? ""}`;
  if (o.metadata.name !== want)
    errs.push(invalid("metadata.name", o.metadata.name, `must be \`spec.version+"."+spec.group\`: ${JSON.stringify(want)}`));
  if (s.group && s.group !== "") dnsSubdomain(errs, "spec.group", s.group);
  if (s.version) dnsLabel(errs, "spec.version", s.version);
  if ((s.groupPriorityMinimum ?? 0) <= 0 || s.groupPriorityMinimum > 20_000)
    errs.push(invalid("spec.groupPriorityMinimum", s.groupPriorityMinimum ?? 0, "must be positive and less than 20000"));
  if ((s.versionPriority ?? 0) <= 0 || s.versionPriority > 1000)
    errs.push(invalid("spec.versionPriority", s.versionPriority ?? 0, "must be positive and less than 1000"));
  if (!s.service) {
    if (s.caBundle) errs.push(invalid("spec.caBundle", `${s.caBundle.length} bytes`, "local APIServices may not have a caBundle"));
    if (s.insecureSkipTLSVerify)
      errs.push(invalid("spec.insecureSkipTLSVerify", true, "local APIServices may not have insecureSkipTLSVerify"));
    return;
  }
  if (!s.service.namespace) errs.push(required("spec.service.namespace"));
  if (!s.service.name) errs.push(required("spec.service.name"));
  if (s.insecureSkipTLSVerify && s.caBundle)
    errs.push(invalid("spec.insecureSkipTLSVerify", true, "may not be true if caBundle is present"));
}
