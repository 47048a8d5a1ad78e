// The shell of the DaemonSet controller: claims pods and revisions, carries out the plan with expectations, writes the status.
import { reasonOf } from "@podwire/base";
import {
  controllerOf,
  expectations,
  exponentialLimiter,
  isAlreadyExists,
  type KubeObject,
  keyOf,
  objectKey,
  Resources,
  runController,
  splitKey,
} from "@podwire/client";
import { ActionFailure, applyActions, causeOf } from "../../actions.ts";
import type { ControllerContext, RunningController } from "../../context.ts";
import { equal } from "../../equality.ts";
import { applyClaim, candidatesOf, indexByOwner, planClaim, selectorCache } from "../../ownership.ts";
import { podControl } from "../../pods/control.ts";
import { matchesNodeSelector } from "../../pods/node-selector.ts";
import { isTerminating, nextAvailableMs } from "../../pods/status.ts";
import { planHistory, planTruncation } from "../../revision-history.ts";
import {
  type DaemonState,
  daemonPod,
  daemonStatus,
  type Fit,
  fitOn,
  GENERATION_ANNOTATION,
  HASH_LABEL,
  nodeOf,
  planDaemonPods,
  planDaemonUpdate,
} from "./plan.ts";

const BURST = 250;
const GATHER_MS = 20;
/** A failed pod on a node is replaced at once, then after 1 s, 2 s, ... 15 min. */
const FIRST_REPLACE_MS = 1_000;
const MAX_REPLACE_MS = 15 * 60_000;

export function startDaemonSet(c: ControllerContext): RunningController {
  const daemons = c.informers.of(Resources.daemonSets);
  const pods = c.informers.of(Resources.pods);
  const nodes = c.informers.of(Resources.nodes);
  const revisions = c.informers.of(Resources.controllerRevisions);
  indexByOwner(pods);
  indexByOwner(revisions);
  const selectorOf = selectorCache();
  const recorder = c.recorder("daemonset-controller");
  const expected = expectations(c.clock);
  const control = podControl(c, recorder, expected);
  const backOff = exponentialLimiter(FIRST_REPLACE_MS, MAX_REPLACE_MS);
  const replaceAfterMs = new Map<string, number>();
  const controller = runController({
    name: "daemonset",
    clock: c.clock,
    log: c.log,
    informers: [daemons, pods, nodes, revisions],
    workers: 2,
    reconcile,
  });
  const { queue } = controller;
  const own = (o: KubeObject) => queue.add(objectKey(o));
  daemons.handle({
    onAdd: own,
    onUpdate: own,
    onDelete(o) {
      expected.forget(objectKey(o));
      own(o);
    },
  });
  const all = () => {
    for (const d of daemons.lister.list()) own(d);
  };
  nodes.handle({
    onAdd: all,
    onUpdate(node, old) {
      if (!equal(node.metadata.labels, old.metadata.labels) || !equal(node["spec"]?.taints, old["spec"]?.taints)) all();
    },
    onDelete: all,
  });
  const ownerKeyOf = (pod: KubeObject) => {
    const ref = controllerOf(pod);
    return ref?.kind === "DaemonSet" ? keyOf(pod.metadata.namespace ?? "", ref.name) : undefined;
  };
  const wakeAdopters = (pod: KubeObject) => {
    if (controllerOf(pod) || !pod.metadata.labels) return;
    for (const d of daemons.lister.list(pod.metadata.namespace)) if (selectorOf(d["spec"].selector).matches(pod.metadata.labels)) own(d);
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
      if (key === undefined) return wakeAdopters(pod);
      if (isTerminating(pod) && !isTerminating(old)) expected.observeDeletion(key, objectKey(pod));
      queue.addAfter(key, GATHER_MS);
    },
    onDelete(pod) {
      const key = ownerKeyOf(pod);
      if (key === undefined) return;
      expected.observeDeletion(key, objectKey(pod));
      queue.add(key);
    },
  });

  async function reconcile(key: string) {
    const { namespace, name } = splitKey(key);
    const ds = daemons.lister.get(namespace, name);
    if (!ds) {
      expected.forget(key);
      return undefined;
    }
    const selector = selectorOf(ds["spec"].selector);
    const ownRevisions = await applyClaim(
      c.client,
      ds,
      Resources.daemonSets,
      Resources.controllerRevisions,
      planClaim(ds, selector, candidatesOf(revisions, ds)),
    );
    const mine = await applyClaim(c.client, ds, Resources.daemonSets, Resources.pods, planClaim(ds, selector, candidatesOf(pods, ds)));
    if (isTerminating(ds)) return undefined;
    const generation = ds.metadata.annotations?.[GENERATION_ANNOTATION];
    const history = planHistory({
      owner: ds,
      ownerRef: Resources.daemonSets,
      revisions: ownRevisions,
      hashLabel: HASH_LABEL,
      collisionCount: ds["status"]?.collisionCount ?? 0,
      ...(generation === undefined ? {} : { annotations: { [GENERATION_ANNOTATION]: generation } }),
    });
    try {
      await applyActions(c.client, recorder, history.actions);
    } catch (e) {
      if (e instanceof ActionFailure && isAlreadyExists(e.error)) await onCollision(ds, history.update);
      throw causeOf(e);
    }
    const fits = new Map<string, Fit>();
    const state: DaemonState = {
      ds,
      nodes: nodes.lister.list(),
      fit(node) {
        let f = fits.get(node.metadata.name);
        if (!f) fits.set(node.metadata.name, (f = fitOn(ds, node, (n) => matchesNodeSelector(ds["spec"].template.spec ?? {}, n))));
        return f;
      },
      podsOn: byNode(mine),
      hash: history.update.metadata.labels?.[HASH_LABEL] as string,
      nowMs: c.clock.nowMs(),
      mayReplaceFailed: (node) => mayReplace(key, node),
    };
    let error: unknown;
    let changed = false;
    if (expected.satisfied(key)) ({ error, changed } = await manage(key, state));
    // The update goes on from what is, so it waits for what was just asked for.
    if (error === undefined && !changed && expected.satisfied(key)) {
      const update = planDaemonUpdate(state);
      error = await carryOut(key, state, update.create, update.delete);
      const live = new Set([history.update.metadata.name, ...revisionNamesOf(mine, history.all)]);
      await applyActions(c.client, undefined, planTruncation(history.all, live, ds["spec"].revisionHistoryLimit ?? 10)).catch((e) => {
        error ??= causeOf(e);
      });
    }
    const status = daemonStatus(state);
    if (!equal(ds["status"] ?? {}, status)) await c.client.updateStatus(Resources.daemonSets, { ...ds, status });
    if (error !== undefined) throw error;
    const wait = nextAvailableMs(mine, ds["spec"].minReadySeconds ?? 0, c.clock.nowMs());
    const due =
      replaceAfterMs.size > 0 ? [...replaceAfterMs].filter(([k]) => k.startsWith(`${key}|`)).map(([, at]) => at - c.clock.nowMs()) : [];
    const next = Math.min(wait ?? Number.POSITIVE_INFINITY, ...due.filter((d) => d > 0));
    return next === Number.POSITIVE_INFINITY ? undefined : { requeueAfterMs: next };
  }

  async function manage(key: string, state: DaemonState): Promise<{ error: unknown; changed: boolean }> {
    const plan = planDaemonPods(state);
    const where = (pod: KubeObject, node: string) => `daemon pod ${pod.metadata.namespace}/${pod.metadata.name} on node ${node}`;
    for (const { pod, node } of plan.failed) {
      recorder.event(state.ds, "Warning", "FailedDaemonPod", `Found failed ${where(pod, node)}, will try to kill it`);
      replaceAfterMs.set(`${key}|${node}`, c.clock.nowMs() + backOff.whenMs(`${key}|${node}`));
    }
    for (const { pod, node } of plan.succeeded)
      recorder.event(state.ds, "Normal", "SucceededDaemonPod", `Found succeeded ${where(pod, node)}, will try to delete it`);
    const removed = [...plan.delete, ...plan.failed.map((f) => f.pod), ...plan.succeeded.map((f) => f.pod)];
    const error = await carryOut(key, state, plan.create, removed);
    return { error, changed: plan.create.length + removed.length > 0 };
  }

  async function carryOut(key: string, state: DaemonState, create: readonly string[], remove: readonly KubeObject[]): Promise<unknown> {
    const wanted = create.slice(0, BURST);
    const gone = remove.slice(0, BURST);
    if (wanted.length + gone.length === 0) return undefined;
    expected.expect(key, wanted.length, gone.map(objectKey));
    const made = await control.create(
      state.ds,
      key,
      wanted.map((node) => daemonPod(state.ds, node, state.hash)),
    );
    const deleted = await control.delete(state.ds, key, gone);
    return made.error ?? deleted.error;
  }

  function mayReplace(key: string, node: string): boolean {
    const at = replaceAfterMs.get(`${key}|${node}`);
    return at === undefined || at <= c.clock.nowMs();
  }

  async function onCollision(ds: KubeObject, wanted: KubeObject): Promise<void> {
    const live = await c.client.get(Resources.controllerRevisions, wanted.metadata.namespace ?? "", wanted.metadata.name);
    if (equal(live["data"], wanted["data"])) return;
    const status = { currentNumberScheduled: 0, numberMisscheduled: 0, desiredNumberScheduled: 0, numberReady: 0, ...ds["status"] };
    await c.client
      .updateStatus(Resources.daemonSets, { ...ds, status: { ...status, collisionCount: (status.collisionCount ?? 0) + 1 } })
      .catch((e) => c.log.debug({ daemonset: objectKey(ds), reason: reasonOf(e) }, "could not count a collision"));
  }

  return controller;
}

function byNode(pods: readonly KubeObject[]): Map<string, KubeObject[]> {
  const m = new Map<string, KubeObject[]>();
  for (const p of pods) {
    const node = nodeOf(p);
    if (node === "") continue;
    const list = m.get(node);
    if (list) list.push(p);
    else m.set(node, [p]);
  }
  return m;
}

/** Revisions that some pod still runs. */
function revisionNamesOf(pods: readonly KubeObject[], all: readonly KubeObject[]): string[] {
  const hashes = new Set(pods.map((p) => p.metadata.labels?.[HASH_LABEL]));
  return all.filter((r) => hashes.has(r.metadata.labels?.[HASH_LABEL])).map((r) => r.metadata.name);
}
