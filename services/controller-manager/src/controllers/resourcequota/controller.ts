// The shell of the ResourceQuota controller: recounts a namespace's quotas when something in it goes, changes or comes, and from
// time to time. Admission adds on creation; this controller is what gives back.
import { type KubeObject, objectKey, Resources, runController, splitKey } from "@podwire/client";
import type { ControllerContext, RunningController } from "../../context.ts";
import { equal } from "../../equality.ts";
import { builtinCollections } from "../../resource-table.ts";
import { planQuota } from "./plan.ts";

const GATHER_MS = 20;

export function startResourceQuota(c: ControllerContext): RunningController {
  const quotas = c.informers.of(Resources.resourceQuotas);
  const pods = c.informers.of(Resources.pods);
  const claims = c.informers.of(Resources.persistentVolumeClaims);
  const services = c.informers.of(Resources.services);
  const controller = runController({
    name: "resourcequota",
    clock: c.clock,
    log: c.log,
    informers: [quotas, pods, claims, services],
    reconcile,
  });
  const own = (o: KubeObject) => controller.queue.add(objectKey(o));
  quotas.handle({
    onAdd: own,
    onUpdate(o, old) {
      if (!equal(o["spec"], old["spec"])) own(o);
    },
  });
  const wake = (o: KubeObject) => {
    for (const q of quotas.lister.list(o.metadata.namespace)) controller.queue.addAfter(objectKey(q), GATHER_MS);
  };
  const counts = { onAdd: wake, onDelete: wake };
  pods.handle({
    ...counts,
    onUpdate(pod, old) {
      const over = (p: KubeObject) => p["status"]?.phase === "Succeeded" || p["status"]?.phase === "Failed";
      if (over(pod) !== over(old) || !equal(pod["spec"].containers, old["spec"].containers)) wake(pod);
    },
  });
  claims.handle({ ...counts, onUpdate: wake });
  services.handle({ ...counts, onUpdate: wake });
  // The other counted collections are followed only where a quota may name them: their informers are shared with the collector.
  for (const { ref } of builtinCollections())
    if (ref.namespaced && !["pods", "persistentvolumeclaims", "services", "events", "leases"].includes(ref.resource))
      c.informers.of(ref).handle(counts);

  async function reconcile(key: string) {
    const { namespace, name } = splitKey(key);
    const quota = quotas.lister.get(namespace, name);
    if (!quota || quota.metadata.deletionTimestamp) return undefined;
    const status = planQuota(quota, {
      pods: pods.lister.list(namespace),
      claims: claims.lister.list(namespace),
      services: services.lister.list(namespace),
      count(group, resource) {
        const found = builtinCollections().find((x) => x.ref.group === group && x.ref.resource === resource);
        return found ? c.informers.of(found.ref).lister.list(namespace).length : 0;
      },
    });
    if (!equal(quota["status"] ?? {}, status)) await c.client.updateStatus(Resources.resourceQuotas, { ...quota, status });
    return { requeueAfterMs: c.settings.resourceQuotaSyncPeriodMs };
  }
  return controller;
}
