// What of a status is sent: removed fields are removed, others' conditions stay.
import { silentLogger } from "@podwire/base";
import { virtualClock } from "@podwire/testkit";
import { describe, expect, it } from "vitest";
import { ON_THE_WAY_MS, RESTORE_AFTER_MS, StatusManager, statusPatch } from "./status-manager.ts";

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
    conditions: [
      { type: "Ready", status: "True", reason: null, message: null },
      { $patch: "delete", type: "PodResizePending" },
    ],
  });
});

it("does not say what is the same: a phase that somebody else has set meanwhile stays", () => {
  const initialized = condition("Initialized", "True");
  const old = { phase: "Running", podIP: "10.0.0.1", conditions: [initialized, condition("Ready", "False")] };
  const next = { phase: "Running", podIP: "10.0.0.1", conditions: [initialized, condition("Ready", "True")] };
  expect(statusPatch(old, next)).toEqual({ conditions: [{ type: "Ready", status: "True" }] });
  expect(statusPatch(next, next)).toEqual({});
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

describe("statuses of pods that are on their way", () => {
  const onTheWay = {
    phase: "Pending",
    containerStatuses: [{ state: { waiting: { reason: "ContainerCreating" } }, restartCount: 0 }],
  } as never;
  const running = { phase: "Running", containerStatuses: [{ state: { running: {} }, restartCount: 0 }] } as never;
  const pod = (name: string) => ({ metadata: { uid: name, name, namespace: "default", resourceVersion: "1" }, spec: { containers: [] } });

  function start() {
    const clock = virtualClock();
    const sent: string[] = [];
    const client = {
      patch: async (_r: unknown, _ns: string, name: string, _type: string, body: { status: { phase: string } }) => {
        sent.push(`${name} ${body.status.phase} at ${clock.monotonicMs()}`);
        await clock.sleep(1000); // A busy API.
        return { metadata: { resourceVersion: "2" } };
      },
    };
    return { clock, sent, statuses: new StatusManager({ client: client as never, clock, log: silentLogger }) };
  }

  it("are not sent when the pod is up soon, and one after another when it is not", async () => {
    const { clock, sent, statuses } = start();
    for (const name of ["quick", "slow", "late", "gone"]) statuses.set(pod(name), onTheWay);
    await clock.advance(100);
    statuses.set(pod("quick"), running);
    await clock.advance(ON_THE_WAY_MS);
    statuses.forget("gone");
    await clock.advance(5000);
    expect(sent).toEqual(["quick Running at 100", `slow Pending at ${ON_THE_WAY_MS}`, `late Pending at ${ON_THE_WAY_MS + 1000}`]);
  });

  it("go out with the last words", async () => {
    const { clock, sent, statuses } = start();
    statuses.set(pod("p"), onTheWay);
    const idle = statuses.idle();
    await clock.advance(2000);
    await idle;
    expect(sent).toEqual(["p Pending at 0"]);
  });
});
