import { describe, expect, test } from "vitest";
import { registry } from "../resources.ts";
import { decodeBody, type FieldValidation } from "./decode-body.ts";

const info = (resource: string, group = "") => registry.byResource(group, "v1", resource)!;
const decode = (resource: string, body: unknown, o: { group?: string; type?: string; fieldValidation?: FieldValidation } = {}) =>
  decodeBody(info(resource, o.group), Buffer.from(typeof body === "string" ? body : JSON.stringify(body)), o.type, {
    fieldValidation: o.fieldValidation,
  });
const deployment = (spec: object) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "d" },
  spec: { selector: {}, template: { spec: { containers: [{ name: "c" }] } }, ...spec },
});

describe("decodeBody", () => {
  test("gives the form that a Go server stores", () => {
    const { object, warnings } = decode("pods", {
      metadata: { name: "a", creationTimestamp: null, labels: {}, generateName: "" },
      spec: {
        containers: [{ name: "c", resources: { limits: { memory: "1024Ki", cpu: 0.5 } }, env: [] }],
        hostNetwork: false,
        terminationGracePeriodSeconds: 0,
      },
    });
    expect(warnings).toEqual([]);
    expect(object).toEqual({
      kind: "Pod",
      apiVersion: "v1",
      metadata: { name: "a" },
      spec: { containers: [{ name: "c", resources: { limits: { memory: "1Mi", cpu: "500m" } } }], terminationGracePeriodSeconds: 0 },
      status: {},
    });
  });

  test.each([
    [{ replicas: "3" }, "cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"],
    [{ paused: "yes" }, "cannot unmarshal string into Go struct field DeploymentSpec.spec.paused of type bool"],
    [{ replicas: 1.5 }, "cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32"],
    [{ replicas: 3000000000 }, "cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32"],
    [
      { strategy: { rollingUpdate: { maxSurge: [1] } } },
      "cannot unmarshal array into Go struct field RollingUpdateDeployment.spec.strategy.rollingUpdate.maxSurge of type int32",
    ],
  ])("%j: %s", (spec, message) => {
    expect(() => decode("deployments", deployment(spec), { group: "apps" })).toThrow(
      `Deployment in version "v1" cannot be handled as a Deployment: json: ${message}`,
    );
  });

  test("1.0 is not an integer, as in Go", () => {
    const text = JSON.stringify(deployment({ replicas: 7 })).replace("7", "1.0");
    expect(() => decode("deployments", text, { group: "apps" })).toThrow("cannot unmarshal number 1.0 into");
  });

  test.each([
    ['{"apiVersion":"v1",', 'unexpected end of JSON input ({"apiVersion":"v1",)'],
    ["", "unexpected end of JSON input (<empty>)"],
    [
      "[]",
      'json: cannot unmarshal array into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" } (5b5d)',
    ],
    [
      '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"t"}} trailing',
      `invalid character 't' after top-level value ({"apiVersion":"v1","kind":"Con ...)`,
    ],
    ['{"a" 1}', `invalid character '1' after object key ({"a" 1})`],
    ["{'a':1}", `invalid character '\\'' looking for beginning of object key string ({'a':1})`],
  ])("syntax %j", (text, message) => {
    expect(() => decode("configmaps", text)).toThrow(
      `the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: ${message}`,
    );
  });

  test("unknown and duplicate fields", () => {
    const text = '{"metadata":{"name":"a","name":"b"},"data":{"x":"1","x":"2"},"bogus":{"y":1}}';
    expect(decode("configmaps", text).warnings).toEqual([
      'duplicate field "metadata.name"',
      'duplicate field "data.x"',
      'unknown field "bogus"',
    ]);
    expect(decode("configmaps", text, { fieldValidation: "Ignore" }).warnings).toEqual([]);
    expect(decode("configmaps", text).object.data).toEqual({ x: "2" });
    expect(() => decode("configmaps", text, { fieldValidation: "Strict" })).toThrow(
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: duplicate field "metadata.name"',
    );
    const pod = { spec: { containers: [{ name: "c", imagee: "x" }], bogus: 1 } };
    expect(decode("pods", pod).warnings).toEqual(['unknown field "spec.containers[0].imagee"', 'unknown field "spec.bogus"']);
    expect(decode("configmaps", '{"Data":{"a":"b"}}').warnings).toEqual(['unknown field "Data"']);
  });

  test("other kinds and versions", () => {
    expect(() => decode("pods", { apiVersion: "v2", kind: "Pod" })).toThrow(
      'Pod in version "v2" cannot be handled as a Pod: no kind "Pod" is registered for version "v2" in scheme "pkg/api/legacyscheme/scheme.go:30"',
    );
    expect(() => decode("pods", { apiVersion: "v1", kind: "ConfigMap" })).toThrow(
      'ConfigMap in version "v1" cannot be handled as a Pod: converting (v1.ConfigMap) to (core.Pod): unknown conversion',
    );
    expect(() => decode("deployments", { apiVersion: "extensions/v1beta1", kind: "Deployment" }, { group: "apps" })).toThrow(
      "the API version in the data (extensions/v1beta1) does not match the expected API version (apps/v1)",
    );
    expect(() => decode("pods", "hello", { type: "text/plain" })).toThrow("the body of the request was in an unknown format");
  });

  test("YAML 1.1", () => {
    const yaml = { type: "application/yaml" };
    expect(() => decode("configmaps", "metadata:\n  name: y\n", yaml)).toThrow(
      "json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.name of type string",
    );
    expect(decode("configmaps", "metadata: {name: a}\ndata:\n  d: '1'\n  t: 2020-01-01\n", yaml).object.data).toEqual({
      d: "1",
      t: "2020-01-01",
    });
    expect(() => decode("configmaps", "a: [", yaml)).toThrow(
      "the object provided is unrecognized (must be of type ConfigMap): yaml: line 1: did not find expected node content (613a205b)",
    );
  });

  test("YAML whose anchors stand for themselves is refused", () => {
    const yaml = { type: "application/yaml" };
    for (const text of ["metadata:\n  name: &i\n    image: *i\n", "metadata: &a {labels: &b [*a]}\n"])
      expect(() => decode("configmaps", text, yaml)).toThrow(/yaml: anchor '[ia]' value contains itself/);
    const twice = "metadata: {name: &a one}\ndata: {one: &a two, other: *a}\n";
    expect(decode("configmaps", twice, yaml).object.data).toEqual({ one: "two", other: "two" });
  });

  test("hostile nesting and prototype keys do no harm", () => {
    const deep = `{"x":${"[".repeat(20000)}${"]".repeat(20000)}}`;
    expect(() => decode("configmaps", deep)).toThrow("exceeded max depth");
    const { object } = decode(
      "configmaps",
      '{"metadata":{"name":"a","labels":{"__proto__":"x"}},"data":{"__proto__":"v","constructor":"c"}}',
    );
    expect(Object.entries(object.data)).toEqual([
      ["__proto__", "v"],
      ["constructor", "c"],
    ]);
    expect(Object.keys(object.metadata.labels)).toEqual(["__proto__"]);
    expect(decode("configmaps", '{"__proto__":{"x":1},"hasOwnProperty":1}').warnings).toEqual([
      'unknown field "__proto__"',
      'unknown field "hasOwnProperty"',
    ]);
  });
});
