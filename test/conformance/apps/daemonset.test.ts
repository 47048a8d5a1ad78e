// DaemonSets. Upstream runs them alone because they fill every node; here each has labels and a node selector of its own namespace.
import { expect } from "vitest";
import { type Context, conformance, isReady } from "../harness.ts";
import type { Json } from "../rest.ts";
import { listAndDeleteCollection, objectWhen, podsOf, statusEndpoints, workload } from "./workloads.ts";

const GROUP = "apps/v1";
const SELECTOR = "app=daemon";
const pathOf = (t: Context, name = "daemon") => t.path(`daemonsets/${name}`, GROUP);
const nodesOf = async (t: Context): Promise<Json[]> =>
  (await t.api.get("/api/v1/nodes")).items.filter((n: Json) => !n.spec.unschedulable && (n.spec.taints ?? []).length === 0);

/** One Ready pod on each of these nodes and on no other. */
function runsOn(t: Context, nodes: () => Promise<string[]>, revision?: string): Promise<Json[]> {
  return t.eventually("the daemon runs where it should", async () => {
    const wanted = (await nodes()).sort();
    const pods = await podsOf(t, SELECTOR);
    if (!pods.every(isReady)) return undefined;
    if (revision && pods.some((p) => p.metadata.labels["controller-revision-hash"] !== revision)) return undefined;
    return JSON.stringify(pods.map((p) => p.spec.nodeName).sort()) === JSON.stringify(wanted) ? pods : undefined;
  });
}
const runsEverywhere = (t: Context, revision?: string) => runsOn(t, async () => (await nodesOf(t)).map((n) => n.metadata.name), revision);
const revisionsOf = async (t: Context): Promise<Json[]> =>
  (await t.api.get(t.path("controllerrevisions", GROUP), { query: { labelSelector: SELECTOR } })).items;
const newestRevision = async (t: Context): Promise<string> =>
  (await revisionsOf(t)).sort((a, b) => b.revision - a.revision)[0].metadata.labels["controller-revision-hash"];

conformance("[sig-apps] Daemon set [Serial] should run and stop simple daemon [Conformance]", async (t) => {
  await t.create(workload("DaemonSet", "daemon"));
  const [pod] = await runsEverywhere(t);
  await t.deletePod(pod.metadata.name);
  await t.podGone(pod.metadata.name);
  const again = await runsEverywhere(t);
  expect(again.find((p) => p.spec.nodeName === pod.spec.nodeName).metadata.uid).not.toBe(pod.metadata.uid);
});

conformance("[sig-apps] Daemon set [Serial] should run and stop complex daemon [Conformance]", async (t) => {
  const color = `${t.namespace}.example.com/color`;
  const [node] = await nodesOf(t);
  const path = `/api/v1/nodes/${node.metadata.name}`;
  const paint = (value: string | null) => t.api.patch(path, { metadata: { labels: { [color]: value } } });
  t.defer(() => paint(null));
  await t.create(workload("DaemonSet", "daemon", {}, { spec: { nodeSelector: { [color]: "blue" } } }));
  await objectWhen(t, pathOf(t), "was seen", (d) => d.status.observedGeneration === 1);
  expect(await podsOf(t, SELECTOR)).toEqual([]);
  await paint("blue");
  await runsOn(t, async () => [node.metadata.name]);
  await paint("green");
  await runsOn(t, async () => []);
  await t.modify(pathOf(t), (d) => {
    d.spec.template.spec.nodeSelector = { [color]: "green" };
    d.spec.updateStrategy = { type: "RollingUpdate" };
  });
  await runsOn(t, async () => [node.metadata.name]);
});

conformance("[sig-apps] Daemon set [Serial] should retry creating failed daemon pods [Conformance]", async (t) => {
  await t.create(workload("DaemonSet", "daemon"));
  const [pod] = await runsEverywhere(t);
  await t.api.patch(`${t.path("pods")}/${pod.metadata.name}/status`, { status: { phase: "Failed", reason: null, message: null } });
  await t.podGone(pod.metadata.name);
  await runsEverywhere(t);
});

conformance(
  "[sig-apps] Daemon set [Serial] should update pod when spec was updated and update strategy is RollingUpdate [Conformance]",
  async (t) => {
    await t.create(workload("DaemonSet", "daemon", { updateStrategy: { type: "RollingUpdate" } }));
    await runsEverywhere(t);
    const before = await newestRevision(t);
    expect((await podsOf(t, SELECTOR)).every((p) => p.metadata.labels["controller-revision-hash"] === before)).toBe(true);
    const spec = { template: { spec: { containers: [{ name: "c", args: ["netexec"] }] } } };
    await t.api.patch(pathOf(t), { spec }, "strategic");
    await t.eventually("there is a new revision", async () => (await newestRevision(t)) !== before);
    const pods = await runsEverywhere(t, await newestRevision(t));
    expect(pods.every((p) => p.spec.containers[0].args[0] === "netexec")).toBe(true);
    expect((await revisionsOf(t)).map((r) => r.revision).sort()).toEqual([1, 2]);
  },
);

conformance("[sig-apps] Daemon set [Serial] should rollback without unnecessary restarts [Conformance]", async (t) => {
  await t.create(workload("DaemonSet", "daemon", { updateStrategy: { type: "RollingUpdate" } }));
  const before = await runsEverywhere(t);
  const image = (await t.api.get(pathOf(t))).spec.template.spec.containers[0];
  // Never up: the rollout stops at its first pod.
  const broken = { template: { spec: { containers: [{ name: "c", command: ["/no/such/program"] }] } } };
  await t.api.patch(pathOf(t), { spec: broken }, "strategic");
  const replaced = await t.eventually("one pod is new and does not start", async () =>
    (await podsOf(t, SELECTOR)).find((p) => p.spec.containers[0].command && p.status.containerStatuses?.[0].state.waiting),
  );
  await t.modify(pathOf(t), (d) => (d.spec.template.spec.containers[0] = image));
  const after = await runsEverywhere(t);
  const kept = before.filter((p) => p.spec.nodeName !== replaced.spec.nodeName).map((p) => p.metadata.uid);
  expect(after.map((p) => p.metadata.uid)).toEqual(expect.arrayContaining(kept));
  expect(kept).toHaveLength(before.length - 1);
  for (const p of after) expect(p.status.containerStatuses[0].restartCount).toBe(0);
});

conformance("[sig-apps] Daemon set [Serial] should list and delete a collection of DaemonSets [Conformance]", (t) =>
  listAndDeleteCollection(t, t.path("daemonsets", GROUP), (name) =>
    workload("DaemonSet", name, {}, { spec: { nodeSelector: { "example.com/nowhere": t.namespace } } }),
  ),
);

conformance("[sig-apps] Daemon set [Serial] should verify changes to a daemon set status [Conformance]", async (t) => {
  await t.create(workload("DaemonSet", "daemon"));
  await runsEverywhere(t);
  const ds = await objectWhen(t, pathOf(t), "is ready", (d) => d.status.numberReady === d.status.desiredNumberScheduled);
  expect(ds.status.numberReady).toBeGreaterThan(0);
  await statusEndpoints(t, pathOf(t));
});
