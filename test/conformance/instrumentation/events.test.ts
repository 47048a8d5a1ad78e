// [sig-instrumentation]: Events of both API groups as objects.
import { expect } from "vitest";
import { type Context, conformance } from "../harness.ts";
import type { Json } from "../rest.ts";

const coreEvent = (t: Context, name: string): Json => ({
  apiVersion: "v1",
  kind: "Event",
  metadata: { name, labels: { "testevent-set": "true" } },
  message: `This is ${name}`,
  reason: "Test",
  type: "Normal",
  count: 1,
  source: { component: "test" },
  involvedObject: { namespace: t.namespace },
});

const newEvent = (t: Context, name: string): Json => ({
  apiVersion: "events.k8s.io/v1",
  kind: "Event",
  metadata: { name, labels: { "testevent-set": "true" } },
  regarding: { namespace: t.namespace },
  eventTime: "2026-01-01T00:00:00.000000Z",
  note: `This is ${name}`,
  action: "Do",
  reason: "Test",
  type: "Normal",
  reportingController: "test-controller",
  reportingInstance: "test-node",
});

for (const [title, group, make] of [
  ["[sig-instrumentation] Events should delete a collection of events [Conformance]", "", coreEvent],
  ["[sig-instrumentation] Events API should delete a collection of events [Conformance]", "events.k8s.io/v1", newEvent],
] as const)
  conformance(title, async (t) => {
    const path = t.path("events", group);
    const query = { labelSelector: "testevent-set=true" };
    for (let i = 1; i <= 3; i++) await t.create(make(t, `test-event-${i}`));
    await t.create({ ...make(t, "stays"), metadata: { name: "stays" } });
    expect((await t.api.get(path, { query })).items).toHaveLength(3);
    await t.api.delete(path, {}, { query });
    expect((await t.api.get(path, { query })).items).toHaveLength(0);
    expect(await t.api.find(`${path}/stays`)).toBeDefined();
  });

conformance(
  "[sig-instrumentation] Events API should ensure that an event can be fetched, patched, deleted, and listed [Conformance]",
  async (t) => {
    const path = t.path("events", "events.k8s.io/v1");
    await t.create(newEvent(t, "event-test"));
    const listed = async (p: string) =>
      (await t.api.get(p, { query: { labelSelector: "testevent-set=true" } })).items.filter(
        (e: Json) => e.metadata.namespace === t.namespace,
      );
    expect(await listed("/apis/events.k8s.io/v1/events")).toHaveLength(1);
    expect(await listed(path)).toHaveLength(1);
    const at = `${path}/event-test`;
    expect(await t.api.get(at)).toMatchObject({ note: "This is event-test", reportingController: "test-controller" });
    const series = { count: 2, lastObservedTime: "2026-01-01T00:01:00.000000Z" };
    expect((await t.api.patch(at, { series }, "strategic")).series).toEqual(series);
    // The other group shows the same object.
    expect(await t.api.get(t.path("events/event-test"))).toMatchObject({ message: "This is event-test", series: { count: 2 } });
    const updated = await t.modify(at, (e) => {
      e.series.count = 100;
    });
    expect(updated.series.count).toBe(100);
    await t.api.delete(at);
    expect(await listed(path)).toHaveLength(0);
  },
);
