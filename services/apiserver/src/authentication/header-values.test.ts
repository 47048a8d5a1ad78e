import { expect, it } from "vitest";
import { allValues, extraValues, oneValue } from "./header-values.ts";

it("takes the first value, or all of them", () => {
  expect([oneValue(undefined), oneValue("a, b"), oneValue(["a", "b"])]).toEqual(["", "a, b", "a"]);
  expect([allValues(undefined), allValues("a, b,,"), allValues(["a", " b "])]).toEqual([[], ["a", "b"], ["a", "b"]]);
});

it("collects extra values by their decoded names, and leaves names as they are that cannot be decoded", () => {
  const headers = { "x-extra-example.com%2fscope": "a,b", "x-extra-100%": "c", "x-other": "d" };
  expect(extraValues(headers, "x-extra-")).toEqual({ "example.com/scope": ["a", "b"], "100%": ["c"] });
});
