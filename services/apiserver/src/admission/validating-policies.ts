// ValidatingAdmissionPolicy: rules in CEL that bindings put into force (apiserver/pkg/admission/plugin/policy/validating).
// Invariant: a policy is compiled once a version; what cannot be evaluated follows the policy's failurePolicy; every binding is heard
// before the first refusal is answered.
import { type CompiledPolicy, compilePolicy, type KubeObject, StatusError } from "@podwire/api";
import type { CachedObject } from "../cache/cached-object.ts";
import type { Api } from "../call.ts";
import { celInput } from "./cel-input.ts";
import type { AdmissionPlugin, Attributes } from "./chain.ts";
import { Forms } from "./equivalents.ts";
import { nameOf } from "./forbidden.ts";
import { type Bound, boundTo, PolicyConfigurationError, paramsOf } from "./policy-bindings.ts";

const CODES: Readonly<Record<string, number>> = { Unauthorized: 401, Forbidden: 403, Invalid: 422, RequestEntityTooLarge: 413 };
const FAILURE_ANNOTATION = "validation.policy.admission.k8s.io/validation_failure";
/** Characters of an audit annotation's value; the rest is cut off. */
const ANNOTATION_MAX = 10 * 1024;

interface Refusal {
  message: string;
  reason: string;
}

export function validatingPolicies(api: Api): AdmissionPlugin {
  const compiled = new WeakMap<CachedObject, CompiledPolicy>();
  const compiledOf = (p: CachedObject): CompiledPolicy => {
    let c = compiled.get(p);
    if (!c) {
      c = compilePolicy(p.object["spec"] ?? {});
      compiled.set(p, c);
    }
    return c;
  };
  return {
    name: "ValidatingAdmissionPolicy",
    operations: ["CREATE", "UPDATE", "DELETE", "CONNECT"],
    async validate(a) {
      const all = [...boundTo(api, a, "validatingadmissionpolicies", "validatingadmissionpolicybindings")];
      if (all.length === 0) return;
      const forms = new Forms(api, a);
      const refusals: Refusal[] = [];
      const annotations = new Map<string, string[]>();
      for (const bound of all) {
        const ignores = bound.policy.object["spec"]?.failurePolicy === "Ignore";
        try {
          const form = await forms.in(bound.matched);
          for (const params of await paramsOf(api, a, bound))
            enforce(api, form, compiledOf(bound.policy), { ...bound, params, ignores, refusals, annotations });
        } catch (e) {
          if (!(e instanceof PolicyConfigurationError)) throw e;
          const message = `failed to configure ${e.ofBinding ? "binding" : "policy"}: ${e.message}`;
          if (!ignores)
            refusals.push({ message: `${e.ofBinding ? who(bound) : policyOf(bound)} denied request: ${message}`, reason: "Invalid" });
        }
      }
      for (const [key, values] of annotations) a.notes?.annotate(key, values.join(", "));
      if (refusals[0]) throw denied(a, refusals[0]);
    },
  };
}

interface InForce extends Bound {
  params: KubeObject | null | undefined;
  ignores: boolean;
  refusals: Refusal[];
  annotations: Map<string, string[]>;
}

const policyOf = (b: Bound) => `ValidatingAdmissionPolicy '${b.policy.key.name}'`;
const who = (b: Bound) => `${policyOf(b)} with binding '${b.binding.key.name}'`;

function enforce(api: Api, a: Attributes, policy: CompiledPolicy, f: InForce): void {
  const input = celInput(api, a, f.params);
  const actions: string[] = f.binding.object["spec"]?.validationActions ?? [];
  const act = (index: number, message: string, reason: string) => {
    for (const action of actions) {
      if (action === "Warn") a.warnings.push(`Validation failed for ${who(f)}: ${message}`);
      if (action === "Deny") f.refusals.push({ message: `${who(f)} denied request: ${message}`, reason });
      if (action === "Audit")
        a.notes?.annotate(
          FAILURE_ANNOTATION,
          JSON.stringify([
            { message, policy: f.policy.key.name, binding: f.binding.key.name, expressionIndex: index, validationActions: actions },
          ]),
        );
    }
  };
  const matched = policy.matches(input);
  if (matched.error !== undefined) {
    if (!f.ignores) act(0, matched.error, "Invalid");
    return;
  }
  if (!matched.matched) return;
  for (const [i, d] of policy.decide(input).entries()) {
    if (d.ok || (d.error !== undefined && f.ignores)) continue;
    act(i, d.message, d.error === undefined ? d.reason : "Invalid");
  }
  for (const n of policy.auditAnnotations(input)) {
    if (n.error !== undefined) {
      if (!f.ignores) f.refusals.push({ message: `${who(f)} denied request: ${n.error}`, reason: "Invalid" });
    } else if (n.value !== undefined) {
      const key = `${f.policy.key.name}/${n.key}`;
      const value = n.value.slice(0, ANNOTATION_MAX);
      const values = f.annotations.get(key) ?? [];
      if (!values.includes(value)) f.annotations.set(key, [...values, value]);
    }
  }
}

function denied(a: Attributes, r: Refusal): StatusError {
  const { group, resource, groupResource } = a.info;
  const name = nameOf(a);
  return new StatusError(CODES[r.reason] ?? 422, r.reason, `${groupResource} ${JSON.stringify(name)} is forbidden: ${r.message}`, {
    name,
    ...(group ? { group } : {}),
    kind: resource,
    causes: [{ message: r.message }],
  });
}
