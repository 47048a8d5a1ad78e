// NodeResourcesFit: the requests must fit into what the node has left; score: the emptier the better (LeastAllocated).
// All resources that lack are named, because the message to the user lists them.
import { MAX_SCORE, type Plugin, type Rejection } from "../framework/plugin.ts";

export const nodeResourcesFit: Plugin = {
  name: "NodeResourcesFit",
  filter(c, node): Rejection | undefined {
    const want = c.pod.requests;
    const { allocatable, requested } = node;
    let reasons: string[] | undefined;
    let unresolvable = false;
    const lacks = (reason: string, tooBig: boolean) => {
      (reasons ??= []).push(reason);
      if (tooBig) unresolvable = true;
    };
    if (node.pods.size + 1 > node.maxPods) lacks("Too many pods", false);
    if (want.cpu > 0 && want.cpu > allocatable.cpu - requested.cpu) lacks("Insufficient cpu", want.cpu > allocatable.cpu);
    if (want.memory > 0 && want.memory > allocatable.memory - requested.memory)
      lacks("Insufficient memory", want.memory > allocatable.memory);
    if (want.ephemeral > 0 && want.ephemeral > allocatable.ephemeral - requested.ephemeral)
      lacks("Insufficient ephemeral-storage", want.ephemeral > allocatable.ephemeral);
    if (want.scalar)
      for (const [name, n] of want.scalar) {
        if (n === 0) continue;
        const has = allocatable.scalar?.get(name) ?? 0;
        if (n > has - (requested.scalar?.get(name) ?? 0)) lacks(`Insufficient ${name}`, n > has);
      }
    return reasons ? { reasons, unresolvable } : undefined;
  },
  score(c, node) {
    const { cpu, memory } = node.allocatable;
    let sum = 0;
    let weights = 0;
    if (cpu > 0) {
      sum += least(node.nonZeroCpu + c.pod.nonZeroCpu, cpu);
      weights++;
    }
    if (memory > 0) {
      sum += least(node.nonZeroMemory + c.pod.nonZeroMemory, memory);
      weights++;
    }
    return weights === 0 ? 0 : Math.trunc(sum / weights);
  },
};

function least(requested: number, capacity: number): number {
  return requested > capacity ? 0 : Math.trunc(((capacity - requested) * MAX_SCORE) / capacity);
}
