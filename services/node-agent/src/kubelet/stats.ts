// The kubelet's Summary (kubelet/pkg/apis/stats/v1alpha1) as far as it is known here: processor time and memory of containers from the
// runtime's accounting, of the node as its process's own and its containers' together. Invariant: a container's counter of
// processor time never falls while it runs (the node's may, when a container goes).
import type { PodWorker } from "./pod-worker.ts";

export interface CpuStats {
  time: string;
  /** Of one core, since the start. */
  usageCoreNanoSeconds: number;
}
export interface MemoryStats {
  time: string;
  workingSetBytes: number;
  usageBytes: number;
}
export interface Summary {
  node: { nodeName: string; startTime: string; cpu: CpuStats; memory: MemoryStats };
  pods: {
    podRef: { name: string; namespace: string; uid: string };
    startTime?: string;
    containers: {
      name: string;
      startTime: string;
      cpu: CpuStats;
      memory: MemoryStats;
      rootfs: { time: string; usedBytes: number; inodesUsed: number };
    }[];
  }[];
}

/** What the process itself has used: microseconds of processor time and bytes. */
export interface OwnUsage {
  startedMs: number;
  cpuMicroSeconds: number;
  memoryBytes: number;
}

export function summaryOf(nodeName: string, workers: Iterable<PodWorker>, own: OwnUsage, nowMs: number): Summary {
  const time = new Date(nowMs).toISOString();
  let cpuMs = 0;
  let memoryBytes = 0;
  const pods: Summary["pods"] = [];
  for (const w of workers) {
    const { metadata, status } = w.record.pod;
    const containers: Summary["pods"][number]["containers"] = [];
    for (const c of w.record.containers.values()) {
      if (!c.running || !c.container) continue;
      const s = c.container.stats();
      cpuMs += s.cpuMs;
      memoryBytes += s.memoryBytes;
      containers.push({
        name: c.name,
        startTime: new Date(c.running.startedMs).toISOString(),
        cpu: { time, usageCoreNanoSeconds: Math.round(s.cpuMs * 1e6) },
        memory: { time, workingSetBytes: s.memoryBytes, usageBytes: s.memoryBytes },
        rootfs: { time, usedBytes: s.rootfsBytes, inodesUsed: s.rootfsInodes },
      });
    }
    const podRef = { name: metadata?.name ?? "", namespace: metadata?.namespace ?? "", uid: w.record.uid };
    pods.push({ podRef, ...(status?.startTime ? { startTime: String(status.startTime) } : {}), containers });
  }
  const memory = own.memoryBytes + memoryBytes;
  return {
    node: {
      nodeName,
      startTime: new Date(own.startedMs).toISOString(),
      cpu: { time, usageCoreNanoSeconds: Math.round(own.cpuMicroSeconds * 1e3 + cpuMs * 1e6) },
      memory: { time, workingSetBytes: memory, usageBytes: memory },
    },
    pods,
  };
}
