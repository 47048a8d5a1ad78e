// StatefulSets. Health of a pod is a file that its readiness probe looks for.
import { expect } from "vitest";
import { BUSYBOX, type Context, conformance, isReady } from "../harness.ts";
import type { Json } from "../rest.ts";
import {
  listAndDeleteCollection,
  objectWhen,
  podsOf,
  readyPods,
  scaleSubresource,
  statusEndpoints,
  type TemplateOptions,
  workload,
} from "./workloads.ts";

const GROUP = "apps/v1";
const SELECTOR = "app=ss";
const PREFIX = "[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic]";
const pathOf = (t: Context, name = "ss") => t.path(`statefulsets/${name}`, GROUP);

const HEALTH: TemplateOptions = {
  image: BUSYBOX,
  command: ["sh", "-c", "touch /tmp/well; sleep 3600"],
  container: { readinessProbe: { exec: { command: ["test", "-f", "/tmp/well"] }, periodSeconds: 1, failureThreshold: 1 } },
};
const scale = (t: Context, replicas: number) => t.api.patch(`${pathOf(t)}/scale`, { spec: { replicas } });
const statusIs = (t: Context, what: string, holds: (s: Json) => boolean) => objectWhen(t, pathOf(t), what, (s) => holds(s.status));

async function fallIll(t: Context, name: string): Promise<void> {
  await t.exec(name, "rm /tmp/well");
  await t.podWhen(name, "is not Ready", (p) => !isReady(p));
}
async function getWell(t: Context, name: string): Promise<void> {
  await t.exec(name, "touch /tmp/well");
  await t.podReady(name);
}

/** Names of pods in the order in which a watch shows events of `type`, until `count` were seen. */
async function order(t: Context, resourceVersion: string, type: string, count: number): Promise<string[]> {
  const names: string[] = [];
  const query = { labelSelector: SELECTOR, resourceVersion };
  for await (const e of t.api.watch(t.path("pods"), { query, signal: AbortSignal.timeout(60_000) })) {
    if (e.type === type) names.push(e.object.metadata.name);
    if (names.length === count) break;
  }
  return names;
}
const revisionNow = async (t: Context): Promise<string> => (await t.api.get(t.path("pods"))).metadata.resourceVersion;

conformance(
  `${PREFIX} Scaling should happen in predictable order and halt if any stateful pod is unhealthy [Slow] [Conformance]`,
  async (t) => {
    let since = await revisionNow(t);
    await t.create(workload("StatefulSet", "ss", { replicas: 1 }, HEALTH));
    await readyPods(t, SELECTOR, 1);
    await fallIll(t, "ss-0");
    await scale(t, 3);
    await statusIs(t, "has seen the new size", (s) => s.observedGeneration === 2);
    expect(await podsOf(t, SELECTOR)).toHaveLength(1);
    await getWell(t, "ss-0");
    await readyPods(t, SELECTOR, 3);
    expect(await order(t, since, "ADDED", 3)).toEqual(["ss-0", "ss-1", "ss-2"]);

    since = await revisionNow(t);
    const names = ["ss-0", "ss-1", "ss-2"];
    await Promise.all(names.map((name) => fallIll(t, name)));
    await scale(t, 0);
    await statusIs(t, "has seen the new size", (s) => s.observedGeneration === 3);
    expect(await podsOf(t, SELECTOR)).toHaveLength(3);
    // The first unhealthy one, ss-0, may go as it is.
    for (const name of ["ss-2", "ss-1"]) await t.exec(name, "touch /tmp/well");
    await readyPods(t, SELECTOR, 0);
    expect(await order(t, since, "DELETED", 3)).toEqual(["ss-2", "ss-1", "ss-0"]);
  },
);

conformance(`${PREFIX} Burst scaling should run to completion even with unhealthy pods [Slow] [Conformance]`, async (t) => {
  await t.create(workload("StatefulSet", "ss", { replicas: 1, podManagementPolicy: "Parallel" }, HEALTH));
  await readyPods(t, SELECTOR, 1);
  await fallIll(t, "ss-0");
  await scale(t, 3);
  await statusIs(t, "has three pods, two of them Ready", (s) => s.replicas === 3 && s.readyReplicas === 2);
  await getWell(t, "ss-0");
  await readyPods(t, SELECTOR, 3);
  for (const name of ["ss-0", "ss-2"]) await fallIll(t, name);
  await scale(t, 0);
  await readyPods(t, SELECTOR, 0);
  await statusIs(t, "is empty", (s) => s.replicas === 0);
});

conformance(`${PREFIX} should perform rolling updates and roll backs of template modifications [Conformance]`, async (t) => {
  await t.create(workload("StatefulSet", "ss", { replicas: 3 }, HEALTH));
  await readyPods(t, SELECTOR, 3);
  const first = await statusIs(t, "is up to date", (s) => s.updateRevision === s.currentRevision && s.currentReplicas === 3);
  await fallIll(t, "ss-1");
  let since = await revisionNow(t);
  const image = (name: string) =>
    t.api.patch(
      pathOf(t),
      { spec: { template: { spec: { containers: [{ name: "c", env: [{ name: "V", value: name }] }] } } } },
      "strategic",
    );
  await image("2");
  const rolling = await statusIs(t, "is rolling", (s) => s.updateRevision !== s.currentRevision);
  await getWell(t, "ss-1"); // Until then it waits.
  const done = await statusIs(t, "has rolled", (s) => s.currentRevision === rolling.status.updateRevision && s.readyReplicas === 3);
  expect(await order(t, since, "DELETED", 3)).toEqual(["ss-2", "ss-1", "ss-0"]);
  for (const p of await podsOf(t, SELECTOR)) {
    expect(p.metadata.labels["controller-revision-hash"]).toBe(done.status.currentRevision);
    expect(p.spec.containers[0].env).toEqual([{ name: "V", value: "2" }]);
  }

  since = await revisionNow(t);
  await t.modify(pathOf(t), (s) => {
    delete s.spec.template.spec.containers[0].env;
  });
  const back = await statusIs(t, "has rolled back", (s) => s.currentRevision === first.status.currentRevision && s.updatedReplicas === 3);
  expect(back.status.updateRevision).toBe(first.status.currentRevision);
  expect(await order(t, since, "DELETED", 3)).toEqual(["ss-2", "ss-1", "ss-0"]);
  for (const p of await readyPods(t, SELECTOR, 3)) {
    expect(p.metadata.labels["controller-revision-hash"]).toBe(first.status.currentRevision);
    expect(p.spec.containers[0].env).toBeUndefined();
  }
  const revisions = (await t.api.get(t.path("controllerrevisions", GROUP), { query: { labelSelector: SELECTOR } })).items;
  expect(revisions.map((r: Json) => r.revision).sort()).toEqual([2, 3]);
});

conformance(`${PREFIX} Should recreate evicted statefulset [Conformance]`, async (t) => {
  const [node] = (await t.api.get("/api/v1/nodes")).items;
  const port = 21_017;
  const ports = [{ containerPort: port, hostPort: port, name: "conflict" }];
  await t.runPod("squatter", { ports, spec: { nodeName: node.metadata.name } });
  await t.create(workload("StatefulSet", "ss", { replicas: 1 }, { container: { ports }, spec: { nodeName: node.metadata.name } }));
  const uids = new Set<string>();
  await t.eventually("the set's pod was refused and made again", async () => {
    for (const p of await podsOf(t, SELECTOR)) uids.add(p.metadata.uid);
    return uids.size >= 2;
  });
  await t.deletePod("squatter");
  const [pod] = await readyPods(t, SELECTOR, 1);
  expect(pod?.metadata.name).toBe("ss-0");
});

conformance(`${PREFIX} should have a working scale subresource [Conformance]`, async (t) => {
  await t.create(workload("StatefulSet", "ss", { replicas: 1 }));
  await readyPods(t, SELECTOR, 1);
  await scaleSubresource(t, pathOf(t), SELECTOR);
});

conformance(`${PREFIX} should list, patch and delete a collection of StatefulSets [Conformance]`, async (t) => {
  await t.create(workload("StatefulSet", "ss", { replicas: 1 }));
  await readyPods(t, SELECTOR, 1);
  const patch = {
    metadata: { labels: { patched: "true" } },
    spec: { replicas: 2, template: { spec: { containers: [{ name: "c", args: ["netexec"] }] } } },
  };
  expect((await t.api.patch(pathOf(t), patch, "strategic")).spec.replicas).toBe(2);
  const query = { labelSelector: "patched=true" };
  const everywhere = (await t.api.get("/apis/apps/v1/statefulsets", { query })).items;
  expect(everywhere.filter((s: Json) => s.metadata.namespace === t.namespace).map((s: Json) => s.metadata.name)).toEqual(["ss"]);
  await t.eventually("the patch has arrived in two pods", async () => {
    const pods = await readyPods(t, SELECTOR, 2);
    return pods.every((p) => p.spec.containers[0].args[0] === "netexec");
  });
  await listAndDeleteCollection(t, t.path("statefulsets", GROUP), (name) => workload("StatefulSet", name, { replicas: 0 }));
});

conformance(`${PREFIX} should validate Statefulset Status endpoints [Conformance]`, async (t) => {
  await t.create(workload("StatefulSet", "ss", { replicas: 1 }));
  await readyPods(t, SELECTOR, 1);
  await statusIs(t, "is Ready", (s) => s.readyReplicas === 1);
  await statusEndpoints(t, pathOf(t));
});
