// ValidatingAdmissionPolicy: rules in CEL that bindings put into force (apiserver/pkg/admission/plugin/policy/validating).
// Invariant: a policy is compiled once a version; what cannot be evaluated follows the policy's failurePolicy.
import { type CompiledPolicy, compilePolicy, type KubeObject, labelSelector, StatusError } from "@podwire/api";
import type { CachedObject } from "../cache/cached-object.ts";
import type { Api } from "../call.ts";
import { celInput } from "./cel-input.ts";
import type { AdmissionPlugin, Attributes } from "./chain.ts";
import { nameOf } from "./forbidden.ts";
import { namespaceMatches, objectMatches, type Rule, ruleMatches } from "./matching.ts";

const GROUP = "admissionregistration.k8s.io";
const CODES: Readonly<Record<string, number>> = { Unauthorized: 401, Forbidden: 403, Invalid: 422, RequestEntityTooLarge: 413 };

interface Matching {
  resourceRules?: Rule[];
  excludeResourceRules?: Rule[];
  namespaceSelector?: object;
  objectSelector?: object;
}

export function validatingPolicies(api: Api): AdmissionPlugin {
  const policies = api.cache.of(GROUP, "validatingadmissionpolicies");
  const bindings = api.cache.of(GROUP, "validatingadmissionpolicybindings");
  const compiled = new WeakMap<CachedObject, CompiledPolicy>();
  const compiledOf = (p: CachedObject): CompiledPolicy => {
    let c = compiled.get(p);
    if (!c) {
      c = compilePolicy(p.object["spec"]);
      compiled.set(p, c);
    }
    return c;
  };
  return {
    name: "ValidatingAdmissionPolicy",
    operations: ["CREATE", "UPDATE", "DELETE", "CONNECT"],
    validate(a) {
      if (bindings.size === 0 || a.info.group === GROUP) return;
      for (const b of bindings.values()) {
        const binding = b.object["spec"] ?? {};
        const policy = policies.get("", binding.policyName ?? "");
        if (!policy) continue;
        const spec = policy.object["spec"] ?? {};
        if (!matches(api, a, spec.matchConstraints, false) || !matches(api, a, binding.matchResources, true)) continue;
        for (const params of paramsOf(api, a, spec, binding)) {
          enforce(api, a, compiledOf(policy), { spec, binding, policyName: policy.key.name, bindingName: b.key.name, params });
        }
      }
    },
  };
}

function matches(api: Api, a: Attributes, m: Matching | undefined, whenAbsent: boolean): boolean {
  if (!m) return whenAbsent;
  if (!namespaceMatches(api.cache, m.namespaceSelector, a) || !objectMatches(m.objectSelector, a)) return false;
  if ((m.excludeResourceRules ?? []).some((r) => ruleMatches(r, a))) return false;
  const rules = m.resourceRules ?? [];
  return rules.length === 0 ? whenAbsent : rules.some((r) => ruleMatches(r, a));
}

interface InForce {
  spec: Record<string, any>;
  binding: Record<string, any>;
  policyName: string;
  bindingName: string;
  params: KubeObject | null | undefined;
}

function enforce(api: Api, a: Attributes, policy: CompiledPolicy, f: InForce): void {
  const input = celInput(api, a, f.params);
  const ignores = f.spec["failurePolicy"] === "Ignore";
  const who = `ValidatingAdmissionPolicy '${f.policyName}' with binding '${f.bindingName}'`;
  const actions: string[] = f.binding["validationActions"] ?? [];
  const act = (message: string, reason: string) => {
    if (actions.includes("Warn")) a.warnings.push(`Validation failed for ${who}: ${message}`);
    if (actions.includes("Deny")) throw denied(a, `${who} denied request: ${message}`, reason);
  };
  const matched = policy.matches(input);
  if (matched.error !== undefined) {
    if (!ignores) act(matched.error, "Invalid");
    return;
  }
  if (!matched.matched) return;
  for (const d of policy.decide(input)) {
    if (d.ok || (d.error !== undefined && ignores)) continue;
    act(d.message, d.reason);
  }
}

function denied(a: Attributes, message: string, reason: string): StatusError {
  const { group, resource, groupResource } = a.info;
  const name = nameOf(a);
  return new StatusError(CODES[reason] ?? 422, reason, `${groupResource} ${JSON.stringify(name)} is forbidden: ${message}`, {
    name,
    ...(group ? { group } : {}),
    kind: resource,
    causes: [{ message }],
  });
}

/** The parameter objects of a binding; [undefined] for a policy without parameters. */
function paramsOf(api: Api, a: Attributes, spec: Record<string, any>, binding: Record<string, any>): (KubeObject | null | undefined)[] {
  const kind = spec["paramKind"];
  if (!kind) return [undefined];
  const ref = binding["paramRef"];
  if (!ref) return [null];
  const slash = String(kind.apiVersion).indexOf("/");
  const group = slash < 0 ? "" : kind.apiVersion.slice(0, slash);
  const served = api.catalogue.byKind(group, kind.apiVersion.slice(slash + 1), kind.kind);
  const failed = (why: string) => denied(a, `policy '${binding["policyName"]}' denied request: ${why}`, "Forbidden");
  if (!served)
    throw failed(`failed to configure binding: failed to find resource referenced by paramKind: '${kind.apiVersion}, Kind=${kind.kind}'`);
  const objects = api.cache.of(served.storage.group, served.storage.resource);
  const namespace = served.info.namespaced ? (ref.namespace ?? a.namespace) : "";
  const found: KubeObject[] = [];
  if (ref.name) {
    const o = objects.get(namespace, ref.name);
    if (o) found.push(served.decoded(o));
  } else if (ref.selector) {
    const s = labelSelector(ref.selector);
    for (const o of objects.values(namespace || undefined)) if (s.matches(o.object.metadata.labels ?? {})) found.push(served.decoded(o));
  }
  if (found.length > 0) return found;
  if (ref.parameterNotFoundAction === "Allow") return [];
  throw failed("no params found for policy binding with `Deny` parameterNotFoundAction");
}
