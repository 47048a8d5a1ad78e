// In-place resize of a pod's containers (KEP-1287): what is asked for, what is allocated, what is in effect. Pure.
// Invariant: resources are allocated all of a pod or none; a pod whose resize waits keeps what it had.
import type { Container as ContainerSpec, Pod, ResourceRequirements } from "@podwire/api";
import { type ContainerRecord, isSidecar, type PodRecord } from "./pod-record.ts";
import { amountOf, isStaticPod, podAmounts } from "./pod-requests.ts";

const RESIZABLE = ["cpu", "memory"] as const;

type List = Readonly<Record<string, string>> | undefined;

/** Names of resources that differ between two requirements. */
export function changedResources(a: ResourceRequirements | undefined, b: ResourceRequirements | undefined): string[] {
  const amount = (list: List, name: string) => (list?.[name] === undefined ? undefined : amountOf(name, list[name]));
  return RESIZABLE.filter(
    (name) =>
      amount(a?.requests as List, name) !== amount(b?.requests as List, name) ||
      amount(a?.limits as List, name) !== amount(b?.limits as List, name),
  );
}

/** Containers that may be resized: the main ones and sidecars. */
export function resizable(pod: Pod): ContainerSpec[] {
  return [...pod.spec!.containers, ...(pod.spec!.initContainers ?? []).filter(isSidecar)];
}

/** The pod as the node has room for it: with what is allocated in place of what is asked for. */
export function allocatedPod(r: PodRecord): Pod {
  const of = (c: ContainerSpec): ContainerSpec => {
    const allocated = r.containers.get(c.name)?.allocated;
    return allocated === undefined || changedResources(c.resources, allocated).length === 0 ? c : { ...c, resources: allocated };
  };
  const { spec } = r.pod;
  if (!resizable(r.pod).some((c) => of(c) !== c)) return r.pod;
  const initContainers = spec!.initContainers ? { initContainers: spec!.initContainers.map(of) } : {};
  return { ...r.pod, spec: { ...spec!, containers: spec!.containers.map(of), ...initContainers } };
}

export function wantsResize(r: PodRecord): boolean {
  return resizable(r.pod).some((c) => {
    const record = r.containers.get(c.name);
    return record?.allocated !== undefined && changedResources(c.resources, record.allocated).length > 0;
  });
}

/** Undefined when the node has room; `others` are pods as allocated. */
export function judgeResize(
  pod: Pod,
  others: readonly Pod[],
  allocatable: Readonly<Record<string, string>>,
): { reason: "Deferred" | "Infeasible"; message: string } | undefined {
  if (isStaticPod(pod)) return { reason: "Infeasible", message: "In-place resize of static-pods is not supported" };
  const wanted = podAmounts(pod, "requests");
  const has = (name: string) => amountOf(name, allocatable[name] ?? "0");
  for (const name of RESIZABLE) {
    const requested = wanted.get(name) ?? 0;
    if (requested > has(name))
      return {
        reason: "Infeasible",
        message: `Node didn't have enough capacity: ${name}, requested: ${requested}, capacity: ${has(name)}`,
      };
  }
  for (const name of RESIZABLE) {
    const requested = wanted.get(name) ?? 0;
    const used = others.reduce((n, o) => n + (podAmounts(o, "requests").get(name) ?? 0), 0);
    if (requested > has(name) - used)
      return {
        reason: "Deferred",
        message: `Node didn't have enough resource: ${name}, requested: ${requested}, used: ${used}, capacity: ${has(name)}`,
      };
  }
  return undefined;
}

/** Takes what the spec asks for as allocated. */
export function allocate(r: PodRecord): void {
  for (const c of [...r.pod.spec!.containers, ...(r.pod.spec!.initContainers ?? [])]) {
    const record = r.containers.get(c.name);
    if (record) record.allocated = c.resources ?? {};
  }
}

/** Must the container be started anew for its new resources? */
export function needsRestart(spec: ContainerSpec, c: ContainerRecord): boolean {
  const changed = changedResources(c.actual, c.allocated);
  return (spec.resizePolicy ?? []).some((p) => p.restartPolicy === "RestartContainer" && changed.includes(p.resourceName!));
}

/** The memory limit that a container would get, when it is lower than what it uses now. */
export function limitBelowUsage(c: ContainerRecord): string | undefined {
  const limit = (c.allocated?.limits as List)?.["memory"];
  if (limit === undefined || !c.container) return undefined;
  const bytes = amountOf("memory", limit);
  const used = c.container.memory.usedBytes;
  return bytes < used ? `attempting to set container memory limit (${bytes}) below current usage (${used})` : undefined;
}
