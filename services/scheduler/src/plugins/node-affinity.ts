// NodeAffinity: spec.nodeSelector and required node affinity filter, preferred terms add their weights. A profile may add an affinity that
// all of its pods have besides their own (addedAffinity).
import { compileTerm, compileTerms } from "../framework/node-selector.ts";
import { normalizeByMax, type Plugin, reject } from "../framework/plugin.ts";

const REJECTION = reject(true, "node(s) didn't match Pod's node affinity/selector");
const ENFORCED = reject(true, "node(s) didn't match scheduler-enforced node affinity");

/** `added` is a core/v1 NodeAffinity. */
export function nodeAffinity(added?: any): Plugin {
  const demanded = compileTerms(added?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms);
  const preferred: { weight: number; match: ReturnType<typeof compileTerm> }[] = (
    added?.preferredDuringSchedulingIgnoredDuringExecution ?? []
  ).map((p: any) => ({ weight: p.weight, match: compileTerm(p.preference) }));
  return {
    name: "NodeAffinity",
    preFilter(c) {
      if (!c.pod.nodeDemand) return demanded ? undefined : "skip";
      const only = namedNodes(c.pod.pod["spec"]);
      return only ? { only } : undefined;
    },
    filter(c, node) {
      if (demanded && !demanded(node)) return ENFORCED;
      return c.pod.nodeDemand && !c.pod.nodeDemand(node) ? REJECTION : undefined;
    },
    preScore: (c) => (c.pod.preferredNodes.length === 0 && preferred.length === 0 ? "skip" : undefined),
    score(c, node) {
      let sum = 0;
      for (const p of preferred) if (p.match(node)) sum += p.weight;
      for (const p of c.pod.preferredNodes) if (p.match(node)) sum += p.weight;
      return sum;
    },
    normalize: (_c, scores) => normalizeByMax(scores, false),
  };
}

/** When every term names nodes by metadata.name, the union of the names; daemon pods are scheduled in one look this way. */
function namedNodes(spec: any): Set<string> | undefined {
  const terms = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  if (!terms || terms.length === 0) return undefined;
  const union = new Set<string>();
  for (const t of terms) {
    let names: Set<string> | undefined;
    for (const f of t.matchFields ?? [])
      if (f.key === "metadata.name" && f.operator === "In") {
        const values = new Set<string>(f.values ?? []);
        names = names ? new Set([...names].filter((n) => values.has(n))) : values;
      }
    if (!names) return undefined;
    for (const n of names) union.add(n);
  }
  return union;
}
