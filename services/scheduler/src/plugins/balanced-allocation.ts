// NodeResourcesBalancedAllocation: prefers nodes on which the resources would be used to the same degree.
import { MAX_SCORE, type Plugin } from "../framework/plugin.ts";
import { amountOf, CPU_AND_MEMORY, usage, type WeightedResource } from "./resource-allocation.ts";

export function balancedAllocation(resources: readonly WeightedResource[] = CPU_AND_MEMORY): Plugin {
  return {
    name: "NodeResourcesBalancedAllocation",
    preScore: (c) => (resources.every((r) => amountOf(c.pod.requests, r.name) === 0) ? "skip" : undefined),
    score(c, node) {
      const used: number[] = [];
      for (const { name } of resources) {
        const u = usage(c.pod, node, name, true);
        if (u) used.push(Math.min(1, u.requested / u.capacity));
      }
      return Math.trunc((1 - deviation(used)) * MAX_SCORE);
    },
  };
}

function deviation(values: readonly number[]): number {
  if (values.length === 2) return Math.abs((values[0] as number) - (values[1] as number)) / 2;
  if (values.length < 2) return 0;
  const mean = values.reduce((n, v) => n + v, 0) / values.length;
  return Math.sqrt(values.reduce((n, v) => n + (v - mean) ** 2, 0) / values.length);
}
