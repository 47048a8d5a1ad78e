// Which requests for certificates go, by age and answer.
import { expect, test } from "vitest";
import { isStale } from "./cleaner.ts";

const NOW = Date.UTC(2026, 0, 2);
const ago = (hours: number) => new Date(NOW - hours * 3_600_000).toISOString();
const csr = (type: string | undefined, hours: number, certificate?: string) => ({
  metadata: { name: "c", creationTimestamp: ago(hours) },
  spec: {},
  status: {
    conditions: type === undefined ? [] : [{ type, status: "True", lastUpdateTime: ago(hours) }],
    ...(certificate ? { certificate } : {}),
  },
});

test("what was answered or refused goes after an hour, what nobody answered after a day", () => {
  expect(isStale(csr("Approved", 0.9, "AAAA"), NOW)).toBe(false);
  expect(isStale(csr("Approved", 1.1, "AAAA"), NOW)).toBe(true);
  expect(isStale(csr("Denied", 0.9), NOW)).toBe(false);
  expect(isStale(csr("Denied", 1.1), NOW)).toBe(true);
  expect(isStale(csr("Failed", 1.1), NOW)).toBe(true);
  expect(isStale(csr(undefined, 23), NOW)).toBe(false);
  expect(isStale(csr(undefined, 25), NOW)).toBe(true);
});
