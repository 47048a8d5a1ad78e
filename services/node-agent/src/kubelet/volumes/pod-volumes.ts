// The volumes of one pod: made before its containers start, kept up to date while it runs, gone with it.
// Invariants: `mountAll` either mounts every volume or throws (VolumePending when it is a matter of time, else a VolumeError with the
// event's text); `refresh` never takes anything away because a source has become unreadable; after `unmount` the storage has
// everything that the pod wrote.
import { createHash } from "node:crypto";
import { type Pod, parseQuantity, type Volume } from "@podwire/api";
import { reasonOf } from "@podwire/base";
import { CSI_DRIVER } from "@podwire/bus";
import type { ApiClient, KubeObject } from "@podwire/client";
import { DirInode, FileSystem, type Inode } from "@podwire/runtime";
import { memoryVolume, writePayload } from "./atomic-writer.ts";
import { boundClaim, claimNameOf, requireAttached } from "./claim-volumes.ts";
import type { NodeDisk } from "./node-disk.ts";
import { setVolumeOwnership } from "./ownership.ts";
import { VolumeError, VolumePending } from "./payload.ts";
import { followPayload, fsGroupOf, isPayloadVolume, type PayloadSources, payloadOf } from "./payload-source.ts";
import type { SharedVolumes } from "./shared-volumes.ts";
import type { VolumeExpansion } from "./volume-expansion.ts";

export interface VolumeContext extends PayloadSources {
  client: ApiClient;
  nodeName: string;
  disk: NodeDisk;
  shared: SharedVolumes;
  expansion: VolumeExpansion;
  now: () => number;
}

export interface MountedVolume {
  root: Inode;
  readOnly: boolean;
  source: string;
}

const DISK = "/dev/vda1";

export class PodVolumes {
  readonly #c: VolumeContext;
  readonly #mounted = new Map<string, MountedVolume>();
  readonly #remote = new Set<string>();
  constructor(c: VolumeContext) {
    this.#c = c;
  }

  get(name: string): MountedVolume | undefined {
    return this.#mounted.get(name);
  }

  /** Makes what is not there yet. Throws VolumeError with the text of the FailedMount event. */
  async mountAll(pod: Pod): Promise<void> {
    let pending: unknown;
    for (const v of pod.spec!.volumes ?? []) {
      if (this.#mounted.has(v.name!)) continue;
      try {
        this.#mounted.set(v.name!, await this.#mount(pod, v));
      } catch (e) {
        if (e instanceof VolumePending) pending = e;
        else throw this.#failure(pod, v, e);
      }
    }
    if (pending !== undefined) throw pending;
  }

  /** Volumes that are not mounted, for the kubelet's message when its patience ends. */
  unmounted(pod: Pod): { unmounted: string[]; unattached: string[] } {
    const missing = (pod.spec!.volumes ?? []).filter((v) => !this.#mounted.has(v.name!));
    const names = (list: Volume[]) => list.map((v) => v.name!).sort();
    return { unmounted: names(missing), unattached: names(missing.filter((v) => claimNameOf(pod, v) !== undefined)) };
  }

  #failure(pod: Pod, v: Volume, e: unknown): VolumeError {
    const why = reasonOf(e);
    if (why.startsWith("error processing PVC"))
      return new VolumeError(
        `Unable to attach or mount volumes: unmounted volumes=[${this.unmounted(pod).unmounted.join(" ")}], unattached volumes=[], failed to process volumes=[${v.name}]: ${why}`,
        { cause: e },
      );
    return new VolumeError(`MountVolume.SetUp failed for volume "${(e as { volumeName?: string }).volumeName ?? v.name}" : ${why}`, {
      cause: e,
    });
  }

  /** Writes changed contents; what cannot be read stays as it is. */
  async refresh(pod: Pod): Promise<void> {
    for (const v of pod.spec!.volumes ?? []) {
      const m = this.#mounted.get(v.name!);
      if (!m || !(m.root instanceof DirInode) || !isPayloadVolume(v)) continue;
      try {
        writePayload(m.root, await payloadOf(this.#c, pod, v), { nowMs: this.#c.now(), fsGroup: fsGroupOf(pod) });
      } catch {
        // The next change or the next period tries again.
      }
    }
  }

  /** No container uses them any more: what was written goes to the storage, the rest of the node may have the volumes. */
  async unmount(uid: string): Promise<void> {
    if (this.#remote.size === 0) return;
    for (const name of this.#remote) this.#mounted.delete(name);
    this.#remote.clear();
    this.#c.expansion.release(uid);
    await this.#c.shared.release(uid);
  }

  release(uid: string): void {
    this.#c.objects.release(uid);
    this.#mounted.clear();
    if (this.#remote.size > 0) void this.unmount(uid);
  }

  async #mount(pod: Pod, v: Volume): Promise<MountedVolume> {
    const uid = pod.metadata!.uid!;
    const fsGroup = fsGroupOf(pod);
    const { now, disk } = this.#c;
    if (isPayloadVolume(v)) {
      followPayload(this.#c, pod, v);
      const fs = memoryVolume(now, { fsGroup });
      writePayload(fs.root, await payloadOf(this.#c, pod, v), { nowMs: now(), fsGroup });
      return { root: fs.root, readOnly: true, source: "tmpfs" };
    }
    if (v.emptyDir) {
      const memory = v.emptyDir.medium === "Memory";
      const fs = memory
        ? new FileSystem({ type: "tmpfs", now, pool: disk.pool, sizeLimitBytes: memoryLimit(pod, v, this.#c.facts().allocatable) })
        : disk.emptyDir(uid, v.name!);
      if (memory) fs.root.mode = 0o777;
      this.#own(pod, fs.root, false);
      return { root: fs.root, readOnly: false, source: memory ? "tmpfs" : DISK };
    }
    if (v.hostPath) return { root: disk.hostPath(v.hostPath.path!, v.hostPath.type ?? ""), readOnly: false, source: DISK };
    if (v.nfs) return this.#mountNfs(pod, v.name!, v.nfs, v.nfs.readOnly ?? false);
    if (v.csi) return this.#mountInline(pod, v);
    if (claimNameOf(pod, v) !== undefined) return this.#mountClaim(pod, v);
    const kind = Object.keys(v).find((k) => k !== "name") ?? "nothing";
    throw new VolumeError(`no volume plugin matched: ${kind}`);
  }

  #own(pod: Pod, root: Inode, readOnly: boolean): void {
    const fsGroup = fsGroupOf(pod);
    if (fsGroup === undefined || readOnly) return;
    const policy = pod.spec!.securityContext?.fsGroupChangePolicy === "OnRootMismatch" ? "OnRootMismatch" : "Always";
    setVolumeOwnership(root, { fsGroup, policy }, readOnly);
  }

  /** An export is a directory that every node sees. */
  async #mountNfs(pod: Pod, name: string, s: { server?: string; path?: string }, readOnly: boolean): Promise<MountedVolume> {
    const path = `/${(s.path ?? "").split("/").filter(Boolean).join("/")}`;
    const share = await this.#c.shared.acquire(
      { volume: `nfs:${s.server}:${path}`, kind: "nfs", readOnly: false, type: "nfs4" },
      pod.metadata!.uid!,
    );
    this.#remote.add(name);
    return { root: share.fs.root, readOnly, source: `${s.server}:${path}` };
  }

  /** A CSI inline volume: space on the node that lives as long as the pod. */
  #mountInline(pod: Pod, v: Volume): MountedVolume {
    const { driver, readOnly } = v.csi!;
    if (driver !== CSI_DRIVER) throw new VolumeError(unknownDriver(driver!));
    const fs = this.#c.disk.emptyDir(pod.metadata!.uid!, v.name!);
    this.#own(pod, fs.root, readOnly ?? false);
    return { root: fs.root, readOnly: readOnly ?? false, source: DISK };
  }

  async #mountClaim(pod: Pod, v: Volume): Promise<MountedVolume> {
    const bound = await boundClaim(this.#c.client, pod, v);
    const { volume } = bound;
    try {
      return await this.#mountVolume(pod, v, bound);
    } catch (e) {
      if (e instanceof VolumePending) throw e;
      throw Object.assign(new VolumeError(reasonOf(e)), { volumeName: volume.metadata.name });
    }
  }

  async #mountVolume(pod: Pod, v: Volume, { claim, volume }: { claim: KubeObject; volume: KubeObject }): Promise<MountedVolume> {
    const { disk, shared, client, nodeName, expansion } = this.#c;
    const spec = volume["spec"];
    const readOnly = v.persistentVolumeClaim?.readOnly ?? false;
    if (spec.hostPath) return { root: disk.hostPath(spec.hostPath.path, spec.hostPath.type ?? ""), readOnly, source: DISK };
    if (spec.local) {
      const root = disk.find(spec.local.path);
      if (!root) throw new VolumeError(`path "${spec.local.path}" does not exist`);
      this.#own(pod, root, readOnly);
      return { root, readOnly, source: DISK };
    }
    if (spec.nfs) return this.#mountNfs(pod, v.name!, spec.nfs, readOnly || (spec.nfs.readOnly ?? false));
    if (!spec.csi) throw new VolumeError(`no volume plugin matched: ${volume.metadata.name}`);
    const { driver, volumeHandle } = spec.csi;
    if (driver !== CSI_DRIVER) throw new VolumeError(unknownDriver(driver));
    await requireAttached(client, attachmentName(volumeHandle, driver, nodeName), nodeName);
    const onlyReads = readOnly || spec.csi.readOnly || (spec.accessModes ?? []).every((m: string) => m === "ReadOnlyMany");
    const remote = await shared.acquire({ volume: volumeHandle, kind: "csi", readOnly: onlyReads, type: "ext4" }, pod.metadata!.uid!);
    this.#remote.add(v.name!);
    this.#own(pod, remote.fs.root, onlyReads);
    expansion.follow(pod.metadata!.uid!, claim, volume, remote);
    return { root: remote.fs.root, readOnly: onlyReads, source: "/dev/vdb" };
  }
}

const unknownDriver = (driver: string): string =>
  `kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: driver name ${driver} not found in the list of registered CSI drivers`;

/** Name of the VolumeAttachment of a volume and a node (pkg/volume/csi getAttachmentName). */
export function attachmentName(volumeHandle: string, driver: string, node: string): string {
  return `csi-${createHash("sha256").update(`${volumeHandle}${driver}${node}`).digest("hex")}`;
}

/** A memory-backed emptyDir ends at its sizeLimit, at what the pod may have, or at what the node has. */
function memoryLimit(pod: Pod, v: Volume, allocatable: Readonly<Record<string, string>>): number {
  const bytes = (q: unknown): number | undefined => (q === undefined || q === null ? undefined : Number(parseQuantity(String(q)).value()));
  const limits = pod.spec!.containers.map((c) => bytes((c.resources?.limits as Record<string, string> | undefined)?.["memory"]));
  const ofPod = limits.every((l) => l !== undefined) ? (limits as number[]).reduce((a, b) => a + b, 0) : undefined;
  const size = bytes(v.emptyDir?.sizeLimit);
  const candidates = [size === 0 ? undefined : size, ofPod, bytes(allocatable["memory"])].filter((x): x is number => x !== undefined);
  return Math.min(...candidates);
}
