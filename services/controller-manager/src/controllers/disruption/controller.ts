// The shell of the disruption controller: finds a budget's pods and their controllers' sizes, writes the status.
import { labelSelector } from "@podwire/api";
import { controllerOf, type KubeObject, type OwnerReference, objectKey, Resources, runController, splitKey } from "@podwire/client";
import type { ControllerContext, RunningController } from "../../context.ts";
import { equal } from "../../equality.ts";
import { selectorCache } from "../../ownership.ts";
import { indexByLabel, selectedBy } from "../../pods/labels.ts";
import { collectionOfKind } from "../../resource-table.ts";
import { countsPodsOnly, planBudget } from "./plan.ts";

const GATHER_MS = 20;

export function startDisruption(c: ControllerContext): RunningController {
  const budgets = c.informers.of(Resources.podDisruptionBudgets);
  const pods = c.informers.of(Resources.pods);
  const owners: Record<string, ReturnType<typeof c.informers.of>> = {
    ReplicaSet: c.informers.of(Resources.replicaSets),
    Deployment: c.informers.of(Resources.deployments),
    StatefulSet: c.informers.of(Resources.statefulSets),
    ReplicationController: c.informers.of(Resources.replicationControllers),
  };
  indexByLabel(pods);
  const selectorOf = selectorCache();
  const recorder = c.recorder("controllermanager");
  const controller = runController({
    name: "disruption",
    clock: c.clock,
    log: c.log,
    informers: [budgets, pods, ...Object.values(owners)],
    reconcile,
  });
  const own = (o: KubeObject) => controller.queue.add(objectKey(o));
  budgets.handle({ onAdd: own, onUpdate: own });
  const wake = (pod: KubeObject) => {
    for (const b of budgets.lister.list(pod.metadata.namespace))
      if (selectorOf(b["spec"].selector).matches(pod.metadata.labels)) controller.queue.addAfter(objectKey(b), GATHER_MS);
  };
  pods.handle({
    onAdd: wake,
    onUpdate(pod, old) {
      wake(pod);
      if (!equal(pod.metadata.labels, old.metadata.labels)) wake(old);
    },
    onDelete: wake,
  });

  /** What the controllers of these pods want together. A ReplicaSet of a Deployment counts as the Deployment. */
  async function scales(all: readonly KubeObject[]): Promise<{ expected: number; unmanaged: KubeObject[] }> {
    const sizes = new Map<string, number>();
    const unmanaged: KubeObject[] = [];
    for (const pod of all) {
      const ref = controllerOf(pod);
      if (!ref) {
        unmanaged.push(pod);
        continue;
      }
      if (sizes.has(ref.uid)) continue;
      const namespace = pod.metadata.namespace ?? "";
      const owner = owners[ref.kind]?.lister.get(namespace, ref.name);
      const deployment = owner && ref.kind === "ReplicaSet" ? controllerOf(owner) : undefined;
      const top = deployment?.kind === "Deployment" ? owners["Deployment"]?.lister.get(namespace, deployment.name) : owner;
      if (top) {
        sizes.set(ref.uid, deployment && sizes.has(deployment.uid) ? 0 : (top["spec"].replicas ?? 1));
        if (deployment) sizes.set(deployment.uid, 0);
      } else sizes.set(ref.uid, await scaleOf(namespace, ref));
    }
    return { expected: [...sizes.values()].reduce((a, b) => a + b, 0), unmanaged };
  }

  /** The size of any other controller, by its scale subresource. Throws when it has none. */
  async function scaleOf(namespace: string, ref: OwnerReference): Promise<number> {
    const resource = collectionOfKind(undefined, ref.apiVersion, ref.kind);
    if (!resource) return 0;
    const scale = await c.client.get(resource, namespace, ref.name, { subresource: "scale" }).catch(() => undefined);
    return scale?.["spec"]?.replicas ?? 0;
  }

  async function reconcile(key: string) {
    const { namespace, name } = splitKey(key);
    const budget = budgets.lister.get(namespace, name);
    if (!budget) return undefined;
    const selector = budget["spec"].selector;
    const matcher = labelSelector(selector);
    const mine = selector ? selectedBy(pods, namespace, selector.matchLabels ?? {}, matcher) : [];
    const live = mine.filter((p) => !["Succeeded", "Failed"].includes(p["status"]?.phase));
    const sizes = countsPodsOnly(budget) ? { expected: 0, unmanaged: [] } : await scales(live);
    if (sizes.unmanaged.length > 0)
      recorder.event(
        budget,
        "Warning",
        "UnmanagedPods",
        `Pods selected by this PodDisruptionBudget (selector: ${goSelector(selector)}) were found to be unmanaged. As a result, the status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these pods please set ".spec.minAvailable" field of the PDB to an integer value.`,
      );
    const plan = planBudget({ budget, pods: mine, scales: sizes, nowMs: c.clock.nowMs() });
    if (!equal(budget["status"] ?? {}, plan.status))
      await c.client.updateStatus(Resources.podDisruptionBudgets, { ...budget, status: plan.status });
    return plan.recheckMs === undefined ? undefined : { requeueAfterMs: plan.recheckMs };
  }

  return controller;
}

/** A selector as Go prints it: it stands so in the event that users know. */
function goSelector(s: any): string {
  const labels = Object.entries(s?.matchLabels ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([k, v]) => `${k}: ${v},`)
    .join("");
  const expressions = (s?.matchExpressions ?? [])
    .map((e: any) => `LabelSelectorRequirement{Key:${e.key},Operator:${e.operator},Values:[${(e.values ?? []).join(" ")}],},`)
    .join("");
  return `&LabelSelector{MatchLabels:map[string]string{${labels}},MatchExpressions:[]LabelSelectorRequirement{${expressions}},}`;
}
