// The Summary API's answer (kubelet/pkg/apis/stats/v1alpha1) from what pods use. Pure.
import { time } from "@podwire/client";
import type { ContainerUsage, PodUsage, VolumeUsage } from "./usage.ts";

export interface NodeUsage {
  nodeName: string;
  startMs: number;
  /** The node-agent's process itself, which stands for the system and the kubelet. */
  own: { cpuMs: number; memoryBytes: number };
  memoryCapacityBytes: number;
  diskCapacityBytes: number;
  /** What else lies on the disk: images. */
  imageBytes: number;
  inodes: number;
  maxPids: number;
  network: { rxBytes: number; txBytes: number };
}

const nanoseconds = (ms: number) => Math.round(ms * 1e6);

export function summary(node: NodeUsage, pods: readonly PodUsage[], nowMs: number, onlyCpuAndMemory = false): object {
  const now = time(nowMs);
  const sum = (f: (p: PodUsage) => number) => pods.reduce((n, p) => n + f(p), 0);
  const cpu = (u: { cpuMs: number; nanoCores: number }) => ({
    time: now,
    usageNanoCores: u.nanoCores,
    usageCoreNanoSeconds: nanoseconds(u.cpuMs),
  });
  const memory = (bytes: number) => ({
    time: now,
    usageBytes: bytes,
    workingSetBytes: bytes,
    rssBytes: bytes,
    pageFaults: 0,
    majorPageFaults: 0,
  });
  const diskUsed = sum((p) => p.diskBytes) + node.imageBytes;
  const inodesUsed = sum((p) => p.diskInodes);
  const disk = {
    time: now,
    availableBytes: Math.max(0, node.diskCapacityBytes - diskUsed),
    capacityBytes: node.diskCapacityBytes,
    inodesFree: Math.max(0, node.inodes - inodesUsed),
    inodes: node.inodes,
  };
  const fs = (usedBytes: number, inodes: number) => ({ ...disk, usedBytes, inodesUsed: inodes });
  const network = (n: { rxBytes: number; txBytes: number }) => {
    const of = { name: "eth0", rxBytes: n.rxBytes, rxErrors: 0, txBytes: n.txBytes, txErrors: 0 };
    return { time: now, ...of, interfaces: [of] };
  };
  const container = (c: ContainerUsage) => ({
    name: c.name,
    startTime: time(c.startedMs),
    cpu: cpu(c),
    memory: memory(c.memoryBytes),
    ...(onlyCpuAndMemory
      ? {}
      : { rootfs: fs(c.rootfsBytes, c.rootfsInodes), logs: fs(c.logBytes, 1), swap: { time: now, swapUsageBytes: 0 } }),
  });
  const volume = (v: VolumeUsage) => {
    const capacity = v.limitBytes !== undefined && Number.isFinite(v.limitBytes) ? v.limitBytes : node.diskCapacityBytes;
    return {
      time: now,
      availableBytes: Math.max(0, capacity - v.bytes),
      capacityBytes: capacity,
      usedBytes: v.bytes,
      inodesFree: Math.max(0, node.inodes - v.inodes),
      inodes: node.inodes,
      inodesUsed: v.inodes,
      name: v.name,
    };
  };
  const used = { cpuMs: node.own.cpuMs + sum((p) => p.cpuMs), nanoCores: sum((p) => p.nanoCores) };
  const memoryUsed = node.own.memoryBytes + sum((p) => p.memoryBytes);
  return {
    node: {
      nodeName: node.nodeName,
      startTime: time(node.startMs),
      cpu: cpu(used),
      memory: { ...memory(memoryUsed), availableBytes: Math.max(0, node.memoryCapacityBytes - memoryUsed) },
      ...(onlyCpuAndMemory
        ? {}
        : {
            network: network(node.network),
            fs: { ...disk, usedBytes: diskUsed, inodesUsed },
            runtime: {
              imageFs: fs(node.imageBytes, 0),
              containerFs: fs(
                sum((p) => p.containers.reduce((n, c) => n + c.rootfsBytes, 0)),
                0,
              ),
            },
            rlimit: { time: now, maxpid: node.maxPids, curproc: sum((p) => p.processes) },
            swap: { time: now, swapAvailableBytes: 0, swapUsageBytes: 0 },
          }),
    },
    pods: pods.map((p) => {
      const { name, namespace, uid } = p.pod.metadata!;
      return {
        podRef: { name, namespace, uid },
        startTime: time(p.startMs),
        containers: p.containers.map(container),
        cpu: cpu(p),
        memory: memory(p.memoryBytes),
        ...(onlyCpuAndMemory
          ? {}
          : {
              ...(p.network ? { network: network(p.network) } : {}),
              ...(p.volumes.length > 0 ? { volume: p.volumes.map(volume) } : {}),
              "ephemeral-storage": fs(p.diskBytes, p.diskInodes),
              process_stats: { process_count: p.processes },
            }),
      };
    }),
  };
}
