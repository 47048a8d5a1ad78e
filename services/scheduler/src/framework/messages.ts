// The sentences in which kube-scheduler says why a pod was not scheduled. Users and tools read them, so they are kept to the letter.
import type { Failure, Refusal } from "./schedule.ts";

export const NO_NODES = "no nodes available to schedule pods";
export const GATED = "Scheduling is blocked due to non-empty scheduling gates";

/** "0/3 nodes are available: 1 Too many pods, 2 Insufficient cpu." */
export function fitMessage(f: Pick<Failure, "nodes" | "nodeCount" | "preFilter">, postFilter = ""): string {
  let text = `0/${f.nodeCount} nodes are available`;
  if (f.preFilter) text += `: ${f.preFilter.reasons.join(", ")}.`;
  else text += reasonHistogram(f.nodes.values());
  return postFilter === "" ? text : `${text} ${postFilter}`;
}

function reasonHistogram(refusals: Iterable<Pick<Refusal, "reasons">>): string {
  const counts = new Map<string, number>();
  for (const r of refusals) for (const reason of r.reasons) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  if (counts.size === 0) return "";
  const parts = [...counts].map(([reason, n]) => `${n} ${reason}`).sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  return `: ${parts.join(", ")}.`;
}
