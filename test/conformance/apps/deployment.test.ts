// Deployments: rolling, rolling over, scaling in proportion, and the life of one through the API.
import { expect } from "vitest";
import { type Context, conformance, isReady } from "../harness.ts";
import type { Json } from "../rest.ts";
import { available, conditionOf, lifeOf, NEVER_READY, objectWhen, podsOf, scaleSubresource, workload } from "./workloads.ts";

const GROUP = "apps/v1";
const pathOf = (t: Context, name: string) => t.path(`deployments/${name}`, GROUP);
const setsOf = async (t: Context, name: string): Promise<Json[]> =>
  (await t.api.get(t.path("replicasets", GROUP), { query: { labelSelector: `app=${name}` } })).items;

/** A ReplicaSet that a Deployment of the same name and selector will adopt. */
async function olderSet(t: Context, name: string, replicas: number): Promise<Json> {
  const set = workload("ReplicaSet", name, { replicas });
  set.metadata.name = `${name}-older`;
  const made = await t.create(set);
  await available(t, t.path(`replicasets/${name}-older`, GROUP));
  return made;
}

conformance("[sig-apps] Deployment RollingUpdateDeployment should delete old pods and create new ones [Conformance]", async (t) => {
  const older = await olderSet(t, "rolling", 1);
  await t.create(workload("Deployment", "rolling", { replicas: 1 }, { args: ["netexec"] }));
  await available(t, pathOf(t, "rolling"));
  const sets = await setsOf(t, "rolling");
  expect(sets).toHaveLength(2);
  const old = sets.find((s) => s.metadata.uid === older.metadata.uid);
  expect(old.metadata.ownerReferences[0]).toMatchObject({ kind: "Deployment", name: "rolling", controller: true });
  expect(old.spec.replicas).toBe(0);
  const made = sets.find((s) => s.metadata.uid !== older.metadata.uid);
  expect(made.spec.template.spec.containers[0].args).toEqual(["netexec"]);
  expect(Number(made.metadata.annotations["deployment.kubernetes.io/revision"])).toBeGreaterThan(
    Number(old.metadata.annotations["deployment.kubernetes.io/revision"] ?? 0),
  );
  const pods = await t.eventually("only the new pod is left", async () => {
    const all = await podsOf(t, "app=rolling");
    return all.length === 1 ? all : undefined;
  });
  expect(pods[0].metadata.ownerReferences[0].name).toBe(made.metadata.name);
});

conformance("[sig-apps] Deployment deployment should delete old replica sets [Conformance]", async (t) => {
  await olderSet(t, "cleanup", 1);
  await t.create(workload("Deployment", "cleanup", { replicas: 1, revisionHistoryLimit: 0 }, { args: ["netexec"] }));
  await available(t, pathOf(t, "cleanup"));
  await t.eventually("the older set is deleted", async () => {
    const sets = await setsOf(t, "cleanup");
    return sets.length === 1 && sets[0].metadata.name !== "cleanup-older";
  });
});

conformance("[sig-apps] Deployment deployment should support rollover [Conformance]", async (t) => {
  await olderSet(t, "rollover", 1);
  const strategy = { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } };
  await t.create(workload("Deployment", "rollover", { replicas: 1, strategy }, { args: ["netexec"], spec: NEVER_READY }));
  await t.eventually("the first rollout hangs", async () => (await setsOf(t, "rollover")).length === 2);
  await t.modify(pathOf(t, "rollover"), (d) => {
    delete d.spec.template.spec.readinessGates;
    d.spec.template.spec.containers[0].args = ["pause"];
    d.spec.minReadySeconds = 1;
    d.spec.template.metadata.annotations = { rollover: "true" };
  });
  const done = await available(t, pathOf(t, "rollover"));
  const sets = await setsOf(t, "rollover");
  expect(sets).toHaveLength(3);
  const [newest, ...others] = sets.sort((a, b) => revisionOf(b) - revisionOf(a));
  expect(revisionOf(newest)).toBe(revisionOf(done));
  expect(newest.spec.replicas).toBe(1);
  expect(others.map((s) => s.spec.replicas)).toEqual([0, 0]);
});

const revisionOf = (o: Json): number => Number(o.metadata.annotations["deployment.kubernetes.io/revision"]);

conformance("[sig-apps] Deployment deployment should support proportional scaling [Conformance]", async (t) => {
  const strategy = { type: "RollingUpdate", rollingUpdate: { maxSurge: 3, maxUnavailable: 2 } };
  await t.create(workload("Deployment", "proportional", { replicas: 10, strategy }));
  const path = pathOf(t, "proportional");
  await available(t, path);
  await t.api.patch(path, { spec: { template: { spec: NEVER_READY } } }, "strategic");
  const sizes = async () =>
    (await setsOf(t, "proportional")).sort((a, b) => revisionOf(a) - revisionOf(b)).map((s) => [s.spec.replicas, s.status.replicas]);
  const until = (wanted: number[][]) =>
    t.eventually(`the sets have ${JSON.stringify(wanted)} replicas`, async () => JSON.stringify(await sizes()) === JSON.stringify(wanted));
  await until([
    [8, 8],
    [5, 5],
  ]);
  await t.api.patch(path, { spec: { replicas: 30 } });
  // 30 + 3 in proportion 8 : 5.
  await until([
    [20, 20],
    [13, 13],
  ]);
});

conformance("[sig-apps] Deployment Deployment should have a working scale subresource [Conformance]", async (t) => {
  await t.create(workload("Deployment", "scaled", { replicas: 1 }));
  await available(t, pathOf(t, "scaled"));
  await scaleSubresource(t, pathOf(t, "scaled"), "app=scaled");
});

conformance("[sig-apps] Deployment should run the lifecycle of a Deployment [Conformance]", async (t) => {
  const collection = t.path("deployments", GROUP);
  const path = `${collection}/life`;
  const { metadata } = await t.api.get(collection);
  await t.create(workload("Deployment", "life", { replicas: 1 }));
  await available(t, path);
  const types: string[] = [];
  for await (const e of t.api.watch(collection, {
    query: { resourceVersion: metadata.resourceVersion, labelSelector: "app=life" },
    signal: AbortSignal.timeout(20_000),
  })) {
    types.push(e.type);
    if (e.object.status?.readyReplicas === 1) break;
  }
  expect(types[0]).toBe("ADDED");
  expect(types).toContain("MODIFIED");

  await t.api.patch(path, {
    metadata: { labels: { patched: "true" } },
    spec: { replicas: 2, template: { spec: { terminationGracePeriodSeconds: 0 } } },
  });
  expect((await available(t, path)).status.availableReplicas).toBe(2);
  const everywhere = (await t.api.get("/apis/apps/v1/deployments", { query: { labelSelector: "patched=true" } })).items;
  expect(everywhere.some((d: Json) => d.metadata.namespace === t.namespace && d.metadata.name === "life")).toBe(true);

  await t.modify(path, (d) => {
    d.metadata.labels["updated"] = "true";
    d.spec.template.spec.containers[0].args = ["netexec"];
  });
  await available(t, path);
  await t.eventually("pods of the new template run", async () => {
    const pods = await podsOf(t, "app=life");
    return pods.length === 2 && pods.every((p) => isReady(p) && p.spec.containers[0].args[0] === "netexec");
  });

  const condition = { type: "E2E", status: "True", reason: "Set", message: "from a test" };
  const patched = await t.api.patch(`${path}/status`, { status: { conditions: [condition], readyReplicas: 1, availableReplicas: 1 } });
  expect(conditionOf(patched, "E2E")).toMatchObject(condition);
  expect(patched.status.readyReplicas).toBe(1);
  const updated = await t.modify(
    path,
    (d) => {
      d.status.conditions = [...(d.status.conditions ?? []), { ...condition, type: "E2E2" }];
    },
    "status",
  );
  expect(conditionOf(updated, "E2E2")).toMatchObject({ ...condition, type: "E2E2" });
  await objectWhen(t, path, "has its own status again", (d) => d.status.readyReplicas === 2);
  await t.api.delete(collection, {}, { query: { labelSelector: "app=life" } });
  expect(await lifeOf(t, path, metadata.resourceVersion)).toEqual(["ADDED", "MODIFIED", "DELETED"]);
  expect(await t.api.find(path)).toBeUndefined();
});
