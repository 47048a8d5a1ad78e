// What a resource of a node would be used to with the pod on it, and the strategies that make a score of it
// (noderesources/resource_allocation.go, least_allocated.go, most_allocated.go, requested_to_capacity_ratio.go). Pure; whole numbers are cut
// off as in Go.
import type { NodeInfo } from "../framework/node-info.ts";
import { MAX_SCORE } from "../framework/plugin.ts";
import type { PodInfo } from "../framework/pod-info.ts";
import type { Resources } from "../framework/resources.ts";

export interface WeightedResource {
  readonly name: string;
  readonly weight: number;
}

export const CPU_AND_MEMORY: readonly WeightedResource[] = [
  { name: "cpu", weight: 1 },
  { name: "memory", weight: 1 },
];

export interface ShapePoint {
  utilization: number;
  score: number;
}

export type Strategy = { type: "LeastAllocated" | "MostAllocated" } | { type: "RequestedToCapacityRatio"; shape: readonly ShapePoint[] };

/** Scores of shapes are given from 0 to this. */
const MAX_SHAPE_SCORE = 10;

export function amountOf(r: Resources, name: string): number {
  if (name === "cpu") return r.cpu;
  if (name === "memory") return r.memory;
  if (name === "ephemeral-storage") return r.ephemeral;
  return r.scalar?.get(name) ?? 0;
}

/** What the node has of a resource and what would be asked of it, the pod included; undefined when the resource is nothing to go by. */
export function usage(pod: PodInfo, node: NodeInfo, name: string, bare: boolean): { capacity: number; requested: number } | undefined {
  const capacity = amountOf(node.allocatable, name);
  if (capacity === 0) return undefined;
  // Containers that say nothing of cpu or memory count as small ones, unless the bare requests are meant.
  if (!bare && name === "cpu") return { capacity, requested: node.nonZeroCpu + pod.nonZeroCpu };
  if (!bare && name === "memory") return { capacity, requested: node.nonZeroMemory + pod.nonZeroMemory };
  const own = amountOf(pod.requests, name);
  if (own === 0 && !["cpu", "memory", "ephemeral-storage"].includes(name)) return undefined;
  return { capacity, requested: amountOf(node.requested, name) + own };
}

export function scoreBy(strategy: Strategy, resources: readonly WeightedResource[], pod: PodInfo, node: NodeInfo): number {
  let sum = 0;
  let weights = 0;
  for (const { name, weight } of resources) {
    const u = usage(pod, node, name, false);
    if (!u) continue;
    const points = pointsOf(strategy, u.requested, u.capacity);
    if (strategy.type === "RequestedToCapacityRatio" && points <= 0) continue;
    sum += points * weight;
    weights += weight;
  }
  if (weights === 0) return 0;
  return strategy.type === "RequestedToCapacityRatio" ? Math.round(sum / weights) : Math.trunc(sum / weights);
}

function pointsOf(s: Strategy, requested: number, capacity: number): number {
  switch (s.type) {
    case "LeastAllocated":
      return requested > capacity ? 0 : Math.trunc(((capacity - requested) * MAX_SCORE) / capacity);
    case "MostAllocated":
      return Math.trunc((Math.min(requested, capacity) * MAX_SCORE) / capacity);
    case "RequestedToCapacityRatio":
      return onShape(s.shape, requested > capacity ? 100 : Math.trunc((requested * 100) / capacity));
  }
}

/** Linear between the points of a shape, level outside of them. */
export function onShape(shape: readonly ShapePoint[], utilization: number): number {
  const score = (p: ShapePoint) => p.score * (MAX_SCORE / MAX_SHAPE_SCORE);
  for (const [i, p] of shape.entries()) {
    if (utilization > p.utilization) continue;
    const before = shape[i - 1];
    if (!before) return score(p);
    const rise = (score(p) - score(before)) * (utilization - before.utilization);
    return score(before) + Math.trunc(rise / (p.utilization - before.utilization));
  }
  const last = shape.at(-1);
  return last ? score(last) : 0;
}
