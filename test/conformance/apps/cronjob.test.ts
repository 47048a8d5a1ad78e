// CronJobs. The first Job of "@every 2s" starts at once, the second in the next minute: the names of a CronJob's Jobs count minutes.
import { expect } from "vitest";
import { type Context, conformance } from "../harness.ts";
import type { Json } from "../rest.ts";
import { job, objectWhen } from "./workloads.ts";

const GROUP = "batch/v1";
const jobsOf = async (t: Context): Promise<Json[]> => (await t.api.get(t.path("jobs", GROUP))).items;

function cronJob(name: string, schedule: string, script: string, spec: Json = {}): Json {
  return {
    apiVersion: GROUP,
    kind: "CronJob",
    metadata: { name, labels: { cron: name } },
    spec: { schedule, jobTemplate: { spec: job(name, script).spec }, ...spec },
  };
}

conformance("[sig-apps] CronJob should not schedule jobs when suspended [Slow] [Conformance]", async (t) => {
  await t.create(cronJob("suspended", "@every 1s", "true", { suspend: true }));
  await t.create(cronJob("running", "@every 1s", "true"));
  await t.eventually("the other CronJob has a job", async () => (await jobsOf(t)).length > 0);
  expect((await jobsOf(t)).filter((j) => j.metadata.name.startsWith("suspended"))).toEqual([]);
  expect((await t.api.get(t.path("cronjobs/suspended", GROUP))).status.lastScheduleTime).toBeUndefined();
});

conformance("[sig-apps] CronJob should not schedule new jobs when ForbidConcurrent [Slow] [Conformance]", async (t) => {
  await t.create(cronJob("forbid", "@every 2s", "sleep 300", { concurrencyPolicy: "Forbid" }));
  await objectWhen(t, t.path("cronjobs/forbid", GROUP), "has a job", (c) => c.status.active?.length === 1);
  const [first] = await jobsOf(t);
  await t.create(cronJob("clock", "@every 1s", "true"));
  await t.eventually("two minutes have begun", async () => (await jobsOf(t)).length >= 3, 90_000);
  const own = (await jobsOf(t)).filter((j) => j.metadata.name.startsWith("forbid"));
  expect(own.map((j) => j.metadata.uid)).toEqual([first.metadata.uid]);
});

conformance("[sig-apps] CronJob should replace jobs when ReplaceConcurrent [Conformance]", async (t) => {
  await t.create(cronJob("replace", "@every 2s", "sleep 300", { concurrencyPolicy: "Replace" }));
  const path = t.path("cronjobs/replace", GROUP);
  const first = (await objectWhen(t, path, "has a job", (c) => c.status.active?.length === 1)).status.active[0].uid;
  const next = await objectWhen(
    t,
    path,
    "has another job",
    (c) => c.status.active?.length === 1 && c.status.active[0].uid !== first,
    90_000,
  );
  expect(next.status.active).toHaveLength(1);
  await t.eventually("the first job is gone", async () => (await jobsOf(t)).every((j) => j.metadata.uid !== first));
});

conformance("[sig-apps] CronJob should schedule multiple jobs concurrently [Conformance]", async (t) => {
  await t.create(cronJob("concurrent", "@every 2s", "sleep 300", { concurrencyPolicy: "Allow" }));
  await objectWhen(t, t.path("cronjobs/concurrent", GROUP), "has two jobs", (c) => c.status.active?.length >= 2, 90_000);
  await t.eventually("two jobs run", async () => (await jobsOf(t)).filter((j) => j.status.active === 1).length >= 2);
});

conformance("[sig-apps] CronJob should support CronJob API operations [Conformance]", async (t) => {
  const collection = t.path("cronjobs", GROUP);
  const groups = await t.api.get("/apis");
  expect(groups.groups.find((g: Json) => g.name === "batch").versions.map((v: Json) => v.version)).toContain("v1");
  const { resources } = await t.api.get("/apis/batch/v1");
  expect(resources.map((r: Json) => r.name)).toEqual(expect.arrayContaining(["cronjobs", "cronjobs/status"]));

  for (const name of ["a", "b", "c"]) await t.create(cronJob(name, "* */1 * * ?", "true", { suspend: true }));
  const path = `${collection}/a`;
  const made = await t.api.get(path);
  expect(made.spec.schedule).toBe("* */1 * * ?");
  expect((await t.api.get(collection)).items).toHaveLength(3);
  const { items: everywhere, metadata } = await t.api.get("/apis/batch/v1/cronjobs");
  expect(everywhere.filter((c: Json) => c.metadata.namespace === t.namespace)).toHaveLength(3);

  expect((await t.api.patch(path, { metadata: { annotations: { patched: "true" } } })).metadata.annotations["patched"]).toBe("true");
  await t.modify(path, (c) => (c.metadata.annotations["updated"] = "true"));
  const watched: string[] = [];
  const query = { resourceVersion: metadata.resourceVersion, fieldSelector: "metadata.name=a" };
  for await (const e of t.api.watch(collection, { query, signal: AbortSignal.timeout(20_000) })) {
    watched.push(e.type);
    if (e.object.metadata.annotations?.updated === "true") break;
  }
  expect(watched).toEqual(["MODIFIED", "MODIFIED"]);

  const lastScheduleTime = "2024-01-01T00:00:00Z";
  await t.api.patch(`${path}/status`, { metadata: { annotations: { "patched-status": "true" } }, status: { lastScheduleTime } });
  const read = await t.api.get(`${path}/status`);
  expect([read.status.lastScheduleTime, read.metadata.annotations["patched-status"]]).toEqual([lastScheduleTime, "true"]);
  await t.modify(path, (c) => (c.status.lastScheduleTime = "2024-02-01T00:00:00Z"), "status");
  expect((await t.api.get(path)).status.lastScheduleTime).toBe("2024-02-01T00:00:00Z");

  await t.api.delete(path);
  await t.eventually("it is gone", async () => (await t.api.find(path)) === undefined);
  await t.api.delete(collection);
  await t.eventually("all are gone", async () => (await t.api.get(collection)).items.length === 0);
});
