// Forgets UDP connections whose endpoint is gone: UDP has no end of its own, so a client that keeps sending would be sent to nowhere
// for as long as it sends.
// Invariant: only UDP entries are touched; TCP learns by RST or time-out. After kube-proxy's conntrack reconciler.
import { type Conntrack, type IpAddress, parseAddress } from "@podwire/net";
import type { ProxySettings } from "./proxy-settings.ts";
import { endpointsOf, type ServiceInput, type ServicePort, servicePorts } from "./service-ports.ts";
import { categorize } from "./topology.ts";

const UDP = 17;

interface UdpPort {
  port: ServicePort;
  endpoints: Set<string>;
}

/** `changed`: what the Services were before, by key (undefined: new). Returns how many entries were forgotten. */
export function cleanConntrack(
  conntrack: Conntrack,
  changed: ReadonlyMap<string, ServiceInput | undefined>,
  services: ReadonlyMap<string, ServiceInput>,
  settings: ProxySettings,
): number {
  let cleaned = 0;
  for (const [key, input] of changed) {
    const before = udpPorts(input, settings);
    const after = udpPorts(services.get(key), settings);
    for (const b of before) {
      const now = after.find((p) => p.port.name === b.port.name);
      for (const e of b.endpoints) if (now === undefined || !now.endpoints.has(e)) cleaned += forget(conntrack, b.port, e);
    }
    // A Service that had no endpoints may have entries of packets that were sent on untranslated.
    for (const a of after)
      if (a.endpoints.size > 0 && (before.find((p) => p.port.name === a.port.name)?.endpoints.size ?? 0) === 0)
        for (const dst of addressesOf(a.port)) cleaned += conntrack.flush({ protocol: UDP, dst, dport: a.port.port, untranslated: true });
  }
  return cleaned;
}

function udpPorts(input: ServiceInput | undefined, s: ProxySettings): UdpPort[] {
  if (input === undefined) return [];
  return servicePorts(input.service, s.family)
    .filter((p) => p.protocol === "udp")
    .map((port) => ({
      port,
      endpoints: new Set(categorize(endpointsOf(port, input.slices, s.family, s.nodeName), port, s).all.map((e) => e.endpoint)),
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
