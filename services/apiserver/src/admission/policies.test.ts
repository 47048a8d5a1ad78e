// Admission policies through the whole pipeline: validating (parameters, variables, messages, the authorizer, audit) and mutating (apply
// configurations, JSON patches, reinvocation).
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type InProcess, startInProcess } from "../in-process.ts";

const REGISTRATION = "/apis/admissionregistration.k8s.io";
const folder = mkdtempSync(join(tmpdir(), "podwire-policies-"));
const log = join(folder, "audit.log");
let api: InProcess;

beforeAll(async () => {
  api = await startInProcess({
    flags: {
      "feature-gates": "MutatingAdmissionPolicy=true",
      "runtime-config": "admissionregistration.k8s.io/v1beta1=true",
      "disable-admission-plugins": "ServiceAccount",
      "audit-log-path": log,
    },
    files: {
      auditPolicy:
        "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Metadata, verbs: [create]}]\n",
    },
  });
  for (const name of ["params", "validated", "mutated", "patched", "again", "free"])
    await api.request("POST", "/api/v1/namespaces", { metadata: { name, labels: { team: "blue" } } });
});
afterAll(async () => {
  await api.stop();
  rmSync(folder, { recursive: true, force: true });
});

const inNamespace = (name: string) => ({ matchLabels: { "kubernetes.io/metadata.name": name } });
const constraints = (namespace: string, resources: string[], group = "") => ({
  namespaceSelector: inNamespace(namespace),
  resourceRules: [{ apiGroups: [group], apiVersions: ["v1"], operations: ["CREATE", "UPDATE"], resources }],
});

async function validating(name: string, spec: object, binding: object = {}) {
  const p = await api.request("POST", `${REGISTRATION}/v1/validatingadmissionpolicies`, { metadata: { name }, spec });
  expect(p.status, JSON.stringify(p.body)).toBe(201);
  const b = await api.request("POST", `${REGISTRATION}/v1/validatingadmissionpolicybindings`, {
    metadata: { name },
    spec: { policyName: name, validationActions: ["Deny"], ...binding },
  });
  expect(b.status, JSON.stringify(b.body)).toBe(201);
}

async function mutating(name: string, spec: object) {
  const p = await api.request("POST", `${REGISTRATION}/v1beta1/mutatingadmissionpolicies`, {
    metadata: { name },
    spec: { reinvocationPolicy: "Never", ...spec },
  });
  expect(p.status, JSON.stringify(p.body)).toBe(201);
  const b = await api.request("POST", `${REGISTRATION}/v1beta1/mutatingadmissionpolicybindings`, {
    metadata: { name },
    spec: { policyName: name },
  });
  expect(b.status, JSON.stringify(b.body)).toBe(201);
}

const configMap = (namespace: string, name: string, o: object = {}) =>
  api.request("POST", `/api/v1/namespaces/${namespace}/configmaps`, { metadata: { name }, ...o });
const pod = (namespace: string, name: string, o: object = {}) =>
  api.request("POST", `/api/v1/namespaces/${namespace}/pods`, {
    metadata: { name, ...o },
    spec: {
      containers: [
        { name: "c", image: "i" },
        { name: "d", image: "i" },
      ],
      terminationGracePeriodSeconds: 5,
    },
  });

describe("ValidatingAdmissionPolicy", () => {
  test("parameters, variables, messageExpression, namespaceObject and the authorizer", async () => {
    await configMap("free", "limits", { data: { max: "3" } });
    await validating(
      "limited",
      {
        paramKind: { apiVersion: "v1", kind: "ConfigMap" },
        matchConstraints: constraints("params", ["configmaps"]),
        matchConditions: [{ name: "not-root", expression: "object.metadata.name != 'kube-root-ca.crt'" }],
        variables: [
          { name: "max", expression: "int(params.data.max)" },
          { name: "length", expression: "size(object.metadata.name)" },
        ],
        validations: [
          {
            expression: "variables.length <= variables.max",
            messageExpression: "'team ' + namespaceObject.metadata.labels.team + ': at most ' + string(variables.max)",
            reason: "Forbidden",
          },
          {
            expression: "authorizer.group('').resource('secrets').namespace('kube-system').check('get').allowed()",
            message: "no access to secrets",
          },
        ],
      },
      { paramRef: { name: "limits", namespace: "free", parameterNotFoundAction: "Deny" } },
    );
    const long = await configMap("params", "toolong");
    expect([long.status, long.body.reason, long.body.message]).toEqual([
      403,
      "Forbidden",
      `configmaps "toolong" is forbidden: ValidatingAdmissionPolicy 'limited' with binding 'limited' denied request: team blue: at most 3`,
    ]);
    expect((await configMap("params", "ok")).status).toBe(201);
    await api.request("POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/params/rolebindings", {
      metadata: { name: "jane" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "edit" },
      subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "jane" }],
    });
    const jane = await api.request(
      "POST",
      "/api/v1/namespaces/params/configmaps",
      { metadata: { name: "j" } },
      {
        user: { name: "jane", groups: ["system:authenticated"] },
      },
    );
    expect([jane.status, jane.body.message]).toEqual([422, expect.stringContaining("denied request: no access to secrets")]);
    await api.request("DELETE", "/api/v1/namespaces/free/configmaps/limits");
    expect((await configMap("params", "x")).body.message).toContain(
      "denied request: failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction",
    );
  });

  test("Audit and Warn, audit annotations, failure policies", async () => {
    await validating(
      "watched",
      {
        matchConstraints: constraints("validated", ["configmaps"]),
        validations: [{ expression: "false", message: "never" }],
        auditAnnotations: [
          { key: "name", valueExpression: "'named ' + object.metadata.name" },
          { key: "nothing", valueExpression: "null" },
        ],
      },
      { validationActions: ["Audit", "Warn"] },
    );
    await validating("broken", {
      failurePolicy: "Ignore",
      matchConstraints: constraints("validated", ["configmaps"]),
      validations: [{ expression: "object.spec.nope == 1" }],
    });
    const r = await configMap("validated", "one");
    expect([r.status, r.headers["warning"]]).toEqual([
      201,
      ["299 - \"Validation failed for ValidatingAdmissionPolicy 'watched' with binding 'watched': never\""],
    ]);
    await new Promise((done) => setTimeout(done, 20));
    const event = readFileSync(log, "utf8")
      .trim()
      .split("\n")
      .map((l) => JSON.parse(l))
      .find((e) => e.objectRef?.name === "one");
    expect(event.annotations["watched/name"]).toBe("named one");
    expect(event.annotations["watched/nothing"]).toBeUndefined();
    expect(JSON.parse(event.annotations["validation.policy.admission.k8s.io/validation_failure"])).toEqual([
      { message: "never", policy: "watched", binding: "watched", expressionIndex: 0, validationActions: ["Audit", "Warn"] },
    ]);
  });

  test("expressions that cannot be are refused when the policy is written", async () => {
    const write = async (spec: object) =>
      (
        await api.request("POST", `${REGISTRATION}/v1/validatingadmissionpolicies`, {
          metadata: { name: "x" },
          spec: { matchConstraints: constraints("free", ["pods"]), validations: [{ expression: "true" }], ...spec },
        })
      ).body.message as string;
    expect(await write({ validations: [{ expression: "Object{a: 1} == 1" }] })).toContain("undeclared reference to 'Object'");
    expect(await write({ validations: [{ expression: "authorizer.nope('x')" }] })).toContain("undeclared reference to 'nope'");
    expect(
      await write({ validations: [{ expression: "true", messageExpression: "authorizer.path('/x').check('get').reason()" }] }),
    ).toContain("undeclared reference to 'authorizer'");
    expect(await write({ auditAnnotations: [{ key: "a", valueExpression: "1" }] })).toContain("must evaluate to string");
    expect(await write({ auditAnnotations: [{ key: "a b", valueExpression: "'x'" }] })).toContain("spec.auditAnnotations[0].key");
  });
});

describe("MutatingAdmissionPolicy", () => {
  test("is served only behind its gate and version", async () => {
    const off = await startInProcess();
    expect((await off.request("GET", `${REGISTRATION}/v1beta1/mutatingadmissionpolicies`)).status).toBe(404);
    expect((await off.request("GET", REGISTRATION)).body.versions).toHaveLength(1);
    await off.stop();
    const versions = (await api.request("GET", REGISTRATION)).body.versions.map((v: { version: string }) => v.version);
    expect(versions).toEqual(["v1", "v1beta1"]);
  });

  test("ApplyConfiguration merges by the schema: a container by its name, labels by their keys", async () => {
    await mutating("sidecar", {
      matchConstraints: constraints("mutated", ["pods"]),
      mutations: [
        {
          patchType: "ApplyConfiguration",
          applyConfiguration: {
            expression: `Object{
              metadata: Object.metadata{ labels: {"from": "policy"} },
              spec: Object.spec{
                containers: [Object.spec.containers{ name: "d", env: [Object.spec.containers.env{ name: "A", value: "1" }] }]
              }
            }`,
          },
        },
      ],
    });
    const p = await pod("mutated", "p", { labels: { mine: "1" } });
    expect(p.status, JSON.stringify(p.body)).toBe(201);
    expect(p.body.metadata.labels).toEqual({ mine: "1", from: "policy" });
    expect(p.body.spec.containers.map((c: any) => [c.name, c.image, c.env])).toEqual([
      ["c", "i", undefined],
      ["d", "i", [{ name: "A", value: "1" }]],
    ]);
  });

  test("JSONPatch with escapeKey, values of every kind, and a test that leaves the object alone", async () => {
    await mutating("json", {
      matchConstraints: constraints("patched", ["pods"]),
      mutations: [
        {
          patchType: "JSONPatch",
          jsonPatch: {
            expression: `[
              JSONPatch{op: "add", path: "/metadata/labels", value: {}},
              JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("example.com/env"), value: object.metadata.name},
              JSONPatch{op: "add", path: "/spec/tolerations/-", value: Object.spec.tolerations{key: "k", operator: "Exists"}}
            ]`,
          },
        },
        {
          patchType: "JSONPatch",
          jsonPatch: {
            expression: `[JSONPatch{op: "test", path: "/metadata/name", value: "other"}, JSONPatch{op: "remove", path: "/spec"}]`,
          },
        },
      ],
    });
    const p = await pod("patched", "p");
    expect(p.status, JSON.stringify(p.body)).toBe(201);
    expect(p.body.metadata.labels).toEqual({ "example.com/env": "p" });
    expect(p.body.spec.tolerations.map((t: any) => t.key)).toContain("k");
  });

  test("reinvocation: an earlier policy sees what a later one changed, once", async () => {
    const count = (label: string, needs: string) =>
      `${needs} ? Object{metadata: Object.metadata{labels: {"${label}": has(object.metadata.labels) && "${label}" in object.metadata.labels ? object.metadata.labels["${label}"] + "x" : "x"}}} : Object{}`;
    await mutating("a-first", {
      reinvocationPolicy: "IfNeeded",
      matchConstraints: constraints("again", ["configmaps"]),
      mutations: [{ patchType: "ApplyConfiguration", applyConfiguration: { expression: count("first", "true") } }],
    });
    await mutating("b-second", {
      matchConstraints: constraints("again", ["configmaps"]),
      mutations: [{ patchType: "ApplyConfiguration", applyConfiguration: { expression: count("second", "true") } }],
    });
    expect((await configMap("again", "c")).body.metadata.labels).toEqual({ first: "xx", second: "x" });
  });

  test("what does not fit is refused with the policy's name, or ignored", async () => {
    const bad = async (name: string, expression: string, failurePolicy = "Fail") => {
      await api.request("POST", "/api/v1/namespaces", { metadata: { name } });
      await mutating(name, {
        failurePolicy,
        matchConstraints: constraints(name, ["pods"]),
        mutations: [{ patchType: "ApplyConfiguration", applyConfiguration: { expression } }],
      });
      const r = await pod(name, "p");
      return [r.status, r.body.message];
    };
    expect(await bad("atomic", 'Object{spec: Object.spec{containers: [Object.spec.containers{name: "c", args: ["x"]}]}}')).toEqual([
      422,
      `pods "p" is forbidden: policy 'atomic' with binding 'atomic' denied request: error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.containers[0].args`,
    ]);
    expect((await bad("names", "Object{spec: Object.wrong{hostNetwork: true}}"))[1]).toContain(
      'type mismatch: unexpected type name "Object.wrong", expected "Object.spec", which matches field name path from root Object type',
    );
    expect((await bad("unknown", "Object{spec: Object.spec{nope: true}}"))[1]).toContain("field not declared in schema");
    expect((await bad("ignored", "Object{spec: Object.spec{nope: true}}", "Ignore"))[0]).toBe(201);
  });

  test("validation of the policy itself", async () => {
    const write = async (mutations: object[]) =>
      (
        await api.request("POST", `${REGISTRATION}/v1beta1/mutatingadmissionpolicies`, {
          metadata: { name: "x" },
          spec: { matchConstraints: constraints("free", ["pods"]), mutations },
        })
      ).body.message as string;
    expect(await write([])).toContain("spec.mutations: Required value: mutations must contain at least one item");
    expect(await write([{ patchType: "ApplyConfiguration", applyConfiguration: { expression: "true" } }])).toContain(
      "must evaluate to Object",
    );
    expect(await write([{ patchType: "JSONPatch", jsonPatch: { expression: "[JSONPatch{oops: 1}]" } }])).toContain(
      "undefined field 'oops'",
    );
    expect(await write([{ patchType: "JSONPatch", applyConfiguration: { expression: "Object{}" } }])).toContain(
      "must be specified when patchType is JSONPatch",
    );
    const table = await api.request("GET", `${REGISTRATION}/v1beta1/mutatingadmissionpolicies`, undefined, {
      headers: { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" },
    });
    expect(table.body.rows.find((r: any) => r.cells[0] === "json").cells.slice(0, 3)).toEqual(["json", 2, "<unset>"]);
  });
});
