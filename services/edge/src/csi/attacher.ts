// The driver's attacher (external-attacher): carries out VolumeAttachments of this driver and says in their status how it went.
// Invariants: a volume is attached only while an attachment with our finalizer stands; one that may be on one node only is never on two.
import { reasonOf } from "@podwire/base";
import { CSI_DRIVER } from "@podwire/bus";
import { type ApiClient, isNotFound, type KubeObject, type Lister, type ReconcileResult, Resources, time } from "@podwire/client";
import { CsiError, type VolumeStore } from "../storage/volume-store.ts";
import { isOurs, removeFinalizer } from "./provisioner.ts";

export const ATTACHER_FINALIZER = `external-attacher/${CSI_DRIVER.replaceAll(".", "-")}`;

export interface AttacherOptions {
  client: ApiClient;
  store: VolumeStore;
  nowMs: () => number;
  attachments: Lister;
  volumes: Lister;
}

/** Modes in which a volume may be on several nodes. */
const SHARED = new Set(["ReadWriteMany", "ReadOnlyMany"]);

export function attachVolume(o: AttacherOptions): (name: string) => Promise<ReconcileResult> {
  return async (name) => {
    const a = o.attachments.get("", name);
    if (!a || a["spec"].attacher !== CSI_DRIVER) return undefined;
    if (a.metadata.deletionTimestamp) {
      await detach(a);
      return undefined;
    }
    if (a["status"]?.attached) return undefined;
    return attach(a);
  };

  async function attach(a: KubeObject): Promise<ReconcileResult> {
    try {
      const pv = await volumeOf(a);
      let live = a;
      if (!a.metadata.finalizers?.includes(ATTACHER_FINALIZER))
        live = await o.client.update(Resources.volumeAttachments, {
          ...a,
          metadata: { ...a.metadata, finalizers: [...(a.metadata.finalizers ?? []), ATTACHER_FINALIZER] },
        });
      if (!pv.metadata.finalizers?.includes(ATTACHER_FINALIZER) && !pv.metadata.deletionTimestamp)
        await o.client.update(Resources.persistentVolumes, {
          ...pv,
          metadata: { ...pv.metadata, finalizers: [...(pv.metadata.finalizers ?? []), ATTACHER_FINALIZER] },
        });
      const modes: string[] = pv["spec"].accessModes ?? [];
      const readOnly = modes.length > 0 && modes.every((m) => m === "ReadOnlyMany");
      o.store.attach(pv["spec"].csi.volumeHandle, a["spec"].nodeName, { readOnly, exclusive: !modes.some((m) => SHARED.has(m)) });
      await o.client.patch(
        Resources.volumeAttachments,
        "",
        live.metadata.name,
        "merge",
        { status: { attached: true, attachError: null } },
        { subresource: "status" },
      );
      return undefined;
    } catch (e) {
      if (!(e instanceof CsiError)) throw e;
      await fail(a, "attachError", e);
      throw e;
    }
  }

  async function detach(a: KubeObject): Promise<void> {
    if (!a.metadata.finalizers?.includes(ATTACHER_FINALIZER)) return;
    const pvName = a["spec"].source?.persistentVolumeName as string | undefined;
    const pv = pvName === undefined ? undefined : o.volumes.get("", pvName);
    if (pv && isOurs(pv)) o.store.detach(pv["spec"].csi.volumeHandle, a["spec"].nodeName);
    const finalizers = a.metadata.finalizers.filter((f: string) => f !== ATTACHER_FINALIZER);
    try {
      await o.client.update(Resources.volumeAttachments, { ...a, metadata: { ...a.metadata, finalizers } });
    } catch (e) {
      if (!isNotFound(e)) throw e;
    }
    if (pv?.metadata.deletionTimestamp && !others(a, pvName as string)) await removeFinalizer(o.client, pv, ATTACHER_FINALIZER);
  }

  function others(a: KubeObject, pv: string): boolean {
    return o.attachments.list().some((x) => x.metadata.name !== a.metadata.name && x["spec"].source?.persistentVolumeName === pv);
  }

  async function volumeOf(a: KubeObject): Promise<KubeObject> {
    const name = a["spec"].source?.persistentVolumeName as string | undefined;
    if (name === undefined) throw new CsiError("InvalidArgument", "inline volumes are not attached");
    let pv: KubeObject;
    try {
      pv = await o.client.get(Resources.persistentVolumes, "", name);
    } catch (e) {
      if (isNotFound(e)) throw new CsiError("NotFound", `persistentvolume "${name}" not found`);
      throw e;
    }
    if (!isOurs(pv)) throw new CsiError("InvalidArgument", `persistentvolume "${name}" is not of driver ${CSI_DRIVER}`);
    return pv;
  }

  async function fail(a: KubeObject, field: "attachError" | "detachError", e: unknown): Promise<void> {
    const message = reasonOf(e);
    if (a["status"]?.[field]?.message === message) return;
    const status = { attached: a["status"]?.attached ?? false, [field]: { time: time(o.nowMs()), message } };
    await o.client.patch(Resources.volumeAttachments, "", a.metadata.name, "merge", { status }, { subresource: "status" });
  }
}

/** A volume that is going and is attached nowhere may go, as far as the attacher is concerned. */
export function letVolumeGo(o: AttacherOptions): (name: string) => Promise<ReconcileResult> {
  return async (name) => {
    const pv = o.volumes.get("", name);
    if (!pv?.metadata.deletionTimestamp || !isOurs(pv) || !pv.metadata.finalizers?.includes(ATTACHER_FINALIZER)) return undefined;
    if (!o.attachments.list().some((a) => a["spec"].source?.persistentVolumeName === name))
      await removeFinalizer(o.client, pv, ATTACHER_FINALIZER);
    return undefined;
  };
}
