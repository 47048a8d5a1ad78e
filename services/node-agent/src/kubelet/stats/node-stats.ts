// The node's own account: what its pods, images and process use, against what the node has.
import type { Clock } from "@podwire/base";
import type { SpacePool } from "@podwire/runtime";
import type { NodeAgentConfig } from "../../config.ts";
import type { NodeNetwork } from "../../network/node-network.ts";
import type { Observation, Observations } from "../eviction/plan.ts";
import type { Signal } from "../eviction/thresholds.ts";
import type { ImagePuller } from "../image-puller.ts";
import type { LogStore } from "../log-store.ts";
import { amountOf } from "../pod-requests.ts";
import { type NodeUsage, summary } from "./summary.ts";
import { type PodUsage, UsageMeter, type UsageSource } from "./usage.ts";

/** Inodes and process ids that a simulated node has. */
const NODE_INODES = 6_553_600;
const NODE_MAX_PIDS = 32_768;

export interface NodeStatsOptions {
  config: NodeAgentConfig;
  nodeName: string;
  network: NodeNetwork;
  logs: LogStore;
  workers(): Iterable<UsageSource>;
  images: ImagePuller;
  /** What really holds files. */
  pool: SpacePool;
  clock: Clock;
}

export class NodeStats {
  readonly #o: NodeStatsOptions;
  readonly #meter: UsageMeter;

  constructor(o: NodeStatsOptions) {
    this.#o = o;
    this.#meter = new UsageMeter(o.clock, o.logs);
  }

  /** What every pod here uses now. */
  pods(): PodUsage[] {
    return this.#meter.read(this.#o.workers());
  }

  /** The Summary API's answer. */
  summary(onlyCpuAndMemory = false): object {
    return summary(this.node(), this.pods(), this.#o.clock.nowMs(), onlyCpuAndMemory);
  }

  node(): NodeUsage {
    const { config, nodeName, network, clock, images } = this.#o;
    const { user, system } = process.cpuUsage();
    const nowMs = clock.nowMs();
    return {
      nodeName,
      startMs: nowMs - process.uptime() * 1000,
      own: { cpuMs: (user + system) / 1000, memoryBytes: process.memoryUsage.rss() },
      memoryCapacityBytes: amountOf("memory", config.memory),
      diskCapacityBytes: amountOf("ephemeral-storage", config["ephemeral-storage"]),
      imageBytes: images.images().reduce((n, i) => n + i.sizeBytes, 0),
      inodes: NODE_INODES,
      maxPids: NODE_MAX_PIDS,
      network: network.nic.counters,
    };
  }

  /** What is left of what eviction watches. */
  observe(pods: readonly PodUsage[]): Observations {
    const n = this.node();
    const sum = (f: (p: PodUsage) => number) => pods.reduce((total, p) => total + f(p), 0);
    const memory = n.own.memoryBytes + sum((p) => p.memoryBytes);
    const disk = { available: n.diskCapacityBytes - n.imageBytes - sum((p) => p.diskBytes), capacity: n.diskCapacityBytes };
    // What really holds the files may be fuller than the disk that it stands for.
    const { pool } = this.#o;
    const real = { available: pool.limitBytes - pool.usedBytes, capacity: pool.limitBytes };
    const nodefs = real.available / real.capacity < disk.available / disk.capacity ? real : disk;
    const inodes = { available: n.inodes - sum((p) => p.diskInodes), capacity: n.inodes };
    return new Map<Signal, Observation>([
      ["memory.available", { available: n.memoryCapacityBytes - memory, capacity: n.memoryCapacityBytes }],
      ["nodefs.available", nodefs],
      ["imagefs.available", disk],
      ["nodefs.inodesFree", inodes],
      ["imagefs.inodesFree", inodes],
      ["pid.available", { available: n.maxPids - sum((p) => p.processes), capacity: n.maxPids }],
    ]);
  }
}
