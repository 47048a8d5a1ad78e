// What to do with one object of the graph: keep it, cut references to owners that are gone, delete it, finish its foreground or
// orphaning deletion. Pure; whether an unknown owner is really absent was asked of the API before.
// Rules of meta/v1 OwnerReference: an object lives while one of its owners does; an owner in foreground deletion counts as waiting.
import type { DeleteOptions, KubeObject, OwnerReference } from "@podwire/client";
import { FOREGROUND, type GarbageGraph, type GraphNode, isDeleting, isDeletingInForeground, ORPHAN } from "./graph.ts";

export type GcAction =
  | { do: "nothing" }
  /** Writes these owner references (uids of those that go are left out). */
  | { do: "setOwners"; node: GraphNode; owners: OwnerReference[] }
  | { do: "delete"; node: GraphNode; options: DeleteOptions }
  | { do: "removeFinalizer"; node: GraphNode; finalizer: string }
  /** Cut this owner from each dependent, then remove the orphan finalizer. */
  | { do: "orphan"; node: GraphNode; dependents: GraphNode[] }
  | { do: "look"; uids: string[] };

/** `absent` holds owner uids that the API does not have (or that do not match what the reference says). */
export function planGarbage(graph: GarbageGraph, node: GraphNode, absent: ReadonlySet<string>): GcAction {
  const object = node.object;
  const uid = object.metadata.uid ?? "";
  if (isDeleting(object)) {
    const finalizers = object.metadata.finalizers ?? [];
    if (finalizers.includes(ORPHAN)) return { do: "orphan", node, dependents: graph.dependentsOf(uid) };
    if (finalizers.includes(FOREGROUND)) return foreground(graph, node);
    return { do: "nothing" };
  }
  if (node.owners.length === 0) return { do: "nothing" };
  const solid: OwnerReference[] = [];
  const waiting: OwnerReference[] = [];
  for (const o of node.owners) {
    if (absent.has(o.uid)) continue;
    if (isDeletingInForeground(graph.get(o.uid)?.object) && o.blockOwnerDeletion === true) waiting.push(o);
    else if (isDeletingInForeground(graph.get(o.uid)?.object)) waiting.push(o);
    else solid.push(o);
  }
  const dangling = node.owners.length - solid.length - waiting.length;
  if (solid.length > 0) return dangling + waiting.length === 0 ? { do: "nothing" } : { do: "setOwners", node, owners: solid };
  const preconditions = { uid, ...(object.metadata.resourceVersion ? { resourceVersion: object.metadata.resourceVersion } : {}) };
  if (waiting.length > 0 && graph.dependentsOf(uid).length > 0) {
    if (graph.dependentsOf(uid).some((d) => isDeletingInForeground(d.object)) && node.owners.some((o) => o.blockOwnerDeletion === true)) {
      // A cycle of foreground deletions would wait for itself: this object stops blocking its owners.
      const owners = node.owners.map((o) => ({ ...o, blockOwnerDeletion: false }));
      return { do: "setOwners", node, owners };
    }
    return { do: "delete", node, options: { preconditions, propagationPolicy: "Foreground" } };
  }
  return { do: "delete", node, options: { preconditions, propagationPolicy: policyOf(object) } };
}

/** An object that already carries a policy's finalizer is deleted by that policy. */
function policyOf(object: KubeObject): "Orphan" | "Foreground" | "Background" {
  const finalizers = object.metadata.finalizers ?? [];
  if (finalizers.includes(ORPHAN)) return "Orphan";
  return finalizers.includes(FOREGROUND) ? "Foreground" : "Background";
}

function foreground(graph: GarbageGraph, node: GraphNode): GcAction {
  const uid = node.object.metadata.uid ?? "";
  const blocking = graph.dependentsOf(uid).filter((d) => d.owners.some((o) => o.uid === uid && o.blockOwnerDeletion === true));
  if (blocking.length === 0) return { do: "removeFinalizer", node, finalizer: FOREGROUND };
  return { do: "look", uids: blocking.filter((d) => !isDeleting(d.object)).map((d) => d.object.metadata.uid ?? "") };
}
