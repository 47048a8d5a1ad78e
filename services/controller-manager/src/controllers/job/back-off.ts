// How long a Job waits before it replaces failed pods: 10 s, doubled with each failure since the last success, at most 10 min.
// Pure; the record lives as long as the controller knows the Job.
import { type KubeObject, timeMs } from "@podwire/client";
import { podCondition } from "../../pods/status.ts";

const FIRST_MS = 10_000;
const MAX_MS = 10 * 60_000;

export interface BackOff {
  failures: number;
  lastFailureMs: number;
  /** Pods that were counted. */
  seen: Set<string>;
}

export const newBackOff = (): BackOff => ({ failures: 0, lastFailureMs: 0, seen: new Set() });

/** When a pod was over: its last container's end, else when it stopped being ready, else when its deletion was asked for. */
export function finishedAtMs(pod: KubeObject, nowMs: number): number {
  let last: number | undefined;
  for (const s of pod["status"]?.containerStatuses ?? []) {
    const at = timeMs(s.state?.terminated?.finishedAt);
    if (at !== undefined && (last === undefined || at > last)) last = at;
  }
  if (last !== undefined) return last;
  const ready = podCondition(pod, "Ready");
  if (ready?.status === "False" && ready.lastTransitionTime) return timeMs(ready.lastTransitionTime) ?? nowMs;
  const deletion = timeMs(pod.metadata.deletionTimestamp);
  return deletion === undefined ? nowMs : deletion - (pod.metadata.deletionGracePeriodSeconds ?? 0) * 1000;
}

/** Takes in newly finished pods, the earliest first. */
export function countFinished(b: BackOff, succeeded: readonly KubeObject[], failed: readonly KubeObject[], nowMs: number): void {
  const news = [...succeeded.map((pod) => ({ pod, ok: true })), ...failed.map((pod) => ({ pod, ok: false }))]
    .filter((x) => !b.seen.has(x.pod.metadata.uid ?? ""))
    .map((x) => ({ ...x, atMs: finishedAtMs(x.pod, nowMs) }))
    .sort((a, c) => a.atMs - c.atMs);
  for (const { pod, ok, atMs } of news) {
    b.seen.add(pod.metadata.uid ?? "");
    if (ok) b.failures = 0;
    else {
      b.failures++;
      b.lastFailureMs = atMs;
    }
  }
}

/** Milliseconds until a replacement may be made; 0 when it may now. */
export function waitMs(failures: number, lastFailureMs: number, nowMs: number): number {
  if (failures === 0) return 0;
  const delay = Math.min(MAX_MS, FIRST_MS * 2 ** Math.min(failures - 1, 20));
  return Math.max(0, lastFailureMs + delay - nowMs);
}
