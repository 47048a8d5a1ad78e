// Which real listeners a Service wants on this host, and what a connection to each becomes. Pure.
import type { Service } from "@podwire/api";
import { addressOf, keyOfService, wantsAddress } from "../cloud/addresses.ts";

export type Protocol = "tcp" | "udp";

/** Where packets of a connection go: to the Service's virtual address, or to a node port of any Ready node. */
export type Target = { kind: "vip"; address: string; port: number } | { kind: "nodePort"; port: number };

export interface WantedListener {
  /** Unique: "default/web tcp 80 vip". */
  id: string;
  service: string;
  protocol: Protocol;
  /** Host ports to try in order; 0 is any free one. */
  ports: number[];
  target: Target;
  /** Shown to the user as the way in. */
  announced: boolean;
}

/** Below, ports belong to the system and mostly need root. */
const FIRST_USER_PORT = 1025;

export interface WantedOptions {
  nodePorts: boolean;
  /** The only host ports that load balancers may use; any when empty. */
  published: readonly number[];
}

/** `before`: host ports of an earlier life, by "tcp 80", tried first so that a printed URL keeps working. */
export function wantedListeners(s: Service, o: WantedOptions, before: ReadonlyMap<string, number>): WantedListener[] {
  const service = keyOfService(s);
  const vip = wantsAddress(s) ? addressOf(s) : undefined;
  const out: WantedListener[] = [];
  for (const p of s.spec.ports ?? []) {
    const protocol = (p.protocol ?? "TCP").toLowerCase();
    if (protocol !== "tcp" && protocol !== "udp") continue; // SCTP has no listener on a host without kernel support.
    if (vip !== undefined) {
      const wishes = [before.get(`${protocol} ${p.port}`), p.port >= FIRST_USER_PORT ? p.port : undefined];
      const allowed = (port: number | undefined) => port !== undefined && o.published.includes(port);
      const ports = o.published.length > 0 ? [...wishes.filter(allowed), ...o.published] : [...wishes, 0];
      const target: Target = { kind: "vip", address: vip, port: p.port };
      out.push({ id: `${service} ${protocol} ${p.port} ${vip}`, service, protocol, ports: unique(ports), target, announced: true });
    }
    if (o.nodePorts && p.nodePort && (s.spec.type === "NodePort" || s.spec.type === "LoadBalancer")) {
      const target: Target = { kind: "nodePort", port: p.nodePort };
      const announced = s.spec.type === "NodePort";
      out.push({
        id: `${service} ${protocol} ${p.port} nodePort ${p.nodePort}`,
        service,
        protocol,
        ports: [p.nodePort],
        target,
        announced,
      });
    }
  }
  return out;
}

const unique = (ports: (number | undefined)[]): number[] => [...new Set(ports.filter((p): p is number => p !== undefined))];

/** The annotation podwire.io/host-address: host:port for each port of the Service, UDP with "/udp", in the order of its ports. */
export function hostAddresses(s: Service, open: readonly { wanted: WantedListener; port: number }[], host: string): string {
  const order = (s.spec.ports ?? []).map((p) => `${(p.protocol ?? "TCP").toLowerCase()} ${p.port}`);
  const rank = (w: WantedListener) => order.indexOf(w.id.split(" ").slice(1, 3).join(" "));
  return open
    .filter((o) => o.wanted.announced)
    .sort((a, b) => rank(a.wanted) - rank(b.wanted))
    .map((o) => `${host.includes(":") ? `[${host}]` : host}:${o.port}${o.wanted.protocol === "udp" ? "/udp" : ""}`)
    .join(",");
}

/** Host ports in such an annotation, by "tcp 80"; empty when it does not fit the Service's ports. */
export function portsBefore(s: Service, annotation: string | undefined): Map<string, number> {
  const addresses = (annotation ?? "").split(",").filter((a) => a !== "");
  const ports = s.spec.ports ?? [];
  const out = new Map<string, number>();
  if (addresses.length !== ports.length) return out;
  ports.forEach((p, i) => {
    const m = /:(\d+)(\/udp)?$/.exec(addresses[i] as string);
    if (m) out.set(`${(p.protocol ?? "TCP").toLowerCase()} ${p.port}`, Number(m[1]));
  });
  return out;
}
