// Jobs: completions, indexes, failure policies, and the life of one through the API.
import { expect } from "vitest";
import { type Context, conformance } from "../harness.ts";
import type { Json } from "../rest.ts";
import { conditionOf, job, lifeOf, objectWhen, podsOf, statusEndpoints } from "./workloads.ts";

const GROUP = "batch/v1";
const pathOf = (t: Context, name: string) => t.path(`jobs/${name}`, GROUP);
const isTrue = (o: Json, type: string): boolean => conditionOf(o, type)?.status === "True";
const complete = (t: Context, name: string) => objectWhen(t, pathOf(t, name), "is complete", (j) => isTrue(j, "Complete"));
const failed = (t: Context, name: string) => objectWhen(t, pathOf(t, name), "has failed", (j) => isTrue(j, "Failed"));
const podsOfJob = (t: Context, name: string) => podsOf(t, `batch.kubernetes.io/job-name=${name}`);
const running = (t: Context, name: string, count: number): Promise<Json[]> =>
  t.eventually(`${count} pods of job ${name} run`, async () => {
    const pods = (await podsOfJob(t, name)).filter((p) => p.status.phase === "Running" && !p.metadata.deletionTimestamp);
    return pods.length === count ? pods : undefined;
  });

conformance(
  "[sig-apps] Job should run a job to completion when tasks sometimes fail and are locally restarted [Conformance]",
  async (t) => {
    // Fails the first time in each pod: the volume lives as long as the pod.
    const script = "if [ -f /data/tried ]; then exit 0; fi; touch /data/tried; exit 1";
    const made = job("restarts", script, { completions: 4, parallelism: 2, backoffLimit: 12 });
    const spec = made.spec.template.spec;
    spec.restartPolicy = "OnFailure";
    spec.volumes = [{ name: "data", emptyDir: {} }];
    spec.containers[0].volumeMounts = [{ name: "data", mountPath: "/data" }];
    await t.create(made);
    await complete(t, "restarts");
    const pods = await podsOfJob(t, "restarts");
    expect(pods.filter((p) => p.status.phase === "Succeeded")).toHaveLength(4);
    expect(pods.every((p) => p.status.containerStatuses[0].restartCount >= 1)).toBe(true);
  },
);

conformance(
  "[sig-apps] Job should create pods for an Indexed job with completion indexes and specified hostname [Conformance]",
  async (t) => {
    const script = 'echo "$JOB_COMPLETION_INDEX $(hostname)"';
    await t.create(job("indexed", script, { completions: 4, parallelism: 2, completionMode: "Indexed" }));
    const done = await complete(t, "indexed");
    expect(done.status.completedIndexes).toBe("0-3");
    const pods = (await podsOfJob(t, "indexed")).filter((p) => p.status.phase === "Succeeded");
    const indexOf = (p: Json) => p.metadata.annotations["batch.kubernetes.io/job-completion-index"];
    expect(pods.map(indexOf).sort()).toEqual(["0", "1", "2", "3"]);
    for (const p of pods) {
      expect(p.metadata.labels["batch.kubernetes.io/job-completion-index"]).toBe(indexOf(p));
      expect(p.spec.hostname).toBe(`indexed-${indexOf(p)}`);
      expect((await t.logs(p.metadata.name)).trim()).toBe(`${indexOf(p)} indexed-${indexOf(p)}`);
    }
  },
);

conformance("[sig-apps] Job should adopt matching orphans and release non-matching pods [Conformance]", async (t) => {
  await t.create(job("adopt", "sleep 3600", { parallelism: 2, completions: 2, backoffLimit: 6 }));
  const [pod] = await running(t, "adopt", 2);
  const path = `${t.path("pods")}/${pod?.metadata.name}`;
  const orphan = await t.modify(path, (p) => (p.metadata.ownerReferences = []));
  expect(orphan.metadata.ownerReferences).toBeUndefined();
  const adopted = await t.podWhen(pod?.metadata.name, "is adopted", (p) => p.metadata.ownerReferences !== undefined);
  const { uid } = (await t.api.get(pathOf(t, "adopt"))).metadata;
  expect(adopted.metadata.ownerReferences).toMatchObject([{ kind: "Job", name: "adopt", uid, controller: true }]);
  await t.modify(path, (p) => (p.metadata.labels = { left: "alone" }));
  await t.podWhen(pod?.metadata.name, "is released", (p) => !p.metadata.ownerReferences);
});

conformance(
  "[sig-apps] Job should allow to use a pod failure policy to ignore failure matching on DisruptionTarget condition [Conformance]",
  async (t) => {
    const podFailurePolicy = { rules: [{ action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] }] };
    // Runs until it is told; a pod that is evicted ends with an error.
    const script = "trap 'exit 1' TERM; while [ ! -f /tmp/go ]; do sleep 0.2; done";
    await t.create(
      job("ignore", script, { parallelism: 1, completions: 1, backoffLimit: 0, podFailurePolicy }, { terminationGracePeriodSeconds: 5 }),
    );
    const [first] = await running(t, "ignore", 1);
    const { name, uid } = (first as Json).metadata;
    await t.api.ask("POST", `${t.path("pods")}/${name}/eviction`, {
      body: { apiVersion: "policy/v1", kind: "Eviction", metadata: { name, namespace: t.namespace } },
    });
    await t.podGone(name, uid);
    const [second] = await running(t, "ignore", 1);
    expect(second?.metadata.uid).not.toBe(uid);
    await t.exec(second?.metadata.name, "touch /tmp/go");
    const done = await complete(t, "ignore");
    expect(done.status.failed ?? 0).toBe(0);
  },
);

conformance("[sig-apps] Job should execute all indexes despite some failing when using backoffLimitPerIndex [Conformance]", async (t) => {
  const script = "test $(( JOB_COMPLETION_INDEX % 2 )) -eq 1";
  await t.create(job("perindex", script, { completions: 4, parallelism: 2, completionMode: "Indexed", backoffLimitPerIndex: 1 }));
  const done = await failed(t, "perindex");
  expect(conditionOf(done, "Failed").reason).toBe("FailedIndexes");
  expect(done.status).toMatchObject({ failedIndexes: "0,2", completedIndexes: "1,3", failed: 4, succeeded: 2 });
});

conformance(
  "[sig-apps] Job should terminate job execution when the number of failed indexes exceeds maxFailedIndexes [Conformance]",
  async (t) => {
    const script = "if [ $JOB_COMPLETION_INDEX -lt 2 ]; then exit 1; fi; sleep 3600";
    const spec = { completions: 4, parallelism: 4, completionMode: "Indexed", backoffLimitPerIndex: 0, maxFailedIndexes: 1 };
    await t.create(job("maxfailed", script, spec));
    const done = await failed(t, "maxfailed");
    expect(conditionOf(done, "Failed").reason).toBe("MaxFailedIndexesExceeded");
    expect(done.status.failedIndexes).toBe("0,1");
    await t.eventually("what still ran is gone", async () => (await podsOfJob(t, "maxfailed")).every((p) => p.status.phase === "Failed"));
  },
);

conformance(
  "[sig-apps] Job should mark indexes as failed when the FailIndex action is matched in podFailurePolicy [Conformance]",
  async (t) => {
    const podFailurePolicy = { rules: [{ action: "FailIndex", onExitCodes: { operator: "In", values: [42] } }] };
    const spec = { completions: 2, parallelism: 2, completionMode: "Indexed", backoffLimitPerIndex: 1, podFailurePolicy };
    await t.create(job("failindex", "if [ $JOB_COMPLETION_INDEX -eq 0 ]; then exit 42; fi", spec));
    const done = await failed(t, "failindex");
    expect(conditionOf(done, "Failed").reason).toBe("FailedIndexes");
    expect(done.status).toMatchObject({ failedIndexes: "0", completedIndexes: "1", failed: 1, succeeded: 1 });
  },
);

conformance("[sig-apps] Job should apply changes to a job status [Conformance]", async (t) => {
  await t.create(job("status", "sleep 3600", { parallelism: 1, completions: 1 }));
  await objectWhen(t, pathOf(t, "status"), "is active", (j) => j.status.active === 1);
  await statusEndpoints(t, pathOf(t, "status"));
});

conformance("[sig-apps] Job should delete a job [Conformance]", async (t) => {
  await t.create(job("deleted", "sleep 3600", { parallelism: 2, completions: 4 }));
  await running(t, "deleted", 2);
  await t.api.delete(pathOf(t, "deleted"), { propagationPolicy: "Background" });
  await t.eventually("the job is gone", async () => (await t.api.find(pathOf(t, "deleted"))) === undefined);
  await t.eventually("its pods are gone", async () => (await podsOfJob(t, "deleted")).length === 0);
});

conformance("[sig-apps] Job should manage the lifecycle of a job [Conformance]", async (t) => {
  const collection = t.path("jobs", GROUP);
  const path = `${collection}/life`;
  const { metadata } = await t.api.get(collection);
  await t.create({ ...job("life", "true", { suspend: true, completions: 1 }), metadata: { name: "life", labels: { e2e: t.namespace } } });
  await objectWhen(t, path, "is suspended", (j) => isTrue(j, "Suspended"));
  expect(await podsOfJob(t, "life")).toEqual([]);
  await t.api.patch(path, { metadata: { labels: { patched: "true" } } });
  await t.modify(path, (j) => {
    j.spec.suspend = false;
    (j.metadata.annotations ??= {})["updated"] = "true";
  });
  expect((await complete(t, "life")).status.succeeded).toBe(1);
  const everywhere = (await t.api.get("/apis/batch/v1/jobs", { query: { labelSelector: `e2e=${t.namespace}` } })).items;
  expect(everywhere).toHaveLength(1);
  expect(everywhere[0].metadata).toMatchObject({ name: "life", labels: { patched: "true" }, annotations: { updated: "true" } });
  await t.api.delete(collection, { propagationPolicy: "Background" }, { query: { labelSelector: `e2e=${t.namespace}` } });
  expect(await lifeOf(t, path, metadata.resourceVersion)).toEqual(["ADDED", "MODIFIED", "DELETED"]);
});
