// The storage on the bus: nodes ask on their own subjects, so a node is who its credential says.
import {
  type Bus,
  encode,
  Identity,
  RemoteError,
  type StorageRequest,
  type Subscription,
  subjectsOf,
  type VolumeChanged,
} from "@podwire/bus";
import type { VolumeStore } from "./volume-store.ts";

export function serveVolumes(bus: Bus, store: VolumeStore): Subscription {
  const subjects = subjectsOf(bus.cluster);
  return bus.serve(subjects.storageAny, async (body, { subject }) => {
    const node = Identity.nodeOf(subjects.identityOf(subject) ?? "");
    if (node === undefined) throw new RemoteError("forbidden", "volumes are given to nodes only");
    return store.answer(node, body as StorageRequest);
  });
}

export function notifyNodes(bus: Bus): (node: string, change: VolumeChanged) => void {
  const subjects = subjectsOf(bus.cluster);
  return (node, change) => bus.publish(subjects.volume(node), encode(change));
}
