// Everything of this node that has to do with volumes: its disk, the shared volumes that it has open, their growing, its CSINode.
import path from "node:path";
import type { Pod } from "@podwire/api";
import type { Clock, Logger } from "@podwire/base";
import { type Bus, CSI_DRIVER } from "@podwire/bus";
import type { ApiClient } from "@podwire/client";
import { registerCsiNode } from "./csi-node.ts";
import { NodeDisk } from "./node-disk.ts";
import type { PayloadSources } from "./payload-source.ts";
import { PodVolumes } from "./pod-volumes.ts";
import { SharedVolumes } from "./shared-volumes.ts";
import { VolumeExpansion } from "./volume-expansion.ts";

export interface NodeVolumesOptions {
  client: ApiClient;
  bus: Bus;
  clock: Clock;
  log: Logger;
  nodeName: string;
  stateDir: string;
  diskBytes: number;
  /** For the content of shared volumes. */
  volumeBytes: number;
  /** Files that a fresh host has. */
  hostFiles: Readonly<Record<string, string>>;
  /** Volumes that may be attached at a time. */
  attachLimit: number;
  event(podUid: string, type: "Normal" | "Warning", reason: string, message: string): void;
  /** The list of volumes in use has changed: node.status.volumesInUse. */
  onChange(): void;
}

export class NodeVolumes {
  readonly disk: NodeDisk;
  readonly shared: SharedVolumes;
  readonly #o: NodeVolumesOptions;
  readonly #expansion: VolumeExpansion;
  readonly #abort = new AbortController();

  constructor(o: NodeVolumesOptions) {
    this.#o = o;
    const { bus, clock, log, client } = o;
    this.disk = new NodeDisk({ folder: path.join(o.stateDir, "volumes"), clock, limitBytes: o.diskBytes, hostFiles: o.hostFiles });
    this.shared = new SharedVolumes({
      bus,
      clock,
      log,
      spaceBytes: o.volumeBytes,
      onChange: () => o.onChange(),
      onGrown: (v) => this.#expansion.grown(v),
    });
    this.#expansion = new VolumeExpansion({ client, clock, log, nodeName: o.nodeName, event: o.event });
  }

  /** Once the Node object is there: says which drivers this node has. */
  register(nodeUid: string): void {
    const { client, clock, log, nodeName, attachLimit } = this.#o;
    void registerCsiNode({ client, clock, log, nodeName, nodeUid, attachLimit, signal: this.#abort.signal });
  }

  forPod(sources: PayloadSources): PodVolumes {
    const { client, clock, nodeName } = this.#o;
    const now = () => clock.nowMs();
    return new PodVolumes({ ...sources, client, nodeName, disk: this.disk, shared: this.shared, expansion: this.#expansion, now });
  }

  /** As node.status.volumesInUse names them. */
  inUse(): string[] {
    return this.shared.csiInUse().map((handle) => `kubernetes.io/csi/${CSI_DRIVER}^${handle}`);
  }

  gone(pod: Pick<NonNullable<Pod["metadata"]>, "uid">["uid"]): void {
    if (pod !== undefined) this.disk.removePod(pod);
  }

  /** After a reboot: only these pods are still here. */
  retain(uids: ReadonlySet<string>): void {
    this.disk.retain(uids);
  }

  counters() {
    return { ...this.shared.counters(), diskBytes: this.disk.pool.usedBytes };
  }

  stop(): void {
    this.#abort.abort();
    this.#expansion.stop();
    this.shared.stop();
    this.disk.close();
  }
}
