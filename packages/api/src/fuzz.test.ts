import { seededRandom } from "@podwire/base";
import { expect, test } from "vitest";
import { fuzz } from "./fuzz.ts";

test("noise ends in a value or in an error of ours", () => {
  expect(fuzz(seededRandom(1), 300)).toEqual([]);
});
