// When a pod must leave its node because of NoExecute taints (the taint eviction controller). Pure.
import type { KubeObject } from "@podwire/client";
import { type Taint, toleratedSeconds } from "../../pods/taints.ts";

export const noExecuteTaints = (node: KubeObject | undefined): Taint[] =>
  (node?.["spec"]?.taints ?? []).filter((t: Taint) => t.effect === "NoExecute");

/** `sinceMs` is when the pod was first seen on a node with such taints; keep it as long as the verdict is "evict". */
export type Verdict = { stay: true } | { stay: false; atMs: number; sinceMs: number };

export function planEviction(pod: KubeObject, taints: readonly Taint[], sinceMs: number | undefined, nowMs: number): Verdict {
  if (taints.length === 0) return { stay: true };
  const seconds = toleratedSeconds(taints, pod["spec"]?.tolerations ?? []);
  if (seconds === Number.POSITIVE_INFINITY) return { stay: true };
  if (seconds === undefined || seconds === 0) return { stay: false, atMs: nowMs, sinceMs: sinceMs ?? nowMs };
  const since = sinceMs ?? nowMs;
  return { stay: false, atMs: since + seconds * 1000, sinceMs: since };
}
