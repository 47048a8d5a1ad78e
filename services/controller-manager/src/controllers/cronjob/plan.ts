// CronJob: which Job is due now, which ones go, and what the status says (batch/v1). Pure: the CronJob, its Jobs, its schedule and
// the time in, decisions out. Missed times are made up by the latest one only.
import { controllerReference, type KubeObject, Resources, time, timeMs } from "@podwire/client";
import type { Action } from "../../actions.ts";
import type { Schedule } from "./schedule.ts";

export const SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp";
const TOO_MANY_MISSED = 100;

export interface CronState {
  cronJob: KubeObject;
  /** Jobs that it controls. */
  jobs: readonly KubeObject[];
  schedule: Schedule;
  nowMs: number;
}

export interface CronPlan {
  actions: Action[];
  status: Record<string, any>;
  /** A Job to make now. */
  create: { job: KubeObject; scheduledMs: number } | undefined;
  requeueAfterMs: number | undefined;
}

const finishedAs = (job: KubeObject): string | undefined =>
  (job["status"]?.conditions ?? []).find((c: any) => (c.type === "Complete" || c.type === "Failed") && c.status === "True")?.type;

export function planCronJob(s: CronState): CronPlan {
  const { cronJob, nowMs } = s;
  const spec = cronJob["spec"];
  const actions: Action[] = [];
  const say = (type: "Normal" | "Warning", reason: string, message: string) =>
    actions.push({ do: "event", object: cronJob, type, reason, message });
  const status: Record<string, any> = { ...cronJob["status"] };
  let active: any[] = [...(status["active"] ?? [])];

  for (const job of s.jobs) {
    const known = active.some((a) => a.uid === job.metadata.uid);
    const end = finishedAs(job);
    if (!known && !end) say("Warning", "UnexpectedJob", `Saw a job that the controller did not create or forgot: ${job.metadata.name}`);
    else if (known && end) {
      active = active.filter((a) => a.uid !== job.metadata.uid);
      say("Normal", "SawCompletedJob", `Saw completed job: ${job.metadata.name}, condition: ${end}`);
    }
    const doneMs = end === "Complete" ? timeMs(job["status"]?.completionTime) : undefined;
    if (doneMs !== undefined && doneMs > (timeMs(status["lastSuccessfulTime"]) ?? 0)) status["lastSuccessfulTime"] = time(doneMs);
  }
  for (const a of active)
    if (!s.jobs.some((j) => j.metadata.uid === a.uid)) {
      active = active.filter((x) => x !== a);
      say("Normal", "MissingJob", `Active job went missing: ${a.name}`);
    }
  actions.push(...trim(s));

  const done = (requeueAfterMs?: number, create?: CronPlan["create"]): CronPlan => {
    if (active.length > 0) status["active"] = active;
    else delete status["active"];
    return { actions, status, create, requeueAfterMs };
  };
  if (cronJob.metadata.deletionTimestamp || spec.suspend) return done();
  const next = s.schedule.next(nowMs);
  const wait = next === undefined ? undefined : next - nowMs + 100;
  const due = latestDue(s);
  if (due.tooMany)
    say("Warning", "TooManyMissedTimes", "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew");
  if (due.atMs === undefined) return done(wait);
  const deadline = spec.startingDeadlineSeconds;
  if (deadline !== undefined && deadline !== null && due.atMs + deadline * 1000 < nowMs) {
    say("Warning", "MissSchedule", `Missed scheduled time to start a job: ${new Date(due.atMs).toUTCString().replace("GMT", "+0000")}`);
    return done(wait);
  }
  const name = `${cronJob.metadata.name}-${Math.floor(due.atMs / 60_000)}`;
  if (s.jobs.some((j) => j.metadata.name === name) || timeMs(status["lastScheduleTime"]) === due.atMs) return done(wait);
  if (spec.concurrencyPolicy === "Forbid" && active.length > 0) {
    say("Normal", "JobAlreadyActive", "Not starting job because prior execution is running and concurrency policy is Forbid");
    return done(wait);
  }
  if (spec.concurrencyPolicy === "Replace") {
    for (const a of active) {
      actions.push({
        do: "delete",
        ref: Resources.jobs,
        namespace: a.namespace,
        name: a.name,
        options: { propagationPolicy: "Background" },
      });
      say("Normal", "SuccessfulDelete", `Deleted job ${a.name}`);
    }
    active = [];
  }
  return done(wait, { job: jobOf(cronJob, name, due.atMs), scheduledMs: due.atMs });
}

/** The latest time that has passed since the last start (or the creation), within the deadline. */
function latestDue(s: CronState): { atMs: number | undefined; tooMany: boolean } {
  const { cronJob, nowMs } = s;
  const created = timeMs(cronJob.metadata.creationTimestamp) ?? nowMs;
  let from = timeMs(cronJob["status"]?.lastScheduleTime) ?? created;
  const deadline = cronJob["spec"].startingDeadlineSeconds;
  if (deadline !== undefined && deadline !== null) from = Math.max(from, nowMs - deadline * 1000);
  let missed = 0;
  let last: number | undefined;
  for (let at = s.schedule.next(from); at !== undefined && at <= nowMs; at = s.schedule.next(at)) {
    last = at;
    missed++;
    if (missed > TOO_MANY_MISSED && deadline === undefined) {
      // Far behind: go on from a moment ago, the times between do not matter.
      const period = at - from;
      const jump = nowMs - Math.max(period, 60_000);
      if (jump > at) at = jump;
    }
  }
  return { atMs: last, tooMany: missed > TOO_MANY_MISSED };
}

function jobOf(cronJob: KubeObject, name: string, scheduledMs: number): KubeObject {
  const template = cronJob["spec"].jobTemplate;
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: {
      name,
      namespace: cronJob.metadata.namespace as string,
      ...(template.metadata?.labels ? { labels: { ...template.metadata.labels } } : {}),
      annotations: { ...template.metadata?.annotations, [SCHEDULED_AT]: time(scheduledMs) },
      ownerReferences: [controllerReference(cronJob, Resources.cronJobs)],
    },
    spec: template.spec,
  };
}

/** Removes finished Jobs past the history limits, oldest first. */
function trim(s: CronState): Action[] {
  const out: Action[] = [];
  const start = (j: KubeObject) => timeMs(j["status"]?.startTime) ?? timeMs(j.metadata.creationTimestamp) ?? 0;
  for (const [type, limit] of [
    ["Complete", s.cronJob["spec"].successfulJobsHistoryLimit],
    ["Failed", s.cronJob["spec"].failedJobsHistoryLimit],
  ] as const) {
    if (limit === undefined || limit === null) continue;
    const mine = s.jobs.filter((j) => finishedAs(j) === type && !j.metadata.deletionTimestamp);
    mine.sort((a, b) => start(a) - start(b) || (a.metadata.name < b.metadata.name ? -1 : 1));
    for (const j of mine.slice(0, Math.max(0, mine.length - limit)))
      out.push(
        {
          do: "delete",
          ref: Resources.jobs,
          namespace: j.metadata.namespace ?? "",
          name: j.metadata.name,
          options: { propagationPolicy: "Background" },
        },
        { do: "event", object: s.cronJob, type: "Normal", reason: "SuccessfulDelete", message: `Deleted job ${j.metadata.name}` },
      );
  }
  return out;
}
