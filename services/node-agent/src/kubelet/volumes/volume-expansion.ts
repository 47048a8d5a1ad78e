// The node's part of growing a claim (NodeExpandVolume): when a volume has become larger than its claim's status says, the file system
// here is made larger and the claim told so. Invariant: the claim's status.capacity never says more than the file system has.
import { parseQuantity } from "@podwire/api";
import { type Clock, type Logger, reasonOf, type Timer } from "@podwire/base";
import { type ApiClient, type KubeObject, Resources } from "@podwire/client";
import type { RemoteVolume } from "./remote-volume.ts";

/** How often claims of mounted volumes are looked at when nobody has told that they grew. */
const LOOK_MS = 60_000;
/** A claim whose volume has grown is looked at so often, and so many times, until it is told so. */
const DUE_MS = 500;
const DUE_TIMES = 20;

interface Followed {
  handle: string;
  namespace: string;
  claim: string;
  volume: string;
  remote: RemoteVolume;
  users: Set<string>;
}

export interface VolumeExpansionOptions {
  client: ApiClient;
  nodeName: string;
  clock: Clock;
  log: Logger;
  /** Tells every pod (uid) that uses the volume. */
  event(uid: string, type: "Normal" | "Warning", reason: string, message: string): void;
}

export class VolumeExpansion {
  readonly #o: VolumeExpansionOptions;
  readonly #followed = new Map<string, Followed>();
  #timer: Timer | undefined;
  #looking = false;

  constructor(o: VolumeExpansionOptions) {
    this.#o = o;
  }

  follow(uid: string, claim: KubeObject, volume: KubeObject, remote: RemoteVolume): void {
    const key = volume.metadata.name;
    let f = this.#followed.get(key);
    if (!f || f.remote !== remote) {
      f = {
        handle: volume["spec"].csi?.volumeHandle ?? "",
        namespace: claim.metadata.namespace ?? "",
        claim: claim.metadata.name,
        volume: key,
        remote,
        users: f?.users ?? new Set(),
      };
      this.#followed.set(key, f);
    }
    f.users.add(uid);
    // It may have grown while nobody had it mounted.
    if (isBehind(claim)) this.#due(f, DUE_TIMES);
    this.#timer ??= this.#o.clock.every(LOOK_MS, () => void this.#lookAll(), { unref: true });
  }

  /** The storage says so. */
  grown(handle: string): void {
    for (const f of this.#followed.values()) if (f.handle === handle) this.#due(f, DUE_TIMES);
  }

  #due(f: Followed, times: number): void {
    void this.#look(f).then((done) => {
      if (done || times <= 0 || this.#followed.get(f.volume) !== f) return;
      this.#o.clock.after(DUE_MS, () => this.#due(f, times - 1), { unref: true });
    });
  }

  release(uid: string): void {
    for (const [key, f] of this.#followed) if (f.users.delete(uid) && f.users.size === 0) this.#followed.delete(key);
    if (this.#followed.size === 0) this.stop();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  async #lookAll(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      for (const f of [...this.#followed.values()]) await this.#look(f);
    } finally {
      this.#looking = false;
    }
  }

  /** True when there is nothing (more) to do. */
  async #look(f: Followed): Promise<boolean> {
    const { client, log } = this.#o;
    try {
      const claim = await client.get(Resources.persistentVolumeClaims, f.namespace, f.claim);
      // Nothing was asked for: the volume is not even read.
      if (!isBehind(claim)) return true;
      const has = claim["status"]?.capacity?.storage ?? "0";
      const volume = await client.get(Resources.persistentVolumes, "", f.volume);
      const capacity = volume["spec"].capacity?.storage as string;
      if (parseQuantity(capacity).cmp(parseQuantity(has)) <= 0) return false;
      await f.remote.resize();
      const { storage: _, ...statuses } = claim["status"].allocatedResourceStatuses ?? {};
      const conditions = (claim["status"].conditions ?? []).filter(
        (c: any) => c.type !== "FileSystemResizePending" && c.type !== "Resizing",
      );
      await client.patch(
        Resources.persistentVolumeClaims,
        f.namespace,
        f.claim,
        "merge",
        {
          metadata: { resourceVersion: claim.metadata.resourceVersion },
          status: {
            capacity: { storage: capacity },
            conditions: conditions.length > 0 ? conditions : null,
            allocatedResourceStatuses: Object.keys(statuses).length > 0 ? statuses : null,
          },
        },
        { subresource: "status" },
      );
      for (const uid of f.users)
        this.#o.event(
          uid,
          "Normal",
          "FileSystemResizeSuccessful",
          `MountVolume.NodeExpandVolume succeeded for volume "${f.volume}" ${this.#o.nodeName}`,
        );
      return true;
    } catch (e) {
      log.debug({ volume: f.volume, reason: reasonOf(e) }, "a volume was not expanded yet");
      return false;
    }
  }
}

/** More was asked for than the claim has. */
function isBehind(claim: KubeObject): boolean {
  const has = claim["status"]?.capacity?.storage;
  const wants = claim["spec"].resources?.requests?.storage;
  return !!has && !!wants && parseQuantity(wants).cmp(parseQuantity(has)) > 0;
}
