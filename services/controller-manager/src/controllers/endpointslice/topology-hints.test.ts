import { seededRandom } from "@podwire/base";
import type { KubeObject } from "@podwire/client";
import { expect, test } from "vitest";
import { asksForHints, cpuShares, type HintedEndpoint, planHints } from "./topology-hints.ts";

const node = (zone: string | undefined, cpu: string, more: object = {}): KubeObject => ({
  metadata: { name: `n-${zone}-${cpu}`, labels: { ...(zone ? { "topology.kubernetes.io/zone": zone } : {}), ...more } },
  status: { allocatable: { cpu }, conditions: [{ type: "Ready", status: "True" }] },
});
const endpoints = (counts: Record<string, number>): HintedEndpoint[] =>
  Object.entries(counts).flatMap(([zone, n]) =>
    Array.from({ length: n }, (_, i) => ({ key: `${zone}${i}`, zone, ready: true, hint: undefined })),
  );
const count = (h: ReturnType<typeof planHints>) => {
  const out: Record<string, number> = {};
  for (const z of "zones" in h ? h.zones.values() : []) out[z] = (out[z] ?? 0) + 1;
  return out;
};

test("who asks, and what the nodes' shares are", () => {
  const service = (annotations: Record<string, string>): KubeObject => ({ metadata: { name: "s", annotations } });
  expect(asksForHints(service({ "service.kubernetes.io/topology-mode": "Auto" }))).toBe(true);
  expect(asksForHints(service({ "service.kubernetes.io/topology-aware-hints": "auto" }))).toBe(true);
  expect(asksForHints(service({ "service.kubernetes.io/topology-mode": "Disabled" }))).toBe(false);
  expect(cpuShares([node("a", "1"), node("b", "3")])).toEqual(
    new Map([
      ["a", 0.25],
      ["b", 0.75],
    ]),
  );
  expect(cpuShares([node("a", "1"), node("a", "3")])).toBeUndefined();
  expect(cpuShares([node("a", "1"), node("b", "3"), node(undefined, "1")])).toBeUndefined();
  const control = { "node-role.kubernetes.io/control-plane": "" };
  expect(cpuShares([node("a", "1"), node("b", "1"), node(undefined, "9", control)])).toEqual(
    new Map([
      ["a", 0.5],
      ["b", 0.5],
    ]),
  );
});

test("endpoints serve their own zone, and a zone with too few is lent some", () => {
  const even = new Map([
    ["a", 0.5],
    ["b", 0.5],
  ]);
  expect(count(planHints(endpoints({ a: 3, b: 3 }), even))).toEqual({ a: 3, b: 3 });
  expect(count(planHints(endpoints({ a: 6 }), even))).toEqual({ a: 3, b: 3 });
  expect(
    count(
      planHints(
        endpoints({ a: 5, b: 1 }),
        new Map([
          ["a", 0.25],
          ["b", 0.75],
        ]),
      ),
    ),
  ).toEqual({ a: 2, b: 4 });
});

test("what makes hints impossible is said in upstream's words", () => {
  const even = new Map([
    ["a", 0.5],
    ["b", 0.5],
  ]);
  expect(planHints(endpoints({ a: 3 }), undefined)).toEqual({
    why: "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes",
  });
  expect(planHints(endpoints({ a: 1 }), even)).toEqual({ why: "Insufficient number of endpoints (1 endpoints, 2 zones)" });
  expect(planHints(endpoints({ a: 3 }), even)).toEqual({
    why: "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold (3 endpoints, 2 zones)",
  });
  expect(planHints([...endpoints({ a: 5 }), { key: "x", zone: undefined, ready: true, hint: undefined }], even)).toMatchObject({
    why: "One or more endpoints do not have a zone specified",
  });
});

test("hints that keep to the shares stay; unready endpoints have none", () => {
  const even = new Map([
    ["a", 0.5],
    ["b", 0.5],
  ]);
  const first = planHints(endpoints({ a: 6 }), even);
  if (!("zones" in first)) throw new Error(first.why);
  const hinted = endpoints({ a: 6 }).map((e) => ({ ...e, hint: first.zones.get(e.key) }));
  expect(planHints(hinted, even)).toEqual(first);
  const more = [
    ...hinted,
    { key: "new", zone: "b", ready: true, hint: undefined },
    { key: "sick", zone: "b", ready: false, hint: undefined },
  ];
  const second = planHints(more, even);
  expect("zones" in second && second.zones.has("sick")).toBe(false);
  expect("zones" in second && second.zones.size).toBe(7);
});

test("random shares: no zone is left with less than it must have, and the plan is stable", () => {
  const r = seededRandom(11);
  for (let i = 0; i < 500; i++) {
    const names = ["a", "b", "c", "d"].slice(0, 2 + r.below(3));
    const cpu = names.map(() => 1 + r.below(8));
    const total = cpu.reduce((n, x) => n + x, 0);
    const shares = new Map(names.map((z, k) => [z, (cpu[k] as number) / total]));
    const eps = Array.from({ length: r.below(30) }, (_, k) => ({
      key: `e${k}`,
      zone: r.pick(names),
      ready: true,
      hint: r.float() < 0.5 ? r.pick(names) : undefined,
    }));
    const plan = planHints(eps, shares);
    if ("why" in plan) continue;
    expect(plan.zones.size).toBe(eps.length);
    const again = planHints(
      eps.map((e) => ({ ...e, hint: plan.zones.get(e.key) })),
      shares,
    );
    const kept = "zones" in again ? [...again.zones].filter(([k, z]) => plan.zones.get(k) !== z).length : -1;
    expect(kept, `round ${i}`).toBe(0);
  }
});
