import { virtualClock } from "@podwire/testkit";
import { expect, test } from "vitest";
import { type PodInfo, podInfo } from "../framework/pod-info.ts";
import { type QueuedPod, SchedulingQueue } from "./scheduling-queue.ts";

const pod = (name: string, priority = 0, more: object = {}): PodInfo =>
  podInfo({
    metadata: { name, namespace: "ns", uid: name },
    spec: { priority, containers: [{ name: "c", resources: { requests: { cpu: "1" } } }], ...more },
  });
const node = { metadata: { name: "n" } };

test("the more important first, then the older", async () => {
  const q = new SchedulingQueue(virtualClock());
  q.set(pod("a"), true);
  q.set(pod("b", 10), true);
  q.set(pod("c"), true);
  const order = [];
  for (let i = 0; i < 3; i++) order.push((await q.pop())?.pod.uid);
  expect(order).toEqual(["b", "a", "c"]);
  q.close();
});

test("a refused pod waits for an event that may help, and only for such", async () => {
  const clock = virtualClock();
  const q = new SchedulingQueue(clock);
  q.set(pod("a"), true);
  const first = (await q.pop()) as QueuedPod;
  q.failed(first, new Set(["NodeAffinity"]), false);
  q.event({ kind: "podGone", pod: pod("other") });
  expect(q.counts()).toMatchObject({ unschedulable: 1, active: 0, backoff: 0 });
  q.event({ kind: "nodeUpdate", node, labels: true, taints: false, allocatable: false, unschedulable: false });
  expect(q.counts()["unschedulable"]).toBe(0);
  expect((await q.pop())?.attempts).toBe(2);
  q.close();
});

test("an event during the attempt is not lost", async () => {
  const q = new SchedulingQueue(virtualClock());
  q.set(pod("a"), true);
  const first = (await q.pop()) as QueuedPod;
  q.event({ kind: "nodeAdd", node });
  q.failed(first, new Set(["NodeResourcesFit"]), false);
  expect(q.counts()["unschedulable"]).toBe(0);
  q.close();
});

test("an error sits out its back-off, doubled each time", async () => {
  const clock = virtualClock();
  const q = new SchedulingQueue(clock, 1_000, 10_000);
  q.set(pod("a"), true);
  for (const wait of [1_000, 2_000, 4_000, 8_000, 10_000, 10_000]) {
    const x = (await q.pop()) as QueuedPod;
    q.failed(x, new Set(), true);
    clock.tick(wait - 1);
    expect(q.counts()["backoff"]).toBe(1);
    clock.tick(1);
    expect(q.counts()["active"]).toBe(1);
  }
  q.close();
});

test("without any event an unschedulable pod is tried again after five minutes", async () => {
  const clock = virtualClock();
  const q = new SchedulingQueue(clock);
  q.set(pod("a"), true);
  q.failed((await q.pop()) as QueuedPod, new Set(["NodeName"]), false);
  clock.tick(4 * 60_000);
  expect(q.counts()["unschedulable"]).toBe(1);
  clock.tick(90_000);
  expect(q.counts()["unschedulable"]).toBe(0);
  q.close();
});

test("gates hold; a removed pod is nowhere; a waiting pop gets the next pod", async () => {
  const q = new SchedulingQueue(virtualClock());
  q.set(pod("gated"), false);
  q.set(pod("gone"), true);
  q.remove("gone");
  const waiting = q.pop();
  expect(q.counts()).toEqual({ active: 0, backoff: 0, unschedulable: 0, gated: 1, inFlight: 0 });
  q.set(pod("gated"), true);
  expect((await waiting)?.pod.uid).toBe("gated");
  q.close();
  expect(await q.pop()).toBeUndefined();
});
