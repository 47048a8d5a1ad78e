// Deleting a pod on purpose: the condition that says why goes first, so that its owner can tell a disruption from a failure.
import { type ApiClient, isNotFound, type KubeObject, Resources, time } from "@podwire/client";
import { podCondition } from "./status.ts";

export interface Disruption {
  reason: string;
  message: string;
  /** Also writes phase Failed, for pods that no kubelet will finish. */
  fail?: boolean;
  gracePeriodSeconds?: number;
}

export async function disrupt(client: ApiClient, pod: KubeObject, d: Disruption, nowMs: number): Promise<void> {
  const { namespace = "", name, uid = "" } = pod.metadata;
  try {
    const has = podCondition(pod, "DisruptionTarget");
    const finished = pod["status"]?.phase === "Succeeded" || pod["status"]?.phase === "Failed";
    if (has?.status !== "True" || has.reason !== d.reason || (d.fail && !finished)) {
      const condition = { type: "DisruptionTarget", status: "True", reason: d.reason, message: d.message, lastTransitionTime: time(nowMs) };
      const status = { ...(d.fail && !finished ? { phase: "Failed" } : {}), ...(finished ? {} : { conditions: [condition] }) };
      if (Object.keys(status).length > 0)
        await client.patch(Resources.pods, namespace, name, "strategic", { metadata: { uid }, status }, { subresource: "status" });
    }
    await client.delete(Resources.pods, namespace, name, {
      preconditions: { uid },
      ...(d.gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds: d.gracePeriodSeconds }),
    });
  } catch (e) {
    if (!isNotFound(e)) throw e;
  }
}
