import { describe, expect, test } from "vitest";
import { clusterView } from "./view.ts";

const node = (name: string, ready: string) => ({
  metadata: { name },
  spec: { podCIDR: "10.244.1.0/24" },
  status: { addresses: [{ type: "InternalIP", address: "172.30.1.1" }], conditions: [{ type: "Ready", status: ready }] },
});
const pod = (name: string, nodeName: string | undefined, status: object) => ({
  metadata: { name, namespace: "default" },
  spec: { nodeName },
  status,
});

describe("clusterView", () => {
  test("puts pods on their nodes, and those without one apart", () => {
    const view = clusterView("demo", {
      nodes: [node("node-10", "True"), node("node-2", "Unknown")],
      pods: [
        pod("b", "node-2", { phase: "Running", podIP: "10.244.1.5", conditions: [{ type: "Ready", status: "True" }] }),
        pod("a", "node-2", {
          phase: "Running",
          containerStatuses: [{ restartCount: 3, state: { waiting: { reason: "CrashLoopBackOff" } } }],
        }),
        pod("c", undefined, { phase: "Pending" }),
        pod("d", "gone", { phase: "Running" }),
      ],
      services: [],
      endpointSlices: [],
    });
    expect(view.nodes.map((n) => [n.name, n.ready])).toEqual([
      ["node-2", false],
      ["node-10", true],
    ]);
    expect(view.nodes[0]?.pods).toMatchObject([
      { name: "a", status: "CrashLoopBackOff", restarts: 3, ready: false },
      { name: "b", status: "Running", ip: "10.244.1.5", ready: true },
    ]);
    expect(view.unscheduled.map((p) => p.name)).toEqual(["c", "d"]);
  });

  test("gathers the ready endpoints of all slices of a Service", () => {
    const slice = (name: string, endpoints: object[]) => ({
      metadata: { name, namespace: "default", labels: { "kubernetes.io/service-name": "web" } },
      ports: [{ port: 8080 }],
      endpoints,
    });
    const view = clusterView("demo", {
      nodes: [],
      pods: [],
      services: [{ metadata: { name: "web", namespace: "default" }, spec: { clusterIP: "10.96.1.1", ports: [{ port: 80 }] } }],
      endpointSlices: [
        slice("web-2", [{ addresses: ["10.244.2.2"], conditions: { ready: true } }]),
        slice("web-1", [{ addresses: ["10.244.1.2"] }, { addresses: ["10.244.1.3"], conditions: { ready: false } }]),
      ],
    });
    expect(view.services).toMatchObject([{ name: "web", type: "ClusterIP", endpoints: ["10.244.1.2:8080", "10.244.2.2:8080"] }]);
  });
});
