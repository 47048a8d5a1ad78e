// Arithmetic of a rollout: surge and unavailability, the size of the newest set, proportions when a rollout is scaled midway.
import { scaledValue } from "@podwire/api";
import type { KubeObject } from "@podwire/client";
import { annotatedNumber, MAX_REPLICAS } from "./revisions.ts";

export const replicasOf = (o: KubeObject): number => o["spec"].replicas ?? 1;
export const isRolling = (d: KubeObject): boolean => (d["spec"].strategy?.type ?? "RollingUpdate") === "RollingUpdate";
export const sumOf = (sets: readonly KubeObject[], n: (rs: KubeObject) => number): number => sets.reduce((t, rs) => t + n(rs), 0);
export const availableOf = (rs: KubeObject): number => rs["status"]?.availableReplicas ?? 0;

/** Both limits in pods; surge rounds up, unavailable down, and never both zero. */
export function fenceposts(d: KubeObject): { surge: number; unavailable: number } {
  const r = d["spec"].strategy?.rollingUpdate ?? {};
  const surge = scaledValue(r.maxSurge ?? "25%", replicasOf(d), true);
  const unavailable = scaledValue(r.maxUnavailable ?? "25%", replicasOf(d), false);
  return surge === 0 && unavailable === 0 ? { surge, unavailable: 1 } : { surge, unavailable };
}

export const maxSurge = (d: KubeObject): number => (isRolling(d) ? fenceposts(d).surge : 0);

export function maxUnavailable(d: KubeObject): number {
  if (!isRolling(d) || replicasOf(d) === 0) return 0;
  return Math.min(fenceposts(d).unavailable, replicasOf(d));
}

/** How large the newest set may be now. */
export function newSetSize(d: KubeObject, all: readonly KubeObject[], current: number): number {
  if (!isRolling(d)) return replicasOf(d);
  const pods = sumOf(all, replicasOf);
  const max = replicasOf(d) + fenceposts(d).surge;
  if (pods >= max) return current;
  return current + Math.min(max - pods, replicasOf(d) - current);
}

/** Shares of a change of size among sets in proportion to their sizes; the first (largest) takes what rounding leaves. */
export function proportionalSizes(d: KubeObject, active: readonly KubeObject[]): Map<KubeObject, number> {
  const allowed = replicasOf(d) > 0 ? replicasOf(d) + maxSurge(d) : 0;
  const toAdd = allowed - sumOf(active, replicasOf);
  const sets = [...active];
  const age = (rs: KubeObject) => rs.metadata.creationTimestamp ?? "";
  sets.sort((a, b) => {
    if (replicasOf(a) !== replicasOf(b)) return replicasOf(b) - replicasOf(a);
    const order = age(a) < age(b) ? -1 : age(a) > age(b) ? 1 : a.metadata.name < b.metadata.name ? -1 : 1;
    return toAdd > 0 ? -order : order;
  });
  const sizes = new Map<KubeObject, number>();
  let added = 0;
  for (const rs of sets) {
    const share = toAdd === 0 ? 0 : proportion(rs, d, toAdd, added);
    sizes.set(rs, replicasOf(rs) + share);
    added += share;
  }
  const first = sets[0];
  if (first && toAdd !== 0) sizes.set(first, Math.max(0, (sizes.get(first) as number) + toAdd - added));
  return sizes;
}

function proportion(rs: KubeObject, d: KubeObject, toAdd: number, added: number): number {
  if (replicasOf(rs) === 0 || toAdd === added) return 0;
  const fraction = setFraction(rs, d);
  const left = toAdd - added;
  return toAdd > 0 ? Math.min(fraction, left) : Math.max(fraction, left);
}

function setFraction(rs: KubeObject, d: KubeObject): number {
  if (replicasOf(d) === 0) return -replicasOf(rs);
  const before = annotatedNumber(rs, MAX_REPLICAS) || d["status"]?.replicas || 0;
  if (before === 0) return 0;
  return Math.round((replicasOf(rs) * (replicasOf(d) + maxSurge(d))) / before) - replicasOf(rs);
}
