// [sig-api-machinery] CustomResourceDefinition: definitions as objects, their status, defaulting, selectable fields, conversion.
import { expect } from "vitest";
import { define, definitionOf, FREE_FORM } from "../custom-resources.ts";
import { conformance } from "../harness.ts";
import { ApiError, type Json } from "../rest.ts";
import { startWebhook } from "../webhook-server.ts";

const SIMPLE = "[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] Simple CustomResourceDefinition";
const DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

conformance(`${SIMPLE} creating/deleting custom resource definition objects works [Conformance]`, async (t) => {
  const custom = await define(t);
  expect(await t.api.find(custom.path())).toMatchObject({ kind: "WidgetList", items: [] });
  await t.api.delete(custom.crdPath);
  await t.eventually("the definition is gone", async () => (await t.api.find(custom.crdPath)) === undefined);
  await t.eventually("nothing is served there", async () => (await t.api.call("GET", custom.path())).code === 404);
});

conformance(`${SIMPLE} listing custom resource definition objects works [Conformance]`, async (t) => {
  const labels = { list: t.namespace };
  for (let i = 0; i < 10; i++) await t.createForCluster(definitionOf(t, { plural: `widget${i}s`, kind: `Widget${i}`, labels }));
  const query = { labelSelector: `list=${t.namespace}` };
  expect((await t.api.get(DEFINITIONS, { query })).items).toHaveLength(10);
  await t.api.delete(DEFINITIONS, {}, { query });
  await t.eventually("all are gone", async () => (await t.api.get(DEFINITIONS, { query })).items.length === 0);
});

conformance(`${SIMPLE} getting/updating/patching custom resource definition status sub-resource works [Conformance]`, async (t) => {
  const custom = await define(t);
  const read = await t.api.get(`${custom.crdPath}/status`);
  expect(read).toMatchObject({ kind: "CustomResourceDefinition", status: { acceptedNames: { kind: "Widget" }, storedVersions: ["v1"] } });
  const condition = (message: string) => ({ type: "StatusUpdate", status: "True", reason: "E2E", message, lastTransitionTime: null });
  const updated = await t.modify(
    custom.crdPath,
    (crd) => {
      crd.status.conditions.push(condition("updated from an e2e test"));
      crd.spec.scope = "Cluster"; // The status subresource writes nothing else.
    },
    "status",
  );
  expect(updated.status.conditions).toContainEqual(expect.objectContaining({ type: "StatusUpdate", message: "updated from an e2e test" }));
  expect(updated.spec.scope).toBe("Namespaced");
  const conditions = updated.status.conditions.map((c: Json) => (c.type === "StatusUpdate" ? condition("patched") : c));
  const patched = await t.api.patch(`${custom.crdPath}/status`, { status: { conditions } });
  expect(patched.status.conditions).toContainEqual(expect.objectContaining({ type: "StatusUpdate", message: "patched" }));
});

conformance(
  "[sig-api-machinery] CustomResourceDefinition resources [Privileged:ClusterAdmin] custom resource defaulting for requests and from storage works [Conformance]",
  async (t) => {
    const custom = await define(t);
    await t.create(custom.object("first", {}));
    const properties: Json = { a: { type: "string", default: "A" }, b: { type: "string", default: "B" } };
    const setSchema = (props: Json) =>
      t.modify(custom.crdPath, (crd) => {
        crd.spec.versions[0].schema.openAPIV3Schema = { type: "object", properties: props };
      });
    await setSchema(properties);
    await t.eventually("stored objects are defaulted when they are read", async () => {
      const first = await t.api.get(`${custom.path()}/first`);
      return first.a === "A" && first.b === "B";
    });
    expect(await t.create(custom.object("second", { b: "given" }))).toMatchObject({ a: "A", b: "given" });
    await setSchema({ a: { type: "string", default: "A2" }, b: { type: "string" }, c: { type: "string", default: "C" } });
    await t.eventually("only what storage lacks takes the new default", async () => {
      const second = await t.api.get(`${custom.path()}/second`);
      return second.c === "C" && second.a === "A" && second.b === "given";
    });
    expect(await t.api.get(`${custom.path()}/first`)).toMatchObject({ a: "A2", c: "C" });
    expect((await t.api.get(`${custom.path()}/first`)).b).toBeUndefined();
  },
);

conformance(
  "[sig-api-machinery] CustomResourceDefinition Watch [Privileged:ClusterAdmin] CustomResourceDefinition Watch watch on custom resource definition objects [Conformance]",
  async (t) => {
    const custom = await define(t, { scope: "Cluster" });
    const seen: string[] = [];
    const done = new AbortController();
    t.defer(() => done.abort());
    const { metadata } = await t.api.get(custom.path());
    void (async () => {
      const query = { resourceVersion: metadata.resourceVersion };
      for await (const e of t.api.watch(custom.path(), { query, signal: done.signal }))
        seen.push(`${e.type} ${e.object.metadata.name} ${e.object.num ?? "-"}`);
    })();
    for (const name of ["a", "b"]) await t.create(custom.object(name));
    await t.api.patch(`${custom.path()}/a`, { num: 1 });
    await t.api.delete(`${custom.path()}/b`);
    await t.api.delete(`${custom.path()}/a`);
    await t.eventually("all events came", () => seen.length === 5);
    expect(seen).toEqual(["ADDED a -", "ADDED b -", "MODIFIED a 1", "DELETED b -", "DELETED a 1"]);
  },
);

/** The definition that agnhost's converter knows: one test at a time may have it. */
async function cronTabs(t: Parameters<Parameters<typeof conformance>[1]>[0], of: { v1?: Json; v2?: Json } = {}) {
  const server = await startWebhook(t, "crd-conversion-webhook");
  await t.eventually(
    "no other test has the definition",
    async () => (await t.api.find(`${DEFINITIONS}/e2e-crontabs.stable.example.com`)) === undefined,
    90_000,
  );
  return define(t, {
    group: "stable.example.com",
    plural: "e2e-crontabs",
    kind: "E2eCrontab",
    versions: [
      { name: "v1", schema: { type: "object", properties: { hostPort: { type: "string" } } }, ...of.v1 },
      { name: "v2", schema: { type: "object", properties: { host: { type: "string" }, port: { type: "string" } } }, ...of.v2 },
    ],
    spec: {
      conversion: {
        strategy: "Webhook",
        webhook: { clientConfig: server.client("/crdconvert"), conversionReviewVersions: ["v1", "v1beta1"] },
      },
    },
  });
}

let converter: Promise<unknown> = Promise.resolve();
const exclusively = (body: () => Promise<void>): Promise<void> => {
  const turn = converter.then(body);
  converter = turn.catch(() => undefined);
  return turn;
};
const CONVERSION = "[sig-api-machinery] CustomResourceConversionWebhook [Privileged:ClusterAdmin]";

conformance(`${CONVERSION} should be able to convert from CR v1 to CR v2 [Conformance]`, (t) =>
  exclusively(async () => {
    const custom = await cronTabs(t);
    await t.create(custom.object("one", { hostPort: "localhost:8080" }, "v1"));
    const two = await t.eventually("the converter is called", () => t.api.get(`${custom.path("v2")}/one`));
    expect(two).toMatchObject({ apiVersion: "stable.example.com/v2", host: "localhost", port: "8080" });
    expect(two.hostPort).toBeUndefined();
    await t.api.delete(custom.crdPath);
  }),
);

conformance(`${CONVERSION} should be able to convert a non homogeneous list of CRs [Conformance]`, (t) =>
  exclusively(async () => {
    const custom = await cronTabs(t);
    await t.eventually("the converter is called", () =>
      t.create(custom.object("one", { hostPort: "localhost:8080" }, "v1")).then(() => true),
    );
    await t.modify(custom.crdPath, (crd) => {
      for (const v of crd.spec.versions) v.storage = v.name === "v2";
    });
    await t.eventually("v2 is stored", async () => (await t.api.get(custom.crdPath)).status.storedVersions.includes("v2"));
    await t.create(custom.object("two", { host: "other", port: "9090" }, "v2"));
    expect((await t.api.get(custom.path("v1"))).items.map((o: Json) => [o.apiVersion, o.hostPort])).toEqual([
      ["stable.example.com/v1", "localhost:8080"],
      ["stable.example.com/v1", "other:9090"],
    ]);
    expect((await t.api.get(custom.path("v2"))).items.map((o: Json) => [o.apiVersion, o.host, o.port])).toEqual([
      ["stable.example.com/v2", "localhost", "8080"],
      ["stable.example.com/v2", "other", "9090"],
    ]);
    await t.api.delete(custom.crdPath);
  }),
);

conformance(
  "[sig-api-machinery] CustomResourceFieldSelectors [Privileged:ClusterAdmin] CustomResourceFieldSelectors MUST list and watch custom resources matching the field selector [Conformance]",
  (t) =>
    exclusively(async () => {
      const custom = await cronTabs(t, {
        v1: { selectableFields: [{ jsonPath: ".hostPort" }] },
        v2: { selectableFields: [{ jsonPath: ".host" }, { jsonPath: ".port" }] },
      });
      await t.create(custom.object("one", { hostPort: "host1:80" }, "v1"));
      await t.eventually("the converter is called", () => t.api.get(`${custom.path("v2")}/one`));
      const { metadata } = await t.api.get(custom.path("v1"));
      const done = new AbortController();
      t.defer(() => done.abort());
      const watched = (version: string, fieldSelector: string): string[] => {
        const seen: string[] = [];
        void (async () => {
          const query = { fieldSelector, resourceVersion: metadata.resourceVersion };
          for await (const e of t.api.watch(custom.path(version), { query, signal: done.signal }))
            seen.push(`${e.type} ${e.object.apiVersion.split("/")[1]} ${e.object.metadata.name}`);
        })();
        return seen;
      };
      const [byHostPort, byHost] = [watched("v1", "hostPort=host1:80"), watched("v2", "host=host1")];
      // Stored as v1, whichever version they came in.
      await t.create(custom.object("two", { host: "host1", port: "80" }, "v2"));
      await t.create(custom.object("three", { host: "host1", port: "8080" }, "v2"));
      await t.create(custom.object("four", { host: "host2", port: "80" }, "v2"));
      const list = async (version: string, fieldSelector: string) =>
        (await t.api.get(custom.path(version), { query: { fieldSelector } })).items.map((o: Json) => o.metadata.name);
      expect(await list("v1", "hostPort=host1:80")).toEqual(["one", "two"]);
      expect(await list("v2", "host=host1")).toEqual(["one", "three", "two"]);
      expect(await list("v2", "host=host1,port=80")).toEqual(["one", "two"]);
      expect(await list("v2", "host!=host1,metadata.name!=one")).toEqual(["four"]);
      const refused = await t.api.call("GET", custom.path("v1"), { query: { fieldSelector: "host=host1" } });
      expect([refused.code, JSON.parse(refused.text).message]).toEqual([400, expect.stringContaining("field label not supported: host")]);
      await t.api.patch(`${custom.path("v2")}/two`, { host: "elsewhere" });
      await t.api.delete(custom.path("v2"), {}, { query: { fieldSelector: "host=host1" } });
      expect((await t.api.get(custom.path("v2"))).items.map((o: Json) => [o.metadata.name, o.host])).toEqual([
        ["four", "host2"],
        ["two", "elsewhere"],
      ]);
      await t.eventually("the watches saw it all", () => byHostPort.length === 3 && byHost.length === 5);
      expect(byHostPort).toEqual(["ADDED v1 two", "DELETED v1 two", "DELETED v1 one"]);
      expect(byHost).toEqual(["ADDED v2 two", "ADDED v2 three", "DELETED v2 two", "DELETED v2 one", "DELETED v2 three"]);
      await t.api.delete(custom.crdPath);
    }),
);

const FIELDS = "[sig-api-machinery] FieldValidation should";
const strict = { query: { fieldValidation: "Strict" } };
const CLOSED = {
  type: "object",
  properties: {
    spec: {
      type: "object",
      properties: {
        foo: { type: "string" },
        cronSpec: { type: "string" },
        ports: { type: "array", items: { type: "object", properties: { port: { type: "integer" } } } },
      },
    },
  },
};

async function failure(request: Promise<unknown>): Promise<string> {
  try {
    await request;
  } catch (e) {
    if (e instanceof ApiError) return String(e.status.message);
    throw e;
  }
  return "it was let through";
}

conformance(`${FIELDS} create/apply a CR with unknown fields for CRD with no validation schema [Conformance]`, async (t) => {
  const custom = await define(t, { versions: [{ name: "v1", schema: FREE_FORM }] });
  const object = custom.object("free", { spec: { unknown: "x", deeper: { unknown: 1 } } });
  const created = await t.create(object, strict);
  expect(created.spec).toEqual({ unknown: "x", deeper: { unknown: 1 } });
  const applied = await t.api.patch(`${custom.path()}/applied`, { ...object, metadata: { name: "applied" } }, "apply", {
    query: { ...strict.query, fieldManager: "e2e" },
  });
  expect(applied.spec).toEqual({ unknown: "x", deeper: { unknown: 1 } });
});

conformance(`${FIELDS} create/apply a valid CR for CRD with validation schema [Conformance]`, async (t) => {
  const custom = await define(t, { versions: [{ name: "v1", schema: CLOSED }] });
  const spec = { foo: "foo1", cronSpec: "* * * * */5", ports: [{ port: 80 }] };
  expect((await t.create(custom.object("valid", { spec }), strict)).spec).toEqual(spec);
  const applied = await t.api.patch(`${custom.path()}/applied`, custom.object("applied", { spec }), "apply", {
    query: { ...strict.query, fieldManager: "e2e" },
  });
  expect(applied.spec).toEqual(spec);
});

conformance(`${FIELDS} create/apply an invalid CR with extra properties for CRD with validation schema [Conformance]`, async (t) => {
  const custom = await define(t, { versions: [{ name: "v1", schema: CLOSED }] });
  const object = custom.object("invalid", { spec: { foo: "foo1", extraProperty: "x", ports: [{ port: 80, more: 1 }] } });
  const created = await failure(t.create(object, strict));
  expect(created).toContain('strict decoding error: unknown field "spec.extraProperty"');
  expect(created).toContain('unknown field "spec.ports[0].more"');
  const query = { ...strict.query, fieldManager: "e2e" };
  expect(await failure(t.api.patch(`${custom.path()}/invalid`, object, "apply", { query }))).toMatch(/extraProperty/);
  const warned = await t.api.call("POST", custom.path(), { body: object, query: { fieldValidation: "Warn" } });
  expect(warned.code).toBe(201);
  expect(String(warned.headers["warning"])).toContain('unknown field \\"spec.extraProperty\\"');
  expect(JSON.parse(warned.text).spec).toEqual({ foo: "foo1", ports: [{ port: 80 }] });
});

conformance(`${FIELDS} detect unknown metadata fields in both the root and embedded object of a CR [Conformance]`, async (t) => {
  const embedded = { type: "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true };
  const schema = { type: "object", properties: { spec: { type: "object", properties: { template: embedded } } } };
  const custom = await define(t, { versions: [{ name: "v1", schema }] });
  const object = custom.object("meta", {
    spec: { template: { apiVersion: "foo/v1", kind: "Sub", metadata: { name: "sub", unknownSubMeta: "x" } } },
    metadata: { unknownMeta: "x" },
  });
  const created = await failure(t.create(object, strict));
  expect(created).toContain('unknown field "metadata.unknownMeta"');
  expect(created).toContain('unknown field "spec.template.metadata.unknownSubMeta"');
});

conformance(`${FIELDS} detect duplicates in a CR when preserving unknown fields [Conformance]`, async (t) => {
  const custom = await define(t, { versions: [{ name: "v1", schema: FREE_FORM }] });
  const body = `{"apiVersion":"${custom.group}/v1","kind":"Widget","metadata":{"name":"twice"},"spec":{"unknown":"a","unknown":"b","free":1}}`;
  const refused = await failure(t.api.ask("POST", custom.path(), { body, ...strict }));
  expect(refused).toContain('strict decoding error: duplicate field "spec.unknown"');
});
