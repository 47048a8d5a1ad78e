import { describe, expect, test } from "vitest";
import { errorText } from "../errors/field-error.ts";
import { schemaRuleErrors, validateSchemaRules } from "./rules.ts";
import type { JsonSchema } from "./schema.ts";

const schema: JsonSchema = {
  type: "object",
  properties: {
    spec: {
      type: "object",
      "x-kubernetes-validations": [
        { rule: "self.min <= self.max", message: "min must not exceed max" },
        {
          rule: '!has(self.tag) || self.tag.startsWith("v")',
          messageExpression: '"bad tag: " + self.tag',
          fieldPath: ".tag",
          reason: "FieldValueForbidden",
        },
      ],
      properties: {
        min: { type: "integer" },
        max: { type: "integer" },
        tag: { type: "string" },
        imm: { type: "string", "x-kubernetes-validations": [{ rule: "self == oldSelf" }] },
        list: {
          type: "array",
          items: { type: "string" },
          "x-kubernetes-validations": [{ rule: "self.all(x, x.size() > 1)", message: "short item" }],
        },
        ratio: { type: "number", "x-kubernetes-validations": [{ rule: "self < 1.0" }] },
        "dash-ed": { type: "string" },
        when: { type: "string", format: "date-time", "x-kubernetes-validations": [{ rule: "self.getFullYear() > 2000" }] },
      },
    },
  },
};
const check = (spec: object, old?: object) =>
  validateSchemaRules(schema, { spec: { min: 0, max: 9, ...spec } }, old && { spec: { min: 0, max: 9, ...old } }).map(errorText);

describe("x-kubernetes-validations", () => {
  test("rules, messages, field paths, transitions", () => {
    expect(check({ min: 5, max: 1 })).toEqual(['spec: Invalid value: "object": min must not exceed max']);
    expect(check({ tag: "x1", list: ["a"] })).toEqual([
      'spec.list: Invalid value: "array": short item',
      "spec.tag: Forbidden: bad tag: x1",
    ]);
    expect(check({ imm: "a" })).toEqual([]);
    expect(check({ imm: "b" }, { imm: "a" })).toEqual(['spec.imm: Invalid value: "string": failed rule: self == oldSelf']);
    expect(check({ ratio: 2 })).toEqual(['spec.ratio: Invalid value: "number": failed rule: self < 1.0']);
    expect(check({ when: "1999-01-01T00:00:00Z" })).toHaveLength(1);
  });

  test("what did not change is not judged again", () => {
    expect(check({ tag: "x1" }, { tag: "x1" })).toEqual([]);
    expect(check({ list: ["a"], tag: "v" }, { list: ["a"], tag: "v2" })).toEqual([]);
  });

  test("rules that do not compile", () => {
    const bad = (rule: string, type = "string"): string[] =>
      schemaRuleErrors({ type: "object", properties: { a: { type, "x-kubernetes-validations": [{ rule }] } } }, "schema").map(errorText);
    expect(bad("self.foo > 1")[0]).toBe(
      'schema.properties[a].x-kubernetes-validations[0].rule: Invalid value: {"Rule":"self.foo \\u003e 1","Message":"","MessageExpression":"","Reason":null,"FieldPath":"","OptionalOldSelf":null}: compilation failed: ERROR: <input>:1:5: type \'string\' does not support field selection\n | self.foo > 1\n | ....^',
    );
    expect(bad("")[0]).toContain("rule: Required value: rule is not specified");
    expect(bad('"x"', "integer")[0]).toContain("cel expression must evaluate to a bool");
  });
});
