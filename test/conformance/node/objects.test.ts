// [sig-node] Lease, PodTemplates, RuntimeClass: the API of node's own objects.
import { expect } from "vitest";
import { conformance } from "../harness.ts";
import { ApiError, type Json } from "../rest.ts";

conformance("[sig-node] Lease lease API should be available [Conformance]", async (t) => {
  const leases = t.path("leases", "coordination.k8s.io/v1");
  const lease = (name: string, labels: Json = {}) => ({
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name, labels },
    spec: {
      holderIdentity: "holder",
      leaseDurationSeconds: 30,
      acquireTime: "2026-01-02T03:04:05.123456Z",
      renewTime: "2026-01-02T03:04:10.000000Z",
      leaseTransitions: 0,
    },
  });
  await t.create(lease("first"));
  const read = await t.api.get(`${leases}/first`);
  expect(read.spec).toEqual(lease("first").spec);
  const updated = { ...read.spec, holderIdentity: "holder2", leaseTransitions: 1, renewTime: "2026-01-02T03:05:10.000000Z" };
  await t.api.update({ ...read, spec: updated });
  expect((await t.api.get(`${leases}/first`)).spec).toEqual(updated);
  await t.api.patch(`${leases}/first`, { spec: { leaseDurationSeconds: 60 } }, "strategic");
  expect((await t.api.get(`${leases}/first`)).spec).toEqual({ ...updated, leaseDurationSeconds: 60 });
  await t.create(lease("second", { deletecollection: "true" }));
  const names = async () => (await t.api.get(leases)).items.map((l: Json) => l.metadata.name).sort();
  expect(await names()).toEqual(["first", "second"]);
  await t.api.delete(leases, {}, { query: { labelSelector: "deletecollection=true" } });
  expect(await names()).toEqual(["first"]);
  await t.api.delete(`${leases}/first`);
  expect(await t.api.find(`${leases}/first`)).toBeUndefined();
});

const template = (name: string, labels: Json) => ({
  apiVersion: "v1",
  kind: "PodTemplate",
  metadata: { name, labels },
  template: { metadata: { labels }, spec: { containers: [{ name: "nginx", image: "nginx" }] } },
});

conformance("[sig-node] PodTemplates should run the lifecycle of PodTemplates [Conformance]", async (t) => {
  const path = t.path("podtemplates");
  await t.create(template("nginx", { "podtemplate-static": "true" }));
  await t.api.patch(`${path}/nginx`, { metadata: { labels: { podtemplate: "patched" } } }, "strategic");
  expect((await t.api.get(`${path}/nginx`)).metadata.labels.podtemplate).toBe("patched");
  const { items } = await t.api.get("/api/v1/podtemplates", { query: { labelSelector: "podtemplate-static=true,podtemplate=patched" } });
  expect(items.filter((p: Json) => p.metadata.namespace === t.namespace)).toHaveLength(1);
  await t.api.delete(`${path}/nginx`);
  expect((await t.api.get(path, { query: { labelSelector: "podtemplate-static=true" } })).items).toEqual([]);
});

conformance("[sig-node] PodTemplates should delete a collection of pod templates [Conformance]", async (t) => {
  const only = { query: { labelSelector: "podtemplate-set=true" } };
  for (const name of ["one", "two", "three"]) await t.create(template(name, { "podtemplate-set": "true" }));
  expect((await t.api.get(t.path("podtemplates"), only)).items).toHaveLength(3);
  await t.api.delete(t.path("podtemplates"), {}, only);
  expect((await t.api.get(t.path("podtemplates"), only)).items).toEqual([]);
});

conformance("[sig-node] PodTemplates should replace a pod template [Conformance]", async (t) => {
  await t.create(template("replaced", { "e2e-pod-template": "true" }));
  await t.modify(t.path("podtemplates/replaced"), (p) => {
    p.metadata.annotations = { updated: "true" };
  });
  expect((await t.api.get(t.path("podtemplates/replaced"))).metadata.annotations.updated).toBe("true");
});

const CLASSES = "/apis/node.k8s.io/v1/runtimeclasses";
const runtimeClass = (name: string, more: Json = {}) => ({
  apiVersion: "node.k8s.io/v1",
  kind: "RuntimeClass",
  metadata: { name, labels: { test: name } },
  handler: "runc",
  ...more,
});
const rejected = async (call: Promise<unknown>, name: string) => {
  const e = (await call.catch((x: unknown) => x)) as ApiError;
  expect(e).toBeInstanceOf(ApiError);
  expect(e.code).toBe(403);
  expect(e.message).toContain(`pod rejected: RuntimeClass "${name}" not found`);
};

conformance(
  "[sig-node] RuntimeClass should reject a Pod requesting a non-existent RuntimeClass [NodeConformance] [Conformance]",
  async (t) => {
    const name = `${t.namespace}-nonexistent`;
    await rejected(t.create(t.pod("p", { spec: { runtimeClassName: name } })), name);
  },
);

conformance("[sig-node] RuntimeClass should reject a Pod requesting a deleted RuntimeClass [NodeConformance] [Conformance]", async (t) => {
  const name = `${t.namespace}-deleted`;
  await t.createForCluster(runtimeClass(name));
  await t.eventually("the class to count", async () => {
    await t.create(t.pod("before", { spec: { runtimeClassName: name, nodeSelector: { none: "none" } } }));
    return true;
  });
  await t.api.delete(`${CLASSES}/${name}`);
  await t.eventually("the class to be forgotten", async () => {
    await rejected(t.create(t.pod("after", { spec: { runtimeClassName: name } })), name);
    return true;
  });
});

const scheduled = (p: Json) => p.status.conditions?.some((c: Json) => c.type === "PodScheduled" && c.status === "True");

conformance(
  "[sig-node] RuntimeClass should schedule a Pod requesting a RuntimeClass without PodOverhead [NodeConformance] [Conformance]",
  async (t) => {
    const name = `${t.namespace}-plain`;
    await t.createForCluster(runtimeClass(name));
    await t.eventually("a pod of the class", () => t.create(t.pod("p", { spec: { runtimeClassName: name } })));
    expect((await t.podWhen("p", "is scheduled", scheduled)).spec.overhead).toBeUndefined();
  },
);

conformance(
  "[sig-node] RuntimeClass should schedule a Pod requesting a RuntimeClass and initialize its Overhead [NodeConformance] [Conformance]",
  async (t) => {
    const name = `${t.namespace}-overhead`;
    await t.createForCluster(runtimeClass(name, { overhead: { podFixed: { cpu: "10m", memory: "1Mi" } } }));
    await t.eventually("a pod of the class", () => t.create(t.pod("p", { spec: { runtimeClassName: name } })));
    expect((await t.podWhen("p", "is scheduled", scheduled)).spec.overhead).toEqual({ cpu: "10m", memory: "1Mi" });
  },
);

conformance("[sig-node] RuntimeClass should support RuntimeClasses API operations [Conformance]", async (t) => {
  const groups = await t.api.get("/apis");
  expect(groups.groups.find((g: Json) => g.name === "node.k8s.io").versions.map((v: Json) => v.version)).toContain("v1");
  expect((await t.api.get("/apis/node.k8s.io")).versions.map((v: Json) => v.groupVersion)).toContain("node.k8s.io/v1");
  expect((await t.api.get("/apis/node.k8s.io/v1")).resources.map((r: Json) => r.name)).toContain("runtimeclasses");
  const label = t.namespace;
  const only = { query: { labelSelector: `api=${label}` } };
  const names = [0, 1, 2].map((i) => `${t.namespace}-${i}`);
  const first = names[0] as string;
  const made = await t.createForCluster({ ...runtimeClass(first), metadata: { name: first, labels: { api: label } } });
  await expect(t.api.create({ ...runtimeClass(first), metadata: { name: first } })).rejects.toMatchObject({ code: 409 });
  expect((await t.api.get(`${CLASSES}/${first}`)).metadata.uid).toBe(made.metadata.uid);
  expect((await t.api.get(CLASSES, only)).items).toHaveLength(1);
  const watch = t.api.watch(CLASSES, { query: { ...only.query, resourceVersion: made.metadata.resourceVersion } });
  await t.api.patch(`${CLASSES}/${first}`, { metadata: { annotations: { patched: "true" } } });
  expect((await watch.next()).value).toMatchObject({ type: "MODIFIED", object: { metadata: { annotations: { patched: "true" } } } });
  await t.modify(`${CLASSES}/${first}`, (c) => {
    c.metadata.annotations.updated = "true";
  });
  expect((await watch.next()).value).toMatchObject({ type: "MODIFIED", object: { metadata: { annotations: { updated: "true" } } } });
  await t.api.delete(`${CLASSES}/${first}`);
  expect((await watch.next()).value).toMatchObject({ type: "DELETED" });
  await watch.return(undefined);
  expect(await t.api.find(`${CLASSES}/${first}`)).toBeUndefined();
  for (const name of names.slice(1)) await t.createForCluster({ ...runtimeClass(name), metadata: { name, labels: { api: label } } });
  expect((await t.api.get(CLASSES, only)).items).toHaveLength(2);
  await t.api.delete(CLASSES, {}, only);
  expect((await t.api.get(CLASSES, only)).items).toEqual([]);
});
