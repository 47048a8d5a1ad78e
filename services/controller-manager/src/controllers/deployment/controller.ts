// The shell of the Deployment controller: claims ReplicaSets, carries out the plan, settles hash collisions.

import { reasonOf } from "@podwire/base";
import {
  controllerOf,
  isAlreadyExists,
  isControlledBy,
  isNamespaceTerminating,
  type KubeObject,
  keyOf,
  objectKey,
  Resources,
  runController,
  splitKey,
} from "@podwire/client";
import { ActionFailure, applyActions, causeOf } from "../../actions.ts";
import type { ControllerContext, RunningController } from "../../context.ts";
import { applyClaim, BY_OWNER, candidatesOf, indexByOwner, planClaim, selectorCache } from "../../ownership.ts";
import { isTerminal } from "../../pods/status.ts";
import { planDeployment } from "./plan.ts";
import { REVISION, sameTemplate } from "./revisions.ts";
import { hasDeadline, setCondition } from "./status.ts";

export function startDeployment(c: ControllerContext): RunningController {
  const deployments = c.informers.of(Resources.deployments);
  const sets = c.informers.of(Resources.replicaSets);
  const pods = c.informers.of(Resources.pods);
  indexByOwner(sets);
  indexByOwner(pods);
  const selectorOf = selectorCache();
  const recorder = c.recorder("deployment-controller");
  const controller = runController({ name: "deployment", clock: c.clock, log: c.log, informers: [deployments, sets, pods], reconcile });
  const { queue } = controller;

  const own = (o: KubeObject) => queue.add(objectKey(o));
  deployments.handle({ onAdd: own, onUpdate: own, onDelete: own });

  const ownerKeyOf = (rs: KubeObject) => {
    const ref = controllerOf(rs);
    return ref?.kind === "Deployment" ? keyOf(rs.metadata.namespace ?? "", ref.name) : undefined;
  };
  const onSet = (rs: KubeObject) => {
    const key = ownerKeyOf(rs);
    if (key !== undefined) return queue.add(key);
    if (controllerOf(rs)) return;
    for (const d of deployments.lister.list(rs.metadata.namespace)) if (selectorOf(d["spec"].selector).matches(rs.metadata.labels)) own(d);
  };
  sets.handle({
    onAdd: onSet,
    onUpdate(rs, old) {
      const oldKey = ownerKeyOf(old);
      if (oldKey !== undefined && oldKey !== ownerKeyOf(rs)) queue.add(oldKey);
      onSet(rs);
    },
    onDelete: onSet,
  });
  // Recreate waits for the old pods to be over: deleted, ended, or no longer theirs (Kubernetes looks at deletions only, and
  // waits for ever when a released or an ended pod was the last).
  const onPodOver = (pod: KubeObject) => {
    const ref = controllerOf(pod);
    if (ref?.kind !== "ReplicaSet") return;
    const rs = sets.lister.get(pod.metadata.namespace ?? "", ref.name);
    const key = rs && ownerKeyOf(rs);
    const d = rs && key !== undefined ? deployments.lister.get(rs.metadata.namespace ?? "", splitKey(key).name) : undefined;
    if (d?.["spec"].strategy?.type !== "Recreate") return;
    if (pods.lister.byIndex(BY_OWNER, `${pod.metadata.namespace ?? ""}/${ref.uid}`).every(isTerminal)) own(d);
  };
  pods.handle({
    onUpdate(pod, old) {
      if (controllerOf(old)?.uid !== controllerOf(pod)?.uid || (isTerminal(pod) && !isTerminal(old))) onPodOver(old);
    },
    onDelete: onPodOver,
  });

  async function reconcile(key: string) {
    const { namespace, name } = splitKey(key);
    const d = deployments.lister.get(namespace, name);
    if (!d) return undefined;
    const claim = planClaim(d, selectorOf(d["spec"].selector), candidatesOf(sets, d));
    const owned = await applyClaim(c.client, d, Resources.deployments, Resources.replicaSets, claim);
    const plan = planDeployment({
      deployment: d,
      replicaSets: owned,
      podsOf: (rs) => pods.lister.byIndex(BY_OWNER, `${namespace}/${rs.metadata.uid}`),
      nowMs: c.clock.nowMs(),
    });
    try {
      const results = await applyActions(c.client, recorder, plan.actions);
      await ensureRevision(d, plan.actions.at(-1), results.at(-1));
    } catch (e) {
      if (!(e instanceof ActionFailure) || e.action.do !== "create") throw causeOf(e);
      await onCreateFailed(d, e.action.object, e.error);
    }
    return plan.requeueAfterMs === undefined ? undefined : { requeueAfterMs: plan.requeueAfterMs };
  }

  /** A status write carries the revision annotation; a server that drops it there gets it by a patch. */
  async function ensureRevision(d: KubeObject, last: unknown, answer: KubeObject | undefined): Promise<void> {
    const wrote = last as { do?: string; object?: KubeObject } | undefined;
    const wanted = wrote?.object?.metadata.annotations?.[REVISION];
    if (wrote?.do !== "updateStatus" || wanted === undefined || answer === undefined || answer.metadata.annotations?.[REVISION] === wanted)
      return;
    await c.client.patch(Resources.deployments, d.metadata.namespace ?? "", d.metadata.name, "merge", {
      metadata: { annotations: { [REVISION]: wanted } },
    });
  }

  async function onCreateFailed(d: KubeObject, rs: KubeObject, error: unknown): Promise<void> {
    if (isNamespaceTerminating(error)) return;
    if (isAlreadyExists(error)) {
      const live = await c.client.get(Resources.replicaSets, rs.metadata.namespace ?? "", rs.metadata.name);
      // Ours, made a moment ago: the cache will show it.
      if (isControlledBy(live, d) && sameTemplate(live["spec"].template, d["spec"].template)) throw error;
      const status = { ...d["status"], collisionCount: (d["status"]?.collisionCount ?? 0) + 1 };
      await c.client.updateStatus(Resources.deployments, { ...d, status });
      throw error;
    }
    if (hasDeadline(d)) {
      const status = { ...d["status"], conditions: [...(d["status"]?.conditions ?? [])] };
      const message = `Failed to create new replica set "${rs.metadata.name}": ${reasonOf(error)}`;
      setCondition(status, { type: "Progressing", status: "False", reason: "ReplicaSetCreateError", message }, c.clock.nowMs());
      await c.client.updateStatus(Resources.deployments, { ...d, status });
      recorder.event(d, "Warning", "ReplicaSetCreateError", message);
    }
    throw error;
  }

  return controller;
}
