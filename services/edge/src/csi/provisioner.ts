// The driver's provisioner (external-provisioner): makes volumes for claims that ask for one and PersistentVolumes for them, copies a
// claim's volume where the claim names it as its data source, and removes what is released with the policy Delete.
// Invariants: a claim's volume is named by its uid, so trying again makes no second one; a PersistentVolume goes only after its volume.
import { canonicalQuantity, parseQuantity } from "@podwire/api";
import { reasonOf } from "@podwire/base";
import { CSI_DRIVER } from "@podwire/bus";
import {
  type ApiClient,
  type EventRecorder,
  isAlreadyExists,
  isNotFound,
  type KubeObject,
  type Lister,
  type ReconcileResult,
  Resources,
  splitKey,
} from "@podwire/client";
import { CsiError, type VolumeStore } from "../storage/volume-store.ts";

export const PROVISIONER_FINALIZER = "external-provisioner.volume.kubernetes.io/finalizer";
const PROVISIONED_BY = "pv.kubernetes.io/provisioned-by";
const WANTED = ["volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner"];
const SELECTED_NODE = "volume.kubernetes.io/selected-node";
const BETA_CLASS = "volume.beta.kubernetes.io/storage-class";
const FS_TYPE = "csi.storage.k8s.io/fstype";

export interface ProvisionerOptions {
  client: ApiClient;
  store: VolumeStore;
  recorder: EventRecorder;
  claims: Lister;
  volumes: Lister;
  classes: Lister;
}

export const classNameOf = (o: KubeObject): string => o.metadata.annotations?.[BETA_CLASS] ?? o["spec"].storageClassName ?? "";
export const isOurs = (volume: KubeObject): boolean => volume["spec"].csi?.driver === CSI_DRIVER;

/** One key is "namespace/name" of a claim. */
export function provisionClaim(o: ProvisionerOptions): (key: string) => Promise<ReconcileResult> {
  return async (key) => {
    const { namespace, name } = splitKey(key);
    const claim = o.claims.get(namespace, name);
    if (!claim || claim["spec"].volumeName || claim.metadata.deletionTimestamp) return undefined;
    if (!WANTED.some((a) => claim.metadata.annotations?.[a] === CSI_DRIVER)) return undefined;
    const storageClass = o.classes.get("", classNameOf(claim));
    if (!storageClass || storageClass["provisioner"] !== CSI_DRIVER) return undefined;
    if (storageClass["volumeBindingMode"] === "WaitForFirstConsumer" && !claim.metadata.annotations?.[SELECTED_NODE]) return undefined;
    const volumeName = `pvc-${claim.metadata.uid}`;
    if (o.volumes.get("", volumeName)) return undefined;
    o.recorder.event(claim, "Normal", "Provisioning", `External provisioner is provisioning volume for claim "${key}"`);
    try {
      const bytes = Number(parseQuantity(claim["spec"].resources?.requests?.storage ?? "0").value());
      if ((claim["spec"].volumeMode ?? "Filesystem") !== "Filesystem")
        throw new CsiError("InvalidArgument", `volumes of mode ${claim["spec"].volumeMode} are not supported`);
      o.store.create(volumeName, bytes, sourceOf(o, claim, bytes));
      await o.client.create(Resources.persistentVolumes, volumeFor(claim, storageClass, volumeName));
    } catch (e) {
      if (isAlreadyExists(e)) return undefined;
      o.recorder.event(
        claim,
        "Warning",
        "ProvisioningFailed",
        `failed to provision volume with StorageClass "${storageClass.metadata.name}": ${reasonOf(e)}`,
      );
      throw e;
    }
    o.recorder.event(claim, "Normal", "ProvisioningSucceeded", `Successfully provisioned volume ${volumeName}`);
    return undefined;
  };
}

/** The volume whose content the claim's begins with; undefined for an empty one. */
function sourceOf(o: ProvisionerOptions, claim: KubeObject, bytes: number): string | undefined {
  const ref = claim["spec"].dataSource ?? claim["spec"].dataSourceRef;
  if (!ref) return undefined;
  if (ref.kind !== "PersistentVolumeClaim" || (ref.apiGroup ?? "") !== "")
    throw new CsiError("InvalidArgument", `data source of kind ${ref.kind} is not supported`);
  const source = o.claims.get(claim.metadata.namespace ?? "", ref.name);
  const volume = source?.["spec"].volumeName ? o.volumes.get("", source["spec"].volumeName) : undefined;
  if (!source || !volume || source["status"]?.phase !== "Bound") throw new CsiError("FailedPrecondition", `claim ${ref.name} is not bound`);
  if (!isOurs(volume)) throw new CsiError("InvalidArgument", `claim ${ref.name} is not of driver ${CSI_DRIVER}`);
  if (Number(parseQuantity(volume["spec"].capacity.storage).value()) > bytes)
    throw new CsiError("InvalidArgument", `the requested size is less than that of the source ${ref.name}`);
  return volume["spec"].csi.volumeHandle;
}

function volumeFor(claim: KubeObject, storageClass: KubeObject, name: string): KubeObject {
  const { namespace, uid, resourceVersion } = claim.metadata;
  const parameters = storageClass["parameters"] ?? {};
  return {
    metadata: { name, annotations: { [PROVISIONED_BY]: CSI_DRIVER }, finalizers: [PROVISIONER_FINALIZER] },
    spec: {
      capacity: { storage: canonicalQuantity(claim["spec"].resources?.requests?.storage ?? "0") },
      accessModes: claim["spec"].accessModes,
      persistentVolumeReclaimPolicy: storageClass["reclaimPolicy"] ?? "Delete",
      storageClassName: storageClass.metadata.name,
      volumeMode: "Filesystem",
      ...(storageClass["mountOptions"] ? { mountOptions: storageClass["mountOptions"] } : {}),
      ...(claim["spec"].volumeAttributesClassName ? { volumeAttributesClassName: claim["spec"].volumeAttributesClassName } : {}),
      claimRef: { kind: "PersistentVolumeClaim", apiVersion: "v1", namespace, name: claim.metadata.name, uid, resourceVersion },
      csi: {
        driver: CSI_DRIVER,
        volumeHandle: name,
        fsType: parameters[FS_TYPE] ?? "ext4",
        volumeAttributes: { "storage.kubernetes.io/csiProvisionerIdentity": CSI_DRIVER },
      },
    },
  };
}

/** One key is the name of a PersistentVolume. */
export function reclaimVolume(o: ProvisionerOptions): (name: string) => Promise<ReconcileResult> {
  return async (name) => {
    const v = o.volumes.get("", name);
    if (!v || !isOurs(v) || v.metadata.annotations?.[PROVISIONED_BY] !== CSI_DRIVER) return undefined;
    const finalizers = v.metadata.finalizers ?? [];
    const kept = v["spec"].persistentVolumeReclaimPolicy !== "Delete";
    const released = v["status"]?.phase === "Released";
    if (!kept && released) {
      try {
        o.store.remove(v["spec"].csi.volumeHandle);
      } catch (e) {
        o.recorder.event(v, "Warning", "VolumeFailedDelete", reasonOf(e));
        throw e;
      }
      if (!v.metadata.deletionTimestamp)
        await o.client.delete(Resources.persistentVolumes, "", name, { preconditions: { uid: v.metadata.uid ?? "" } }).catch(ignoreGone);
    }
    // A volume that is kept, or whose disk is gone, may leave the API.
    if (finalizers.includes(PROVISIONER_FINALIZER) && (released || v.metadata.deletionTimestamp) && (kept || released))
      await removeFinalizer(o.client, v, PROVISIONER_FINALIZER);
    return undefined;
  };
}

export async function removeFinalizer(client: ApiClient, volume: KubeObject, finalizer: string): Promise<void> {
  try {
    const live = await client.get(Resources.persistentVolumes, "", volume.metadata.name);
    const finalizers = (live.metadata.finalizers ?? []).filter((f: string) => f !== finalizer);
    if (finalizers.length === (live.metadata.finalizers ?? []).length) return;
    await client.update(Resources.persistentVolumes, { ...live, metadata: { ...live.metadata, finalizers } });
  } catch (e) {
    ignoreGone(e);
  }
}

const ignoreGone = (e: unknown): void => {
  if (!isNotFound(e)) throw e;
};
