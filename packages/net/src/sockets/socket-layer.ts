// The sockets of one network namespace: TCP, UDP and ICMP over the namespace's IP (ip-layer.ts). The namespace hands in every packet
// for a local address by `receive`, ICMP errors included, and gets packets by IpLayer.output.
// Invariant: nothing here routes or filters; a packet handed in is consumed.
import type { Clock, Random } from "@podwire/base";
import { isMulticast, parseAddress } from "../codec/address.ts";
import { IpProtocol } from "../codec/numbers.ts";
import type { Packet } from "../packet.ts";
import { DEFAULT_TCP, type TcpConfig } from "../tcp/index.ts";
import { DEFAULT_LIMITS, SocketContext, type SocketLimits } from "./context.ts";
import { SocketError } from "./errors.ts";
import { IcmpLayer, type PingAnswer, type PingOptions } from "./icmp-layer.ts";
import type { IpLayer } from "./ip-layer.ts";
import { IpView, readIp } from "./ip-packet.ts";
import { NetSocket } from "./net-socket.ts";
import { type BindAddress, bindAddress } from "./ports.ts";
import { TcpLayer } from "./tcp-layer.ts";
import type { TcpServer } from "./tcp-server.ts";
import { UdpLayer, type UdpSocket } from "./udp-socket.ts";

export interface SocketLayerOptions {
  ip: IpLayer;
  clock: Clock;
  random: Random;
  tcp?: Partial<TcpConfig>;
  limits?: Partial<SocketLimits>;
}

export interface ConnectOptions {
  /** An address; names are resolved above. */
  host: string;
  port: number;
  localAddress?: string;
  localPort?: number;
  /** Give up connecting after this long with ETIMEDOUT; the SYN retries (127 s) otherwise. */
  timeoutMs?: number;
  /** As in net.connect; true under node:tls. */
  allowHalfOpen?: boolean;
}

export interface ListenOptions {
  /** Missing, "" or "::": every address of both families. */
  host?: string;
  /** 0 picks a free one. */
  port: number;
  backlog?: number;
  /** As in net.createServer. Say true when node:http, node:http2 or node:tls runs on the sockets: they close each direction themselves. */
  allowHalfOpen?: boolean;
}

export class SocketLayer {
  readonly #ctx: SocketContext;
  readonly #tcp: TcpLayer;
  readonly #udp: UdpLayer;
  readonly #icmp: IcmpLayer;
  readonly #view = new IpView();
  #closed = false;

  constructor(o: SocketLayerOptions) {
    this.#ctx = new SocketContext(o.ip, o.clock, o.random, { ...DEFAULT_TCP, ...o.tcp }, { ...DEFAULT_LIMITS, ...o.limits });
    this.#tcp = new TcpLayer(this.#ctx);
    this.#udp = new UdpLayer(this.#ctx);
    this.#icmp = new IcmpLayer(this.#ctx, this.#tcp, this.#udp);
  }

  /** A packet for an address of this namespace, starting at its IP header. It is consumed. */
  receive(p: Packet): void {
    if (!this.#closed) this.#deliver(p);
    p.release();
  }

  #deliver(p: Packet): void {
    const v = this.#view;
    const why = readIp(v, p.data, p.start, p.end);
    if (why !== "") {
      this.#ctx.count("ipUndeliverable");
      this.#ctx.trace(p, "ip", "drop", why);
      return;
    }
    switch (v.protocol) {
      case IpProtocol.TCP:
        if (isMulticast(v.dst)) return;
        this.#tcp.receive(p, v);
        return;
      case IpProtocol.UDP:
        if (!this.#udp.receive(p, v)) this.#icmp.portUnreachable(p, v);
        return;
      case IpProtocol.ICMP:
      case IpProtocol.ICMPV6:
        this.#icmp.receive(p, v);
        return;
      default:
        this.#ctx.count("ipUnknownProtocol");
        this.#ctx.trace(p, "ip", "drop", `protocol ${v.protocol}`);
    }
  }

  /** `receive` in the words of a namespace that asks whether anybody wanted the packet: what nobody wants is answered here. */
  input(p: Packet): true {
    this.receive(p);
    return true;
  }

  /** Connects; errors arrive as the socket's "error" event, as with node:net. */
  tcpConnect(o: ConnectOptions): NetSocket {
    const remote = parseAddress(o.host);
    const local = o.localAddress === undefined ? undefined : parseAddress(o.localAddress);
    if (remote === undefined || (o.localAddress !== undefined && local === undefined)) {
      const s = new NetSocket(this.#tcp);
      s.connecting = true;
      queueMicrotask(() => s.destroy(new SocketError("ENOTFOUND", "getaddrinfo", remote === undefined ? o.host : o.localAddress)));
      return s;
    }
    const s = this.#tcp.connect(remote, o.port, local, o.localPort ?? 0, o.allowHalfOpen ?? false);
    if (o.timeoutMs !== undefined) s.limitConnect(o.timeoutMs);
    return s;
  }

  /** Throws SocketError (EADDRINUSE, EADDRNOTAVAIL, ENOTFOUND). */
  tcpListen(o: ListenOptions, onConnection?: (socket: NetSocket) => void): TcpServer {
    const server = this.#tcp.listen(
      this.#bindable(o.host, "listen"),
      o.port,
      o.backlog ?? this.#ctx.limits.defaultBacklog,
      o.allowHalfOpen ?? false,
    );
    if (onConnection !== undefined) server.on("connection", onConnection);
    return server;
  }

  /** Throws SocketError (EADDRINUSE, EADDRNOTAVAIL, ENOTFOUND). */
  udpBind(o: { host?: string; port?: number } = {}): UdpSocket {
    return this.#udp.bind(this.#bindable(o.host, "bind"), o.port ?? 0);
  }

  ping(host: string, options?: PingOptions): Promise<PingAnswer> {
    const a = parseAddress(host);
    return a === undefined ? Promise.reject(new SocketError("ENOTFOUND", "getaddrinfo", host)) : this.#icmp.ping(a, options);
  }

  #bindable(host: string | undefined, syscall: string): BindAddress {
    if (host === undefined || host === "") return null;
    const a = parseAddress(host);
    if (a === undefined) throw new SocketError("ENOTFOUND", "getaddrinfo", host);
    const bound = bindAddress(a);
    if (bound !== null && bound !== 0 && !this.#ctx.ip.isLocal(bound)) throw new SocketError("EADDRNOTAVAIL", syscall, host);
    return bound;
  }

  /** Counts since the start, by name. */
  counters(): Readonly<Record<string, number>> {
    return this.#ctx.counters;
  }

  /** Sockets as `ss` lists them. */
  list() {
    return { tcp: this.#tcp.list(), udp: this.#udp.list() };
  }

  /** The namespace goes away: sockets end without a word on the wire. */
  close(): void {
    this.#closed = true;
    this.#tcp.shutDown();
    this.#udp.shutDown();
  }
}
