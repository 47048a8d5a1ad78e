// DaemonSet: one pod on every node that fits. Pure: the set, the nodes and its pods in; which nodes get a pod, which pods go, and
// the status out. Follows apps/v1 DaemonSet, rolling update with unavailability or surge.
import { scaledValue } from "@podwire/api";
import { controllerReference, type KubeObject, Resources, timeMs } from "@podwire/client";
import { isAvailable, isReady, isTerminating, phaseOf } from "../../pods/status.ts";
import { type Taint, type Toleration, tolerates } from "../../pods/taints.ts";

export const HASH_LABEL = "controller-revision-hash";
export const GENERATION_LABEL = "pod-template-generation";
export const GENERATION_ANNOTATION = "deprecated.daemonset.template.generation";

const exists = (key: string, effect: string): Toleration => ({ key, operator: "Exists", effect });

/** What every daemon pod puts up with, because the daemon belongs to the node. */
export function daemonTolerations(hostNetwork: boolean): Toleration[] {
  return [
    exists("node.kubernetes.io/not-ready", "NoExecute"),
    exists("node.kubernetes.io/unreachable", "NoExecute"),
    exists("node.kubernetes.io/disk-pressure", "NoSchedule"),
    exists("node.kubernetes.io/memory-pressure", "NoSchedule"),
    exists("node.kubernetes.io/pid-pressure", "NoSchedule"),
    exists("node.kubernetes.io/unschedulable", "NoSchedule"),
    ...(hostNetwork ? [exists("node.kubernetes.io/network-unavailable", "NoSchedule")] : []),
  ];
}

/** The set's own tolerations and a daemon's, each once. */
function allTolerations(spec: any): Toleration[] {
  const own: Toleration[] = spec.tolerations ?? [];
  const same = (a: Toleration, b: Toleration) =>
    a.key === b.key && a.effect === b.effect && a.operator === b.operator && (a.value ?? "") === (b.value ?? "");
  return [...own, ...daemonTolerations(spec.hostNetwork === true).filter((d) => !own.some((o) => same(o, d)))];
}

export interface Fit {
  shouldRun: boolean;
  shouldContinue: boolean;
}

/** Whether a daemon pod belongs on a node. */
export function fitOn(ds: KubeObject, node: KubeObject, matchesNode: (node: KubeObject) => boolean): Fit {
  const spec = ds["spec"].template.spec ?? {};
  if (spec.nodeName && spec.nodeName !== node.metadata.name) return { shouldRun: false, shouldContinue: false };
  if (!matchesNode(node)) return { shouldRun: false, shouldContinue: false };
  const tolerations = allTolerations(spec);
  const untolerated = ((node["spec"]?.taints ?? []) as Taint[]).filter((t) => !tolerations.some((x) => tolerates(x, t)));
  if (untolerated.some((t) => t.effect === "NoExecute")) return { shouldRun: false, shouldContinue: false };
  if (untolerated.some((t) => t.effect === "NoSchedule")) return { shouldRun: false, shouldContinue: true };
  return { shouldRun: true, shouldContinue: true };
}

/** The pod for one node; the scheduler puts it there because of its affinity. */
export function daemonPod(ds: KubeObject, node: string, hash: string): KubeObject {
  const template = ds["spec"].template;
  const affinity = template.spec.affinity ?? {};
  const required = { nodeSelectorTerms: [{ matchFields: [{ key: "metadata.name", operator: "In", values: [node] }] }] };
  const generation = ds.metadata.annotations?.[GENERATION_ANNOTATION];
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      generateName: `${ds.metadata.name}-`,
      namespace: ds.metadata.namespace as string,
      labels: { ...template.metadata?.labels, ...(generation !== undefined ? { [GENERATION_LABEL]: generation } : {}), [HASH_LABEL]: hash },
      ...(template.metadata?.annotations ? { annotations: { ...template.metadata.annotations } } : {}),
      ownerReferences: [controllerReference(ds, Resources.daemonSets)],
    } as KubeObject["metadata"],
    spec: {
      ...template.spec,
      affinity: { ...affinity, nodeAffinity: { ...affinity.nodeAffinity, requiredDuringSchedulingIgnoredDuringExecution: required } },
      tolerations: allTolerations(template.spec),
    },
  };
}

export interface DaemonState {
  ds: KubeObject;
  nodes: readonly KubeObject[];
  fit(node: KubeObject): Fit;
  /** Pods by the node they are on, or are meant for. */
  podsOn: ReadonlyMap<string, readonly KubeObject[]>;
  hash: string;
  nowMs: number;
  /** Whether a failed pod on this node may be replaced now. */
  mayReplaceFailed(node: string): boolean;
}

export interface DaemonPlan {
  create: string[];
  delete: KubeObject[];
  failed: { pod: KubeObject; node: string }[];
  succeeded: { pod: KubeObject; node: string }[];
}

/** The node a daemon pod is on or is meant for. */
export function nodeOf(pod: KubeObject): string {
  if (pod["spec"].nodeName) return pod["spec"].nodeName;
  const terms = pod["spec"].affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [];
  for (const t of terms)
    for (const f of t.matchFields ?? []) if (f.key === "metadata.name" && f.operator === "In" && f.values?.length === 1) return f.values[0];
  return "";
}

const oldestFirst = (a: KubeObject, b: KubeObject): number =>
  (timeMs(a.metadata.creationTimestamp) ?? 0) - (timeMs(b.metadata.creationTimestamp) ?? 0) || (a.metadata.name < b.metadata.name ? -1 : 1);

const isUpdated = (s: DaemonState, pod: KubeObject): boolean => pod.metadata.labels?.[HASH_LABEL] === s.hash;

export function planDaemonPods(s: DaemonState): DaemonPlan {
  const plan: DaemonPlan = { create: [], delete: [], failed: [], succeeded: [] };
  const surge = limits(s).surge;
  const known = new Set(s.nodes.map((n) => n.metadata.name));
  for (const node of s.nodes) {
    const name = node.metadata.name;
    const { shouldRun, shouldContinue } = s.fit(node);
    const pods = s.podsOn.get(name) ?? [];
    if (pods.length === 0) {
      if (shouldRun) plan.create.push(name);
      continue;
    }
    if (!shouldContinue) {
      plan.delete.push(...pods.filter((p) => !isTerminating(p)));
      continue;
    }
    keepOne(s, plan, name, pods, shouldRun, surge);
  }
  // Pods meant for nodes that are gone will never be placed.
  for (const [name, pods] of s.podsOn)
    if (!known.has(name)) plan.delete.push(...pods.filter((p) => !isTerminating(p) && !p["spec"].nodeName));
  return plan;
}

/** A node that has pods: replaces finished ones, removes extra ones; with surge an old and a new one may stand side by side. */
function keepOne(s: DaemonState, plan: DaemonPlan, node: string, pods: readonly KubeObject[], shouldRun: boolean, surge: number): void {
  const running: KubeObject[] = [];
  for (const pod of pods) {
    if (isTerminating(pod)) continue;
    const phase = phaseOf(pod);
    if (phase === "Failed") {
      if (s.mayReplaceFailed(node)) plan.failed.push({ pod, node });
    } else if (phase === "Succeeded") plan.succeeded.push({ pod, node });
    else running.push(pod);
  }
  if (surge === 0) {
    if (running.length > 1) plan.delete.push(...running.sort(oldestFirst).slice(1));
    return;
  }
  const fresh = running.filter((p) => isUpdated(s, p)).sort(oldestFirst);
  const old = running.filter((p) => !isUpdated(s, p)).sort(oldestFirst);
  plan.delete.push(...fresh.slice(1), ...old.slice(1));
  const alive = pods.some((p) => !isTerminating(p));
  if (!alive && shouldRun) plan.create.push(node);
  const newest = fresh[0];
  if (newest && old[0] && isAvailable(newest, s.ds["spec"].minReadySeconds ?? 0, s.nowMs)) plan.delete.push(old[0]);
}

/** Surge and unavailability in pods, of the nodes that should run one. */
export function limits(s: Pick<DaemonState, "ds" | "nodes" | "fit">): { surge: number; unavailable: number } {
  const strategy = s.ds["spec"].updateStrategy;
  if (strategy?.type === "OnDelete") return { surge: 0, unavailable: 0 };
  const r = strategy?.rollingUpdate ?? {};
  const desired = s.nodes.filter((n) => s.fit(n).shouldRun).length;
  const surge = scaledValue(r.maxSurge ?? 0, desired, true);
  const unavailable = scaledValue(r.maxUnavailable ?? 1, desired, true);
  return surge === 0 && unavailable === 0 ? { surge, unavailable: 1 } : { surge, unavailable };
}

/** Old pods to delete now, or (with surge) nodes that get a new pod beside the old one. */
export function planDaemonUpdate(s: DaemonState): { delete: KubeObject[]; create: string[] } {
  if (s.ds["spec"].updateStrategy?.type === "OnDelete") return { delete: [], create: [] };
  const { surge, unavailable } = limits(s);
  const minReady = s.ds["spec"].minReadySeconds ?? 0;
  const broken: KubeObject[] = [];
  const candidates: KubeObject[] = [];
  let missing = 0;
  let surging = 0;
  for (const node of s.nodes) {
    const pods = (s.podsOn.get(node.metadata.name) ?? []).filter((p) => !isTerminating(p));
    if ((s.podsOn.get(node.metadata.name) ?? []).length === 0 && !s.fit(node).shouldRun) continue;
    const fresh = pods.filter((p) => isUpdated(s, p));
    const old = pods.filter((p) => !isUpdated(s, p));
    if (fresh.length > 0 && old.length > 0) {
      if (surge > 0) surging++;
      else missing++;
    } else if (fresh.length === 0 && old.length === 0) missing++;
    else if (fresh[0]) {
      if (!isAvailable(fresh[0], minReady, s.nowMs)) missing++;
    } else if (old[0]) {
      if (!isAvailable(old[0], minReady, s.nowMs)) broken.push(old[0]);
      else candidates.push(old[0]);
    }
  }
  if (surge > 0) {
    const room = Math.max(0, surge - surging);
    return { delete: broken, create: candidates.slice(0, room).map(nodeOf) };
  }
  return { delete: [...broken, ...candidates.slice(0, Math.max(0, unavailable - missing))], create: [] };
}

export function daemonStatus(s: DaemonState): Record<string, any> {
  const minReady = s.ds["spec"].minReadySeconds ?? 0;
  const n = { desired: 0, current: 0, misscheduled: 0, ready: 0, updated: 0, available: 0 };
  for (const node of s.nodes) {
    const pods = [...(s.podsOn.get(node.metadata.name) ?? [])].sort(oldestFirst);
    const pod = pods[0];
    if (s.fit(node).shouldRun) {
      n.desired++;
      if (!pod) continue;
      n.current++;
      if (isReady(pod)) {
        n.ready++;
        if (isAvailable(pod, minReady, s.nowMs)) n.available++;
      }
      if (isUpdated(s, pod)) n.updated++;
    } else if (pod) n.misscheduled++;
  }
  const unavailable = n.desired - n.available;
  const old = s.ds["status"] ?? {};
  return {
    currentNumberScheduled: n.current,
    numberMisscheduled: n.misscheduled,
    desiredNumberScheduled: n.desired,
    numberReady: n.ready,
    observedGeneration: s.ds.metadata.generation ?? 0,
    ...(n.updated > 0 ? { updatedNumberScheduled: n.updated } : {}),
    ...(n.available > 0 ? { numberAvailable: n.available } : {}),
    ...(unavailable > 0 ? { numberUnavailable: unavailable } : {}),
    ...(old.collisionCount ? { collisionCount: old.collisionCount } : {}),
    ...(old.conditions ? { conditions: old.conditions } : {}),
  };
}
