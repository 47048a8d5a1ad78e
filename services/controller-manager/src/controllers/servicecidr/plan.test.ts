import type { KubeObject } from "@podwire/client";
import { expect, test } from "vitest";
import { containing, FINALIZER, overlapping, planServiceCidr } from "./plan.ts";

const NOW = Date.UTC(2026, 0, 1, 12, 0, 0);
const cidr = (name: string, cidrs: string[], more: object = {}): KubeObject => ({
  metadata: { name, finalizers: [FINALIZER], ...more },
  spec: { cidrs },
});
const ip = (name: string): KubeObject => ({
  metadata: { name, labels: { "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io" } },
});
const going = (agoMs: number) => ({ deletionTimestamp: new Date(NOW - agoMs).toISOString() });
const plan = (c: KubeObject, others: KubeObject[] = [], addresses: KubeObject[] = []) =>
  planServiceCidr({ cidr: c, cidrs: [c, ...others], addresses, nowMs: NOW });

test("a new one is protected and ready; then nothing is written", () => {
  const fresh: KubeObject = { metadata: { name: "a" }, spec: { cidrs: ["10.0.0.0/24"] } };
  expect(plan(fresh).actions.map((a) => a.do)).toEqual(["update", "applyStatus"]);
  const conditions = [{ type: "Ready", status: "True", message: "Kubernetes Service CIDR is ready", lastTransitionTime: "x" }];
  expect(plan({ ...cidr("a", ["10.0.0.0/24"]), status: { conditions } }).actions).toEqual([]);
});

test("one that goes waits for its addresses, then for the allocators", () => {
  const c = cidr("a", ["10.0.0.0/24"], going(60_000));
  const blocked = plan(c, [], [ip("10.0.0.7")]);
  expect(blocked.actions).toMatchObject([
    { do: "applyStatus", patch: { status: { conditions: [{ status: "False", reason: "Terminating" }] } } },
  ]);
  expect(plan(c, [], [ip("10.0.1.7")]).actions).toMatchObject([{ do: "update", object: { metadata: { finalizers: [] } } }]);
  expect(plan(cidr("a", ["10.0.0.0/24"], going(4_000)))).toEqual({ actions: [], afterMs: 6_000 });
});

test("a larger range, or an equal one, takes the addresses over; a smaller one only its own", () => {
  const c = cidr("a", ["10.0.0.0/24"], going(60_000));
  for (const other of ["10.0.0.0/16", "10.0.0.0/24"]) expect(plan(c, [cidr("b", [other])], [ip("10.0.0.7")]).actions[0]?.do).toBe("update");
  const small = cidr("b", ["10.0.0.0/29"]);
  expect(plan(c, [small], [ip("10.0.0.3")]).actions[0]?.do).toBe("update");
  expect(plan(c, [small], [ip("10.0.0.99")]).actions[0]?.do).toBe("applyStatus");
});

test("which ones a change concerns", () => {
  const all = [cidr("a", ["10.0.0.0/16"]), cidr("b", ["10.0.3.0/24", "fd00::/112"]), cidr("c", ["10.9.0.0/24"])];
  expect(overlapping(all[1] as KubeObject, all)).toEqual(["a", "b"]);
  expect(containing(ip("10.0.3.9"), all)).toEqual(["a", "b"]);
  expect(containing(ip("fd00::5"), all)).toEqual(["b"]);
  expect(containing({ metadata: { name: "10.0.3.9" } }, all)).toEqual([]);
});
