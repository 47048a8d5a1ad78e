// The shell of the ReplicaSet and ReplicationController controllers: claims pods, carries out the plan, writes the status.
import { labelSet } from "@podwire/api";
import { reasonOf } from "@podwire/base";
import {
  controllerOf,
  controllerReference,
  expectations,
  type KubeObject,
  keyOf,
  objectKey,
  type ResourceRef,
  Resources,
  runController,
  splitKey,
} from "@podwire/client";
import type { ControllerContext, RunningController } from "../../context.ts";
import { applyClaim, BY_OWNER, candidatesOf, indexByOwner, type Matcher, planClaim, selectorCache } from "../../ownership.ts";
import { podControl, podFromTemplate } from "../../pods/control.ts";
import { isTerminal, isTerminating } from "../../pods/status.ts";
import { nextLookMs, planScaling, planStatus } from "./plan.ts";

/** Changes of pods are gathered for this long, so that a wave of them costs one status write; creations and deletions are not. */
const GATHER_MS = 20;

interface Kind {
  name: string;
  ref: ResourceRef;
  component: string;
  selector(owner: KubeObject): Matcher;
}

export const startReplicaSet = (c: ControllerContext): RunningController => {
  const compiled = selectorCache();
  return start(c, {
    name: "replicaset",
    ref: Resources.replicaSets,
    component: "replicaset-controller",
    selector: (o) => compiled(o["spec"].selector),
  });
};

export const startReplicationController = (c: ControllerContext): RunningController =>
  start(c, {
    name: "replicationcontroller",
    ref: Resources.replicationControllers,
    component: "replication-controller",
    selector: (o) => labelSet(o["spec"].selector),
  });

function start(c: ControllerContext, kind: Kind): RunningController {
  const owners = c.informers.of(kind.ref);
  const pods = c.informers.of(Resources.pods);
  indexByOwner(owners);
  indexByOwner(pods);
  const expected = expectations(c.clock);
  const recorder = c.recorder(kind.component);
  const control = podControl(c, recorder, expected);

  const controller = runController({ name: kind.name, clock: c.clock, log: c.log, informers: [owners, pods], reconcile });
  const { queue } = controller;

  owners.handle({
    onAdd: (o) => queue.add(objectKey(o)),
    onUpdate(o, old) {
      if (o.metadata.uid !== old.metadata.uid) expected.forget(objectKey(old));
      queue.add(objectKey(o));
    },
    onDelete(o) {
      expected.forget(objectKey(o));
      queue.add(objectKey(o));
    },
  });
  const ownerKeyOf = (pod: KubeObject): string | undefined => {
    const ref = controllerOf(pod);
    return ref?.kind === kind.ref.kind ? keyOf(pod.metadata.namespace ?? "", ref.name) : undefined;
  };
  const wakeAdopters = (pod: KubeObject) => {
    if (controllerOf(pod) || !pod.metadata.labels) return;
    for (const o of owners.lister.list(pod.metadata.namespace)) if (kind.selector(o).matches(pod.metadata.labels)) queue.add(objectKey(o));
  };
  pods.handle({
    onAdd(pod) {
      const key = ownerKeyOf(pod);
      if (key === undefined) return wakeAdopters(pod);
      if (isTerminating(pod)) expected.observeDeletion(key, objectKey(pod));
      else expected.observeCreation(key);
      queue.add(key);
    },
    onUpdate(pod, old) {
      const key = ownerKeyOf(pod);
      const oldKey = ownerKeyOf(old);
      if (oldKey !== undefined && oldKey !== key) queue.add(oldKey);
      if (key === undefined) {
        if (oldKey !== undefined || pod.metadata.labels !== old.metadata.labels) wakeAdopters(pod);
        return;
      }
      if (isTerminating(pod) && !isTerminating(old)) {
        expected.observeDeletion(key, objectKey(pod));
        queue.add(key);
      } else if (isTerminal(pod) !== isTerminal(old)) queue.add(key);
      else queue.addAfter(key, GATHER_MS);
    },
    onDelete(pod) {
      const key = ownerKeyOf(pod);
      if (key === undefined) return;
      expected.observeDeletion(key, objectKey(pod));
      queue.add(key);
    },
  });

  /** Pods of every set that has the same owner as `o`. */
  function related(o: KubeObject): KubeObject[] {
    const namespace = o.metadata.namespace ?? "";
    const owner = controllerOf(o);
    const siblings = owner ? owners.lister.byIndex(BY_OWNER, `${namespace}/${owner.uid}`) : [o];
    return siblings.flatMap((s) => pods.lister.byIndex(BY_OWNER, `${namespace}/${s.metadata.uid}`));
  }

  async function reconcile(key: string) {
    const { namespace, name } = splitKey(key);
    const o = owners.lister.get(namespace, name);
    if (!o) {
      expected.forget(key);
      return undefined;
    }
    const caughtUp = expected.satisfied(key);
    const claim = planClaim(o, kind.selector(o), candidatesOf(pods, o), (p) => !isTerminal(p));
    const owned = await applyClaim(c.client, o, kind.ref, Resources.pods, claim);
    const state = { replicaSet: o, pods: owned, related: () => related(o), nowMs: c.clock.nowMs() };
    const scaling = caughtUp ? planScaling(state) : { create: 0, delete: [] };
    let error: unknown;
    if (scaling.create > 0) {
      const reference = controllerReference(o, kind.ref);
      expected.expect(key, scaling.create, []);
      const wanted = Array.from({ length: scaling.create }, () => podFromTemplate(o["spec"].template, o, reference, {}));
      error = (await control.create(o, key, wanted)).error;
    } else if (scaling.delete.length > 0) {
      expected.expect(key, 0, scaling.delete.map(objectKey));
      error = (await control.delete(o, key, scaling.delete)).error;
    }
    const status = planStatus({ ...state, nowMs: c.clock.nowMs() }, scaling, error === undefined ? undefined : reasonOf(error));
    if (status) await c.client.updateStatus(kind.ref, { ...o, status });
    if (error !== undefined) throw error;
    const wait = nextLookMs(state);
    return wait === undefined ? undefined : { requeueAfterMs: wait };
  }

  return controller;
}
