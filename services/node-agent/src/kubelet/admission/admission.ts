// May a pod that the API has put on this node run here (kubelet's canAdmitPod: lifecycle/predicate.go, sysctl/allowlist.go,
// preemption/preemption.go). Pure. The reason becomes status.reason and the event's; the message follows "Pod was rejected: ".
// Invariant: the first check that fails speaks; only a critical pod's lack of resources may evict others.
import type { Pod } from "@podwire/api";
import { podQosClass, SAFE_SYSCTLS } from "@podwire/api";
import { amountOf, isCriticalPod, isStaticPod, podAmounts } from "../pod-requests.ts";
import { hostPortsOf, matchesNodeAffinity, type NodeFacts, portsConflict, tolerates } from "./node-match.ts";

export interface AdmissionNode extends NodeFacts {
  allocatable: Readonly<Record<string, string>>;
  /** Conditions under which pods are turned away: MemoryPressure, DiskPressure, PIDPressure. */
  pressures: readonly string[];
  shuttingDown: boolean;
  /** --allowed-unsafe-sysctls: names, or prefixes that end in `*`. */
  allowedUnsafeSysctls: readonly string[];
}

export interface Rejection {
  reason: string;
  message: string;
}

export type Verdict = { admit: true; preempt: readonly Pod[] } | ({ admit: false } & Rejection);

interface Shortage {
  resource: string;
  requested: number;
  used: number;
  capacity: number;
}

const ADMITTED: Verdict = { admit: true, preempt: [] };

export function admitPod(pod: Pod, others: readonly Pod[], node: AdmissionNode): Verdict {
  const no = (reason: string, message: string): Verdict => ({ admit: false, reason, message });
  const pressure = rejectedForPressure(pod, node.pressures);
  if (pressure) return no(pressure.reason, pressure.message);
  const sysctl = forbiddenSysctl(pod, node.allowedUnsafeSysctls);
  if (sysctl) return no("SysctlForbidden", sysctl);
  if (node.shuttingDown) return no("NodeShutdown", "Pod was rejected as the node is shutting down.");
  const os = pod.metadata?.labels?.["kubernetes.io/os"];
  if (os !== undefined && os !== "linux")
    return no("PodOSSelectorNodeLabelDoesNotMatch", "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label");
  if (pod.spec!.os && pod.spec!.os.name !== "linux")
    return no("PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS");
  const shortages = shortagesOf(pod, others, node);
  const predicate = failedPredicate(pod, others, node);
  if (shortages.length > 0 && !predicate && isCriticalPod(pod)) {
    const victims = victimsFor(pod, others, shortages);
    if (victims) return { admit: true, preempt: victims };
  }
  const s = shortages[0];
  if (s)
    return no(
      `OutOf${s.resource}`,
      `Node didn't have enough resource: ${s.resource}, requested: ${s.requested}, used: ${s.used}, capacity: ${s.capacity}`,
    );
  if (predicate) return no(predicate.reason, predicate.message);
  return ADMITTED;
}

function failedPredicate(pod: Pod, others: readonly Pod[], node: AdmissionNode): Rejection | undefined {
  const failed = (name: string, text: string) => ({ reason: name, message: `Predicate ${name} failed: ${text}` });
  if (!matchesNodeAffinity(pod, node)) return failed("NodeAffinity", "node(s) didn't match Pod's node affinity/selector");
  if (pod.spec!.nodeName && pod.spec!.nodeName !== node.name) return failed("NodeName", "node(s) didn't match the requested node name");
  const ports = hostPortsOf(pod);
  if (ports.length > 0 && others.some((o) => portsConflict(ports, hostPortsOf(o))))
    return failed("NodePorts", "node(s) didn't have free ports for the requested pod ports");
  if (!isStaticPod(pod) && node.taints.some((t) => t.effect === "NoExecute" && !tolerates(pod, t)))
    return failed("TaintToleration", "node(s) had taints that the pod didn't tolerate");
  return undefined;
}

/** In the scheduler's order: pods, cpu, memory, ephemeral-storage, others. Extended resources that the node does not know pass. */
function shortagesOf(pod: Pod, others: readonly Pod[], node: AdmissionNode): Shortage[] {
  const out: Shortage[] = [];
  const has = (name: string) => amountOf(name, node.allocatable[name] ?? "0");
  const podsLimit = has("pods");
  if (others.length + 1 > podsLimit) out.push({ resource: "pods", requested: 1, used: others.length, capacity: podsLimit });
  const wanted = podAmounts(pod, "requests");
  const used = new Map<string, number>();
  for (const o of others) for (const [k, n] of podAmounts(o, "requests")) used.set(k, (used.get(k) ?? 0) + n);
  const rank = (k: string) =>
    ["cpu", "memory", "ephemeral-storage"].indexOf(k) + (["cpu", "memory", "ephemeral-storage"].includes(k) ? 0 : 10);
  for (const [resource, requested] of [...wanted].sort(([a], [b]) => rank(a) - rank(b))) {
    if (requested === 0) continue;
    if (resource.includes("/") && node.allocatable[resource] === undefined) continue;
    const taken = used.get(resource) ?? 0;
    const capacity = has(resource);
    if (requested > capacity - taken) out.push({ resource, requested, used: taken, capacity });
  }
  return out;
}

/** The fewest pods of lower worth whose end frees what is missing: best-effort first, then burstable, then guaranteed. */
function victimsFor(pod: Pod, others: readonly Pod[], shortages: readonly Shortage[]): Pod[] | undefined {
  const missing = new Map(shortages.map((s) => [s.resource, s.requested - (s.capacity - s.used)]));
  const worth = { BestEffort: 0, Burstable: 1, Guaranteed: 2 } as const;
  const candidates = others
    .filter((o) => mayPreempt(pod, o))
    .sort((a, b) => worth[podQosClass(a)] - worth[podQosClass(b)] || (a.spec!.priority ?? 0) - (b.spec!.priority ?? 0));
  const chosen: Pod[] = [];
  for (const o of candidates) {
    if ([...missing.values()].every((n) => n <= 0)) break;
    const frees = podAmounts(o, "requests");
    if (![...missing].some(([k, n]) => n > 0 && (k === "pods" || (frees.get(k) ?? 0) > 0))) continue;
    chosen.push(o);
    for (const [k, n] of missing) missing.set(k, n - (k === "pods" ? 1 : (frees.get(k) ?? 0)));
  }
  return [...missing.values()].every((n) => n <= 0) ? chosen : undefined;
}

function mayPreempt(preemptor: Pod, other: Pod): boolean {
  if (isCriticalPod(preemptor) && !isCriticalPod(other)) return true;
  return (preemptor.spec!.priority ?? 0) > (other.spec!.priority ?? 0);
}

/** Under memory pressure best-effort pods are turned away unless they tolerate its taint; under any other pressure, everybody but the critical. */
function rejectedForPressure(pod: Pod, pressures: readonly string[]): Rejection | undefined {
  if (pressures.length === 0 || isCriticalPod(pod)) return undefined;
  if (pressures.length === 1 && pressures[0] === "MemoryPressure") {
    if (podQosClass(pod) !== "BestEffort") return undefined;
    if (tolerates(pod, { key: "node.kubernetes.io/memory-pressure", effect: "NoSchedule" })) return undefined;
  }
  return { reason: "Evicted", message: `The node had condition: [${pressures.join(" ")}]. ` };
}

function forbiddenSysctl(pod: Pod, allowed: readonly string[]): string | undefined {
  for (const s of pod.spec!.securityContext?.sysctls ?? []) {
    const name = s.name!.replaceAll("/", ".");
    const ok = SAFE_SYSCTLS.has(name) || allowed.some((a) => (a.endsWith("*") ? name.startsWith(a.slice(0, -1)) : a === name));
    if (!ok) return `forbidden sysctl: "${name}" not allowlisted`;
    if (name.startsWith("net.") && pod.spec!.hostNetwork) return `forbidden sysctl: "${name}" not allowed with host net enabled`;
    if (name.startsWith("kernel.") && pod.spec!.hostIPC) return `forbidden sysctl: "${name}" not allowed with host ipc enabled`;
  }
  return undefined;
}
