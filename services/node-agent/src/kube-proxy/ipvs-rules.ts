// What one Service port contributes in ipvs mode: virtual servers, and entries of the sets by which a few iptables rules mark what has
// to be masqueraded.
// Invariant: pure; nothing here knows other Services. Set names are upstream's.
import type { Scheduler, SetType, VirtualServer } from "@podwire/net";
import { inRange, nodePortIPs, type ProxySettings } from "./proxy-settings.ts";
import { type EndpointInfo, externallyAccessible, type ServicePort } from "./service-ports.ts";
import type { Categorized } from "./topology.ts";

export const IPVS_SETS: Readonly<Record<string, SetType>> = {
  "KUBE-LOOP-BACK": "hash:ip,port,ip",
  "KUBE-CLUSTER-IP": "hash:ip,port",
  "KUBE-EXTERNAL-IP": "hash:ip,port",
  "KUBE-EXTERNAL-IP-LOCAL": "hash:ip,port",
  "KUBE-LOAD-BALANCER": "hash:ip,port",
  "KUBE-LOAD-BALANCER-LOCAL": "hash:ip,port",
  "KUBE-LOAD-BALANCER-FW": "hash:ip,port",
  "KUBE-LOAD-BALANCER-SOURCE-CIDR": "hash:ip,port,net",
  "KUBE-LOAD-BALANCER-SOURCE-IP": "hash:ip,port,ip",
  "KUBE-NODE-PORT-TCP": "bitmap:port",
  "KUBE-NODE-PORT-UDP": "bitmap:port",
  "KUBE-NODE-PORT-SCTP": "bitmap:port",
  "KUBE-NODE-PORT-LOCAL-TCP": "bitmap:port",
  "KUBE-NODE-PORT-LOCAL-UDP": "bitmap:port",
  "KUBE-NODE-PORT-LOCAL-SCTP": "bitmap:port",
  "KUBE-HEALTH-CHECK-NODE-PORT": "bitmap:port",
};

export interface IpvsPort {
  servers: VirtualServer[];
  /** Entries by set name. */
  entries: [string, string][];
}

export function ipvsPort(port: ServicePort, eps: Categorized, s: ProxySettings, scheduler: Scheduler): IpvsPort {
  const out: IpvsPort = { servers: [], entries: [] };
  const pool = (list: readonly EndpointInfo[]) => ({ servers: list.map((e) => ({ endpoint: e.endpoint, weight: 1 })) });
  const internal = port.internalPolicyLocal ? eps.local : eps.cluster;
  const external = port.externalPolicyLocal ? eps.local : eps.cluster;
  const server = (address: string, portNumber: number, list: readonly EndpointInfo[], inside?: readonly EndpointInfo[]): VirtualServer => ({
    protocol: port.protocol,
    address,
    port: portNumber,
    scheduler,
    persistent: port.affinitySeconds,
    pool: pool(list),
    ...(inside === undefined ? {} : { inside: pool(inside) }),
    whenEmpty: eps.hasAny ? "drop" : "reject",
    comment: port.name,
  });
  /** Of policy Local: pods and the node use every endpoint. */
  const inside = port.externalPolicyLocal && eps.cluster.length > 0 ? eps.cluster : undefined;
  const entry = (ip: string) => `${ip},${port.protocol}:${port.port}`;
  const local = port.externalPolicyLocal ? "-LOCAL" : "";

  out.servers.push(server(port.clusterIP, port.port, internal));
  out.entries.push(["KUBE-CLUSTER-IP", entry(port.clusterIP)]);
  for (const ip of port.externalIPs) {
    out.servers.push(server(ip, port.port, external, inside));
    out.entries.push([`KUBE-EXTERNAL-IP${local}`, entry(ip)]);
  }
  for (const ip of port.loadBalancerVIPs) {
    out.servers.push(server(ip, port.port, external, inside));
    out.entries.push([`KUBE-LOAD-BALANCER${local}`, entry(ip)]);
    if (port.sourceRanges.length === 0) continue;
    out.entries.push(["KUBE-LOAD-BALANCER-FW", entry(ip)]);
    for (const r of port.sourceRanges) out.entries.push(["KUBE-LOAD-BALANCER-SOURCE-CIDR", `${entry(ip)},${r}`]);
    const nodeIP = s.nodeIPs[0];
    if (nodeIP !== undefined && port.sourceRanges.some((r) => inRange(nodeIP, r)))
      for (const vip of port.loadBalancerVIPs) out.entries.push(["KUBE-LOAD-BALANCER-SOURCE-IP", `${entry(ip)},${vip}`]);
  }
  if (port.nodePort !== 0) {
    const loopback = s.family === 4 && s.localhostNodePorts ? ["127.0.0.1"] : [];
    for (const ip of nodePortIPs(s) ?? [...s.nodeIPs, ...loopback]) out.servers.push(server(ip, port.nodePort, external, inside));
    out.entries.push([`KUBE-NODE-PORT${local}-${port.protocol.toUpperCase()}`, String(port.nodePort)]);
  }
  if (port.healthCheckNodePort !== 0) out.entries.push(["KUBE-HEALTH-CHECK-NODE-PORT", String(port.healthCheckNodePort)]);
  if (eps.hasAny || externallyAccessible(port))
    for (const e of eps.all) out.entries.push(["KUBE-LOOP-BACK", `${e.ip},${port.protocol}:${e.port},${e.ip}`]);
  return out;
}
