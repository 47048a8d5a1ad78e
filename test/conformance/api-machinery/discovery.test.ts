// [sig-api-machinery]: discovery in its aggregated and legacy forms, the server's version, chunked lists, tables.
import { expect } from "vitest";
import { define } from "../custom-resources.ts";
import { conformance } from "../harness.ts";
import type { Json } from "../rest.ts";

const aggregated = (version: string) => `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`;

conformance(
  "[sig-api-machinery] AggregatedDiscovery should support raw aggregated discovery endpoint Accept headers [Conformance]",
  async (t) => {
    for (const path of ["/api", "/apis"])
      for (const version of ["v2", "v2beta1"]) {
        const a = await t.api.call("GET", path, { accept: aggregated(version) });
        expect(a.code).toBe(200);
        expect(a.headers["content-type"]).toBe(aggregated(version));
        const list = JSON.parse(a.text);
        expect(list).toMatchObject({ kind: "APIGroupDiscoveryList", apiVersion: `apidiscovery.k8s.io/${version}` });
        expect(list.items.length).toBeGreaterThan(0);
      }
  },
);

/** Every group, version and resource, as discovery's interface gives them: "apps/v1/deployments". */
async function everything(t: { api: { get(path: string, o?: Json): Promise<Json> } }): Promise<Set<string>> {
  const found = new Set<string>();
  for (const path of ["/api", "/apis"])
    for (const group of (await t.api.get(path, { accept: aggregated("v2") })).items)
      for (const version of group.versions)
        for (const r of version.resources) found.add(`${group.metadata.name ?? ""}/${version.version}/${r.resource}`);
  return found;
}

conformance("[sig-api-machinery] AggregatedDiscovery should support aggregated discovery interface [Conformance]", async (t) => {
  const expected = [
    ["", "v1", "namespaces"],
    ["admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations"],
    ["apiextensions.k8s.io", "v1", "customresourcedefinitions"],
    ["apiregistration.k8s.io", "v1", "apiservices"],
    ["apps", "v1", "deployments"],
    ["apps", "v1", "statefulsets"],
    ["authentication.k8s.io", "v1", "tokenreviews"],
    ["authorization.k8s.io", "v1", "selfsubjectaccessreviews"],
    ["autoscaling", "v1", "horizontalpodautoscalers"],
    ["autoscaling", "v2", "horizontalpodautoscalers"],
    ["batch", "v1", "jobs"],
    ["batch", "v1", "cronjobs"],
    ["certificates.k8s.io", "v1", "certificatesigningrequests"],
    ["coordination.k8s.io", "v1", "leases"],
    ["discovery.k8s.io", "v1", "endpointslices"],
    ["events.k8s.io", "v1", "events"],
    ["flowcontrol.apiserver.k8s.io", "v1", "flowschemas"],
    ["networking.k8s.io", "v1", "networkpolicies"],
    ["policy", "v1", "poddisruptionbudgets"],
    ["rbac.authorization.k8s.io", "v1", "roles"],
    ["scheduling.k8s.io", "v1", "priorityclasses"],
    ["storage.k8s.io", "v1", "storageclasses"],
  ].map((x) => x.join("/"));
  expect([...(await everything(t))]).toEqual(expect.arrayContaining(expected));
});

conformance("[sig-api-machinery] AggregatedDiscovery should support aggregated discovery interface for CRDs [Conformance]", async (t) => {
  const custom = await define(t);
  await t.eventually("the custom resource is discovered", async () => (await everything(t)).has(`${custom.group}/v1/widgets`));
});

conformance("[sig-api-machinery] AggregatedDiscovery should support raw aggregated discovery request for CRDs [Conformance]", async (t) => {
  const custom = await define(t);
  const group = await t.eventually("the group is listed", async () =>
    (await t.api.get("/apis", { accept: aggregated("v2") })).items.find((g: Json) => g.metadata.name === custom.group),
  );
  expect(group.versions).toHaveLength(1);
  expect(group.versions[0]).toMatchObject({ version: "v1", freshness: "Current" });
  expect(group.versions[0].resources[0]).toMatchObject({
    resource: "widgets",
    responseKind: { group: custom.group, version: "v1", kind: "Widget" },
    scope: "Namespaced",
    singularResource: "widget",
  });
  await t.api.delete(custom.crdPath);
  await t.eventually("the group is not listed any more", async () =>
    (await t.api.get("/apis", { accept: aggregated("v2") })).items.every((g: Json) => g.metadata.name !== custom.group),
  );
});

conformance("[sig-api-machinery] Discovery should validate PreferredVersion for each APIGroup [Conformance]", async (t) => {
  const { groups } = await t.api.get("/apis");
  expect(groups.length).toBeGreaterThan(15);
  for (const { name } of groups) {
    if (name.endsWith(".example.com")) continue; // Another test's, which may go meanwhile.
    const group = await t.api.get(`/apis/${name}`);
    expect(group.versions).toContainEqual(group.preferredVersion);
    expect(group.preferredVersion.groupVersion).toBe(`${name}/${group.preferredVersion.version}`);
  }
});

conformance("[sig-api-machinery] Discovery should locate the groupVersion and a resource within each APIGroup [Conformance]", async (t) => {
  const expected = [
    ["admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations"],
    ["apiextensions.k8s.io", "v1", "customresourcedefinitions"],
    ["apiregistration.k8s.io", "v1", "apiservices"],
    ["apps", "v1", "deployments"],
    ["authentication.k8s.io", "v1", "tokenreviews"],
    ["authorization.k8s.io", "v1", "selfsubjectaccessreviews"],
    ["autoscaling", "v1", "horizontalpodautoscalers"],
    ["autoscaling", "v2", "horizontalpodautoscalers"],
    ["batch", "v1", "jobs"],
    ["certificates.k8s.io", "v1", "certificatesigningrequests"],
    ["coordination.k8s.io", "v1", "leases"],
    ["discovery.k8s.io", "v1", "endpointslices"],
    ["events.k8s.io", "v1", "events"],
    ["networking.k8s.io", "v1", "ingresses"],
    ["node.k8s.io", "v1", "runtimeclasses"],
    ["policy", "v1", "poddisruptionbudgets"],
    ["scheduling.k8s.io", "v1", "priorityclasses"],
  ];
  const { groups } = await t.api.get("/apis");
  for (const [group, version, resource] of expected) {
    expect(groups.find((g: Json) => g.name === group)?.versions).toContainEqual({ groupVersion: `${group}/${version}`, version });
    expect((await t.api.get(`/apis/${group}`)).versions.map((v: Json) => v.version)).toContain(version);
    const list = await t.api.get(`/apis/${group}/${version}`);
    expect(list.groupVersion).toBe(`${group}/${version}`);
    expect(list.resources.map((r: Json) => r.name)).toContain(resource);
  }
});

conformance("[sig-api-machinery] server version should find the server version [Conformance]", async (t) => {
  const version = await t.api.get("/version");
  expect(version.major).toMatch(/^[1-9]/);
  expect(version.minor).toMatch(/^[0-9]{1,3}[+]?$/);
  expect(version.gitVersion).toMatch(/^v\d+\.\d+\.\d+/);
});

conformance(
  "[sig-api-machinery] Servers with support for API chunking should return chunks of results for list calls [Conformance]",
  async (t) => {
    const total = 60;
    const template = { metadata: { labels: { a: "b" } }, spec: { containers: [{ name: "c", image: "registry.k8s.io/pause:3.10.1" }] } };
    const name = (i: number) => `template-${String(i).padStart(4, "0")}`;
    await Promise.all(
      Array.from({ length: total }, (_, i) => t.create({ apiVersion: "v1", kind: "PodTemplate", metadata: { name: name(i) }, template })),
    );
    const path = t.path("podtemplates");
    for (const limit of [7, 17, total]) {
      const found: string[] = [];
      let token = "";
      let version: string | undefined;
      do {
        const list = await t.api.get(path, { query: { limit, ...(token ? { continue: token } : {}) } });
        expect(list.items.length).toBeLessThanOrEqual(limit);
        version ??= list.metadata.resourceVersion;
        expect(list.metadata.resourceVersion).toBe(version);
        found.push(...list.items.map((x: Json) => x.metadata.name));
        token = list.metadata.continue ?? "";
        if (token) expect(list.metadata.remainingItemCount).toBe(total - found.length);
        else expect(list.metadata.remainingItemCount ?? 0).toBe(0);
        // A write between two chunks changes nothing of what follows.
        if (limit === 7 && found.length === 7)
          await t.create({ apiVersion: "v1", kind: "PodTemplate", metadata: { name: "template-late" }, template });
      } while (token);
      if (limit === 7) await t.api.delete(`${path}/template-late`);
      expect(found).toEqual(Array.from({ length: total }, (_, i) => name(i)));
    }
    expect((await t.api.get(path)).items).toHaveLength(total);
  },
);

conformance(
  "[sig-api-machinery] Servers with support for Table transformation should return a 406 for a backend which does not implement metadata [Conformance]",
  async (t) => {
    const body = {
      apiVersion: "authorization.k8s.io/v1",
      kind: "SelfSubjectAccessReview",
      spec: { resourceAttributes: { namespace: t.namespace, verb: "get", resource: "pods" } },
    };
    const a = await t.api.call("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {
      body,
      accept: "application/json;as=Table;v=v1;g=meta.k8s.io",
    });
    expect(a.code).toBe(406);
    expect(JSON.parse(a.text).reason).toBe("NotAcceptable");
  },
);
