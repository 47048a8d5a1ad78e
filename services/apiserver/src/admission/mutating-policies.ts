// MutatingAdmissionPolicy: changes in CEL that bindings put into force, as apply configurations or JSON patches
// (apiserver/pkg/admission/plugin/policy/mutating). Invariant: mutations run in order of policy, binding, parameter and place, each on what the
// one before left; what cannot be evaluated follows the policy's failurePolicy.
import {
  applyCelJsonPatch,
  applyConfiguration,
  CelCompileError,
  CelRuntimeError,
  type CompiledMutations,
  compileMutations,
  type KubeObject,
  MutationError,
  StatusError,
} from "@podwire/api";
import type { CachedObject } from "../cache/cached-object.ts";
import type { Api } from "../call.ts";
import { celInput } from "./cel-input.ts";
import type { AdmissionPlugin, Attributes } from "./chain.ts";
import { applyDefaultsOf, typeOf } from "./defaulted.ts";
import { Forms } from "./equivalents.ts";
import { nameOf } from "./forbidden.ts";
import { type Bound, boundTo, PolicyConfigurationError, paramsOf } from "./policy-bindings.ts";

const NAME = "MutatingAdmissionPolicy";

export function mutatingPolicies(api: Api): AdmissionPlugin {
  const compiled = new WeakMap<CachedObject, CompiledMutations>();
  const compiledOf = (p: CachedObject): CompiledMutations => {
    let c = compiled.get(p);
    if (!c) {
      c = compileMutations(p.object["spec"] ?? {});
      compiled.set(p, c);
    }
    return c;
  };
  return {
    name: NAME,
    operations: ["CREATE", "UPDATE", "CONNECT"],
    async admit(a) {
      const turn = a.reinvocation?.of(NAME);
      turn?.begin(a.object);
      const forms = new Forms(api, a);
      const failures: { bound: Bound; message: string }[] = [];
      for (const bound of boundTo(api, a, "mutatingadmissionpolicies", "mutatingadmissionpolicybindings")) {
        const spec = bound.policy.object["spec"] ?? {};
        const fail = (message: string) => {
          if (spec.failurePolicy !== "Ignore") failures.push({ bound, message });
        };
        let params: Awaited<ReturnType<typeof paramsOf>>;
        try {
          params = await paramsOf(api, a, bound);
        } catch (e) {
          if (!(e instanceof PolicyConfigurationError)) throw e;
          fail(`failed to configure ${e.ofBinding ? "binding" : "policy"}: ${e.message}`);
          continue;
        }
        for (const p of params) {
          const id = [bound.policy.key.name, bound.binding.key.name, p?.metadata.namespace ?? "", p?.metadata.name ?? ""].join("\n");
          if (turn && !turn.runs(id)) continue;
          const policy = compiledOf(bound.policy);
          const form = await forms.in(bound.matched);
          const conditions = policy.matches(celInput(api, form, p));
          if (conditions.error !== undefined) fail(conditions.error);
          if (!conditions.matched) continue;
          const before = JSON.stringify(form.object);
          for (const m of policy.mutations) mutate(api, form, m, p, fail);
          const changed = JSON.stringify(form.object) !== before;
          if (changed && form.object) await forms.take(bound.matched, form.object);
          turn?.ran(id, changed, spec.reinvocationPolicy === "IfNeeded");
        }
      }
      turn?.end(a.object);
      const first = failures[0];
      if (first) throw denied(a, first.bound, first.message);
    },
  };
}

function mutate(
  api: Api,
  a: Attributes,
  m: CompiledMutations["mutations"][number],
  params: KubeObject | null | undefined,
  fail: (message: string) => void,
): void {
  if (!a.object) return;
  try {
    const answer = m.answer(celInput(api, a, params));
    const next = m.patchType === "JSONPatch" ? applyCelJsonPatch(a.object, answer) : applyConfiguration(typeOf(a), a.object, answer);
    if (next === a.object) return;
    applyDefaultsOf(api, a, next);
    a.object = next;
  } catch (e) {
    if (!(e instanceof CelRuntimeError || e instanceof CelCompileError || e instanceof MutationError)) throw e;
    fail(e.message);
  }
}

function denied(a: Attributes, b: Bound, why: string): StatusError {
  const { group, resource, groupResource } = a.info;
  const name = nameOf(a);
  const message = `policy '${b.policy.key.name}' with binding '${b.binding.key.name}' denied request: ${why}`;
  return new StatusError(422, "Invalid", `${groupResource} ${JSON.stringify(name)} is forbidden: ${message}`, {
    name,
    ...(group ? { group } : {}),
    kind: resource,
    causes: [{ message }],
  });
}
