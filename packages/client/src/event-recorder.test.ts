import { seededRandom, silentLogger, systemClock } from "@podwire/base";
import { expect, test } from "vitest";
import { eventRecorder } from "./event-recorder.ts";
import { memoryApi } from "./memory-api.ts";
import { Resources } from "./resources.ts";

const base = { clock: systemClock, random: seededRandom(5), log: silentLogger };
const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "p", namespace: "default", uid: "u1", resourceVersion: "7" } };

test("the same event again raises its count", async () => {
  const api = memoryApi(base);
  const r = eventRecorder({ ...base, client: api.client(), component: "test-controller" });
  r.event(pod, "Normal", "Did", "it");
  await r.flush();
  r.event(pod, "Normal", "Did", "it");
  r.event(pod, "Warning", "Did", "it");
  await r.flush();
  const events = api.objects(Resources.events);
  expect(events.map((e) => [e["type"], e["count"], e["message"]])).toEqual([
    ["Normal", 2, "it"],
    ["Warning", 1, "it"],
  ]);
  expect(events[0]).toMatchObject({
    involvedObject: { kind: "Pod", name: "p", namespace: "default", uid: "u1", apiVersion: "v1" },
    source: { component: "test-controller" },
    reportingComponent: "test-controller",
  });
  expect(events[0]?.metadata.name).toMatch(/^p\.[0-9a-f]{16}$/);
});

test("a repetition waits for the Event that it counts in", async () => {
  const api = memoryApi(base);
  const inner = api.client();
  const create = async (...a: Parameters<typeof inner.create>) => {
    await base.clock.sleep(5);
    return inner.create(...a);
  };
  const client = { ...inner, create };
  const r = eventRecorder({ ...base, client: client as typeof inner, component: "test-controller" });
  for (let i = 0; i < 3; i++) r.event(pod, "Normal", "Made", "it");
  await r.flush();
  expect(api.objects(Resources.events).map((e) => e["count"])).toEqual([3]);
  expect(r.counters()).toMatchObject({ created: 1, patched: 2, failed: 0 });
});

test("more than ten that differ in message are combined, and a source that talks too much is silenced", async () => {
  const api = memoryApi(base);
  const r = eventRecorder({ ...base, client: api.client(), component: "test-controller" });
  for (let i = 0; i < 40; i++) {
    r.event(pod, "Normal", "Made", `number ${i}`);
    await r.flush();
  }
  const events = api.objects(Resources.events);
  expect(events.length).toBe(11);
  const combined = events.find((e) => e["message"].startsWith("(combined from similar events): "));
  expect(combined?.["count"]).toBe(15);
  expect(r.counters()["spam"]).toBe(15);
});

test("what is said again before the API has it is one event, too", async () => {
  const api = memoryApi(base);
  const client = api.client();
  const slow: typeof client = Object.assign(Object.create(client), {
    create: async (...args: Parameters<typeof client.create>) => {
      await systemClock.sleep(20);
      return client.create(...args);
    },
  });
  const r = eventRecorder({ ...base, client: slow, component: "test-controller" });
  for (let i = 0; i < 3; i++) r.event(pod, "Warning", "BackOff", "again");
  await r.flush();
  expect(api.objects(Resources.events).map((e) => e["count"])).toEqual([3]);
});
