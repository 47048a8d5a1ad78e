// ResourceClaims on a whole control plane: made from templates, allocated with the choice of a node out of published ResourceSlices, reserved,
// shared, and given back when their pods end. (KEP-4381)
import { seededRandom } from "@podwire/base";
import { type KubeObject, Resources } from "@podwire/client";
import { virtualClock } from "@podwire/testkit";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type ControlPlane, startControlPlane } from "./control-plane.ts";

let clock = virtualClock();
let plane: ControlPlane;

async function drive<T>(p: Promise<T>): Promise<T> {
  let settled = false;
  const mark = () => {
    settled = true;
  };
  p.then(mark, mark);
  for (let i = 0; i < 2_000 && !settled; i++) await clock.advance(20);
  return p;
}
const create = (ref: any, object: object) => drive(plane.client.create(ref, object as KubeObject));
const list = async (ref: any) => (await drive(plane.client.list(ref, { namespace: "default" }))).items;
const devices = { requests: [{ name: "gpu", exactly: { deviceClassName: "gpu" } }] };

beforeEach(async () => {
  clock = virtualClock(Date.UTC(2026, 0, 1));
  const controllers = ["serviceaccount-controller", "resourceclaim-controller", "garbage-collector-controller"];
  plane = await drive(startControlPlane({ clock, random: seededRandom(6), controllers, scheduler: true }));
  await clock.advance(500);
  for (const name of ["n1", "n2"]) {
    const conditions = [{ type: "Ready", status: "True", reason: "KubeletReady", message: "", lastTransitionTime: null }];
    const labels = { "kubernetes.io/hostname": name };
    await create(Resources.nodes, {
      metadata: { name, labels },
      status: { allocatable: { cpu: "8", memory: "8Gi", pods: "10" }, conditions },
    });
    await drive(plane.client.patch(Resources.nodes, "", name, "merge", { spec: { taints: null } }));
  }
  await create(Resources.deviceClasses, {
    metadata: { name: "gpu" },
    spec: { selectors: [{ cel: { expression: 'device.driver == "gpu.example.com"' } }] },
  });
  await create(Resources.resourceClaimTemplates, { metadata: { namespace: "default", name: "one-gpu" }, spec: { spec: { devices } } });
  await slice("n1", ["g0"]);
});
afterEach(() => drive(plane.stop()));

async function slice(nodeName: string, names: string[]) {
  const pool = { name: nodeName, generation: 1, resourceSliceCount: 1 };
  await create(Resources.resourceSlices, {
    metadata: { name: `${nodeName}-gpus` },
    spec: { driver: "gpu.example.com", nodeName, pool, devices: names.map((name) => ({ name })) },
  });
}
async function pod(name: string, resourceClaims: object[]) {
  const containers = [{ name: "c", image: "i", resources: { claims: [{ name: "gpu" }] } }];
  await create(Resources.pods, { metadata: { namespace: "default", name }, spec: { resourceClaims, containers } });
  await clock.advance(3_000);
  return read(name);
}
const read = (name: string) => drive(plane.client.get(Resources.pods, "default", name)) as Promise<any>;
const fromTemplate = [{ name: "gpu", resourceClaimTemplateName: "one-gpu" }];

it("a pod gets a claim of its own, its device and the node that has it; the next waits until the device is free or another is published", async () => {
  const a = await pod("a", fromTemplate);
  expect(a.spec.nodeName).toBe("n1");
  const [claim] = await list(Resources.resourceClaims);
  expect(a.status.resourceClaimStatuses).toEqual([{ name: "gpu", resourceClaimName: claim?.metadata.name }]);
  expect(claim?.metadata.name).toMatch(/^a-gpu-[a-z0-9]{5}$/);
  expect(claim?.metadata.finalizers).toEqual(["resource.kubernetes.io/delete-protection"]);
  expect(claim?.["status"]).toMatchObject({
    allocation: { devices: { results: [{ request: "gpu", driver: "gpu.example.com", pool: "n1", device: "g0" }] } },
    reservedFor: [{ resource: "pods", name: "a", uid: a.metadata.uid }],
  });
  const b = await pod("b", fromTemplate);
  expect(b.spec.nodeName).toBeUndefined();
  expect(b.status.conditions.find((x: any) => x.type === "PodScheduled").message).toMatch(
    /^0\/2 nodes are available: 2 cannot allocate all claims\. still not schedulable, preemption: /,
  );
  await slice("n2", ["g0"]);
  await clock.advance(5_000);
  expect((await read("b")).spec.nodeName).toBe("n2");

  const c = await pod("c", fromTemplate);
  expect(c.spec.nodeName).toBeUndefined();
  // A pod that has ended needs its claim no longer, though it is still there.
  await drive(plane.client.patch(Resources.pods, "default", "a", "merge", { status: { phase: "Succeeded" } }, { subresource: "status" }));
  await clock.advance(15_000);
  expect((await read("c")).spec.nodeName).toBe("n1");
  expect((await list(Resources.resourceClaims)).map((x) => x.metadata.name.slice(0, 1)).sort()).toEqual(["b", "c"]);
});

it("a claim by name is shared, keeps its users on its node, and is free again after the last", async () => {
  await create(Resources.resourceClaims, { metadata: { namespace: "default", name: "shared" }, spec: { devices } });
  const byName = [{ name: "gpu", resourceClaimName: "shared" }];
  expect((await pod("a", byName)).spec.nodeName).toBe("n1");
  expect((await pod("b", byName)).spec.nodeName).toBe("n1");
  const shared = () => drive(plane.client.get(Resources.resourceClaims, "default", "shared")) as Promise<any>;
  expect((await shared()).status.reservedFor.map((r: any) => r.name)).toEqual(["a", "b"]);
  await drive(plane.client.delete(Resources.pods, "default", "a", { gracePeriodSeconds: 0 }));
  await clock.advance(2_000);
  expect((await shared()).status.reservedFor.map((r: any) => r.name)).toEqual(["b"]);
  await drive(plane.client.delete(Resources.pods, "default", "b", { gracePeriodSeconds: 0 }));
  await clock.advance(2_000);
  expect((await shared()).status.allocation).toBeUndefined();
  expect((await shared()).metadata.finalizers ?? []).toEqual([]);
  const writes = plane.server.counters()["writes"];
  await clock.advance(120_000);
  expect(plane.server.counters()["writes"]).toBe(writes);
});

it("a pod whose template comes later waits without being tried, and is told why", async () => {
  const p = await pod("late", [{ name: "gpu", resourceClaimTemplateName: "later" }]);
  expect(p.spec.nodeName).toBeUndefined();
  expect((await list(Resources.events)).map((e) => `${e["reason"]}: ${e["message"]}`)).toContain(
    'FailedResourceClaimCreation: PodResourceClaim gpu: resource claim template "later": resourceclaimtemplate.resource.k8s.io "later" not found',
  );
  await create(Resources.resourceClaimTemplates, { metadata: { namespace: "default", name: "later" }, spec: { spec: { devices } } });
  await clock.advance(3_000);
  expect((await read("late")).spec.nodeName).toBe("n1");
});
