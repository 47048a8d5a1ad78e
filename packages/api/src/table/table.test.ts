import { describe, expect, test } from "vitest";
import { registry } from "../resources.ts";
import { humanDuration } from "./cells.ts";
import { printTable } from "./print-table.ts";

const NOW = Date.parse("2024-01-02T00:00:00Z");
const row = (group: string, version: string, resource: string, o: any) =>
  printTable(registry.byResource(group, version, resource)!, [{ metadata: { name: "x" }, ...o }], { nowMs: NOW }).rows[0]!.cells;
const pod = (spec: any, status: any, metadata: any = {}) =>
  row("", "v1", "pods", {
    metadata: { name: "p", creationTimestamp: "2024-01-01T23:50:00Z", ...metadata },
    spec: { containers: [{ name: "c" }], ...spec },
    status,
  });

describe("tables", () => {
  test.each([
    [-5000, "<invalid>"],
    [119_000, "119s"],
    [121_000, "2m1s"],
    [600_000, "10m"],
    [3 * 3600_000, "3h"],
    [3 * 3600_000 + 60_000, "3h1m"],
    [47 * 3600_000, "47h"],
    [50 * 3600_000, "2d2h"],
    [400 * 86400_000, "400d"],
    [800 * 86400_000, "2y70d"],
  ])("%d ms is %s", (ms, text) => expect(humanDuration(ms)).toBe(text));

  test("pods", () => {
    const waiting = (reason: string) => ({
      containerStatuses: [
        { name: "c", restartCount: 4, state: { waiting: { reason } }, lastState: { terminated: { finishedAt: "2024-01-01T23:59:00Z" } } },
      ],
    });
    expect(pod({ nodeName: "n" }, { phase: "Running", ...waiting("CrashLoopBackOff") })).toEqual([
      "p",
      "0/1",
      "CrashLoopBackOff",
      "4 (60s ago)",
      "10m",
      "<none>",
      "n",
      "<none>",
      "<none>",
    ]);
    expect(pod({}, { phase: "Failed", containerStatuses: [{ name: "c", state: { terminated: { exitCode: 137, signal: 9 } } }] })[2]).toBe(
      "Signal:9",
    );
    expect(pod({}, { phase: "Running" }, { deletionTimestamp: "2024-01-02T00:00:00Z" })[2]).toBe("Terminating");
    expect(
      pod(
        { initContainers: [{ name: "a" }, { name: "b" }] },
        {
          phase: "Pending",
          initContainerStatuses: [
            { name: "a", state: { terminated: { exitCode: 0 } } },
            { name: "b", state: { running: {} } },
          ],
        },
      )[2],
    ).toBe("Init:1/2");
    expect(
      pod(
        { readinessGates: [{ conditionType: "a" }] },
        { phase: "Pending", conditions: [{ type: "PodScheduled", reason: "SchedulingGated" }] },
      ).slice(2, 9),
    ).toEqual(["SchedulingGated", "0", "10m", "<none>", "<none>", "<none>", "0/1"]);
  });

  test("every resource prints as many cells as it has columns", () => {
    for (const info of registry.resources()) {
      const t = printTable(info, [{ metadata: { name: "x", creationTimestamp: "2024-01-01T00:00:00Z" }, spec: {}, status: {} }], {
        nowMs: NOW,
      });
      expect(t.rows[0]!.cells.length, info.groupResource).toBe(t.columnDefinitions!.length);
      for (const cell of t.rows[0]!.cells) expect(cell, info.groupResource).toBeDefined();
    }
  });

  test("services, events, ingresses", () => {
    expect(
      row("", "v1", "services", {
        spec: {
          type: "LoadBalancer",
          clusterIPs: ["10.0.0.1"],
          ports: [{ port: 80, nodePort: 30000, protocol: "TCP" }],
          selector: { b: "c", a: "b" },
        },
      }).slice(1),
    ).toEqual(["LoadBalancer", "10.0.0.1", "<pending>", "80:30000/TCP", "<unknown>", "a=b,b=c"]);
    expect(
      row("", "v1", "events", {
        type: "Normal",
        reason: "R",
        involvedObject: { kind: "Pod", name: "p" },
        message: " m ",
        source: { component: "k", host: "h" },
      }),
    ).toEqual(["<unknown>", "Normal", "R", "pod/p", "", "k, h", "m", "<unknown>", 1, "x"]);
    expect(
      row("networking.k8s.io", "v1", "ingresses", {
        spec: { rules: [{ host: "a" }, { host: "b" }, { host: "c" }, { host: "d" }], tls: [{}] },
      }).slice(1, 5),
    ).toEqual(["<none>", "a,b,c + 1 more...", "", "80, 443"]);
  });
});
