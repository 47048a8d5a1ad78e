// A Job's status and conditions out of what was seen and done. Pure.
import { type KubeObject, time } from "@podwire/client";
import { formatIndexes } from "./indexes.ts";
import type { Finish, JobView } from "./plan.ts";

export function withCondition(
  conditions: readonly any[],
  type: string,
  status: string,
  reason: string,
  message: string,
  nowMs: number,
): any[] {
  const old = conditions.find((c) => c.type === type);
  if (old && old.status === status && old.reason === reason && old.message === message) return [...conditions];
  const now = time(nowMs);
  return [
    ...conditions.filter((c) => c !== old),
    { type, status, lastProbeTime: now, lastTransitionTime: old?.status === status ? old.lastTransitionTime : now, reason, message },
  ];
}

export interface Counts {
  active: number;
  ready: number;
  terminating: number;
}

/** The status with counts of running pods; finished ones are added by the tracking steps. */
export function baseStatus(job: KubeObject, v: JobView, n: Counts, nowMs: number): Record<string, any> {
  const old = job["status"] ?? {};
  const s: Record<string, any> = { ...old, ready: n.ready, terminating: n.terminating };
  if (n.active > 0) s["active"] = n.active;
  else delete s["active"];
  if (!job["spec"].suspend && s["startTime"] === undefined) s["startTime"] = time(nowMs);
  if (v.failedIndexes) s["failedIndexes"] = formatIndexes(v.failedIndexes);
  return s;
}

/** Suspended or resumed: the condition and what to say of it; undefined when nothing changes. */
export function suspension(
  job: KubeObject,
  nowMs: number,
): { conditions: any[]; reason: string; message: string; restart: boolean } | undefined {
  const conditions = job["status"]?.conditions ?? [];
  const held = conditions.find((c: any) => c.type === "Suspended");
  if (job["spec"].suspend && held?.status !== "True")
    return {
      conditions: withCondition(conditions, "Suspended", "True", "JobSuspended", "Job suspended", nowMs),
      reason: "Suspended",
      message: "Job suspended",
      restart: false,
    };
  if (!job["spec"].suspend && held?.status === "True")
    return {
      conditions: withCondition(conditions, "Suspended", "False", "JobResumed", "Job resumed", nowMs),
      reason: "Resumed",
      message: "Job resumed",
      restart: true,
    };
  return undefined;
}

/** Adds the interim condition, and the final one when `final`. */
export function finishStatus(s: Record<string, any>, f: Finish, final: boolean, nowMs: number): Record<string, any> {
  let conditions = withCondition(s["conditions"] ?? [], f.type, "True", f.reason, f.message, nowMs);
  const out = { ...s };
  if (final) {
    const success = f.type === "SuccessCriteriaMet";
    conditions = withCondition(conditions, success ? "Complete" : "Failed", "True", f.reason, f.message, nowMs);
    if (success) out["completionTime"] = time(nowMs);
  }
  out["conditions"] = conditions;
  return out;
}
