// Amounts of resources as plain numbers: cpu in thousandths, everything else in units (bytes, pieces). What a pod asks for is the
// sum of its containers, or the largest moment of its initialization if that is more (KEP-753 for sidecars), plus overhead.
import { parseQuantity } from "@podwire/api";

export interface Resources {
  /** Thousandths of a core. */
  cpu: number;
  /** Bytes. */
  memory: number;
  /** Bytes. */
  ephemeral: number;
  /** Extended resources and huge pages. */
  scalar: Map<string, number> | undefined;
}

/** What a container that asks for nothing counts as when nodes are scored. */
export const DEFAULT_MILLI_CPU = 100;
export const DEFAULT_MEMORY = 200 * 1024 * 1024;

export const none = (): Resources => ({ cpu: 0, memory: 0, ephemeral: 0, scalar: undefined });

export function amount(name: string, text: string | number): number {
  const q = parseQuantity(String(text));
  return Number(name === "cpu" ? q.milli() : q.value());
}

export function resourcesOf(list: Record<string, string> | undefined): Resources {
  const r = none();
  for (const name in list) set(r, name, amount(name, list[name] as string));
  return r;
}

function set(r: Resources, name: string, n: number): void {
  if (name === "cpu") r.cpu = n;
  else if (name === "memory") r.memory = n;
  else if (name === "ephemeral-storage") r.ephemeral = n;
  else if (name !== "pods") (r.scalar ??= new Map()).set(name, n);
}

export function add(into: Resources, r: Resources, sign: 1 | -1 = 1): void {
  into.cpu += sign * r.cpu;
  into.memory += sign * r.memory;
  into.ephemeral += sign * r.ephemeral;
  if (r.scalar) {
    into.scalar ??= new Map();
    for (const [name, n] of r.scalar) into.scalar.set(name, (into.scalar.get(name) ?? 0) + sign * n);
  }
}

function raise(into: Resources, r: Resources): void {
  into.cpu = Math.max(into.cpu, r.cpu);
  into.memory = Math.max(into.memory, r.memory);
  into.ephemeral = Math.max(into.ephemeral, r.ephemeral);
  if (r.scalar) {
    into.scalar ??= new Map();
    for (const [name, n] of r.scalar) into.scalar.set(name, Math.max(into.scalar.get(name) ?? 0, n));
  }
}

export function copy(r: Resources): Resources {
  return { ...r, scalar: r.scalar ? new Map(r.scalar) : undefined };
}

/** What one container asks for; with `defaults`, silence about cpu and memory counts as a little. */
function containerRequests(c: any, defaults: boolean): Resources {
  const r = resourcesOf(c.resources?.requests);
  // A limit without a request is a request (the API defaults this; huge pages come as limits only).
  for (const name in c.resources?.limits)
    if (c.resources.requests?.[name] === undefined) set(r, name, amount(name, c.resources.limits[name]));
  if (defaults) {
    if (c.resources?.requests?.cpu === undefined && r.cpu === 0) r.cpu = DEFAULT_MILLI_CPU;
    if (c.resources?.requests?.memory === undefined && r.memory === 0) r.memory = DEFAULT_MEMORY;
  }
  return r;
}

/** What a pod asks for. */
export function podRequests(spec: any, defaults = false): Resources {
  const total = none();
  for (const c of spec.containers ?? []) add(total, containerRequests(c, defaults));
  const sidecars = none();
  const initMax = none();
  for (const c of spec.initContainers ?? []) {
    const r = containerRequests(c, defaults);
    if (c.restartPolicy === "Always") {
      add(total, r);
      add(sidecars, r);
      raise(initMax, copy(sidecars));
    } else {
      add(r, sidecars);
      raise(initMax, r);
    }
  }
  raise(total, initMax);
  const level = spec.resources?.requests;
  if (level) for (const name of ["cpu", "memory"]) if (level[name] !== undefined) set(total, name, amount(name, level[name]));
  if (spec.overhead) add(total, resourcesOf(spec.overhead));
  return total;
}
