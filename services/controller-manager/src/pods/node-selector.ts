// Whether a pod template's node selector and required node affinity accept a node (core/v1 NodeSelector). Pure.
import type { KubeObject } from "@podwire/client";

export function matchesNodeSelector(spec: any, node: KubeObject): boolean {
  const labels = node.metadata.labels ?? {};
  for (const [k, v] of Object.entries(spec.nodeSelector ?? {})) if (labels[k] !== v) return false;
  const terms = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  return terms === undefined || terms.some((t: any) => matchesTerm(t, node));
}

export function matchesTerm(term: any, node: KubeObject): boolean {
  const labels = node.metadata.labels ?? {};
  const expressions = term.matchExpressions ?? [];
  const fields = term.matchFields ?? [];
  if (expressions.length === 0 && fields.length === 0) return false;
  return (
    expressions.every((e: any) => matchesRequirement(e, labels[e.key])) &&
    fields.every((e: any) => matchesRequirement(e, e.key === "metadata.name" ? node.metadata.name : undefined))
  );
}

function matchesRequirement(e: any, value: string | undefined): boolean {
  switch (e.operator) {
    case "In":
      return value !== undefined && (e.values ?? []).includes(value);
    case "NotIn":
      return value === undefined || !(e.values ?? []).includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "Gt":
      return value !== undefined && Number(value) > Number(e.values?.[0]);
    case "Lt":
      return value !== undefined && Number(value) < Number(e.values?.[0]);
    default:
      return false;
  }
}
