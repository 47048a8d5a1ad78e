// Deletes finished Jobs when their ttlSecondsAfterFinished is over (the TTL-after-finished controller).
import { isNotFound, type KubeObject, objectKey, Resources, runController, splitKey, timeMs } from "@podwire/client";
import type { ControllerContext, RunningController } from "../../context.ts";

export function startTtlAfterFinished(c: ControllerContext): RunningController {
  const jobs = c.informers.of(Resources.jobs);
  const controller = runController({ name: "ttl-after-finished", clock: c.clock, log: c.log, informers: [jobs], reconcile });
  const own = (o: KubeObject) => {
    if (expiryMs(o) !== undefined) controller.queue.add(objectKey(o));
  };
  jobs.handle({ onAdd: own, onUpdate: own });

  async function reconcile(key: string) {
    const { namespace, name } = splitKey(key);
    const job = jobs.lister.get(namespace, name);
    const at = job && expiryMs(job);
    if (!job || at === undefined || job.metadata.deletionTimestamp) return undefined;
    const wait = at - c.clock.nowMs();
    if (wait > 0) return { requeueAfterMs: wait };
    const preconditions = {
      uid: job.metadata.uid ?? "",
      ...(job.metadata.resourceVersion ? { resourceVersion: job.metadata.resourceVersion } : {}),
    };
    await c.client.delete(Resources.jobs, namespace, name, { propagationPolicy: "Foreground", preconditions }).catch((e) => {
      if (!isNotFound(e)) throw e;
    });
    return undefined;
  }
  return controller;
}

/** When a Job may go; undefined while it is not finished or has no time to live. */
function expiryMs(job: KubeObject): number | undefined {
  const ttl = job["spec"].ttlSecondsAfterFinished;
  if (ttl === undefined || ttl === null) return undefined;
  const end = (job["status"]?.conditions ?? []).find((x: any) => (x.type === "Complete" || x.type === "Failed") && x.status === "True");
  const at = timeMs(end?.lastTransitionTime);
  return at === undefined ? undefined : at + ttl * 1000;
}
