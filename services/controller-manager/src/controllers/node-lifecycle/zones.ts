// How fast the nodes of a zone may be evicted (nodelifecycle's zone states): as usual, more slowly or not at all when much of a larger or
// smaller zone is silent, and not at all when every zone is. Pure.
import type { KubeObject } from "@podwire/client";

export type ZoneCondition = "Normal" | "PartialDisruption" | "FullDisruption";

export interface ZoneState {
  size: number;
  state: ZoneCondition;
}

const EXCLUDED = "node.kubernetes.io/exclude-disruption";
/** A zone is disturbed only when more than so many of its nodes are not ready. */
const FEW = 2;

/** Some nodes come and go by design: their label says that they tell nothing about a zone. */
export const countsForDisruption = (node: KubeObject): boolean => node.metadata.labels?.[EXCLUDED] === undefined;

export function zoneStates(nodes: readonly { zone: string; ready: boolean }[], unhealthyThreshold: number): Map<string, ZoneState> {
  const counts = new Map<string, { ready: number; notReady: number }>();
  for (const n of nodes) {
    const k = counts.get(n.zone) ?? { ready: 0, notReady: 0 };
    if (n.ready) k.ready++;
    else k.notReady++;
    counts.set(n.zone, k);
  }
  return new Map(
    [...counts].map(([zone, k]) => [zone, { size: k.ready + k.notReady, state: stateOf(k.ready, k.notReady, unhealthyThreshold) }]),
  );
}

function stateOf(ready: number, notReady: number, unhealthyThreshold: number): ZoneCondition {
  if (ready === 0 && notReady > 0) return "FullDisruption";
  if (notReady > FEW && notReady / (notReady + ready) >= unhealthyThreshold) return "PartialDisruption";
  return "Normal";
}

/** Every zone that still exists was fully disrupted; a zone that was not there was not. */
export function allDisrupted(states: ReadonlyMap<string, ZoneState>, existing: ReadonlyMap<string, ZoneState>): boolean {
  if (existing.size === 0) return false;
  for (const zone of existing.keys()) if (states.get(zone)?.state !== "FullDisruption") return false;
  return true;
}

/** Nodes a second that may be tainted in a zone. */
export function zoneRate(
  state: ZoneCondition,
  zoneSize: number,
  everywhere: boolean,
  o: { evictionRate: number; secondaryRate: number; largeCluster: number },
): number {
  if (everywhere) return 0;
  if (state === "PartialDisruption") return zoneSize > o.largeCluster ? o.secondaryRate : 0;
  return o.evictionRate;
}
