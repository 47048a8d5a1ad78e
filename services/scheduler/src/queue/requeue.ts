// Which changes of the cluster may make a refused pod schedulable, by the plugin that refused it. A pod is tried again only for
// a reason. Pure. (kube-scheduler's EventsToRegister and queueing hints.)
import type { KubeObject } from "@podwire/client";
import type { PodInfo } from "../framework/pod-info.ts";

export type ClusterEvent =
  | { kind: "nodeAdd"; node: KubeObject }
  | { kind: "nodeUpdate"; node: KubeObject; labels: boolean; taints: boolean; allocatable: boolean; unschedulable: boolean }
  /** A pod on a node went, or shrank. */
  | { kind: "podGone"; pod: PodInfo }
  /** A pod came onto a node, or its labels changed there. */
  | { kind: "podPlaced"; pod: PodInfo }
  | { kind: "storage" }
  /** ResourceClaims, ResourceSlices or DeviceClasses. */
  | { kind: "devices" }
  | { kind: "namespace" };

type Hint = (e: ClusterEvent, pod: PodInfo) => boolean;

const nodeChanged = (e: ClusterEvent, ...what: ("labels" | "taints" | "allocatable" | "unschedulable")[]): boolean =>
  e.kind === "nodeAdd" || (e.kind === "nodeUpdate" && what.some((w) => e[w]));

const HINTS: Readonly<Record<string, Hint>> = {
  NodeUnschedulable: (e) => nodeChanged(e, "unschedulable", "taints"),
  NodeName: (e, pod) => e.kind === "nodeAdd" && e.node.metadata.name === pod.pod["spec"]?.nodeName,
  TaintToleration: (e) => nodeChanged(e, "taints"),
  NodeAffinity: (e) => nodeChanged(e, "labels"),
  NodePorts: (e) => e.kind === "nodeAdd" || (e.kind === "podGone" && e.pod.hostPorts.length > 0),
  NodeResourcesFit: (e) => nodeChanged(e, "allocatable") || e.kind === "podGone",
  PodTopologySpread: (e) => nodeChanged(e, "labels", "taints") || e.kind === "podGone" || e.kind === "podPlaced",
  InterPodAffinity(e, pod) {
    if (e.kind === "podPlaced") return pod.requiredAffinity.length > 0;
    return nodeChanged(e, "labels") || e.kind === "podGone" || e.kind === "namespace";
  },
  VolumeRestrictions: (e) => e.kind === "nodeAdd" || e.kind === "podGone" || e.kind === "storage",
  NodeVolumeLimits: (e) => e.kind === "nodeAdd" || e.kind === "podGone" || e.kind === "storage",
  VolumeBinding: (e) => nodeChanged(e, "labels") || e.kind === "storage",
  DynamicResources: (e) => nodeChanged(e, "labels") || e.kind === "devices",
  VolumeZone: (e) => nodeChanged(e, "labels") || e.kind === "storage",
};

/** True when `e` may help a pod that these plugins refused; with no plugin known, anything may. */
export function mayHelp(e: ClusterEvent, pod: PodInfo, plugins: ReadonlySet<string>): boolean {
  if (plugins.size === 0) return true;
  for (const name of plugins) {
    const hint = HINTS[name];
    if (!hint || hint(e, pod)) return true;
  }
  return false;
}
