// The shell of the Job controller: claims pods, makes and removes them, counts finished ones exactly once, ends the Job.
import { reasonOf } from "@podwire/base";
import {
  controllerOf,
  controllerReference,
  expectations,
  isNotFound,
  type KubeObject,
  keyOf,
  objectKey,
  Resources,
  runController,
  splitKey,
  time,
  timeMs,
} from "@podwire/client";
import type { ControllerContext, RunningController } from "../../context.ts";
import { equal } from "../../equality.ts";
import { applyClaim, candidatesOf, indexByOwner, planClaim, selectorCache } from "../../ownership.ts";
import { podControl, podFromTemplate } from "../../pods/control.ts";
import { isReady, isTerminating, phaseOf } from "../../pods/status.ts";
import { type BackOff, countFinished, newBackOff } from "./back-off.ts";
import { formatIndexes, INDEX_ANNOTATION } from "./indexes.ts";
import { FAILURE_COUNT, hasTracking, isFinished, type JobState, type JobView, planPods, TRACKING_FINALIZER, viewJob } from "./plan.ts";
import { baseStatus, finishStatus, suspension } from "./status.ts";

const OWN_MANAGER = "kubernetes.io/job-controller";
const GATHER_MS = 20;
/** Finished pods that are counted in one go; more wait for the next. */
const MAX_UNCOUNTED = 500;

export function startJob(c: ControllerContext): RunningController {
  const jobs = c.informers.of(Resources.jobs);
  const pods = c.informers.of(Resources.pods);
  indexByOwner(pods);
  const selectorOf = selectorCache();
  const recorder = c.recorder("job-controller");
  const expected = expectations(c.clock);
  const control = podControl(c, recorder, expected);
  const backOffs = new Map<string, BackOff>();
  /** Pods whose finalizer was removed and whose cache has not shown it yet. */
  const released = new Set<string>();
  const controller = runController({ name: "job", clock: c.clock, log: c.log, informers: [jobs, pods], reconcile });
  const { queue } = controller;

  const own = (o: KubeObject) => queue.add(objectKey(o));
  jobs.handle({
    onAdd: own,
    onUpdate: own,
    onDelete(o) {
      const key = objectKey(o);
      expected.forget(key);
      backOffs.delete(o.metadata.uid ?? "");
      // Nobody will count its pods any more: let them go.
      for (const p of pods.lister.byIndex("byOwner", `${o.metadata.namespace ?? ""}/${o.metadata.uid}`)) orphan(p);
    },
  });
  const ownerKeyOf = (pod: KubeObject) => {
    const ref = controllerOf(pod);
    return ref?.kind === "Job" ? keyOf(pod.metadata.namespace ?? "", ref.name) : undefined;
  };
  const wake = (pod: KubeObject, key: string, atOnce: boolean) => {
    const job = jobs.lister.get(pod.metadata.namespace ?? "", splitKey(key).name);
    if (!job || job.metadata.uid !== controllerOf(pod)?.uid) return orphan(pod);
    if (atOnce) queue.add(key);
    else queue.addAfter(key, GATHER_MS);
  };
  pods.handle({
    onAdd(pod) {
      const key = ownerKeyOf(pod);
      if (key === undefined) return wakeAdopters(pod);
      if (isTerminating(pod)) expected.observeDeletion(key, objectKey(pod));
      else expected.observeCreation(key);
      if (jobs.synced) wake(pod, key, true);
    },
    onUpdate(pod, old) {
      const key = ownerKeyOf(pod);
      const oldKey = ownerKeyOf(old);
      if (oldKey !== undefined && oldKey !== key) queue.add(oldKey);
      if (!hasTracking(pod)) released.delete(pod.metadata.uid ?? "");
      if (key === undefined) return wakeAdopters(pod);
      if (isTerminating(pod) && !isTerminating(old)) expected.observeDeletion(key, objectKey(pod));
      wake(pod, key, isTerminating(pod) !== isTerminating(old));
    },
    onDelete(pod) {
      released.delete(pod.metadata.uid ?? "");
      const key = ownerKeyOf(pod);
      if (key === undefined) return;
      expected.observeDeletion(key, objectKey(pod));
      queue.add(key);
    },
  });

  function wakeAdopters(pod: KubeObject): void {
    if (controllerOf(pod) || !pod.metadata.labels) return;
    for (const j of jobs.lister.list(pod.metadata.namespace)) if (selectorOf(j["spec"].selector).matches(pod.metadata.labels)) own(j);
    if (hasTracking(pod)) orphan(pod);
  }

  /** A tracked pod without a Job is held by nobody. */
  function orphan(pod: KubeObject): void {
    if (!hasTracking(pod) || !jobs.synced) return;
    void release(pod).catch((e) => c.log.debug({ pod: objectKey(pod), reason: reasonOf(e) }, "could not release a pod"));
  }

  async function release(pod: KubeObject): Promise<void> {
    if (!hasTracking(pod) || released.has(pod.metadata.uid ?? "")) return;
    try {
      await c.client.patch(Resources.pods, pod.metadata.namespace ?? "", pod.metadata.name, "strategic", {
        metadata: { uid: pod.metadata.uid, "$deleteFromPrimitiveList/finalizers": [TRACKING_FINALIZER] },
      });
      released.add(pod.metadata.uid ?? "");
    } catch (e) {
      if (!isNotFound(e)) throw e;
    }
  }

  async function reconcile(key: string) {
    const { namespace, name } = splitKey(key);
    const job = jobs.lister.get(namespace, name);
    if (!job) {
      expected.forget(key);
      return undefined;
    }
    if (job["spec"].managedBy !== undefined && job["spec"].managedBy !== null && job["spec"].managedBy !== OWN_MANAGER) return undefined;
    const claim = planClaim(job, selectorOf(job["spec"].selector), candidatesOf(pods, job));
    const mine = await applyClaim(c.client, job, Resources.jobs, Resources.pods, claim);
    if (isFinished(job)) {
      for (const p of mine) await release(p);
      return undefined;
    }
    const uid = job.metadata.uid ?? "";
    let backOff = backOffs.get(uid);
    if (!backOff) backOffs.set(uid, (backOff = newBackOff()));
    const state: JobState = {
      job,
      pods: mine.map((p) => (released.has(p.metadata.uid ?? "") ? withoutTracking(p) : p)),
      backOff,
      nowMs: c.clock.nowMs(),
    };
    const view = viewJob(state);
    countFinished(backOff, view.newSucceeded, [...view.newFailed, ...view.ignored], state.nowMs);
    const done = expected.satisfied(key) ? await manage(key, state, view) : { removed: [], made: 0, waitMs: undefined, error: undefined };
    await track(state, view, done.removed, done.made);
    if (done.error !== undefined) throw done.error;
    const deadline = deadlineMs(job, state.nowMs);
    const next = Math.min(done.waitMs ?? Number.POSITIVE_INFINITY, deadline ?? Number.POSITIVE_INFINITY);
    return next === Number.POSITIVE_INFINITY ? undefined : { requeueAfterMs: next };
  }

  async function manage(key: string, state: JobState, view: JobView) {
    const { job } = state;
    const plan = planPods(state, view);
    if (plan.remove.length > 0) {
      expected.expect(key, 0, plan.remove.map(objectKey));
      // A pod that the Job itself stops is no failure, unless the Job fails with it (then it is counted first).
      if (view.finish?.type !== "FailureTarget") for (const p of plan.remove) await release(p);
      const { error } = await control.delete(job, key, plan.remove);
      return { removed: plan.remove, made: 0, waitMs: undefined, error };
    }
    if (plan.create.length === 0) return { removed: [], made: 0, waitMs: plan.waitMs, error: undefined };
    expected.expect(key, plan.create.length, []);
    const { created, error } = await control.create(
      job,
      key,
      plan.create.map((p) => podFor(job, p.index, p.failures)),
    );
    return { removed: [], made: created, waitMs: plan.waitMs, error };
  }

  /** Writes counts, releases what was counted, ends the Job when it is over. */
  async function track(state: JobState, v: JobView, removed: readonly KubeObject[], made: number): Promise<void> {
    const { job, nowMs } = state;
    const gone = new Set(removed.map((p) => p.metadata.uid));
    const active = v.active.filter((p) => !gone.has(p.metadata.uid));
    const counts = { active: active.length + made, ready: active.filter(isReady).length, terminating: v.terminating + removed.length };
    let status = baseStatus(job, v, counts, nowMs);
    const change = v.finish ? undefined : suspension(job, nowMs);
    if (change) {
      status = { ...status, conditions: change.conditions, ...(change.restart ? { startTime: time(nowMs) } : {}) };
      recorder.event(job, "Normal", change.reason, change.message);
    }
    if (v.finish) status = finishStatus(status, v.finish, false, nowMs);

    // 1. Uids of finished pods go into the status.
    const failed = [...v.newFailed, ...(v.finish?.type === "FailureTarget" ? removed.filter((p) => hasTracking(p)) : [])];
    const before = job["status"]?.uncountedTerminatedPods ?? {};
    const newSucceeded = v.newSucceeded.slice(0, MAX_UNCOUNTED);
    const newFailed = failed.slice(0, MAX_UNCOUNTED - newSucceeded.length);
    const uids = (list: readonly KubeObject[]) => list.map((p) => p.metadata.uid ?? "");
    const uncounted = {
      succeeded: [...(before.succeeded ?? []), ...(v.indexed ? [] : uids(newSucceeded))],
      failed: [...(before.failed ?? []), ...uids(newFailed)],
    };
    if (v.indexed)
      status = {
        ...status,
        ...(v.succeededIndexes.size > 0 ? { completedIndexes: formatIndexes(v.succeededIndexes), succeeded: v.succeededIndexes.size } : {}),
      };
    const some = uncounted.succeeded.length + uncounted.failed.length > 0;
    let written = job;
    const { uncountedTerminatedPods: _, ...rest } = status;
    if (some) written = await write(job, { ...rest, uncountedTerminatedPods: prune(uncounted) });

    // 2. Their finalizers go.
    const toRelease = [...newSucceeded, ...newFailed, ...v.ignored, ...state.pods.filter((p) => hasTracking(p) && isCounted(p, before))];
    await Promise.all(toRelease.map((p) => release(p)));

    // 3. The uids become numbers, and the Job ends when nothing is left to wait for.
    let final = { ...rest };
    if (uncounted.succeeded.length > 0) final["succeeded"] = (final["succeeded"] ?? 0) + uncounted.succeeded.length;
    if (uncounted.failed.length > 0) final["failed"] = (final["failed"] ?? 0) + uncounted.failed.length;
    const all = newSucceeded.length === v.newSucceeded.length && newFailed.length === failed.length;
    const over = v.finish !== undefined && all && counts.active === 0 && counts.terminating === 0;
    if (v.finish && over) final = finishStatus(final, v.finish, true, nowMs);
    await write(written, final);
    if (v.finish && over) {
      if (v.finish.type === "FailureTarget") recorder.event(job, "Warning", v.finish.reason, v.finish.message);
      else {
        const wanted = job["spec"].completions;
        if (wanted !== undefined && wanted !== null && (final["succeeded"] ?? 0) > wanted)
          recorder.event(job, "Warning", "TooManySucceededPods", "Too many succeeded pods running after completion count reached");
        recorder.event(job, "Normal", "Completed", "Job completed");
      }
    } else if (!all) queue.add(objectKey(job));
  }

  async function write(job: KubeObject, status: Record<string, any>): Promise<KubeObject> {
    if (equal(job["status"] ?? {}, status)) return job;
    return c.client.updateStatus(Resources.jobs, { ...job, status });
  }

  return controller;
}

const isCounted = (p: KubeObject, u: any): boolean =>
  (u.succeeded ?? []).includes(p.metadata.uid) ||
  (u.failed ?? []).includes(p.metadata.uid) ||
  (phaseOf(p) === "Succeeded" && (u.succeeded ?? []).includes(p.metadata.uid));

/** As the API has it already, though the cache does not show it yet: counted, and still the last failure of its index. */
const withoutTracking = (p: KubeObject): KubeObject => ({
  ...p,
  metadata: { ...p.metadata, finalizers: (p.metadata.finalizers ?? []).filter((f) => f !== TRACKING_FINALIZER) },
});

function prune(u: { succeeded: string[]; failed: string[] }): object {
  return { ...(u.succeeded.length > 0 ? { succeeded: u.succeeded } : {}), ...(u.failed.length > 0 ? { failed: u.failed } : {}) };
}

/** The pod of an index, or any pod of a Job without indexes. */
function podFor(job: KubeObject, index: number | undefined, failures: number): KubeObject {
  const base = job.metadata.name;
  const pod = podFromTemplate(job["spec"].template, job, controllerReference(job, Resources.jobs), {
    generateName: index === undefined ? `${base}-` : `${base}-${index}-`,
  });
  pod.metadata.finalizers = [...(pod.metadata.finalizers ?? []), TRACKING_FINALIZER];
  if (index === undefined) return pod;
  const text = String(index);
  const perIndex = job["spec"].backoffLimitPerIndex !== undefined && job["spec"].backoffLimitPerIndex !== null;
  pod.metadata.annotations = {
    ...pod.metadata.annotations,
    [INDEX_ANNOTATION]: text,
    ...(perIndex ? { [FAILURE_COUNT]: String(failures) } : {}),
  };
  pod.metadata.labels = { ...pod.metadata.labels, [INDEX_ANNOTATION]: text };
  const env = {
    name: "JOB_COMPLETION_INDEX",
    valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: `metadata.labels['${INDEX_ANNOTATION}']` } },
  };
  const withIndex = (list: any[] | undefined) =>
    list?.map((x) => ((x.env ?? []).some((e: any) => e.name === env.name) ? x : { ...x, env: [...(x.env ?? []), env] }));
  pod["spec"] = {
    ...pod["spec"],
    ...(pod["spec"].hostname ? {} : { hostname: `${base}-${index}` }),
    containers: withIndex(pod["spec"].containers),
    ...(pod["spec"].initContainers ? { initContainers: withIndex(pod["spec"].initContainers) } : {}),
  };
  return pod;
}

/** Milliseconds until the active deadline; undefined when there is none. */
function deadlineMs(job: KubeObject, nowMs: number): number | undefined {
  const seconds = job["spec"].activeDeadlineSeconds;
  if (seconds === undefined || seconds === null || job["spec"].suspend) return undefined;
  const started = timeMs(job["status"]?.startTime) ?? nowMs;
  return Math.max(1, started + seconds * 1000 - nowMs);
}
