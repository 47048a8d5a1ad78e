// What a proxy must know of its node, in one family, whatever its mode.
import { inPrefix, isLoopback, parseAddress, parsePrefix, type Scheduler } from "@podwire/net";

/** Settings of a proxy on one node, in one family. */
export interface ProxySettings {
  family: 4 | 6;
  nodeName: string;
  nodeLabels: Readonly<Record<string, string>>;
  /** Addresses of this node in this family, the primary one first; loopback not among them. */
  nodeIPs: readonly string[];
  /** Pods of the cluster (--cluster-cidr) or of this node; undefined: local traffic cannot be told. */
  podCIDR: string | undefined;
  masqueradeAll: boolean;
  /** CIDRs of addresses that node ports answer on; undefined is all. */
  nodePortAddresses: readonly string[] | undefined;
  localhostNodePorts: boolean;
  preferSameTrafficDistribution: boolean;
  /** --ipvs-scheduler, default "rr". */
  ipvsScheduler?: Scheduler;
}

export function inRange(ip: string, cidr: string): boolean {
  const a = parseAddress(ip);
  const p = parsePrefix(cidr.trim());
  return a !== undefined && p !== undefined && inPrefix(a, p.address, p.length);
}

/** The addresses that node ports answer on: undefined when it is every local one, else a list (loopback only where it may). */
export function nodePortIPs(s: ProxySettings): readonly string[] | undefined {
  if (s.nodePortAddresses === undefined || s.nodePortAddresses.some((c) => parsePrefix(c)?.length === 0)) return undefined;
  return [...s.nodeIPs, s.family === 4 ? "127.0.0.1" : "::1"].filter((ip) => {
    const a = parseAddress(ip);
    if (a === undefined || (typeof a === "number") !== (s.family === 4)) return false;
    if (isLoopback(a) && offLoopback(s)) return false;
    return s.nodePortAddresses?.some((c) => inRange(ip, c));
  });
}

/** Node ports do not answer on loopback: always so in IPv6, which has no route_localnet. */
export function offLoopback(s: ProxySettings): boolean {
  return s.family === 6 || !s.localhostNodePorts;
}
