// The graph of owners and dependents over all objects, by uid. Pure: changes in, uids that must be looked at out.
// Invariants: a dependent is listed under each of its owners' uids, whether the owner is known or not; a node is known exactly
// while its object is in some cache.
import { type KubeObject, type OwnerReference, objectKey, type ResourceRef } from "@podwire/client";

export interface GraphNode {
  readonly ref: ResourceRef;
  /** The newest state seen. */
  object: KubeObject;
  owners: readonly OwnerReference[];
}

export const FOREGROUND = "foregroundDeletion";
export const ORPHAN = "orphan";

const NO_OWNERS: readonly OwnerReference[] = [];

export class GarbageGraph {
  readonly #nodes = new Map<string, GraphNode>();
  readonly #dependents = new Map<string, Set<string>>();

  get size(): number {
    return this.#nodes.size;
  }

  get(uid: string): GraphNode | undefined {
    return this.#nodes.get(uid);
  }

  dependentsOf(uid: string): GraphNode[] {
    const out: GraphNode[] = [];
    for (const d of this.#dependents.get(uid) ?? []) {
      const node = this.#nodes.get(d);
      if (node) out.push(node);
    }
    return out;
  }

  /** Takes in a new or changed object; returns the uids to look at. */
  put(ref: ResourceRef, object: KubeObject): string[] {
    const uid = object.metadata.uid ?? "";
    const before = this.#nodes.get(uid);
    const owners = object.metadata.ownerReferences ?? NO_OWNERS;
    if (before) {
      for (const o of before.owners) if (!owners.some((x) => x.uid === o.uid)) this.#unlink(o.uid, uid);
      // What blocked an owner's foreground deletion may not block it any more.
      const wake = before.owners
        .filter((o) => !owners.some((x) => x.uid === o.uid && x.blockOwnerDeletion === o.blockOwnerDeletion))
        .map((o) => o.uid);
      for (const o of owners) this.#link(o.uid, uid);
      const ownersChanged = JSON.stringify(before.owners) !== JSON.stringify(owners);
      const startsDeleting = isDeleting(object) && !isDeleting(before.object);
      const finalizersChanged =
        isDeleting(object) && JSON.stringify(before.object.metadata.finalizers) !== JSON.stringify(object.metadata.finalizers);
      before.object = object;
      before.owners = owners;
      if (ownersChanged) wake.push(uid);
      if (startsDeleting || finalizersChanged) wake.push(...this.#onDeleting(object));
      return wake;
    }
    this.#nodes.set(uid, { ref, object, owners });
    for (const o of owners) this.#link(o.uid, uid);
    // A dependent whose owner is not known must be checked; one with a known owner that is going, too.
    const wake: string[] = [];
    if (owners.some((o) => !this.#nodes.has(o.uid) || isDeletingInForeground(this.#nodes.get(o.uid)?.object))) wake.push(uid);
    if (isDeleting(object)) wake.push(...this.#onDeleting(object));
    return wake;
  }

  /** Forgets an object that is gone; returns the uids to look at: what it owned, and owners that waited for it. */
  remove(uid: string): string[] {
    const node = this.#nodes.get(uid);
    if (!node) return [];
    this.#nodes.delete(uid);
    for (const o of node.owners) this.#unlink(o.uid, uid);
    const wake = [...(this.#dependents.get(uid) ?? [])];
    for (const o of node.owners) if (isDeletingInForeground(this.#nodes.get(o.uid)?.object)) wake.push(o.uid);
    return wake;
  }

  #onDeleting(object: KubeObject): string[] {
    const uid = object.metadata.uid ?? "";
    const finalizers = object.metadata.finalizers ?? [];
    if (finalizers.includes(ORPHAN)) return [uid];
    if (finalizers.includes(FOREGROUND)) return [uid, ...(this.#dependents.get(uid) ?? [])];
    return [];
  }

  #link(owner: string, dependent: string): void {
    let set = this.#dependents.get(owner);
    if (!set) this.#dependents.set(owner, (set = new Set()));
    set.add(dependent);
  }

  #unlink(owner: string, dependent: string): void {
    const set = this.#dependents.get(owner);
    if (!set) return;
    set.delete(dependent);
    if (set.size === 0) this.#dependents.delete(owner);
  }
}

export const isDeleting = (o: KubeObject | undefined): boolean =>
  o?.metadata.deletionTimestamp !== undefined && o.metadata.deletionTimestamp !== null;
export const isDeletingInForeground = (o: KubeObject | undefined): boolean =>
  o !== undefined && isDeleting(o) && (o.metadata.finalizers ?? []).includes(FOREGROUND);

/** "v1/Pod default/web" for logs. */
export const describe = (n: GraphNode): string => `${n.ref.resource} ${objectKey(n.object)}`;
