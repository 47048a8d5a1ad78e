// What a pod asks of its node, as plain numbers: cpu in thousandths of a core, everything else in units (resource helpers, KEP-753
// for sidecars, KEP-1287 for what was allocated before a resize, KEP-2837 for the pod's own resources).
import { type Container as ContainerSpec, type Pod, parseQuantity } from "@podwire/api";

export type Amounts = ReadonlyMap<string, number>;
type ResourceList = Readonly<Record<string, string>> | undefined;

/** One amount as a number: cpu in thousandths. */
export function amountOf(resource: string, text: string | number): number {
  const q = parseQuantity(String(text));
  return Number(resource === "cpu" ? q.milli() : q.value());
}

function amounts(list: ResourceList): Map<string, number> {
  return new Map(Object.entries(list ?? {}).map(([k, v]) => [k, amountOf(k, v)]));
}

function add(into: Map<string, number>, more: Amounts): Map<string, number> {
  for (const [k, n] of more) into.set(k, (into.get(k) ?? 0) + n);
  return into;
}

function raise(into: Map<string, number>, other: Amounts): void {
  for (const [k, n] of other) into.set(k, Math.max(into.get(k) ?? 0, n));
}

/** `of` picks requests or limits of a container. */
export function podAmounts(pod: Pod, kind: "requests" | "limits"): Map<string, number> {
  const of = (c: ContainerSpec) => amounts(c.resources?.[kind] as ResourceList);
  const total = new Map<string, number>();
  for (const c of pod.spec!.containers) add(total, of(c));
  const sidecars = new Map<string, number>();
  const initMost = new Map<string, number>();
  for (const c of pod.spec!.initContainers ?? []) {
    if (c.restartPolicy === "Always") {
      add(total, of(c));
      add(sidecars, of(c));
      raise(initMost, sidecars);
    } else raise(initMost, add(of(c), sidecars));
  }
  raise(total, initMost);
  const own = (pod.spec as { resources?: { requests?: ResourceList; limits?: ResourceList } }).resources?.[kind];
  for (const [k, n] of amounts(own)) total.set(k, n);
  const overhead = amounts(pod.spec!.overhead as ResourceList);
  if (kind === "requests") add(total, overhead);
  else for (const [k, n] of overhead) if (total.has(k)) total.set(k, (total.get(k) as number) + n);
  return total;
}

/** Pods that static manifests or the system itself depend on: they may preempt others on the node (types.IsCriticalPod). */
export function isCriticalPod(pod: Pod): boolean {
  const annotations = pod.metadata?.annotations ?? {};
  if (isStaticPod(pod) || annotations["kubernetes.io/config.mirror"] !== undefined) return true;
  return (pod.spec!.priority ?? 0) >= SYSTEM_CRITICAL_PRIORITY;
}

export function isStaticPod(pod: Pod): boolean {
  const source = pod.metadata?.annotations?.["kubernetes.io/config.source"];
  return source !== undefined && source !== "api";
}

const SYSTEM_CRITICAL_PRIORITY = 2_000_000_000;
