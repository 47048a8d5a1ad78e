// One attempt to find a node for one pod: filter, score, pick. Pure but for the random tie-break that is handed in.
// Follows kube-scheduler: plugins filter in order and the first refusal of a node counts; in large clusters only a share of the
// nodes is looked at, going round from where the last attempt stopped.
import type { Random } from "@podwire/base";
import type { Snapshot } from "./cache.ts";
import type { NodeInfo } from "./node-info.ts";
import type { Cycle, ExtensionPoint, Plugin, Rejection } from "./plugin.ts";
import type { PodInfo } from "./pod-info.ts";

/** Which plugins run for the pods of one scheduler name, by extension point and in order. */
export interface Profile extends Readonly<Record<ExtensionPoint, readonly Plugin[]>> {
  readonly schedulerName: string;
  /** Weights of scoring plugins by name; default 1. */
  readonly weights: Readonly<Record<string, number>>;
  /** 0: adapts to the size of the cluster. */
  readonly percentageOfNodesToScore: number;
  /** Makes room for pods that find none; undefined when DefaultPreemption is disabled. */
  readonly preemption: { readonly minCandidates: number; readonly minCandidatesPercent: number } | undefined;
}

export interface Refusal extends Rejection {
  readonly plugin: string;
}

export interface Failure {
  /** Set when no node at all was looked at because of the pod itself. */
  readonly preFilter: Refusal | undefined;
  readonly nodes: ReadonlyMap<string, Refusal>;
  /** Names of the plugins that refused something. */
  readonly plugins: ReadonlySet<string>;
  readonly nodeCount: number;
}

export type Outcome =
  | {
      node: NodeInfo;
      /** What the plugins know of this attempt; binding goes on with it. */
      cycle: Cycle;
      evaluated: number;
      feasible: number;
      /** Only with `explain`. */
      scores?: Map<string, NodeScores>;
      refusals?: ReadonlyMap<string, Refusal>;
    }
  | { failure: Failure };

export interface NodeScores {
  total: number;
  byPlugin: Record<string, number>;
}

export interface ScheduleOptions {
  random: Random;
  /** Where to begin among the nodes; the next attempt begins where this one stopped. */
  start: number;
  /** Pods that other attempts have made room for, by node. */
  nominated?: (node: string) => readonly PodInfo[];
  /** Keeps scores by plugin, for explanations. */
  explain?: boolean;
}

const MIN_NODES_TO_FIND = 100;
const MIN_PERCENT = 5;

/** How many feasible nodes are enough. */
export function nodesToFind(total: number, percentage: number): number {
  if (total < MIN_NODES_TO_FIND) return total;
  const percent = percentage > 0 ? percentage : Math.max(MIN_PERCENT, 50 - Math.trunc(total / 125));
  if (percent >= 100) return total;
  return Math.max(MIN_NODES_TO_FIND, Math.trunc((total * percent) / 100));
}

export function schedule(profile: Profile, pod: PodInfo, snapshot: Snapshot, o: ScheduleOptions): Outcome {
  const cycle: Cycle = { pod, snapshot, state: new Map() };
  const all = snapshot.nodes;
  const begun = beginCycle(profile, cycle);
  if ("reject" in begun)
    return { failure: { preFilter: begun.reject, nodes: new Map(), plugins: new Set([begun.reject.plugin]), nodeCount: all.length } };

  const refusals = new Map<string, Refusal>();
  const feasible: NodeInfo[] = [];
  const enough = begun.only ? all.length : nodesToFind(all.length, profile.percentageOfNodesToScore);
  let evaluated = 0;
  for (let i = 0; i < all.length && feasible.length < enough; i++) {
    const node = all[(o.start + i) % all.length] as NodeInfo;
    evaluated++;
    if (begun.only && !begun.only.nodes.has(node.name)) {
      refusals.set(node.name, {
        plugin: begun.only.plugin,
        unresolvable: true,
        reasons: [`node(s) didn't satisfy plugin(s) [${begun.only.plugin}]`],
      });
      continue;
    }
    const refusal = filterNode(begun.filters, cycle, node, o.nominated?.(node.name));
    if (refusal) refusals.set(node.name, refusal);
    else feasible.push(node);
  }
  if (feasible.length === 0) {
    const plugins = new Set([...refusals.values()].map((r) => r.plugin));
    return { failure: { preFilter: undefined, nodes: refusals, plugins, nodeCount: all.length } };
  }
  if (feasible.length === 1 && !o.explain) return { node: feasible[0] as NodeInfo, cycle, evaluated, feasible: 1 };
  const { totals, scores } = scoreNodes(profile, cycle, feasible, o.explain === true);
  return { node: pick(feasible, totals, o.random), cycle, evaluated, feasible: feasible.length, ...(scores ? { scores, refusals } : {}) };
}

export interface Begun {
  filters: readonly Plugin[];
  only: { nodes: ReadonlySet<string>; plugin: string } | undefined;
}

/** Runs preFilter of all plugins; those that skip do not filter. */
export function beginCycle(profile: Pick<Profile, "preFilter" | "filter">, cycle: Cycle): Begun | { reject: Refusal } {
  let skipped: Set<string> | undefined;
  let only: Begun["only"];
  for (const p of profile.preFilter) {
    const r = p.preFilter?.(cycle);
    if (r === "skip") {
      skipped ??= new Set();
      skipped.add(p.name);
      continue;
    }
    if (r && "reject" in r) return { reject: { ...r.reject, plugin: p.name } };
    if (r && "only" in r) {
      const before: Begun["only"] = only;
      only = before
        ? { nodes: new Set([...r.only].filter((n) => before.nodes.has(n))), plugin: `${before.plugin} ${p.name}` }
        : { nodes: r.only, plugin: p.name };
    }
  }
  return { filters: skipped ? profile.filter.filter((p) => !skipped.has(p.name)) : profile.filter, only };
}

export function filterNode(filters: readonly Plugin[], cycle: Cycle, node: NodeInfo, nominated?: readonly PodInfo[]): Refusal | undefined {
  const others = nominated?.filter((p) => p.uid !== cycle.pod.uid && p.priority >= cycle.pod.priority);
  if (others && others.length > 0) {
    // Room that was made for a more important pod is not free.
    const crowded = node.clone();
    for (const p of others) if (!crowded.pods.has(p.uid)) crowded.addPod(p);
    const refusal = runFilters(filters, cycle, crowded);
    if (refusal) return refusal;
  }
  return runFilters(filters, cycle, node);
}

function runFilters(filters: readonly Plugin[], cycle: Cycle, node: NodeInfo): Refusal | undefined {
  for (const p of filters) {
    const r = p.filter?.(cycle, node);
    if (r) return { reasons: r.reasons, unresolvable: r.unresolvable, plugin: p.name };
  }
  return undefined;
}

function scoreNodes(profile: Profile, cycle: Cycle, nodes: readonly NodeInfo[], explain: boolean) {
  const totals = new Array<number>(nodes.length).fill(0);
  const scores = explain ? new Map(nodes.map((n) => [n.name, { total: 0, byPlugin: {} } as NodeScores])) : undefined;
  const skipped = new Set<string>();
  for (const p of profile.preScore) if (p.preScore?.(cycle, nodes) === "skip") skipped.add(p.name);
  for (const p of profile.score) {
    if (skipped.has(p.name)) continue;
    const raw = nodes.map((n) => p.score?.(cycle, n) ?? 0);
    p.normalize?.(cycle, raw, nodes);
    const weight = profile.weights[p.name] ?? 1;
    for (let i = 0; i < raw.length; i++) {
      const points = (raw[i] as number) * weight;
      totals[i] = (totals[i] as number) + points;
      const s = scores?.get((nodes[i] as NodeInfo).name);
      if (s) {
        s.byPlugin[p.name] = points;
        s.total += points;
      }
    }
  }
  return { totals, scores };
}

/** One of the best, each with the same chance. */
function pick(nodes: readonly NodeInfo[], totals: readonly number[], random: Random): NodeInfo {
  let best = 0;
  let ties = 1;
  for (let i = 1; i < nodes.length; i++) {
    if ((totals[i] as number) > (totals[best] as number)) {
      best = i;
      ties = 1;
    } else if (totals[i] === totals[best]) {
      ties++;
      if (random.below(ties) === 0) best = i;
    }
  }
  return nodes[best] as NodeInfo;
}
