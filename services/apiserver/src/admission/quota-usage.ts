// What objects count against quotas (pkg/quota/v1/evaluator/core). Pure.
import { type KubeObject, parseQuantity, Quantity, type ResourceInfo } from "@podwire/api";

export type Usage = Map<string, Quantity>;

const ONE = Quantity.fromInt(1);
const COUNTED = new Set([
  "pods",
  "services",
  "secrets",
  "configmaps",
  "persistentvolumeclaims",
  "replicationcontrollers",
  "resourcequotas",
]);
/** Compute resources whose quota demands that every container says what it wants. */
const DEMANDED = ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];

export function usageOf(info: ResourceInfo, o: KubeObject): Usage {
  const u: Usage = new Map();
  const id = info.groupResource;
  u.set(`count/${id}`, ONE);
  if (info.group === "" && COUNTED.has(id)) u.set(id, ONE);
  if (id === "pods") return podUsage(o, u);
  if (id === "services") serviceUsage(o, u);
  if (id === "persistentvolumeclaims") claimUsage(o, u);
  return u;
}

function podUsage(pod: KubeObject, u: Usage): Usage {
  const phase = pod["status"]?.phase;
  if (phase === "Failed" || phase === "Succeeded") {
    u.delete("pods");
    return u;
  }
  for (const kind of ["requests", "limits"] as const) {
    for (const [k, v] of podTotals(pod, kind)) {
      if (kind === "requests") {
        if (k === "cpu" || k === "memory" || k === "ephemeral-storage") add(u, k, v);
        add(u, `requests.${k}`, v);
      } else add(u, `limits.${k}`, v);
    }
  }
  return u;
}

function podTotals(pod: KubeObject, kind: "requests" | "limits"): Usage {
  const totals: Usage = new Map();
  const sidecars: Usage = new Map();
  const spec = pod["spec"] ?? {};
  for (const c of spec.containers ?? [])
    for (const [k, v] of Object.entries(c.resources?.[kind] ?? {})) add(totals, k, parseQuantity(v as string));
  const peak: Usage = new Map();
  for (const c of spec.initContainers ?? []) {
    for (const [k, v] of Object.entries(c.resources?.[kind] ?? {})) {
      const amount = parseQuantity(v as string);
      if (c.restartPolicy === "Always") {
        add(totals, k, amount);
        add(sidecars, k, amount);
      } else {
        const now = sidecars.get(k)?.add(amount) ?? amount;
        if (!peak.has(k) || (peak.get(k) as Quantity).cmp(now) < 0) peak.set(k, now);
      }
    }
  }
  for (const [k, v] of peak) if (!totals.has(k) || (totals.get(k) as Quantity).cmp(v) < 0) totals.set(k, v);
  for (const [k, v] of Object.entries(spec.overhead ?? {}))
    if (kind === "requests" || totals.has(k)) add(totals, k, parseQuantity(v as string));
  return totals;
}

function serviceUsage(o: KubeObject, u: Usage): void {
  const spec = o["spec"] ?? {};
  const ports = spec.ports?.length ?? 0;
  if (spec.type === "NodePort") u.set("services.nodeports", Quantity.fromInt(ports));
  if (spec.type === "LoadBalancer") {
    u.set("services.loadbalancers", ONE);
    const allocated = spec.allocateLoadBalancerNodePorts === false ? (spec.ports ?? []).filter((p: any) => p.nodePort).length : ports;
    u.set("services.nodeports", Quantity.fromInt(allocated));
  }
}

function claimUsage(o: KubeObject, u: Usage): void {
  const spec = o["spec"] ?? {};
  const storageClass = o.metadata.annotations?.["volume.beta.kubernetes.io/storage-class"] ?? spec.storageClassName;
  if (storageClass) u.set(`${storageClass}.storageclass.storage.k8s.io/persistentvolumeclaims`, ONE);
  const size = spec.resources?.requests?.storage;
  if (size === undefined) return;
  u.set("requests.storage", parseQuantity(size));
  if (storageClass) u.set(`${storageClass}.storageclass.storage.k8s.io/requests.storage`, parseQuantity(size));
}

function add(u: Usage, k: string, v: Quantity): void {
  u.set(k, u.get(k)?.add(v) ?? v);
}

/** "limits.memory for: c; requests.cpu for: c": what containers fail to say about resources under quota; "" when nothing. */
export function unsaid(pod: KubeObject, hard: readonly string[]): string {
  const demanded = DEMANDED.filter((d) => hard.includes(d));
  const missing = new Map<string, Set<string>>();
  for (const c of [...(pod["spec"]?.containers ?? []), ...(pod["spec"]?.initContainers ?? [])]) {
    for (const d of demanded) {
      const [kind, name] = d.includes(".") ? (d.split(".") as ["requests" | "limits", string]) : (["requests", d] as const);
      if (c.resources?.[kind]?.[name] !== undefined) continue;
      if (!missing.has(d)) missing.set(d, new Set());
      missing.get(d)?.add(c.name);
    }
  }
  return [...missing]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([d, names]) => `${d} for: ${[...names].sort().join(",")}`)
    .join("; ");
}

/** Whether a quota with scopes counts this object. */
export function inScope(info: ResourceInfo, o: KubeObject, quota: KubeObject): boolean {
  const spec = quota["spec"] ?? {};
  const terms = [
    ...(spec.scopes ?? []).map((scopeName: string) => ({ scopeName, operator: "Exists" })),
    ...(spec.scopeSelector?.matchExpressions ?? []),
  ];
  if (terms.length === 0) return true;
  if (info.groupResource !== "pods") return false;
  return terms.every((t: any) => podInScope(o, t));
}

function podInScope(pod: KubeObject, t: { scopeName: string; operator?: string; values?: string[] }): boolean {
  const spec = pod["spec"] ?? {};
  const terminating = spec.activeDeadlineSeconds !== undefined && spec.activeDeadlineSeconds >= 0;
  switch (t.scopeName) {
    case "Terminating":
      return terminating;
    case "NotTerminating":
      return !terminating;
    case "BestEffort":
      return isBestEffort(spec);
    case "NotBestEffort":
      return !isBestEffort(spec);
    case "CrossNamespacePodAffinity":
      return crossesNamespaces(spec.affinity);
    case "PriorityClass": {
      const name = spec.priorityClassName ?? "";
      if (t.operator === "In") return (t.values ?? []).includes(name);
      if (t.operator === "NotIn") return !(t.values ?? []).includes(name);
      return t.operator === "DoesNotExist" ? name === "" : name !== "";
    }
    default:
      return false;
  }
}

function isBestEffort(spec: any): boolean {
  return [...(spec.containers ?? []), ...(spec.initContainers ?? [])].every((c) => {
    const r = c.resources ?? {};
    return ["cpu", "memory"].every((k) => r.requests?.[k] === undefined && r.limits?.[k] === undefined);
  });
}

function crossesNamespaces(affinity: any): boolean {
  const terms: any[] = [];
  for (const a of [affinity?.podAffinity, affinity?.podAntiAffinity]) {
    terms.push(...(a?.requiredDuringSchedulingIgnoredDuringExecution ?? []));
    terms.push(...(a?.preferredDuringSchedulingIgnoredDuringExecution ?? []).map((p: any) => p.podAffinityTerm));
  }
  return terms.some((t) => t?.namespaces?.length > 0 || t?.namespaceSelector !== undefined);
}
