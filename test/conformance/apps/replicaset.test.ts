// ReplicaSets and ReplicationControllers: a pod for each replica, adoption and release, scale and status.
import { expect } from "vitest";
import { AGNHOST, type Context, conformance, PAUSE } from "../harness.ts";
import type { Json } from "../rest.ts";
import {
  available,
  lifeOf,
  listAndDeleteCollection,
  objectWhen,
  podsOf,
  readyPods,
  scaleSubresource,
  statusEndpoints,
  template,
  workload,
} from "./workloads.ts";

const GROUP = "apps/v1";
const setPath = (t: Context, name: string) => t.path(`replicasets/${name}`, GROUP);

function replicationController(name: string, spec: Json = {}): Json {
  const labels = { app: name };
  return {
    apiVersion: "v1",
    kind: "ReplicationController",
    metadata: { name, labels },
    spec: { selector: labels, template: template(labels), ...spec },
  };
}

/** Each pod answers with its own name through the API's proxy. */
async function eachReplicaServes(t: Context, selector: string): Promise<void> {
  for (const pod of await readyPods(t, selector, 2)) {
    const name = pod.metadata.name;
    const answer = await t.eventually(`pod ${name} answers`, async () => {
      const a = await t.api.call("GET", `${t.path("pods")}/${name}:9376/proxy/`);
      return a.code === 200 ? a.text : undefined;
    });
    expect(answer.trim()).toBe(name);
  }
}
const HOSTNAMES = { image: AGNHOST, args: ["serve-hostname"], container: { ports: [{ containerPort: 9376 }] } };

conformance("[sig-apps] ReplicaSet should serve a basic image on each replica with a public image [Conformance]", async (t) => {
  await t.create(workload("ReplicaSet", "basic", { replicas: 2 }, HOSTNAMES));
  await eachReplicaServes(t, "app=basic");
});

conformance("[sig-apps] ReplicaSet should adopt matching pods on creation and release no longer matching pods [Conformance]", async (t) => {
  await t.runPod("adopted", { labels: { app: "adoption" } });
  await t.create(workload("ReplicaSet", "adoption", { replicas: 1 }));
  const adopted = await t.podWhen("adopted", "is adopted", (p) => p.metadata.ownerReferences?.[0]?.name === "adoption");
  expect(adopted.metadata.ownerReferences).toHaveLength(1);
  await available(t, setPath(t, "adoption"));
  expect(await podsOf(t, "app=adoption")).toHaveLength(1);
  await t.api.patch(`${t.path("pods")}/adopted`, { metadata: { labels: { app: "released" } } });
  await t.podWhen("adopted", "is released", (p) => !p.metadata.ownerReferences);
  const [other] = await readyPods(t, "app=adoption", 1);
  expect(other?.metadata.name).not.toBe("adopted");
});

conformance("[sig-apps] ReplicaSet Replicaset should have a working scale subresource [Conformance]", async (t) => {
  await t.create(workload("ReplicaSet", "scaled", { replicas: 1 }));
  await available(t, setPath(t, "scaled"));
  await scaleSubresource(t, setPath(t, "scaled"), "app=scaled");
});

conformance("[sig-apps] ReplicaSet Replace and Patch tests [Conformance]", async (t) => {
  await t.runPod("first", { labels: { app: "replaced" } });
  await t.create(workload("ReplicaSet", "replaced", { replicas: 1 }));
  const path = setPath(t, "replaced");
  await available(t, path);
  await t.modify(path, (rs) => {
    rs.spec.replicas = 3;
    rs.metadata.labels["replaced"] = "true";
  });
  expect((await available(t, path)).status.availableReplicas).toBe(3);
  const patched = await t.api.patch(
    path,
    { metadata: { labels: { patched: "true" } }, spec: { replicas: 2, template: { spec: { containers: [{ name: "c", image: PAUSE }] } } } },
    "strategic",
  );
  expect(patched.metadata.labels).toMatchObject({ replaced: "true", patched: "true" });
  expect(patched.spec).toMatchObject({
    replicas: 2,
    template: { spec: { terminationGracePeriodSeconds: 0, containers: [{ image: PAUSE }] } },
  });
  await available(t, path);
  await readyPods(t, "app=replaced", 2);
});

conformance("[sig-apps] ReplicaSet should list and delete a collection of ReplicaSets [Conformance]", async (t) => {
  await listAndDeleteCollection(t, t.path("replicasets", GROUP), (name) => workload("ReplicaSet", name, { replicas: 1 }));
});

conformance("[sig-apps] ReplicaSet should validate Replicaset Status endpoints [Conformance]", async (t) => {
  await t.create(workload("ReplicaSet", "status", { replicas: 1 }));
  await available(t, setPath(t, "status"));
  await statusEndpoints(t, setPath(t, "status"));
});

conformance("[sig-apps] ReplicationController should serve a basic image on each replica with a public image [Conformance]", async (t) => {
  await t.create(replicationController("basic", { replicas: 2, template: template({ app: "basic" }, HOSTNAMES) }));
  await eachReplicaServes(t, "app=basic");
});

conformance("[sig-apps] ReplicationController should get and update a ReplicationController scale [Conformance]", async (t) => {
  await t.create(replicationController("scaled", { replicas: 1 }));
  const path = t.path("replicationcontrollers/scaled");
  await available(t, path);
  await scaleSubresource(t, path, "app=scaled");
});

conformance("[sig-apps] ReplicationController should test the lifecycle of a ReplicationController [Conformance]", async (t) => {
  const collection = t.path("replicationcontrollers");
  const path = `${collection}/life`;
  const { metadata } = await t.api.get(collection);
  await t.create(replicationController("life", { replicas: 1 }));
  await available(t, path);
  expect((await t.api.patch(path, { metadata: { labels: { patched: "true" } } })).metadata.labels["patched"]).toBe("true");
  const patchedStatus = await t.api.patch(`${path}/status`, { status: { readyReplicas: 0, availableReplicas: 0 } });
  expect(patchedStatus.status.readyReplicas ?? 0).toBe(0);
  await objectWhen(t, path, "has its own status again", (rc) => rc.status.readyReplicas === 1);
  await t.api.patch(`${path}/scale`, { spec: { replicas: 2 } });
  expect((await available(t, path)).status.availableReplicas).toBe(2);
  await t.modify(path, (rc) => (rc.metadata.labels["updated"] = "true"));
  const everywhere = (await t.api.get("/api/v1/replicationcontrollers", { query: { labelSelector: "updated=true" } })).items;
  expect(everywhere.filter((rc: Json) => rc.metadata.namespace === t.namespace)).toHaveLength(1);
  await t.api.delete(collection, {}, { query: { labelSelector: "app=life" } });
  expect(await lifeOf(t, path, metadata.resourceVersion)).toEqual(["ADDED", "MODIFIED", "DELETED"]);
});
