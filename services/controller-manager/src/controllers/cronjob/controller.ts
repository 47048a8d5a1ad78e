// The shell of the CronJob controller: carries out the plan and comes back when the next time is due.
import { reasonOf } from "@podwire/base";
import {
  controllerOf,
  isAlreadyExists,
  isNotFound,
  type KubeObject,
  keyOf,
  objectKey,
  Resources,
  runController,
  splitKey,
  time,
} from "@podwire/client";
import { applyActions, causeOf } from "../../actions.ts";
import type { ControllerContext, RunningController } from "../../context.ts";
import { equal } from "../../equality.ts";
import { BY_OWNER, indexByOwner } from "../../ownership.ts";
import { planCronJob } from "./plan.ts";
import { parseSchedule, type Schedule } from "./schedule.ts";

export function startCronJob(c: ControllerContext): RunningController {
  const cronJobs = c.informers.of(Resources.cronJobs);
  const jobs = c.informers.of(Resources.jobs);
  indexByOwner(jobs);
  const recorder = c.recorder("cronjob-controller");
  const controller = runController({ name: "cronjob", clock: c.clock, log: c.log, informers: [cronJobs, jobs], reconcile });
  const own = (o: KubeObject) => controller.queue.add(objectKey(o));
  cronJobs.handle({ onAdd: own, onUpdate: own });
  const onJob = (job: KubeObject) => {
    const ref = controllerOf(job);
    if (ref?.kind === "CronJob") controller.queue.add(keyOf(job.metadata.namespace ?? "", ref.name));
  };
  jobs.handle({ onAdd: onJob, onUpdate: onJob, onDelete: onJob });

  async function reconcile(key: string) {
    const { namespace, name } = splitKey(key);
    const cronJob = cronJobs.lister.get(namespace, name);
    if (!cronJob) return undefined;
    let schedule: Schedule;
    try {
      schedule = parseSchedule(cronJob["spec"].schedule, cronJob["spec"].timeZone ?? "UTC");
    } catch (e) {
      const zone = reasonOf(e).startsWith("unknown time zone");
      const text = zone
        ? `invalid timeZone: "${cronJob["spec"].timeZone}": ${reasonOf(e)}`
        : `unparseable schedule: "${cronJob["spec"].schedule}" : ${reasonOf(e)}`;
      recorder.event(cronJob, "Warning", zone ? "UnknownTimeZone" : "UnparseableSchedule", text);
      return undefined;
    }
    const plan = planCronJob({
      cronJob,
      jobs: jobs.lister.byIndex(BY_OWNER, `${namespace}/${cronJob.metadata.uid}`),
      schedule,
      nowMs: c.clock.nowMs(),
    });
    await applyActions(c.client, recorder, plan.actions).catch((e) => {
      if (!isNotFound(causeOf(e))) throw causeOf(e);
    });
    const status = { ...plan.status };
    if (plan.create) {
      const made = await start(cronJob, plan.create.job);
      if (made) {
        const { uid, resourceVersion } = made.metadata;
        status["active"] = [
          ...(status["active"] ?? []),
          { kind: "Job", apiVersion: "batch/v1", namespace, name: made.metadata.name, uid, resourceVersion },
        ];
      }
      status["lastScheduleTime"] = time(plan.create.scheduledMs);
    }
    if (!equal(cronJob["status"] ?? {}, status)) await c.client.updateStatus(Resources.cronJobs, { ...cronJob, status });
    return plan.requeueAfterMs === undefined ? undefined : { requeueAfterMs: plan.requeueAfterMs };
  }

  async function start(cronJob: KubeObject, job: KubeObject): Promise<KubeObject | undefined> {
    try {
      const made = await c.client.create(Resources.jobs, job);
      recorder.event(cronJob, "Normal", "SuccessfulCreate", `Created job ${made.metadata.name}`);
      return made;
    } catch (e) {
      if (isAlreadyExists(e)) return undefined;
      recorder.event(cronJob, "Warning", "FailedCreate", `Error creating job: ${reasonOf(e)}`);
      throw e;
    }
  }
  return controller;
}
