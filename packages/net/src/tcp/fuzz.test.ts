import { seededRandom } from "@podwire/base";
import { expect, test } from "vitest";
import { fuzzParsers } from "../codec/fuzz.ts";
import { fuzzHostile, fuzzTransfer } from "./fuzz.ts";

// Short runs with fixed seeds; bench/fuzz/net.ts goes on for as long as one likes.

test("parsers: 4,000 packets, random and damaged", () => {
  const random = seededRandom(11);
  for (let i = 0; i < 4000; i++) expect(() => fuzzParsers(random)).not.toThrow();
});

test("tcp: 60 random connections deliver the same bytes or report an error", { timeout: 60_000 }, () => {
  for (let seed = 1; seed <= 60; seed++) expect(() => fuzzTransfer(seed)).not.toThrow();
});

test("tcp: 60 connections with an intruder keep their invariants", { timeout: 60_000 }, () => {
  for (let seed = 1; seed <= 60; seed++) expect(() => fuzzHostile(seed)).not.toThrow();
});
