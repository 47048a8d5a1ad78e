// Which plugins run, in kube-scheduler's order, with its weights. One profile a scheduler name.

import type { Plugin } from "./framework/plugin.ts";
import type { Profile } from "./framework/schedule.ts";
import { balancedAllocation } from "./plugins/balanced-allocation.ts";
import { imageLocality } from "./plugins/image-locality.ts";
import { interPodAffinity } from "./plugins/inter-pod-affinity.ts";
import { nodeAffinity } from "./plugins/node-affinity.ts";
import { nodeName } from "./plugins/node-name.ts";
import { nodePorts } from "./plugins/node-ports.ts";
import { nodeResourcesFit } from "./plugins/node-resources-fit.ts";
import { nodeUnschedulable } from "./plugins/node-unschedulable.ts";
import { type DefaultSelector, podTopologySpread } from "./plugins/pod-topology-spread.ts";
import { taintToleration } from "./plugins/taint-toleration.ts";

export const DEFAULT_SCHEDULER = "default-scheduler";

const WEIGHTS: Readonly<Record<string, number>> = {
  TaintToleration: 3,
  NodeAffinity: 2,
  PodTopologySpread: 2,
  InterPodAffinity: 2,
  NodeResourcesFit: 1,
  NodeResourcesBalancedAllocation: 1,
  ImageLocality: 1,
};

/** `volumes` are the plugins that know about storage; they stand between resources and spreading. */
export function defaultProfile(o: {
  schedulerName?: string;
  percentageOfNodesToScore?: number;
  defaultSelector: DefaultSelector;
  volumes?: readonly Plugin[];
}): Profile {
  return {
    schedulerName: o.schedulerName ?? DEFAULT_SCHEDULER,
    percentageOfNodesToScore: o.percentageOfNodesToScore ?? 0,
    weights: WEIGHTS,
    plugins: [
      nodeUnschedulable,
      nodeName,
      taintToleration,
      nodeAffinity,
      nodePorts,
      nodeResourcesFit,
      ...(o.volumes ?? []),
      podTopologySpread(o.defaultSelector),
      interPodAffinity,
      balancedAllocation,
      imageLocality,
    ],
  };
}
