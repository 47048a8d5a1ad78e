// Services and EndpointSlices, read into what a proxy works with: one entry per Service port and family, with its endpoints.
// Invariant: pure; what does not belong to the family, has no cluster IP or names another proxy is left out. After
// kube-proxy's ServicePortMap and EndpointsMap.
import { isIP } from "node:net";

export interface EndpointInfo {
  ip: string;
  port: number;
  /** "10.244.1.2:80" or "[fd00::2]:80". */
  endpoint: string;
  isLocal: boolean;
  ready: boolean;
  serving: boolean;
  terminating: boolean;
  zoneHints: readonly string[];
  nodeHints: readonly string[];
}

export interface ServicePort {
  /** "namespace/name:port", "namespace/name" when the port has no name. */
  name: string;
  namespace: string;
  service: string;
  portName: string;
  protocol: "tcp" | "udp" | "sctp";
  clusterIP: string;
  port: number;
  /** 0 without one. */
  nodePort: number;
  externalIPs: readonly string[];
  loadBalancerVIPs: readonly string[];
  /** CIDRs; empty lets everybody in. */
  sourceRanges: readonly string[];
  /** 0 is no affinity. */
  affinitySeconds: number;
  internalPolicyLocal: boolean;
  externalPolicyLocal: boolean;
  /** 0 without one. */
  healthCheckNodePort: number;
}

/** The parts of a Service that a proxy reads. */
export interface ServiceLike {
  metadata?: { name?: string; namespace?: string; labels?: Record<string, string>; uid?: string; resourceVersion?: string };
  spec?: {
    type?: string;
    clusterIP?: string;
    clusterIPs?: string[];
    ports?: { name?: string; protocol?: string; port?: number; nodePort?: number }[];
    externalIPs?: string[];
    loadBalancerSourceRanges?: string[];
    sessionAffinity?: string;
    sessionAffinityConfig?: { clientIP?: { timeoutSeconds?: number } };
    internalTrafficPolicy?: string;
    externalTrafficPolicy?: string;
    healthCheckNodePort?: number;
  };
  status?: { loadBalancer?: { ingress?: { ip?: string; ipMode?: string }[] } };
}

/** The parts of an EndpointSlice that a proxy reads. */
export interface EndpointSliceLike {
  metadata?: { name?: string; namespace?: string; labels?: Record<string, string>; resourceVersion?: string };
  addressType?: string;
  endpoints?:
    | {
        addresses?: string[];
        conditions?: { ready?: boolean; serving?: boolean; terminating?: boolean };
        nodeName?: string;
        hints?: { forZones?: { name: string }[]; forNodes?: { name: string }[] };
      }[]
    | null;
  ports?: { name?: string; port?: number; protocol?: string }[] | null;
}

/** A Service with the slices that name it. */
export interface ServiceInput {
  service: ServiceLike;
  slices: readonly EndpointSliceLike[];
}

/** Whether two inputs are of the same objects. */
export function sameInput(a: ServiceInput, b: ServiceInput): boolean {
  return a === b || (a.service === b.service && a.slices.length === b.slices.length && a.slices.every((s, i) => s === b.slices[i]));
}

/** v1.Service's default timeout of ClientIP affinity. */
const DEFAULT_AFFINITY_SECONDS = 10_800;
const SERVICE_PROXY_NAME = "service.kubernetes.io/service-proxy-name";
const HEADLESS = "service.kubernetes.io/headless";
export const SERVICE_NAME = "kubernetes.io/service-name";

export type Family = 4 | 6;

/** The ports of a Service in one family; empty for headless, ExternalName and foreign ones. */
export function servicePorts(s: ServiceLike, family: Family): ServicePort[] {
  const spec = s.spec ?? {};
  const labels = s.metadata?.labels ?? {};
  if (labels[SERVICE_PROXY_NAME] !== undefined || spec.type === "ExternalName") return [];
  const ips = spec.clusterIPs?.length ? spec.clusterIPs : [spec.clusterIP ?? ""];
  const clusterIP = ips.find((ip) => isIP(ip) === family);
  if (clusterIP === undefined) return [];
  const ofFamily = (list: readonly string[] | undefined) =>
    (list ?? []).map((x) => x.trim()).filter((x) => isIP(x.split("/")[0] ?? "") === family);
  const ingress = (s.status?.loadBalancer?.ingress ?? []).filter((i) => i.ip !== undefined && (i.ipMode ?? "VIP") === "VIP");
  const type = spec.type ?? "ClusterIP";
  const namespace = s.metadata?.namespace ?? "";
  const service = s.metadata?.name ?? "";
  const external = type === "NodePort" || type === "LoadBalancer" || (spec.externalIPs?.length ?? 0) > 0;
  return (spec.ports ?? []).map((p) => ({
    name: `${namespace}/${service}${p.name ? `:${p.name}` : ""}`,
    namespace,
    service,
    portName: p.name ?? "",
    protocol: (p.protocol ?? "TCP").toLowerCase() as ServicePort["protocol"],
    clusterIP,
    port: p.port ?? 0,
    nodePort: p.nodePort ?? 0,
    externalIPs: ofFamily(spec.externalIPs),
    loadBalancerVIPs: ofFamily(ingress.map((i) => i.ip as string)),
    sourceRanges: ofFamily(spec.loadBalancerSourceRanges),
    affinitySeconds:
      spec.sessionAffinity === "ClientIP" ? (spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? DEFAULT_AFFINITY_SECONDS) : 0,
    internalPolicyLocal: spec.internalTrafficPolicy === "Local",
    externalPolicyLocal: external && spec.externalTrafficPolicy === "Local",
    healthCheckNodePort: type === "LoadBalancer" && spec.externalTrafficPolicy === "Local" ? (spec.healthCheckNodePort ?? 0) : 0,
  }));
}

/** The endpoints of one Service port out of its Service's slices, sorted by text; ready ones win over doubles. */
export function endpointsOf(port: ServicePort, slices: readonly EndpointSliceLike[], family: Family, nodeName: string): EndpointInfo[] {
  const found = new Map<string, EndpointInfo>();
  for (const slice of slices) {
    if (slice.addressType !== `IPv${family}` || slice.metadata?.labels?.[HEADLESS] !== undefined) continue;
    for (const p of slice.ports ?? []) {
      if ((p.name ?? "") !== port.portName || (p.protocol ?? "TCP").toLowerCase() !== port.protocol || !p.port) continue;
      for (const e of slice.endpoints ?? []) {
        const ip = e.addresses?.[0];
        if (ip === undefined || isIP(ip) !== family) continue;
        const endpoint = family === 6 ? `[${ip}]:${p.port}` : `${ip}:${p.port}`;
        const ready = e.conditions?.ready ?? true;
        if (found.get(endpoint)?.ready === true && !ready) continue;
        found.set(endpoint, {
          ip,
          port: p.port,
          endpoint,
          isLocal: e.nodeName !== undefined && e.nodeName === nodeName,
          ready,
          serving: e.conditions?.serving ?? ready,
          terminating: e.conditions?.terminating ?? false,
          zoneHints: (e.hints?.forZones ?? []).map((h) => h.name),
          nodeHints: (e.hints?.forNodes ?? []).map((h) => h.name),
        });
      }
    }
  }
  return [...found.values()].sort((a, b) => (a.endpoint < b.endpoint ? -1 : 1));
}

export function externallyAccessible(p: ServicePort): boolean {
  return p.nodePort !== 0 || p.loadBalancerVIPs.length > 0 || p.externalIPs.length > 0;
}

/** Cluster endpoints also serve externally reachable Services of policy Local: pods and the node itself go straight to them. */
export function usesClusterEndpoints(p: ServicePort): boolean {
  return !p.internalPolicyLocal || externallyAccessible(p);
}

export function usesLocalEndpoints(p: ServicePort): boolean {
  return p.internalPolicyLocal || (p.externalPolicyLocal && externallyAccessible(p));
}
