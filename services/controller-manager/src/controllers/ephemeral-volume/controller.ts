// Makes the claims of generic ephemeral volumes: one a pod and volume, named "<pod>-<volume>" and owned by the pod, so that it goes
// with the pod (core/v1 EphemeralVolumeSource). A claim of that name that is somebody else's is left alone and reported.

import { reasonOf } from "@podwire/base";
import {
  controllerReference,
  isAlreadyExists,
  isControlledBy,
  type KubeObject,
  objectKey,
  Resources,
  runController,
  splitKey,
} from "@podwire/client";
import type { ControllerContext, RunningController } from "../../context.ts";
import { isTerminal } from "../../pods/status.ts";

export function startEphemeralVolume(c: ControllerContext): RunningController {
  const pods = c.informers.of(Resources.pods);
  const claims = c.informers.of(Resources.persistentVolumeClaims);
  const recorder = c.recorder("ephemeral_volume");
  const controller = runController({ name: "ephemeral-volume", clock: c.clock, log: c.log, informers: [pods, claims], reconcile });
  const ephemeral = (pod: KubeObject): any[] => (pod["spec"]?.volumes ?? []).filter((v: any) => v.ephemeral);
  pods.handle({
    onAdd(pod) {
      if (ephemeral(pod).length > 0 && !pod.metadata.deletionTimestamp) controller.queue.add(objectKey(pod));
    },
  });
  claims.handle({
    onDelete(claim) {
      const owner = claim.metadata.ownerReferences?.find((o) => o.kind === "Pod");
      if (owner) controller.queue.add(`${claim.metadata.namespace}/${owner.name}`);
    },
  });

  async function reconcile(key: string) {
    const { namespace, name } = splitKey(key);
    const pod = pods.lister.get(namespace, name);
    if (!pod || pod.metadata.deletionTimestamp || isTerminal(pod)) return undefined;
    for (const v of ephemeral(pod)) await ensure(pod, v);
    return undefined;
  }

  async function ensure(pod: KubeObject, volume: any): Promise<void> {
    const namespace = pod.metadata.namespace ?? "";
    const name = `${pod.metadata.name}-${volume.name}`;
    const existing = claims.lister.get(namespace, name);
    if (existing) {
      if (isControlledBy(existing, pod)) return;
      const message = `PVC ${namespace}/${name} was not created for pod ${namespace}/${pod.metadata.name} (pod is not owner)`;
      recorder.event(pod, "Warning", "FailedBinding", `ephemeral volume ${volume.name}: ${message}`);
      throw new Error(message);
    }
    const template = volume.ephemeral.volumeClaimTemplate ?? {};
    try {
      await c.client.create(Resources.persistentVolumeClaims, {
        metadata: {
          name,
          namespace,
          ...(template.metadata?.labels ? { labels: template.metadata.labels } : {}),
          ...(template.metadata?.annotations ? { annotations: template.metadata.annotations } : {}),
          ownerReferences: [controllerReference(pod, Resources.pods)],
        },
        spec: template.spec,
      });
    } catch (e) {
      if (isAlreadyExists(e)) throw e;
      recorder.event(pod, "Warning", "FailedBinding", `ephemeral volume ${volume.name}: create PVC ${name}: ${reasonOf(e)}`);
      throw e;
    }
  }
  return controller;
}
