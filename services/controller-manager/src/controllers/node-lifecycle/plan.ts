// Whether a node is alive, and what to say about it (the node life-cycle controller). Pure. A node lives while its Lease or its
// Ready condition changes; silent for longer than the grace period it becomes Unknown, is tainted, and its pods stop being ready.
import { type KubeObject, time, timeMs } from "@podwire/client";
import type { Taint } from "../../pods/taints.ts";

/** What was seen of a node, by this process's own clock (times of other machines are only compared with themselves). */
export interface NodeHealth {
  /** When something last changed. */
  probeMs: number;
  /** The kubelet's own words, to see change: Ready condition's heartbeat and status, Lease's renewal. */
  seen: string;
  ready: string;
}

export interface HealthVerdict {
  health: NodeHealth;
  /** Conditions to write into the status; undefined: nothing to write. */
  conditions: any[] | undefined;
  /** Ready as it is now: "True", "False", "Unknown". */
  ready: string;
  /** Ready was True before and is not any more: its pods are not ready either. */
  lost: boolean;
}

const WATCHED = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

export interface HealthInput {
  node: KubeObject;
  leaseRenewTime: string | undefined;
  health: NodeHealth | undefined;
  graceMs: number;
  startupGraceMs: number;
  nowMs: number;
}

export function planHealth(i: HealthInput): HealthVerdict {
  const conditions: any[] = i.node["status"]?.conditions ?? [];
  const ready = conditions.find((c) => c.type === "Ready");
  // Words that this controller wrote itself are no sign of life.
  const own = ready?.reason === "NodeStatusUnknown" || ready?.reason === "NodeStatusNeverUpdated";
  const words = own ? "" : `${ready?.status}/${ready?.lastHeartbeatTime}/${ready?.lastTransitionTime}`;
  const seen = `${words}|${i.leaseRenewTime ?? ""}`;
  let health = i.health;
  if (!health) {
    // First sight: a node that never spoke gets the startup grace from its creation.
    const createdMs = timeMs(i.node.metadata.creationTimestamp) ?? i.nowMs;
    health = { probeMs: ready ? i.nowMs : Math.min(i.nowMs, createdMs), seen, ready: ready?.status ?? "" };
  } else if (health.seen !== seen) {
    const [oldWords, oldLease] = health.seen.split("|");
    // Going from words to our own verdict is not life; a new renewal or new words are.
    const alive = (words !== "" && words !== oldWords) || (i.leaseRenewTime ?? "") !== oldLease;
    health = { probeMs: alive ? i.nowMs : health.probeMs, seen, ready: ready?.status ?? "" };
  }
  const grace = ready ? i.graceMs : i.startupGraceMs;
  const wasReady = i.health?.ready === "True";
  if (i.nowMs <= health.probeMs + grace) {
    const now = ready?.status ?? "Unknown";
    return { health: { ...health, ready: ready?.status ?? "" }, conditions: undefined, ready: now, lost: wasReady && now !== "True" };
  }
  const next = conditions.map((c) => ({ ...c }));
  let changed = false;
  for (const type of WATCHED) {
    const c = next.find((x) => x.type === type);
    if (!c) {
      next.push({
        type,
        status: "Unknown",
        reason: "NodeStatusNeverUpdated",
        message: "Kubelet never posted node status.",
        lastHeartbeatTime: i.node.metadata.creationTimestamp ?? null,
        lastTransitionTime: time(i.nowMs),
      });
      changed = true;
    } else if (c.status !== "Unknown") {
      c.status = "Unknown";
      c.reason = "NodeStatusUnknown";
      c.message = "Kubelet stopped posting node status.";
      c.lastTransitionTime = time(i.nowMs);
      changed = true;
    }
  }
  return {
    health: { ...health, ready: "Unknown", seen: `|${i.leaseRenewTime ?? ""}` },
    conditions: changed ? next : undefined,
    ready: "Unknown",
    lost: (wasReady || ready?.status === "True") && changed,
  };
}

export const NOT_READY = "node.kubernetes.io/not-ready";
export const UNREACHABLE = "node.kubernetes.io/unreachable";

/** Taints that this controller owns, by what they say. */
const CONDITION_TAINTS: Record<string, Record<string, string>> = {
  Ready: { False: NOT_READY, Unknown: UNREACHABLE },
  MemoryPressure: { True: "node.kubernetes.io/memory-pressure" },
  DiskPressure: { True: "node.kubernetes.io/disk-pressure" },
  PIDPressure: { True: "node.kubernetes.io/pid-pressure" },
  NetworkUnavailable: { True: "node.kubernetes.io/network-unavailable" },
};
const UNSCHEDULABLE = "node.kubernetes.io/unschedulable";
const OWN_NO_SCHEDULE = new Set([...Object.values(CONDITION_TAINTS).flatMap((m) => Object.values(m)), UNSCHEDULABLE]);

/** The NoSchedule taints that the node's conditions and spec.unschedulable ask for, merged into its taints; undefined: no change. */
export function planNoSchedule(node: KubeObject, nowMs: number): Taint[] | undefined {
  const wanted = new Set<string>();
  for (const c of node["status"]?.conditions ?? []) {
    const key = CONDITION_TAINTS[c.type]?.[c.status];
    if (key) wanted.add(key);
  }
  if (node["spec"]?.unschedulable) wanted.add(UNSCHEDULABLE);
  const taints: Taint[] = node["spec"]?.taints ?? [];
  const own = (t: Taint) => t.effect === "NoSchedule" && OWN_NO_SCHEDULE.has(t.key);
  const missing = [...wanted].filter((key) => !taints.some((t) => own(t) && t.key === key));
  const stale = taints.some((t) => own(t) && !wanted.has(t.key));
  if (missing.length === 0 && !stale) return undefined;
  return [
    ...taints.filter((t) => !own(t) || wanted.has(t.key)),
    ...missing.map((key) => ({ key, effect: "NoSchedule", timeAdded: time(nowMs) })),
  ];
}

/** The NoExecute taint for the state of Ready, replacing the other one; undefined: no change. `allowed` is false while the zone's
 *  rate does not let another node be tainted. */
export function planNoExecute(node: KubeObject, ready: string, allowed: boolean, nowMs: number): Taint[] | undefined {
  const taints: Taint[] = node["spec"]?.taints ?? [];
  const own = (t: Taint) => t.effect === "NoExecute" && (t.key === NOT_READY || t.key === UNREACHABLE);
  const want = ready === "True" ? undefined : ready === "False" ? NOT_READY : UNREACHABLE;
  const held = taints.filter(own);
  if (held.length === (want ? 1 : 0) && (!want || held[0]?.key === want)) return undefined;
  // Swapping one for the other is no new eviction; adding the first is.
  if (want && held.length === 0 && !allowed) return undefined;
  const kept = taints.filter((t) => !own(t));
  return want ? [...kept, { key: want, effect: "NoExecute", timeAdded: time(nowMs) }] : kept;
}

/** True when the node waits to be tainted NoExecute. */
export function awaitsNoExecute(node: KubeObject, ready: string): boolean {
  return (
    ready !== "True" &&
    !(node["spec"]?.taints ?? []).some((t: Taint) => t.effect === "NoExecute" && (t.key === NOT_READY || t.key === UNREACHABLE))
  );
}

export function zoneOf(node: KubeObject): string {
  const l = node.metadata.labels ?? {};
  return `${l["topology.kubernetes.io/region"] ?? ""}:${l["topology.kubernetes.io/zone"] ?? ""}`;
}
