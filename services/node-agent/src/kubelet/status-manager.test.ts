// What of a status is sent: removed fields are removed, others' conditions stay.
import { expect, it } from "vitest";
import { statusPatch } from "./status-manager.ts";

const condition = (type: string, status: string, more: object = {}) => ({ type, status, ...more }) as never;

it("removes what the next status no longer has", () => {
  const old = {
    phase: "Pending",
    reason: "X",
    podIP: "10.0.0.1",
    conditions: [condition("Ready", "False", { reason: "ContainersNotReady", message: "m" }), condition("PodResizePending", "True")],
  };
  expect(statusPatch(old, { phase: "Running", podIP: "10.0.0.1", conditions: [condition("Ready", "True")] })).toEqual({
    phase: "Running",
    reason: null,
    podIP: "10.0.0.1",
    conditions: [
      { type: "Ready", status: "True", reason: null, message: null },
      { $patch: "delete", type: "PodResizePending" },
    ],
  });
});

it("sends a first status as it is", () => {
  const s = { phase: "Pending", conditions: [condition("Ready", "False", { reason: "r" })] };
  expect(statusPatch(undefined, s)).toEqual(s);
});
