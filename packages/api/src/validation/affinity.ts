// Where a pod may run: node selectors, affinity, tolerations, topology spreading (core/validation of Kubernetes 1.34).
import { duplicate, invalid, notSupported, required } from "../errors/field-error.ts";
import { isDns1123Subdomain, isLabelValue } from "../meta/names.ts";
import { type Errors, invalidAll, type Obj, oneOf, qualifiedName } from "./rules.ts";
import { validateLabelSelector } from "./selectors.ts";

const SPREAD_POLICIES = ["Honor", "Ignore"];

export function validateNodeSelector(errs: Errors, s: Obj, path: string): void {
  const terms: Obj[] = s.nodeSelectorTerms ?? [];
  if (terms.length === 0) {
    errs.push(required(`${path}.nodeSelectorTerms`, "must have at least one node selector term"));
    return;
  }
  terms.forEach((t, i) => {
    validateNodeSelectorTerm(errs, t, `${path}.nodeSelectorTerms[${i}]`);
  });
}

function validateNodeSelectorTerm(errs: Errors, t: Obj, path: string): void {
  (t.matchExpressions ?? []).forEach((r: Obj, i: number) => {
    nodeRequirement(errs, r, `${path}.matchExpressions[${i}]`);
  });
  (t.matchFields ?? []).forEach((r: Obj, i: number) => {
    const p = `${path}.matchFields[${i}]`;
    if (r.operator === "In" || r.operator === "NotIn") {
      if ((r.values ?? []).length !== 1)
        errs.push(required(`${p}.values`, "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"));
    } else errs.push(invalid(`${p}.operator`, r.operator, "not a valid selector operator"));
    if (r.key !== "metadata.name") errs.push(invalid(`${p}.key`, r.key, "not a valid field selector key"));
    else
      (r.values ?? []).forEach((v: string, j: number) => {
        invalidAll(errs, `${p}.values[${j}]`, v, isDns1123Subdomain(v));
      });
  });
}

function nodeRequirement(errs: Errors, r: Obj, path: string): void {
  const n = (r.values ?? []).length;
  switch (r.operator) {
    case "In":
    case "NotIn":
      if (n === 0) errs.push(required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
      break;
    case "Exists":
    case "DoesNotExist":
      if (n > 0)
        errs.push({
          type: "FieldValueForbidden",
          field: `${path}.values`,
          detail: "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
          badValue: "",
        });
      break;
    case "Gt":
    case "Lt":
      if (n !== 1) errs.push(required(`${path}.values`, "must be specified single value when `operator` is 'Lt' or 'Gt'"));
      break;
    default:
      errs.push(invalid(`${path}.operator`, r.operator, "not a valid selector operator"));
  }
  qualifiedName(errs, `${path}.key`, r.key);
}

export function validateAffinity(errs: Errors, a: Obj | undefined, path: string): void {
  if (a === undefined) return;
  const node = a.nodeAffinity;
  if (node) {
    const p = `${path}.nodeAffinity`;
    if (node.requiredDuringSchedulingIgnoredDuringExecution) {
      validateNodeSelector(
        errs,
        node.requiredDuringSchedulingIgnoredDuringExecution,
        `${p}.requiredDuringSchedulingIgnoredDuringExecution`,
      );
    }
    (node.preferredDuringSchedulingIgnoredDuringExecution ?? []).forEach((t: Obj, i: number) => {
      const at = `${p}.preferredDuringSchedulingIgnoredDuringExecution[${i}]`;
      weight(errs, t.weight, at);
      validateNodeSelectorTerm(errs, t.preference, `${at}.preference`);
    });
  }
  for (const kind of ["podAffinity", "podAntiAffinity"]) {
    const x = a[kind];
    if (!x) continue;
    const p = `${path}.${kind}`;
    (x.requiredDuringSchedulingIgnoredDuringExecution ?? []).forEach((t: Obj, i: number) => {
      podTerm(errs, t, `${p}.requiredDuringSchedulingIgnoredDuringExecution[${i}]`);
    });
    (x.preferredDuringSchedulingIgnoredDuringExecution ?? []).forEach((t: Obj, i: number) => {
      const at = `${p}.preferredDuringSchedulingIgnoredDuringExecution[${i}]`;
      weight(errs, t.weight, at);
      podTerm(errs, t.podAffinityTerm, `${at}.podAffinityTerm`);
    });
  }
}

function weight(errs: Errors, w: number, path: string): void {
  if (w <= 0 || w > 100) errs.push(invalid(`${path}.weight`, w, "must be in the range 1-100"));
}

function podTerm(errs: Errors, t: Obj, path: string): void {
  validateLabelSelector(errs, t.labelSelector, `${path}.labelSelector`);
  validateLabelSelector(errs, t.namespaceSelector, `${path}.namespaceSelector`);
  for (const n of t.namespaces ?? []) invalidAll(errs, `${path}.namespace`, n, isDns1123Subdomain(n));
  matchLabelKeys(errs, t, path);
  if (!t.topologyKey) errs.push(required(`${path}.topologyKey`, "can not be empty"));
  qualifiedName(errs, `${path}.topologyKey`, t.topologyKey ?? "");
}

function matchLabelKeys(errs: Errors, t: Obj, path: string): void {
  for (const field of ["matchLabelKeys", "mismatchLabelKeys"]) {
    const keys: string[] = t[field] ?? [];
    if (keys.length > 0 && t.labelSelector === undefined) {
      errs.push({
        type: "FieldValueForbidden",
        field: `${path}.${field}`,
        detail: "must not be specified when labelSelector is not set",
        badValue: "",
      });
    }
    keys.forEach((k, i) => {
      qualifiedName(errs, `${path}.${field}[${i}]`, k);
      if (field === "matchLabelKeys" && (t.mismatchLabelKeys ?? []).includes(k)) {
        errs.push(invalid(`${path}.${field}[${i}]`, k, "exists in both matchLabelKeys and mismatchLabelKeys"));
      }
    });
  }
}

export function validateTolerations(errs: Errors, tolerations: Obj[] | undefined, path: string): void {
  (tolerations ?? []).forEach((t, i) => {
    const p = `${path}[${i}]`;
    if (t.key) qualifiedName(errs, `${p}.key`, t.key);
    if (!t.key && t.operator !== "Exists")
      errs.push(
        invalid(
          `${p}.operator`,
          t.operator ?? "",
          'operator must be Exists when `key` is empty, which means "match all values and all keys"',
        ),
      );
    if (t.tolerationSeconds !== undefined && t.effect !== "NoExecute") {
      errs.push(invalid(`${p}.effect`, t.effect ?? "", "effect must be 'NoExecute' when `tolerationSeconds` is set"));
    }
    switch (t.operator) {
      case "Equal":
      case undefined:
      case "": {
        const bad = isLabelValue(t.value ?? "");
        if (bad.length > 0) errs.push(invalid(`${p}.operator`, t.value, bad.join(";")));
        break;
      }
      case "Exists":
        if (t.value) errs.push(invalid(`${p}.operator`, internalToleration(t), "value must be empty when `operator` is 'Exists'"));
        break;
      default:
        errs.push(notSupported(`${p}.operator`, t.operator, ["Equal", "Exists"]));
    }
    if (t.effect) oneOf(errs, `${p}.effect`, t.effect, ["NoSchedule", "PreferNoSchedule", "NoExecute"]);
  });
}

function internalToleration(t: Obj): Obj {
  return {
    Key: t.key ?? "",
    Operator: t.operator ?? "",
    Value: t.value ?? "",
    Effect: t.effect ?? "",
    TolerationSeconds: t.tolerationSeconds ?? null,
  };
}

export function validateSpreadConstraints(errs: Errors, constraints: Obj[] | undefined, path: string): void {
  (constraints ?? []).forEach((c, i) => {
    const p = `${path}[${i}]`;
    if ((c.maxSkew ?? 0) <= 0) errs.push(invalid(`${p}.maxSkew`, c.maxSkew ?? 0, "must be greater than zero"));
    if (!c.topologyKey) errs.push(required(`${p}.topologyKey`, "can not be empty"));
    else qualifiedName(errs, `${p}.topologyKey`, c.topologyKey);
    oneOf(errs, `${p}.whenUnsatisfiable`, c.whenUnsatisfiable, ["DoNotSchedule", "ScheduleAnyway"]);
    const same = constraints!.findIndex((o) => o.topologyKey === c.topologyKey && o.whenUnsatisfiable === c.whenUnsatisfiable);
    if (same < i) errs.push(duplicate(`${p}.{topologyKey, whenUnsatisfiable}`, `{${c.topologyKey}, ${c.whenUnsatisfiable}}`));
    if (c.minDomains !== undefined) {
      if (c.minDomains <= 0) errs.push(invalid(`${p}.minDomains`, c.minDomains, "must be greater than zero"));
      if (c.whenUnsatisfiable !== "DoNotSchedule") {
        errs.push(
          invalid(
            `${p}.minDomains`,
            c.minDomains,
            `can only use minDomains if whenUnsatisfiable=DoNotSchedule, not ${c.whenUnsatisfiable}`,
          ),
        );
      }
    }
    if (c.nodeAffinityPolicy !== undefined) oneOf(errs, `${p}.nodeAffinityPolicy`, c.nodeAffinityPolicy, SPREAD_POLICIES);
    if (c.nodeTaintsPolicy !== undefined) oneOf(errs, `${p}.nodeTaintsPolicy`, c.nodeTaintsPolicy, SPREAD_POLICIES);
    matchLabelKeys(errs, c, p);
    validateLabelSelector(errs, c.labelSelector, `${p}.labelSelector`);
  });
}
