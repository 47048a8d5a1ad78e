// What the protocols of one socket layer share: the namespace below, time, randomness, limits and counters.
import type { Clock, Random } from "@podwire/base";
import type { Packet } from "../packet.ts";
import type { TcpConfig } from "../tcp/index.ts";
import type { IpLayer } from "./ip-layer.ts";

export interface SocketLimits {
  /** TCP connections of a namespace in every state; SYNs past it are dropped, connects fail with ENOBUFS. */
  maxConnections: number;
  /** Connections in TIME-WAIT; past it they close at once (Linux's tcp_max_tw_buckets). */
  maxTimeWait: number;
  /** Half-open connections of a listener without a backlog of its own; past it SYNs are answered by cookies. */
  defaultBacklog: number;
  /** ICMP errors sent a second. */
  maxIcmpErrorsPerSecond: number;
  /** Datagrams that wait for a UDP socket without a reader. */
  maxDatagrams: number;
}

export const DEFAULT_LIMITS: SocketLimits = {
  maxConnections: 65_536,
  maxTimeWait: 8192,
  defaultBacklog: 511,
  maxIcmpErrorsPerSecond: 1000,
  maxDatagrams: 256,
};

export class SocketContext {
  readonly ip: IpLayer;
  readonly clock: Clock;
  readonly random: Random;
  readonly tcp: TcpConfig;
  readonly limits: SocketLimits;
  readonly counters: Record<string, number> = {};

  constructor(ip: IpLayer, clock: Clock, random: Random, tcp: TcpConfig, limits: SocketLimits) {
    this.ip = ip;
    this.clock = clock;
    this.random = random;
    this.tcp = tcp;
    this.limits = limits;
  }

  count(name: string): void {
    this.counters[name] = (this.counters[name] ?? 0) + 1;
  }

  /** A traced packet ends in a socket, leaves one, or is refused here. */
  trace(p: Packet, name: string, verdict: "deliver" | "send" | "drop" | "reject", rule = ""): void {
    if (p.traceId !== 0) this.ip.trace?.(p, { place: verdict === "drop" ? "drop" : "socket", name, rule, verdict });
  }
}
