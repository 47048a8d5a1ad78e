// What this node's pods use now: processor time, memory, disk and processes, read off the containers, their volumes and logs.
// The numbers feed /stats/summary, /metrics/resource and eviction. Invariant: a rate is over at least RATE_WINDOW_MS, or since the start.
import type { Pod } from "@podwire/api";
import type { Clock } from "@podwire/base";
import { DirInode, type FileSystem } from "@podwire/runtime";
import type { LogStore } from "../log-store.ts";
import type { PodRecord } from "../pod-record.ts";
import type { PodVolumes } from "../volumes/pod-volumes.ts";

export interface ContainerUsage {
  name: string;
  startedMs: number;
  /** Milliseconds of one core since the start. */
  cpuMs: number;
  nanoCores: number;
  memoryBytes: number;
  processes: number;
  rootfsBytes: number;
  rootfsInodes: number;
  logBytes: number;
}

export interface VolumeUsage {
  name: string;
  bytes: number;
  inodes: number;
  /** Counts as the node's disk: not tmpfs, not somebody else's. */
  onDisk: boolean;
  limitBytes: number | undefined;
}

export interface PodUsage {
  pod: Pod;
  startMs: number;
  containers: ContainerUsage[];
  volumes: VolumeUsage[];
  cpuMs: number;
  nanoCores: number;
  memoryBytes: number;
  processes: number;
  /** Writable layers, logs and emptyDirs on disk. */
  diskBytes: number;
  diskInodes: number;
  network: { rxBytes: number; txBytes: number } | undefined;
}

export const RATE_WINDOW_MS = 1000;

export interface UsageSource {
  record: PodRecord;
  volumes: PodVolumes;
}

export class UsageMeter {
  readonly #clock: Clock;
  readonly #logs: LogStore;
  /** By container id: the sample before, and the rate of then. */
  readonly #samples = new Map<string, { atMs: number; cpuMs: number; nanoCores: number }>();

  constructor(clock: Clock, logs: LogStore) {
    this.#clock = clock;
    this.#logs = logs;
  }

  read(sources: Iterable<UsageSource>): PodUsage[] {
    const seen = new Set<string>();
    const out: PodUsage[] = [];
    for (const s of sources) out.push(this.#pod(s, seen));
    for (const id of [...this.#samples.keys()]) if (!seen.has(id)) this.#samples.delete(id);
    return out;
  }

  #pod({ record, volumes }: UsageSource, seen: Set<string>): PodUsage {
    const containers: ContainerUsage[] = [];
    for (const c of record.containers.values()) {
      if (!c.running || !c.container) continue;
      const s = c.container.stats();
      seen.add(c.containerId);
      containers.push({
        name: c.name,
        startedMs: c.running.startedMs,
        cpuMs: s.cpuMs,
        nanoCores: this.#rate(c.containerId, s.cpuMs, c.running.startedMs),
        memoryBytes: s.memoryBytes,
        processes: s.processes,
        rootfsBytes: s.rootfsBytes,
        rootfsInodes: s.rootfsInodes,
        logBytes: this.#logs.sizeOf(record.pod, c.name),
      });
    }
    const held = volumesOf(record.pod, volumes);
    const sum = (f: (c: ContainerUsage) => number) => containers.reduce((n, c) => n + f(c), 0);
    const disk = held.filter((v) => v.onDisk);
    const device = (record.sandbox?.sandbox.options.netns as { device?(name: string): { counters: Counters } | undefined } | undefined)
      ?.device;
    const counters = record.pod.spec!.hostNetwork ? undefined : device?.call(record.sandbox?.sandbox.options.netns, "eth0")?.counters;
    return {
      pod: record.pod,
      startMs: record.startMs,
      containers,
      volumes: held,
      cpuMs: sum((c) => c.cpuMs),
      nanoCores: sum((c) => c.nanoCores),
      // A memory-backed emptyDir is charged to the pod's cgroup.
      memoryBytes: sum((c) => c.memoryBytes) + held.filter((v) => v.limitBytes !== undefined && !v.onDisk).reduce((n, v) => n + v.bytes, 0),
      processes: sum((c) => c.processes),
      diskBytes: sum((c) => c.rootfsBytes + c.logBytes) + disk.reduce((n, v) => n + v.bytes, 0),
      diskInodes: sum((c) => c.rootfsInodes) + disk.reduce((n, v) => n + v.inodes, 0),
      network: counters,
    };
  }

  #rate(id: string, cpuMs: number, startedMs: number): number {
    const now = this.#clock.nowMs();
    const before = this.#samples.get(id) ?? { atMs: startedMs, cpuMs: 0, nanoCores: 0 };
    const elapsed = now - before.atMs;
    if (elapsed < RATE_WINDOW_MS && this.#samples.has(id)) return before.nanoCores;
    const nanoCores = elapsed <= 0 ? 0 : Math.max(0, Math.round(((cpuMs - before.cpuMs) / elapsed) * 1e9));
    this.#samples.set(id, { atMs: now, cpuMs, nanoCores });
    return nanoCores;
  }
}

interface Counters {
  rxBytes: number;
  txBytes: number;
}

function volumesOf(pod: Pod, volumes: PodVolumes): VolumeUsage[] {
  const out: VolumeUsage[] = [];
  for (const v of pod.spec!.volumes ?? []) {
    const root = volumes.get(v.name!)?.root;
    if (!(root instanceof DirInode) || v.hostPath) continue;
    const fs: FileSystem = root.fs;
    out.push({
      name: v.name!,
      bytes: fs.usedBytes,
      inodes: fs.inodes,
      onDisk: v.emptyDir !== undefined && v.emptyDir.medium !== "Memory",
      limitBytes: v.emptyDir ? (fs.sizeLimitBytes ?? (v.emptyDir.medium === "Memory" ? Number.POSITIVE_INFINITY : undefined)) : undefined,
    });
  }
  return out;
}
