// How much of a ResourceQuota is used (core/v1 ResourceQuota). Pure: the quota and the objects of its namespace in, amounts out.
import { parseQuantity, Quantity } from "@podwire/api";
import type { KubeObject } from "@podwire/client";
import { isTerminal } from "../../pods/status.ts";

/** Objects that are counted, by what a quota calls them. */
export const COUNTED: Readonly<Record<string, { group: string; resource: string }>> = {
  services: { group: "", resource: "services" },
  replicationcontrollers: { group: "", resource: "replicationcontrollers" },
  resourcequotas: { group: "", resource: "resourcequotas" },
  secrets: { group: "", resource: "secrets" },
  configmaps: { group: "", resource: "configmaps" },
  persistentvolumeclaims: { group: "", resource: "persistentvolumeclaims" },
};

export interface Usage {
  pods: readonly KubeObject[];
  claims: readonly KubeObject[];
  services: readonly KubeObject[];
  /** Objects of any other collection of the namespace. */
  count(group: string, resource: string): number;
}

export function planQuota(quota: KubeObject, u: Usage): Record<string, any> {
  const hard = quota["spec"].hard ?? {};
  const selected = u.pods.filter((p) => !finished(p) && inScope(quota, p));
  const used: Record<string, string> = {};
  for (const name of Object.keys(hard)) used[name] = amount(name, hard[name], selected, u);
  return { ...(Object.keys(hard).length > 0 ? { hard: { ...hard }, used } : {}) };
}

/** A pod that is over, or that was given up although its node does not answer, holds nothing. */
function finished(p: KubeObject): boolean {
  return isTerminal(p);
}

function amount(name: string, hard: string, pods: readonly KubeObject[], u: Usage): string {
  const format = parseQuantity(hard).format;
  const number = (n: number) => String(n);
  if (name === "pods") return number(pods.length);
  if (name.startsWith("count/")) {
    const [resource, ...group] = name.slice("count/".length).split(".");
    return number(resource === "pods" ? u.pods.length : u.count(group.join("."), resource ?? ""));
  }
  if (name === "services.loadbalancers") return number(u.services.filter((s) => s["spec"].type === "LoadBalancer").length);
  if (name === "services.nodeports")
    return number(
      u.services
        .filter((s) => ["NodePort", "LoadBalancer"].includes(s["spec"].type))
        .reduce((n, s) => n + (s["spec"].ports ?? []).filter((p: any) => p.nodePort).length, 0),
    );
  const counted = COUNTED[name];
  if (counted) return number(name === "persistentvolumeclaims" ? u.claims.length : u.count(counted.group, counted.resource));
  const ofClass = /^(.+)\.storageclass\.storage\.k8s\.io\/(persistentvolumeclaims|requests\.storage)$/.exec(name);
  if (ofClass) {
    const mine = u.claims.filter((c) => c["spec"].storageClassName === ofClass[1]);
    return ofClass[2] === "persistentvolumeclaims" ? number(mine.length) : storage(mine, format);
  }
  if (name === "requests.storage") return storage(u.claims, format);
  if (name.startsWith("limits.")) return podSum(pods, "limits", name.slice("limits.".length), format);
  return podSum(pods, "requests", name.replace(/^requests\./, ""), format);
}

function storage(claims: readonly KubeObject[], _format: unknown): string {
  return sum(claims.map((c) => c["status"]?.allocatedResources?.storage ?? c["spec"].resources?.requests?.storage));
}

function sum(texts: readonly (string | undefined)[]): string {
  let total: Quantity | undefined;
  for (const t of texts) {
    if (t === undefined) continue;
    const q = parseQuantity(t);
    total = total ? total.add(q) : q;
  }
  return (total ?? Quantity.fromInt(0)).toString();
}

/** What pods ask for of a resource: containers together, or the largest init container, and overhead. */
function podSum(pods: readonly KubeObject[], which: "requests" | "limits", resource: string, _format: unknown): string {
  return sum(
    pods.flatMap((p) => {
      const of = (c: any): Quantity | undefined => {
        const text = c.resources?.[which]?.[resource];
        return text === undefined ? undefined : parseQuantity(text);
      };
      const zero = Quantity.fromInt(0);
      const sidecars = (p["spec"].initContainers ?? []).filter((c: any) => c.restartPolicy === "Always");
      let total = [...(p["spec"].containers ?? []), ...sidecars].reduce((t: Quantity, c: any) => t.add(of(c) ?? zero), zero);
      for (const c of p["spec"].initContainers ?? []) {
        const q = c.restartPolicy === "Always" ? undefined : of(c);
        if (q && q.cmp(total) > 0) total = q;
      }
      const overhead = p["spec"].overhead?.[resource];
      if (overhead !== undefined && !total.isZero()) total = total.add(parseQuantity(overhead));
      return total.isZero() ? [] : [total.toString()];
    }),
  );
}

/** Whether a quota's scopes select a pod. */
export function inScope(quota: KubeObject, p: KubeObject): boolean {
  const bestEffort = [...(p["spec"].containers ?? []), ...(p["spec"].initContainers ?? [])].every(
    (c: any) => Object.keys(c.resources?.requests ?? {}).length === 0 && Object.keys(c.resources?.limits ?? {}).length === 0,
  );
  const limited = p["spec"].activeDeadlineSeconds !== undefined && p["spec"].activeDeadlineSeconds !== null;
  const test = (scope: string): boolean => {
    switch (scope) {
      case "BestEffort":
        return bestEffort;
      case "NotBestEffort":
        return !bestEffort;
      case "Terminating":
        return limited;
      case "NotTerminating":
        return !limited;
      case "CrossNamespacePodAffinity":
        return JSON.stringify(p["spec"].affinity ?? {}).includes('"namespace');
      default:
        return false;
    }
  };
  for (const scope of quota["spec"].scopes ?? []) if (!test(scope)) return false;
  for (const e of quota["spec"].scopeSelector?.matchExpressions ?? []) {
    if (e.scopeName === "PriorityClass") {
      const name = p["spec"].priorityClassName ?? "";
      const inside = (e.values ?? []).includes(name);
      if (e.operator === "In" && !inside) return false;
      if (e.operator === "NotIn" && inside) return false;
      if (e.operator === "Exists" && name === "") return false;
      if (e.operator === "DoesNotExist" && name !== "") return false;
    } else if (!test(e.scopeName)) return false;
  }
  return true;
}
