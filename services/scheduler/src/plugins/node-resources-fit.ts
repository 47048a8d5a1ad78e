// NodeResourcesFit: the requests must fit into what the node has left; score by the strategy of its arguments, the emptier the better unless
// they say otherwise. All resources that lack are named, because the message to the user lists them.
import type { Plugin, Rejection } from "../framework/plugin.ts";
import { CPU_AND_MEMORY, type Strategy, scoreBy, type WeightedResource } from "./resource-allocation.ts";

export interface NodeResourcesFitArgs {
  ignoredResources?: readonly string[];
  ignoredResourceGroups?: readonly string[];
  strategy?: Strategy;
  resources?: readonly WeightedResource[];
}

export function nodeResourcesFit(args: NodeResourcesFitArgs = {}): Plugin {
  const ignored = new Set(args.ignoredResources ?? []);
  const groups = new Set(args.ignoredResourceGroups ?? []);
  const counts = (name: string) => !ignored.has(name) && !(name.includes("/") && groups.has(name.split("/")[0] as string));
  const strategy = args.strategy ?? { type: "LeastAllocated" };
  const resources = args.resources ?? CPU_AND_MEMORY;
  return {
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
          if (n === 0 || !counts(name)) continue;
          const has = allocatable.scalar?.get(name) ?? 0;
          if (n > has - (requested.scalar?.get(name) ?? 0)) lacks(`Insufficient ${name}`, n > has);
        }
      return reasons ? { reasons, unresolvable } : undefined;
    },
    score: (c, node) => scoreBy(strategy, resources, c.pod, node),
  };
}
