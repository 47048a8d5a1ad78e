// What the tests of workloads share: builders of their objects, and what they wait for.
import { expect } from "vitest";
import { AGNHOST, BUSYBOX, type Context, isReady } from "../harness.ts";
import type { Json } from "../rest.ts";

export interface TemplateOptions {
  image?: string;
  args?: string[];
  command?: string[];
  /** Merged into the container. */
  container?: Json;
  /** Merged into the specification of the pod. */
  spec?: Json;
  annotations?: Record<string, string>;
}

/** A template whose pods leave at once; agnhost pause by default. */
export function template(labels: Record<string, string>, o: TemplateOptions = {}): Json {
  const args = o.args ?? (o.command || o.image ? undefined : ["pause"]);
  return {
    metadata: { labels, ...(o.annotations ? { annotations: o.annotations } : {}) },
    spec: {
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: "c",
          image: o.image ?? AGNHOST,
          ...(o.command ? { command: o.command } : {}),
          ...(args ? { args } : {}),
          ...o.container,
        },
      ],
      ...o.spec,
    },
  };
}

/** Pods of this template run and never become Ready: somebody would have to say so. */
export const NEVER_READY: Json = { readinessGates: [{ conditionType: "example.com/never" }] };

/** A workload of apps/v1 whose pods carry the label app=<name>; `spec` is merged into its specification. */
export function workload(kind: string, name: string, spec: Json = {}, o: TemplateOptions = {}): Json {
  const labels = { app: name };
  return {
    apiVersion: "apps/v1",
    kind,
    metadata: { name, labels },
    spec: {
      selector: { matchLabels: labels },
      template: template(labels, o),
      ...(kind === "StatefulSet" ? { serviceName: name } : {}),
      ...spec,
    },
  };
}

/** A Job that runs `script` in a shell; `spec` is merged into its specification. */
export function job(name: string, script: string, spec: Json = {}, podSpec: Json = {}): Json {
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name },
    spec: {
      template: {
        spec: {
          restartPolicy: "Never",
          terminationGracePeriodSeconds: 0,
          containers: [{ name: "c", image: BUSYBOX, command: ["sh", "-c", script] }],
          ...podSpec,
        },
      },
      ...spec,
    },
  };
}

export const podsOf = async (t: Context, selector: string): Promise<Json[]> =>
  (await t.api.get(t.path("pods"), { query: { labelSelector: selector } })).items;

export const conditionOf = (object: Json, type: string): Json => object.status?.conditions?.find((c: Json) => c.type === type);

/** Waits until exactly `count` pods match, all Ready and none on its way out. */
export function readyPods(t: Context, selector: string, count: number): Promise<Json[]> {
  return t.eventually(`${count} pods of ${selector} are Ready`, async () => {
    const pods = await podsOf(t, selector);
    return pods.length === count && pods.every(isReady) ? pods : undefined;
  });
}

/** Waits until the object at `path` is as `holds` says; fails with its last status. */
export async function objectWhen(t: Context, path: string, what: string, holds: (o: Json) => boolean, timeoutMs = 60_000): Promise<Json> {
  let last: Json;
  try {
    return await t.eventually(
      `${path} ${what}`,
      async () => {
        last = await t.api.get(path);
        return holds(last) ? last : undefined;
      },
      timeoutMs,
    );
  } catch (e) {
    throw new Error(`${(e as Error).message}; its status: ${JSON.stringify(last?.status)}`, { cause: e });
  }
}

/** A Deployment, ReplicaSet or ReplicationController with its replicas available and its specification seen. */
export const available = (t: Context, path: string): Promise<Json> =>
  objectWhen(
    t,
    path,
    "is available",
    (o) =>
      o.status?.observedGeneration >= o.metadata.generation &&
      (o.status.availableReplicas ?? 0) === o.spec.replicas &&
      (o.status.replicas ?? 0) === o.spec.replicas &&
      (o.kind !== "Deployment" || (o.status.updatedReplicas ?? 0) === o.spec.replicas),
  );

/** Types of the events of one object since a revision, each once, in the order in which they were first seen; ends with its deletion. */
export async function lifeOf(t: Context, path: string, resourceVersion: string): Promise<string[]> {
  const types = new Set<string>();
  for await (const e of watchOf(t, path, resourceVersion)) {
    types.add(e.type);
    if (e.type === "DELETED") break;
  }
  return [...types];
}

function watchOf(t: Context, path: string, resourceVersion: string) {
  const at = path.lastIndexOf("/");
  const query = { resourceVersion, fieldSelector: `metadata.name=${path.slice(at + 1)}` };
  return t.api.watch(path.slice(0, at), { query, signal: AbortSignal.timeout(20_000) });
}

/** Replaces and patches `path`/status: each shows in the answer, in the next read and in a watch; what is no status stays. */
export async function statusEndpoints(t: Context, path: string): Promise<void> {
  const before = await t.api.get(`${path}/status`);
  const condition = (type: string) => ({ type, status: "True", reason: "E2E", message: `${type} from an e2e test` });
  const has = (o: Json, type: string) => expect(o.status.conditions).toContainEqual(expect.objectContaining(condition(type)));
  const updated = await t.modify(
    path,
    (o) => {
      o.status.conditions = [...(o.status.conditions ?? []), condition("StatusUpdate")];
      o.spec.template.metadata = { ...o.spec.template.metadata, annotations: { written: "through the status" } };
    },
    "status",
  );
  has(updated, "StatusUpdate");
  expect(updated.spec).toEqual(before.spec);
  has(await t.api.get(`${path}/status`), "StatusUpdate");
  const patch = { metadata: { annotations: { patchedstatus: "true" } }, status: { conditions: [condition("StatusPatched")] } };
  const patched = await t.api.patch(`${path}/status`, patch, "merge");
  has(patched, "StatusPatched");
  const after = await t.api.get(path);
  has(after, "StatusPatched");
  expect(after.metadata.annotations.patchedstatus).toBe("true");
  const seen = new Set<string>();
  for await (const e of watchOf(t, path, before.metadata.resourceVersion)) {
    for (const c of e.object.status?.conditions ?? []) seen.add(c.type);
    if (seen.has("StatusUpdate") && seen.has("StatusPatched")) return;
  }
  throw new Error(`the watch of ${path} showed the conditions ${[...seen].join(", ")}`);
}

/** Reads, replaces and patches the scale of a workload with one replica; its pods follow. */
export async function scaleSubresource(t: Context, path: string, selector: string): Promise<void> {
  await objectWhen(t, path, "has its replica", (o) => o.status.replicas === 1);
  const scale = await t.api.get(`${path}/scale`);
  expect(scale).toMatchObject({ kind: "Scale", spec: { replicas: 1 }, status: { replicas: 1, selector } });
  // Without a resourceVersion the replacement is unconditional.
  const { resourceVersion: _, ...metadata } = scale.metadata;
  const updated = await t.api.ask("PUT", `${path}/scale`, { body: { ...scale, metadata, spec: { replicas: 2 } } });
  expect(updated.spec.replicas).toBe(2);
  expect((await t.api.get(path)).spec.replicas).toBe(2);
  await readyPods(t, selector, 2);
  expect((await t.api.patch(`${path}/scale`, { spec: { replicas: 3 } })).spec.replicas).toBe(3);
  expect((await t.api.get(path)).spec.replicas).toBe(3);
  await readyPods(t, selector, 3);
  await t.eventually("the scale counts three", async () => (await t.api.get(`${path}/scale`)).status.replicas === 3);
}

/** Creates three objects made by `make`, finds them by label, and deletes these and no others with their collection. */
export async function listAndDeleteCollection(t: Context, collection: string, make: (name: string) => Json): Promise<void> {
  const label = `e2e-${t.namespace}`;
  const uids: string[] = [];
  for (const name of ["one", "two", "three"]) {
    const object = make(name);
    object.metadata.labels = { ...object.metadata.labels, e2e: label };
    uids.push((await t.create(object)).metadata.uid);
  }
  await t.create(make("bystander"));
  const query = { labelSelector: `e2e=${label}` };
  const group = collection.replace(`/namespaces/${t.namespace}`, "");
  const everywhere = (await t.api.get(group, { query })).items.map((o: Json) => o.metadata.uid);
  expect(everywhere.sort()).toEqual(uids.sort());
  await t.api.delete(collection, { propagationPolicy: "Background" }, { query });
  await t.eventually("the collection is gone", async () => (await t.api.get(collection, { query })).items.length === 0);
  expect((await t.api.get(`${collection}/bystander`)).metadata.deletionTimestamp).toBeUndefined();
}
