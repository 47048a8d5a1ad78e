// IPVS: virtual servers by (protocol, address, port), each with real servers and a scheduler, printed as `ipvsadm-save -n` does.
// Invariant: a connection keeps its server (conntrack remembers it); connections per server are counted while conntrack tracks them;
// a virtual server without a usable real server refuses or drops, as it was told.
// Here translation happens before routing, where the other modes do it, and not at local input; so no dummy device holds the addresses.
import { formatEndpoint, type IpAddress, parseAddress } from "../../codec/address.ts";
import { Field } from "../../conntrack/table.ts";
import type { Flow } from "../../namespace/flow.ts";
import type { Packet } from "../../packet.ts";
import { PROTOCOLS } from "../compile.ts";
import { type HookExtension, HookVerdict, type Netfilter } from "../netfilter.ts";
import { type RealServer, type Scheduler, type ScheduleState, schedule } from "./schedulers.ts";

/** A pool of real servers, as data. */
export interface IpvsPool {
  readonly servers: readonly { endpoint: string; weight: number }[];
}

/** A virtual server, as data. */
export interface VirtualServer {
  readonly protocol: "tcp" | "udp" | "sctp";
  readonly address: string;
  readonly port: number;
  readonly scheduler: Scheduler;
  /** Seconds that a source keeps its server; 0 is none. */
  readonly persistent: number;
  readonly pool: IpvsPool;
  /** What sources inside the cluster get instead of `pool`; printed as a firewall-mark service. */
  readonly inside?: IpvsPool;
  /** What becomes of packets when the pool is empty. */
  readonly whenEmpty: "reject" | "drop";
  /** Who it is for, shown in traces. */
  readonly comment: string;
}

/** Sources remembered by one persistent virtual server. */
const PERSISTENCE_LIMIT = 65_536;

interface Server extends RealServer {
  address: IpAddress;
  port: number;
  id: number;
}

interface Pool {
  servers: Server[];
  state: ScheduleState;
  /** Persistence: server by source, with the time of the last new connection. */
  sources: Map<IpAddress, { server: Server; atMs: number }>;
}

interface Live {
  data: VirtualServer;
  pool: Pool;
  inside: Pool | undefined;
}

export class VirtualServers {
  readonly family: 4 | 6;
  private readonly nf: Netfilter;
  private readonly isInside: (a: IpAddress) => boolean;
  private readonly live = new Map<string, Live>();
  private readonly byAddress = new Map<IpAddress, Map<number, Live>>();
  private readonly byId = new Map<number, Server>();
  /** Ids of the two families never meet: conntrack is one for both. */
  private lastId: number;
  private readonly onForget = (id: number): void => {
    const s = this.byId.get(id);
    if (s !== undefined) s.active--;
  };

  constructor(family: 4 | 6, nf: Netfilter, isInside: (a: IpAddress) => boolean) {
    this.family = family;
    this.nf = nf;
    this.isInside = isInside;
    this.lastId = family === 6 ? 0x40000000 : 0;
  }

  attach(): void {
    const decide: HookExtension["decide"] = (p, f) => this.decide(p, f);
    for (const hook of ["prerouting", "output"] as const)
      this.nf.addExtension({ name: `ipvs ${this.family}`, hook, stage: "dstnat", decide });
    this.nf.conntrack.forgetListeners.add(this.onForget);
  }

  detach(): void {
    this.nf.conntrack.forgetListeners.delete(this.onForget);
    this.nf.removeExtension(`ipvs ${this.family}`);
  }

  /** Adds or replaces one virtual server; servers that stay keep their connections' count and the round its place. */
  set(data: VirtualServer): void {
    const key = keyOf(data);
    const address = parseAddress(data.address);
    if (address === undefined) throw new RangeError(`not an address of a virtual server: ${data.address}`);
    const old = this.live.get(key);
    const live: Live = {
      data,
      pool: this.pool(data.pool, old?.pool),
      inside: data.inside === undefined ? undefined : this.pool(data.inside, old?.inside),
    };
    this.live.set(key, live);
    let ports = this.byAddress.get(address);
    if (ports === undefined) {
      ports = new Map();
      this.byAddress.set(address, ports);
    }
    ports.set((data.port << 8) | PROTOCOLS[data.protocol], live);
  }

  remove(key: string): void {
    const live = this.live.get(key);
    if (live === undefined) return;
    this.live.delete(key);
    const address = parseAddress(live.data.address) as IpAddress;
    const ports = this.byAddress.get(address);
    ports?.delete((live.data.port << 8) | PROTOCOLS[live.data.protocol]);
    if (ports?.size === 0) this.byAddress.delete(address);
  }

  /** As `ipvsadm-save -n` prints it; what is for sources inside comes as firewall-mark services. */
  save(): string {
    const lines: string[] = [];
    let mark = 0;
    for (const [, { data }] of [...this.live].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const flag = data.protocol === "tcp" ? "-t" : data.protocol === "udp" ? "-u" : "--sctp-service";
      const persistent = data.persistent > 0 ? ` -p ${data.persistent}` : "";
      const print = (service: string, pool: IpvsPool) => {
        lines.push(`-A ${service} -s ${data.scheduler}${persistent}`);
        for (const s of pool.servers) lines.push(`-a ${service} -r ${s.endpoint} -m -w ${s.weight}`);
      };
      print(`${flag} ${endpointText(data)}`, data.pool);
      if (data.inside !== undefined) print(`-f ${++mark}`, data.inside);
    }
    return lines.length === 0 ? "" : `${lines.join("\n")}\n`;
  }

  /** Connections by real server, as `ipvsadm -L` shows ActiveConn. */
  connections(): Record<string, number> {
    return Object.fromEntries(
      [...this.live.values()].flatMap((l) => l.pool.servers.map((s) => [`${keyOf(l.data)} -> ${s.endpoint}`, s.active])),
    );
  }

  private pool(data: IpvsPool, old: Pool | undefined): Pool {
    const known = new Map(old?.servers.map((s) => [s.endpoint, s]));
    const servers = data.servers.map((s): Server => {
      const before = known.get(s.endpoint);
      known.delete(s.endpoint);
      if (before !== undefined) return Object.assign(before, { weight: s.weight });
      const at = s.endpoint.lastIndexOf(":");
      const address = parseAddress(s.endpoint.slice(0, at));
      if (address === undefined) throw new RangeError(`not an endpoint of a virtual server: ${s.endpoint}`);
      const server: Server = {
        endpoint: s.endpoint,
        weight: s.weight,
        active: 0,
        address,
        port: Number(s.endpoint.slice(at + 1)),
        id: ++this.lastId,
      };
      this.byId.set(server.id, server);
      return server;
    });
    for (const gone of known.values()) this.byId.delete(gone.id);
    const sources = old?.sources ?? new Map();
    for (const [source, s] of sources) if (known.has(s.server.endpoint)) sources.delete(source);
    return { servers, state: old?.state ?? { at: -1, currentWeight: 0 }, sources };
  }

  private decide(p: Packet, f: Flow): number {
    if (f.family !== this.family) return HookVerdict.accept;
    const live = this.byAddress.get(f.dst)?.get((f.dport << 8) | f.protocol);
    if (live === undefined) return HookVerdict.accept;
    const pool = live.inside !== undefined && this.isInside(f.src) ? live.inside : live.pool;
    const server = this.pick(live.data, pool, f);
    const text = `${live.data.comment}: ipvs ${live.data.protocol} ${endpointText(live.data)} ${live.data.scheduler}`;
    if (server === undefined) {
      this.nf.reason = `${text}: no real server`;
      this.nf.rejectWith = this.family === 4 ? "icmp-port-unreachable" : "icmp6-port-unreachable";
      return live.data.whenEmpty === "reject" ? HookVerdict.reject : HookVerdict.drop;
    }
    server.active++;
    this.nf.conntrack.setWord(f.ct, Field.owner, server.id);
    this.nf.dnat(p, f, server.address, server.port, `${text} -> ${server.endpoint}`);
    return HookVerdict.accept;
  }

  private pick(data: VirtualServer, pool: Pool, f: Flow): Server | undefined {
    const now = this.nf.clock.monotonicMs();
    const kept = data.persistent > 0 ? pool.sources.get(f.src) : undefined;
    const fresh = kept !== undefined && now - kept.atMs <= data.persistent * 1000 && kept.server.weight > 0;
    const server = fresh
      ? kept.server
      : schedule(data.scheduler, pool.servers, pool.state, hashWords(f.s0, f.s1, f.s2, f.s3), hashWords(f.d0, f.d1, f.d2, f.d3));
    if (server !== undefined && data.persistent > 0) {
      pool.sources.delete(f.src);
      if (pool.sources.size >= PERSISTENCE_LIMIT) pool.sources.delete(pool.sources.keys().next().value as IpAddress);
      pool.sources.set(f.src, { server, atMs: now });
    }
    return server;
  }
}

/** "tcp 10.96.0.1:80": the key of a virtual server. */
export function keyOf(v: Pick<VirtualServer, "protocol" | "address" | "port">): string {
  return `${v.protocol} ${endpointText(v)}`;
}

function endpointText(v: Pick<VirtualServer, "address" | "port">): string {
  const a = parseAddress(v.address);
  return a === undefined ? `${v.address}:${v.port}` : formatEndpoint(a, v.port);
}

function hashWords(w0: number, w1: number, w2: number, w3: number): number {
  return (w0 ^ Math.imul(w1, 31) ^ Math.imul(w2, 961) ^ w3) >>> 0;
}
