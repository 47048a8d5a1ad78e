// Creating and deleting pods for an owner, with its events and expectations, the same for every workload controller.
// Creations start slowly (1, 2, 4, ... at a time) so that a quota or a broken template costs one request, not thousands.

import { reasonOf } from "@podwire/base";
import {
  type EventRecorder,
  type Expectations,
  isNamespaceTerminating,
  isNotFound,
  type KubeObject,
  objectKey,
  Resources,
} from "@podwire/client";
import type { ControllerContext } from "../context.ts";

const FIRST_BATCH = 1;

export interface PodControl {
  /** Creates `pods`; returns how many succeeded and the first error. Expectations of failures are taken back. */
  create(owner: KubeObject, key: string, pods: readonly KubeObject[]): Promise<{ created: number; error: unknown }>;
  delete(owner: KubeObject, key: string, pods: readonly KubeObject[]): Promise<{ error: unknown }>;
}

export function podControl(c: ControllerContext, recorder: EventRecorder, expected: Expectations | undefined): PodControl {
  async function createOne(owner: KubeObject, key: string, pod: KubeObject): Promise<unknown> {
    try {
      const made = await c.client.create(Resources.pods, pod);
      recorder.event(owner, "Normal", "SuccessfulCreate", `Created pod: ${made.metadata.name}`);
      return undefined;
    } catch (e) {
      expected?.creationFailed(key);
      if (!isNamespaceTerminating(e)) recorder.event(owner, "Warning", "FailedCreate", `Error creating: ${reasonOf(e)}`);
      return e;
    }
  }
  return {
    async create(owner, key, pods) {
      let created = 0;
      for (let at = 0, batch = FIRST_BATCH; at < pods.length; batch *= 2) {
        const part = pods.slice(at, at + batch);
        const errors = (await Promise.all(part.map((p) => createOne(owner, key, p)))).filter((e) => e !== undefined);
        created += part.length - errors.length;
        at += part.length;
        if (errors.length > 0) {
          // What was not tried will not be observed either.
          expected?.creationFailed(key, pods.length - at);
          return { created, error: errors[0] };
        }
      }
      return { created, error: undefined };
    },
    async delete(owner, key, pods) {
      const errors = await Promise.all(
        pods.map(async (pod) => {
          try {
            await c.client.delete(Resources.pods, pod.metadata.namespace ?? "", pod.metadata.name);
            recorder.event(owner, "Normal", "SuccessfulDelete", `Deleted pod: ${pod.metadata.name}`);
            return undefined;
          } catch (e) {
            expected?.deletionFailed(key, objectKey(pod));
            if (isNotFound(e)) return undefined;
            recorder.event(owner, "Warning", "FailedDelete", `Error deleting: ${reasonOf(e)}`);
            return e;
          }
        }),
      );
      return { error: errors.find((e) => e !== undefined) };
    },
  };
}

/** A pod made of a template, owned by `owner`. */
export function podFromTemplate(
  template: any,
  owner: KubeObject,
  ownerReference: object,
  more: { name?: string; generateName?: string },
): KubeObject {
  const meta = template?.metadata ?? {};
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      ...(more.name === undefined ? { generateName: more.generateName ?? `${owner.metadata.name}-` } : { name: more.name }),
      namespace: owner.metadata.namespace,
      ...(meta.labels ? { labels: { ...meta.labels } } : {}),
      ...(meta.annotations ? { annotations: { ...meta.annotations } } : {}),
      ...(meta.finalizers ? { finalizers: [...meta.finalizers] } : {}),
      ownerReferences: [ownerReference],
    } as KubeObject["metadata"],
    spec: template?.spec,
  };
}
