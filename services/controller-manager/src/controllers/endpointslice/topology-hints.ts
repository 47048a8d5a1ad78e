// Hints for Services that ask for topology-aware routing by annotation (service.kubernetes.io/topology-mode: Auto; KEP-2433,
// endpointslice/topologycache): each zone gets endpoints by its share of the nodes' CPU. Pure.
// Invariants: either every ready endpoint of a family has a hint or none has; no zone gets fewer endpoints than its share allows at an
// overload of OVERLOAD; hints that still keep to that stay as they are.
import { parseQuantity } from "@podwire/api";
import type { KubeObject } from "@podwire/client";

const ZONE_LABEL = "topology.kubernetes.io/zone";
const EXCLUDED = ["node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master"];
/** How much more than its share an endpoint may have to bear. */
const OVERLOAD = 0.2;

/** The Service asks for hints by annotation; the older name goes before the newer one. */
export function asksForHints(service: KubeObject): boolean {
  const a = service.metadata.annotations ?? {};
  const value = a["service.kubernetes.io/topology-aware-hints"] ?? a["service.kubernetes.io/topology-mode"];
  return value === "Auto" || value === "auto";
}

/** Each zone's share of the CPU of ready nodes; undefined when that cannot be told, or with fewer than two zones. */
export function cpuShares(nodes: readonly KubeObject[]): ReadonlyMap<string, number> | undefined {
  const byZone = new Map<string, number>();
  let total = 0;
  for (const n of nodes) {
    const labels = n.metadata.labels ?? {};
    if (EXCLUDED.some((l) => labels[l] !== undefined)) continue;
    if ((n["status"]?.conditions ?? []).find((c: any) => c.type === "Ready")?.status !== "True") continue;
    const zone = labels[ZONE_LABEL];
    const cpu = Number(parseQuantity(String(n["status"]?.allocatable?.cpu ?? "0")).milli());
    if (!zone || cpu === 0) return undefined;
    byZone.set(zone, (byZone.get(zone) ?? 0) + cpu);
    total += cpu;
  }
  if (byZone.size < 2) return undefined;
  return new Map([...byZone].map(([zone, cpu]) => [zone, cpu / total]));
}

export interface HintedEndpoint {
  key: string;
  zone: string | undefined;
  ready: boolean;
  /** The zone of the hint that it has now. */
  hint: string | undefined;
}

export type Hints = { zones: ReadonlyMap<string, string> } | { why: string };

interface Allocation {
  minimum: number;
  maximum: number;
  desired: number;
}

export function planHints(endpoints: readonly HintedEndpoint[], shares: ReadonlyMap<string, number> | undefined): Hints {
  const ready = endpoints.filter((e) => e.ready);
  const allocations = allocate(ready.length, shares);
  if ("why" in allocations) return allocations;
  if (ready.some((e) => !e.zone)) return { why: "One or more endpoints do not have a zone specified" };
  if (ready.length === 0) return { why: "No hints allocated for zones" };
  if (holds(ready, allocations.byZone)) return { zones: new Map(ready.map((e) => [e.key, e.hint as string])) };
  const zones = new Map(ready.map((e) => [e.key, e.zone as string]));
  const have = new Map<string, number>();
  for (const zone of zones.values()) have.set(zone, (have.get(zone) ?? 0) + 1);
  const { giving, receiving } = exchange(allocations.byZone, have);
  const give = (e: HintedEndpoint, to: string) => {
    const from = e.zone as string;
    if ((giving.get(from) ?? 0) === 0 || (receiving.get(to) ?? 0) === 0 || zones.get(e.key) !== from) return;
    zones.set(e.key, to);
    giving.set(from, (giving.get(from) as number) - 1);
    receiving.set(to, (receiving.get(to) as number) - 1);
  };
  // Those that serve another zone already go on doing so.
  for (const e of ready) if (e.hint !== undefined) give(e, e.hint);
  for (const e of ready) for (const to of receiving.keys()) give(e, to);
  return { zones };
}

function allocate(n: number, shares: ReadonlyMap<string, number> | undefined): { byZone: Map<string, Allocation> } | { why: string } {
  if (!shares) return { why: "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes" };
  const counts = `(${n} endpoints, ${shares.size} zones)`;
  if (shares.size > n) return { why: `Insufficient number of endpoints ${counts}` };
  const byZone = new Map<string, Allocation>();
  let minimums = 0;
  for (const [zone, share] of shares) {
    const desired = share * n;
    const minimum = Math.ceil(desired * (1 / (1 + OVERLOAD)));
    byZone.set(zone, { minimum, maximum: 0, desired: Math.max(desired, minimum) });
    minimums += minimum;
  }
  if (minimums > n)
    return { why: `Unable to allocate minimum required endpoints to each zone without exceeding overload threshold ${counts}` };
  for (const a of byZone.values()) a.maximum = a.minimum + n - minimums;
  return { byZone };
}

/** The hints that are there keep to the allocation. */
function holds(ready: readonly HintedEndpoint[], allocations: ReadonlyMap<string, Allocation>): boolean {
  const counts = new Map<string, number>();
  for (const e of ready) {
    if (e.hint === undefined || !allocations.has(e.hint)) return false;
    counts.set(e.hint, (counts.get(e.hint) ?? 0) + 1);
  }
  for (const [zone, a] of allocations) {
    const n = counts.get(zone) ?? 0;
    if (n < a.minimum || n > a.maximum) return false;
  }
  return true;
}

/** How many endpoints each zone gives to, and takes from, others: whole ones, the greatest need first. */
function exchange(allocations: ReadonlyMap<string, Allocation>, have: ReadonlyMap<string, number>) {
  const surplus = new Map<string, number>();
  const lack = new Map<string, number>();
  for (const [zone, a] of allocations) {
    const d = (have.get(zone) ?? 0) - a.desired;
    if (d > 0) surplus.set(zone, d);
    if (d < 0) lack.set(zone, -d);
  }
  const most = (m: ReadonlyMap<string, number>): [string, number] => {
    let best: [string, number] = ["", 0];
    for (const [zone, n] of m) if (n > best[1]) best = [zone, n];
    return best;
  };
  const giving = new Map<string, number>();
  const receiving = new Map<string, number>();
  for (;;) {
    const [from, give] = most(surplus);
    const [to, take] = most(lack);
    if (from === "" || to === "" || (give < 1 && take < 1) || give < 0.5 || take < 0.5) return { giving, receiving };
    giving.set(from, (giving.get(from) ?? 0) + 1);
    receiving.set(to, (receiving.get(to) ?? 0) + 1);
    surplus.set(from, give - 1);
    lack.set(to, take - 1);
  }
}
