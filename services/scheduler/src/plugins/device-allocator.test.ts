import type { KubeObject } from "@podwire/client";
import { expect, test } from "vitest";
import { NodeInfo } from "../framework/node-info.ts";
import { allocate, devicesOn, SelectorError } from "./device-allocator.ts";

const node = new NodeInfo({ metadata: { name: "n1", labels: { rack: "r1" } }, status: {} });
const gpu = (name: string, model: string, memory: string, more: object = {}) => ({
  name,
  attributes: { model: { string: model }, "example.com/numa": { int: name.endsWith("1") ? 1 : 0 }, driverVersion: { version: "1.10.0" } },
  capacity: { memory: { value: memory } },
  ...more,
});
const slice = (pool: string, devices: object[], at: object = { nodeName: "n1" }, generation = 1, count = 1): KubeObject => ({
  metadata: { name: `${pool}-${generation}` },
  spec: { driver: "gpu.example.com", pool: { name: pool, generation, resourceSliceCount: count }, ...at, devices },
});
const cls = (...expressions: string[]): KubeObject => ({
  metadata: { name: "gpu" },
  spec: {
    selectors: expressions.map((expression) => ({ cel: { expression } })),
    config: [{ opaque: { driver: "gpu.example.com", parameters: { a: 1 } } }],
  },
});
const claim = (requests: object[], constraints: object[] = []): KubeObject => ({
  metadata: { name: "c", uid: "c" },
  spec: { devices: { requests, constraints } },
});
const exactly = (name: string, more: object = {}) => ({
  name,
  exactly: { deviceClassName: "gpu", allocationMode: "ExactCount", count: 1, ...more },
});
const select = (expression: string) => ({ selectors: [{ cel: { expression } }] });
const slices = [slice("p", [gpu("g0", "a", "16Gi"), gpu("g1", "b", "80Gi"), gpu("h1", "b", "80Gi")])];

function names(claims: KubeObject[], o: { slices?: KubeObject[]; taken?: string[]; cls?: KubeObject } = {}) {
  const devices = devicesOn(o.slices ?? slices, node);
  const deviceClass = () => o.cls ?? cls('device.driver == "gpu.example.com"');
  const result = allocate({ claims, devices, deviceClass, taken: new Set((o.taken ?? []).map((d) => `gpu.example.com/p/${d}`)), node });
  return result?.map((a) => a.devices.results.map((r: any) => `${r.request}=${r.device}`));
}

test("which devices a node has: its own, its rack's, everybody's; the newest generation, and only whole pools", () => {
  const d = [{ name: "d" }];
  const on = (list: KubeObject[]) => devicesOn(list, node).length;
  const rack = (r: string) => ({
    nodeSelector: { nodeSelectorTerms: [{ matchExpressions: [{ key: "rack", operator: "In", values: [r] }] }] },
  });
  expect([{ nodeName: "n1" }, { nodeName: "n2" }, { allNodes: true }, rack("r1"), rack("r2")].map((at) => on([slice("p", d, at)]))).toEqual(
    [1, 0, 1, 1, 0],
  );
  expect(on([slice("p", d, { nodeName: "n1" }, 1), slice("p", [], { nodeName: "n1" }, 2)])).toBe(0);
  expect(on([slice("p", d, { nodeName: "n1" }, 1, 2)])).toBe(0);
});

test("selectors see driver, attributes and capacity; a device is given once", () => {
  expect(names([claim([exactly("r", select('device.attributes["gpu.example.com"].model == "b"'))])])).toEqual([["r=g1"]]);
  expect(
    names([claim([exactly("r", select('device.capacity["gpu.example.com"].memory.isGreaterThan(quantity("40Gi"))'))])], { taken: ["g1"] }),
  ).toEqual([["r=h1"]]);
  expect(
    names([claim([exactly("r", select('device.attributes["gpu.example.com"].driverVersion.isLessThan(semver("1.9.0"))'))])]),
  ).toBeUndefined();
  expect(names([claim([exactly("r", { count: 2 })]), claim([exactly("s")])])).toEqual([["r=g0", "r=g1"], ["s=h1"]]);
  expect(names([claim([exactly("r", { count: 3 })]), claim([exactly("s")])])).toBeUndefined();
  expect(() => names([claim([exactly("r", select('device.attributes["gpu.example.com"].nope == 1'))])])).toThrow(SelectorError);
});

test("all, administrators, alternatives in order, and one value of an attribute for all", () => {
  expect(names([claim([exactly("r", { allocationMode: "All" })])])?.[0]).toHaveLength(3);
  expect(names([claim([exactly("r", { allocationMode: "All" })])], { taken: ["g0"] })).toBeUndefined();
  expect(names([claim([exactly("r", { adminAccess: true })])], { taken: ["g0", "g1", "h1"] })).toEqual([["r=g0"]]);
  const firstAvailable = [
    { name: "big", deviceClassName: "gpu", count: 4 },
    { name: "small", deviceClassName: "gpu", count: 1 },
  ];
  expect(names([claim([{ name: "r", firstAvailable }])])).toEqual([["r/small=g0"]]);
  const same = [{ matchAttribute: "example.com/numa" }];
  expect(names([claim([exactly("r"), exactly("s")], same)])).toEqual([["r=g1", "s=h1"]]);
  expect(names([claim([exactly("r", { count: 3 })], same)])).toBeUndefined();
});

test("the result says where the devices can be used, and with which configuration", () => {
  const [a] =
    allocate({
      claims: [claim([exactly("r")])],
      devices: devicesOn(slices, node),
      deviceClass: () => cls("true"),
      taken: new Set(),
      node,
    }) ?? [];
  expect(a.nodeSelector).toEqual({ nodeSelectorTerms: [{ matchFields: [{ key: "metadata.name", operator: "In", values: ["n1"] }] }] });
  expect(a.devices.config).toEqual([{ source: "FromClass", requests: ["r"], opaque: { driver: "gpu.example.com", parameters: { a: 1 } } }]);
});
