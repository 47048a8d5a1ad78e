// Which pods must leave a node and in what words (eviction/helpers.go, eviction_manager.go). Pure: observations in, one decision out.
// Invariant: who uses more than it asked for goes before who does not, then the lower priority, then the larger excess.
import { type Container as ContainerSpec, type Pod, parseQuantity } from "@podwire/api";
import { amountOf, isCriticalPod, podAmounts } from "../pod-requests.ts";
import type { PodUsage } from "../stats/usage.ts";
import { resolvedBytes, type Signal, type Threshold, thresholdBytes } from "./thresholds.ts";

export interface Observation {
  available: number;
  capacity: number;
}
export type Observations = ReadonlyMap<Signal, Observation>;

export type Condition = "MemoryPressure" | "DiskPressure" | "PIDPressure";

export const CONDITION_OF: Readonly<Record<Signal, Condition>> = {
  "memory.available": "MemoryPressure",
  "nodefs.available": "DiskPressure",
  "nodefs.inodesFree": "DiskPressure",
  "imagefs.available": "DiskPressure",
  "imagefs.inodesFree": "DiskPressure",
  "pid.available": "PIDPressure",
};

export const RESOURCE_OF: Readonly<Record<Signal, string>> = {
  "memory.available": "memory",
  "nodefs.available": "ephemeral-storage",
  "nodefs.inodesFree": "inodes",
  "imagefs.available": "ephemeral-storage",
  "imagefs.inodesFree": "inodes",
  "pid.available": "pids",
};

export interface Eviction {
  pod: Pod;
  message: string;
  /** On the event: who was over what. */
  annotations: Record<string, string>;
  signal: string;
  /** A soft threshold leaves the pod some time (--eviction-max-pod-grace-period). */
  soft?: boolean;
}

/**
 * Thresholds that are crossed; memory goes first, as it is the scarcest in time. One that was crossed at the look before is so until its
 * minimum reclaim is there, too.
 */
export function crossed(thresholds: readonly Threshold[], seen: Observations, before: ReadonlySet<Threshold> = new Set()): Threshold[] {
  const met = thresholds.filter((t) => {
    const o = seen.get(t.signal);
    return o !== undefined && o.available < (before.has(t) ? resolvedBytes(t, o.capacity) : thresholdBytes(t, o.capacity));
  });
  return met.sort((a, b) => Number(b.signal === "memory.available") - Number(a.signal === "memory.available"));
}

/** Pods over a limit of their own on local storage: at once, whatever the node has left. */
export function overLocalLimits(pods: readonly PodUsage[]): Eviction[] {
  const out: Eviction[] = [];
  for (const p of pods) {
    const message = localViolation(p);
    if (message !== undefined && !isCriticalPod(p.pod)) out.push({ pod: p.pod, message, annotations: {}, signal: "" });
  }
  return out;
}

function localViolation(p: PodUsage): string | undefined {
  for (const v of p.pod.spec!.volumes ?? []) {
    const limit = v.emptyDir?.sizeLimit;
    const used = p.volumes.find((u) => u.name === v.name);
    if (limit === undefined || limit === null || used === undefined || String(limit) === "0") continue;
    if (used.bytes > amountOf("ephemeral-storage", limit))
      return `Usage of EmptyDir volume ${JSON.stringify(v.name)} exceeds the limit ${JSON.stringify(parseQuantity(String(limit)).toString())}. `;
  }
  const limits = podAmounts(p.pod, "limits");
  const podLimit = limits.get("ephemeral-storage");
  if (podLimit !== undefined && p.diskBytes > podLimit)
    return `Pod ephemeral local storage usage exceeds the total limit of containers ${quantityText("ephemeral-storage", podLimit)}. `;
  for (const c of [...p.pod.spec!.containers, ...(p.pod.spec!.initContainers ?? [])]) {
    const limit = (c.resources?.limits as Record<string, string> | undefined)?.["ephemeral-storage"];
    const used = p.containers.find((u) => u.name === c.name);
    if (limit !== undefined && used && used.rootfsBytes + used.logBytes > amountOf("ephemeral-storage", limit))
      return `Container ${c.name} exceeded its local ephemeral storage limit ${JSON.stringify(parseQuantity(limit).toString())}. `;
  }
  return undefined;
}

/** The one pod that goes for a crossed threshold, or undefined when nobody may. */
export function choose(t: Threshold, o: Observation, pods: readonly PodUsage[]): Eviction | undefined {
  const resource = RESOURCE_OF[t.signal];
  const ranked = rank(resource, pods).filter((p) => !isCriticalPod(p.pod));
  const first = ranked[0];
  if (!first) return undefined;
  let message = `The node was low on resource: ${resource}. `;
  message += `Threshold quantity: ${quantityText(resource, thresholdBytes(t, o.capacity))}, available: ${quantityText(resource, o.available)}. `;
  const annotations: Record<string, string> = { starved_resource: resource };
  const names: string[] = [];
  const amounts: string[] = [];
  for (const c of first.pod.spec!.containers) {
    const over = overRequest(c, resource, first);
    if (!over) continue;
    message += `Container ${c.name} was using ${over.used}, request is ${over.request}, has larger consumption of ${resource}. `;
    names.push(c.name!);
    amounts.push(over.used);
  }
  annotations["offending_containers"] = names.join(",");
  annotations["offending_containers_usage"] = amounts.join(",");
  return { pod: first.pod, message, annotations, signal: t.signal, soft: t.graceMs !== undefined };
}

function overRequest(c: ContainerSpec, resource: string, p: PodUsage): { used: string; request: string } | undefined {
  const u = p.containers.find((x) => x.name === c.name);
  if (!u || (resource !== "memory" && resource !== "ephemeral-storage")) return undefined;
  const used = resource === "memory" ? u.memoryBytes : u.rootfsBytes + u.logBytes;
  const request = amountOf(resource, (c.resources?.requests as Record<string, string> | undefined)?.[resource] ?? "0");
  return used > request ? { used: quantityText(resource, used), request: quantityText(resource, request) } : undefined;
}

export function rank(resource: string, pods: readonly PodUsage[]): PodUsage[] {
  const used = (p: PodUsage) =>
    resource === "memory" ? p.memoryBytes : resource === "pids" ? p.processes : resource === "inodes" ? p.diskInodes : p.diskBytes;
  const excess = (p: PodUsage) =>
    used(p) - (resource === "pids" || resource === "inodes" ? 0 : (podAmounts(p.pod, "requests").get(resource) ?? 0));
  const over = (p: PodUsage) => resource !== "pids" && excess(p) > 0;
  const priority = (p: PodUsage) => p.pod.spec!.priority ?? 0;
  return [...pods].sort((a, b) => Number(over(b)) - Number(over(a)) || priority(a) - priority(b) || excess(b) - excess(a));
}

/** Memory and storage in whole binary units, as resource.Quantity prints them. */
function quantityText(resource: string, n: number): string {
  const whole = Math.round(n);
  if (resource === "pids" || resource === "inodes") return String(whole);
  if (whole === 0) return "0";
  for (const [unit, size] of [
    ["Gi", 1024 ** 3],
    ["Mi", 1024 ** 2],
    ["Ki", 1024],
  ] as const)
    if (whole % size === 0) return `${whole / size}${unit}`;
  // metrics.k8s.io and cAdvisor count in bytes; the kubelet prints those as Ki.
  return `${Math.ceil(whole / 1024)}Ki`;
}
