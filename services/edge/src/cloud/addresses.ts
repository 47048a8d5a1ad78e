// Which virtual address each LoadBalancer Service has. Pure. Invariant: no two Services share an address, and a Service keeps the
// one it has while it is of type LoadBalancer.
import type { Service } from "@podwire/api";

/** 198.51.100.0/24 is TEST-NET-2 (RFC 5737): addresses that the real internet never uses. */
export const VIP_PREFIX = "198.51.100.";
const FIRST = 1;
const LAST = 254;

export const keyOfService = (s: Service): string => `${s.metadata.namespace}/${s.metadata.name}`;

/** The Service wants an address of this load balancer (a class of its own would name another; addresses are IPv4). */
export function wantsAddress(s: Service): boolean {
  if (s.spec.ipFamilies !== undefined && !s.spec.ipFamilies.includes("IPv4")) return false;
  return s.spec.type === "LoadBalancer" && !s.spec.loadBalancerClass && s.metadata.deletionTimestamp === undefined;
}

export function addressOf(s: Service): string | undefined {
  return s.status?.loadBalancer?.ingress?.map((i) => i.ip).find((ip): ip is string => isVip(ip));
}

export function isVip(ip: string | undefined): ip is string {
  if (!ip?.startsWith(VIP_PREFIX)) return false;
  const last = Number(ip.slice(VIP_PREFIX.length));
  return Number.isInteger(last) && last >= FIRST && last <= LAST;
}

/** The address for `service`: the one it has, the one it asks for when that is free, or the lowest free one; undefined when all are taken. */
export function addressFor(service: Service, all: readonly Service[]): string | undefined {
  const mine = keyOfService(service);
  const taken = new Map<string, string>();
  for (const s of all) {
    const ip = wantsAddress(s) ? addressOf(s) : undefined;
    if (ip !== undefined && !taken.has(ip)) taken.set(ip, keyOfService(s));
  }
  const free = (ip: string) => !taken.has(ip) || taken.get(ip) === mine;
  const had = addressOf(service);
  const asked = service.spec.loadBalancerIP;
  if (isVip(asked) && free(asked)) return asked;
  if (had !== undefined && free(had)) return had;
  for (let i = FIRST; i <= LAST; i++) if (free(VIP_PREFIX + i)) return VIP_PREFIX + i;
  return undefined;
}
