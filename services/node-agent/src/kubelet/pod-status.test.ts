// What a newer version of a pod is to the kubelet that writes its status.
import type { Pod } from "@podwire/api";
import { expect, it } from "vitest";
import { isOwnEcho } from "./pod-status.ts";

const pod = (resourceVersion: string, more: { metadata?: object; conditions?: object[]; phase?: string } = {}): Pod =>
  ({
    metadata: { name: "p", uid: "u", resourceVersion, generation: 1, labels: { a: "b" }, ...more.metadata },
    spec: { containers: [] },
    status: { phase: more.phase ?? "Pending", conditions: more.conditions ?? [] },
  }) as never;

it("knows its own status when it comes back, and nothing else", () => {
  const old = pod("1", { conditions: [{ type: "PodScheduled", status: "True" }] });
  const own = [
    { type: "Ready", status: "True" },
    { type: "PodScheduled", status: "True" },
  ];
  expect(isOwnEcho(old, pod("2", { conditions: own, phase: "Running" }))).toBe(true);
  expect(isOwnEcho(old, pod("1", { conditions: own })), "the same version: a worker that is new").toBe(false);
  expect(isOwnEcho(old, pod("2", { conditions: [...own, { type: "www.example.com/gate", status: "True" }] }))).toBe(false);
  expect(isOwnEcho(old, pod("2", { conditions: own, metadata: { generation: 2 } }))).toBe(false);
  expect(isOwnEcho(old, pod("2", { conditions: own, metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" } }))).toBe(false);
  expect(isOwnEcho(old, pod("2", { conditions: own, metadata: { labels: { a: "c" } } }))).toBe(false);
});
