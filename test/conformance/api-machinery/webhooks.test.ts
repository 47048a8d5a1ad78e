// [sig-api-machinery] AdmissionWebhook: webhooks behind a Service in the cluster, registered, changed and removed.
import { expect } from "vitest";
import { type Context, conformance } from "../harness.ts";
import type { Json } from "../rest.ts";
import { configurationOf, type Kind, ready, refusal, register, startWebhook, type WebhookRule } from "../webhook-server.ts";

const NAME = "[sig-api-machinery] AdmissionWebhook [Privileged:ClusterAdmin]";
const configMap = (name: string, data: Record<string, string> = {}): Json => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name },
  data,
});
const DISALLOWED = { "webhook-e2e-test": "webhook-disallow" };
const CONFIG_MAPS: WebhookRule = { path: "/configmaps", operations: ["CREATE", "UPDATE", "DELETE"], resources: ["configmaps"] };

/** A CRD of the test's own with free-form data. */
async function defineCustom(
  t: Context,
  versions: string[] = ["v1"],
): Promise<{ group: string; crdPath: string; path(version?: string): string; object(name: string, data: Json): Json }> {
  const group = `${t.namespace}.example.com`;
  const schema = {
    openAPIV3Schema: { type: "object", properties: { data: { type: "object", additionalProperties: { type: "string" } } } },
  };
  const crd = await t.createForCluster({
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `widgets.${group}` },
    spec: {
      group,
      scope: "Namespaced",
      names: { plural: "widgets", singular: "widget", kind: "Widget", listKind: "WidgetList" },
      versions: versions.map((name, i) => ({ name, served: true, storage: i === 0, schema })),
    },
  });
  const crdPath = await t.api.pathOf(crd);
  await t.eventually("the CRD is established", async () =>
    (await t.api.get(crdPath)).status?.conditions?.some((c: Json) => c.type === "Established" && c.status === "True"),
  );
  const path = (version = versions[0] as string) => `/apis/${group}/${version}/namespaces/${t.namespace}/widgets`;
  return {
    group,
    crdPath,
    path,
    object: (name, data) => ({ apiVersion: `${group}/${versions[0]}`, kind: "Widget", metadata: { name }, data }),
  };
}

conformance(`${NAME} should include webhook resources in discovery documents [Conformance]`, async (t) => {
  const { groups } = await t.api.get("/apis");
  const group = groups.find((g: Json) => g.name === "admissionregistration.k8s.io");
  expect(group.versions).toContainEqual({ groupVersion: "admissionregistration.k8s.io/v1", version: "v1" });
  expect((await t.api.get("/apis/admissionregistration.k8s.io")).versions).toContainEqual({
    groupVersion: "admissionregistration.k8s.io/v1",
    version: "v1",
  });
  const { resources } = await t.api.get("/apis/admissionregistration.k8s.io/v1");
  const names = resources.map((r: Json) => r.name);
  expect(names).toEqual(expect.arrayContaining(["mutatingwebhookconfigurations", "validatingwebhookconfigurations"]));
});

conformance(`${NAME} should be able to deny pod and configmap creation [Conformance]`, async (t) => {
  const server = await startWebhook(t, "webhook");
  const exempt = `${t.namespace}-exempt`;
  await t.createForCluster({ apiVersion: "v1", kind: "Namespace", metadata: { name: exempt, labels: { skip: "yes" } } });
  const spaces = {
    namespaceSelector: {
      matchExpressions: [
        { key: "skip", operator: "NotIn", values: ["yes"] },
        { key: "kubernetes.io/metadata.name", operator: "In", values: [t.namespace, exempt] },
      ],
    },
  };
  await register(
    t,
    configurationOf(t, server, "Validating", [
      { path: "/pods", operations: ["CREATE"], resources: ["pods"], more: { ...spaces, timeoutSeconds: 2 } },
      { ...CONFIG_MAPS, more: spaces },
    ]),
  );
  const pod = t.pod("bad", { labels: DISALLOWED });
  pod.spec.containers[0].name = "webhook-disallow";
  const denied = await refusal(t.create(pod));
  expect(denied).toMatch(/^admission webhook "h0\..*" denied the request: /);
  expect(denied).toContain("the pod contains unwanted container name;");
  expect(denied).toContain("the pod contains unwanted label;");
  const hanging = await refusal(t.create(t.pod("hangs", { labels: { "webhook-e2e-test": "wait-forever" } })));
  expect(hanging).toMatch(/failed calling webhook .*(deadline|timeout)/);
  expect(await t.api.find(t.path("pods/hangs"))).toBeUndefined();
  expect(await refusal(t.create(configMap("bad", DISALLOWED)))).toContain("the configmap contains unwanted key and value");
  const good = await t.create(configMap("good", { admit: "this" }));
  expect(await refusal(t.api.update({ ...good, data: DISALLOWED }))).toContain("the configmap contains unwanted key and value");
  expect(await refusal(t.api.patch(t.path("configmaps/good"), { data: DISALLOWED }))).toContain(
    "the configmap contains unwanted key and value",
  );
  expect((await t.api.get(t.path("configmaps/good"))).data).toEqual({ admit: "this" });
  await t.api.create({ ...configMap("bad", DISALLOWED), metadata: { name: "bad", namespace: exempt } });
});

conformance(`${NAME} should be able to deny custom resource creation, update and deletion [Conformance]`, async (t) => {
  const [server, custom] = await Promise.all([startWebhook(t, "webhook"), defineCustom(t)]);
  const rule = { path: "/custom-resource", operations: ["CREATE", "UPDATE", "DELETE"], apiGroups: [custom.group], resources: ["widgets"] };
  await register(t, configurationOf(t, server, "Validating", [rule]));
  expect(await refusal(t.create(custom.object("bad", DISALLOWED)))).toContain("the custom resource contains unwanted data");
  const made = await t.create(custom.object("kept", { "webhook-e2e-test": "webhook-nondeletable" }));
  expect(await refusal(t.api.update({ ...made, data: DISALLOWED }))).toContain("the custom resource contains unwanted data");
  expect(await refusal(t.api.delete(`${custom.path()}/kept`))).toContain(
    "the custom resource cannot be deleted because it contains unwanted key and value",
  );
  await t.modify(`${custom.path()}/kept`, (o) => {
    o.data["webhook-e2e-test"] = "webhook-allow";
  });
  await t.api.delete(`${custom.path()}/kept`);
  expect(await t.api.find(`${custom.path()}/kept`)).toBeUndefined();
});

conformance(`${NAME} should unconditionally reject operations on fail closed webhook [Conformance]`, async (t) => {
  const server = await startWebhook(t, "webhook");
  const closed = configurationOf(t, server, "Validating", [
    {
      path: "/configmaps",
      operations: ["CREATE"],
      resources: ["configmaps"],
      more: { failurePolicy: "Fail", objectSelector: { matchLabels: { closed: "yes" } } },
    },
  ]);
  closed.webhooks[0].clientConfig.caBundle = undefined; // Nothing vouches for the server: no call can succeed.
  await register(t, closed);
  const object = configMap("never");
  object.metadata.labels = { closed: "yes" };
  const failed = await t.api.call("POST", t.path("configmaps"), { body: object });
  expect(failed.code).toBe(500);
  expect(JSON.parse(failed.text)).toMatchObject({ reason: "InternalError", message: expect.stringContaining("failed calling webhook") });
  expect(await t.api.find(t.path("configmaps/never"))).toBeUndefined();
});

conformance(`${NAME} should mutate configmap [Conformance]`, async (t) => {
  const server = await startWebhook(t, "webhook");
  const rule = { path: "/mutating-configmaps", operations: ["CREATE"], resources: ["configmaps"] };
  await register(t, configurationOf(t, server, "Mutating", [rule, rule]));
  const made = await t.create(configMap("m", { "mutation-start": "yes" }));
  expect(made.data).toEqual({ "mutation-start": "yes", "mutation-stage-1": "yes", "mutation-stage-2": "yes" });
});

conformance(`${NAME} should mutate pod and apply defaults after mutation [Conformance]`, async (t) => {
  const server = await startWebhook(t, "webhook");
  await register(t, configurationOf(t, server, "Mutating", [{ path: "/mutating-pods", operations: ["CREATE"], resources: ["pods"] }]));
  const pod = await t.create(t.pod("webhook-to-be-mutated"));
  expect(pod.spec.initContainers).toHaveLength(1);
  expect(pod.spec.initContainers[0]).toMatchObject({ name: "webhook-added-init-container", terminationMessagePolicy: "File" });
});

conformance(`${NAME} should not be able to mutate or prevent deletion of webhook configuration objects [Conformance]`, async (t) => {
  const server = await startWebhook(t, "webhook");
  const resources = ["validatingwebhookconfigurations", "mutatingwebhookconfigurations"];
  const only = { namespaceSelector: {}, objectSelector: { matchLabels: { only: t.namespace } } };
  const rule = { apiGroups: ["admissionregistration.k8s.io"], apiVersions: ["*"], resources, more: only };
  await register(t, configurationOf(t, server, "Validating", [{ ...rule, path: "/always-deny", operations: ["DELETE"] }]));
  await register(t, configurationOf(t, server, "Mutating", [{ ...rule, path: "/add-label", operations: ["CREATE"] }]));
  for (const kind of ["Validating", "Mutating"] as Kind[]) {
    const dummy = configurationOf(t, server, kind, [{ path: "/always-deny", operations: ["CREATE"], resources: ["invalid"] }]);
    dummy.metadata.labels = { only: t.namespace };
    const made = await t.createForCluster(dummy);
    expect(made.metadata.labels).toEqual({ only: t.namespace });
    await t.api.delete(await t.api.pathOf(made));
    expect(await t.api.find(await t.api.pathOf(made))).toBeUndefined();
  }
});

conformance(`${NAME} should mutate custom resource [Conformance]`, async (t) => {
  const [server, custom] = await Promise.all([startWebhook(t, "webhook"), defineCustom(t)]);
  const rule = { path: "/mutating-custom-resource", operations: ["CREATE"], apiGroups: [custom.group], resources: ["widgets"] };
  await register(t, configurationOf(t, server, "Mutating", [rule, rule]));
  const made = await t.create(custom.object("m", { "mutation-start": "yes" }));
  expect(made.data).toEqual({ "mutation-start": "yes", "mutation-stage-1": "yes", "mutation-stage-2": "yes" });
});

conformance(`${NAME} should mutate custom resource with different stored version [Conformance]`, async (t) => {
  const [server, custom] = await Promise.all([startWebhook(t, "webhook"), defineCustom(t, ["v1", "v2"])]);
  const rule = { path: "/mutating-custom-resource", operations: ["CREATE", "UPDATE"], apiGroups: [custom.group], resources: ["widgets"] };
  await register(t, configurationOf(t, server, "Mutating", [rule]));
  const made = await t.create(custom.object("m", { "mutation-start": "yes" }));
  expect(made.data).toEqual({ "mutation-start": "yes", "mutation-stage-1": "yes" });
  await t.modify(custom.crdPath, (crd) => {
    for (const v of crd.spec.versions) v.storage = v.name === "v2";
  });
  await t.eventually("both versions were stored", async () => (await t.api.get(custom.crdPath)).status.storedVersions.includes("v2"));
  const patched = await t.api.patch(`${custom.path("v1")}/m`, { metadata: { labels: { dummy: "test" } } });
  expect(patched.data).toEqual({ "mutation-start": "yes", "mutation-stage-1": "yes", "mutation-stage-2": "yes" });
  expect((await t.api.get(`${custom.path("v2")}/m`)).data).toEqual(patched.data);
});

conformance(`${NAME} should deny crd creation [Conformance]`, async (t) => {
  const server = await startWebhook(t, "webhook");
  const rule = {
    path: "/crd",
    operations: ["CREATE"],
    apiGroups: ["apiextensions.k8s.io"],
    apiVersions: ["*"],
    resources: ["customresourcedefinitions"],
    more: { namespaceSelector: {}, objectSelector: { matchLabels: { only: t.namespace } } },
  };
  await register(t, configurationOf(t, server, "Validating", [rule]));
  const group = `${t.namespace}.example.com`;
  const denied = await refusal(
    t.createForCluster({
      apiVersion: "apiextensions.k8s.io/v1",
      kind: "CustomResourceDefinition",
      metadata: { name: `widgets.${group}`, labels: { only: t.namespace, ...DISALLOWED } },
      spec: {
        group,
        scope: "Namespaced",
        names: { plural: "widgets", kind: "Widget" },
        versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }],
      },
    }),
  );
  expect(denied).toContain("the crd contains unwanted label");
});

for (const kind of ["Validating", "Mutating"] as const) {
  const marked = kind === "Validating" ? DISALLOWED : { "mutation-start": "yes" };
  /** Whether the webhook acts on a config map of this name. */
  const acts = async (t: Context, name: string): Promise<boolean> => {
    try {
      return (await t.create(configMap(name, marked))).data["mutation-stage-1"] === "yes";
    } catch (e) {
      expect(String(e)).toContain("the configmap contains unwanted key and value");
      return true;
    }
  };
  conformance(`${NAME} patching/updating a ${kind.toLowerCase()} webhook should work [Conformance]`, async (t) => {
    const server = await startWebhook(t, "webhook");
    const path = kind === "Validating" ? "/configmaps" : "/mutating-configmaps";
    const configuration = configurationOf(t, server, kind, [{ path, operations: ["CREATE"], resources: ["configmaps"] }]);
    const at = await t.api.pathOf(await register(t, configuration));
    expect(await acts(t, "first")).toBe(true);
    await t.modify(at, (c) => {
      c.webhooks[0].rules[0].operations = ["UPDATE"];
    });
    let n = 0;
    await t.eventually("creating passes by the webhook", async () => !(await acts(t, `updated-${n++}`)));
    await t.api.patch(at, [{ op: "replace", path: "/webhooks/0/rules/0/operations", value: ["CREATE"] }], "json");
    await t.eventually("the webhook acts again", async () => acts(t, `patched-${n++}`));
  });

  conformance(
    `${NAME} should be able to create and update ${kind.toLowerCase()} webhook configurations with match conditions [Conformance]`,
    async (t) => {
      const server = { client: (path: string) => ({ url: `https://127.0.0.1:1${path}` }) };
      const first = [{ name: "expression-1", expression: "object.metadata.namespace == 'production'" }];
      const more = { matchConditions: first };
      const configuration = configurationOf(t, server, kind, [
        { path: "/configmaps", operations: ["CREATE"], resources: ["nothing"], more },
      ]);
      configuration.webhooks.pop();
      const at = await t.api.pathOf(await t.createForCluster(configuration));
      expect((await t.api.get(at)).webhooks[0].matchConditions).toEqual(first);
      const second = [...first, { name: "expression-2", expression: "object.metadata.namespace == 'staging'" }];
      await t.modify(at, (c) => {
        c.webhooks[0].matchConditions = second;
      });
      expect((await t.api.get(at)).webhooks[0].matchConditions).toEqual(second);
    },
  );

  conformance(
    `${NAME} should reject ${kind.toLowerCase()} webhook configurations with invalid match conditions [Conformance]`,
    async (t) => {
      const server = { client: (path: string) => ({ url: `https://127.0.0.1:1${path}` }) };
      const more = { matchConditions: [{ name: "invalid-expression", expression: "... [] bad expression" }] };
      const configuration = configurationOf(t, server, kind, [
        { path: "/configmaps", operations: ["CREATE"], resources: ["nothing"], more },
      ]);
      expect(await refusal(t.createForCluster(configuration))).toContain("compilation failed");
    },
  );
}

conformance(`${NAME} listing validating webhooks should work [Conformance]`, async (t) => {
  const server = await startWebhook(t, "webhook");
  const made = [];
  for (let i = 0; i < 10; i++) {
    const configuration = configurationOf(t, server, "Validating", [CONFIG_MAPS]);
    configuration.metadata.labels = { listed: t.namespace };
    made.push(await t.createForCluster(configuration));
  }
  const all = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
  const query = { labelSelector: `listed=${t.namespace}` };
  expect((await t.api.get(all, { query })).items).toHaveLength(10);
  await ready(t, made[9].metadata.name);
  expect(await refusal(t.create(configMap("denied", DISALLOWED)))).toContain("the configmap contains unwanted key and value");
  await t.api.delete(all, {}, { query });
  expect((await t.api.get(all, { query })).items).toHaveLength(0);
  await t.eventually(
    "creating is not denied any more",
    async () => (await refusal(t.create(configMap("let-through", DISALLOWED)))) === undefined,
  );
});
