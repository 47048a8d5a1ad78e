// The shell of taint eviction: one key a pod; evicts it when its time has come, and says so when it may stay after all.
import { type KubeObject, objectKey, Resources, runController, splitKey } from "@podwire/client";
import type { ControllerContext, RunningController } from "../../context.ts";
import { equal } from "../../equality.ts";
import { disrupt } from "../../pods/disruption.ts";
import { isTerminal, isTerminating } from "../../pods/status.ts";
import { noExecuteTaints, planEviction } from "./plan.ts";

export const BY_NODE = "byNode";

export function startTaintEviction(c: ControllerContext): RunningController {
  const nodes = c.informers.of(Resources.nodes);
  const pods = c.informers.of(Resources.pods);
  pods.addIndex(BY_NODE, (p) => (p["spec"]?.nodeName ? [p["spec"].nodeName] : []));
  const recorder = c.recorder("taint-eviction-controller");
  const controller = runController({ name: "taint-eviction", clock: c.clock, log: c.log, informers: [nodes, pods], workers: 8, reconcile });
  /** Pods under sentence: since when they are on a node with taints that they do not tolerate for ever. */
  const sentenced = new Map<string, number>();

  const wakeNode = (node: KubeObject) => {
    for (const p of pods.lister.byIndex(BY_NODE, node.metadata.name)) controller.queue.add(objectKey(p));
  };
  nodes.handle({
    onAdd(node) {
      if (noExecuteTaints(node).length > 0) wakeNode(node);
    },
    onUpdate(node, old) {
      if (!equal(noExecuteTaints(node), noExecuteTaints(old))) wakeNode(node);
    },
  });
  const onPod = (pod: KubeObject) => {
    if (noExecuteTaints(nodes.lister.get("", pod["spec"]?.nodeName ?? "")).length > 0 || sentenced.has(objectKey(pod)))
      controller.queue.add(objectKey(pod));
  };
  pods.handle({
    onAdd: onPod,
    onUpdate(pod, old) {
      if (pod["spec"]?.nodeName !== old["spec"]?.nodeName || !equal(pod["spec"]?.tolerations, old["spec"]?.tolerations)) onPod(pod);
    },
    onDelete: (pod) => void sentenced.delete(objectKey(pod)),
  });

  async function reconcile(key: string) {
    const { namespace, name } = splitKey(key);
    const pod = pods.lister.get(namespace, name);
    if (!pod || isTerminating(pod) || isTerminal(pod) || !pod["spec"]?.nodeName) {
      sentenced.delete(key);
      return undefined;
    }
    const now = c.clock.nowMs();
    const verdict = planEviction(pod, noExecuteTaints(nodes.lister.get("", pod["spec"].nodeName)), sentenced.get(key), now);
    if (verdict.stay) {
      if (sentenced.delete(key)) recorder.event(pod, "Normal", "TaintManagerEviction", `Cancelling deletion of Pod ${key}`);
      return undefined;
    }
    sentenced.set(key, verdict.sinceMs);
    if (verdict.atMs > now) return { requeueAfterMs: verdict.atMs - now };
    recorder.event(pod, "Normal", "TaintManagerEviction", `Marking for deletion Pod ${key}`);
    await disrupt(c.client, pod, { reason: "DeletionByTaintManager", message: "Taint manager: deleting due to NoExecute taint" }, now);
    sentenced.delete(key);
    return undefined;
  }
  return controller;
}
