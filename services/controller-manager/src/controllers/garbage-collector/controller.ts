// The shell of the garbage collector: follows every collection, keeps the graph, carries out the plan for one uid at a time.
// Invariant: nothing is deleted because of an owner that only this process has not seen: an unknown owner is asked for first.
import {
  type Informer,
  isConflict,
  isNotFound,
  type KubeObject,
  type OwnerReference,
  type ResourceRef,
  runController,
} from "@podwire/client";
import type { ControllerContext, RunningController } from "../../context.ts";
import { builtinCollections, CUSTOM_RESOURCE_DEFINITIONS, collectionOfKind, customCollections } from "../../resource-table.ts";
import { GarbageGraph, type GraphNode, ORPHAN } from "./graph.ts";
import { planGarbage } from "./plan.ts";

/** Owner uids known to be absent; past it the older half is forgotten. */
const MAX_ABSENT = 5000;
/** Collections whose objects own nothing and are owned by nothing that matters. */
const IGNORED = new Set(["/events", "/bindings", "/componentstatuses"]);

export function startGarbageCollector(c: ControllerContext): RunningController {
  const graph = new GarbageGraph();
  const recorder = c.recorder("garbage-collector-controller");
  const crds = c.informers.of(CUSTOM_RESOURCE_DEFINITIONS);
  const followed = new Map<string, Informer<any>>();
  let absent = new Set<string>();
  let deleted = 0;

  const follow = (ref: ResourceRef) => {
    const id = `${ref.group}/${ref.resource}`;
    if (IGNORED.has(id) || followed.has(id)) return undefined;
    const informer = c.informers.of(ref);
    followed.set(id, informer);
    const put = (o: KubeObject) => wake(graph.put(ref, o));
    informer.handle({
      onAdd: put,
      onUpdate: put,
      onDelete(o) {
        remember(o.metadata.uid ?? "");
        wake(graph.remove(o.metadata.uid ?? ""));
      },
    });
    return informer;
  };
  const wake = (uids: readonly string[]) => {
    for (const uid of uids) if (uid !== "") controller.queue.add(uid);
  };
  const remember = (uid: string) => {
    absent.add(uid);
    if (absent.size > MAX_ABSENT) absent = new Set([...absent].slice(MAX_ABSENT / 2));
  };

  for (const { ref, verbs } of builtinCollections()) if (verbs.includes("watch")) follow(ref);
  const controller = runController({
    name: "garbage-collector",
    clock: c.clock,
    log: c.log,
    informers: [...followed.values(), crds],
    workers: 20,
    reconcile,
  });
  const onCrd = () => {
    for (const { ref } of customCollections(crds.lister.list())) void follow(ref)?.start();
  };
  crds.handle({ onAdd: onCrd, onUpdate: onCrd });

  async function reconcile(uid: string) {
    const node = graph.get(uid);
    if (!node) return undefined;
    const action = planGarbage(graph, node, await absentOwners(node));
    try {
      switch (action.do) {
        case "nothing":
          return undefined;
        case "look":
          wake(action.uids);
          return undefined;
        case "setOwners":
          await setOwners(action.node, action.owners);
          return undefined;
        case "delete":
          await c.client.delete(node.ref, node.object.metadata.namespace ?? "", node.object.metadata.name, action.options);
          deleted++;
          return undefined;
        case "removeFinalizer":
          await removeFinalizer(node, action.finalizer);
          return undefined;
        case "orphan":
          for (const d of action.dependents)
            await setOwners(
              d,
              d.owners.filter((o) => o.uid !== uid),
            );
          await removeFinalizer(node, ORPHAN);
          return undefined;
      }
    } catch (e) {
      if (isNotFound(e)) return undefined;
      if (isConflict(e)) return { requeueAfterMs: 50 };
      throw e;
    }
  }

  /** The owners of a node that do not exist, asking the API about those that the graph does not know. */
  async function absentOwners(node: GraphNode): Promise<Set<string>> {
    const out = new Set<string>();
    const namespace = node.object.metadata.namespace ?? "";
    for (const o of node.owners) {
      const known = graph.get(o.uid);
      if (known) {
        if (isMismatch(node, o, known)) out.add(o.uid);
        continue;
      }
      if (absent.has(o.uid)) {
        out.add(o.uid);
        continue;
      }
      const ref = collectionOfKind(crds, o.apiVersion, o.kind);
      // A kind that the API does not have cannot be judged: better too long than too short a life.
      if (!ref) continue;
      if (ref.namespaced && namespace === "") {
        recorder.event(
          node.object,
          "Warning",
          "OwnerRefInvalidNamespace",
          `ownerRef [${o.apiVersion}/${o.kind}, namespace: , name: ${o.name}, uid: ${o.uid}] does not exist in namespace ""`,
        );
        continue;
      }
      try {
        const live = await c.client.get(ref, ref.namespaced ? namespace : "", o.name);
        if (live.metadata.uid === o.uid) continue;
      } catch (e) {
        if (!isNotFound(e)) throw e;
      }
      remember(o.uid);
      out.add(o.uid);
    }
    return out;
  }

  /** The reference names something else than the object with that uid: another kind, name or namespace. */
  function isMismatch(node: GraphNode, o: OwnerReference, owner: GraphNode): boolean {
    const foreign = owner.ref.namespaced && owner.object.metadata.namespace !== node.object.metadata.namespace;
    if (!foreign) return false;
    recorder.event(
      node.object,
      "Warning",
      "OwnerRefInvalidNamespace",
      `ownerRef [${o.apiVersion}/${o.kind}, namespace: ${node.object.metadata.namespace ?? ""}, name: ${o.name}, uid: ${o.uid}] does not exist in namespace "${node.object.metadata.namespace ?? ""}"`,
    );
    return true;
  }

  function setOwners(node: GraphNode, owners: readonly OwnerReference[]): Promise<KubeObject> {
    const { namespace = "", name, resourceVersion } = node.object.metadata;
    return c.client.patch(node.ref, namespace, name, "merge", {
      metadata: { resourceVersion, ownerReferences: owners.length > 0 ? owners : null },
    });
  }

  function removeFinalizer(node: GraphNode, finalizer: string): Promise<KubeObject> {
    const { namespace = "", name, resourceVersion } = node.object.metadata;
    const finalizers = (node.object.metadata.finalizers ?? []).filter((f) => f !== finalizer);
    return c.client.patch(node.ref, namespace, name, "merge", {
      metadata: { resourceVersion, finalizers: finalizers.length > 0 ? finalizers : null },
    });
  }

  return { start: controller.start, stop: controller.stop, counters: () => ({ ...controller.counters(), objects: graph.size, deleted }) };
}
