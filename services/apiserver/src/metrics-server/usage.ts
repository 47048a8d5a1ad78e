// From what kubelets count (Summary API: processor time since the start, memory now) to what metrics.k8s.io shows: cores and bytes over a
// window between two looks. Pure. Invariant: a container that was not there at the earlier look, or has started anew since, is measured
// from its start; usage is never negative.

/** The part of a kubelet's Summary (kubelet/stats/v1alpha1) that is read; whatever is missing counts as nothing. */
export interface Summary {
  node?: { nodeName?: string; startTime?: string; cpu?: CpuStats; memory?: MemoryStats };
  pods?: {
    podRef?: { name?: string; namespace?: string; uid?: string };
    containers?: { name?: string; startTime?: string; cpu?: CpuStats; memory?: MemoryStats }[];
  }[];
}
interface CpuStats {
  usageCoreNanoSeconds?: number;
}
interface MemoryStats {
  workingSetBytes?: number;
}

/** Counters of one look at every node. */
export interface Sample {
  atMs: number;
  /** By "node/<name>" and "pod/<uid>/<container>". */
  counters: Map<string, Counter>;
}

export interface Counter {
  atMs: number;
  startedMs: number | undefined;
  cpuNanoSeconds: number;
  memoryBytes: number;
}

export interface Usage {
  atMs: number;
  windowMs: number;
  nanoCores: number;
  memoryBytes: number;
}

export const nodeId = (name: string): string => `node/${name}`;
export const containerId = (podUid: string, container: string): string => `pod/${podUid}/${container}`;

/** Counters of one node's answer at a time. */
export function countersOf(node: string, s: Summary, atMs: number): [string, Counter][] {
  const counter = (x: { startTime?: string; cpu?: CpuStats; memory?: MemoryStats } | undefined): Counter => ({
    atMs,
    startedMs: timeOf(x?.startTime),
    cpuNanoSeconds: Number(x?.cpu?.usageCoreNanoSeconds ?? 0) || 0,
    memoryBytes: Number(x?.memory?.workingSetBytes ?? 0) || 0,
  });
  const out: [string, Counter][] = [[nodeId(node), counter(s.node)]];
  for (const p of s.pods ?? []) for (const c of p.containers ?? []) out.push([containerId(p.podRef?.uid ?? "", c.name ?? ""), counter(c)]);
  return out;
}

/** Usage between two looks; undefined when there is nothing to measure from. */
export function usageOf(id: string, before: Sample | undefined, now: Sample): Usage | undefined {
  const c = now.counters.get(id);
  if (!c) return undefined;
  const old = before?.counters.get(id);
  const goesOn = old !== undefined && old.cpuNanoSeconds <= c.cpuNanoSeconds && old.atMs < c.atMs && (c.startedMs ?? 0) <= old.atMs;
  const fromMs = goesOn ? old.atMs : c.startedMs;
  if (fromMs === undefined || fromMs >= c.atMs) return undefined;
  const windowMs = c.atMs - fromMs;
  const used = c.cpuNanoSeconds - (goesOn ? old.cpuNanoSeconds : 0);
  return { atMs: c.atMs, windowMs, nanoCores: Math.max(0, Math.round((used * 1000) / windowMs)), memoryBytes: c.memoryBytes };
}

/** As metrics-server writes quantities: nanocores and kibibytes. */
export function resourcesOf(u: Usage): { cpu: string; memory: string } {
  return { cpu: u.nanoCores === 0 ? "0" : `${u.nanoCores}n`, memory: `${Math.ceil(u.memoryBytes / 1024)}Ki` };
}

/** A Go duration of milliseconds, "15.012s". */
export function durationText(ms: number): string {
  const [minutes, rest] = [Math.floor(ms / 60_000), Math.round(ms % 60_000)];
  const seconds = `${(rest / 1000).toString()}s`;
  const hours = Math.floor(minutes / 60);
  return hours > 0 ? `${hours}h${minutes % 60}m${seconds}` : minutes > 0 ? `${minutes}m${seconds}` : seconds;
}

function timeOf(text: string | undefined): number | undefined {
  const ms = Date.parse(text ?? "");
  return Number.isNaN(ms) ? undefined : ms;
}
