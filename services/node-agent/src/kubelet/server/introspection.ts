// What the kubelet tells about itself: /configz, /metrics, /metrics/probes. Pure.
import type { NodeAgentConfig } from "../../config.ts";
import type { PodRecord } from "../pod-record.ts";
import type { ProbeCount } from "../probes/prober.ts";
import { family, type Sample } from "../stats/metrics.ts";

/** Counted since the process started. */
export interface Tallies {
  started: number;
  startErrors: number;
  /** Evictions by signal. */
  evictions: Map<string, number>;
}

type Worker = { record: PodRecord; probes(): Iterable<ProbeCount> };

/** KubeletConfiguration (kubelet.config.k8s.io/v1beta1), as far as this kubelet has such settings. */
export function kubeletConfiguration(c: NodeAgentConfig): object {
  const seconds = (ms: number) => `${Math.round(ms / 1000)}s`;
  return {
    syncFrequency: "1m0s",
    fileCheckFrequency: "20s",
    staticPodPath: c["pod-manifest-path"],
    address: "0.0.0.0",
    port: c.port,
    authentication: {
      x509: { clientCAFile: c["client-ca-file"] },
      webhook: { enabled: true, cacheTTL: "2m0s" },
      anonymous: { enabled: c["anonymous-auth"] },
    },
    authorization: { mode: c["authorization-mode"], webhook: { cacheAuthorizedTTL: "5m0s", cacheUnauthorizedTTL: "30s" } },
    clusterDomain: c["cluster-domain"],
    clusterDNS: c["cluster-dns"],
    nodeStatusUpdateFrequency: seconds(c["node-status-update-frequency"]),
    nodeStatusReportFrequency: "5m0s",
    nodeLeaseDurationSeconds: c["node-lease-duration-seconds"],
    imageMinimumGCAge: seconds(c["minimum-image-ttl-duration"]),
    imageMaximumGCAge: seconds(c["image-maximum-gc-age"]),
    imageGCHighThresholdPercent: c["image-gc-high-threshold"],
    imageGCLowThresholdPercent: c["image-gc-low-threshold"],
    maxPods: c["max-pods"],
    podPidsLimit: 4096,
    serializeImagePulls: true,
    evictionHard: Object.fromEntries(c["eviction-hard"].map((t) => [t.signal, t.text])),
    ...(c["eviction-soft"].length > 0 ? { evictionSoft: Object.fromEntries(c["eviction-soft"].map((t) => [t.signal, t.text])) } : {}),
    ...(c["eviction-soft-grace-period"].size > 0
      ? { evictionSoftGracePeriod: Object.fromEntries([...c["eviction-soft-grace-period"]].map(([k, ms]) => [k, seconds(ms)])) }
      : {}),
    evictionMaxPodGracePeriod: c["eviction-max-pod-grace-period"],
    evictionPressureTransitionPeriod: seconds(c["eviction-pressure-transition-period"]),
    kubeReserved: { memory: c["kube-reserved-memory"] },
    containerLogMaxSize: c["container-log-max-size"],
    containerLogMaxFiles: c["container-log-max-files"],
    shutdownGracePeriod: seconds(c["shutdown-grace-period"]),
    shutdownGracePeriodCriticalPods: seconds(c["shutdown-grace-period-critical-pods"]),
    allowedUnsafeSysctls: c["allowed-unsafe-sysctls"],
    registerNode: c["register-node"],
  };
}

export function kubeletMetrics(nodeName: string, workers: Iterable<Worker>, tallies: Tallies): string {
  let pods = 0;
  const states = { created: 0, running: 0, exited: 0 };
  let desired = 0;
  for (const w of workers) {
    desired++;
    if (w.record.sandbox) pods++;
    for (const c of w.record.containers.values()) {
      if (c.running) states.running++;
      else if (c.terminated) states.exited++;
    }
  }
  return [
    family("kubelet_node_name", "gauge", "[ALPHA] The node's name. The count is always 1.", [{ labels: { node: nodeName }, value: 1 }]),
    family("kubelet_running_pods", "gauge", "[ALPHA] Number of pods that have a running pod sandbox", [{ value: pods }]),
    family(
      "kubelet_desired_pods",
      "gauge",
      "[ALPHA] The number of pods the kubelet is being instructed to run. static is true if the pod is not from the apiserver.",
      [{ labels: { static: "" }, value: desired }],
    ),
    family(
      "kubelet_running_containers",
      "gauge",
      "[ALPHA] Number of containers currently running",
      Object.entries(states).map(([container_state, value]) => ({ labels: { container_state }, value })),
    ),
    family("kubelet_started_containers_total", "counter", "[ALPHA] Cumulative number of containers started", [{ value: tallies.started }]),
    family("kubelet_started_containers_errors_total", "counter", "[ALPHA] Cumulative number of errors when starting containers", [
      { value: tallies.startErrors },
    ]),
    family(
      "kubelet_evictions",
      "counter",
      "[ALPHA] Cumulative number of pod evictions by eviction signal",
      [...tallies.evictions].map(([eviction_signal, value]) => ({ labels: { eviction_signal }, value })),
    ),
  ].join("");
}

export function probeMetrics(workers: Iterable<Worker>): string {
  const samples: Sample[] = [];
  for (const w of workers) {
    const { name = "", namespace = "", uid = "" } = w.record.pod.metadata!;
    for (const p of w.probes())
      for (const [result, value] of Object.entries(p.results))
        if (value > 0)
          samples.push({ labels: { container: p.container, namespace, pod: name, pod_uid: uid, probe_type: p.kind, result }, value });
  }
  return family(
    "prober_probe_total",
    "counter",
    "[BETA] Cumulative number of a liveness, readiness or startup probe for a container by result.",
    samples,
  );
}
