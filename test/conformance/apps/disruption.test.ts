// PodDisruptionBudgets: their API, their status, and evictions that wait for them.
import { expect } from "vitest";
import { type Context, conformance } from "../harness.ts";
import { ApiError, type Json } from "../rest.ts";
import { listAndDeleteCollection, objectWhen, podsOf } from "./workloads.ts";

const GROUP = "policy/v1";
const pathOf = (t: Context, name = "budget") => t.path(`poddisruptionbudgets/${name}`, GROUP);

function budget(name: string, limit: Json, labels: Record<string, string> = { app: "guarded" }): Json {
  return { apiVersion: GROUP, kind: "PodDisruptionBudget", metadata: { name }, spec: { selector: { matchLabels: labels }, ...limit } };
}
const seen = (t: Context, what = "was seen", holds: (b: Json) => boolean = () => true) =>
  objectWhen(t, pathOf(t), what, (b) => b.status.observedGeneration >= b.metadata.generation && holds(b));

async function guarded(t: Context, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, i) => t.runPod(`guarded-${i}`, { labels: { app: "guarded" } })));
}

/** The status code of an eviction. */
async function evict(t: Context, name: string): Promise<number> {
  try {
    await t.api.ask("POST", `${t.path("pods")}/${name}/eviction`, {
      body: { apiVersion: GROUP, kind: "Eviction", metadata: { name, namespace: t.namespace } },
    });
    return 201;
  } catch (e) {
    if (e instanceof ApiError) return e.code;
    throw e;
  }
}

conformance("[sig-apps] DisruptionController should create a PodDisruptionBudget [Conformance]", async (t) => {
  await t.create(budget("budget", { minAvailable: "1%" }));
  await seen(t);
  await t.modify(pathOf(t), (b) => (b.spec.minAvailable = "2%"));
  expect((await seen(t)).spec.minAvailable).toBe("2%");
  await t.api.patch(pathOf(t), { spec: { minAvailable: "3%" } });
  expect((await seen(t)).spec.minAvailable).toBe("3%");
  await t.api.delete(pathOf(t));
  await t.eventually("it is gone", async () => (await t.api.find(pathOf(t))) === undefined);
});

conformance(
  "[sig-apps] DisruptionController Listing PodDisruptionBudgets for all namespaces should list and delete a collection of PodDisruptionBudgets [Conformance]",
  async (t) => {
    const other = await t.createForCluster({ apiVersion: "v1", kind: "Namespace", metadata: { name: `${t.namespace}-other` } });
    const elsewhere = budget("elsewhere", { minAvailable: 1 });
    elsewhere.metadata = { name: "elsewhere", namespace: other.metadata.name, labels: { special: t.namespace } };
    await t.create(elsewhere);
    await listAndDeleteCollection(t, t.path("poddisruptionbudgets", GROUP), (name) => budget(name, { minAvailable: 1 }));
    const left = (await t.api.get("/apis/policy/v1/poddisruptionbudgets", { query: { labelSelector: `special=${t.namespace}` } })).items;
    expect(left.map((b: Json) => b.metadata.name)).toEqual(["elsewhere"]);
  },
);

conformance("[sig-apps] DisruptionController should observe PodDisruptionBudget status updated [Conformance]", async (t) => {
  await t.create(budget("budget", { minAvailable: 1 }));
  await guarded(t, 3);
  const b = await seen(t, "allows disruptions", (o) => o.status.disruptionsAllowed > 0 && o.status.currentHealthy === 3);
  expect(b.status).toMatchObject({ currentHealthy: 3, expectedPods: 3, desiredHealthy: 1, disruptionsAllowed: 2 });
});

conformance("[sig-apps] DisruptionController should update/patch PodDisruptionBudget status [Conformance]", async (t) => {
  await t.create(budget("budget", { minAvailable: 1 }));
  await guarded(t, 1);
  await seen(t, "counts the pod", (o) => o.status.currentHealthy === 1);
  const name = (await podsOf(t, "app=guarded"))[0].metadata.name;
  await t.modify(pathOf(t), (b) => (b.status.disruptedPods = { [name]: new Date().toISOString().replace(/\.\d+/, "") }), "status");
  const updated = await t.api.get(`${pathOf(t)}/status`);
  expect(Object.keys(updated.status.disruptedPods)).toEqual([name]);
  const patched = await t.api.patch(`${pathOf(t)}/status`, { status: { disruptedPods: null } });
  expect(patched.status.disruptedPods ?? {}).toEqual({});
});

conformance("[sig-apps] DisruptionController should block an eviction until the PDB is updated to allow it [Conformance]", async (t) => {
  await t.create(budget("budget", { minAvailable: 3 }));
  await guarded(t, 3);
  await seen(t, "counts the pods", (o) => o.status.currentHealthy === 3);
  expect(await evict(t, "guarded-0")).toBe(429);
  await t.modify(pathOf(t), (b) => (b.spec.minAvailable = 2));
  await seen(t, "allows one", (o) => o.status.disruptionsAllowed === 1);
  expect(await evict(t, "guarded-0")).toBe(201);
  await t.podGone("guarded-0");

  await t.api.patch(pathOf(t), { spec: { minAvailable: 3 } });
  await t.runPod("guarded-3", { labels: { app: "guarded" } });
  await seen(t, "counts the new pod", (o) => o.status.currentHealthy === 3 && o.status.disruptionsAllowed === 0);
  expect(await evict(t, "guarded-1")).toBe(429);
  await t.api.delete(pathOf(t));
  await t.eventually("the budget is gone", async () => (await t.api.find(pathOf(t))) === undefined);
  expect(await evict(t, "guarded-1")).toBe(201);
});
