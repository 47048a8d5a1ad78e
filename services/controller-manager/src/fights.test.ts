// Objects that fight, and keys that always fail: the controllers end in conditions or events, never in a hot loop, and everybody else is served
// meanwhile. On a virtual clock, with the real controllers and an API in memory.
import { seededRandom } from "@podwire/base";
import { ApiUnreachableError, type KubeObject, type ResourceRef, Resources } from "@podwire/client";
import { type VirtualClock, virtualClock } from "@podwire/testkit";
import { expect, test } from "vitest";
import { type Simulation, simulation } from "./simulation.ts";
import { WriteRate } from "./write-rate.ts";

const CONTROLLERS = [
  "deployment-controller",
  "replicaset-controller",
  "statefulset-controller",
  "daemonset-controller",
  "job-controller",
  "endpointslice-controller",
  "disruption-controller",
  "garbage-collector-controller",
];
const HOUR_MS = 3_600_000;

interface World {
  clock: VirtualClock;
  sim: Simulation;
  rate: WriteRate;
  create(ref: ResourceRef, object: object): Promise<void>;
  ready(name: string): boolean;
}

async function world(refuse: (method: string, path: string, body: string) => boolean = () => false): Promise<World> {
  const clock = virtualClock();
  const rate = new WriteRate();
  const sim = simulation({
    clock,
    random: seededRandom(3),
    controllers: CONTROLLERS,
    wrapTransport: (inner) => ({
      ...inner,
      request: async (r, o) => {
        rate.note(r.method, r.path, clock.monotonicMs());
        if (refuse(r.method, r.path, r.body ? new TextDecoder().decode(r.body) : "")) throw new ApiUnreachableError("refused");
        return inner.request(r, o);
      },
    }),
  });
  const drive = async (p: Promise<unknown>) => {
    let settled = false;
    const mark = () => {
      settled = true;
    };
    p.then(mark, mark);
    for (let i = 0; i < 600 && !settled; i++) await clock.advance(10);
    await p;
  };
  await drive(sim.start());
  return {
    clock,
    sim,
    rate,
    create: (ref, object) => drive(sim.client.create(ref, object as KubeObject)),
    ready: (name) => sim.api.objects(Resources.deployments).some((d) => d.metadata.name === name && d["status"]?.availableReplicas === 2),
  };
}

const template = (app: string, image = "v1") => ({ metadata: { labels: { app } }, spec: { containers: [{ name: "c", image }] } });
const workload = (name: string, app: string, more: object = {}) => ({
  metadata: { name, namespace: "default" },
  spec: { replicas: 2, selector: { matchLabels: { app } }, template: template(app), ...more },
});

/** Nothing is written in a hurry during the hour, hardly anything at its end, and a newcomer is served at once. */
async function bearable(w: World): Promise<void> {
  await w.clock.advance(HOUR_MS / 2);
  await w.create(Resources.deployments, workload("newcomer", "newcomer"));
  await w.clock.advance(30_000);
  expect(w.ready("newcomer")).toBe(true);
  await w.clock.advance(HOUR_MS / 2);
  expect(w.rate.alarm).toBeUndefined();
}

test("workloads with one selector", async () => {
  const w = await world();
  await w.create(Resources.replicaSets, workload("a", "same"));
  await w.create(Resources.replicaSets, workload("b", "same", { replicas: 5 }));
  await w.create(Resources.deployments, workload("c", "same"));
  await w.create(Resources.deployments, workload("d", "same", { template: template("same", "v2") }));
  await w.create(Resources.statefulSets, workload("e", "same", { serviceName: "e", updateStrategy: { type: "RollingUpdate" } }));
  await w.create(
    Resources.daemonSets,
    workload("f", "same", { updateStrategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } } }),
  );
  await bearable(w);
  // Each has the pods that it asked for, and none of another's.
  const owners = new Map<string, number>();
  for (const p of w.sim.api.objects(Resources.pods)) {
    const owner = p.metadata.ownerReferences?.find((r) => r.controller)?.name.replace(/-[bcdfghjklmnpqrstvwxz2456789]+$/, "") ?? "nobody";
    owners.set(owner, (owners.get(owner) ?? 0) + 1);
  }
  expect(Object.fromEntries([...owners].sort())).toEqual({ a: 2, b: 5, c: 2, d: 2, e: 2, f: 3, newcomer: 2 });
});

test("owners in a circle, owners of another namespace, owners that are not there", async () => {
  const w = await world();
  const map = (name: string, owner: string, uid: string) => ({
    metadata: {
      name,
      namespace: "default",
      ownerReferences: [{ apiVersion: "v1", kind: "ConfigMap", name: owner, uid, blockOwnerDeletion: true }],
    },
  });
  await w.create(Resources.configMaps, { metadata: { name: "x", namespace: "default" } });
  await w.create(Resources.configMaps, { metadata: { name: "y", namespace: "default" } });
  const uid = (name: string) => w.sim.api.objects(Resources.configMaps).find((o) => o.metadata.name === name)?.metadata.uid ?? "";
  for (const [name, owner] of [
    ["x", "y"],
    ["y", "x"],
  ] as const)
    void w.sim.client.patch(Resources.configMaps, "default", name, "merge", {
      metadata: { ownerReferences: map(name, owner, uid(owner)).metadata.ownerReferences },
    });
  await w.create(Resources.configMaps, map("orphan", "nobody", "11111111-1111-4111-8111-111111111111"));
  await w.clock.advance(1_000);
  void w.sim.client.delete(Resources.configMaps, "default", "x", { propagationPolicy: "Foreground" }).catch(() => {});
  await bearable(w);
  expect(w.sim.api.objects(Resources.configMaps).map((o) => o.metadata.name)).toEqual([]);
});

test("budgets that cannot be kept, and two for one pod", async () => {
  const w = await world();
  await w.create(Resources.deployments, workload("web", "web"));
  for (const [name, minAvailable] of [
    ["impossible", 99],
    ["second", 1],
  ] as const)
    await w.create(Resources.podDisruptionBudgets, {
      metadata: { name, namespace: "default", generation: 1 },
      spec: { minAvailable, selector: { matchLabels: { app: "web" } } },
    });
  await bearable(w);
  const allowed = Object.fromEntries(
    w.sim.api.objects(Resources.podDisruptionBudgets).map((b) => [b.metadata.name, b["status"]?.disruptionsAllowed]),
  );
  expect(allowed).toEqual({ impossible: 0, second: 1 });
});

test("keys that fail for ever are tried more and more seldom, and hold up nobody", async () => {
  const w = await world((method, path, body) => method === "POST" && path.endsWith("/pods") && body.includes('"app":"bad"'));
  for (let i = 0; i < 40; i++) await w.create(Resources.replicaSets, workload(`bad${i}`, "bad"));
  await bearable(w);
  // Each has been tried, and has waited between.
  const tries = w.sim.manager.counters()["controllers"] as Record<string, { errors: number }>;
  expect(tries["replicaset-controller"]?.errors).toBeGreaterThan(40);
  expect(tries["replicaset-controller"]?.errors).toBeLessThan(40 * 40);
});

test("the alarm goes off for a loop, and not for a burst of creations", () => {
  const rate = new WriteRate();
  for (let i = 0; i < 250; i++) rate.note("POST", "/api/v1/namespaces/default/pods", i);
  for (let i = 0; i < 60; i++) rate.note("PUT", "/api/v1/namespaces/default/pods/p/status", i * 10_000);
  expect(rate.alarm).toBeUndefined();
  for (let i = 0; i < 61; i++) rate.note("PUT", "/api/v1/namespaces/default/pods/p/status", 1_000_000 + i * 100);
  expect(rate.alarm).toContain("61 times PUT /api/v1/namespaces/default/pods/p/status");
});
