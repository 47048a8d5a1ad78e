// PodTopologySpread: keeps matching pods even over the values of a topology label. DoNotSchedule constraints filter, ScheduleAnyway
// ones score; pods without constraints get the system's default scoring constraints over what their Service or owner selects.
import { labelSelector } from "@podwire/api";
import type { CountedSelector, NodeInfo } from "../framework/node-info.ts";
import { type Cycle, MAX_SCORE, type Plugin, reject } from "../framework/plugin.ts";
import type { Labels } from "../framework/pod-info.ts";
import { toleratesNode } from "../framework/tolerations.ts";

const HOSTNAME = "kubernetes.io/hostname";
const ZONE = "topology.kubernetes.io/zone";
const NAME = "PodTopologySpread";
const REJECTION = reject(false, "node(s) didn't match pod topology spread constraints");
const MISSING_LABEL = reject(true, "node(s) didn't match pod topology spread constraints (missing required label)");

interface Constraint {
  key: string;
  maxSkew: number;
  selector: CountedSelector;
  matchesSelf: boolean;
  minDomains: number;
  honorAffinity: boolean;
  honorTaints: boolean;
}

interface FilterState {
  constraints: Constraint[];
  counts: Map<string, number>[];
  minimum: number[];
}

interface ScoreState {
  constraints: Constraint[];
  counts: (Map<string, number> | undefined)[];
  weights: number[];
  ignored: Set<NodeInfo>;
}

/** Finds the selector of what a pod belongs to (Services, owner), for the default constraints. */
export type DefaultSelector = (c: Cycle) => Labels | undefined;

export interface PodTopologySpreadArgs {
  /** For pods without constraints of their own; undefined: the system's, which never refuse. */
  defaultConstraints?: readonly any[];
}

export function podTopologySpread(defaultSelector: DefaultSelector, args: PodTopologySpreadArgs = {}): Plugin {
  const listed = (c: Cycle, when: string) => defaultsOf(c, args.defaultConstraints ?? [], when, defaultSelector);
  return {
    name: NAME,
    preFilter(c) {
      const constraints = c.pod.spread.length > 0 ? compile(c, "DoNotSchedule") : listed(c, "DoNotSchedule");
      if (constraints.length === 0) return "skip";
      c.state.set(`${NAME}/filter`, countAll(c, constraints));
      return undefined;
    },
    filter(c, node) {
      const s = c.state.get(`${NAME}/filter`) as FilterState;
      for (let i = 0; i < s.constraints.length; i++) {
        const k = s.constraints[i] as Constraint;
        const value = node.labels[k.key];
        if (value === undefined) return MISSING_LABEL;
        const have = (s.counts[i] as Map<string, number>).get(value) ?? 0;
        if (have + (k.matchesSelf ? 1 : 0) - (s.minimum[i] as number) > k.maxSkew) return REJECTION;
      }
      return undefined;
    },
    preScore(c, nodes) {
      let constraints = compile(c, "ScheduleAnyway");
      const bySystem = c.pod.spread.length === 0 && args.defaultConstraints === undefined;
      if (bySystem) constraints = defaults(c, defaultSelector(c));
      else if (c.pod.spread.length === 0) constraints = listed(c, "ScheduleAnyway");
      if (constraints.length === 0) return "skip";
      c.state.set(`${NAME}/score`, prepareScore(c, constraints, nodes, !bySystem));
      return undefined;
    },
    score(c, node) {
      const s = c.state.get(`${NAME}/score`) as ScoreState;
      if (s.ignored.has(node)) return 0;
      let score = 0;
      for (let i = 0; i < s.constraints.length; i++) {
        const k = s.constraints[i] as Constraint;
        const value = node.labels[k.key];
        if (value === undefined) continue;
        const have = k.key === HOSTNAME ? node.count(k.selector) : (s.counts[i]?.get(value) ?? 0);
        score += have * (s.weights[i] as number) + (k.maxSkew - 1);
      }
      return Math.round(score);
    },
    normalize(c, scores, nodes) {
      const { ignored } = c.state.get(`${NAME}/score`) as ScoreState;
      let min = Number.POSITIVE_INFINITY;
      let max = 0;
      for (let i = 0; i < scores.length; i++) {
        if (ignored.has(nodes[i] as NodeInfo)) continue;
        min = Math.min(min, scores[i] as number);
        max = Math.max(max, scores[i] as number);
      }
      for (let i = 0; i < scores.length; i++) {
        if (ignored.has(nodes[i] as NodeInfo)) scores[i] = 0;
        else scores[i] = max === 0 ? MAX_SCORE : Math.trunc((MAX_SCORE * (max + min - (scores[i] as number))) / max);
      }
    },
  };
}

function compile(c: Cycle, when: string): Constraint[] {
  const out: Constraint[] = [];
  for (const t of c.pod.spread) {
    if (t.whenUnsatisfiable !== when) continue;
    const extra = (t.matchLabelKeys ?? []).flatMap((key: string) => {
      const value = c.pod.labels[key];
      return value === undefined ? [] : [{ key, operator: "In", values: [value] }];
    });
    const labels = labelSelector(
      t.labelSelector && { ...t.labelSelector, matchExpressions: [...(t.labelSelector.matchExpressions ?? []), ...extra] },
    );
    out.push({
      key: t.topologyKey,
      maxSkew: t.maxSkew,
      selector: c.snapshot.selector(c.pod.namespace, labels),
      matchesSelf: labels.matches(c.pod.labels),
      minDomains: t.minDomains ?? 1,
      honorAffinity: (t.nodeAffinityPolicy ?? "Honor") === "Honor",
      honorTaints: t.nodeTaintsPolicy === "Honor",
    });
  }
  return out;
}

/** The system's constraints: hosts within 3, zones within 5, never a reason to refuse. */
function defaults(c: Cycle, labels: Labels | undefined): Constraint[] {
  if (!labels || labels.empty) return [];
  const selector = c.snapshot.selector(c.pod.namespace, labels);
  const more = { selector, matchesSelf: labels.matches(c.pod.labels), minDomains: 1, honorAffinity: true, honorTaints: false };
  return [
    { key: HOSTNAME, maxSkew: 3, ...more },
    { key: ZONE, maxSkew: 5, ...more },
  ];
}

/** Constraints of the arguments, over what the pod's Services and owner select. */
function defaultsOf(c: Cycle, list: readonly any[], when: string, defaultSelector: DefaultSelector): Constraint[] {
  const wanted = list.filter((t) => t.whenUnsatisfiable === when);
  const labels = wanted.length > 0 ? defaultSelector(c) : undefined;
  if (!labels || labels.empty) return [];
  const selector = c.snapshot.selector(c.pod.namespace, labels);
  const more = { selector, matchesSelf: labels.matches(c.pod.labels), minDomains: 1, honorAffinity: true, honorTaints: false };
  return wanted.map((t) => ({ key: t.topologyKey, maxSkew: t.maxSkew, ...more }));
}

/** Whether the node's pods count for the constraint at all. */
function included(c: Cycle, k: Constraint, node: NodeInfo): boolean {
  if (k.honorAffinity && c.pod.nodeDemand && !c.pod.nodeDemand(node)) return false;
  return !(k.honorTaints && !toleratesNode(c.pod.tolerations, node.taints));
}

function hasAllKeys(node: NodeInfo, constraints: readonly Constraint[]): boolean {
  for (const k of constraints) if (node.labels[k.key] === undefined) return false;
  return true;
}

function countAll(c: Cycle, constraints: Constraint[]): FilterState {
  const counts = constraints.map(() => new Map<string, number>());
  for (const node of c.snapshot.nodes) {
    if (!hasAllKeys(node, constraints)) continue;
    for (let i = 0; i < constraints.length; i++) {
      const k = constraints[i] as Constraint;
      if (!included(c, k, node)) continue;
      const m = counts[i] as Map<string, number>;
      const value = node.labels[k.key] as string;
      m.set(value, (m.get(value) ?? 0) + node.count(k.selector));
    }
  }
  const minimum = constraints.map((k, i) => {
    const m = counts[i] as Map<string, number>;
    if (m.size < k.minDomains) return 0;
    let min = Number.POSITIVE_INFINITY;
    for (const n of m.values()) min = Math.min(min, n);
    return m.size === 0 ? Number.MAX_SAFE_INTEGER : min;
  });
  return { constraints, counts, minimum };
}

function prepareScore(c: Cycle, constraints: Constraint[], nodes: readonly NodeInfo[], requireAll: boolean): ScoreState {
  const ignored = new Set<NodeInfo>();
  const counts = constraints.map((k) => (k.key === HOSTNAME ? undefined : new Map<string, number>()));
  for (const node of nodes) {
    if (requireAll && !hasAllKeys(node, constraints)) {
      ignored.add(node);
      continue;
    }
    constraints.forEach((k, i) => {
      // Nodes without the label are a domain, too, in the weight of the constraint.
      counts[i]?.set(node.labels[k.key] ?? "", 0);
    });
  }
  const weights = constraints.map((_, i) => Math.log((counts[i]?.size ?? nodes.length - ignored.size) + 2));
  if (counts.some((m) => m && m.size > 0))
    for (const node of c.snapshot.nodes) {
      if (requireAll && !hasAllKeys(node, constraints)) continue;
      constraints.forEach((k, i) => {
        const m = counts[i];
        const value = node.labels[k.key];
        if (!m || value === undefined || !m.has(value) || !included(c, k, node)) return;
        m.set(value, (m.get(value) as number) + node.count(k.selector));
      });
    }
  return { constraints, counts, weights, ignored };
}
