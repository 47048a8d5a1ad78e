// The shell of the pod garbage collector: looks every 20 s, asks the API before it believes that a node is gone.

import { reasonOf } from "@podwire/base";
import { isNotFound, Resources } from "@podwire/client";
import type { ControllerContext, RunningController } from "../../context.ts";
import { periodic } from "../../periodic.ts";
import { disrupt } from "../../pods/disruption.ts";
import { planPodGc } from "./plan.ts";

const PERIOD_MS = 20_000;

export function startPodGc(c: ControllerContext): RunningController {
  const pods = c.informers.of(Resources.pods);
  const nodes = c.informers.of(Resources.nodes);
  const missing = new Map<string, number>();
  let removed = 0;

  async function look(): Promise<void> {
    const now = c.clock.nowMs();
    const all = pods.lister.list();
    const named = new Set(all.map((p) => p["spec"]?.nodeName).filter((n) => n));
    for (const n of missing.keys()) if (!named.has(n) || nodes.lister.get("", n)) missing.delete(n);
    for (const n of named) if (!nodes.lister.get("", n) && !missing.has(n)) missing.set(n, now);
    const verdicts = planPodGc({
      pods: all,
      node: (n) => nodes.lister.get("", n),
      missingSinceMs: (n) => missing.get(n),
      terminatedThreshold: c.settings.terminatedPodGcThreshold,
      nowMs: now,
    });
    const gone = new Map<string, boolean>();
    for (const { pod, reason, message } of verdicts) {
      const node = pod["spec"]?.nodeName ?? "";
      if (node !== "" && missing.has(node)) {
        if (!gone.has(node)) gone.set(node, await isGone(node));
        if (!gone.get(node)) continue;
      }
      try {
        if (reason === "")
          await c.client.delete(Resources.pods, pod.metadata.namespace ?? "", pod.metadata.name, {
            gracePeriodSeconds: 0,
            preconditions: { uid: pod.metadata.uid ?? "" },
          });
        else await disrupt(c.client, pod, { reason, message, fail: true, gracePeriodSeconds: 0 }, now);
        removed++;
      } catch (e) {
        if (!isNotFound(e)) c.log.warn({ controller: "podgc", pod: pod.metadata.name, reason: reasonOf(e) }, "could not remove a pod");
      }
    }
  }

  async function isGone(node: string): Promise<boolean> {
    try {
      await c.client.get(Resources.nodes, "", node);
      return false;
    } catch (e) {
      return isNotFound(e);
    }
  }

  return periodic(c, "podgc", [pods, nodes], PERIOD_MS, look, () => ({ removed }));
}
