import { expect, test } from "vitest";
import { fuzz } from "../../../../packages/api/src/fuzz.ts";
import { REQUEST_TARGETS } from "./fuzz.ts";

test("noise in paths, options and tokens ends in a value or in an error of ours", () => {
  expect(fuzz(1, 500, REQUEST_TARGETS)).toEqual([]);
});
