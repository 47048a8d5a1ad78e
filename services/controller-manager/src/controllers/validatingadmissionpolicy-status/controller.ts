// What a ValidatingAdmissionPolicy's expressions get wrong about the types that they look at, said in its status
// (pkg/controller/validatingadmissionpolicystatus). Invariant: a policy is checked once for each of its generations.
import { type ExpressionWarning, typeCheckPolicy, typedKinds } from "@podwire/api";
import { type KubeObject, runController } from "@podwire/client";
import type { ControllerContext, RunningController } from "../../context.ts";

const POLICIES = {
  group: "admissionregistration.k8s.io",
  version: "v1",
  resource: "validatingadmissionpolicies",
  kind: "ValidatingAdmissionPolicy",
  namespaced: false,
};
const DEFINITIONS = {
  group: "apiextensions.k8s.io",
  version: "v1",
  resource: "customresourcedefinitions",
  kind: "CustomResourceDefinition",
  namespaced: false,
};

/** The status that a policy should have; undefined when it has been checked. */
export function planStatus(policy: KubeObject, definitions: readonly KubeObject[]): Record<string, unknown> | undefined {
  const generation = policy.metadata.generation;
  if (policy["status"]?.observedGeneration === generation) return undefined;
  const expressionWarnings: ExpressionWarning[] = typeCheckPolicy(policy, typedKinds(definitions));
  return {
    ...policy["status"],
    observedGeneration: generation,
    typeChecking: expressionWarnings.length > 0 ? { expressionWarnings } : {},
  };
}

export function startValidatingAdmissionPolicyStatus(c: ControllerContext): RunningController {
  const policies = c.informers.of(POLICIES);
  const definitions = c.informers.of(DEFINITIONS);
  const controller = runController({
    name: "validatingadmissionpolicy-status",
    clock: c.clock,
    log: c.log,
    informers: [policies, definitions],
    reconcile,
  });
  const wake = (p: KubeObject) => controller.queue.add(p.metadata.name as string);
  policies.handle({ onAdd: wake, onUpdate: wake });

  async function reconcile(name: string) {
    const policy = policies.lister.get("", name);
    const status = policy && planStatus(policy, definitions.lister.list());
    if (policy && status) await c.client.updateStatus(POLICIES, { ...policy, status });
    return undefined;
  }
  return controller;
}
