// What must happen to the attachments of one CSI volume (pkg/controller/volume/attachdetach/reconciler). Pure.
// Invariants: a volume that may be on one node only is not asked to be on a second before the first has let go; a volume is taken away
// from a node only when the node no longer uses it, or can no longer be asked.
import type { KubeObject } from "@podwire/client";
import { isTerminal } from "../../pods/status.ts";

/** After so long a node that does not say that it has let go, and is not healthy, is not waited for any more. */
export const MAX_WAIT_FOR_UNMOUNT_MS = 6 * 60_000;
const OUT_OF_SERVICE = "node.kubernetes.io/out-of-service";
const SHARED = new Set(["ReadWriteMany", "ReadOnlyMany"]);

export interface AttachState {
  volume: KubeObject;
  /** Pods with a node that use the volume. */
  pods: readonly KubeObject[];
  attachments: readonly KubeObject[];
  node(name: string): KubeObject | undefined;
  /** Since when a node's attachment has not been wanted. */
  unwantedSinceMs(node: string): number | undefined;
  nowMs: number;
}

export type AttachStep =
  | { do: "attach"; node: string; pods: KubeObject[] }
  | { do: "detach"; attachment: KubeObject }
  /** The attachment is not wanted, but its node still uses the volume: look again at `atMs`. */
  | { do: "wait"; node: string; atMs: number }
  | { do: "conflict"; pods: KubeObject[]; message: string };

export function uniqueName(volume: KubeObject): string {
  return `kubernetes.io/csi/${volume["spec"].csi.driver}^${volume["spec"].csi.volumeHandle}`;
}

export function isExclusive(volume: KubeObject): boolean {
  const modes: string[] = volume["spec"].accessModes ?? [];
  return modes.length > 0 && !modes.some((m) => SHARED.has(m));
}

export function planAttachments(s: AttachState): AttachStep[] {
  const steps: AttachStep[] = [];
  const wanted = new Map<string, KubeObject[]>();
  for (const p of s.pods) {
    const node = p["spec"].nodeName as string | undefined;
    if (!node || isTerminal(p)) continue;
    const list = wanted.get(node);
    if (list) list.push(p);
    else wanted.set(node, [p]);
  }
  const held = new Set<string>();
  for (const a of s.attachments) {
    const node = a["spec"].nodeName as string;
    held.add(node);
    if (wanted.has(node) || a.metadata.deletionTimestamp) continue;
    const waitMs = waitFor(s, node);
    if (waitMs === 0) steps.push({ do: "detach", attachment: a });
    else steps.push({ do: "wait", node, atMs: s.nowMs + waitMs });
  }
  const exclusive = isExclusive(s.volume);
  for (const [node, pods] of wanted) {
    if (held.has(node)) continue;
    if (!s.node(node)) continue;
    if (exclusive && held.size > 0)
      steps.push({
        do: "conflict",
        pods,
        message: conflict(
          pods[0] as KubeObject,
          [...wanted].filter(([n]) => held.has(n)).flatMap(([, p]) => p),
        ),
      });
    else {
      steps.push({ do: "attach", node, pods });
      held.add(node);
    }
  }
  return steps;
}

/** How long the node may still take; 0: the volume can be taken away. */
function waitFor(s: AttachState, name: string): number {
  const node = s.node(name);
  if (!node) return 0;
  const inUse: string[] = node["status"]?.volumesInUse ?? [];
  if (!inUse.includes(uniqueName(s.volume))) return 0;
  const ready = (node["status"]?.conditions ?? []).some((c: any) => c.type === "Ready" && c.status === "True");
  if ((node["spec"]?.taints ?? []).some((t: any) => t.key === OUT_OF_SERVICE) && !ready) return 0;
  const left = (s.unwantedSinceMs(name) ?? s.nowMs) + MAX_WAIT_FOR_UNMOUNT_MS - s.nowMs;
  // A healthy node is waited for without end: it says when it has let go.
  return ready ? Math.max(left, MAX_WAIT_FOR_UNMOUNT_MS) : Math.max(left, 0);
}

function conflict(pod: KubeObject, others: readonly KubeObject[]): string {
  const same = others.filter((p) => p.metadata.namespace === pod.metadata.namespace).map((p) => p.metadata.name);
  const elsewhere = others.length - same.length;
  if (others.length === 0) return "Volume is already exclusively attached to one node and can't be attached to another";
  const parts = [];
  if (same.length > 0) parts.push(`pod(s) ${same.sort().join(", ")}`);
  if (elsewhere > 0) parts.push(`${elsewhere} pod(s) in different namespaces`);
  return `Volume is already used by ${parts.join(" and ")}`;
}
