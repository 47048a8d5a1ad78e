// Forgets UDP connections whose endpoint is gone: UDP has no end of its own, so a client that keeps sending would be sent to nowhere
// for as long as it sends.
// Invariant: only UDP entries are touched; TCP learns by RST or time-out. After kube-proxy's conntrack reconciler.
import { type Conntrack, type IpAddress, parseAddress } from "@podwire/net";
import type { Contribution, IptablesPlan } from "./iptables-plan.ts";
import { endpointsOf, type ServicePort, servicePorts } from "./service-ports.ts";
import { categorize } from "./topology.ts";

const UDP = 17;

interface UdpPort {
  port: ServicePort;
  endpoints: Set<string>;
}

/** Compares two plans; returns how many entries were forgotten. */
export function cleanConntrack(conntrack: Conntrack, previous: IptablesPlan, next: IptablesPlan): number {
  let cleaned = 0;
  for (const [key, contribution] of previous.contributions) {
    const now = next.contributions.get(key);
    if (now === contribution) continue;
    const after = new Map(udpPorts(now).map((p) => [p.port.name, p]));
    for (const before of udpPorts(contribution)) {
      const current = after.get(before.port.name);
      for (const e of before.endpoints)
        if (current === undefined || !current.endpoints.has(e)) cleaned += forget(conntrack, before.port, e);
    }
  }
  // A Service that had no endpoints may have entries of packets that were sent on untranslated.
  for (const [key, contribution] of next.contributions) {
    const before = previous.contributions.get(key);
    if (before === contribution) continue;
    const had = new Map(udpPorts(before).map((p) => [p.port.name, p]));
    for (const now of udpPorts(contribution))
      if (now.endpoints.size > 0 && (had.get(now.port.name)?.endpoints.size ?? 0) === 0)
        for (const ip of addressesOf(now.port))
          cleaned += conntrack.flush({ protocol: UDP, dst: ip, dport: now.port.port, untranslated: true });
  }
  return cleaned;
}

function udpPorts(c: Contribution | undefined): UdpPort[] {
  if (c === undefined) return [];
  const { family } = c.settings;
  return servicePorts(c.input.service, family)
    .filter((p) => p.protocol === "udp")
    .map((port) => ({
      port,
      endpoints: new Set(
        categorize(endpointsOf(port, c.input.slices, family, c.settings.nodeName), port, c.settings).all.map((e) => e.endpoint),
      ),
    }));
}

function addressesOf(p: ServicePort): IpAddress[] {
  return [p.clusterIP, ...p.externalIPs, ...p.loadBalancerVIPs].map(parseAddress).filter((a) => a !== undefined);
}

function forget(conntrack: Conntrack, port: ServicePort, endpoint: string): number {
  const at = endpoint.lastIndexOf(":");
  const backend = parseAddress(endpoint.slice(0, at));
  if (backend === undefined) return 0;
  const backendPort = Number(endpoint.slice(at + 1));
  let n = 0;
  for (const dst of addressesOf(port)) n += conntrack.flush({ protocol: UDP, dst, dport: port.port, backend, backendPort });
  if (port.nodePort !== 0) n += conntrack.flush({ protocol: UDP, dport: port.nodePort, backend, backendPort });
  return n;
}
