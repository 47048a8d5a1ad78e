// [sig-api-machinery] CustomResourcePublishOpenAPI: definitions of custom resources in the published documents, and kubectl's use of them.
import { expect } from "vitest";
import { type Custom, define } from "../custom-resources.ts";
import { type Context, conformance } from "../harness.ts";
import type { Json } from "../rest.ts";

const NAME = "[sig-api-machinery] CustomResourcePublishOpenAPI [Privileged:ClusterAdmin]";
const SCHEMA = {
  description: "Foo CRD for Testing",
  type: "object",
  properties: {
    spec: {
      type: "object",
      description: "Specification of Foo",
      properties: {
        bars: {
          description: "List of Bars and their specs.",
          type: "array",
          items: {
            type: "object",
            required: ["name"],
            properties: {
              name: { description: "Name of Bar.", type: "string" },
              age: { description: "Age of Bar.", type: "string" },
              bazs: { description: "List of Bazs.", type: "array", items: { type: "string" } },
            },
          },
        },
      },
    },
    status: { description: "Status of Foo", type: "object", properties: { bars: { type: "array", items: { type: "object" } } } },
  },
};

/** "widgets" of group a.b, version v1, kind Widget are b.a.v1.Widget. */
const definitionName = (c: Custom, version: string) => `${c.group.split(".").reverse().join(".")}.${version}.${c.crd.spec.names.kind}`;

async function v2Definition(t: Context, c: Custom, version: string): Promise<Json> {
  return (await t.api.get("/openapi/v2")).definitions[definitionName(c, version)];
}

async function v3Schema(t: Context, c: Custom, version: string): Promise<Json> {
  const a = await t.api.call("GET", `/openapi/v3/apis/${c.group}/${version}`);
  return a.code === 404 ? undefined : JSON.parse(a.text).components.schemas[definitionName(c, version)];
}

/** Waits until both documents have the schema, and answers v2's. */
const published = (t: Context, c: Custom, version: string): Promise<Json> =>
  t.eventually(`${definitionName(c, version)} is published`, async () => {
    const [two, three] = await Promise.all([v2Definition(t, c, version), v3Schema(t, c, version)]);
    return two && three ? two : undefined;
  });

const unpublished = (t: Context, c: Custom, version: string): Promise<unknown> =>
  t.eventually(`${definitionName(c, version)} is not published`, async () => {
    const [two, three] = await Promise.all([v2Definition(t, c, version), v3Schema(t, c, version)]);
    return two === undefined && three === undefined;
  });

async function kubectlRefuses(t: Context, object: Json): Promise<string> {
  const r = await t.tryKubectl(["create", "-f", "-"], { input: JSON.stringify(object) });
  expect(r.code).toBe(1);
  return r.stderr;
}

const accepts = (t: Context, object: Json) => t.kubectl(["create", "-f", "-", "--dry-run=server"], { input: JSON.stringify(object) });

conformance(`${NAME} works for CRD without validation schema [Conformance]`, async (t) => {
  // Without a schema of its own, nothing is known of its fields: as v1 has it, the root preserves what it does not know.
  const custom = await define(t);
  const published2 = await published(t, custom, "v1");
  expect(published2.type).toBe("object");
  expect(published2.properties?.spec).toBeUndefined();
  await accepts(t, custom.object("any", { spec: { whatever: { nested: 1 } } }));
  expect(await t.kubectl(["explain", `widgets.${custom.group}`])).toMatch(/DESCRIPTION:\s+<empty>/);
});

conformance(`${NAME} works for CRD preserving unknown fields at the schema root [Conformance]`, async (t) => {
  const custom = await define(t, {
    versions: [
      {
        name: "v1",
        schema: {
          type: "object",
          "x-kubernetes-preserve-unknown-fields": true,
          properties: { spec: { type: "object", description: "known" } },
        },
      },
    ],
  });
  await published(t, custom, "v1");
  expect(await v3Schema(t, custom, "v1")).toMatchObject({
    "x-kubernetes-preserve-unknown-fields": true,
    properties: { spec: { description: "known" } },
  });
  await accepts(t, custom.object("any", { a: { b: [{ c: "d" }] } }));
  expect(await t.kubectl(["explain", `widgets.${custom.group}`])).toContain("KIND:       Widget");
});

conformance(`${NAME} works for CRD preserving unknown fields in an embedded object [Conformance]`, async (t) => {
  const open = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
  const schema = {
    description: "preserve-unknown-properties in nested field for Testing",
    type: "object",
    properties: { spec: { description: "Specification of Waldo", ...open }, status: { description: "Status of Waldo", ...open } },
  };
  const custom = await define(t, { versions: [{ name: "v1", schema }] });
  const two = await published(t, custom, "v1");
  expect(two.properties.spec).toMatchObject({ description: "Specification of Waldo", "x-kubernetes-preserve-unknown-fields": true });
  await accepts(t, custom.object("any", { spec: { a: { b: [{ c: "d" }] } } }));
  expect(await t.kubectl(["explain", `widgets.${custom.group}`])).toMatch(/spec\s+<Object>\s+Specification of Waldo/);
});

conformance(`${NAME} works for multiple CRDs of different groups [Conformance]`, async (t) => {
  const one = await define(t, { group: `one.${t.namespace}.example.com`, versions: [{ name: "v1", schema: SCHEMA }] });
  const two = await define(t, {
    group: `two.${t.namespace}.example.com`,
    plural: "gadgets",
    kind: "Gadget",
    versions: [{ name: "v1", schema: SCHEMA }],
  });
  for (const c of [one, two]) {
    const definition = await published(t, c, "v1");
    expect(definition.description).toBe("Foo CRD for Testing");
    expect(definition.properties.spec.properties.bars.items.required).toEqual(["name"]);
    expect(definition["x-kubernetes-group-version-kind"]).toEqual([{ group: c.group, version: "v1", kind: c.crd.spec.names.kind }]);
  }
  await accepts(t, one.object("good", { spec: { bars: [{ name: "test-bar" }] } }));
  expect(await kubectlRefuses(t, one.object("bad", { spec: { bars: [{ name: "b", feeling: "x" }] } }))).toMatch(/unknown field.*feeling/);
  expect(await kubectlRefuses(t, one.object("bad", { spec: { bars: [{ age: "10" }] } }))).toMatch(
    /spec\.bars\[0\]\.name.*Required|missing required field "name"/,
  );
  expect(await t.kubectl(["explain", `widgets.${one.group}.spec.bars.age`])).toMatch(/FIELD:\s+age <string>[\s\S]*Age of Bar\./);
});

conformance(`${NAME} works for multiple CRDs of same group but different versions [Conformance]`, async (t) => {
  const custom = await define(t, {
    versions: [
      { name: "v2", schema: SCHEMA },
      { name: "v3", schema: { ...SCHEMA, description: "The third" } },
    ],
  });
  expect((await published(t, custom, "v2")).description).toBe("Foo CRD for Testing");
  expect((await published(t, custom, "v3")).description).toBe("The third");
  const other = await define(t, { plural: "gadgets", kind: "Gadget", versions: [{ name: "v4", schema: SCHEMA }] });
  await published(t, other, "v4");
  await published(t, custom, "v2");
});

conformance(`${NAME} works for multiple CRDs of same group and version but different kinds [Conformance]`, async (t) => {
  const one = await define(t, { versions: [{ name: "v1", schema: SCHEMA }] });
  const two = await define(t, { plural: "gadgets", kind: "Gadget", versions: [{ name: "v1", schema: SCHEMA }] });
  await published(t, one, "v1");
  await published(t, two, "v1");
  await t.api.delete(two.crdPath);
  await t.eventually(
    "one is gone",
    async () => (await v3Schema(t, two, "v1")) === undefined && (await v2Definition(t, two, "v1")) === undefined,
  );
  await published(t, one, "v1");
});

conformance(`${NAME} updates the published spec when one version gets renamed [Conformance]`, async (t) => {
  const custom = await define(t, {
    versions: [
      { name: "v2", schema: SCHEMA },
      { name: "v3", schema: SCHEMA },
    ],
  });
  await published(t, custom, "v2");
  await published(t, custom, "v3");
  await t.modify(custom.crdPath, (crd) => {
    crd.spec.versions[1].name = "v4";
  });
  await published(t, custom, "v4");
  await unpublished(t, custom, "v3");
  expect((await published(t, custom, "v2")).description).toBe("Foo CRD for Testing");
});

conformance(`${NAME} removes definition from spec when one version gets changed to not be served [Conformance]`, async (t) => {
  const custom = await define(t, {
    versions: [
      { name: "v5", schema: SCHEMA },
      { name: "v6alpha1", schema: SCHEMA },
    ],
  });
  await published(t, custom, "v5");
  await published(t, custom, "v6alpha1");
  await t.modify(custom.crdPath, (crd) => {
    crd.spec.versions[1].served = false;
  });
  await unpublished(t, custom, "v6alpha1");
  await published(t, custom, "v5");
});
