// [sig-api-machinery] Garbage collector and Namespaces: what goes with its owner or its namespace, what stays, and in which order.
import { expect } from "vitest";
import { type Context, conformance } from "../harness.ts";
import type { Json } from "../rest.ts";

async function runController(t: Context, name: string, replicas: number): Promise<Json> {
  const rc = await t.create({
    apiVersion: "v1",
    kind: "ReplicationController",
    metadata: { name },
    spec: { replicas, selector: { name }, template: { metadata: { labels: { name } }, spec: t.pod(name).spec } },
  });
  await t.eventually(`${replicas} pods of ${name}`, async () => (await podsOf(t, name)).length === replicas);
  return rc;
}

async function podsOf(t: Context, name: string): Promise<Json[]> {
  const { items } = await t.api.get(t.path("pods"), { query: { labelSelector: `name=${name}` } });
  return items.filter((p: Json) => !p.metadata.deletionTimestamp);
}

const ownerOf = (o: Json) => ({ apiVersion: o.apiVersion, kind: o.kind, name: o.metadata.name, uid: o.metadata.uid });

conformance("[sig-api-machinery] Garbage collector should delete pods created by rc when not orphaning [Conformance]", async (t) => {
  await runController(t, "rc", 2);
  await t.api.delete(t.path("replicationcontrollers/rc"), { propagationPolicy: "Background" });
  await t.eventually("the pods are gone", async () => (await t.api.get(t.path("pods"))).items.length === 0);
  expect(await t.api.find(t.path("replicationcontrollers/rc"))).toBeUndefined();
});

conformance(
  "[sig-api-machinery] Garbage collector should orphan pods created by rc if delete options say so [Serial] [Conformance]",
  async (t) => {
    await runController(t, "rc", 5);
    await t.api.delete(t.path("replicationcontrollers/rc"), { propagationPolicy: "Orphan" });
    await t.eventually("the controller is gone", async () => (await t.api.find(t.path("replicationcontrollers/rc"))) === undefined);
    const pods = await podsOf(t, "rc");
    expect(pods).toHaveLength(5);
    for (const p of pods) expect(p.metadata.ownerReferences ?? []).toEqual([]);
    // What the collector would do wrong it would do within moments of seeing the owner gone.
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    expect(await podsOf(t, "rc")).toHaveLength(5);
  },
);

conformance("[sig-api-machinery] Garbage collector should not be blocked by dependency circle [Conformance]", async (t) => {
  const pods = [];
  for (const name of ["pod1", "pod2", "pod3"]) pods.push(await t.create(t.pod(name)));
  for (const [i, name] of ["pod1", "pod2", "pod3"].entries()) {
    const owner = { ...ownerOf(pods[(i + 2) % 3]), controller: true, blockOwnerDeletion: true };
    await t.api.patch(t.path(`pods/${name}`), { metadata: { ownerReferences: [owner] } });
  }
  await t.api.delete(t.path("pods/pod1"));
  await t.eventually("all three are gone", async () => (await t.api.get(t.path("pods"))).items.length === 0);
});

conformance(
  "[sig-api-machinery] Garbage collector should not delete dependents that have both valid owner and owner that''s waiting for dependents to be deleted [Serial] [Conformance]",
  async (t) => {
    await runController(t, "to-be-deleted", 6);
    const stays = await runController(t, "to-stay", 0);
    const shared = (await podsOf(t, "to-be-deleted")).slice(0, 3).map((p) => p.metadata.name);
    for (const name of shared) await t.modify(t.path(`pods/${name}`), (p) => p.metadata.ownerReferences.push(ownerOf(stays)));
    await t.api.delete(t.path("replicationcontrollers/to-be-deleted"), { propagationPolicy: "Foreground" });
    await t.eventually(
      "the controller is gone",
      async () => (await t.api.find(t.path("replicationcontrollers/to-be-deleted"))) === undefined,
    );
    const left = await podsOf(t, "to-be-deleted");
    expect(left.map((p) => p.metadata.name).sort()).toEqual(shared.sort());
    for (const p of left) expect(p.metadata.ownerReferences.map((o: Json) => o.name)).toEqual(["to-stay"]);
  },
);

const NAMESPACES = "[sig-api-machinery] Namespaces [Serial] should";

async function another(t: Context, suffix: string): Promise<string> {
  const name = `${t.namespace}-${suffix}`;
  await t.createForCluster({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
  return name;
}

conformance(`${NAMESPACES} ensure that all services are removed when a namespace is deleted [Conformance]`, async (t) => {
  const name = await another(t, "services");
  const services = `/api/v1/namespaces/${name}/services`;
  await t.create({ apiVersion: "v1", kind: "Service", metadata: { name: "s", namespace: name }, spec: { ports: [{ port: 80 }] } });
  await t.api.delete(`/api/v1/namespaces/${name}`);
  await t.eventually("the namespace is gone", async () => (await t.api.find(`/api/v1/namespaces/${name}`)) === undefined);
  await another(t, "services");
  expect((await t.api.get(services)).items).toEqual([]);
});

conformance(`${NAMESPACES} patch a Namespace [Conformance]`, async (t) => {
  const name = await another(t, "patched");
  await t.api.patch(`/api/v1/namespaces/${name}`, { metadata: { labels: { testLabel: "testValue" } } }, "strategic");
  expect((await t.api.get(`/api/v1/namespaces/${name}`)).metadata.labels).toMatchObject({
    testLabel: "testValue",
    "kubernetes.io/metadata.name": name,
  });
});

conformance(`${NAMESPACES} apply an update to a Namespace [Conformance]`, async (t) => {
  const name = await another(t, "updated");
  const updated = await t.modify(`/api/v1/namespaces/${name}`, (n) => {
    n.metadata.labels[t.namespace] = "updated";
  });
  expect(updated.metadata.labels[t.namespace]).toBe("updated");
  expect((await t.api.get(`/api/v1/namespaces/${name}`)).metadata.labels).toEqual(updated.metadata.labels);
});

conformance(`${NAMESPACES} apply changes to a namespace status [Conformance]`, async (t) => {
  const path = `/api/v1/namespaces/${await another(t, "status")}`;
  expect((await t.api.get(`${path}/status`)).status.phase).toBe("Active");
  const patch = { metadata: { annotations: { e2e: "patched" } }, status: { conditions: [{ type: "StatusPatch", status: "True" }] } };
  await t.api.patch(`${path}/status`, patch);
  const read = await t.api.get(`${path}/status`);
  expect(read.status).toMatchObject({ phase: "Active", conditions: [{ type: "StatusPatch", status: "True" }] });
  expect(read.metadata.annotations).toEqual({ e2e: "patched" });
  const updated = await t.modify(
    path,
    (n) => {
      n.status.conditions.push({ type: "StatusUpdate", status: "True", reason: "E2E", message: "updated" });
    },
    "status",
  );
  expect(updated.status.conditions.map((c: Json) => c.type)).toEqual(["StatusPatch", "StatusUpdate"]);
  expect((await t.api.get(path)).status).toEqual(updated.status);
});

conformance(`${NAMESPACES} apply a finalizer to a Namespace [Conformance]`, async (t) => {
  const path = `/api/v1/namespaces/${await another(t, "finalized")}`;
  const fake = "e2e.example.com/fakeFinalizer";
  const read = await t.api.get(path);
  read.spec.finalizers = [...read.spec.finalizers, fake];
  expect((await t.api.ask("PUT", `${path}/finalize`, { body: read })).spec.finalizers).toEqual(["kubernetes", fake]);
  await t.api.delete(path);
  const held = await t.eventually("it waits for the finalizer alone", async () => {
    const n = await t.api.get(path);
    return n.spec.finalizers.length === 1 ? n : undefined;
  });
  expect(held).toMatchObject({ spec: { finalizers: [fake] }, status: { phase: "Terminating" } });
  held.spec.finalizers = [];
  await t.api.ask("PUT", `${path}/finalize`, { body: held });
  await t.eventually("it is gone", async () => (await t.api.find(path)) === undefined);
});

conformance("[sig-api-machinery] OrderedNamespaceDeletion namespace deletion should delete pod first [Conformance]", async (t) => {
  const name = await another(t, "ordered");
  const path = `/api/v1/namespaces/${name}`;
  await t.eventually("the default service account", () => t.api.find(`${path}/serviceaccounts/default`));
  const finalizers = ["e2e.example.com/finalizer"];
  const pod = t.pod("held");
  await t.create({ ...pod, metadata: { name: "held", namespace: name, finalizers } });
  await t.create({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "held", namespace: name, finalizers } });
  await t.api.delete(path);
  await t.eventually("the pod is being deleted", async () => (await t.api.get(`${path}/pods/held`)).metadata.deletionTimestamp);
  await t.eventually("the namespace says that content remains", async () => {
    const { conditions = [] } = (await t.api.get(path)).status;
    return conditions.some(
      (c: Json) =>
        c.type === "NamespaceDeletionContentFailure" || c.type === "NamespaceContentRemaining" || c.type === "NamespaceFinalizersRemaining",
    );
  });
  expect((await t.api.get(`${path}/configmaps/held`)).metadata.deletionTimestamp).toBeUndefined();
  await t.api.patch(`${path}/pods/held`, { metadata: { finalizers: null } });
  await t.eventually("the config map follows", async () => (await t.api.get(`${path}/configmaps/held`)).metadata.deletionTimestamp, 60_000);
  expect(await t.api.find(`${path}/pods/held`)).toBeUndefined();
  await t.api.patch(`${path}/configmaps/held`, { metadata: { finalizers: null } });
  await t.eventually("the namespace is gone", async () => (await t.api.find(path)) === undefined, 60_000);
});
