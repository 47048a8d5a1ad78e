// ServiceCIDRs and IPAddresses on a whole control plane: extra ranges give addresses, go when nobody needs them, and every address of a
// Service has its object whatever somebody does to it. (KEP-1880)
import { seededRandom } from "@podwire/base";
import { type KubeObject, Resources } from "@podwire/client";
import { virtualClock } from "@podwire/testkit";
import { afterEach, beforeEach, expect, it } from "vitest";
import { type ControlPlane, startControlPlane } from "./control-plane.ts";

const clock = virtualClock(Date.UTC(2026, 0, 1));
let plane: ControlPlane;

async function drive<T>(p: Promise<T>): Promise<T> {
  let settled = false;
  const mark = () => {
    settled = true;
  };
  p.then(mark, mark);
  for (let i = 0; i < 2_000 && !settled; i++) await clock.advance(50);
  return p;
}

beforeEach(async () => {
  plane = await drive(
    startControlPlane({
      clock,
      random: seededRandom(3),
      controllers: ["service-cidr-controller"],
      apiserver: { "service-cluster-ip-range": "10.96.0.0/28" },
    }),
  );
});
afterEach(() => drive(plane.stop()));

let n = 0;
const service = (spec: object = {}) =>
  drive(
    plane.client.create(Resources.services, {
      metadata: { namespace: "default", name: `s${n++}` },
      spec: { ports: [{ port: 80 }], selector: { app: "x" }, ...spec },
    } as KubeObject),
  );
const cidr = (name: string, ...cidrs: string[]) =>
  drive(plane.client.create(Resources.serviceCidrs, { metadata: { name }, spec: { cidrs } } as KubeObject));
const read = (ref: typeof Resources.serviceCidrs, name: string) =>
  drive(plane.client.get(ref, "", name).catch(() => undefined)) as Promise<any>;
const ready = async (name: string) => (await read(Resources.serviceCidrs, name))?.status?.conditions?.find((c: any) => c.type === "Ready");

it("the range of the flags is a ServiceCIDR, ready and protected", async () => {
  await clock.advance(12_000);
  const own = await read(Resources.serviceCidrs, "kubernetes");
  expect(own.spec.cidrs).toEqual(["10.96.0.0/28"]);
  expect(own.metadata.finalizers).toEqual(["networking.k8s.io/service-cidr-finalizer"]);
  expect(await ready("kubernetes")).toMatchObject({ status: "True", message: "Kubernetes Service CIDR is ready" });
  const revision = own.metadata.resourceVersion;
  await clock.advance(60_000);
  expect((await read(Resources.serviceCidrs, "kubernetes")).metadata.resourceVersion).toBe(revision);
});

it("a full range is helped by another one; it goes only when its addresses have gone", async () => {
  // 14 addresses, one of which is the Service kubernetes'.
  for (let i = 0; i < 13; i++) await service();
  await expect(service()).rejects.toThrow("range is full");
  await expect(service({ clusterIP: "10.200.0.5" })).rejects.toThrow("the provided network does not match the current range");
  await cidr("more", "10.200.0.0/28");
  await clock.advance(1_000);
  const extra = await service();
  expect(extra["spec"].clusterIP).toMatch(/^10\.200\.0\.\d+$/);
  await service({ clusterIP: "10.200.0.14" }).catch(() => service({ clusterIP: "10.200.0.13" }));
  const ip = await read(Resources.ipAddresses, extra["spec"].clusterIP);
  expect(ip.spec.parentRef).toEqual({ resource: "services", namespace: "default", name: extra.metadata.name });

  await drive(plane.client.delete(Resources.serviceCidrs, "", "more"));
  await clock.advance(20_000);
  expect(await ready("more")).toMatchObject({ status: "False", reason: "Terminating" });
  await expect(service()).rejects.toThrow("range is full");
  for (const s of (await drive(plane.client.list(Resources.services, {}))).items)
    if (s["spec"].clusterIP.startsWith("10.200.")) await drive(plane.client.delete(Resources.services, "default", s.metadata.name));
  await clock.advance(20_000);
  expect(await read(Resources.serviceCidrs, "more")).toBeUndefined();
});

it("a deleted or foreign IPAddress is put right, and an address that nobody holds is removed", async () => {
  const s = await service();
  const address = s["spec"].clusterIP;
  await drive(plane.client.delete(Resources.ipAddresses, "", address));
  await clock.advance(5_000);
  expect((await read(Resources.ipAddresses, address)).spec.parentRef.name).toBe(s.metadata.name);
  const events = await drive(plane.client.list(Resources.events, { namespace: "default" }));
  expect(events.items.find((e) => e["reason"] === "ClusterIPNotAllocated")?.["message"]).toBe(
    `Cluster IP [IPv4]: ${address} is not allocated; repairing`,
  );

  const labels = { "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io", "ipaddress.kubernetes.io/ip-family": "IPv4" };
  const parentRef = { group: "", resource: "services", namespace: "default", name: "nobody" };
  const mine = { group: "example.com", resource: "gateways", name: "g" };
  await drive(plane.client.create(Resources.ipAddresses, { metadata: { name: "10.96.0.200", labels }, spec: { parentRef } } as KubeObject));
  await drive(plane.client.create(Resources.ipAddresses, { metadata: { name: "192.0.2.9" }, spec: { parentRef: mine } } as KubeObject));
  await clock.advance(400_000);
  expect(await read(Resources.ipAddresses, "10.96.0.200")).toBeUndefined();
  expect(await read(Resources.ipAddresses, "192.0.2.9")).toBeDefined();
});
