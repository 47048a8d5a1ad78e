import { seededRandom, systemClock } from "@podwire/base";
import { type KubeObject, Resources } from "@podwire/client";
import { afterEach, expect, test } from "vitest";
import { CONTROLLERS } from "./controllers/table.ts";
import { type Simulation, simulation } from "./simulation.ts";

let sim: Simulation;
afterEach(() => sim.stop());

async function cluster(settings = {}): Promise<Simulation> {
  sim = simulation({ clock: systemClock, random: seededRandom(11), controllers: Object.keys(CONTROLLERS), settings });
  await sim.start();
  return sim;
}

const deployment = (replicas: number, image = "app:v1"): KubeObject => ({
  metadata: { name: "web", namespace: "default" },
  spec: {
    replicas,
    revisionHistoryLimit: 10,
    progressDeadlineSeconds: 600,
    selector: { matchLabels: { app: "web" } },
    strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: "25%", maxUnavailable: "25%" } },
    template: { metadata: { labels: { app: "web" } }, spec: { containers: [{ name: "c", image }] } },
  },
});
const web = () => sim.api.objects(Resources.deployments)[0] as KubeObject;
const pods = () => sim.api.objects(Resources.pods);
const progress = () => web()["status"]?.conditions?.find((c: any) => c.type === "Progressing")?.reason;
const settled = (n: number) => () =>
  progress() === "NewReplicaSetAvailable" &&
  web()["status"].availableReplicas === n &&
  web()["status"].replicas === n &&
  web()["status"].updatedReplicas === n;

test("a deployment becomes available, rolls, scales and is deleted with everything that it owns", async () => {
  const s = await cluster();
  await s.client.create(Resources.deployments, deployment(3));
  await s.until(settled(3), "available");
  expect(pods().length).toBe(3);
  expect(pods()[0]?.metadata.name).toMatch(/^web-[bcdfghjklmnpqrstvwxz2456789]+-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
  expect(web().metadata.annotations?.["deployment.kubernetes.io/revision"]).toBe("1");

  await s.client.patch(Resources.deployments, "default", "web", "merge", {
    spec: { template: { spec: { containers: [{ name: "c", image: "app:v2" }] } } },
  });
  await s.until(() => web()["status"].observedGeneration === 2 && settled(3)() && pods().length === 3, "rolled");
  expect(pods().every((p) => p["spec"].containers[0].image === "app:v2")).toBe(true);
  expect(web().metadata.annotations?.["deployment.kubernetes.io/revision"]).toBe("2");
  const sets = s.api.objects(Resources.replicaSets);
  expect(sets.map((rs) => rs["spec"].replicas).sort()).toEqual([0, 3]);

  await s.client.patch(Resources.deployments, "default", "web", "merge", { spec: { replicas: 7 } });
  await s.until(settled(7), "scaled");
  await s.client.delete(Resources.deployments, "default", "web", { propagationPolicy: "Background" });
  await s.until(() => pods().length === 0 && s.api.objects(Resources.replicaSets).length === 0, "collected");
});

test("once the specification is reached nothing is written any more", async () => {
  const s = await cluster();
  await s.client.create(Resources.deployments, deployment(5));
  await s.client.create(Resources.services, {
    metadata: { name: "web", namespace: "default" },
    spec: { selector: { app: "web" }, ports: [{ port: 80, targetPort: 8080 }] },
  });
  await s.until(settled(5), "available");
  await systemClock.sleep(300);
  const before = s.api.revision;
  await systemClock.sleep(500);
  expect(s.api.revision).toBe(before);
});

test("a service gets its slice, which follows its pods", async () => {
  const s = await cluster();
  await s.client.create(Resources.services, {
    metadata: { name: "web", namespace: "default" },
    spec: { selector: { app: "web" }, ports: [{ port: 80, targetPort: 8080 }] },
  });
  const slice = () => s.api.objects(Resources.endpointSlices)[0] as KubeObject;
  await s.until(() => slice() !== undefined, "placeholder");
  expect(slice()["endpoints"] ?? null).toBeNull();
  await s.client.create(Resources.deployments, deployment(3));
  await s.until(() => slice()["endpoints"]?.filter((e: any) => e.conditions.ready).length === 3, "three endpoints");
  expect(slice()["ports"]).toEqual([{ name: "", port: 8080, protocol: "TCP" }]);
  expect(slice()["endpoints"][0].targetRef.kind).toBe("Pod");
  await s.client.patch(Resources.deployments, "default", "web", "merge", { spec: { replicas: 1 } });
  await s.until(() => slice()["endpoints"]?.length === 1 && s.api.objects(Resources.endpointSlices).length === 1, "one endpoint");
  const endpoints = s.api.objects(Resources.endpoints)[0] as KubeObject;
  await s.until(() => s.api.objects(Resources.endpoints)[0]?.["subsets"]?.[0]?.addresses?.length === 1, "endpoints");
  expect(endpoints.metadata.name).toBe("web");
});

test("namespaces get a service account and the root CA; nodes get ranges; a namespace is emptied and goes", async () => {
  const s = await cluster();
  await s.client.create(Resources.namespaces, {
    metadata: { name: "other" },
    spec: { finalizers: ["kubernetes"] },
    status: { phase: "Active" },
  });
  await s.until(
    () => s.api.objects(Resources.serviceAccounts).length === 2 && s.api.objects(Resources.configMaps).length === 2,
    "service accounts and root CA",
  );
  await s.until(() => s.api.objects(Resources.nodes).every((n) => n["spec"].podCIDR), "ranges");
  expect(
    s.api
      .objects(Resources.nodes)
      .map((n) => n["spec"].podCIDR)
      .sort(),
  ).toEqual(["10.244.0.0/24", "10.244.1.0/24", "10.244.2.0/24"]);
  await s.client.create(Resources.pods, { metadata: { name: "p", namespace: "other" }, spec: { containers: [] } });
  const ns = s.api.objects(Resources.namespaces).find((n) => n.metadata.name === "other") as KubeObject;
  // The API marks a namespace as terminating; its finalizer is in spec, which the API in memory does not know.
  await s.client.patch(Resources.namespaces, "", "other", "merge", { metadata: { finalizers: ["test/hold"] } });
  await s.client.delete(Resources.namespaces, "", "other");
  await s.until(() => s.api.objects(Resources.pods).length === 0, "pods are gone");
  await s.until(
    () => (s.api.objects(Resources.namespaces).find((n) => n.metadata.uid === ns.metadata.uid)?.["spec"].finalizers ?? []).length === 0,
    "finalizer is removed",
  );
  expect(s.api.objects(Resources.configMaps).length).toBe(1);
});

test("a silent node becomes unknown, is tainted, and its pods leave the endpoints and then the node", async () => {
  const s = await cluster({ nodeMonitorPeriodMs: 20, nodeMonitorGracePeriodMs: 200, nodeEvictionRate: 10 });
  const names = ["node-1", "node-2", "node-3"];
  let alive = names;
  const lease = (name: string) => ({
    metadata: { namespace: "kube-node-lease", name },
    spec: { holderIdentity: name, renewTime: new Date().toISOString() },
  });
  for (const n of names) await s.client.create(Resources.leases, lease(n));
  const beat = systemClock.every(40, () => {
    for (const n of alive)
      void s.client.patch(Resources.leases, "kube-node-lease", n, "merge", { spec: { renewTime: new Date().toISOString() } });
  });
  try {
    const d = deployment(3);
    d["spec"].template.spec.tolerations = ["not-ready", "unreachable"].map((k) => ({
      key: `node.kubernetes.io/${k}`,
      operator: "Exists",
      effect: "NoExecute",
      tolerationSeconds: 1,
    }));
    await s.client.create(Resources.deployments, d);
    await s.until(settled(3), "available");
    alive = ["node-1", "node-2"];
    const node = () => s.api.objects(Resources.nodes).find((n) => n.metadata.name === "node-3") as KubeObject;
    const on3 = () => pods().filter((p) => p["spec"].nodeName === "node-3");
    const victim = on3()[0] as KubeObject;
    await s.until(() => node()["status"].conditions.find((c: any) => c.type === "Ready").status === "Unknown", "unknown");
    await s.until(
      () =>
        ["NoExecute", "NoSchedule"].every((e) =>
          node()["spec"].taints?.some((t: any) => t.key === "node.kubernetes.io/unreachable" && t.effect === e),
        ),
      "tainted",
    );
    await s.until(() => {
      const p = pods().find((x) => x.metadata.uid === victim.metadata.uid);
      return !p || p["status"].conditions.find((c: any) => c.type === "Ready").status === "False";
    }, "not ready");
    await s.until(() => !pods().some((p) => p.metadata.uid === victim.metadata.uid), "evicted");
    alive = names;
    await s.client.patch(
      Resources.nodes,
      "",
      "node-3",
      "merge",
      { status: { conditions: [{ type: "Ready", status: "True", reason: "KubeletReady" }] } },
      { subresource: "status" },
    );
    await s.until(() => (node()["spec"].taints ?? []).length === 0, "taints are gone");
  } finally {
    beat.cancel();
  }
});

test("an orphaned or foreground deletion follows the rules of owner references", async () => {
  const s = await cluster();
  const map = (name: string, more: object = {}): KubeObject => ({ metadata: { name, namespace: "default", ...more } });
  const owner = await s.client.create(Resources.configMaps, map("owner"));
  const ref = { apiVersion: "v1", kind: "ConfigMap", name: "owner", uid: owner.metadata.uid ?? "", blockOwnerDeletion: true };
  await s.client.create(Resources.configMaps, map("child", { ownerReferences: [ref], finalizers: ["example.com/hold"] }));
  const get = (name: string) => s.api.objects(Resources.configMaps).find((o) => o.metadata.name === name);
  await s.client.delete(Resources.configMaps, "default", "owner", { propagationPolicy: "Foreground" });
  await s.until(() => get("child")?.metadata.deletionTimestamp !== undefined, "the child is being deleted");
  await systemClock.sleep(50);
  expect(get("owner")?.metadata.finalizers).toEqual(["foregroundDeletion"]);
  await s.client.patch(Resources.configMaps, "default", "child", "merge", { metadata: { finalizers: null } });
  await s.until(() => get("child") === undefined && get("owner") === undefined, "both are gone");

  const second = await s.client.create(Resources.configMaps, map("second"));
  await s.client.create(Resources.configMaps, map("kept", { ownerReferences: [{ ...ref, name: "second", uid: second.metadata.uid }] }));
  await s.client.delete(Resources.configMaps, "default", "second", { propagationPolicy: "Orphan" });
  await s.until(() => get("second") === undefined, "the owner is gone");
  expect(get("kept")?.metadata.ownerReferences ?? []).toEqual([]);

  await s.client.create(
    Resources.configMaps,
    map("stray", { ownerReferences: [{ ...ref, name: "owner", uid: "11111111-1111-4111-8111-111111111111" }] }),
  );
  await s.until(() => get("stray") === undefined, "a child of nobody is collected");
});
