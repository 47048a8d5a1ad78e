// [sig-scheduling]: tests that fill nodes and evict pods, on a cluster of their own; and podwire explain-scheduling on what they leave.
// Room is the extended resource example.com/fakes, so that the machine's size does not matter.
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Cluster, eventually, startCluster } from "../cluster.ts";
import { type Json, type RestApi, restApi } from "../conformance/rest.ts";

const FAKE = "example.com/fakes";
const ROOM = 5;
const PODS = "/api/v1/namespaces/default/pods";
const PREEMPTION = "[sig-scheduling] SchedulerPreemption [Serial]";
const PREDICATES = "[sig-scheduling] SchedulerPredicates [Serial]";

let cluster: Cluster;
let api: RestApi;
let nodes: string[];

beforeAll(async () => {
  cluster = await startCluster({ nodes: 2, name: "scheduling" });
  api = restApi(cluster.kubeconfig);
  nodes = (await api.get("/api/v1/nodes")).items.map((n: Json) => n.metadata.name);
  const room = { [FAKE]: String(ROOM) };
  for (const n of nodes) await api.patch(`/api/v1/nodes/${n}/status`, { status: { capacity: room, allocatable: room } });
  for (const [name, value] of [
    ["low", 1],
    ["medium", 100],
    ["high", 1000],
    ["highest", 10_000],
  ] as const)
    await api.create({ apiVersion: "scheduling.k8s.io/v1", kind: "PriorityClass", metadata: { name }, value });
});
afterAll(() => cluster?.stop());

function pod(name: string, fakes: number, spec: Json = {}): Json {
  const resources = { requests: { [FAKE]: String(fakes) }, limits: { [FAKE]: String(fakes) } };
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default", labels: { name } },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [{ name: "c", image: "registry.k8s.io/pause:3.10.1", ...(fakes > 0 ? { resources } : {}) }],
      ...spec,
    },
  };
}
const onNode = (node: string): Json => ({ nodeSelector: { "kubernetes.io/hostname": node } });
const find = (name: string): Promise<Json | undefined> => api.find(`${PODS}/${name}`);
const scheduledOn = (name: string): Promise<string> =>
  eventually(`pod ${name} has a node`, async () => (await find(name))?.spec.nodeName as string | undefined);
const gone = (name: string) => eventually(`pod ${name} is gone`, async () => (await find(name)) === undefined);
async function clear(): Promise<void> {
  await api.delete(PODS, { gracePeriodSeconds: 0 });
  await eventually("no pods are left", async () => (await api.get(PODS)).items.length === 0);
}
/** A pod of low and one of medium priority take two thirds of each node. */
async function occupy(): Promise<void> {
  for (const [i, node] of nodes.entries())
    await api.create(pod(`held-${i}`, 3, { ...onNode(node), priorityClassName: i === 0 ? "low" : "medium" }));
  for (const i of nodes.keys()) await scheduledOn(`held-${i}`);
}

it(`${PREDICATES} validates resource limits of pods that are allowed to run [Conformance]`, async () => {
  for (const [i, node] of nodes.entries()) await api.create(pod(`filler-${i}`, ROOM, onNode(node)));
  for (const i of nodes.keys()) await scheduledOn(`filler-${i}`);
  await api.create(pod("additional", 1));
  const { condition } = await eventually("the additional pod is refused", async () => {
    const c = (await find("additional"))?.status.conditions?.find((x: Json) => x.type === "PodScheduled");
    return c?.status === "False" ? { condition: c } : undefined;
  });
  expect(condition.reason).toBe("Unschedulable");
  expect(condition.message).toContain(`0/2 nodes are available: 2 Insufficient ${FAKE}.`);

  const text = (await cluster.podwire(["explain-scheduling", "additional"])).stdout;
  expect(text).toContain("pod default/additional has no node; 0/2 nodes are available");
  expect(text).toMatch(new RegExp(`node-1 +- +NodeResourcesFit: Insufficient ${FAKE}`));
  const placed = JSON.parse((await cluster.podwire(["explain-scheduling", "filler-0", "-o", "json"])).stdout);
  expect(placed).toMatchObject({ node: nodes[0], chosen: nodes[0] });
  expect(placed.nodes[nodes[1] as string]).toMatchObject({ refusedBy: "NodeAffinity" });
  expect((await cluster.podwire(["explain-scheduling", "nobody"], { expect: 2 })).stderr).toContain("knows no pod default/nobody");
  await clear();
});

it("a pod with the annotation scheduler.podwire.io/explain carries its explanation", async () => {
  const asking = pod("asking", 1);
  asking.metadata.annotations = { "scheduler.podwire.io/explain": "true" };
  await api.create(asking);
  const node = await scheduledOn("asking");
  const text = await eventually(
    "the explanation",
    async () => (await find("asking"))?.metadata.annotations["scheduler.podwire.io/explanation"] as string | undefined,
  );
  const explanation = JSON.parse(text);
  expect(explanation.chosen).toBe(node);
  expect(Object.keys(explanation.nodes).sort()).toEqual([...nodes].sort());
  expect(explanation.nodes[node].plugins).toHaveProperty("NodeResourcesFit");
  await clear();
});

it(`${PREDICATES} validates that NodeSelector is respected if matching [Conformance]`, async () => {
  await api.create(pod("anywhere", 0));
  const node = await scheduledOn("anywhere");
  const key = "example.com/e2e-selected";
  await api.patch(`/api/v1/nodes/${node}`, { metadata: { labels: { [key]: "42" } } });
  await api.create(pod("selecting", 0, { nodeSelector: { [key]: "42" } }));
  expect(await scheduledOn("selecting")).toBe(node);
  await api.patch(`/api/v1/nodes/${node}`, { metadata: { labels: { [key]: null } } });
  await clear();
});

it(`${PREEMPTION} validates basic preemption works [Conformance]`, async () => {
  await occupy();
  await api.create(pod("preemptor", 3, { priorityClassName: "high" }));
  expect(await scheduledOn("preemptor")).toBe(nodes[0]); // The low one goes, the medium one stays.
  await gone("held-0");
  expect((await find("held-1"))?.metadata.deletionTimestamp).toBeUndefined();
  await clear();
});

it(`${PREEMPTION} validates lower priority pod preemption by critical pod [Conformance]`, async () => {
  await occupy();
  const critical = pod("critical", 3, { priorityClassName: "system-cluster-critical" });
  critical.metadata.namespace = "kube-system";
  await api.create(critical);
  const path = "/api/v1/namespaces/kube-system/pods/critical";
  const node = await eventually("the critical pod has a node", async () => (await api.get(path)).spec.nodeName as string | undefined);
  expect(node).toBe(nodes[0]);
  await gone("held-0");
  await api.delete(path, { gracePeriodSeconds: 0 });
  await clear();
});

it(`${PREEMPTION} validates pod disruption condition is added to the preempted pod [Conformance]`, async () => {
  const victim = pod("victim", ROOM, { ...onNode(nodes[0] as string), priorityClassName: "low" });
  victim.metadata.finalizers = ["example.com/held"];
  await api.create(victim);
  await scheduledOn("victim");
  await api.create(pod("preemptor", ROOM, { ...onNode(nodes[0] as string), priorityClassName: "high" }));
  const { condition } = await eventually("the victim is told", async () => {
    const p = await find("victim");
    const c = p?.status.conditions?.find((x: Json) => x.type === "DisruptionTarget");
    return p?.metadata.deletionTimestamp && c ? { condition: c } : undefined;
  });
  expect(condition).toMatchObject({ status: "True", reason: "PreemptionByScheduler" });
  await api.patch(`${PODS}/victim`, { metadata: { finalizers: null } });
  expect(await scheduledOn("preemptor")).toBe(nodes[0]);
  await clear();
});

it(`${PREEMPTION} PreemptionExecutionPath runs ReplicaSets to verify preemption running path [Conformance]`, async () => {
  const [node] = nodes as [string];
  // Three levels fill the node; the fourth needs as much as the two lowest have.
  const sets = [
    { name: "rs-low", replicas: 2, fakes: 1, priority: "low" },
    { name: "rs-medium", replicas: 1, fakes: 1, priority: "medium" },
    { name: "rs-high", replicas: 1, fakes: 2, priority: "high" },
  ];
  const set = (s: (typeof sets)[number]): Json => {
    const { metadata, spec } = pod(s.name, s.fakes, { ...onNode(node), priorityClassName: s.priority });
    return {
      apiVersion: "apps/v1",
      kind: "ReplicaSet",
      metadata: { name: s.name, namespace: "default" },
      spec: { replicas: s.replicas, selector: { matchLabels: metadata.labels }, template: { metadata: { labels: metadata.labels }, spec } },
    };
  };
  const placed = async (name: string): Promise<number> =>
    (await api.get(PODS, { query: { labelSelector: `name=${name}` } })).items.filter(
      (p: Json) => p.spec.nodeName && !p.metadata.deletionTimestamp,
    ).length;
  for (const s of sets) await api.create(set(s));
  for (const s of sets) await eventually(`${s.name} runs`, async () => (await placed(s.name)) === s.replicas);
  const { uid } = (await api.get(PODS, { query: { labelSelector: "name=rs-high" } })).items[0].metadata;
  await api.create(set({ name: "rs-highest", replicas: 1, fakes: 3, priority: "highest" }));
  await eventually("the highest runs", async () => (await placed("rs-highest")) === 1);
  // All of the two lowest levels had to go, and their replacements wait; the third level was not touched.
  const { items } = await api.get(PODS, { query: { labelSelector: "name=rs-high" } });
  expect(items.map((p: Json) => [p.metadata.uid, p.spec.nodeName, p.metadata.deletionTimestamp])).toEqual([[uid, node, undefined]]);
  expect([await placed("rs-low"), await placed("rs-medium")]).toEqual([0, 0]);
  for (const [name, count] of [
    ["rs-low", 2],
    ["rs-medium", 1],
  ] as const)
    await eventually(`${name} waits`, async () => {
      const pods: Json[] = (await api.get(PODS, { query: { labelSelector: `name=${name}` } })).items;
      return pods.filter((p) => p.status.phase === "Pending" && !p.spec.nodeName && !p.metadata.deletionTimestamp).length === count;
    });
  for (const name of ["rs-low", "rs-medium", "rs-high", "rs-highest"])
    await api.delete(`/apis/apps/v1/namespaces/default/replicasets/${name}`, { propagationPolicy: "Background" });
  await eventually("no pods are left", async () => (await api.get(PODS)).items.length === 0);
});

it(`${PREEMPTION} PriorityClass endpoints verify PriorityClass endpoints can be operated with different HTTP methods [Conformance]`, async () => {
  const collection = "/apis/scheduling.k8s.io/v1/priorityclasses";
  const made = (name: string, value: number): Json => ({
    apiVersion: "scheduling.k8s.io/v1",
    kind: "PriorityClass",
    metadata: { name, labels: { e2e: "pc" } },
    value,
  });
  for (const [name, value] of [
    ["p1", 1],
    ["p2", 2],
  ] as const)
    await api.create(made(name, value));
  const p1 = await api.get(`${collection}/p1`);
  // The value may not change, by whatever verb.
  await expect(api.ask("PUT", `${collection}/p1`, { body: { ...p1, value: 3 } })).rejects.toThrow("422");
  await expect(api.patch(`${collection}/p1`, { value: 3 })).rejects.toThrow("may not be changed in an update");
  const described = await api.patch(`${collection}/p1`, { description: "patched" });
  expect(described).toMatchObject({ description: "patched", value: 1 });
  const replaced = await api.ask("PUT", `${collection}/p1`, { body: { ...described, description: "replaced" } });
  expect(replaced.description).toBe("replaced");
  expect((await api.get(collection, { query: { labelSelector: "e2e=pc" } })).items).toHaveLength(2);
  await api.delete(`${collection}/p1`);
  await api.delete(collection, {}, { query: { labelSelector: "e2e=pc" } });
  expect((await api.get(collection, { query: { labelSelector: "e2e=pc" } })).items).toEqual([]);
});
