// Rows of workloads, Services and what routes to them (Kubernetes 1.34).
import {
  age,
  boolText,
  conditionTrue,
  formatLabels,
  formatSelector,
  humanDuration,
  images,
  NONE,
  names,
  type Obj,
  type Printer,
  since,
  truncated,
  UNSET,
} from "./cells.ts";

const hostPort = (ip: string, port: number): string => (ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`);

function endpointAddresses(o: Obj): string {
  const list: string[] = [];
  for (const s of o.subsets ?? []) {
    if ((s.ports ?? []).length === 0) for (const a of s.addresses ?? []) list.push(a.ip);
    for (const p of s.ports ?? []) for (const a of s.addresses ?? []) list.push(hostPort(a.ip, p.port));
  }
  return truncated(list, NONE);
}

function balancerAddresses(o: Obj): string {
  const set = new Set<string>();
  for (const i of o.status?.loadBalancer?.ingress ?? []) {
    const a = i.ip || i.hostname;
    if (a) set.add(a);
  }
  return [...set].sort().join(",");
}

function externalAddresses(o: Obj): string {
  const ips: string[] = o.spec.externalIPs ?? [];
  switch (o.spec.type) {
    case "LoadBalancer": {
      const lb = balancerAddresses(o);
      if (ips.length > 0) return [...(lb === "" ? [] : lb.split(",")), ...ips].join(",");
      return lb === "" ? "<pending>" : lb;
    }
    case "ExternalName":
      return o.spec.externalName ?? "";
    default:
      return ips.length === 0 ? NONE : ips.join(",");
  }
}

function servicePorts(ports: Obj[] | undefined): string {
  const list = (ports ?? []).map((p) => (p.nodePort ? `${p.port}:${p.nodePort}/${p.protocol}` : `${p.port}/${p.protocol}`));
  return list.length === 0 ? NONE : list.join(",");
}

function jobStatus(o: Obj): string {
  for (const type of ["Complete", "Failed"]) if (conditionTrue(o, type)) return type;
  if (o.metadata.deletionTimestamp) return "Terminating";
  for (const type of ["Suspended", "FailureTarget", "SuccessCriteriaMet"]) if (conditionTrue(o, type)) return type;
  return "Running";
}

function jobCompletions(o: Obj): string {
  const done = o.status?.succeeded ?? 0;
  if (o.spec.completions !== undefined) return `${done}/${o.spec.completions}`;
  const parallelism = o.spec.parallelism ?? 0;
  return parallelism > 1 ? `${done}/1 of ${parallelism}` : `${done}/1`;
}

function resourceMetric(name: string, target: Obj, current: Obj | undefined): string {
  if (target?.averageValue !== undefined) return `${name}: ${current?.averageValue ?? "<unknown>"}/${target.averageValue}`;
  const now = current?.averageUtilization === undefined ? "<unknown>" : `${current.averageUtilization}%`;
  const want = target?.averageUtilization === undefined ? "<auto>" : `${target.averageUtilization}%`;
  return `${name}: ${now}/${want}`;
}

function valueMetric(target: Obj, current: Obj | undefined): string {
  if (target?.averageValue !== undefined) return `${current?.averageValue ?? "<unknown>"}/${target.averageValue} (avg)`;
  return `${current?.value ?? "<unknown>"}/${target?.value}`;
}

const METRICS_SHOWN_MAX = 2;

function metrics(o: Obj): string {
  const specs: Obj[] = o.spec.metrics ?? [];
  if (specs.length === 0) return NONE;
  const list = specs.map((m, i) => {
    const st = o.status?.currentMetrics?.[i];
    switch (m.type) {
      case "External":
        return valueMetric(m.external?.target, st?.external?.current);
      case "Object":
        return valueMetric(m.object?.target, st?.object?.current);
      case "Pods":
        return `${st?.pods?.current?.averageValue ?? "<unknown>"}/${m.pods?.target?.averageValue}`;
      case "ContainerResource":
        return resourceMetric(m.containerResource?.name, m.containerResource?.target, st?.containerResource?.current);
      case "Resource":
        return resourceMetric(m.resource?.name, m.resource?.target, st?.resource?.current);
      default:
        return "<unknown type>";
    }
  });
  const shown = list.slice(0, METRICS_SHOWN_MAX).join(", ");
  return list.length > METRICS_SHOWN_MAX ? `${shown} + ${list.length - METRICS_SHOWN_MAX} more...` : shown;
}

/** autoscaling/v1 has one number where v2 has a list. */
function metricsV1(o: Obj): string {
  if (o.spec.targetCPUUtilizationPercentage === undefined) return NONE;
  const now = o.status?.currentCPUUtilizationPercentage;
  return `cpu: ${now === undefined ? "<unknown>" : `${now}%`}/${o.spec.targetCPUUtilizationPercentage}%`;
}

const template = (o: Obj): Obj => o.spec.template?.spec;

export const WORKLOADS: Record<string, Printer> = {
  "apps/Deployment": (o, c) => [
    o.metadata.name,
    `${o.status?.readyReplicas ?? 0}/${o.spec.replicas ?? 0}`,
    o.status?.updatedReplicas ?? 0,
    o.status?.availableReplicas ?? 0,
    age(o, c),
    names(template(o)),
    images(template(o)),
    formatSelector(o.spec.selector),
  ],
  "apps/ReplicaSet": (o, c) => [
    o.metadata.name,
    o.spec.replicas ?? 0,
    o.status?.replicas ?? 0,
    o.status?.readyReplicas ?? 0,
    age(o, c),
    names(template(o)),
    images(template(o)),
    formatSelector(o.spec.selector),
  ],
  "/ReplicationController": (o, c) => [
    o.metadata.name,
    o.spec.replicas ?? 0,
    o.status?.replicas ?? 0,
    o.status?.readyReplicas ?? 0,
    age(o, c),
    names(template(o)),
    images(template(o)),
    formatLabels(o.spec.selector),
  ],
  "apps/DaemonSet": (o, c) => [
    o.metadata.name,
    o.status?.desiredNumberScheduled ?? 0,
    o.status?.currentNumberScheduled ?? 0,
    o.status?.numberReady ?? 0,
    o.status?.updatedNumberScheduled ?? 0,
    o.status?.numberAvailable ?? 0,
    formatLabels(template(o)?.nodeSelector),
    age(o, c),
    names(template(o)),
    images(template(o)),
    formatSelector(o.spec.selector),
  ],
  "apps/StatefulSet": (o, c) => [
    o.metadata.name,
    `${o.status?.readyReplicas ?? 0}/${o.spec.replicas ?? 0}`,
    age(o, c),
    names(template(o)),
    images(template(o)),
  ],
  "batch/Job": (o, c) => {
    const start = o.status?.startTime;
    const end = o.status?.completionTime;
    const duration = start ? humanDuration((end ? Date.parse(end) : c.nowMs) - Date.parse(start)) : "";
    return [
      o.metadata.name,
      jobStatus(o),
      jobCompletions(o),
      duration,
      age(o, c),
      names(template(o)),
      images(template(o)),
      formatSelector(o.spec.selector),
    ];
  },
  "batch/CronJob": (o, c) => {
    const job = o.spec.jobTemplate?.spec;
    return [
      o.metadata.name,
      o.spec.schedule ?? "",
      o.spec.timeZone ?? NONE,
      boolText(o.spec.suspend),
      (o.status?.active ?? []).length,
      o.status?.lastScheduleTime ? since(o.status.lastScheduleTime, c) : NONE,
      age(o, c),
      names(job?.template?.spec),
      images(job?.template?.spec),
      formatSelector(job?.selector),
    ];
  },
  "autoscaling/HorizontalPodAutoscaler": (o, c) => [
    o.metadata.name,
    `${o.spec.scaleTargetRef?.kind}/${o.spec.scaleTargetRef?.name}`,
    o.apiVersion === "autoscaling/v1" ? metricsV1(o) : metrics(o),
    o.spec.minReplicas === undefined ? UNSET : String(o.spec.minReplicas),
    o.spec.maxReplicas ?? 0,
    o.status?.currentReplicas ?? 0,
    age(o, c),
  ],
  "/Service": (o, c) => [
    o.metadata.name,
    o.spec.type ?? "",
    o.spec.clusterIPs?.[0] || o.spec.clusterIP || NONE,
    externalAddresses(o),
    servicePorts(o.spec.ports),
    age(o, c),
    formatLabels(o.spec.selector),
  ],
  "/Endpoints": (o, c) => [o.metadata.name, endpointAddresses(o), age(o, c)],
  "discovery.k8s.io/EndpointSlice": (o, c) => [
    o.metadata.name,
    o.addressType ?? "",
    truncated(
      (o.ports ?? []).map((p: Obj) => (p.port === undefined ? "*" : String(p.port))),
      UNSET,
    ),
    truncated(
      (o.endpoints ?? []).flatMap((e: Obj) => e.addresses ?? []),
      UNSET,
    ),
    age(o, c),
  ],
  "networking.k8s.io/Ingress": (o, c) => [
    o.metadata.name,
    o.spec.ingressClassName ?? NONE,
    truncated((o.spec.rules ?? []).map((r: Obj) => r.host).filter(Boolean), "*"),
    balancerAddresses(o),
    (o.spec.tls ?? []).length > 0 ? "80, 443" : "80",
    age(o, c),
  ],
};
