import { describe, expect, test } from "vitest";
import { registry } from "../resources.ts";
import { structType } from "../schema/registry.ts";
import { applyJsonPatch } from "./json-patch.ts";
import { applyMergePatch } from "./merge-patch.ts";
import { JSON_PATCH, MERGE_PATCH, patchObject, STRATEGIC_MERGE_PATCH } from "./patch-object.ts";
import { applyStrategicMergePatch } from "./strategic-merge-patch.ts";

const configMaps = registry.byResource("", "v1", "configmaps")!;
const deployments = registry.byResource("apps", "v1", "deployments")!;
const bytes = (v: unknown) => Buffer.from(typeof v === "string" ? v : JSON.stringify(v));
const configMap = { kind: "ConfigMap", apiVersion: "v1", metadata: { name: "c" }, data: { k: "v" } };
const podSpec = structType("core/v1.PodSpec");

describe("JSON patch", () => {
  test("operations", () => {
    const doc = { a: { b: 1 }, l: [1, 2] };
    expect(
      applyJsonPatch(doc, [
        { op: "test", path: "/a/b", value: 1 },
        { op: "add", path: "/l/1", value: 9 },
        { op: "add", path: "/l/-", value: 8 },
        { op: "move", from: "/a/b", path: "/x~1y" },
        { op: "copy", from: "/l", path: "/m" },
        { op: "replace", path: "/l/0", value: null },
        { op: "remove", path: "/m/0" },
      ]),
    ).toEqual({ a: {}, l: [null, 9, 2, 8], "x/y": 1, m: [9, 2, 8] });
    expect(doc).toEqual({ a: { b: 1 }, l: [1, 2] });
  });

  test.each([
    [{ op: "remove", path: "/nope" }],
    [{ op: "replace", path: "/nope/x", value: 1 }],
    [{ op: "add", path: "/l/9", value: 1 }],
    [{ op: "add", path: "/l/01", value: 1 }],
    [{ op: "frob", path: "/a" }],
    [{ op: "test", path: "/a", value: 2 }],
    [{ op: "replace", path: "/__proto__/x", value: 1 }],
  ])("%j is refused as 422", (op) => {
    expect(() => patchObject(configMaps, { ...configMap, l: [1] }, bytes([op]), JSON_PATCH)).toThrow(
      "the server rejected our request due to an error in our request",
    );
  });

  test("bodies that are no patch", () => {
    expect(() => patchObject(configMaps, configMap, bytes({ op: "add" }), JSON_PATCH)).toThrow(
      "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
    );
    expect(() => patchObject(configMaps, configMap, bytes("not json"), JSON_PATCH)).toThrow(
      "error decoding patch: invalid character 'o' in literal null (expecting 'u')",
    );
    expect(() => patchObject(configMaps, configMap, bytes("x"), "application/json")).toThrow("415: Unsupported Media Type");
  });
});

describe("merge patch", () => {
  test("RFC 7396", () => {
    expect(applyMergePatch({ a: "b", c: { d: "e", f: "g" } }, { a: "z", c: { f: null } })).toEqual({ a: "z", c: { d: "e" } });
    expect(applyMergePatch({ a: [1] }, { a: { b: null, c: 1 } })).toEqual({ a: { c: 1 } });
  });

  test("errors quote the patched object", () => {
    expect(() => patchObject(configMaps, configMap, bytes({ data: { k: 5 } }), MERGE_PATCH)).toThrow(
      '"" is invalid: patch: Invalid value: "{\\"apiVersion\\":\\"v1\\",\\"data\\":{\\"k\\":5},\\"kind\\":\\"ConfigMap\\",\\"metadata\\":{\\"name\\":\\"c\\"}}": json: cannot unmarshal number into Go struct field ConfigMap.data of type string',
    );
    expect(() => patchObject(configMaps, configMap, bytes([1]), MERGE_PATCH)).toThrow(
      "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}",
    );
    expect(() => patchObject(configMaps, configMap, bytes({ kind: "Secret" }), MERGE_PATCH)).toThrow("illegal base64 data at input byte 0");
  });

  test("unknown fields", () => {
    expect(patchObject(configMaps, configMap, bytes({ bogus: 1, data: { a: "b" } }), MERGE_PATCH)).toEqual({
      object: { ...configMap, data: { k: "v", a: "b" } },
      warnings: ['unknown field "bogus"'],
    });
  });
});

describe("strategic merge patch", () => {
  const spec = {
    containers: [
      {
        name: "a",
        image: "a:1",
        env: [
          { name: "X", value: "1" },
          { name: "Y", value: "2" },
        ],
        args: ["1"],
      },
      { name: "b", image: "b:1" },
    ],
    tolerations: [{ key: "a" }],
  };
  const merge = (patch: any) => applyStrategicMergePatch(podSpec, spec, patch);

  test("lists merge by key, others are replaced", () => {
    const got = merge({
      containers: [
        {
          name: "a",
          env: [
            { name: "Y", value: "9" },
            { name: "Z", value: "3" },
          ],
          args: ["2"],
        },
        { name: "c", image: "c" },
      ],
      tolerations: [{ key: "b" }],
    });
    // Kubernetes weaves: what is new in the patch comes before what only the server has.
    expect(got.containers.map((c: any) => c.name)).toEqual(["a", "c", "b"]);
    expect(got.containers[0]).toEqual({
      name: "a",
      image: "a:1",
      env: [
        { name: "X", value: "1" },
        { name: "Y", value: "9" },
        { name: "Z", value: "3" },
      ],
      args: ["2"],
    });
    expect(got.tolerations).toEqual([{ key: "b" }]);
    expect(spec.containers[0]!.args).toEqual(["1"]);
  });

  test("directives", () => {
    expect(merge({ containers: [{ name: "a", $patch: "delete" }] }).containers.map((c: any) => c.name)).toEqual(["b"]);
    expect(merge({ containers: [{ $patch: "replace" }, { name: "z" }] }).containers).toEqual([{ name: "z" }]);
    expect(
      merge({ "$setElementOrder/containers": [{ name: "b" }, { name: "a" }], containers: [{ name: "b", image: "b:9" }] }).containers.map(
        (c: any) => c.image,
      ),
    ).toEqual(["b:9", "a:1"]);
    expect(merge({ $patch: "replace", hostNetwork: true })).toEqual({ hostNetwork: true });
    const meta = structType("meta/v1.ObjectMeta");
    expect(applyStrategicMergePatch(meta, { finalizers: ["x", "y"] }, { "$deleteFromPrimitiveList/finalizers": ["x"] })).toEqual({
      finalizers: ["y"],
    });
    expect(applyStrategicMergePatch(meta, { finalizers: ["x"] }, { finalizers: ["y", "x"] })).toEqual({ finalizers: ["y", "x"] });
    const strategy = structType("apps/v1.DeploymentSpec");
    expect(
      applyStrategicMergePatch(
        strategy,
        { strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 1 } } },
        { strategy: { $retainKeys: ["type"], type: "Recreate" } },
      ),
    ).toEqual({
      strategy: { type: "Recreate" },
    });
  });

  test("errors", () => {
    const live = { kind: "Deployment", apiVersion: "apps/v1", metadata: { name: "d" }, spec: { selector: {}, template: { spec } } };
    const patch = (p: unknown) => () => patchObject(deployments, live, bytes(p), STRATEGIC_MERGE_PATCH);
    expect(patch({ spec: { template: { spec: { containers: { name: "a" } } } } })).toThrow(
      '"" is invalid: patch: Invalid value: "map[spec:map[template:map[spec:map[containers:map[name:a]]]]]": cannot restore slice from map',
    );
    expect(patch({ spec: { $patch: "bogus" } })).toThrow("unknown patch type: bogus in map: map[$patch:bogus]");
    expect(patch([])).toThrow("json: cannot unmarshal array into Go value of type map[string]interface {}");
    expect(patch({ spec: { strategy: { $retainKeys: ["type"], type: "Recreate", rollingUpdate: { maxSurge: 1 } } } })).not.toThrow();
    live.spec = { ...live.spec, strategy: { type: "RollingUpdate" } } as any;
    expect(patch({ spec: { strategy: { $retainKeys: ["type"], type: "Recreate", rollingUpdate: { maxSurge: 1 } } } })).toThrow(
      "invalid patch format of retainKeys",
    );
  });
});
