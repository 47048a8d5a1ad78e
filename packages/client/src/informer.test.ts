import { seededRandom, silentLogger, systemClock } from "@podwire/base";
import { type Bus, memoryBus, subjectsOf } from "@podwire/bus";
import { expect, test } from "vitest";
import { type Informer, informer } from "./informer.ts";
import { memoryApi } from "./memory-api.ts";
import type { KubeObject } from "./object.ts";
import { Resources } from "./resources.ts";

const random = seededRandom(1);
const base = { clock: systemClock, random, log: silentLogger };

function setUp() {
  const broker = memoryBus();
  const open = (identity: string): Bus => broker.connect({ cluster: "c", identity, ...base });
  const api = memoryApi({ ...base, bus: open("apiserver") });
  return { api, client: api.client(), bus: open("controller-manager"), server: open("apiserver") };
}

async function until(what: () => boolean): Promise<void> {
  for (let i = 0; i < 500; i++) {
    if (what()) return;
    await systemClock.sleep(5);
  }
  throw new Error("it did not happen");
}

const pod = (name: string): KubeObject => ({ metadata: { name, namespace: "default" }, spec: { containers: [] } });

for (const source of ["events", "watch"] as const) {
  test(`an informer over ${source} follows creation, change and deletion`, async () => {
    const { client, bus } = setUp();
    await client.create(Resources.pods, pod("before"));
    const i: Informer = informer({ ...base, client, ref: Resources.pods, ...(source === "events" ? { bus } : {}) });
    const seen: string[] = [];
    i.handle({
      onAdd: (o) => void seen.push(`add ${o.metadata.name}`),
      onUpdate: (o, old) => void seen.push(`update ${o.metadata.name} ${old["status"]?.phase}->${o["status"]?.phase}`),
      onDelete: (o) => void seen.push(`delete ${o.metadata.name}`),
    });
    await i.start();
    await client.create(Resources.pods, pod("after"));
    await client.patch(Resources.pods, "default", "after", "merge", { status: { phase: "Running" } }, { subresource: "status" });
    await client.delete(Resources.pods, "default", "before");
    await until(() => seen.length === 4);
    expect(seen).toEqual(["add before", "add after", "update after Pending->Running", "delete before"]);
    expect(i.lister.list().map((o) => o.metadata.name)).toEqual(["after"]);
    expect(i.lister.get("default", "after")?.["status"].phase).toBe("Running");
    i.stop();
  });
}

test("a lost event is noticed by the next one of the same object, and the informer lists again", async () => {
  const { client, bus, server, api } = setUp();
  const i: Informer = informer({ ...base, client, ref: Resources.pods, bus });
  await i.start();
  const created = await client.create(Resources.pods, pod("a"));
  await until(() => i.lister.size === 1);
  // A change that skips a revision, as after a lost message.
  const revision = Number(created.metadata.resourceVersion);
  api.objects(Resources.pods);
  await client.patch(Resources.pods, "default", "a", "merge", { metadata: { labels: { x: "1" } } });
  server.publish(
    subjectsOf("c").event({ group: "", resource: "pods", namespace: "default", name: "a" }),
    new TextEncoder().encode(JSON.stringify({ metadata: { name: "a", namespace: "default", labels: { x: "wrong" } } })),
    { headers: { "Nats-Sequence": String(revision + 50), "Nats-Last-Sequence": String(revision + 40) } },
  );
  await until(() => i.counters()["lists"] === 2 && i.counters()["gaps"] === 1);
  expect(i.lister.get("default", "a")?.metadata.labels).toEqual({ x: "1" });
  i.stop();
});

test("garbage on the event subject leads to a new list, not to a crash", async () => {
  const { client, bus, server } = setUp();
  const i: Informer = informer({ ...base, client, ref: Resources.pods, bus });
  await i.start();
  server.publish(subjectsOf("c").event({ group: "", resource: "pods", namespace: "default", name: "a" }), new Uint8Array([1, 2, 3]));
  await until(() => i.counters()["lists"] === 2);
  await client.create(Resources.pods, pod("a"));
  await until(() => i.lister.size === 1);
  i.stop();
});

test("a filter reports an object that stops matching as deleted", async () => {
  const { client, bus } = setUp();
  const i: Informer = informer({ ...base, client, ref: Resources.pods, bus, keep: (o) => o.metadata.labels?.["keep"] === "yes" });
  const seen: string[] = [];
  i.handle({ onAdd: (o) => void seen.push(`add ${o.metadata.name}`), onDelete: (o) => void seen.push(`delete ${o.metadata.name}`) });
  await i.start();
  await client.create(Resources.pods, pod("a"));
  await client.patch(Resources.pods, "default", "a", "merge", { metadata: { labels: { keep: "yes" } } });
  await until(() => seen.length === 1);
  await client.patch(Resources.pods, "default", "a", "merge", { metadata: { labels: { keep: "no" } } });
  await until(() => seen.length === 2);
  expect(seen).toEqual(["add a", "delete a"]);
  expect(i.counters()["gaps"]).toBe(0);
  i.stop();
});

test("a failing list is tried again", async () => {
  const { client, bus, api } = setUp();
  let failures = 2;
  api.intercept = (r) => {
    if (r.method === "GET" && failures-- > 0) return { status: 500, headers: {}, body: new TextEncoder().encode("boom") };
    return undefined;
  };
  const i: Informer = informer({ ...base, client, ref: Resources.pods, bus });
  await i.start();
  expect(i.counters()["lists"]).toBe(3);
  i.stop();
});
