// Preemption (the DefaultPreemption plugin): on which node would removing less important pods make room, and which of them must
// go. Pure. Rules: as few budget violations as possible, then the least important victims, fewest, youngest.
import { labelSelector } from "@podwire/api";
import type { KubeObject } from "@podwire/client";
import type { Snapshot } from "./framework/cache.ts";
import { fitMessage } from "./framework/messages.ts";
import type { NodeInfo } from "./framework/node-info.ts";
import type { PodInfo } from "./framework/pod-info.ts";
import { beginCycle, type Failure, filterNode, type Profile, type Refusal } from "./framework/schedule.ts";

export interface PreemptionInput {
  profile: Pick<Profile, "preFilter" | "filter" | "preemption">;
  pod: PodInfo;
  snapshot: Snapshot;
  failure: Failure;
  budgets: readonly KubeObject[];
  /** Offset into the candidate nodes, so that large clusters do not always try the same ones. */
  start: number;
}

export interface Candidate {
  node: string;
  victims: PodInfo[];
  violations: number;
}

export type PreemptionResult = { candidate: Candidate } | { message: string };

const NOT_HELPFUL: Refusal = { plugin: "DefaultPreemption", unresolvable: true, reasons: ["Preemption is not helpful for scheduling"] };
const NO_VICTIMS: Refusal = { plugin: "DefaultPreemption", unresolvable: true, reasons: ["No preemption victims found for incoming pod"] };
/** Candidates are looked for on at least so many nodes, or this share of all, unless the arguments say otherwise. */
export const PREEMPTION_DEFAULTS = { minCandidates: 100, minCandidatesPercent: 10 };

export function planPreemption(i: PreemptionInput): PreemptionResult {
  const denied = notEligible(i);
  if (denied) return { message: `preemption: ${denied}` };
  const refusals = new Map<string, Refusal>();
  const hopeful: NodeInfo[] = [];
  for (const node of i.snapshot.nodes) {
    const r = i.failure.nodes.get(node.name);
    if (i.failure.preFilter || r?.unresolvable) refusals.set(node.name, NOT_HELPFUL);
    else hopeful.push(node);
  }
  const { minCandidates, minCandidatesPercent } = i.profile.preemption ?? PREEMPTION_DEFAULTS;
  const limit = Math.max(minCandidates, Math.trunc((hopeful.length * minCandidatesPercent) / 100));
  const candidates: Candidate[] = [];
  for (let k = 0; k < hopeful.length && candidates.length < limit; k++) {
    const node = hopeful[(i.start + k) % hopeful.length] as NodeInfo;
    const found = victimsOn(i, node);
    if ("victims" in found) candidates.push(found);
    else refusals.set(node.name, found);
  }
  if (candidates.length === 0)
    return { message: `preemption: ${fitMessage({ preFilter: undefined, nodes: refusals, nodeCount: i.snapshot.nodes.length })}` };
  return { candidate: best(candidates) };
}

function notEligible(i: PreemptionInput): string | undefined {
  if (i.pod.pod["spec"]?.preemptionPolicy === "Never") return "not eligible due to preemptionPolicy=Never.";
  const nominated = i.pod.pod["status"]?.nominatedNodeName;
  const node = nominated ? i.snapshot.get(nominated) : undefined;
  if (!node || i.failure.nodes.get(nominated)?.unresolvable) return undefined;
  for (const p of node.pods.values())
    if (p.priority < i.pod.priority && p.terminating && isPreempted(p))
      return "not eligible due to a terminating pod on the nominated node.";
  return undefined;
}

const isPreempted = (p: PodInfo): boolean =>
  (p.pod["status"]?.conditions ?? []).some(
    (c: any) => c.type === "DisruptionTarget" && c.status === "True" && c.reason === "PreemptionByScheduler",
  );

/** The victims on one node, or why preemption there does not work. */
function victimsOn(i: PreemptionInput, node: NodeInfo): Candidate | Refusal {
  const trial = node.clone();
  const lower = [...node.pods.values()].filter((p) => p.priority < i.pod.priority);
  if (lower.length === 0) return NO_VICTIMS;
  for (const p of lower) trial.removePod(p.uid);
  const refusal = fits(i, trial);
  if (refusal) return refusal;
  // The more important come back first.
  lower.sort((a, b) => b.priority - a.priority || a.startMs - b.startMs);
  const { violating, innocent } = byBudget(lower, i.budgets);
  const victims: PodInfo[] = [];
  let violations = 0;
  const reprieve = (p: PodInfo): boolean => {
    trial.addPod(p);
    if (!fits(i, trial)) return true;
    trial.removePod(p.uid);
    victims.push(p);
    return false;
  };
  for (const p of violating) if (!reprieve(p)) violations++;
  for (const p of innocent) reprieve(p);
  victims.sort((a, b) => b.priority - a.priority || a.startMs - b.startMs);
  return { node: node.name, victims, violations };
}

function fits(i: PreemptionInput, trial: NodeInfo): Refusal | undefined {
  const cycle = { pod: i.pod, snapshot: overlay(i.snapshot, trial), state: new Map() };
  const begun = beginCycle(i.profile, cycle);
  if ("reject" in begun) return begun.reject;
  return filterNode(begun.filters, cycle, trial);
}

/** The snapshot with one node replaced. */
function overlay(s: Snapshot, trial: NodeInfo): Snapshot {
  const swap = (set: ReadonlySet<NodeInfo>, has: boolean) => {
    const out = new Set([...set].filter((n) => n.name !== trial.name));
    if (has) out.add(trial);
    return out;
  };
  return {
    nodes: s.nodes.map((n) => (n.name === trial.name ? trial : n)),
    get: (name) => (name === trial.name ? trial : s.get(name)),
    nodesWithAffinity: swap(s.nodesWithAffinity, trial.withAffinity.size > 0),
    nodesWithAntiAffinity: swap(s.nodesWithAntiAffinity, trial.withAntiAffinity.size > 0),
    selector: (ns, labels) => s.selector(ns, labels),
    namespaceLabels: (ns) => s.namespaceLabels(ns),
    nodesWithImage: (name) => s.nodesWithImage(name),
  };
}

/** Pods whose removal would break a budget, given that those before them are removed. */
function byBudget(pods: readonly PodInfo[], budgets: readonly KubeObject[]): { violating: PodInfo[]; innocent: PodInfo[] } {
  const left = new Map(budgets.map((b) => [b, b["status"]?.disruptionsAllowed ?? 0]));
  const violating: PodInfo[] = [];
  const innocent: PodInfo[] = [];
  for (const p of pods) {
    let violates = false;
    for (const b of budgets) {
      if (b.metadata.namespace !== p.namespace || Object.keys(p.labels).length === 0) continue;
      const selector = labelSelector(b["spec"]?.selector);
      if (selector.empty || !selector.matches(p.labels)) continue;
      if (b["status"]?.disruptedPods?.[p.pod.metadata.name] !== undefined) continue;
      const n = (left.get(b) as number) - 1;
      left.set(b, n);
      if (n < 0) violates = true;
    }
    (violates ? violating : innocent).push(p);
  }
  return { violating, innocent };
}

/** Priorities below zero must not make many victims look cheap (as Kubernetes, sums are shifted by 2^31). */
const SHIFT = 2 ** 31;

function best(candidates: readonly Candidate[]): Candidate {
  const measures: ((c: Candidate) => number)[] = [
    (c) => c.violations,
    (c) => c.victims[0]?.priority ?? Number.NEGATIVE_INFINITY,
    (c) => c.victims.reduce((n, v) => n + v.priority + SHIFT, 0),
    (c) => c.victims.length,
    // The latest start among the earliest starts of the most important victims: large is good.
    (c) => {
      const top = c.victims[0]?.priority;
      return -Math.min(...c.victims.filter((v) => v.priority === top).map((v) => v.startMs));
    },
  ];
  let left = [...candidates];
  for (const m of measures) {
    if (left.length === 1) break;
    const values = left.map(m);
    const min = Math.min(...values);
    left = left.filter((_, k) => values[k] === min);
  }
  return left[0] as Candidate;
}
