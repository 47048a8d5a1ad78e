// Which warnings a policy gets for which expressions, on built-in kinds and on custom ones.
import { expect, test } from "vitest";
import { planStatus } from "./controller.ts";

const rule = (apiGroups: string[], resources: string[], apiVersions = ["v1"]) => ({ apiGroups, apiVersions, resources, operations: ["*"] });
const policy = (spec: object, status?: object) => ({
  apiVersion: "admissionregistration.k8s.io/v1",
  kind: "ValidatingAdmissionPolicy",
  metadata: { name: "p", generation: 3 },
  spec,
  ...(status ? { status } : {}),
});
const GATES = {
  metadata: { name: "gates.example.com" },
  spec: {
    group: "example.com",
    names: { plural: "gates", kind: "Gate" },
    versions: [
      {
        name: "v1",
        served: true,
        schema: {
          openAPIV3Schema: { type: "object", properties: { spec: { type: "object", properties: { width: { type: "integer" } } } } },
        },
      },
    ],
  },
};
const warnings = (spec: object): any[] => {
  const checked = planStatus(policy(spec), [GATES])?.["typeChecking"] as { expressionWarnings?: any[] } | undefined;
  return checked?.expressionWarnings ?? [];
};

test("fields that a kind has not, for each kind of the rules, in order", () => {
  const found = warnings({
    matchConstraints: { resourceRules: [rule(["apps"], ["replicasets", "deployments", "deployments/scale"])] },
    validations: [
      { expression: "object.spec.replicas > 1", messageExpression: "object.spec.strategy.type" },
      { expression: "object.spec.replicas == 'one'" },
    ],
  });
  expect(found.map((w: any) => w.fieldRef)).toEqual(["spec.validations[0].messageExpression", "spec.validations[1].expression"]);
  expect(found[0].warning).toMatch(
    /^apps\/v1, Kind=ReplicaSet: compilation failed: ERROR: <input>:1:\d+: undefined field 'strategy'\n \| object\.spec\.strategy\.type/,
  );
  expect(found[1].warning.match(/Kind=\w+: compilation failed/g)).toEqual([
    "Kind=Deployment: compilation failed",
    "Kind=ReplicaSet: compilation failed",
  ]);
  expect(found[1].warning).toContain("found no matching overload for '_==_' applied to '(int, string)'");
});

test("what is right, or cannot be known, has no warning", () => {
  const pods = { resourceRules: [rule([""], ["pods"])] };
  const fine = [
    "object.spec.containers.all(c, c.image.startsWith('x/') && (!has(c.resources.limits) || 'cpu' in c.resources.limits))",
    "has(object.metadata.labels) && object.metadata.labels['a'] == 'b'",
    "!has(object.spec.securityContext) || object.spec.securityContext.runAsNonRoot",
    "object.metadata.creationTimestamp < timestamp('2030-01-01T00:00:00Z')",
    "object.spec.containers.exists(c, c.ports.exists(p, p.hostPort == 80))",
    "variables.image == 'x' && oldObject == null || request.name.size() > params.data.size()",
  ];
  expect(
    warnings({
      paramKind: { apiVersion: "v1", kind: "ConfigMap" },
      matchConstraints: pods,
      variables: [{ name: "image", expression: "object.spec.containers[0].image" }],
      validations: fine.map((expression) => ({ expression })),
    }),
  ).toEqual([]);
  expect(warnings({ matchConstraints: { resourceRules: [rule(["*"], ["pods"])] }, validations: [{ expression: "object.nope" }] })).toEqual(
    [],
  );
});

test("custom kinds by their schema; a generation is checked once", () => {
  const matchConstraints = { resourceRules: [rule(["example.com"], ["gates"])] };
  const [found] = warnings({ matchConstraints, validations: [{ expression: "object.spec.height > object.spec.width" }] });
  expect(found.warning).toContain("example.com/v1, Kind=Gate: compilation failed: ERROR: <input>:1:12: undefined field 'height'");
  expect(planStatus(policy({ validations: [] }, { observedGeneration: 3 }), [])).toBeUndefined();
  expect(planStatus(policy({ validations: [] }, { observedGeneration: 2 }), [])).toEqual({ observedGeneration: 3, typeChecking: {} });
});
