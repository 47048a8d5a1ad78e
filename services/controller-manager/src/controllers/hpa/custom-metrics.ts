// Metrics that an adapter serves: of pods and of objects (custom.metrics.k8s.io/v1beta2), and of things outside (external.metrics.k8s.io/
// v1beta1). Asks the adapter through the API's aggregation and says what number of replicas a value calls for (autoscaling/v2:
// pods, object, external). Without an adapter the API knows no such resource, and the error is Kubernetes' own.
import { labelSelector, parseQuantity } from "@podwire/api";
import type { ApiClient, KubeObject } from "@podwire/client";
import { isReady, phaseOf } from "../../pods/status.ts";
import type { PodUse } from "./replicas.ts";

export interface Tolerance {
  up: number;
  down: number;
}

/** How often an adapter measures, when it does not say. */
const WINDOW_MS = 60_000;

const milliOf = (quantity: string): number => Number(parseQuantity(quantity).milli());

async function items(client: ApiClient, api: "custom" | "external", path: string, notFound: string): Promise<any[]> {
  const answer = await client.raw({ method: "GET", path, headers: { accept: "application/json" } });
  const text = new TextDecoder().decode(answer.body);
  const where = `unable to fetch metrics from ${api} metrics API: `;
  if (answer.status === 404) throw new Error(`${where}${statusMessage(text) ?? notFound}`);
  if (answer.status !== 200) throw new Error(`${where}${statusMessage(text) ?? text.slice(0, 200)}`);
  const list = JSON.parse(text).items ?? [];
  if (list.length === 0) throw new Error(`no metrics returned from ${api} metrics API`);
  return list;
}

function statusMessage(text: string): string | undefined {
  try {
    const { message } = JSON.parse(text);
    // The API server's own "no such path" is what client-go words shorter.
    return typeof message === "string" && message !== "" && !message.startsWith("404") ? message : undefined;
  } catch {
    return undefined;
  }
}

const query = (pairs: Record<string, string | undefined>): string => {
  const given = Object.entries(pairs).filter((p): p is [string, string] => p[1] !== undefined && p[1] !== "");
  return given.length > 0 ? `?${new URLSearchParams(given)}` : "";
};
const selectorText = (selector: any): string | undefined => (selector ? labelSelector(selector).toString() : undefined);
const NOT_FOUND = "the server could not find the requested resource";

/** Thousandths by pod. */
export async function podMetric(client: ApiClient, namespace: string, selector: string, metric: any): Promise<Map<string, PodUse>> {
  const more = query({ labelSelector: selector, metricLabelSelector: selectorText(metric.selector) });
  const path = `/apis/custom.metrics.k8s.io/v1beta2/namespaces/${namespace}/pods/*/${encodeURIComponent(metric.name)}${more}`;
  const out = new Map<string, PodUse>();
  for (const i of await items(client, "custom", path, NOT_FOUND)) {
    const windowMs = i.windowSeconds === undefined ? WINDOW_MS : i.windowSeconds * 1000;
    out.set(i.describedObject.name, { milli: milliOf(i.value), atMs: Date.parse(i.timestamp), windowMs });
  }
  return out;
}

/** Thousandths of the one object's metric. `resource` is its collection ("ingresses.networking.k8s.io"). */
export async function objectMetric(client: ApiClient, namespace: string, resource: string, name: string, metric: any): Promise<number> {
  const more = query({ metricLabelSelector: selectorText(metric.selector) });
  const path = `/apis/custom.metrics.k8s.io/v1beta2/namespaces/${namespace}/${resource}/${name}/${encodeURIComponent(metric.name)}${more}`;
  return milliOf((await items(client, "custom", path, NOT_FOUND))[0].value);
}

/** The sum over all series, in thousandths. */
export async function externalMetric(client: ApiClient, namespace: string, metric: any): Promise<number> {
  const more = query({ labelSelector: selectorText(metric.selector) });
  const path = `/apis/external.metrics.k8s.io/v1beta1/namespaces/${namespace}/${encodeURIComponent(metric.name)}${more}`;
  return (await items(client, "external", path, NOT_FOUND)).reduce((sum, i) => sum + milliOf(i.value), 0);
}

/** Replicas for one value of the whole workload, against a target value or an average for each replica. */
export function replicasForValue(
  current: number,
  statusReplicas: number,
  pods: readonly KubeObject[],
  usageMilli: number,
  target: { type: string; value?: string; averageValue?: string },
  tolerance: Tolerance,
): number {
  const within = (ratio: number) => (ratio > 1 ? ratio - 1 <= tolerance.up : 1 - ratio <= tolerance.down);
  if (target.type === "AverageValue") {
    const average = milliOf(target.averageValue ?? "0");
    const ratio = usageMilli / (average * statusReplicas);
    return statusReplicas > 0 && within(ratio) ? statusReplicas : Math.ceil(usageMilli / average);
  }
  const ratio = usageMilli / milliOf(target.value ?? "0");
  if (current === 0) return Math.ceil(ratio);
  if (within(ratio)) return current;
  return Math.ceil(ratio * pods.filter((p) => phaseOf(p) === "Running" && isReady(p)).length);
}
