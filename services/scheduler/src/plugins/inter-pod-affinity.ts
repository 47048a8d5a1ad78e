// InterPodAffinity: pods that want to be near, or not near, other pods, over the values of a topology label. Existing pods' required
// anti-affinity is honoured too. Costs nothing while neither the pod nor any pod on a node has such terms.
import type { NodeInfo } from "../framework/node-info.ts";
import { type Cycle, MAX_SCORE, type Plugin, reject } from "../framework/plugin.ts";
import { type AffinityTerm, type PodInfo, termMatches } from "../framework/pod-info.ts";

const NAME = "InterPodAffinity";
const AFFINITY = reject(true, "node(s) didn't match pod affinity rules");
const ANTI_AFFINITY = reject(false, "node(s) didn't match pod anti-affinity rules");
const EXISTING = reject(false, "node(s) didn't satisfy existing pods anti-affinity rules");
/** Weight of existing pods' required affinity in scores unless the arguments say otherwise. */
const HARD_WEIGHT = 1;

export interface InterPodAffinityArgs {
  hardPodAffinityWeight?: number;
  ignorePreferredTermsOfExistingPods?: boolean;
}

/** Numbers by topology key and value. */
type Pairs = Map<string, Map<string, number>>;

interface FilterState {
  existingAnti: Pairs;
  affinity: Pairs;
  anti: Pairs;
  /** No pod anywhere matches the affinity, and the pod matches its own terms: it may be the first of its group. */
  first: boolean;
}

const bump = (pairs: Pairs, key: string, value: string | undefined, n: number): void => {
  if (value === undefined) return;
  let m = pairs.get(key);
  if (!m) pairs.set(key, (m = new Map()));
  m.set(value, (m.get(value) ?? 0) + n);
};
const has = (pairs: Pairs, key: string, node: NodeInfo): boolean => {
  const value = node.labels[key];
  return value !== undefined && (pairs.get(key)?.get(value) ?? 0) > 0;
};

export function interPodAffinity(args: InterPodAffinityArgs = {}): Plugin {
  const hardWeight = args.hardPodAffinityWeight ?? HARD_WEIGHT;
  const deaf = args.ignorePreferredTermsOfExistingPods === true;
  return {
    name: NAME,
    preFilter(c) {
      const { pod, snapshot } = c;
      const ns = (n: string) => snapshot.namespaceLabels(n);
      const existingAnti: Pairs = new Map();
      for (const node of snapshot.nodesWithAntiAffinity)
        for (const p of node.withAntiAffinity)
          for (const t of p.requiredAntiAffinity)
            if (termMatches(t, pod, ns)) bump(existingAnti, t.topologyKey, node.labels[t.topologyKey], 1);
      const wants = pod.requiredAffinity.length > 0 || pod.requiredAntiAffinity.length > 0;
      if (!wants && existingAnti.size === 0) return "skip";
      const affinity: Pairs = new Map();
      const anti: Pairs = new Map();
      if (wants)
        for (const node of snapshot.nodes)
          for (const p of node.pods.values()) {
            if (pod.requiredAffinity.length > 0 && pod.requiredAffinity.every((t) => termMatches(t, p, ns)))
              for (const t of pod.requiredAffinity) bump(affinity, t.topologyKey, node.labels[t.topologyKey], 1);
            for (const t of pod.requiredAntiAffinity) if (termMatches(t, p, ns)) bump(anti, t.topologyKey, node.labels[t.topologyKey], 1);
          }
      const first = affinity.size === 0 && pod.requiredAffinity.every((t) => termMatches(t, pod, ns));
      c.state.set(`${NAME}/filter`, { existingAnti, affinity, anti, first } satisfies FilterState);
      return undefined;
    },
    filter(c, node) {
      const s = c.state.get(`${NAME}/filter`) as FilterState;
      if (c.pod.requiredAffinity.length > 0) {
        for (const t of c.pod.requiredAffinity) {
          if (node.labels[t.topologyKey] === undefined) return AFFINITY;
          if (!s.first && !has(s.affinity, t.topologyKey, node)) return AFFINITY;
        }
      }
      for (const t of c.pod.requiredAntiAffinity) if (has(s.anti, t.topologyKey, node)) return ANTI_AFFINITY;
      for (const key of s.existingAnti.keys()) if (has(s.existingAnti, key, node)) return EXISTING;
      return undefined;
    },
    preScore(c) {
      const { pod, snapshot } = c;
      const own = pod.preferredAffinity.length > 0 || pod.preferredAntiAffinity.length > 0;
      if (!own && (deaf || snapshot.nodesWithAffinity.size === 0)) return "skip";
      const sums: Pairs = new Map();
      for (const node of own ? snapshot.nodes : snapshot.nodesWithAffinity)
        for (const p of own ? node.pods.values() : node.withAffinity) addWeights(c, sums, p, node, hardWeight, deaf);
      if (sums.size === 0) return "skip";
      c.state.set(`${NAME}/score`, sums);
      return undefined;
    },
    score(c, node) {
      let sum = 0;
      for (const [key, values] of c.state.get(`${NAME}/score`) as Pairs) {
        const value = node.labels[key];
        if (value !== undefined) sum += values.get(value) ?? 0;
      }
      return sum;
    },
    normalize(_c, scores) {
      let min = Number.POSITIVE_INFINITY;
      let max = Number.NEGATIVE_INFINITY;
      for (const s of scores) {
        min = Math.min(min, s);
        max = Math.max(max, s);
      }
      for (let i = 0; i < scores.length; i++)
        scores[i] = max === min ? 0 : Math.trunc((MAX_SCORE * ((scores[i] as number) - min)) / (max - min));
    },
  };
}

/** What an existing pod adds to the sums: the incoming pod's preferences about it, and its own about the incoming pod. */
function addWeights(c: Cycle, sums: Pairs, existing: PodInfo, node: NodeInfo, hardWeight: number, deaf: boolean): void {
  const ns = (n: string) => c.snapshot.namespaceLabels(n);
  const each = (terms: readonly AffinityTerm[], subject: PodInfo, sign: number, weight?: number) => {
    for (const t of terms)
      if (termMatches(t, subject, ns)) bump(sums, t.topologyKey, node.labels[t.topologyKey], sign * (weight ?? t.weight));
  };
  each(c.pod.preferredAffinity, existing, 1);
  each(c.pod.preferredAntiAffinity, existing, -1);
  if (hardWeight > 0) each(existing.requiredAffinity, c.pod, 1, hardWeight);
  if (deaf) return;
  each(existing.preferredAffinity, c.pod, 1);
  each(existing.preferredAntiAffinity, c.pod, -1);
}
