// Node selectors (core/v1 NodeSelector): terms are ORed, requirements of a term ANDed; a term without requirements matches nothing.
// Compiled once a pod, matched against many nodes.
import type { NodeInfo } from "./node-info.ts";

type Match = (node: NodeInfo) => boolean;

export function compileTerms(terms: readonly any[] | undefined): Match | undefined {
  if (!terms) return undefined;
  const compiled = terms.map(compileTerm);
  return (node) => compiled.some((m) => m(node));
}

export function compileTerm(term: any): Match {
  const tests: Match[] = [];
  for (const e of term?.matchExpressions ?? []) tests.push(requirement(e, (n) => n.labels[e.key]));
  for (const e of term?.matchFields ?? []) tests.push(requirement(e, (n) => (e.key === "metadata.name" ? n.name : undefined)));
  if (tests.length === 0) return () => false;
  return (node) => {
    for (const t of tests) if (!t(node)) return false;
    return true;
  };
}

function requirement(e: any, read: (n: NodeInfo) => string | undefined): Match {
  const values = new Set<string>(e.values ?? []);
  switch (e.operator) {
    case "In":
      return (n) => {
        const v = read(n);
        return v !== undefined && values.has(v);
      };
    case "NotIn":
      return (n) => {
        const v = read(n);
        return v === undefined || !values.has(v);
      };
    case "Exists":
      return (n) => read(n) !== undefined;
    case "DoesNotExist":
      return (n) => read(n) === undefined;
    case "Gt":
    case "Lt": {
      const bound = Number([...values][0]);
      return (n) => {
        const v = read(n);
        if (v === undefined || !/^[+-]?\d+$/.test(v)) return false;
        return e.operator === "Gt" ? Number(v) > bound : Number(v) < bound;
      };
    }
    default:
      return () => false;
  }
}

/** spec.nodeSelector and required node affinity as one test; undefined when the pod demands neither. */
export function compileNodeDemand(spec: any): Match | undefined {
  const labels = Object.entries((spec.nodeSelector ?? {}) as Record<string, string>);
  const terms = compileTerms(spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms);
  if (labels.length === 0 && !terms) return undefined;
  return (node) => {
    for (const [k, v] of labels) if (node.labels[k] !== v) return false;
    return terms ? terms(node) : true;
  };
}
