// Which pods go first when there are too many (controller.ActivePodsWithRanks). The order, first criterion first: without a
// node, pending, not ready, cheaper, on a node with more related pods, ready for a shorter time, with more restarts, younger.
// Times are compared by powers of two, so that the choice among pods of similar age is spread by uid.
import { type KubeObject, timeMs } from "@podwire/client";
import { deletionCost, isActive, isReady, maxRestarts, phaseOf, podCondition } from "./status.ts";

const PHASE_RANK: Record<string, number> = { Pending: 0, Unknown: 1, Running: 2 };

/** How many active `related` pods run on each node. */
export function podsPerNode(related: readonly KubeObject[]): Map<string, number> {
  const n = new Map<string, number>();
  for (const p of related) if (isActive(p) && p["spec"]?.nodeName) n.set(p["spec"].nodeName, (n.get(p["spec"].nodeName) ?? 0) + 1);
  return n;
}

/** The `count` pods of `pods` to delete. `perNode` is what podsPerNode gave for the related pods. */
export function podsToDelete(
  pods: readonly KubeObject[],
  count: number,
  perNode: ReadonlyMap<string, number>,
  nowMs: number,
): KubeObject[] {
  if (count >= pods.length) return [...pods];
  const ranked = pods.map((pod) => ({
    pod,
    assigned: pod["spec"]?.nodeName ? 1 : 0,
    phase: PHASE_RANK[phaseOf(pod)] ?? 3,
    ready: isReady(pod),
    cost: deletionCost(pod),
    crowd: perNode.get(pod["spec"]?.nodeName ?? "") ?? 0,
    readyAtMs: timeMs(podCondition(pod, "Ready")?.lastTransitionTime) ?? 0,
    restarts: maxRestarts(pod),
    createdMs: timeMs(pod.metadata.creationTimestamp) ?? 0,
  }));
  ranked.sort((a, b) => {
    if (a.assigned !== b.assigned) return a.assigned - b.assigned;
    if (a.phase !== b.phase) return a.phase - b.phase;
    if (a.ready !== b.ready) return a.ready ? 1 : -1;
    if (a.cost !== b.cost) return a.cost - b.cost;
    if (a.crowd !== b.crowd) return b.crowd - a.crowd;
    if (a.ready && a.readyAtMs !== b.readyAtMs) return byAge(a.readyAtMs, b.readyAtMs, a.pod, b.pod, nowMs);
    if (a.restarts !== b.restarts) return b.restarts - a.restarts;
    if (a.createdMs !== b.createdMs) return byAge(a.createdMs, b.createdMs, a.pod, b.pod, nowMs);
    return 0;
  });
  return ranked.slice(0, count).map((r) => r.pod);
}

/** The younger first, by orders of two; equal orders by uid. */
function byAge(aMs: number, bMs: number, a: KubeObject, b: KubeObject, nowMs: number): number {
  const rank = (t: number) => (nowMs - t <= 0 ? -1 : Math.trunc(Math.log2((nowMs - t) * 1e6)));
  const diff = rank(aMs) - rank(bMs);
  if (diff !== 0) return diff;
  return (a.metadata.uid ?? "") < (b.metadata.uid ?? "") ? -1 : 1;
}
