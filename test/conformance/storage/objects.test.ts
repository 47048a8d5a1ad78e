// [sig-storage] The objects of storage.k8s.io, PersistentVolumes and claims: every verb, status apart from specification, labels kept.
import { expect } from "vitest";
import { type Context, conformance } from "../harness.ts";
import type { Json } from "../rest.ts";

const STORAGE = "/apis/storage.k8s.io/v1";
const label = (t: Context, value: string) => ({ [t.namespace]: value });
const labelled = (t: Context, value: string) => ({ query: { labelSelector: `${t.namespace}=${value}` } });
const gone = (t: Context, path: string) => t.eventually(`${path} is gone`, async () => (await t.api.find(path)) === undefined);
const patch = (t: Context, path: string, body: Json, query: Record<string, string> = {}) =>
  t.api.ask("PATCH", path, { body, contentType: "application/merge-patch+json", query });

/** Create, get, patch, update, list by label, delete, deleteCollection of objects `make` gives, at `path`. */
async function lifecycle(t: Context, path: string, make: (name: string, value: string) => Json): Promise<void> {
  const names = [`${t.namespace}-1`, `${t.namespace}-2`];
  for (const n of names) {
    await t.create(make(n, n));
    t.defer(() => t.api.delete(`${path}/${n}`));
  }
  const [one, two] = names as [string, string];
  expect((await t.api.get(`${path}/${one}`)).metadata.name).toBe(one);
  expect((await patch(t, `${path}/${one}`, { metadata: { labels: { patched: "true" } } })).metadata.labels.patched).toBe("true");
  const updated = await t.modify(`${path}/${two}`, (o) => {
    o.metadata.labels.updated = "true";
  });
  expect(updated.metadata.labels.updated).toBe("true");
  const all = await t.api.get(path, { query: { labelSelector: t.namespace } });
  expect(all.items.map((o: Json) => o.metadata.name)).toEqual(names);
  await t.api.delete(`${path}/${one}`);
  await gone(t, `${path}/${one}`);
  await t.api.ask("DELETE", path, labelled(t, two));
  await gone(t, `${path}/${two}`);
}

conformance("[sig-storage] CSIInlineVolumes should run through the lifecycle of a CSIDriver [Conformance]", async (t) => {
  await lifecycle(t, `${STORAGE}/csidrivers`, (name, value) => ({
    apiVersion: "storage.k8s.io/v1",
    kind: "CSIDriver",
    metadata: { name, labels: label(t, value) },
    spec: { volumeLifecycleModes: ["Ephemeral"] },
  }));
});

conformance("[sig-storage] CSIInlineVolumes should support CSIVolumeSource in Pod API [Conformance]", async (t) => {
  const driver = `inline-driver-${t.namespace}`;
  await t.createForCluster({
    apiVersion: "storage.k8s.io/v1",
    kind: "CSIDriver",
    metadata: { name: driver },
    spec: { volumeLifecycleModes: ["Ephemeral"] },
  });
  const pods = t.path("pods");
  for (const name of ["one", "two"])
    await t.create(
      t.pod(name, {
        labels: label(t, "csi"),
        spec: { volumes: [{ name: "csi", csi: { driver, readOnly: true, fsType: "ext4", volumeAttributes: { x: "y" } } }] },
      }),
    );
  const made = await t.getPod("one");
  expect(made.spec.volumes.find((v: Json) => v.csi)).toEqual({
    name: "csi",
    csi: { driver, readOnly: true, fsType: "ext4", volumeAttributes: { x: "y" } },
  });
  expect((await t.api.get(pods, { query: { labelSelector: `${t.namespace}=csi` } })).items).toHaveLength(2);
  await patch(t, `${pods}/one`, { metadata: { labels: { patched: "true" } } });
  expect((await t.api.get(pods, { query: { labelSelector: "patched=true" } })).items.map((p: Json) => p.metadata.name)).toEqual(["one"]);
  await t.deletePod("one");
  await t.podGone("one");
  await t.api.ask("DELETE", pods, { ...labelled(t, "csi"), body: { gracePeriodSeconds: 0 } });
  await t.podGone("two");
});

conformance("[sig-storage] CSIStorageCapacity should support CSIStorageCapacities API operations [Conformance]", async (t) => {
  const group = await t.api.get("/apis");
  expect(group.groups.find((g: Json) => g.name === "storage.k8s.io")?.versions.map((v: Json) => v.version)).toContain("v1");
  const resource = (await t.api.get(STORAGE)).resources.find((r: Json) => r.name === "csistoragecapacities");
  expect(resource.verbs.sort()).toEqual(["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]);
  const path = t.path("csistoragecapacities", "storage.k8s.io/v1");
  const make = (name: string): Json => ({
    apiVersion: "storage.k8s.io/v1",
    kind: "CSIStorageCapacity",
    metadata: { name, labels: label(t, "capacity") },
    storageClassName: "my-storage-class",
    nodeTopology: { matchLabels: { x: "y" } },
    capacity: "1Gi",
  });
  await t.create(make("one"));
  const watch = t.api.watch(path, {
    query: { labelSelector: `${t.namespace}=capacity`, resourceVersion: (await t.api.get(path)).metadata.resourceVersion },
  });
  await t.create(make("two"));
  expect(await t.api.get(`${path}/one`)).toMatchObject({ storageClassName: "my-storage-class", capacity: "1Gi" });
  expect(
    (await t.api.get("/apis/storage.k8s.io/v1/csistoragecapacities", { query: { labelSelector: `${t.namespace}=capacity` } })).items,
  ).toHaveLength(2);
  const patched = await patch(t, `${path}/one`, { metadata: { annotations: { patched: "true" } }, capacity: "2Gi" });
  expect([patched.capacity, patched.metadata.annotations.patched]).toEqual(["2Gi", "true"]);
  await t.modify(`${path}/one`, (o) => {
    o.capacity = "3Gi";
  });
  await t.api.delete(`${path}/one`);
  await gone(t, `${path}/one`);
  await t.api.ask("DELETE", path, labelled(t, "capacity"));
  await gone(t, `${path}/two`);
  const seen: [string, string][] = [];
  for await (const e of watch) {
    seen.push([e.type, e.object.metadata.name]);
    if (seen.length === 5) break;
  }
  expect(seen).toEqual([
    ["ADDED", "two"],
    ["MODIFIED", "one"],
    ["MODIFIED", "one"],
    ["DELETED", "one"],
    ["DELETED", "two"],
  ]);
});

const volumeOf = (t: Context, name: string): Json => ({
  apiVersion: "v1",
  kind: "PersistentVolume",
  metadata: { name, labels: label(t, "volume") },
  spec: {
    capacity: { storage: "2Gi" },
    accessModes: ["ReadWriteOnce"],
    storageClassName: t.namespace,
    persistentVolumeReclaimPolicy: "Retain",
    csi: { driver: `driver-${t.namespace}`, volumeHandle: name },
  },
});

conformance(
  "[sig-storage] PersistentVolumes CSI Conformance should run through the lifecycle of a PV and a PVC [Conformance]",
  async (t) => {
    const pvs = "/api/v1/persistentvolumes";
    const pvcs = t.path("persistentvolumeclaims");
    const run = async (pv: string, pvc: string) => {
      await t.createForCluster(volumeOf(t, pv));
      await t.create({
        apiVersion: "v1",
        kind: "PersistentVolumeClaim",
        metadata: { name: pvc, labels: label(t, "claim") },
        spec: {
          accessModes: ["ReadWriteOnce"],
          resources: { requests: { storage: "1Gi" } },
          storageClassName: t.namespace,
          volumeName: pv,
        },
      });
      await t.eventually("the claim is bound", async () => (await t.api.get(`${pvcs}/${pvc}`)).status.phase === "Bound");
    };
    const first = `${t.namespace}-1`;
    await run(first, "one");
    expect((await t.api.get(pvs, { query: { labelSelector: `${t.namespace}=volume` } })).items).toHaveLength(1);
    expect((await t.api.get(pvcs)).items).toHaveLength(1);
    expect((await patch(t, `${pvs}/${first}`, { metadata: { labels: { patched: "true" } } })).metadata.labels.patched).toBe("true");
    expect((await patch(t, `${pvcs}/one`, { metadata: { labels: { patched: "true" } } })).metadata.labels.patched).toBe("true");
    expect((await t.api.get(`${pvs}/${first}`)).status.phase).toBe("Bound");
    expect((await t.api.get(`${pvcs}/one`)).spec.volumeName).toBe(first);
    await t.api.delete(`${pvcs}/one`);
    await gone(t, `${pvcs}/one`);
    await t.eventually("the volume is released", async () => (await t.api.get(`${pvs}/${first}`)).status.phase === "Released");
    await t.api.delete(`${pvs}/${first}`);
    await gone(t, `${pvs}/${first}`);

    const second = `${t.namespace}-2`;
    await run(second, "two");
    for (const path of [`${pvcs}/two`, `${pvs}/${second}`])
      expect((await t.modify(path, (o) => void (o.metadata.labels.updated = "true"))).metadata.labels.updated).toBe("true");
    expect(
      (await t.api.get("/api/v1/persistentvolumeclaims", { query: { labelSelector: "updated=true" } })).items.map(
        (c: Json) => c.metadata.name,
      ),
    ).toContain("two");
    // Status apart from the specification.
    const condition = { type: "StatusUpdate", status: "True", reason: "E2E", message: "Set from the test" };
    const claim = await t.modify(
      `${pvcs}/two`,
      (o) => {
        o.status.conditions = [condition];
      },
      "status",
    );
    expect(claim.status.conditions[0]).toMatchObject(condition);
    const pv = await patch(t, `${pvs}/${second}/status`, { status: { reason: "patched", message: "by the test" } });
    expect(pv.status).toMatchObject({ phase: "Bound", reason: "patched" });
    await t.api.ask("DELETE", pvcs, labelled(t, "claim"));
    await gone(t, `${pvcs}/two`);
    await t.api.ask("DELETE", pvs, labelled(t, "volume"));
    await gone(t, `${pvs}/${second}`);
  },
);

const attachmentOf = (t: Context, name: string, value: string): Json => ({
  apiVersion: "storage.k8s.io/v1",
  kind: "VolumeAttachment",
  metadata: { name, labels: label(t, value) },
  spec: { attacher: `attacher-${t.namespace}`, nodeName: "no-such-node", source: { persistentVolumeName: `pv-${t.namespace}` } },
});

conformance(
  "[sig-storage] VolumeAttachment Conformance should run through the lifecycle of a VolumeAttachment [Conformance]",
  async (t) => {
    await lifecycle(t, `${STORAGE}/volumeattachments`, (name, value) => attachmentOf(t, name, value));
  },
);

conformance("[sig-storage] VolumeAttachment Conformance should apply changes to a volumeattachment status [Conformance]", async (t) => {
  const name = `va-${t.namespace}`;
  const path = `${STORAGE}/volumeattachments/${name}`;
  await t.createForCluster(attachmentOf(t, name, "status"));
  const patched = await patch(t, `${path}/status`, { metadata: { annotations: { patched: "true" } }, status: { attached: true } });
  expect(patched.status.attached).toBe(true);
  const read = await t.api.get(`${path}/status`);
  expect(read.status.attached).toBe(true);
  expect(read.metadata.annotations).toBeUndefined();
  const updated = await t.modify(
    path,
    (o) => {
      o.status = { attached: false };
      o.spec.nodeName = "another-node";
    },
    "status",
  );
  expect([updated.status.attached, updated.spec.nodeName]).toEqual([false, "no-such-node"]);
});
