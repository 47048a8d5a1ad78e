// Rules of webhooks and admission policies on requests by another version than the rule names (matchPolicy), on CONNECT and on Scale, with a
// webhook that is a real HTTPS server.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type HttpsServer, type InProcess, startHttps, startInProcess } from "../in-process.ts";

const REGISTRATION = "/apis/admissionregistration.k8s.io/v1";
let api: InProcess;
let hook: HttpsServer;
let seen: any[] = [];
let patch: object[] | undefined;
let allowed = true;

beforeAll(async () => {
  hook = await startHttps([], {}, ({ body }) => {
    seen.push(body.request);
    const changed = patch && { patchType: "JSONPatch", patch: Buffer.from(JSON.stringify(patch)).toString("base64") };
    return { body: { ...body, response: { uid: body.request.uid, allowed, ...changed } } };
  });
  api = await startInProcess({ flags: { "disable-admission-plugins": "ServiceAccount" } });
  await api.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
    metadata: { name: "gates.stable.example.com" },
    spec: {
      group: "stable.example.com",
      scope: "Namespaced",
      names: { plural: "gates", kind: "Gate" },
      versions: ["v1", "v2"].map((name) => ({
        name,
        served: true,
        storage: name === "v1",
        subresources: { status: {}, scale: { specReplicasPath: ".spec.replicas", statusReplicasPath: ".status.replicas" } },
        schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
      })),
    },
  });
});
afterAll(async () => {
  await api.stop();
  await hook.close();
});
beforeEach(async () => {
  seen = [];
  patch = undefined;
  allowed = true;
  for (const r of ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"]) await api.request("DELETE", `${REGISTRATION}/${r}`);
});

const rule = (group: string, version: string, resource: string) => ({
  apiGroups: [group],
  apiVersions: [version],
  resources: [resource],
  operations: ["*"],
});

async function configure(kind: "mutating" | "validating", rules: object[], more: object = {}) {
  const made = await api.request("POST", `${REGISTRATION}/${kind}webhookconfigurations`, {
    metadata: { name: "h" },
    webhooks: [
      {
        name: "h.example.com",
        clientConfig: { url: `${hook.url}/hook`, caBundle: hook.caBundle },
        rules,
        admissionReviewVersions: ["v1"],
        sideEffects: "None",
        ...more,
      },
    ],
  });
  expect(made.status, JSON.stringify(made.body)).toBe(201);
}

const autoscaler = (name: string) => ({
  metadata: { name },
  spec: { maxReplicas: 3, scaleTargetRef: { kind: "Deployment", name: "d" }, targetCPUUtilizationPercentage: 70 },
});
const V1 = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers";

describe("webhooks with matchPolicy Equivalent", () => {
  test("see a request by another version in the version of their rule, and the request's own beside it", async () => {
    await configure("validating", [rule("autoscaling", "v2", "horizontalpodautoscalers")]);
    expect((await api.request("POST", V1, autoscaler("a"))).status).toBe(201);
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({
      kind: { group: "autoscaling", version: "v2", kind: "HorizontalPodAutoscaler" },
      resource: { group: "autoscaling", version: "v2", resource: "horizontalpodautoscalers" },
      requestKind: { group: "autoscaling", version: "v1", kind: "HorizontalPodAutoscaler" },
      requestResource: { version: "v1" },
      object: { apiVersion: "autoscaling/v2", spec: { metrics: [{ resource: { target: { averageUtilization: 70 } } }] } },
    });
    await api.request("PATCH", `${V1}/a`, { spec: { maxReplicas: 4 } });
    expect(seen[1].oldObject).toMatchObject({ apiVersion: "autoscaling/v2", spec: { maxReplicas: 3 } });
    expect(seen[1].object).toMatchObject({ apiVersion: "autoscaling/v2", spec: { maxReplicas: 4 } });
    await api.request("DELETE", `${V1}/a`);
    expect(seen[2]).toMatchObject({ operation: "DELETE", object: null, oldObject: { apiVersion: "autoscaling/v2" } });
  });

  test("prefer a rule for the request's own version, whatever comes first", async () => {
    await configure("validating", [
      rule("autoscaling", "v2", "horizontalpodautoscalers"),
      rule("autoscaling", "v1", "horizontalpodautoscalers"),
    ]);
    await api.request("POST", V1, autoscaler("b"));
    expect(seen.map((r) => r.kind.version)).toEqual(["v1"]);
    await api.request("DELETE", `${V1}/b`);
  });

  test("with Exact are not called for another version", async () => {
    await configure("validating", [rule("autoscaling", "v2", "horizontalpodautoscalers")], { matchPolicy: "Exact" });
    await api.request("POST", V1, autoscaler("c"));
    expect(seen).toEqual([]);
  });

  test("change the object in their version; it is stored and answered in the request's", async () => {
    patch = [{ op: "replace", path: "/spec/metrics/0/resource/target/averageUtilization", value: 33 }];
    await configure("mutating", [rule("autoscaling", "v2", "horizontalpodautoscalers")]);
    const made = await api.request("POST", V1, autoscaler("d"));
    expect(made.body).toMatchObject({ apiVersion: "autoscaling/v1", spec: { targetCPUUtilizationPercentage: 33 } });
  });

  test("know Events of both groups, and the versions of a custom resource with its subresources", async () => {
    await configure(
      "validating",
      [
        rule("events.k8s.io", "v1", "events"),
        rule("stable.example.com", "v2", "gates/status"),
        rule("stable.example.com", "v2", "gates/scale"),
      ],
      {
        matchConditions: [{ name: "converted", expression: "request.kind.group != 'events.k8s.io' || object.note == 'hello'" }],
      },
    );
    const event = (name: string, message: string) => ({
      metadata: { name },
      involvedObject: { kind: "Pod", namespace: "default", name: "p" },
      message,
      reason: "r",
      type: "Normal",
    });
    for (const m of ["hello", "other"]) await api.request("POST", "/api/v1/namespaces/default/events", event(m, m));
    expect(seen.map((r) => [r.kind.group, r.object.note, r.requestKind.group])).toEqual([["events.k8s.io", "hello", ""]]);
    const gates = "/apis/stable.example.com/v1/namespaces/default/gates";
    await api.request("POST", gates, { apiVersion: "stable.example.com/v1", kind: "Gate", metadata: { name: "g" }, spec: { replicas: 1 } });
    expect(seen).toHaveLength(1);
    await api.request("PATCH", `${gates}/g/status`, { status: { replicas: 1 } });
    expect(seen[1]).toMatchObject({ subResource: "status", object: { apiVersion: "stable.example.com/v2" }, resource: { version: "v2" } });
    await api.request("PATCH", `${gates}/g/scale`, { spec: { replicas: 2 } });
    expect(seen[2]).toMatchObject({
      subResource: "scale",
      kind: { group: "autoscaling", version: "v1", kind: "Scale" },
      resource: { group: "stable.example.com", version: "v2", resource: "gates" },
      object: { kind: "Scale", spec: { replicas: 2 } },
      oldObject: { kind: "Scale", spec: { replicas: 1 } },
    });
  });

  test("whose conditions cannot be evaluated refuse with the expression", async () => {
    await configure("validating", [rule("", "v1", "configmaps")], {
      matchConditions: [
        { name: "broken", expression: "object.data.nope == '1'" },
        { name: "yes", expression: "true" },
      ],
    });
    const r = await api.request("POST", "/api/v1/namespaces/default/configmaps", { metadata: { name: "x" }, data: { a: "b" } });
    expect([r.status, r.body.message]).toEqual([
      403,
      `configmaps "x" is forbidden: expression 'object.data.nope == '1'' resulted in error: no such key: nope`,
    ]);
  });
});

test("a policy sees a request in the version of its rule", async () => {
  await api.request("POST", `${REGISTRATION}/validatingadmissionpolicies`, {
    metadata: { name: "p" },
    spec: {
      matchConstraints: {
        resourceRules: [rule("autoscaling", "v2", "horizontalpodautoscalers")].map((r) => ({ ...r, operations: ["CREATE"] })),
      },
      validations: [
        {
          expression: "object.spec.metrics[0].resource.target.averageUtilization < 50",
          messageExpression: "request.kind.version + ' for ' + request.requestKind.version",
        },
      ],
    },
  });
  await api.request("POST", `${REGISTRATION}/validatingadmissionpolicybindings`, {
    metadata: { name: "p" },
    spec: { policyName: "p", validationActions: ["Deny"] },
  });
  const r = await api.request("POST", V1, autoscaler("e"));
  expect([r.status, r.body.message]).toEqual([422, expect.stringContaining("denied request: v2 for v1")]);
  await api.request("DELETE", `${REGISTRATION}/validatingadmissionpolicies/p`);
});

describe("requests that are no objects", () => {
  test("exec, attach and proxy ask admission before they connect", async () => {
    await configure("validating", [rule("", "v1", "pods/attach"), rule("", "v1", "pods/exec"), rule("", "v1", "services/proxy")]);
    allowed = false;
    const pods = "/api/v1/namespaces/default/pods";
    await api.request("POST", pods, { metadata: { name: "p" }, spec: { containers: [{ name: "c", image: "i" }] } });
    const r = await api.request("GET", `${pods}/p/exec?stdin=true&container=c&command=a&command=b`);
    expect([r.status, r.body.message]).toEqual([403, 'admission webhook "h.example.com" denied the request without explanation']);
    expect(seen[0]).toMatchObject({
      operation: "CONNECT",
      kind: { group: "", version: "v1", kind: "PodExecOptions" },
      subResource: "exec",
      name: "p",
      namespace: "default",
      options: null,
      oldObject: null,
    });
    expect(seen[0].object).toEqual({ kind: "PodExecOptions", apiVersion: "v1", stdin: true, container: "c", command: ["a", "b"] });
    expect((await api.request("POST", `${pods}/p/attach?stdout=true`)).status).toBe(403);
    await api.request("GET", "/api/v1/namespaces/default/services/http:s:80/proxy/a/b");
    expect(seen.slice(1).map((x) => x.object)).toEqual([
      { kind: "PodAttachOptions", apiVersion: "v1", stdout: true },
      { kind: "ServiceProxyOptions", apiVersion: "v1", path: "a/b" },
    ]);
  });

  test("a Scale is shown as a Scale, changed as one, and is no update of its object", async () => {
    const deployments = "/apis/apps/v1/namespaces/default/deployments";
    const template = { metadata: { labels: { a: "b" } }, spec: { containers: [{ name: "c", image: "i" }] } };
    await api.request("POST", deployments, {
      metadata: { name: "d" },
      spec: { replicas: 1, selector: { matchLabels: { a: "b" } }, template },
    });
    await configure("mutating", [rule("apps", "v1", "deployments"), rule("apps", "v1", "deployments/scale")]);
    patch = [{ op: "replace", path: "/spec/replicas", value: 7 }];
    const scaled = await api.request("PATCH", `${deployments}/d/scale`, { spec: { replicas: 2 } });
    expect(scaled.body).toMatchObject({ spec: { replicas: 7 } });
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({
      subResource: "scale",
      kind: { group: "autoscaling", version: "v1", kind: "Scale" },
      object: { kind: "Scale", spec: { replicas: 2 } },
      oldObject: { kind: "Scale", spec: { replicas: 1 } },
    });
    expect((await api.request("GET", `${deployments}/d`)).body.spec.replicas).toBe(7);
  });
});
