// "should support X API operations": the whole life of a kind's objects over the API, for every kind that the suite asks it of.
// Discovery, create, get, list, watch, patch, update, status, delete and deletecollection.
import { expect } from "vitest";
import type { Context } from "./harness.ts";
import type { Json, WatchEvent } from "./rest.ts";

export interface ApiOperations {
  group: string;
  version: string;
  resource: string;
  /** An object of this name; the label that finds the test's objects is added. */
  object(name: string): Json;
  /** Conditions that are written to the status, one by a patch, one by PUT. */
  status?: { patch: Json; update: Json };
}

export async function apiOperations(t: Context, o: ApiOperations): Promise<void> {
  await discovered(t, o);
  const label = { "special-label": t.namespace };
  const query = { labelSelector: `special-label=${t.namespace}` };
  const made: Json[] = [];
  for (const suffix of ["a", "b", "c"]) {
    const object = o.object(`${t.namespace}-${suffix}`);
    made.push(await t.createForCluster({ ...object, metadata: { ...object.metadata, labels: label } }));
  }
  const bystander = await t.api.pathOf(await t.createForCluster(o.object(`${t.namespace}-d`)));
  const one = await t.api.pathOf(made[0]);
  const all = await t.api.pathOf(made[0], true);
  expect((await t.api.get(one)).metadata.uid).toBe(made[0].metadata.uid);
  const list = await t.api.get(all, { query });
  expect(list.items).toHaveLength(3);

  const events: WatchEvent[] = [];
  const done = new AbortController();
  t.defer(() => done.abort());
  const watching = (async () => {
    for await (const e of t.api.watch(all, { query: { ...query, resourceVersion: list.metadata.resourceVersion }, signal: done.signal }))
      events.push(e);
  })();
  const patched = await t.api.patch(one, { metadata: { annotations: { patched: "true" } } });
  expect(patched.metadata.annotations).toMatchObject({ patched: "true" });
  const updated = await t.modify(one, (x) => {
    x.metadata.annotations.updated = "true";
  });
  expect(updated.metadata.annotations).toMatchObject({ patched: "true", updated: "true" });
  await t.eventually("the watch saw the patch and the update", () =>
    ["patched", "updated"].every((k) => events.some((e) => e.type === "MODIFIED" && e.object.metadata.annotations?.[k] === "true")),
  );
  expect((await t.api.get(one)).metadata.annotations).toMatchObject({ patched: "true", updated: "true" });
  if (o.status) await statusOperations(t, one, o.status);

  await t.api.delete(one);
  await t.eventually("the object is gone", async () => (await t.api.find(one)) === undefined);
  await t.eventually("the watch saw the deletion", () =>
    events.some((e) => e.type === "DELETED" && e.object.metadata.name === made[0].metadata.name),
  );
  done.abort();
  await watching;
  expect((await t.api.get(all, { query })).items).toHaveLength(2);
  await t.api.delete(all, {}, { query });
  await t.eventually("all are gone", async () => (await t.api.get(all, { query })).items.length === 0);
  expect((await t.api.get(bystander)).metadata.deletionTimestamp).toBeUndefined();
}

/** Conditions are compared by what they contain: a controller may keep some of its own there. */
async function statusOperations(t: Context, path: string, status: NonNullable<ApiOperations["status"]>): Promise<void> {
  const holds = (o: Json, conditions: Json[]) =>
    expect(o.status.conditions).toEqual(expect.arrayContaining(conditions.map((c) => expect.objectContaining(c))));
  const { annotations } = (await t.api.get(path)).metadata;
  const patched = await t.api.patch(`${path}/status`, {
    metadata: { annotations: { patchedstatus: "true" } },
    status: { conditions: [status.patch] },
  });
  holds(patched, [status.patch]);
  const read = await t.api.get(path);
  holds(read, [status.patch]);
  // Of these kinds the status endpoint writes nothing but the status.
  expect(read.metadata.annotations).toEqual(annotations);
  const updated = await t.modify(path, (x) => x.status.conditions.push(status.update), "status");
  holds(updated, [status.patch, status.update]);
  holds(await t.api.get(`${path}/status`), [status.patch, status.update]);
}

async function discovered(t: Context, o: ApiOperations): Promise<void> {
  const groupVersion = `${o.group}/${o.version}`;
  const { groups } = await t.api.get("/apis");
  expect(groups.find((g: Json) => g.name === o.group)?.versions).toContainEqual({ groupVersion, version: o.version });
  expect((await t.api.get(`/apis/${o.group}`)).versions).toContainEqual({ groupVersion, version: o.version });
  const { resources } = await t.api.get(`/apis/${groupVersion}`);
  const verbsOf = (name: string) => resources.find((r: Json) => r.name === name)?.verbs.sort();
  expect(verbsOf(o.resource)).toEqual(["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]);
  if (o.status) expect(verbsOf(`${o.resource}/status`)).toEqual(["get", "patch", "update"]);
}
