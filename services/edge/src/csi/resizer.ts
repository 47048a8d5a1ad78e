// The driver's resizer (external-resizer): grows volumes whose claims ask for more, and gives them the VolumeAttributesClass they name.
// Invariant: a PersistentVolume's capacity never says more than its volume has; the claim's status.capacity is the node's to change.
import { canonicalQuantity, parseQuantity } from "@podwire/api";
import { reasonOf } from "@podwire/base";
import { CSI_DRIVER } from "@podwire/bus";
import {
  type ApiClient,
  type EventRecorder,
  isNotFound,
  type KubeObject,
  type Lister,
  type ReconcileResult,
  Resources,
  splitKey,
  time,
} from "@podwire/client";
import type { VolumeStore } from "../storage/volume-store.ts";
import { isOurs } from "./provisioner.ts";

export interface ResizerOptions {
  client: ApiClient;
  store: VolumeStore;
  recorder: EventRecorder;
  nowMs: () => number;
  claims: Lister;
  volumes: Lister;
}

const PENDING = "Waiting for user to (re-)start a pod to finish file system resize of volume on node.";

export function resizeVolume(o: ResizerOptions): (key: string) => Promise<ReconcileResult> {
  return async (key) => {
    const { namespace, name } = splitKey(key);
    const claim = o.claims.get(namespace, name);
    if (!claim || claim.metadata.deletionTimestamp || claim["status"]?.phase !== "Bound") return undefined;
    const volume = o.volumes.get("", claim["spec"].volumeName ?? "");
    if (!volume || !isOurs(volume)) return undefined;
    await grow(claim, volume);
    await modify(claim, volume);
    return undefined;
  };

  async function grow(claim: KubeObject, volume: KubeObject): Promise<void> {
    const wanted = parseQuantity(claim["spec"].resources?.requests?.storage ?? "0");
    if (wanted.cmp(parseQuantity(claim["status"].capacity?.storage ?? "0")) <= 0) return;
    const storage = canonicalQuantity(claim["spec"].resources.requests.storage);
    if (wanted.cmp(parseQuantity(volume["spec"].capacity?.storage ?? "0")) > 0) {
      await setStatus(claim, storage, "ControllerResizeInProgress", { type: "Resizing", status: "True" });
      o.recorder.event(claim, "Normal", "Resizing", `External resizer is resizing volume ${volume.metadata.name}`);
      try {
        o.store.grow(volume["spec"].csi.volumeHandle, Number(wanted.value()));
        await o.client.patch(Resources.persistentVolumes, "", volume.metadata.name, "merge", { spec: { capacity: { storage } } });
      } catch (e) {
        o.recorder.event(
          claim,
          "Warning",
          "VolumeResizeFailed",
          `resize volume "${volume.metadata.name}" by resizer "${CSI_DRIVER}" failed: ${reasonOf(e)}`,
        );
        throw e;
      }
    }
    if (claim["status"].allocatedResourceStatuses?.storage === "NodeResizePending") return;
    await setStatus(claim, storage, "NodeResizePending", { type: "FileSystemResizePending", status: "True", message: PENDING });
    o.store.announceGrowth(volume["spec"].csi.volumeHandle);
    o.recorder.event(claim, "Normal", "FileSystemResizeRequired", "Require file system resize of volume on node");
  }

  async function setStatus(claim: KubeObject, storage: string, resizeStatus: string, condition: Record<string, string>): Promise<void> {
    const live = await o.client.get(Resources.persistentVolumeClaims, claim.metadata.namespace ?? "", claim.metadata.name);
    // The node may have been quicker.
    if (parseQuantity(live["status"]?.capacity?.storage ?? "0").cmp(parseQuantity(storage)) >= 0) return;
    const others = (live["status"].conditions ?? []).filter((c: any) => c.type !== "Resizing" && c.type !== "FileSystemResizePending");
    const now = time(o.nowMs());
    await o.client.updateStatus(Resources.persistentVolumeClaims, {
      ...live,
      status: {
        ...live["status"],
        allocatedResources: { ...live["status"].allocatedResources, storage },
        allocatedResourceStatuses: { ...live["status"].allocatedResourceStatuses, storage: resizeStatus },
        conditions: [...others, { ...condition, lastProbeTime: null, lastTransitionTime: now }],
      },
    });
  }

  /** VolumeAttributesClass: the simulated disks take any attributes. */
  async function modify(claim: KubeObject, volume: KubeObject): Promise<void> {
    const wanted = claim["spec"].volumeAttributesClassName as string | undefined;
    if (!wanted || claim["status"].currentVolumeAttributesClassName === wanted) return;
    const pv = volume.metadata.name;
    try {
      const c = await o.client.get(Resources.volumeAttributesClasses, "", wanted);
      if (c["driverName"] !== CSI_DRIVER) throw new Error(`VAC ${wanted} is of driver ${c["driverName"]}`);
    } catch (e) {
      const why = isNotFound(e) ? `VAC ${wanted} does not exist` : reasonOf(e);
      o.recorder.event(claim, "Warning", "VolumeModifyFailed", `getting VAC ${wanted} failed: ${why}`);
      throw e;
    }
    if (volume["spec"].volumeAttributesClassName !== wanted)
      await o.client.patch(Resources.persistentVolumes, "", pv, "merge", { spec: { volumeAttributesClassName: wanted } });
    await o.client.patch(
      Resources.persistentVolumeClaims,
      claim.metadata.namespace ?? "",
      claim.metadata.name,
      "merge",
      { status: { currentVolumeAttributesClassName: wanted, modifyVolumeStatus: null } },
      { subresource: "status" },
    );
    o.recorder.event(claim, "Normal", "VolumeModifySuccessful", `external resizer modified volume ${pv} with vac ${wanted} successfully`);
  }
}
