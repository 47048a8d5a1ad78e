// A pod as the scheduler sees it: everything that filters and scores ask for, computed once a version of the pod.
// Invariant: derived fields never change; a changed pod gets a new PodInfo.
import { labelSelector } from "@podwire/api";
import { type KubeObject, objectKey, timeMs } from "@podwire/client";
import type { NodeInfo } from "./node-info.ts";
import { compileNodeDemand, compileTerm } from "./node-selector.ts";
import { podRequests, type Resources } from "./resources.ts";
import type { Toleration } from "./tolerations.ts";

export interface Labels {
  matches(labels: Readonly<Record<string, string>> | undefined): boolean;
  readonly empty: boolean;
  toString(): string;
}

export interface HostPort {
  ip: string;
  protocol: string;
  port: number;
}

export interface AffinityTerm {
  selector: Labels;
  namespaces: ReadonlySet<string>;
  /** Over the labels of namespaces; undefined when the term names none. */
  namespaceSelector: Labels | undefined;
  topologyKey: string;
  weight: number;
}

export interface PodInfo {
  readonly pod: KubeObject;
  readonly key: string;
  readonly uid: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly requests: Resources;
  readonly nonZeroCpu: number;
  readonly nonZeroMemory: number;
  readonly hostPorts: readonly HostPort[];
  readonly tolerations: readonly Toleration[];
  readonly nodeDemand: ((n: NodeInfo) => boolean) | undefined;
  readonly preferredNodes: readonly { weight: number; match: (n: NodeInfo) => boolean }[];
  readonly requiredAffinity: readonly AffinityTerm[];
  readonly requiredAntiAffinity: readonly AffinityTerm[];
  readonly preferredAffinity: readonly AffinityTerm[];
  readonly preferredAntiAffinity: readonly AffinityTerm[];
  readonly spread: readonly any[];
  readonly priority: number;
  readonly images: readonly string[];
  readonly claims: readonly string[];
  readonly startMs: number;
  readonly terminating: boolean;
}

const NOTHING: readonly never[] = [];

export function podInfo(pod: KubeObject): PodInfo {
  const spec = pod["spec"] ?? {};
  const affinity = spec.affinity ?? {};
  const nonZero = podRequests(spec, true);
  return {
    pod,
    key: objectKey(pod),
    uid: pod.metadata.uid ?? objectKey(pod),
    namespace: pod.metadata.namespace ?? "",
    labels: pod.metadata.labels ?? {},
    requests: podRequests(spec),
    nonZeroCpu: nonZero.cpu,
    nonZeroMemory: nonZero.memory,
    hostPorts: hostPortsOf(spec),
    tolerations: spec.tolerations ?? NOTHING,
    nodeDemand: compileNodeDemand(spec),
    preferredNodes: (affinity.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? NOTHING)
      .filter((p: any) => p.weight !== 0)
      .map((p: any) => ({ weight: p.weight, match: compileTerm(p.preference) })),
    requiredAffinity: terms(pod, affinity.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution),
    requiredAntiAffinity: terms(pod, affinity.podAntiAffinity?.requiredDuringSchedulingIgnoredDuringExecution),
    preferredAffinity: weighted(pod, affinity.podAffinity?.preferredDuringSchedulingIgnoredDuringExecution),
    preferredAntiAffinity: weighted(pod, affinity.podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution),
    spread: spec.topologySpreadConstraints ?? NOTHING,
    priority: spec.priority ?? 0,
    images: [...(spec.initContainers ?? NOTHING), ...(spec.containers ?? NOTHING)].map((c: any) => c.image ?? ""),
    claims: (spec.volumes ?? NOTHING).flatMap((v: any) =>
      v.persistentVolumeClaim ? [v.persistentVolumeClaim.claimName] : v.ephemeral ? [`${pod.metadata.name}-${v.name}`] : [],
    ),
    startMs: timeMs(pod["status"]?.startTime) ?? Number.POSITIVE_INFINITY,
    terminating: pod.metadata.deletionTimestamp !== undefined && pod.metadata.deletionTimestamp !== null,
  };
}

function hostPortsOf(spec: any): readonly HostPort[] {
  const out: HostPort[] = [];
  const sidecars = (spec.initContainers ?? NOTHING).filter((c: any) => c.restartPolicy === "Always");
  for (const c of [...(spec.containers ?? NOTHING), ...sidecars])
    for (const p of c.ports ?? NOTHING)
      if (p.hostPort > 0) out.push({ ip: p.hostIP || "0.0.0.0", protocol: p.protocol ?? "TCP", port: p.hostPort });
  return out.length > 0 ? out : NOTHING;
}

/** matchLabelKeys and mismatchLabelKeys are merged into the selector by the API; merging again changes nothing. */
function term(pod: KubeObject, t: any, weight: number): AffinityTerm {
  const keys = (names: string[] | undefined, operator: string) =>
    (names ?? []).flatMap((key) => {
      const value = pod.metadata.labels?.[key];
      return value === undefined ? [] : [{ key, operator, values: [value] }];
    });
  const extra = [...keys(t.matchLabelKeys, "In"), ...keys(t.mismatchLabelKeys, "NotIn")];
  const selector =
    t.labelSelector && extra.length > 0
      ? { ...t.labelSelector, matchExpressions: [...(t.labelSelector.matchExpressions ?? []), ...extra] }
      : t.labelSelector;
  const named: string[] = t.namespaces ?? [];
  const own = named.length === 0 && !t.namespaceSelector ? [pod.metadata.namespace ?? ""] : named;
  return {
    selector: labelSelector(selector),
    namespaces: new Set(own),
    namespaceSelector: t.namespaceSelector ? labelSelector(t.namespaceSelector) : undefined,
    topologyKey: t.topologyKey,
    weight,
  };
}

const terms = (pod: KubeObject, list: readonly any[] | undefined): readonly AffinityTerm[] => (list ?? NOTHING).map((t) => term(pod, t, 1));
const weighted = (pod: KubeObject, list: readonly any[] | undefined): readonly AffinityTerm[] =>
  (list ?? NOTHING).map((w) => term(pod, w.podAffinityTerm, w.weight));

/** True when the term selects `p`, given the labels of p's namespace. */
export function termMatches(
  t: AffinityTerm,
  p: PodInfo,
  namespaceLabels: (ns: string) => Readonly<Record<string, string>> | undefined,
): boolean {
  if (!t.namespaces.has(p.namespace) && !t.namespaceSelector?.matches(namespaceLabels(p.namespace))) return false;
  return t.selector.matches(p.labels);
}
