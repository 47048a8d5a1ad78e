import { describe, expect, test } from "vitest";
import { errorText } from "../errors/field-error.ts";
import { applySchemaDefaults, type JsonSchema, prune } from "./schema.ts";
import { validateSchema } from "./validate.ts";

const schema: JsonSchema = {
  type: "object",
  required: ["spec"],
  properties: {
    spec: {
      type: "object",
      properties: {
        size: { type: "integer", minimum: 1, multipleOf: 2 },
        mode: { type: "string", enum: ["A", "B"], default: "A" },
        free: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
        m: {
          type: "array",
          "x-kubernetes-list-type": "map",
          "x-kubernetes-list-map-keys": ["k"],
          items: { type: "object", properties: { k: { type: "string" } } },
        },
        ios: { "x-kubernetes-int-or-string": true },
      },
    },
  },
};
const texts = (v: unknown) => validateSchema(v, schema).map(errorText);

describe("structural schemas", () => {
  test("prune what is unknown, keep metadata and free objects", () => {
    const o = { kind: "W", metadata: { name: "a" }, top: 1, spec: { size: 2, extra: 1, free: { x: 1 } } };
    expect(prune(o, schema)).toEqual(["spec.extra", "top"]);
    expect(o).toEqual({ kind: "W", metadata: { name: "a" }, spec: { size: 2, free: { x: 1 } } });
    const hostile = JSON.parse('{"spec":{"constructor":1,"__proto__":{"a":1}}}');
    expect(prune(hostile, schema)).toEqual(["spec.__proto__", "spec.constructor"]);
  });

  test("default what is absent, and nulls that are not allowed", () => {
    const o: any = { spec: { mode: null } };
    applySchemaDefaults(o, schema);
    expect(o.spec.mode).toBe("A");
  });

  test("errors in kube-openapi's words", () => {
    expect(texts({})).toEqual(["spec: Required value"]);
    expect(texts({ spec: { size: 3 } })).toEqual(["spec.size: Invalid value: 3: spec.size in body should be a multiple of 2"]);
    expect(texts({ spec: { size: "x" } })).toEqual([
      'spec.size: Invalid value: "string": spec.size in body must be of type integer: "string"',
    ]);
    expect(texts({ spec: { ios: 1.5 } })).toEqual([
      'spec.ios: Invalid value: "number": spec.ios in body must be of type integer,string: "number"',
    ]);
    expect(texts({ spec: { mode: "C" } })).toEqual(['spec.mode: Unsupported value: "C": supported values: "A", "B"']);
    expect(texts({ spec: { m: [{ k: "a" }, { k: "a" }] } })).toEqual(['spec.m[1]: Duplicate value: {"k":"a"}']);
  });

  test("a pattern made to explode does not", () => {
    const begun = performance.now();
    validateSchema("a".repeat(2000), { type: "string", pattern: "^(a+)+$b" }, "x");
    expect(performance.now() - begun).toBeLessThan(1000);
  });
});
