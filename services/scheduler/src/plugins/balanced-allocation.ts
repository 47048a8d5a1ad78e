// NodeResourcesBalancedAllocation: prefers nodes on which cpu and memory would be used to the same degree.
import { MAX_SCORE, type Plugin } from "../framework/plugin.ts";

export const balancedAllocation: Plugin = {
  name: "NodeResourcesBalancedAllocation",
  preScore: (c) => (c.pod.requests.cpu === 0 && c.pod.requests.memory === 0 ? "skip" : undefined),
  score(c, node) {
    const { allocatable, requested } = node;
    if (allocatable.cpu === 0 || allocatable.memory === 0) return MAX_SCORE;
    const cpu = Math.min(1, (requested.cpu + c.pod.requests.cpu) / allocatable.cpu);
    const memory = Math.min(1, (requested.memory + c.pod.requests.memory) / allocatable.memory);
    return Math.trunc((1 - Math.abs(cpu - memory) / 2) * MAX_SCORE);
  },
};
