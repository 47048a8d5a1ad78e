import { expect, test } from "vitest";
import { fuzz } from "./fuzz.ts";

test("noise ends in a value or in an error of ours, and soon", () => {
  expect(fuzz(1, 300)).toEqual([]);
});
