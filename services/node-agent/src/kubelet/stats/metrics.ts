// The kubelet's metrics in Prometheus' text format: /metrics/resource (stable names), /metrics/cadvisor and /metrics/probes as far as
// they are known here, and /metrics about the kubelet itself. Pure.
import type { PodUsage } from "./usage.ts";

export interface Sample {
  labels?: Readonly<Record<string, string>>;
  value: number;
  atMs?: number;
}

export function family(name: string, type: "counter" | "gauge", help: string, samples: readonly Sample[]): string {
  if (samples.length === 0) return "";
  let out = `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
  for (const s of samples) {
    const labels = Object.entries(s.labels ?? {}).map(([k, v]) => `${k}="${v.replace(/["\\]/g, "\\$&").replaceAll("\n", "\\n")}"`);
    out += `${name}${labels.length > 0 ? `{${labels.join(",")}}` : ""} ${s.value}${s.atMs === undefined ? "" : ` ${s.atMs}`}\n`;
  }
  return out;
}

const podLabels = (p: PodUsage) => ({ namespace: p.pod.metadata!.namespace!, pod: p.pod.metadata!.name! });

/** /metrics/resource (KEP-727). */
export function resourceMetrics(pods: readonly PodUsage[], nowMs: number): string {
  const each = (f: (c: PodUsage["containers"][number]) => number) =>
    pods.flatMap((p) => p.containers.map((c) => ({ labels: { container: c.name, ...podLabels(p) }, value: f(c), atMs: nowMs })));
  const whole = (f: (p: PodUsage) => number) => pods.map((p) => ({ labels: podLabels(p), value: f(p), atMs: nowMs }));
  const total = (f: (p: PodUsage) => number) => [{ value: pods.reduce((n, p) => n + f(p), 0), atMs: nowMs }];
  return [
    family(
      "container_cpu_usage_seconds_total",
      "counter",
      "[STABLE] Cumulative cpu time consumed by the container in core-seconds",
      each((c) => c.cpuMs / 1000),
    ),
    family(
      "container_memory_working_set_bytes",
      "gauge",
      "[STABLE] Current working set of the container in bytes",
      each((c) => c.memoryBytes),
    ),
    family(
      "container_start_time_seconds",
      "gauge",
      "[STABLE] Start time of the container since unix epoch in seconds",
      each((c) => c.startedMs / 1000),
    ),
    family(
      "node_cpu_usage_seconds_total",
      "counter",
      "[STABLE] Cumulative cpu time consumed by the node in core-seconds",
      total((p) => p.cpuMs / 1000),
    ),
    family(
      "node_memory_working_set_bytes",
      "gauge",
      "[STABLE] Current working set of the node in bytes",
      total((p) => p.memoryBytes),
    ),
    family(
      "pod_cpu_usage_seconds_total",
      "counter",
      "[STABLE] Cumulative cpu time consumed by the pod in core-seconds",
      whole((p) => p.cpuMs / 1000),
    ),
    family(
      "pod_memory_working_set_bytes",
      "gauge",
      "[STABLE] Current working set of the pod in bytes",
      whole((p) => p.memoryBytes),
    ),
    family("resource_scrape_error", "gauge", "[STABLE] 1 if there was an error while getting container metrics, 0 otherwise", [
      { value: 0 },
    ]),
  ].join("");
}

/** /metrics/cadvisor: the series that dashboards ask for first. */
export function cadvisorMetrics(pods: readonly PodUsage[], nowMs: number): string {
  const each = (f: (c: PodUsage["containers"][number]) => number) =>
    pods.flatMap((p) => p.containers.map((c) => ({ labels: { container: c.name, ...podLabels(p) }, value: f(c), atMs: nowMs })));
  const net = (f: "rxBytes" | "txBytes") =>
    pods.flatMap((p) => (p.network ? [{ labels: { interface: "eth0", ...podLabels(p) }, value: p.network[f], atMs: nowMs }] : []));
  return [
    family(
      "container_cpu_usage_seconds_total",
      "counter",
      "Cumulative cpu time consumed in seconds.",
      each((c) => c.cpuMs / 1000),
    ),
    family(
      "container_memory_working_set_bytes",
      "gauge",
      "Current working set in bytes.",
      each((c) => c.memoryBytes),
    ),
    family(
      "container_memory_usage_bytes",
      "gauge",
      "Current memory usage in bytes, including all memory regardless of when it was accessed",
      each((c) => c.memoryBytes),
    ),
    family(
      "container_fs_usage_bytes",
      "gauge",
      "Number of bytes that are consumed by the container on this filesystem.",
      each((c) => c.rootfsBytes),
    ),
    family(
      "container_processes",
      "gauge",
      "Number of processes running inside the container.",
      each((c) => c.processes),
    ),
    family("container_network_receive_bytes_total", "counter", "Cumulative count of bytes received", net("rxBytes")),
    family("container_network_transmit_bytes_total", "counter", "Cumulative count of bytes transmitted", net("txBytes")),
  ].join("");
}
