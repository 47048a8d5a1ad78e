// Owner references: who made an object and is responsible for it (meta/v1 OwnerReference). At most one owner is the controller.
import { apiVersionOf, type KubeObject, type OwnerReference, type ResourceRef } from "./object.ts";

/** The reference that a controller puts on what it creates. */
export function controllerReference(owner: KubeObject, ref: ResourceRef): OwnerReference {
  return {
    apiVersion: apiVersionOf(ref),
    kind: ref.kind,
    name: owner.metadata.name,
    uid: owner.metadata.uid ?? "",
    controller: true,
    blockOwnerDeletion: true,
  };
}

/** The owner that controls an object, if any. */
export function controllerOf(object: KubeObject): OwnerReference | undefined {
  return object.metadata.ownerReferences?.find((r) => r.controller === true);
}

/** Whether the owner is the controller of the object, by uid. */
export function isControlledBy(object: KubeObject, owner: KubeObject): boolean {
  return owner.metadata.uid !== undefined && controllerOf(object)?.uid === owner.metadata.uid;
}

/** Whether any owner of the object has this uid. */
export function isOwnedBy(object: KubeObject, uid: string): boolean {
  return object.metadata.ownerReferences?.some((r) => r.uid === uid) ?? false;
}

/** Index function: objects by the uid of their controller ("" for orphans). */
export function byController(object: KubeObject): readonly string[] {
  return [controllerOf(object)?.uid ?? ""];
}

/** Strategic merge patch that makes `owner` the controller of the object with `uid`. The uid guards against a namesake. */
export function adoptPatch(owner: KubeObject, ref: ResourceRef, uid: string): object {
  return { metadata: { ownerReferences: [controllerReference(owner, ref)], uid } };
}

/** Strategic merge patch that removes an owner. */
export function releasePatch(ownerUid: string, uid: string): object {
  return { metadata: { ownerReferences: [{ $patch: "delete", uid: ownerUid }], uid } };
}
