// What the page shows, made of API objects. Pure: objects in, view out; the page knows nothing of Kubernetes' types.
import type { KubeObject } from "@podwire/client";

export interface PodView {
  namespace: string;
  name: string;
  ip: string;
  /** The word that kubectl shows: Running, Pending, CrashLoopBackOff, Terminating, ... */
  status: string;
  ready: boolean;
  restarts: number;
}

export interface NodeView {
  name: string;
  address: string;
  podCIDR: string;
  ready: boolean;
  unschedulable: boolean;
  pods: PodView[];
}

export interface ServiceView {
  namespace: string;
  name: string;
  type: string;
  clusterIP: string;
  externalIPs: string[];
  ports: { port: number; nodePort: number; protocol: string; name: string }[];
  /** Ready addresses, "10.244.1.5:8080". */
  endpoints: string[];
}

export interface ClusterView {
  cluster: string;
  nodes: NodeView[];
  /** Pods that no node has. */
  unscheduled: PodView[];
  services: ServiceView[];
}

export interface ClusterObjects {
  nodes: readonly KubeObject[];
  pods: readonly KubeObject[];
  services: readonly KubeObject[];
  endpointSlices: readonly KubeObject[];
}

const SERVICE_LABEL = "kubernetes.io/service-name";

export function clusterView(cluster: string, o: ClusterObjects): ClusterView {
  const nodes = new Map<string, NodeView>();
  for (const n of o.nodes) nodes.set(nameOf(n), nodeView(n));
  const unscheduled: PodView[] = [];
  for (const p of o.pods) {
    const node = nodes.get(p["spec"]?.nodeName ?? "");
    (node ? node.pods : unscheduled).push(podView(p));
  }
  const byKey = (a: { namespace?: string; name: string }, b: { namespace?: string; name: string }) =>
    `${a.namespace ?? ""}/${a.name}` < `${b.namespace ?? ""}/${b.name}` ? -1 : 1;
  for (const n of nodes.values()) n.pods.sort(byKey);
  const endpoints = readyEndpoints(o.endpointSlices);
  return {
    cluster,
    nodes: [...nodes.values()].sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true })),
    unscheduled: unscheduled.sort(byKey),
    services: o.services.map((s) => serviceView(s, endpoints.get(keyOf(s)) ?? [])).sort(byKey),
  };
}

function nodeView(n: KubeObject): NodeView {
  const condition = (n["status"]?.conditions ?? []).find((c: { type: string }) => c.type === "Ready");
  const address = (n["status"]?.addresses ?? []).find((a: { type: string }) => a.type === "InternalIP");
  return {
    name: nameOf(n),
    address: address?.address ?? "",
    podCIDR: n["spec"]?.podCIDR ?? "",
    ready: condition?.status === "True",
    unschedulable: n["spec"]?.unschedulable === true,
    pods: [],
  };
}

/** The status column of `kubectl get pods`, without its rarer words. */
function podView(p: KubeObject): PodView {
  const containers: { ready?: boolean; restartCount?: number; state?: Record<string, { reason?: string } | undefined> }[] =
    p["status"]?.containerStatuses ?? [];
  const waiting = containers.map((c) => c.state?.["waiting"]?.reason ?? c.state?.["terminated"]?.reason).find((r) => r !== undefined);
  const terminating = p.metadata?.deletionTimestamp !== undefined;
  return {
    namespace: p.metadata?.namespace ?? "",
    name: nameOf(p),
    ip: p["status"]?.podIP ?? "",
    status: terminating ? "Terminating" : (waiting ?? p["status"]?.reason ?? p["status"]?.phase ?? "Pending"),
    ready: (p["status"]?.conditions ?? []).some((c: { type: string; status: string }) => c.type === "Ready" && c.status === "True"),
    restarts: containers.reduce((sum, c) => sum + (c.restartCount ?? 0), 0),
  };
}

function serviceView(s: KubeObject, endpoints: string[]): ServiceView {
  const ingress: { ip?: string; hostname?: string }[] = s["status"]?.loadBalancer?.ingress ?? [];
  return {
    namespace: s.metadata?.namespace ?? "",
    name: nameOf(s),
    type: s["spec"]?.type ?? "ClusterIP",
    clusterIP: s["spec"]?.clusterIP ?? "",
    externalIPs: [...(s["spec"]?.externalIPs ?? []), ...ingress.map((i) => i.ip ?? i.hostname ?? "")],
    ports: (s["spec"]?.ports ?? []).map((p: { port: number; nodePort?: number; protocol?: string; name?: string }) => ({
      port: p.port,
      nodePort: p.nodePort ?? 0,
      protocol: p.protocol ?? "TCP",
      name: p.name ?? "",
    })),
    endpoints,
  };
}

function readyEndpoints(slices: readonly KubeObject[]): Map<string, string[]> {
  const out = new Map<string, string[]>();
  for (const s of slices) {
    const service = s.metadata?.labels?.[SERVICE_LABEL];
    if (service === undefined) continue;
    const key = `${s.metadata?.namespace ?? ""}/${service}`;
    const list = out.get(key) ?? [];
    const ports: (number | undefined)[] = (s["ports"] ?? []).map((p: { port?: number }) => p.port);
    for (const e of s["endpoints"] ?? []) {
      if (e.conditions?.ready === false) continue;
      for (const address of e.addresses ?? []) list.push(ports[0] === undefined ? address : `${address}:${ports[0]}`);
    }
    out.set(key, list.sort());
  }
  return out;
}

const nameOf = (o: KubeObject): string => o.metadata?.name ?? "";
const keyOf = (o: KubeObject): string => `${o.metadata?.namespace ?? ""}/${nameOf(o)}`;
