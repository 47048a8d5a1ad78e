import type { KubeObject } from "@podwire/client";
import { describe, expect, test } from "vitest";
import { planMirror } from "./plan.ts";

const service: KubeObject = { metadata: { name: "web", namespace: "default", uid: "s" } as never, spec: { ports: [{ port: 80 }] } };
const endpoints = (ips: string[], more: object = {}): KubeObject => ({
  metadata: { name: "web", namespace: "default", uid: "e", ...more } as never,
  subsets: [{ addresses: ips.map((ip) => ({ ip })), ports: [{ port: 8080 }] }],
});
const made = (ips: string[]) => {
  const [action] = planMirror({ service, endpoints: endpoints(ips), slices: [] });
  const { object } = action as { object: KubeObject };
  return { ...object, metadata: { ...object.metadata, name: "web-x" } };
};

describe("planMirror", () => {
  test("makes a slice a family, and is quiet when it stands", () => {
    const actions = planMirror({ service, endpoints: endpoints(["192.0.2.1", "2001:db8::1"]), slices: [] });
    expect(actions.map((a) => (a as { object: KubeObject }).object["addressType"])).toEqual(["IPv4", "IPv6"]);
    expect(planMirror({ service, endpoints: endpoints(["192.0.2.1"]), slices: [made(["192.0.2.1"])] })).toEqual([]);
  });

  test("follows a change in place, and removes what is no longer wanted", () => {
    const old = made(["192.0.2.1"]);
    expect(planMirror({ service, endpoints: endpoints(["192.0.2.2"]), slices: [old] })).toMatchObject([
      { do: "update", object: { metadata: { name: "web-x" }, endpoints: [{ addresses: ["192.0.2.2"] }] } },
    ]);
    expect(planMirror({ service, endpoints: undefined, slices: [old] })).toMatchObject([{ do: "delete", name: "web-x" }]);
    expect(planMirror({ service: undefined, endpoints: endpoints(["192.0.2.1"]), slices: [old] })).toMatchObject([{ do: "delete" }]);
  });

  test.each([
    ["the label", { labels: { "endpointslice.kubernetes.io/skip-mirror": "true" } }],
    ["a leader election", { annotations: { "control-plane.alpha.kubernetes.io/leader": "{}" } }],
  ])("leaves alone what %s takes out", (_, more) => {
    expect(planMirror({ service, endpoints: endpoints(["192.0.2.1"], more), slices: [] })).toEqual([]);
  });

  test("leaves Services with a selector to their own controller", () => {
    const selecting = { ...service, spec: { selector: { app: "web" } } };
    expect(planMirror({ service: selecting, endpoints: endpoints(["192.0.2.1"]), slices: [] })).toEqual([]);
  });
});
