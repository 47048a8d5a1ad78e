import { seededRandom, silentLogger, systemClock } from "@podwire/base";
import { memoryBus } from "@podwire/bus";
import { type KubeObject, type MemoryApi, memoryApi, Resources } from "@podwire/client";
import { afterEach, expect, test } from "vitest";
import { plain as profile } from "./plugin-arguments.ts";
import { type Scheduler, type SchedulerOptions, scheduler } from "./scheduler.ts";

let service: Scheduler;
afterEach(() => service.stop());

const base = { clock: systemClock, random: seededRandom(7), log: silentLogger };

async function cluster(nodes: KubeObject[], more: Partial<SchedulerOptions> = {}): Promise<MemoryApi> {
  const broker = memoryBus();
  const api = memoryApi({ ...base, bus: broker.connect({ cluster: "c", identity: "apiserver", ...base }) });
  for (const n of nodes) await api.client().create(Resources.nodes, n);
  service = scheduler({
    ...base,
    client: api.client(),
    bus: broker.connect({ cluster: "c", identity: "scheduler", ...base }),
    podInitialBackoffMs: 20,
    podMaxBackoffMs: 50,
    ...more,
  });
  await service.start();
  return api;
}

const node = (name: string, cpu = "4", more: object = {}): KubeObject => ({
  metadata: { name, labels: { "kubernetes.io/hostname": name } },
  spec: { ...more },
  status: { allocatable: { cpu, memory: "8Gi", pods: "110" } },
});
const pod = (name: string, cpu: string, more: object = {}): KubeObject => ({
  metadata: { name, namespace: "default", labels: { app: "x" } },
  spec: { containers: [{ name: "c", image: "app:v1", resources: { requests: { cpu } } }], ...more },
});
const get = (api: MemoryApi, name: string) => api.objects(Resources.pods).find((p) => p.metadata.name === name) as KubeObject;
const condition = (api: MemoryApi, name: string) => get(api, name)["status"]?.conditions?.find((c: any) => c.type === "PodScheduled");

async function until(what: () => boolean, why: string): Promise<void> {
  for (let i = 0; i < 600; i++) {
    if (what()) return;
    await systemClock.sleep(5);
  }
  throw new Error(`it did not happen: ${why}`);
}

test("pods are bound, spread by load, with an event each", async () => {
  const api = await cluster([node("n1"), node("n2"), node("n3")]);
  for (let i = 0; i < 6; i++) await api.client().create(Resources.pods, pod(`p${i}`, "1"));
  await until(() => api.objects(Resources.pods).every((p) => p["spec"].nodeName), "all are bound");
  const perNode = new Map<string, number>();
  for (const p of api.objects(Resources.pods)) perNode.set(p["spec"].nodeName, (perNode.get(p["spec"].nodeName) ?? 0) + 1);
  expect([...perNode.values()]).toEqual([2, 2, 2]);
  await until(() => api.objects(Resources.events).length === 6, "events");
  const e = api.objects(Resources.events)[0] as KubeObject;
  expect(e["reason"]).toBe("Scheduled");
  expect(e["message"]).toMatch(/^Successfully assigned default\/p\d to n\d$/);
  expect(e["reportingComponent"]).toBe("default-scheduler");
});

test("a pod that does not fit says why, and is bound as soon as there is room", async () => {
  const api = await cluster([
    node("n1", "2"),
    node("n2", "2", { unschedulable: true, taints: [{ key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" }] }),
  ]);
  await api.client().create(Resources.pods, pod("first", "1500m"));
  await until(() => get(api, "first")["spec"].nodeName === "n1", "first is bound");
  await api.client().create(Resources.pods, pod("second", "1"));
  await until(() => condition(api, "second")?.status === "False", "second is refused");
  expect(condition(api, "second")).toMatchObject({
    reason: "Unschedulable",
    message:
      "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable. no new claims to deallocate, preemption: 0/2 nodes are available: 1 No preemption victims found for incoming pod, 1 Preemption is not helpful for scheduling.",
  });
  const before = service.counters()["decisions"];
  await systemClock.sleep(150);
  expect(service.counters()["decisions"]).toBe(before);
  await api.client().delete(Resources.pods, "default", "first", { gracePeriodSeconds: 0 });
  await until(() => get(api, "second")["spec"].nodeName === "n1", "second is bound");
  expect(condition(api, "second")?.status).toBe("True");
});

test("a more important pod takes the room of a less important one", async () => {
  const api = await cluster([node("n1", "2")]);
  await api.client().create(Resources.pods, pod("low", "2", { priority: 1 }));
  await until(() => get(api, "low")["spec"].nodeName === "n1", "low is bound");
  await api.client().create(Resources.pods, pod("high", "2", { priority: 1000 }));
  await until(() => get(api, "low")?.metadata.deletionTimestamp !== undefined, "low must go");
  expect(get(api, "low")["status"].conditions.find((c: any) => c.type === "DisruptionTarget").reason).toBe("PreemptionByScheduler");
  await until(() => get(api, "high")["status"]?.nominatedNodeName === "n1", "nominated");
  // Somebody of middle importance does not get the room that was made.
  await api.client().create(Resources.pods, pod("middle", "2", { priority: 500 }));
  await api.client().delete(Resources.pods, "default", "low", { gracePeriodSeconds: 0 });
  await until(() => get(api, "high")["spec"].nodeName === "n1", "high is bound");
  expect(get(api, "middle")["spec"].nodeName).toBeUndefined();
});

test("gates hold a pod until they are removed", async () => {
  const api = await cluster([node("n1")]);
  await api.client().create(Resources.pods, pod("p", "1", { schedulingGates: [{ name: "example.com/g" }] }));
  await systemClock.sleep(50);
  expect(service.counters()["decisions"]).toBe(0);
  await api.client().patch(Resources.pods, "default", "p", "merge", { spec: { schedulingGates: null } });
  await until(() => get(api, "p")["spec"].nodeName === "n1", "bound");
});

test("a binding that fails is forgotten and tried again", async () => {
  const api = await cluster([node("n1", "1")]);
  let failures = 2;
  api.intercept = (r) => {
    if (!r.path.endsWith("/binding") || failures-- <= 0) return undefined;
    return { status: 500, headers: {}, body: new TextEncoder().encode('{"kind":"Status","message":"boom"}') };
  };
  await api.client().create(Resources.pods, pod("p", "1"));
  await until(() => get(api, "p")["spec"].nodeName === "n1", "bound at last");
  expect(service.counters()["errors"]).toBe(2);
});

test("explain tells per node how each plugin scores, or which refuses", async () => {
  const api = await cluster([node("n1"), node("n2", "500m")]);
  await api.client().create(Resources.pods, pod("p", "1"));
  await until(() => get(api, "p")["spec"].nodeName === "n1", "bound");
  await until(() => (service.explain("default", "p") as any)?.chosen !== undefined, "known");
  const e = service.explain("default", "p") as any;
  expect(e.chosen).toBe("n1");
  expect(e.nodes.n1.plugins.NodeResourcesFit).toBeGreaterThan(0);
  expect(e.nodes.n2).toEqual({ refusedBy: "NodeResourcesFit", reasons: ["Insufficient cpu"], preemptionHelps: false });
});

test("a pod that asks for it gets the explanation as an annotation", async () => {
  const api = await cluster([node("n1", "1"), node("n2", "500m")]);
  const asking = (name: string, cpu: string): KubeObject => {
    const p = pod(name, cpu);
    return { ...p, metadata: { ...p.metadata, annotations: { "scheduler.podwire.io/explain": "true" } } };
  };
  const read = (name: string) => JSON.parse(get(api, name).metadata.annotations?.["scheduler.podwire.io/explanation"] ?? "null");
  await api.client().create(Resources.pods, asking("fits", "1"));
  await until(() => read("fits")?.chosen === "n1", "the chosen node is told");
  await api.client().create(Resources.pods, asking("waits", "1"));
  await until(() => read("waits")?.message !== undefined, "the refusal is told");
  expect(Object.keys(read("waits").nodes)).toEqual(["n1", "n2"]);
});

test("each profile takes the pods of its name, by its own rules and with events of its own", async () => {
  const packing = profile("packing", 0);
  packing.arguments.NodeResourcesFit = { strategy: { type: "MostAllocated" } };
  packing.plugins = { score: { enabled: [], disabled: [{ name: "NodeResourcesBalancedAllocation" }, { name: "PodTopologySpread" }] } };
  const api = await cluster([node("n1"), node("n2")], { profiles: [profile("default-scheduler", 0), packing] });
  for (let i = 0; i < 3; i++) {
    await api.client().create(Resources.pods, pod(`packed${i}`, "1", { schedulerName: "packing" }));
    await until(() => get(api, `packed${i}`)["spec"].nodeName, "packed");
  }
  await api.client().create(Resources.pods, pod("foreign", "1", { schedulerName: "somebody-else" }));
  await api.client().create(Resources.pods, pod("usual", "1"));
  await until(() => get(api, "usual")["spec"].nodeName, "placed");
  const packed = new Set([0, 1, 2].map((i) => get(api, `packed${i}`)["spec"].nodeName));
  expect(packed.size).toBe(1);
  expect(packed.has(get(api, "usual")["spec"].nodeName)).toBe(false);
  expect(get(api, "foreign")["spec"].nodeName).toBeUndefined();
  await until(() => api.objects(Resources.events).length === 4, "events");
  const by = (name: string) =>
    api.objects(Resources.events).find((e) => e["involvedObject"]?.name === name || e["regarding"]?.name === name);
  expect(by("packed0")?.["reportingComponent"]).toBe("packing");
  expect(service.explain("default", "foreign")?.message).toContain("somebody-else");
});

test("a permit plugin holds pods back until all of a group are there; reserve is undone for one that is refused", async () => {
  const held: string[] = [];
  const released: string[] = [];
  const gang = {
    name: "Gang",
    reserve: (c: any) => void held.push(c.pod.key),
    unreserve: (c: any) => void released.push(c.pod.key),
    permit: () => ({ waitMs: 60_000 }),
  };
  const c = profile("default-scheduler", 0);
  c.plugins = { multiPoint: { enabled: [{ name: "Gang" }], disabled: [] } };
  const api = await cluster([node("n1")], { profiles: [c], plugins: { Gang: () => gang } });
  for (const name of ["a", "b", "c"]) await api.client().create(Resources.pods, pod(name, "1"));
  await until(() => service.waiting().length === 3, "all wait");
  expect(api.objects(Resources.pods).some((p) => p["spec"].nodeName)).toBe(false);
  for (const w of service.waiting())
    if (w.pod.key === "default/c") w.reject("Gang", "not in this group");
    else w.allow("Gang");
  await until(() => get(api, "a")["spec"].nodeName === "n1" && get(api, "b")["spec"].nodeName === "n1", "bound");
  await until(() => condition(api, "c")?.status === "False", "refused");
  expect(condition(api, "c")).toMatchObject({
    reason: "Unschedulable",
    message: 'pod "c" rejected while waiting on permit: not in this group',
  });
  expect(held.slice(0, 3).sort()).toEqual(["default/a", "default/b", "default/c"]);
  expect(released[0]).toBe("default/c");
});
