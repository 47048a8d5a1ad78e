// [sig-api-machinery] Watchers: what a watch of config maps tells, from where, and in which order.
import { expect } from "vitest";
import { type Context, conformance } from "../harness.ts";
import type { Json, WatchEvent } from "../rest.ts";

const LABEL = "watch-this-configmap";

function configMaps(t: Context, label: string) {
  const path = t.path("configmaps");
  return {
    path,
    create: (name: string) => t.create({ apiVersion: "v1", kind: "ConfigMap", metadata: { name, labels: { [LABEL]: label } } }),
    /** Sets data.mutation. */
    mutate: (name: string, mutation: number) => t.api.patch(`${path}/${name}`, { data: { mutation: String(mutation) } }),
    relabel: (name: string, value: string) => t.api.patch(`${path}/${name}`, { metadata: { labels: { [LABEL]: value } } }),
    remove: (name: string) => t.api.delete(`${path}/${name}`),
  };
}

/** The first `count` events; fails when they do not come within seconds. */
async function take(t: Context, count: number, query: Record<string, string>): Promise<WatchEvent[]> {
  const events: WatchEvent[] = [];
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), 20_000);
  for await (const e of t.api.watch(t.path("configmaps"), { query, signal: stop.signal })) {
    events.push(e);
    if (events.length === count) break;
  }
  clearTimeout(timer);
  return events;
}

const shown = (e: WatchEvent) => `${e.type} ${e.object.metadata.name} ${e.object.data?.mutation ?? "-"}`;

conformance("[sig-api-machinery] Watchers should be able to start watching from a specific resource version [Conformance]", async (t) => {
  const c = configMaps(t, "from-resource-version");
  await c.create("a");
  const first = await c.mutate("a", 1);
  await c.mutate("a", 2);
  await c.remove("a");
  const events = await take(t, 2, { labelSelector: `${LABEL}=from-resource-version`, resourceVersion: first.metadata.resourceVersion });
  expect(events.map(shown)).toEqual(["MODIFIED a 2", "DELETED a 2"]);
});

conformance(
  "[sig-api-machinery] Watchers should be able to restart watching from the last resource version observed by the previous watch [Conformance]",
  async (t) => {
    const c = configMaps(t, "watch-closed-and-restarted");
    const query = { labelSelector: `${LABEL}=watch-closed-and-restarted` };
    const { metadata } = await t.api.get(c.path, { query });
    await c.create("a");
    await c.mutate("a", 1);
    const before = await take(t, 2, { ...query, resourceVersion: metadata.resourceVersion });
    expect(before.map(shown)).toEqual(["ADDED a -", "MODIFIED a 1"]);
    await c.mutate("a", 2);
    await c.remove("a");
    const last = before.at(-1)?.object.metadata.resourceVersion;
    expect((await take(t, 2, { ...query, resourceVersion: last })).map(shown)).toEqual(["MODIFIED a 2", "DELETED a 2"]);
  },
);

conformance(
  "[sig-api-machinery] Watchers should observe an object deletion if it stops meeting the requirements of the selector [Conformance]",
  async (t) => {
    const c = configMaps(t, "label-changed-and-restored");
    const query = { labelSelector: `${LABEL}=label-changed-and-restored` };
    const { metadata } = await t.api.get(c.path, { query });
    const watching = take(t, 6, { ...query, resourceVersion: metadata.resourceVersion });
    await c.create("a");
    await c.mutate("a", 1);
    await c.relabel("a", "wrong-value");
    await c.mutate("a", 2); // Not seen: it does not meet the selector.
    await c.relabel("a", "label-changed-and-restored");
    await c.mutate("a", 3);
    await c.remove("a");
    const events = await watching;
    expect(events.map(shown)).toEqual(["ADDED a -", "MODIFIED a 1", "DELETED a 1", "ADDED a 2", "MODIFIED a 3", "DELETED a 3"]);
  },
);

conformance("[sig-api-machinery] Watchers should receive events on concurrent watches in same order [Conformance]", async (t) => {
  const c = configMaps(t, "concurrent");
  const start = (await t.api.get(c.path)).metadata.resourceVersion;
  const count = 60;
  const all = take(t, count, { labelSelector: `${LABEL}=concurrent`, resourceVersion: start });
  const alive = new Set<string>();
  for (let i = 0; i < count; i++) {
    const name = `c-${i % 7}`;
    if (!alive.has(name)) {
      await c.create(name);
      alive.add(name);
    } else if (i % 3 === 0) {
      await c.remove(name);
      alive.delete(name);
    } else await c.mutate(name, i);
  }
  const events = await all;
  const versions = events.map((e) => e.object.metadata.resourceVersion as string);
  expect(events).toHaveLength(count);
  expect(versions.map(Number)).toEqual([...versions.map(Number)].sort((a, b) => a - b));
  const starts = Array.from({ length: 20 }, (_, i) => i * 3);
  await Promise.all(
    starts.map(async (i) => {
      const rest: Json[] = await take(t, count - i - 1, { labelSelector: `${LABEL}=concurrent`, resourceVersion: versions[i] as string });
      expect(rest.map((e) => e.object.metadata.resourceVersion)).toEqual(versions.slice(i + 1));
    }),
  );
});
