// Which pods nobody else will remove (the pod garbage collector). Pure: pods, nodes and the time in, verdicts out.
import { type KubeObject, timeMs } from "@podwire/client";
import { isTerminal, isTerminating, phaseOf } from "../../pods/status.ts";

/** A missing node must stay missing for this long before its pods are removed. */
export const QUARANTINE_MS = 40_000;
const OUT_OF_SERVICE = "node.kubernetes.io/out-of-service";

export interface GcVerdict {
  pod: KubeObject;
  reason: string;
  message: string;
}

export interface GcState {
  pods: readonly KubeObject[];
  node(name: string): KubeObject | undefined;
  /** Since when a node name is known to be missing; undefined: not known yet. */
  missingSinceMs(node: string): number | undefined;
  terminatedThreshold: number;
  nowMs: number;
}

export function planPodGc(s: GcState): GcVerdict[] {
  const out: GcVerdict[] = [];
  const terminated: KubeObject[] = [];
  for (const pod of s.pods) {
    const name = pod["spec"]?.nodeName ?? "";
    const node = name === "" ? undefined : s.node(name);
    if (isTerminal(pod) && !isTerminating(pod)) terminated.push(pod);
    if (name !== "" && !node) {
      const since = s.missingSinceMs(name);
      if (since !== undefined && s.nowMs - since >= QUARANTINE_MS)
        out.push({ pod, reason: "DeletionByPodGC", message: "PodGC: node no longer exists" });
    } else if (name === "" && isTerminating(pod)) out.push({ pod, reason: "", message: "" });
    else if (node && isTerminating(pod) && isOutOfService(node))
      out.push({ pod, reason: "DeletionByPodGC", message: "PodGC: node is out-of-service" });
  }
  const excess = terminated.length - s.terminatedThreshold;
  if (s.terminatedThreshold > 0 && excess > 0) {
    // Evicted pods first, then the oldest.
    const evicted = (p: KubeObject) => (phaseOf(p) === "Failed" && p["status"]?.reason === "Evicted" ? 0 : 1);
    terminated.sort(
      (a, b) => evicted(a) - evicted(b) || (timeMs(a.metadata.creationTimestamp) ?? 0) - (timeMs(b.metadata.creationTimestamp) ?? 0),
    );
    for (const pod of terminated.slice(0, excess)) out.push({ pod, reason: "", message: "" });
  }
  return out;
}

function isOutOfService(node: KubeObject): boolean {
  const ready = (node["status"]?.conditions ?? []).find((c: any) => c.type === "Ready");
  return ready?.status !== "True" && (node["spec"]?.taints ?? []).some((t: any) => t.key === OUT_OF_SERVICE);
}
