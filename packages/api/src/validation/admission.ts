// Webhook configurations and admission policies (admissionregistration/validation of Kubernetes 1.34; CEL expressions are
// compiled where they run).

import { expressionError, expressionType, type PolicyEnvironment } from "../cel/admission.ts";
import type { CelType } from "../cel/types.ts";
import { forbidden, invalid, notSupported, required, tooMany } from "../errors/field-error.ts";
import { isDns1123Label, isQualifiedName } from "../meta/names.ts";
import { type Errors, invalidAll, type Obj, oneOf } from "./rules.ts";
import { validateLabelSelector } from "./selectors.ts";

const OPERATIONS = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const SCOPES = ["*", "Cluster", "Namespaced"];
const ALL = "if '*' is present, must not specify other";
const MATCH_CONDITIONS_MAX = 64;

export function validateWebhooks(errs: Errors, o: Obj, mutating: boolean): void {
  const names = new Set<string>();
  (o.webhooks ?? []).forEach((w: Obj, i: number) => {
    const p = `webhooks[${i}]`;
    webhook(errs, w, p, mutating);
    if (w.name) {
      if (names.has(w.name)) errs.push({ type: "FieldValueDuplicate", field: `${p}.name`, detail: "", badValue: w.name });
      names.add(w.name);
    }
  });
}

/** A name of at least three segments, or a subdomain. */
function fullyQualified(errs: Errors, name: string, path: string): void {
  if (!name) {
    errs.push(required(path));
    return;
  }
  const before = errs.length;
  const labels = name.split(".");
  if (!/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(name)) {
    for (const l of labels) invalidAll(errs, path, name, isDns1123Label(l));
  }
  if (errs.length === before && labels.length < 3)
    errs.push(invalid(path, name, "should be a domain with at least three segments separated by dots"));
}

function webhook(errs: Errors, w: Obj, path: string, mutating: boolean): void {
  fullyQualified(errs, w.name ?? "", `${path}.name`);
  (w.rules ?? []).forEach((r: Obj, i: number) => {
    ruleWithOperations(errs, r, `${path}.rules[${i}]`);
  });
  if (w.failurePolicy !== undefined) oneOf(errs, `${path}.failurePolicy`, w.failurePolicy, ["Fail", "Ignore"]);
  if (w.matchPolicy !== undefined) oneOf(errs, `${path}.matchPolicy`, w.matchPolicy, ["Equivalent", "Exact"]);
  const effects = ["None", "NoneOnDryRun"];
  if (w.sideEffects === undefined || w.sideEffects === null)
    errs.push(required(`${path}.sideEffects`, `must specify one of ${effects.join(", ")}`));
  else oneOf(errs, `${path}.sideEffects`, w.sideEffects, effects);
  if (w.timeoutSeconds !== undefined && (w.timeoutSeconds > 30 || w.timeoutSeconds < 1))
    errs.push(invalid(`${path}.timeoutSeconds`, w.timeoutSeconds, "the timeout value must be between 1 and 30 seconds"));
  if (mutating && w.reinvocationPolicy !== undefined)
    oneOf(errs, `${path}.reinvocationPolicy`, w.reinvocationPolicy, ["IfNeeded", "Never"]);
  validateLabelSelector(errs, w.namespaceSelector, `${path}.namespaceSelector`);
  validateLabelSelector(errs, w.objectSelector, `${path}.objectSelector`);
  clientConfig(errs, w.clientConfig ?? {}, `${path}.clientConfig`);
  const versions: string[] = w.admissionReviewVersions ?? [];
  if (versions.length === 0) errs.push(required(`${path}.admissionReviewVersions`, "must specify one of v1, v1beta1"));
  else if (!versions.some((v) => v === "v1" || v === "v1beta1")) {
    errs.push(invalid(`${path}.admissionReviewVersions`, versions, "must include at least one of v1, v1beta1"));
  }
  matchConditions(errs, w.matchConditions, `${path}.matchConditions`);
}

function clientConfig(errs: Errors, c: Obj, path: string): void {
  if ((c.url === undefined) === (c.service === undefined)) errs.push(required(path, "exactly one of url or service is required"));
  else if (c.url !== undefined) webhookUrl(errs, c.url, `${path}.url`);
  else webhookService(errs, c.service, `${path}.service`);
}

export function webhookUrl(errs: Errors, url: string, path: string): void {
  let u: URL;
  try {
    u = new URL(url);
  } catch {
    errs.push(
      required(path, `url must be a valid URL: parse ${JSON.stringify(url)}: invalid URI for request; desired format: https://host[/path]`),
    );
    return;
  }
  if (u.protocol !== "https:") errs.push(invalid(path, url, `'https' is the only allowed URL scheme; desired format: https://host[/path]`));
  if (u.host === "") errs.push(invalid(path, "", "host must be specified; desired format: https://host[/path]"));
  if (u.username !== "" || u.password !== "") errs.push(invalid(path, u.username, "user information is not permitted in the URL"));
  if (u.hash !== "") errs.push(invalid(path, u.hash.slice(1), "fragments are not permitted in the URL"));
  if (u.search !== "") errs.push(invalid(path, u.search.slice(1), "query parameters are not permitted in the URL"));
}

export function webhookService(errs: Errors, s: Obj, path: string): void {
  if (!s.name) errs.push(required(`${path}.name`, "service name is required"));
  if (!s.namespace) errs.push(required(`${path}.namespace`, "service namespace is required"));
  const port = s.port ?? 443;
  if (port < 1 || port > 65535) errs.push(invalid(`${path}.port`, port, "port is not valid: must be between 1 and 65535, inclusive"));
  if (s.path !== undefined && !s.path.startsWith("/")) errs.push(invalid(`${path}.path`, s.path, "must start with a '/'"));
}

function starOnly(errs: Errors, values: string[], path: string, what: string): void {
  if (values.length > 1 && values.includes("*")) errs.push(invalid(path, values, `${ALL} ${what}`));
}

export function ruleWithOperations(errs: Errors, r: Obj, path: string): void {
  const ops: string[] = r.operations ?? [];
  if (ops.length === 0) errs.push(required(`${path}.operations`));
  starOnly(errs, ops, `${path}.operations`, "operations");
  ops.forEach((op, i) => {
    if (!OPERATIONS.includes(op)) errs.push(notSupported(`${path}.operations[${i}]`, op, OPERATIONS));
  });
  for (const [f, what] of [
    ["apiGroups", "API groups"],
    ["apiVersions", "API versions"],
  ] as const) {
    const v: string[] = r[f] ?? [];
    if (v.length === 0) errs.push(required(`${path}.${f}`));
    starOnly(errs, v, `${path}.${f}`, what);
    if (f === "apiVersions") {
      v.forEach((x, i) => {
        if (x === "") errs.push(required(`${path}.${f}[${i}]`));
      });
    }
  }
  resources(errs, r.resources ?? [], `${path}.resources`);
  if (r.scope !== undefined && !SCOPES.includes(r.scope)) errs.push(notSupported(`${path}.scope`, r.scope, SCOPES));
}

function resources(errs: Errors, v: string[], path: string): void {
  if (v.length === 0) errs.push(required(path));
  const withSub = new Set<string>();
  const subs = new Set<string>();
  v.forEach((x, i) => {
    const at = `${path}[${i}]`;
    if (x === "") errs.push(required(at));
    if (x === "*" && v.length > 1 && v.some((y) => !y.includes("/") && y !== "*"))
      errs.push(invalid(path, v, "if '*' is present, must not specify other resources without subresources"));
    const slash = x.indexOf("/");
    if (slash < 0) return;
    const [res, sub] = [x.slice(0, slash), x.slice(slash + 1)];
    if (withSub.has(res)) errs.push(invalid(at, x, `if '${res}/*' is present, must not specify ${x}`));
    if (subs.has(sub)) errs.push(invalid(at, x, `if '*/${sub}' is present, must not specify ${x}`));
    if (sub === "*") withSub.add(res);
    if (res === "*") subs.add(sub);
  });
}

/** Reports an expression that does not compile, or to another type. */
function compile(errs: Errors, expression: string, path: string, want: readonly string[], env: PolicyEnvironment): void {
  const wrong = expressionError(expression, want, env);
  if (wrong !== undefined) errs.push(invalid(path, expression, wrong));
}

function matchConditions(errs: Errors, conditions: Obj[] | undefined, path: string, env: PolicyEnvironment = {}): void {
  const list = conditions ?? [];
  if (list.length > MATCH_CONDITIONS_MAX) {
    errs.push(tooMany(path, list.length, MATCH_CONDITIONS_MAX));
    return;
  }
  const names = new Set<string>();
  list.forEach((c, i) => {
    const p = `${path}[${i}]`;
    if (!(c.expression ?? "").trim()) errs.push(required(`${p}.expression`));
    else compile(errs, c.expression, `${p}.expression`, ["bool"], env);
    if (!c.name) errs.push(required(`${p}.name`));
    else {
      invalidAll(errs, `${p}.name`, c.name, isQualifiedName(c.name));
      if (names.has(c.name)) errs.push({ type: "FieldValueDuplicate", field: `${p}.name`, detail: "", badValue: c.name });
      names.add(c.name);
    }
  });
}

function matchResources(errs: Errors, m: Obj | undefined, path: string): void {
  if (m === undefined) return;
  if (m.matchPolicy !== undefined) oneOf(errs, `${path}.matchPolicy`, m.matchPolicy, ["Equivalent", "Exact"]);
  else errs.push(required(`${path}.matchPolicy`));
  if (m.namespaceSelector === undefined) errs.push(required(`${path}.namespaceSelector`));
  else validateLabelSelector(errs, m.namespaceSelector, `${path}.namespaceSelector`);
  if (m.objectSelector === undefined) errs.push(required(`${path}.objectSelector`));
  else validateLabelSelector(errs, m.objectSelector, `${path}.objectSelector`);
  for (const f of ["resourceRules", "excludeResourceRules"]) {
    (m[f] ?? []).forEach((r: Obj, i: number) => {
      ruleWithOperations(errs, r, `${path}.${f}[${i}]`);
    });
  }
}

const REASONS = ["Forbidden", "Invalid", "RequestEntityTooLarge"];

interface CheckedHead {
  params: boolean;
  types: Map<string, CelType>;
}

/** What validating and mutating policies have in common: failure policy, parameters, what is matched, variables. */
function policyHead(errs: Errors, s: Obj, mutation: boolean): CheckedHead {
  if (s.failurePolicy !== undefined) oneOf(errs, "spec.failurePolicy", s.failurePolicy, ["Fail", "Ignore"]);
  else errs.push(required("spec.failurePolicy"));
  if (s.paramKind) {
    if (!s.paramKind.apiVersion) errs.push(required("spec.paramKind.apiVersion"));
    if (!s.paramKind.kind) errs.push(required("spec.paramKind.kind"));
  }
  if (s.matchConstraints === undefined) errs.push(required("spec.matchConstraints"));
  else {
    matchResources(errs, s.matchConstraints, "spec.matchConstraints");
    if ((s.matchConstraints.resourceRules ?? []).length === 0) errs.push(required("spec.matchConstraints.resourceRules"));
  }
  const params = s.paramKind !== undefined;
  matchConditions(errs, s.matchConditions, "spec.matchConditions", { params });
  const types = new Map<string, CelType>();
  const names = new Set<string>();
  (s.variables ?? []).forEach((v: Obj, i: number) => {
    const p = `spec.variables[${i}]`;
    if (!v.name?.trim()) errs.push(required(`${p}.name`, "name is not specified"));
    else {
      if (!/^[_a-zA-Z][_a-zA-Z0-9]*$/.test(v.name)) errs.push(invalid(`${p}.name`, v.name, "name is not a valid CEL identifier"));
      if (names.has(v.name)) errs.push({ type: "FieldValueDuplicate", field: `${p}.name`, detail: "", badValue: v.name });
      names.add(v.name);
    }
    if (!v.expression?.trim()) errs.push(required(`${p}.expression`, "expression is not specified"));
    else {
      const env = { params, mutation, variables: new Map(types) };
      const wrong = expressionError(v.expression, [expressionType(v.expression, env).kind], env);
      if (wrong !== undefined) errs.push(invalid(`${p}.expression`, v.expression, wrong));
      types.set(v.name, expressionType(v.expression, env));
    }
  });
  return { params, types };
}

const PATCH_TYPES = ["ApplyConfiguration", "JSONPatch"];
const PATCH_RESULTS: Readonly<Record<string, { field: "applyConfiguration" | "jsonPatch"; type: string }>> = {
  ApplyConfiguration: { field: "applyConfiguration", type: "Object" },
  JSONPatch: { field: "jsonPatch", type: "list(JSONPatch)" },
};

export function validateMutatingPolicy(errs: Errors, o: Obj): void {
  const s = o.spec ?? {};
  const { params, types } = policyHead(errs, s, true);
  const env: PolicyEnvironment = { params, variables: types, mutation: true };
  if ((s.mutations ?? []).length === 0) errs.push(required("spec.mutations", "mutations must contain at least one item"));
  (s.mutations ?? []).forEach((m: Obj, i: number) => {
    const p = `spec.mutations[${i}]`;
    if (!m.patchType) {
      errs.push(required(`${p}.patchType`));
      return;
    }
    const want = PATCH_RESULTS[m.patchType];
    if (!want) {
      errs.push(notSupported(`${p}.patchType`, m.patchType, PATCH_TYPES));
      return;
    }
    const other = want.field === "jsonPatch" ? "applyConfiguration" : "jsonPatch";
    if (m[other] !== undefined) errs.push(invalid(`${p}.${other}`, "{}", `must not be set when patchType is ${m.patchType}`));
    if (m[want.field] === undefined) errs.push(required(`${p}.${want.field}`, `must be specified when patchType is ${m.patchType}`));
    else if (!m[want.field].expression?.trim()) errs.push(required(`${p}.${want.field}.expression`, "expression is not specified"));
    else compile(errs, m[want.field].expression, `${p}.${want.field}.expression`, [want.type], env);
  });
  if (!s.reinvocationPolicy) errs.push(required("spec.reinvocationPolicy"));
  else oneOf(errs, "spec.reinvocationPolicy", s.reinvocationPolicy, ["IfNeeded", "Never"]);
}

export function validateMutatingPolicyBinding(errs: Errors, o: Obj): void {
  bindingHead(errs, o.spec ?? {});
}

export function validateAdmissionPolicy(errs: Errors, o: Obj): void {
  const s = o.spec ?? {};
  const { params, types } = policyHead(errs, s, false);
  const env: PolicyEnvironment = { params, variables: types };
  if ((s.validations ?? []).length === 0 && (s.auditAnnotations ?? []).length === 0) {
    errs.push(required("spec.validations", "validations or auditAnnotations must contain at least one item"));
    errs.push(required("spec.auditAnnotations", "validations or auditAnnotations must contain at least one item"));
  }
  (s.validations ?? []).forEach((v: Obj, i: number) => {
    const p = `spec.validations[${i}]`;
    if (!v.expression?.trim()) errs.push(required(`${p}.expression`, "expression is not specified"));
    else compile(errs, v.expression, `${p}.expression`, ["bool"], env);
    if (v.messageExpression?.trim())
      compile(errs, v.messageExpression, `${p}.messageExpression`, ["string"], { ...env, authorizer: false });
    if (v.message !== undefined && v.message !== "" && v.message.trim() === "")
      errs.push(invalid(`${p}.message`, v.message, "message must be non-empty if specified"));
    else if ((v.message ?? "").trim().includes("\n")) errs.push(invalid(`${p}.message`, v.message, "message must not contain line breaks"));
    if (v.reason !== undefined && !REASONS.includes(v.reason)) errs.push(notSupported(`${p}.reason`, v.reason, REASONS));
  });
  auditAnnotations(errs, o, env);
}

/** Audit annotations of one policy. */
const AUDIT_ANNOTATIONS_MAX = 20;

function auditAnnotations(errs: Errors, o: Obj, env: PolicyEnvironment): void {
  const list: Obj[] = o.spec?.auditAnnotations ?? [];
  if (list.length > AUDIT_ANNOTATIONS_MAX) {
    errs.push(tooMany("spec.auditAnnotations", list.length, AUDIT_ANNOTATIONS_MAX));
    return;
  }
  const keys = new Set<string>();
  list.forEach((a, i) => {
    const p = `spec.auditAnnotations[${i}]`;
    if (!a.key) errs.push(required(`${p}.key`));
    else invalidAll(errs, `${p}.key`, a.key, isQualifiedName(`${o.metadata?.name}/${a.key}`));
    if (a.key && keys.has(a.key)) errs.push({ type: "FieldValueDuplicate", field: `${p}.key`, detail: "", badValue: a.key });
    keys.add(a.key);
    if (!a.valueExpression?.trim()) errs.push(required(`${p}.valueExpression`, "valueExpression is not specified"));
    else compile(errs, a.valueExpression, `${p}.valueExpression`, ["string", "null_type"], env);
  });
}

function bindingHead(errs: Errors, s: Obj): void {
  if (!s.policyName) errs.push(required("spec.policyName"));
  if (s.paramRef) {
    const named = !!s.paramRef.name;
    const selected = s.paramRef.selector !== undefined;
    if (named && selected) errs.push(forbidden("spec.paramRef.name", "name and selector are mutually exclusive"));
    if (!named && !selected) errs.push(required("spec.paramRef", "one of name or selector must be specified"));
    if (s.paramRef.parameterNotFoundAction === undefined) errs.push(required("spec.paramRef.parameterNotFoundAction"));
    else oneOf(errs, "spec.paramRef.parameterNotFoundAction", s.paramRef.parameterNotFoundAction, ["Allow", "Deny"]);
  }
  matchResources(errs, s.matchResources, "spec.matchResources");
}

export function validateAdmissionPolicyBinding(errs: Errors, o: Obj): void {
  const s = o.spec ?? {};
  bindingHead(errs, s);
  const actions: string[] = s.validationActions ?? [];
  if (actions.length === 0) errs.push(required("spec.validationActions"));
  actions.forEach((a, i) => {
    const p = `spec.validationActions[${i}]`;
    if (!["Audit", "Deny", "Warn"].includes(a)) errs.push(notSupported(p, a, ["Audit", "Deny", "Warn"]));
    if (actions.indexOf(a) < i) errs.push({ type: "FieldValueDuplicate", field: p, detail: "", badValue: a });
  });
  if (actions.includes("Deny") && actions.includes("Warn"))
    errs.push(
      invalid(
        "spec.validationActions",
        actions,
        "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)",
      ),
    );
}
