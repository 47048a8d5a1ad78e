// Why a pod was placed where it was, or nowhere: for each node the plugin that refused it and its reasons, or what each plugin gave.
// Pure: an outcome in, an object for people and tools out (`podwire explain-scheduling`, the annotation on demand).
// Invariant: at most MAX_EXPLAINED_NODES nodes are named, those that matter first; `omitted` counts the rest.
import { fitMessage } from "./framework/messages.ts";
import type { Outcome } from "./framework/schedule.ts";

/** On a pod with this annotation "true" every attempt leaves its explanation in EXPLANATION. */
export const EXPLAIN = "scheduler.podwire.io/explain";
export const EXPLANATION = "scheduler.podwire.io/explanation";
/** Annotations of an object may have 256 KiB together; a node takes about 200 bytes. */
const MAX_EXPLAINED_NODES = 200;

export type NodeExplanation =
  | { score: number; plugins: Readonly<Record<string, number>> }
  | { refusedBy: string; reasons: readonly string[]; preemptionHelps: boolean };

export interface Explanation {
  pod: string;
  /** Where the pod is. */
  node?: string;
  /** Where this attempt puts it; the explanation takes the pod as not yet placed. */
  chosen?: string;
  /** kube-scheduler's sentence when no node will do. */
  message?: string;
  nodes: Readonly<Record<string, NodeExplanation>>;
  omitted?: number;
}

export function explanationOf(pod: string, outcome: Outcome, node?: string): Explanation {
  const nodes: [string, NodeExplanation][] = [];
  const refusals = "node" in outcome ? outcome.refusals : outcome.failure.nodes;
  if ("node" in outcome) {
    for (const [name, s] of outcome.scores ?? []) nodes.push([name, { score: s.total, plugins: s.byPlugin }]);
    nodes.sort((a, b) => Number(b[0] === outcome.node.name) - Number(a[0] === outcome.node.name) || scoreOf(b[1]) - scoreOf(a[1]));
  }
  for (const [name, r] of refusals ?? []) nodes.push([name, { refusedBy: r.plugin, reasons: r.reasons, preemptionHelps: !r.unresolvable }]);
  return {
    pod,
    ...(node === undefined ? {} : { node }),
    ...("node" in outcome ? { chosen: outcome.node.name } : { message: fitMessage(outcome.failure) }),
    nodes: Object.fromEntries(nodes.slice(0, MAX_EXPLAINED_NODES)),
    ...(nodes.length > MAX_EXPLAINED_NODES ? { omitted: nodes.length - MAX_EXPLAINED_NODES } : {}),
  };
}

const scoreOf = (n: NodeExplanation): number => ("score" in n ? n.score : -1);
