// The routing table of one namespace: longest prefix wins, then the lowest metric (RFC 1812 5.2.4.3; ip-route(8)).
// Invariant: `byLength` is sorted from the longest prefix; the cache only holds what the table answers now.
import { formatAddress, formatPrefix, type IpAddress, inPrefix, type Prefix } from "../codec/address.ts";

export type RouteType = "unicast" | "local" | "broadcast" | "blackhole" | "unreachable" | "prohibit";

export interface Route {
  readonly to: Prefix;
  readonly type: RouteType;
  /** Device name; "" for blackhole, unreachable and prohibit. */
  readonly dev: string;
  /** Next hop; undefined when the destination is on the link. */
  readonly via: IpAddress | undefined;
  /** The gateway is reachable though no route says so. */
  readonly onlink: boolean;
  /** Preferred source address. */
  readonly src: IpAddress | undefined;
  readonly metric: number;
  /** Path MTU of this route; 0 takes the device's. */
  readonly mtu: number;
  readonly scope: "global" | "link" | "host";
  readonly proto: "kernel" | "static" | "boot";
}

/** Cached destinations; when full the cache is emptied. */
const CACHE_LIMIT = 4096;
/** Routes of one table; adding more is refused. */
export const ROUTE_LIMIT = 65_536;

export class RouteTableFullError extends Error {}

export class RouteTable {
  /** One bucket per (family, length), the longest first. */
  private readonly buckets: { v6: boolean; length: number; routes: Route[] }[] = [];
  private readonly cache = new Map<IpAddress, Route | null>();
  private count = 0;
  /** Counts changes, so that others may cache what they looked up. */
  generation = 0;

  get size(): number {
    return this.count;
  }

  /** Adds a route, replacing one with the same prefix, metric and device. */
  add(route: Route): void {
    if (this.count >= ROUTE_LIMIT) throw new RouteTableFullError(`more than ${ROUTE_LIMIT} routes`);
    const v6 = typeof route.to.address === "bigint";
    let bucket = this.buckets.find((b) => b.v6 === v6 && b.length === route.to.length);
    if (bucket === undefined) {
      bucket = { v6, length: route.to.length, routes: [] };
      this.buckets.push(bucket);
      this.buckets.sort((a, b) => b.length - a.length);
    }
    const same = bucket.routes.findIndex((r) => r.to.address === route.to.address && r.metric === route.metric && r.dev === route.dev);
    if (same >= 0) bucket.routes[same] = route;
    else {
      bucket.routes.push(route);
      bucket.routes.sort((a, b) => a.metric - b.metric);
      this.count++;
    }
    this.changed();
  }

  /** Removes every route that `match` accepts; returns how many. */
  remove(match: (r: Route) => boolean): number {
    let removed = 0;
    for (const bucket of this.buckets) {
      const kept = bucket.routes.filter((r) => !match(r));
      removed += bucket.routes.length - kept.length;
      bucket.routes = kept;
    }
    this.count -= removed;
    if (removed > 0) this.changed();
    return removed;
  }

  /** The route of a destination, or null. */
  lookup(dst: IpAddress): Route | null {
    const cached = this.cache.get(dst);
    if (cached !== undefined) return cached;
    const found = this.walk(dst);
    if (this.cache.size >= CACHE_LIMIT) this.cache.clear();
    this.cache.set(dst, found);
    return found;
  }

  list(): Route[] {
    return this.buckets.flatMap((b) => b.routes);
  }

  private walk(dst: IpAddress): Route | null {
    for (const bucket of this.buckets) for (const r of bucket.routes) if (inPrefix(dst, r.to.address, r.to.length)) return r;
    return null;
  }

  private changed(): void {
    this.generation++;
    this.cache.clear();
  }
}

/** As `ip route` prints it: "10.244.1.0/24 via 10.244.1.0 dev flannel.1 onlink". */
export function formatRoute(r: Route): string {
  const host = r.to.length === (typeof r.to.address === "number" ? 32 : 128);
  const to = r.to.length === 0 ? "default" : host ? formatAddress(r.to.address) : formatPrefix(r.to);
  let s = r.type === "unicast" ? to : `${r.type} ${to}`;
  if (r.via) s += ` via ${formatAddress(r.via)}`;
  if (r.dev !== "") s += ` dev ${r.dev}`;
  if (r.proto === "kernel") s += " proto kernel";
  if (r.scope !== "global") s += ` scope ${r.scope}`;
  if (r.src) s += ` src ${formatAddress(r.src)}`;
  if (r.metric !== 0) s += ` metric ${r.metric}`;
  if (r.mtu !== 0) s += ` mtu ${r.mtu}`;
  if (r.onlink) s += " onlink";
  return s;
}
