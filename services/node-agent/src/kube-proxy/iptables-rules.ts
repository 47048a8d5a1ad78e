// The iptables rules of one Service port, as kube-proxy's iptables mode writes them.
// Invariant: pure; the same port, endpoints and settings give the same rules in the same order. Nothing here knows other Services,
// so that a change of one leaves the rules of all others alone.
import type { Match, ProtocolName, Rule, Target } from "@podwire/net";
import { endpointChain, servicePortChain } from "./names.ts";
import { inRange, type ProxySettings } from "./proxy-settings.ts";
import { type EndpointInfo, externallyAccessible, type ServicePort, usesClusterEndpoints, usesLocalEndpoints } from "./service-ports.ts";
import type { Categorized } from "./topology.ts";

/** fwmark bit 14: kube-proxy's --iptables-masquerade-bit. */
export const MASQUERADE_MARK = 0x4000;
export const MARK_MASQ = "KUBE-MARK-MASQ";

/** What one Service port contributes. */
export interface PortRules {
  /** Own chains of the nat table. */
  natChains: [string, Rule[]][];
  natServices: Rule[];
  natNodePorts: Rule[];
  filterServices: Rule[];
  filterExternalServices: Rule[];
  filterNodePorts: Rule[];
  filterFirewall: Rule[];
}

const jump = (chain: string): Target => ({ t: "JUMP", chain });
const comment = (text: string): Match => ({ m: "comment", text });
const dport = (n: number): Match => ({ m: "dport", from: n, to: n });

export function portRules(port: ServicePort, eps: Categorized, s: ProxySettings): PortRules {
  const out: PortRules = {
    natChains: [],
    natServices: [],
    natNodePorts: [],
    filterServices: [],
    filterExternalServices: [],
    filterNodePorts: [],
    filterFirewall: [],
  };
  const { name, protocol } = port;
  const clusterChain = servicePortChain("KUBE-SVC", name, protocol);
  const localChain = servicePortChain("KUBE-SVL", name, protocol);
  const externalChain = servicePortChain("KUBE-EXT", name, protocol);
  const firewallChain = servicePortChain("KUBE-FW", name, protocol);
  const internalEndpoints = port.internalPolicyLocal ? eps.local : eps.cluster;
  const externalEndpoints = port.externalPolicyLocal ? eps.local : eps.cluster;
  const internalChain = port.internalPolicyLocal ? localChain : clusterChain;
  const externalPolicyChain = port.externalPolicyLocal ? localChain : clusterChain;
  const firewalled = port.loadBalancerVIPs.length > 0 && port.sourceRanges.length > 0;
  const external = externallyAccessible(port);
  const why = eps.hasAny ? `${name} has no local endpoints` : `${name} has no endpoints`;
  const refusal: Target = eps.hasAny
    ? { t: "DROP" }
    : { t: "REJECT", with: s.family === 4 ? "icmp-port-unreachable" : "icmp6-port-unreachable" };
  const to = (dst: string, text: string, target: Target): Rule => ({ dst, protocol, matches: [comment(text), dport(port.port)], target });

  if (internalEndpoints.length > 0) out.natServices.push(to(port.clusterIP, `${name} cluster IP`, jump(internalChain)));
  else out.filterServices.push(to(port.clusterIP, why, refusal));

  for (const ip of port.externalIPs) {
    if (eps.hasAny) out.natServices.push(to(ip, `${name} external IP`, jump(externalChain)));
    if (externalEndpoints.length === 0) out.filterExternalServices.push(to(ip, why, refusal));
  }
  for (const ip of port.loadBalancerVIPs) {
    if (eps.hasAny) out.natServices.push(to(ip, `${name} loadbalancer IP`, jump(firewalled ? firewallChain : externalChain)));
    if (firewalled) out.filterFirewall.push(to(ip, `${name} traffic not accepted by ${firewallChain}`, { t: "DROP" }));
    if (externalEndpoints.length === 0) out.filterExternalServices.push(to(ip, why, refusal));
  }
  if (port.nodePort !== 0) {
    const match = (text: string): Match[] => [comment(text), dport(port.nodePort)];
    if (eps.hasAny) out.natNodePorts.push({ protocol, matches: match(name), target: jump(externalChain) });
    if (externalEndpoints.length === 0)
      out.filterExternalServices.push({
        protocol,
        matches: [comment(why), { m: "addrtype", of: "dst", type: "LOCAL" }, dport(port.nodePort)],
        target: refusal,
      });
  }
  if (port.healthCheckNodePort !== 0)
    out.filterNodePorts.push({
      protocol: "tcp",
      matches: [comment(`${name} health check node port`), dport(port.healthCheckNodePort)],
      target: { t: "ACCEPT" },
    });

  if (!eps.hasAny) return out;
  const chains = new Map<string, Rule[]>();
  if (usesClusterEndpoints(port) && eps.cluster.length > 0) chains.set(clusterChain, []);
  if (usesLocalEndpoints(port) && eps.local.length > 0) chains.set(localChain, []);
  if (internalEndpoints.length > 0) {
    const masq = chains.get(internalChain) as Rule[];
    if (s.masqueradeAll) masq.push(to(port.clusterIP, `${name} cluster IP`, jump(MARK_MASQ)));
    else if (s.podCIDR !== undefined)
      masq.push({ ...to(port.clusterIP, `${name} cluster IP`, jump(MARK_MASQ)), src: s.podCIDR, notSrc: true });
  }
  if (external)
    out.natChains.push([
      externalChain,
      externalRules(port, eps, s, clusterChain, externalEndpoints.length > 0 ? externalPolicyChain : undefined),
    ]);
  if (firewalled) out.natChains.push([firewallChain, firewallRules(port, s, externalChain, firewallChain)]);
  const names = new Map(eps.all.map((e) => [e, endpointChain(name, protocol, e.endpoint)]));
  const chainOf = (e: EndpointInfo) => names.get(e) as string;
  for (const [chain, list] of [
    [clusterChain, eps.cluster],
    [localChain, eps.local],
  ] as const) {
    const rules = chains.get(chain);
    if (rules === undefined) continue;
    rules.push(...balance(port, list, chainOf));
    out.natChains.push([chain, rules]);
  }
  for (const e of eps.all) out.natChains.push([chainOf(e), endpointRules(port, e, chainOf(e))]);
  return out;
}

/** Traffic from outside, or to an address that is for outside. */
function externalRules(
  port: ServicePort,
  eps: Categorized,
  s: ProxySettings,
  clusterChain: string,
  policyChain: string | undefined,
): Rule[] {
  const { name } = port;
  const rules: Rule[] = [];
  if (!port.externalPolicyLocal)
    rules.push({ matches: [comment(`masquerade traffic for ${name} external destinations`)], target: jump(MARK_MASQ) });
  else {
    // Pods and the node itself are inside already: their traffic need not keep its source, and may use every endpoint.
    const inside = eps.cluster.length > 0 ? clusterChain : undefined;
    if (s.podCIDR !== undefined && inside !== undefined)
      rules.push({ src: s.podCIDR, matches: [comment(`pod traffic for ${name} external destinations`)], target: jump(inside) });
    rules.push({
      matches: [comment(`masquerade LOCAL traffic for ${name} external destinations`), { m: "addrtype", of: "src", type: "LOCAL" }],
      target: jump(MARK_MASQ),
    });
    if (inside !== undefined)
      rules.push({
        matches: [comment(`route LOCAL traffic for ${name} external destinations`), { m: "addrtype", of: "src", type: "LOCAL" }],
        target: jump(inside),
      });
  }
  if (policyChain !== undefined) rules.push({ target: jump(policyChain) });
  return rules;
}

/** loadBalancerSourceRanges: who is let through to the external chain; the rest falls to KUBE-PROXY-FIREWALL. */
function firewallRules(port: ServicePort, s: ProxySettings, externalChain: string, firewallChain: string): Rule[] {
  const text = comment(`${port.name} loadbalancer IP`);
  const rules: Rule[] = port.sourceRanges.map((src) => ({ src, matches: [text], target: jump(externalChain) }));
  // A load balancer address may be a local one, and then is the source of the node's own traffic to it.
  const nodeIP = s.nodeIPs[0];
  if (nodeIP !== undefined && port.sourceRanges.some((r) => inRange(nodeIP, r)))
    for (const src of port.loadBalancerVIPs) rules.push({ src, matches: [text], target: jump(externalChain) });
  rules.push({ matches: [comment(`other traffic to ${port.name} will be dropped by KUBE-PROXY-FIREWALL (${firewallChain})`)] });
  return rules;
}

/** One of the endpoints, each with the same chance; the one seen lately first when there is affinity. */
function balance(port: ServicePort, endpoints: readonly EndpointInfo[], chainOf: (e: EndpointInfo) => string): Rule[] {
  const rules: Rule[] = [];
  const text = (e: EndpointInfo) => comment(`${port.name} -> ${e.endpoint}`);
  if (port.affinitySeconds > 0)
    for (const e of endpoints)
      rules.push({
        matches: [text(e), { m: "recent", op: "rcheck", name: chainOf(e), seconds: port.affinitySeconds, reap: true }],
        target: jump(chainOf(e)),
      });
  endpoints.forEach((e, i) => {
    const left = endpoints.length - i;
    const matches: Match[] = left > 1 ? [text(e), { m: "statistic", probability: Number((1 / left).toFixed(10)) }] : [text(e)];
    rules.push({ matches, target: jump(chainOf(e)) });
  });
  return rules;
}

function endpointRules(port: ServicePort, e: EndpointInfo, chain: string): Rule[] {
  const text = comment(port.name);
  const seen: Match[] = port.affinitySeconds > 0 ? [{ m: "recent", op: "set", name: chain }] : [];
  return [
    // Hairpin: a pod that reaches itself through its Service must not see its own address as the source.
    { src: e.ip, matches: [text], target: jump(MARK_MASQ) },
    { protocol: port.protocol as ProtocolName, matches: [text, ...seen], target: { t: "DNAT", to: e.endpoint } },
  ];
}
