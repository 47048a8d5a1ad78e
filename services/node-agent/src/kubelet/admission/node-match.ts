// Does a node satisfy what a pod's spec demands of it: selector, required node affinity, tolerated NoExecute taints, free host ports.
import type { Pod } from "@podwire/api";

export interface NodeFacts {
  name: string;
  labels: Readonly<Record<string, string>>;
  taints: readonly { key?: string; value?: string; effect?: string }[];
}

type Requirement = { key?: string; operator?: string; values?: string[] };

/** spec.nodeSelector and requiredDuringSchedulingIgnoredDuringExecution: terms are ORed, their requirements ANDed. */
export function matchesNodeAffinity(pod: Pod, node: NodeFacts): boolean {
  for (const [k, v] of Object.entries(pod.spec!.nodeSelector ?? {})) if (node.labels[k] !== v) return false;
  const terms = pod.spec!.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms;
  if (!terms) return true;
  return terms.some((t) => {
    const labels = (t.matchExpressions ?? []) as Requirement[];
    const fields = (t.matchFields ?? []) as Requirement[];
    if (labels.length + fields.length === 0) return false;
    return (
      labels.every((r) => meets(r, node.labels[r.key as string])) &&
      fields.every((r) => meets(r, r.key === "metadata.name" ? node.name : undefined))
    );
  });
}

function meets(r: Requirement, value: string | undefined): boolean {
  const values = r.values ?? [];
  switch (r.operator) {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "Gt":
      return value !== undefined && /^[+-]?\d+$/.test(value) && Number(value) > Number(values[0]);
    case "Lt":
      return value !== undefined && /^[+-]?\d+$/.test(value) && Number(value) < Number(values[0]);
    default:
      return false;
  }
}

export function tolerates(pod: Pod, taint: { key?: string; value?: string; effect?: string }): boolean {
  return (pod.spec!.tolerations ?? []).some((t) => {
    if (t.effect && t.effect !== taint.effect) return false;
    if (t.key && t.key !== taint.key) return false;
    if (!t.key && t.operator !== "Exists") return false;
    return t.operator === "Exists" || (t.value ?? "") === (taint.value ?? "");
  });
}

export interface HostPort {
  ip: string;
  protocol: string;
  port: number;
}

export function hostPortsOf(pod: Pod): HostPort[] {
  const sidecars = (pod.spec!.initContainers ?? []).filter((c) => c.restartPolicy === "Always");
  return [...pod.spec!.containers, ...sidecars]
    .flatMap((c) => c.ports ?? [])
    .filter((p) => (p.hostPort ?? 0) > 0)
    .map((p) => ({ ip: p.hostIP || "0.0.0.0", protocol: p.protocol ?? "TCP", port: p.hostPort as number }));
}

/** Two host ports conflict when protocol and port are equal and the addresses are, or one of them is every address. */
export function portsConflict(a: readonly HostPort[], b: readonly HostPort[]): boolean {
  return a.some((x) =>
    b.some((y) => x.port === y.port && x.protocol === y.protocol && (x.ip === y.ip || x.ip === "0.0.0.0" || y.ip === "0.0.0.0")),
  );
}
