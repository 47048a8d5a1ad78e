// From a pod's claim to the volume that is bound to it, and whether that is attached (desired_state_of_world_populator.go).
// What is only a matter of time is a VolumePending; everything else is a VolumeError with the kubelet's words.
import type { Pod, Volume } from "@podwire/api";
import { reasonOf } from "@podwire/base";
import { type ApiClient, isNotFound, type KubeObject, Resources } from "@podwire/client";
import { VolumeError, VolumePending } from "./payload.ts";

export interface BoundClaim {
  claim: KubeObject;
  volume: KubeObject;
}

/** The claim behind a pod's volume; undefined when it has none. */
export function claimNameOf(pod: Pod, v: Volume): string | undefined {
  if (v.persistentVolumeClaim) return v.persistentVolumeClaim.claimName;
  return v.ephemeral ? `${pod.metadata!.name}-${v.name}` : undefined;
}

export async function boundClaim(client: ApiClient, pod: Pod, v: Volume): Promise<BoundClaim> {
  const namespace = pod.metadata!.namespace!;
  const name = claimNameOf(pod, v) as string;
  const failed = (why: string) => new VolumeError(`error processing PVC ${namespace}/${name}: ${why}`);
  let claim: KubeObject;
  try {
    claim = await client.get(Resources.persistentVolumeClaims, namespace, name);
  } catch (e) {
    throw failed(`failed to fetch PVC from API server: ${reasonOf(e)}`);
  }
  if (v.ephemeral && !claim.metadata.ownerReferences?.some((o) => o.controller && o.uid === pod.metadata!.uid))
    throw failed(`PVC ${namespace}/${name} was not created for pod ${namespace}/${pod.metadata!.name} (pod is not owner)`);
  if (claim.metadata.deletionTimestamp) throw failed("PVC is being deleted");
  if (claim["status"]?.phase !== "Bound") throw failed("PVC is not bound");
  const volumeName = claim["spec"].volumeName as string | undefined;
  if (!volumeName) throw failed("PVC has empty pvc.Spec.VolumeName");
  let volume: KubeObject;
  try {
    volume = await client.get(Resources.persistentVolumes, "", volumeName);
  } catch (e) {
    throw failed(`failed to fetch PV ${volumeName} from API server: ${reasonOf(e)}`);
  }
  const ref = volume["spec"].claimRef;
  if (!ref) throw failed(`found PV object ${volumeName} but it has a nil pv.Spec.ClaimRef indicating it is not yet bound to the claim`);
  if (ref.uid !== claim.metadata.uid)
    throw failed(`found PV object ${volumeName} but its pv.Spec.ClaimRef.UID ${ref.uid} does not point to claim.UID ${claim.metadata.uid}`);
  checkMode(pod, v, volume);
  return { claim, volume };
}

function checkMode(pod: Pod, v: Volume, volume: KubeObject): void {
  const mode = volume["spec"].volumeMode ?? "Filesystem";
  const containers = [...pod.spec!.containers, ...(pod.spec!.initContainers ?? [])];
  if (mode !== "Filesystem" && containers.some((c) => c.volumeMounts?.some((m) => m.name === v.name)))
    throw new VolumeError(`volume ${v.name} has volumeMode ${mode}, but is specified in volumeMounts`);
  if (mode !== "Block" && containers.some((c) => c.volumeDevices?.some((d) => d.name === v.name)))
    throw new VolumeError(`volume ${v.name} has volumeMode ${mode}, but is specified in volumeDevices`);
}

/** Waits (by VolumePending) until the attach/detach controller and the driver have attached the volume to the node. */
export async function requireAttached(client: ApiClient, attachment: string, node: string): Promise<void> {
  let a: KubeObject;
  try {
    a = await client.get(Resources.volumeAttachments, "", attachment);
  } catch (e) {
    if (isNotFound(e) || (e as { code?: number }).code === 403) throw new VolumePending("the volume is not attached yet", { cause: e });
    throw e;
  }
  if (a["spec"].nodeName !== node || a.metadata.deletionTimestamp || a["status"]?.attached !== true)
    throw new VolumePending("the volume is not attached yet");
}
