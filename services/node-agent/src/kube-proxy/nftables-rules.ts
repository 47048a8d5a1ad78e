// The nftables chains and map elements of one Service port, as kube-proxy's nftables mode writes them.
// Invariant: pure; nothing here knows other Services. Chain names are upstream's: a hash of eight letters, then what it stands for.
import { hash } from "node:crypto";
import type { NftElement, NftMatch, NftRule, NftVerdict } from "@podwire/net";
import { base32 } from "./names.ts";
import { inRange, type ProxySettings } from "./proxy-settings.ts";
import { type EndpointInfo, externallyAccessible, type ServicePort, usesClusterEndpoints, usesLocalEndpoints } from "./service-ports.ts";
import type { Categorized } from "./topology.ts";

/** What one Service port contributes to the table. */
export interface NftPort {
  chains: [string, readonly NftRule[]][];
  /** Elements by map. */
  elements: Record<NftMapName, NftElement[]>;
  clusterIP: string;
  /** Affinity sets with their seconds. */
  affinity: [string, number][];
}

export type NftMapName = "service-ips" | "service-nodeports" | "no-endpoint-services" | "no-endpoint-nodeports" | "firewall-ips";

export const MARK = 0x4000;
const MAX_NAME = 120;

/** "ULMVA6XW-ns1/svc1/tcp/p80": the part that a Service port's chains share. */
export function portBase(p: ServicePort): string {
  return hashed(`${p.namespace}/${p.service}/${p.protocol}/${p.portName}`);
}

function endpointBase(p: ServicePort, e: EndpointInfo): string {
  return hashed(`${p.namespace}/${p.service}/${p.protocol}/${p.portName}__${e.ip.replaceAll(":", ".")}/${e.port}`);
}

function hashed(name: string): string {
  const full = `${base32(hash("sha256", name, "buffer")).slice(0, 8)}-${name}`;
  return full.length > MAX_NAME ? `${full.slice(0, MAX_NAME - 3)}...` : full;
}

const goto = (chain: string): NftRule => ({ do: { s: "verdict", is: { v: "goto", chain } } });
const masquerade = (match: NftMatch[], comment?: string): NftRule => ({
  match,
  do: { s: "verdict", is: { v: "jump", chain: "mark-for-masquerade" } },
  comment,
});

export function nftPort(port: ServicePort, eps: Categorized, s: ProxySettings): NftPort {
  const base = portBase(port);
  const out: NftPort = {
    chains: [],
    elements: { "service-ips": [], "service-nodeports": [], "no-endpoint-services": [], "no-endpoint-nodeports": [], "firewall-ips": [] },
    clusterIP: port.clusterIP,
    affinity: [],
  };
  const [clusterChain, localChain] = [`service-${base}`, `local-${base}`];
  const [externalChain, firewallChain] = [`external-${base}`, `firewall-${base}`];
  const internal = port.internalPolicyLocal ? eps.local : eps.cluster;
  const externalEndpoints = port.externalPolicyLocal ? eps.local : eps.cluster;
  const none: NftVerdict = eps.hasAny ? { v: "drop" } : { v: "goto", chain: "reject-chain" };
  const add = (map: NftMapName, key: string, is: NftVerdict) => out.elements[map].push({ key, is, comment: port.name });
  const at = (ip: string) => `${ip} . ${port.protocol} . ${port.port}`;

  if (internal.length > 0)
    add("service-ips", at(port.clusterIP), { v: "goto", chain: port.internalPolicyLocal ? localChain : clusterChain });
  else add("no-endpoint-services", at(port.clusterIP), none);
  for (const ip of [...port.externalIPs, ...port.loadBalancerVIPs]) {
    if (eps.hasAny) add("service-ips", at(ip), { v: "goto", chain: externalChain });
    if (externalEndpoints.length === 0) add("no-endpoint-services", at(ip), none);
  }
  if (port.nodePort !== 0) {
    const key = `${port.protocol} . ${port.nodePort}`;
    if (eps.hasAny) add("service-nodeports", key, { v: "goto", chain: externalChain });
    if (externalEndpoints.length === 0) add("no-endpoint-nodeports", key, none);
  }
  if (port.sourceRanges.length > 0 && port.loadBalancerVIPs.length > 0) {
    for (const ip of port.loadBalancerVIPs) add("firewall-ips", at(ip), { v: "goto", chain: firewallChain });
    out.chains.push([firewallChain, [firewallRule(port, s)]]);
  }
  if (!eps.hasAny) return out;

  const affinity = (e: EndpointInfo) => `affinity-${endpointBase(port, e)}`;
  const endpointChain = (e: EndpointInfo) => `endpoint-${endpointBase(port, e)}`;
  const balance = (list: readonly EndpointInfo[]): NftRule[] => [
    ...(port.affinitySeconds > 0 ? list.map((e): NftRule => ({ do: { s: "affinity", set: affinity(e), chain: endpointChain(e) } })) : []),
    { do: { s: "random", chains: list.map(endpointChain) } },
  ];
  const internalChain = port.internalPolicyLocal ? localChain : clusterChain;
  const policy = (chain: string, list: readonly EndpointInfo[]) => {
    const rules: NftRule[] = [];
    if (chain === internalChain && internal.length > 0) {
      const own: NftMatch[] = [
        { k: "addr", field: "daddr", in: [port.clusterIP] },
        { k: "dport", protocol: port.protocol, is: port.port },
      ];
      if (s.masqueradeAll) rules.push(masquerade(own));
      else if (s.podCIDR !== undefined) rules.push(masquerade([...own, { k: "addr", field: "saddr", not: true, in: [s.podCIDR] }]));
    }
    out.chains.push([chain, [...rules, ...balance(list)]]);
  };
  if (usesClusterEndpoints(port) && eps.cluster.length > 0) policy(clusterChain, eps.cluster);
  if (usesLocalEndpoints(port) && eps.local.length > 0) policy(localChain, eps.local);
  if (externallyAccessible(port)) {
    const rules: NftRule[] = [];
    if (!port.externalPolicyLocal) rules.push(masquerade([]));
    else {
      const local: NftMatch[] = [{ k: "local", field: "saddr" }];
      const inside = eps.cluster.length > 0;
      if (inside && s.podCIDR !== undefined)
        rules.push({
          ...goto(clusterChain),
          match: [{ k: "addr", field: "saddr", in: [s.podCIDR] }],
          comment: "short-circuit pod traffic",
        });
      rules.push(masquerade(local, "masquerade local traffic"));
      if (inside) rules.push({ ...goto(clusterChain), match: local, comment: "short-circuit local traffic" });
    }
    if (externalEndpoints.length > 0) rules.push(goto(port.externalPolicyLocal ? localChain : clusterChain));
    out.chains.push([externalChain, rules]);
  }
  for (const e of eps.all) {
    const rules: NftRule[] = [masquerade([{ k: "addr", field: "saddr", in: [e.ip] }])];
    if (port.affinitySeconds > 0) {
      rules.push({ do: { s: "remember", set: affinity(e) } });
      out.affinity.push([affinity(e), port.affinitySeconds]);
    }
    rules.push({ match: [{ k: "l4proto", is: port.protocol }], do: { s: "dnat", to: e.endpoint } });
    out.chains.push([endpointChain(e), rules]);
  }
  return out;
}

function firewallRule(port: ServicePort, s: ProxySettings): NftRule {
  const nodeIP = s.nodeIPs[0];
  const allowed = [...port.sourceRanges];
  // A load balancer address may be a local one, and then is the source of the node's own traffic to it.
  if (nodeIP !== undefined && allowed.some((r) => inRange(nodeIP, r))) allowed.push(...port.loadBalancerVIPs);
  return { match: [{ k: "addr", field: "saddr", not: true, in: allowed }], do: { s: "verdict", is: { v: "drop" } } };
}
