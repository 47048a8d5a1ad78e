// The two resources that are served in more forms than they are stored in: events.k8s.io/v1 Event (stored as core v1) and
// autoscaling/v1 HorizontalPodAutoscaler (stored as v2). Pure; to and fro loses nothing that the served form can say.
import type { KubeObject, ResourceInfo } from "@podwire/api";

export interface Conversion {
  storage: { group: string; resource: string };
  toServed(o: KubeObject): KubeObject;
  toStorage(o: KubeObject): KubeObject;
}

export function conversionOf(info: ResourceInfo): Conversion | undefined {
  if (info.group === "events.k8s.io" && info.resource === "events") return EVENT;
  if (info.group === "autoscaling" && info.version === "v1" && info.resource === "horizontalpodautoscalers") return HPA_V1;
  return undefined;
}

/** Field names that differ between core v1 and events.k8s.io/v1 (k8s.io/kubernetes/pkg/apis/core/v1/conversion.go). */
const EVENT_FIELDS: readonly (readonly [string, string])[] = [
  ["involvedObject", "regarding"],
  ["message", "note"],
  ["source", "deprecatedSource"],
  ["firstTimestamp", "deprecatedFirstTimestamp"],
  ["lastTimestamp", "deprecatedLastTimestamp"],
  ["count", "deprecatedCount"],
  ["reportingComponent", "reportingController"],
];

function renamed(o: KubeObject, apiVersion: string, pairs: readonly (readonly [string, string])[]): KubeObject {
  const names = new Map(pairs);
  const out: KubeObject = { kind: "Event", apiVersion, metadata: o.metadata };
  for (const [k, v] of Object.entries(o)) if (k !== "kind" && k !== "apiVersion" && k !== "metadata") out[names.get(k) ?? k] = v;
  return out;
}

const EVENT: Conversion = {
  storage: { group: "", resource: "events" },
  toServed: (o) => {
    const out = renamed(o, "events.k8s.io/v1", EVENT_FIELDS);
    for (const k of ["reportingController", "reportingInstance"]) if (out[k] === "") delete out[k];
    return out;
  },
  toStorage: (o) => {
    const out = renamed(
      o,
      "v1",
      EVENT_FIELDS.map(([a, b]) => [b, a] as const),
    );
    out["involvedObject"] ??= {};
    out["source"] ??= {};
    out["firstTimestamp"] ??= null;
    out["lastTimestamp"] ??= null;
    out["reportingComponent"] ??= "";
    out["reportingInstance"] ??= "";
    return out;
  },
};

const METRICS = "autoscaling.alpha.kubernetes.io/metrics";
const BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior";
const CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions";
const CURRENT_METRICS = "autoscaling.alpha.kubernetes.io/current-metrics";

const HPA_V1: Conversion = {
  storage: { group: "autoscaling", resource: "horizontalpodautoscalers" },
  toServed(o) {
    const { metrics: listed, behavior, ...spec } = o["spec"] ?? {};
    const metrics = listed ?? []; // null is an empty list, as Go writes it.
    const { conditions, currentMetrics: read, ...status } = o["status"] ?? {};
    const currentMetrics = read ?? [];
    const annotations: Record<string, string> = { ...o.metadata.annotations };
    const isCpu = (m: any) => m?.type === "Resource" && m.resource?.name === "cpu" && m.resource.target?.averageUtilization !== undefined;
    const cpu = metrics.find(isCpu);
    if (cpu) spec.targetCPUUtilizationPercentage = cpu.resource.target.averageUtilization;
    const others = metrics.filter((m: unknown) => m !== cpu);
    if (others.length > 0) annotations[METRICS] = JSON.stringify(others);
    if (behavior) annotations[BEHAVIOR] = JSON.stringify(behavior);
    if (conditions?.length) annotations[CONDITIONS] = JSON.stringify(conditions);
    const current = currentMetrics.find(
      (m: any) => m?.type === "Resource" && m.resource?.name === "cpu" && m.resource.current?.averageUtilization !== undefined,
    );
    if (current) status.currentCPUUtilizationPercentage = current.resource.current.averageUtilization;
    const otherCurrent = currentMetrics.filter((m: unknown) => m !== current);
    if (otherCurrent.length > 0) annotations[CURRENT_METRICS] = JSON.stringify(otherCurrent);
    status.currentReplicas ??= 0;
    status.desiredReplicas ??= 0;
    return withAnnotations({ ...o, apiVersion: "autoscaling/v1", spec, status }, annotations);
  },
  toStorage(o) {
    const { targetCPUUtilizationPercentage: target, ...spec } = o["spec"] ?? {};
    const { currentCPUUtilizationPercentage: current, ...status } = o["status"] ?? {};
    const annotations: Record<string, string> = { ...o.metadata.annotations };
    const metrics: unknown[] = [];
    if (target !== undefined)
      metrics.push({ type: "Resource", resource: { name: "cpu", target: { type: "Utilization", averageUtilization: target } } });
    metrics.push(...taken(annotations, METRICS, []));
    if (metrics.length > 0) spec.metrics = metrics;
    const behavior = taken(annotations, BEHAVIOR, undefined);
    if (behavior) spec.behavior = behavior;
    const conditions = taken(annotations, CONDITIONS, undefined);
    if (conditions) status.conditions = conditions;
    const currentMetrics: unknown[] = [];
    if (current !== undefined)
      currentMetrics.push({ type: "Resource", resource: { name: "cpu", current: { averageUtilization: current } } });
    currentMetrics.push(...taken(annotations, CURRENT_METRICS, []));
    status.currentMetrics = currentMetrics.length > 0 ? currentMetrics : null;
    status.currentReplicas ??= 0;
    status.desiredReplicas ??= 0;
    return withAnnotations({ ...o, apiVersion: "autoscaling/v2", spec, status }, annotations);
  },
};

/** Removes an annotation and decodes it; `otherwise` when absent or not JSON. */
function taken<T>(annotations: Record<string, string>, name: string, otherwise: T): any {
  const text = annotations[name];
  if (text === undefined) return otherwise;
  delete annotations[name];
  try {
    return JSON.parse(text) ?? otherwise;
  } catch {
    return otherwise;
  }
}

function withAnnotations(o: KubeObject, annotations: Record<string, string>): KubeObject {
  const { annotations: _, ...metadata } = o.metadata;
  return { ...o, metadata: Object.keys(annotations).length > 0 ? { ...metadata, annotations } : metadata };
}
