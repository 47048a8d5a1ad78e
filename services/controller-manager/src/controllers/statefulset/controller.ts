// The shell of the StatefulSet controller: claims pods and revisions, carries out the plan, writes the status, trims the history.

import { reasonOf } from "@podwire/base";
import { controllerOf, isAlreadyExists, type KubeObject, keyOf, objectKey, Resources, runController, splitKey } from "@podwire/client";
import { ActionFailure, applyActions } from "../../actions.ts";
import type { ControllerContext, RunningController } from "../../context.ts";
import { equal } from "../../equality.ts";
import { applyClaim, candidatesOf, indexByOwner, planClaim, selectorCache } from "../../ownership.ts";
import { isTerminating, nextAvailableMs } from "../../pods/status.ts";
import { planHistory, planTruncation } from "../../revision-history.ts";
import { ordinalOf, REVISION_LABEL } from "./identity.ts";
import { planStatefulSet } from "./plan.ts";

const HASH_LABEL = "controller.kubernetes.io/hash";

export function startStatefulSet(c: ControllerContext): RunningController {
  const sets = c.informers.of(Resources.statefulSets);
  const pods = c.informers.of(Resources.pods);
  const claims = c.informers.of(Resources.persistentVolumeClaims);
  const revisions = c.informers.of(Resources.controllerRevisions);
  indexByOwner(pods);
  indexByOwner(revisions);
  const selectorOf = selectorCache();
  const recorder = c.recorder("statefulset-controller");
  const controller = runController({
    name: "statefulset",
    clock: c.clock,
    log: c.log,
    informers: [sets, pods, claims, revisions],
    reconcile,
  });
  const { queue } = controller;
  const own = (o: KubeObject) => queue.add(objectKey(o));
  sets.handle({ onAdd: own, onUpdate: own, onDelete: own });
  const ownerKeyOf = (o: KubeObject) => {
    const ref = controllerOf(o);
    return ref?.kind === "StatefulSet" ? keyOf(o.metadata.namespace ?? "", ref.name) : undefined;
  };
  const onOwned = (o: KubeObject) => {
    const key = ownerKeyOf(o);
    if (key !== undefined) queue.add(key);
    else if (!controllerOf(o))
      for (const s of sets.lister.list(o.metadata.namespace)) if (selectorOf(s["spec"].selector).matches(o.metadata.labels)) own(s);
  };
  const follow = {
    onAdd: onOwned,
    onUpdate(o: KubeObject, old: KubeObject) {
      const before = ownerKeyOf(old);
      if (before !== undefined && before !== ownerKeyOf(o)) queue.add(before);
      onOwned(o);
    },
    onDelete: onOwned,
  };
  pods.handle(follow);
  revisions.handle(follow);

  async function reconcile(key: string) {
    const { namespace, name } = splitKey(key);
    const set = sets.lister.get(namespace, name);
    if (!set) return undefined;
    const selector = selectorOf(set["spec"].selector);
    const ownRevisions = await applyClaim(
      c.client,
      set,
      Resources.statefulSets,
      Resources.controllerRevisions,
      planClaim(set, selector, candidatesOf(revisions, set)),
    );
    const claim = planClaim(set, selector, candidatesOf(pods, set), (p) => ordinalOf(set, p) >= 0);
    const members = await applyClaim(c.client, set, Resources.statefulSets, Resources.pods, claim);

    const history = planHistory({
      owner: set,
      ownerRef: Resources.statefulSets,
      revisions: ownRevisions,
      hashLabel: HASH_LABEL,
      collisionCount: set["status"]?.collisionCount ?? 0,
    });
    // What is being deleted gets no new revisions: the garbage collector would take each away again.
    const going = isTerminating(set);
    try {
      if (!going) await applyActions(c.client, recorder, history.actions);
    } catch (e) {
      if (e instanceof ActionFailure && isAlreadyExists(e.error)) await onCollision(set, history.update);
      throw e instanceof ActionFailure ? e.error : e;
    }
    const current = history.all.find((r) => r.metadata.name === set["status"]?.currentRevision) ?? history.update;
    const plan = planStatefulSet({
      set,
      pods: members,
      current,
      update: history.update,
      claim: (n) => claims.lister.get(namespace, n),
      nowMs: c.clock.nowMs(),
    });
    let failure: unknown;
    try {
      await applyActions(c.client, recorder, plan.actions);
    } catch (e) {
      failure = e instanceof ActionFailure ? e.error : e;
      if (e instanceof ActionFailure) report(set, e);
    }
    // After a failure the counts of the plan are not what is; the next try tells.
    if (failure === undefined && !equal(set["status"] ?? {}, plan.status))
      await c.client.updateStatus(Resources.statefulSets, { ...set, status: plan.status });
    if (failure !== undefined) throw failure;
    if (going) return undefined;
    const live = new Set([
      current.metadata.name,
      history.update.metadata.name,
      ...members.map((p) => p.metadata.labels?.[REVISION_LABEL] ?? ""),
    ]);
    await applyActions(c.client, undefined, planTruncation(history.all, live, set["spec"].revisionHistoryLimit ?? 10));
    const wait = nextAvailableMs(members, set["spec"].minReadySeconds ?? 0, c.clock.nowMs());
    return wait === undefined ? undefined : { requeueAfterMs: wait };
  }

  function report(set: KubeObject, e: ActionFailure): void {
    const a = e.action;
    if (isAlreadyExists(e.error) || (a.do !== "create" && a.do !== "delete")) return;
    const name = a.do === "create" ? a.object.metadata.name : a.name;
    const reason = a.do === "create" ? "FailedCreate" : "FailedDelete";
    recorder.event(set, "Warning", reason, `${a.do} Pod ${name} in StatefulSet ${set.metadata.name} failed error: ${reasonOf(e.error)}`);
  }

  /** Another template has the same hash: count up, so that the next name differs. */
  async function onCollision(set: KubeObject, wanted: KubeObject): Promise<void> {
    const live = await c.client.get(Resources.controllerRevisions, wanted.metadata.namespace ?? "", wanted.metadata.name);
    if (equal(live["data"], wanted["data"])) return;
    await c.client.updateStatus(Resources.statefulSets, {
      ...set,
      status: { replicas: 0, ...set["status"], collisionCount: (set["status"]?.collisionCount ?? 0) + 1 },
    });
  }

  return controller;
}
