// Job: run pods until enough have succeeded. Pure: the Job, its pods, what is known of failures and the time in; pods to make and
// remove, what to count and the Job's verdict out. Follows batch/v1 Job: completions, indexes with own limits, failure and success
// policies, suspension, deadlines, replacement policy, tracking by finalizer.
// Invariant: a pod is counted exactly once: its uid goes into the status before its finalizer is removed.
import { type KubeObject, timeMs } from "@podwire/client";
import { isActive, isReady, isTerminating, maxRestarts, phaseOf } from "../../pods/status.ts";
import { type BackOff, finishedAtMs, waitMs } from "./back-off.ts";
import { judgeFailure } from "./failure-policy.ts";
import { indexOfPod, parseIndexes } from "./indexes.ts";

export const TRACKING_FINALIZER = "batch.kubernetes.io/job-tracking";
export const FAILURE_COUNT = "batch.kubernetes.io/job-index-failure-count";
export const IGNORED_FAILURE_COUNT = "batch.kubernetes.io/job-index-ignored-failure-count";
const MAX_CREATE = 500;

export interface Finish {
  /** SuccessCriteriaMet or FailureTarget. */
  type: "SuccessCriteriaMet" | "FailureTarget";
  reason: string;
  message: string;
}

export interface JobState {
  job: KubeObject;
  pods: readonly KubeObject[];
  backOff: BackOff;
  nowMs: number;
}

export interface JobView {
  indexed: boolean;
  active: KubeObject[];
  ready: number;
  terminating: number;
  /** Finished pods that carry the finalizer and are not in the status yet. */
  newSucceeded: KubeObject[];
  newFailed: KubeObject[];
  /** Failures that the policy ignores: their finalizer goes, they are not counted. */
  ignored: KubeObject[];
  succeeded: number;
  failed: number;
  succeededIndexes: Set<number>;
  failedIndexes: Set<number> | undefined;
  finish: Finish | undefined;
}

export const hasTracking = (p: KubeObject): boolean => (p.metadata.finalizers ?? []).includes(TRACKING_FINALIZER);
export const onlyFailed = (job: KubeObject): boolean => job["spec"].podReplacementPolicy === "Failed";
export const isIndexed = (job: KubeObject): boolean => job["spec"].completionMode === "Indexed";
const conditionOf = (job: KubeObject, type: string): any =>
  (job["status"]?.conditions ?? []).find((c: any) => c.type === type && c.status === "True");
export const isFinished = (job: KubeObject): boolean =>
  conditionOf(job, "Complete") !== undefined || conditionOf(job, "Failed") !== undefined;

/** Over without success: failed, or on its way out when that counts as failed. */
function isFailedPod(p: KubeObject, job: KubeObject): boolean {
  if (phaseOf(p) === "Failed") return true;
  return !onlyFailed(job) && isTerminating(p) && phaseOf(p) !== "Succeeded";
}

export function viewJob(s: JobState): JobView {
  const { job, pods } = s;
  const status = job["status"] ?? {};
  const indexed = isIndexed(job);
  const completions = job["spec"].completions ?? 0;
  const uncounted = status.uncountedTerminatedPods ?? {};
  const pending = new Set<string>([...(uncounted.succeeded ?? []), ...(uncounted.failed ?? [])]);
  const active = pods.filter(isActive);
  const tracked = pods.filter((p) => hasTracking(p) && !pending.has(p.metadata.uid ?? ""));
  const newSucceeded = tracked.filter((p) => phaseOf(p) === "Succeeded");
  const policy = job["spec"].podFailurePolicy;
  const newFailed: KubeObject[] = [];
  const ignored: KubeObject[] = [];
  let failJob: string | undefined;
  for (const p of tracked) {
    if (!isFailedPod(p, job)) continue;
    const verdict = policy && phaseOf(p) === "Failed" ? judgeFailure(policy, p) : undefined;
    if (verdict?.action === "FailJob") failJob ??= verdict.message;
    if (verdict?.action === "Ignore") ignored.push(p);
    else newFailed.push(p);
  }
  const succeededIndexes = indexed ? parseIndexes(status.completedIndexes, completions) : new Set<number>();
  if (indexed)
    for (const p of [...newSucceeded]) {
      const i = indexOfPod(p);
      if (i >= 0 && i < completions) succeededIndexes.add(i);
    }
  const view: JobView = {
    indexed,
    active,
    ready: active.filter(isReady).length,
    terminating: pods.filter((p) => isTerminating(p) && !["Succeeded", "Failed"].includes(phaseOf(p))).length,
    newSucceeded,
    newFailed,
    ignored,
    succeeded: indexed ? succeededIndexes.size : (status.succeeded ?? 0) + (uncounted.succeeded?.length ?? 0) + newSucceeded.length,
    failed: (status.failed ?? 0) + (uncounted.failed?.length ?? 0) + newFailed.length,
    succeededIndexes,
    failedIndexes: undefined,
    finish: undefined,
  };
  if (indexed && job["spec"].backoffLimitPerIndex !== undefined && job["spec"].backoffLimitPerIndex !== null)
    view.failedIndexes = failedIndexesOf(s, newFailed);
  view.finish = finishOf(s, view, failJob);
  return view;
}

/** Indexes that have failed for good: more failures than their limit, or by the policy. */
function failedIndexesOf(s: JobState, newFailed: readonly KubeObject[]): Set<number> {
  const { job } = s;
  const out = parseIndexes(job["status"]?.failedIndexes, job["spec"].completions ?? 0);
  for (const p of newFailed) {
    const i = indexOfPod(p);
    if (i < 0 || i >= (job["spec"].completions ?? 0)) continue;
    const before = Number(p.metadata.annotations?.[FAILURE_COUNT] ?? 0);
    const byPolicy = job["spec"].podFailurePolicy && judgeFailure(job["spec"].podFailurePolicy, p).action === "FailIndex";
    if (byPolicy || before + 1 > job["spec"].backoffLimitPerIndex) out.add(i);
  }
  return out;
}

/** Why the Job is over, or undefined while it goes on. */
function finishOf(s: JobState, v: JobView, failJob: string | undefined): Finish | undefined {
  const { job, nowMs } = s;
  const spec = job["spec"];
  const decided = conditionOf(job, "FailureTarget") ?? conditionOf(job, "SuccessCriteriaMet");
  if (decided) return { type: decided.type, reason: decided.reason, message: decided.message };
  const fail = (reason: string, message: string): Finish => ({ type: "FailureTarget", reason, message });
  if (failJob !== undefined) return fail("PodFailurePolicy", failJob);
  const limit = spec.backoffLimit ?? 6;
  const tooManyRestarts =
    spec.template.spec.restartPolicy === "OnFailure" &&
    v.active.length > 0 &&
    sum(v.active.filter((p) => ["Running", "Pending"].includes(phaseOf(p))).map(maxRestarts)) >= Math.max(1, limit) &&
    (limit > 0 || v.active.some((p) => maxRestarts(p) > 0));
  if (v.failed > limit || tooManyRestarts) return fail("BackoffLimitExceeded", "Job has reached the specified backoff limit");
  const startedMs = timeMs(job["status"]?.startTime);
  if (spec.activeDeadlineSeconds !== undefined && spec.activeDeadlineSeconds !== null && startedMs !== undefined && !spec.suspend)
    if (nowMs - startedMs >= spec.activeDeadlineSeconds * 1000)
      return fail("DeadlineExceeded", "Job was active longer than specified deadline");
  if (v.indexed) {
    const bySuccess = successPolicy(spec, v.succeededIndexes);
    if (bySuccess) return bySuccess;
    if (v.failedIndexes) {
      if (spec.maxFailedIndexes !== undefined && spec.maxFailedIndexes !== null && v.failedIndexes.size > spec.maxFailedIndexes)
        return fail("MaxFailedIndexesExceeded", "Job has exceeded the specified maximal number of failed indexes");
      if (v.failedIndexes.size > 0 && v.failedIndexes.size + v.succeeded >= spec.completions)
        return fail("FailedIndexes", "Job has failed indexes");
    }
  }
  const enough = spec.completions === undefined || spec.completions === null ? v.succeeded > 0 : v.succeeded >= spec.completions;
  if (enough && v.active.length === 0)
    return { type: "SuccessCriteriaMet", reason: "CompletionsReached", message: "Reached expected number of succeeded pods" };
  return undefined;
}

function successPolicy(spec: any, succeeded: ReadonlySet<number>): Finish | undefined {
  for (const [i, rule] of (spec.successPolicy?.rules ?? []).entries()) {
    const wanted = rule.succeededIndexes === undefined ? undefined : parseIndexes(rule.succeededIndexes, spec.completions ?? 0);
    const have = wanted ? [...wanted].filter((x) => succeeded.has(x)).length : succeeded.size;
    const need = rule.succeededCount ?? wanted?.size ?? 0;
    if (need > 0 && have >= need) return { type: "SuccessCriteriaMet", reason: "SuccessPolicy", message: `Matched rules at index ${i}` };
  }
  return undefined;
}

export interface PodPlan {
  remove: KubeObject[];
  /** Pods to make: their index (undefined for not indexed ones) and how often the index has failed. */
  create: { index: number | undefined; failures: number }[];
  /** Look again after this; undefined: no need. */
  waitMs: number | undefined;
}

export function planPods(s: JobState, v: JobView): PodPlan {
  const { job, nowMs } = s;
  const spec = job["spec"];
  const none: PodPlan = { remove: [], create: [], waitMs: undefined };
  if (isTerminating(job)) return none;
  if (v.finish || spec.suspend) return { ...none, remove: [...v.active] };
  const parallelism = spec.parallelism ?? 1;
  const open = spec.completions === undefined || spec.completions === null;
  const wanted = open
    ? v.succeeded > 0
      ? v.active.length
      : parallelism
    : Math.max(0, Math.min(parallelism, spec.completions - v.succeeded - (v.failedIndexes?.size ?? 0)));
  const remove = removals(v, wanted, spec);
  if (remove.length > 0) return { ...none, remove };
  const busy = v.active.length + (onlyFailed(job) ? v.terminating : 0);
  const missing = Math.min(MAX_CREATE, wanted - busy);
  if (missing <= 0) return none;
  if (v.failedIndexes) return perIndex(s, v, missing);
  const wait = waitMs(s.backOff.failures, s.backOff.lastFailureMs, nowMs);
  if (wait > 0) return { ...none, waitMs: wait };
  if (!v.indexed) return { ...none, create: Array.from({ length: missing }, () => ({ index: undefined, failures: 0 })) };
  return { ...none, create: freeIndexes(s, v, missing).map((index) => ({ index, failures: 0 })) };
}

/** Indexes that have no pod and are not done, the lowest first. */
function freeIndexes(s: JobState, v: JobView, n: number): number[] {
  const taken = new Set(v.active.map(indexOfPod));
  if (onlyFailed(s.job)) for (const p of s.pods) if (isTerminating(p)) taken.add(indexOfPod(p));
  const out: number[] = [];
  for (let i = 0; i < (s.job["spec"].completions ?? 0) && out.length < n; i++)
    if (!taken.has(i) && !v.succeededIndexes.has(i) && !v.failedIndexes?.has(i)) out.push(i);
  return out;
}

/** Each index waits for its own failures. */
function perIndex(s: JobState, v: JobView, n: number): PodPlan {
  const last = new Map<number, { failures: number; atMs: number }>();
  for (const p of s.pods) {
    if (!isFailedPod(p, s.job)) continue;
    const i = indexOfPod(p);
    const failures = Number(p.metadata.annotations?.[FAILURE_COUNT] ?? 0) + (v.ignored.includes(p) ? 0 : 1);
    const before = last.get(i);
    if (!before || failures > before.failures) last.set(i, { failures, atMs: finishedAtMs(p, s.nowMs) });
  }
  const plan: PodPlan = { remove: [], create: [], waitMs: undefined };
  for (const index of freeIndexes(s, v, Number.MAX_SAFE_INTEGER)) {
    if (plan.create.length >= n) break;
    const f = last.get(index);
    const wait = f ? waitMs(f.failures, f.atMs, s.nowMs) : 0;
    if (wait > 0) plan.waitMs = Math.min(plan.waitMs ?? Number.POSITIVE_INFINITY, wait);
    else plan.create.push({ index, failures: f?.failures ?? 0 });
  }
  return plan;
}

/** Active pods that are too many: doubles of an index and finished indexes first, then the least advanced. */
function removals(v: JobView, wanted: number, spec: any): KubeObject[] {
  const excess = v.active.length - wanted;
  const out: KubeObject[] = [];
  let rest = v.active;
  if (v.indexed) {
    const seen = new Set<number>();
    rest = [];
    for (const p of [...v.active].sort(youngestLast)) {
      const i = indexOfPod(p);
      if (i < 0 || i >= (spec.completions ?? 0) || seen.has(i) || v.succeededIndexes.has(i) || v.failedIndexes?.has(i)) out.push(p);
      else {
        seen.add(i);
        rest.push(p);
      }
    }
  }
  const more = excess - out.length;
  if (more > 0) out.push(...[...rest].sort(leastAdvancedFirst).slice(0, more));
  return out;
}

const created = (p: KubeObject): number => timeMs(p.metadata.creationTimestamp) ?? 0;
const youngestLast = (a: KubeObject, b: KubeObject): number => created(a) - created(b);
const rank = (p: KubeObject): number => (p["spec"].nodeName ? 1 : 0) + (phaseOf(p) === "Running" ? 1 : 0) + (isReady(p) ? 1 : 0);
const leastAdvancedFirst = (a: KubeObject, b: KubeObject): number => rank(a) - rank(b) || created(b) - created(a);
const sum = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0);
