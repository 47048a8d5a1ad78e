import { describe, expect, test } from "vitest";
import { registry } from "../resources.ts";
import { parseFieldSelector } from "./field-selector.ts";
import { labelSelector, parseLabelSelector } from "./label-selector.ts";

const pods = registry.byResource("", "v1", "pods")!;
const configMaps = registry.byResource("", "v1", "configmaps")!;

describe("label selectors", () => {
  test.each([
    ["a=b", { a: "b" }, true],
    ["a=b", { a: "c" }, false],
    ["a!=b", {}, true],
    ["a in (b,c)", { a: "c" }, true],
    ["a notin (b,c)", { a: "c" }, false],
    ["a,!b", { a: "" }, true],
    ["a,!b", { a: "", b: "" }, false],
    ["n>3", { n: "10" }, true],
    ["n<3", { n: "10" }, false],
    ["app=", { app: "" }, true],
    ["app in ()", { app: "" }, true],
    ["", {}, true],
    ["toString", {}, false],
  ])("%s on %j is %s", (text, labels, want) => expect(parseLabelSelector(text).matches(labels as any)).toBe(want));

  test.each([
    ["app in x", "unable to parse requirement: found 'x' expected: '('"],
    ["a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"],
    ["app=bad value!", "found 'value', expected: ',' or 'end of string'"],
    ["n>abc", "unable to parse requirement: values[0]: Invalid value: \"abc\": for 'Gt', 'Lt' operators, the value must be an integer"],
    ["=x", "found '=', expected: !, identifier, or 'end of string'"],
    ["bad key!=x", "unable to parse requirement: found 'key', expected: in, notin, =, ==, !=, gt, lt"],
  ])("%s is refused: %s", (text, message) => expect(() => parseLabelSelector(text)).toThrow(message));

  test("undefined selects nothing, {} everything", () => {
    expect(labelSelector(undefined).matches({})).toBe(false);
    expect(labelSelector({}).matches({ a: "b" })).toBe(true);
    expect(labelSelector({ matchExpressions: [{ key: "a", operator: "NotIn", values: ["b"] }] }).toString()).toBe("a notin (b)");
  });
});

describe("field selectors", () => {
  const pod = { metadata: { name: "a", namespace: "n" }, spec: { nodeName: "n1" }, status: {} };
  test.each([
    ["spec.nodeName=n1", true],
    ["spec.nodeName==n1,metadata.name!=b", true],
    ["spec.nodeName=", false],
    ["status.phase=", true],
    ["spec.hostNetwork=false", true],
  ])("%s is %s", (text, want) => expect(parseFieldSelector(text, pods).matches(pod)).toBe(want));

  test("refusals", () => {
    expect(() => parseFieldSelector("spec.image=x", pods)).toThrow("field label not supported: spec.image");
    expect(() => parseFieldSelector("data.k=v", configMaps)).toThrow(
      '"data.k" is not a known field selector: only "metadata.name", "metadata.namespace"',
    );
    expect(() => parseFieldSelector("metadata.name", configMaps)).toThrow(
      "invalid selector: 'metadata.name'; can't understand 'metadata.name'",
    );
  });
});
