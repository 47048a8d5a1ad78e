// What of a status is sent: removed fields are removed, others' conditions stay.
import { silentLogger } from "@podwire/base";
import { virtualClock } from "@podwire/testkit";
import { expect, it } from "vitest";
import { RESTORE_AFTER_MS, StatusManager, statusPatch } from "./status-manager.ts";

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

it("lets a status that somebody else wrote stand for a while, then restores its own", async () => {
  const clock = virtualClock();
  const sent: { status: { phase: string } }[] = [];
  let version = 5;
  const client = {
    patch: async (_r: unknown, _ns: string, _name: string, _type: string, body: { status: { phase: string } }) => {
      sent.push(body);
      return { metadata: { resourceVersion: String(++version) } };
    },
  };
  const statuses = new StatusManager({ client: client as never, clock, log: silentLogger });
  const pod = (resourceVersion: string, phase: string) => ({
    metadata: { uid: "u", name: "p", namespace: "default", resourceVersion },
    spec: { containers: [] },
    status: { phase, conditions: [condition("Ready", "True")] },
  });
  const running = { phase: "Running", conditions: [condition("Ready", "True")] };
  statuses.set(pod("5", "Pending"), running);
  await clock.advance(0);
  statuses.observe(pod("7", "Failed"));
  statuses.set(pod("7", "Failed"), running); // A sync that changes nothing.
  await clock.advance(RESTORE_AFTER_MS - 1);
  expect(sent.map((s) => s.status.phase)).toEqual(["Running"]);
  await clock.advance(1);
  expect(sent.map((s) => s.status.phase)).toEqual(["Running", "Running"]);
  statuses.observe(pod("9", "Failed"));
  statuses.observe(pod("10", "Running")); // Its author took it back.
  await clock.advance(2 * RESTORE_AFTER_MS);
  expect(sent).toHaveLength(2);
});
