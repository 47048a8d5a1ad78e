// UDP of one namespace: sockets, connected or not, and the ICMP errors that reach connected ones (RFC 768, RFC 1122 4.1).
// Invariant: a datagram is delivered to at most one socket; one that fits no socket is answered by "port unreachable", within the
// limit of the layer. Limit: maxDatagrams wait for a socket without a reader, more are dropped and counted.
import { pseudoSum, pseudoSumAt } from "../checksum.ts";
import { formatAddress, formatEndpoint, type IpAddress, isMulticast, parseAddress } from "../codec/address.ts";
import { IpProtocol } from "../codec/numbers.ts";
import { Udp } from "../codec/udp.ts";
import type { Packet } from "../packet.ts";
import type { SocketContext } from "./context.ts";
import { type ErrnoName, SocketError } from "./errors.ts";
import type { OutputResult } from "./ip-layer.ts";
import { type IpView, ipHeaderLength, ipPacket } from "./ip-packet.ts";
import { type BindAddress, ephemeralPort, PortTable } from "./ports.ts";
import { type BoundAddress, describeBound } from "./tcp-server.ts";

export interface DatagramSource {
  address: string;
  port: number;
}

/** A socket as `ss` lists it. */
export interface UdpRow {
  localAddress: BindAddress;
  localPort: number;
  peer: { address: IpAddress; port: number } | null;
  /** Bytes that nobody has read yet. */
  receiveQueue: number;
}

/** An ICMP error about a datagram of ours (IP_RECVERR): who says what. */
export interface IcmpReport {
  from: string;
  type: number;
  code: number;
  /** TTL of the error as it arrived. */
  ttl: number;
}

type Reader = (bytes: Uint8Array, from: DatagramSource) => void;

const TTL = 64;
/** Largest payload that an IPv4 total length can hold. */
const MAX_PAYLOAD = 65_507;

export class UdpSocket {
  readonly boundAddress: BindAddress;
  readonly boundPort: number;
  readonly #layer: UdpLayer;
  #reader: Reader | null = null;
  #onError: ((e: SocketError) => void) | null = null;
  readonly #waiting: [Uint8Array, DatagramSource][] = [];
  /** The peer of a connected socket; others are not heard. */
  peer: { address: IpAddress; port: number } | null = null;
  closed = false;
  /** IP_TTL of what is sent; 0 is the default. */
  ttl = 0;
  /** Hears every ICMP error about a connected socket, with its source; `onError` hears those that mean an errno. */
  onIcmp: ((report: IcmpReport) => void) | null = null;
  traceId = 0;
  traceHop = 0;

  constructor(layer: UdpLayer, boundAddress: BindAddress, boundPort: number) {
    this.#layer = layer;
    this.boundAddress = boundAddress;
    this.boundPort = boundPort;
  }

  get waitingBytes(): number {
    return this.#waiting.reduce((n, [bytes]) => n + bytes.length, 0);
  }

  address(): BoundAddress {
    return describeBound(this.boundAddress, this.boundPort);
  }

  /** Only datagrams of this peer are heard from now on, and its ICMP errors reach onError. Throws SocketError for a bad address. */
  connect(port: number, host: string): this {
    const address = parseAddress(host);
    if (address === undefined) throw new SocketError("ENOTFOUND", "getaddrinfo", host);
    this.peer = { address, port };
    return this;
  }

  /**
   * Sends one datagram; a connected socket may leave port and host out. Answers "" or the errno that a local sender would get;
   * what is lost on the way is not known.
   */
  send(bytes: Uint8Array, port?: number, host?: string): OutputResult | "ENOTCONN" | "EADDRNOTAVAIL" | "ENOTFOUND" {
    if (this.closed) return "ENOTCONN";
    let to = this.peer;
    if (port !== undefined && host !== undefined) {
      const address = parseAddress(host);
      if (address === undefined) return "ENOTFOUND";
      to = { address, port };
    }
    return to === null ? "ENOTCONN" : this.#layer.send(this, bytes, to.address, to.port);
  }

  /** One reader. Datagrams that came before it are handed over at once. The bytes are the reader's. */
  onMessage(reader: Reader): this {
    this.#reader = reader;
    for (const [bytes, from] of this.#waiting.splice(0)) reader(bytes, from);
    return this;
  }

  /** ECONNREFUSED and the like, on a connected socket. */
  onError(handler: (e: SocketError) => void): this {
    this.#onError = handler;
    return this;
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#waiting.length = 0;
    this.#layer.unbind(this);
  }

  /** False when nobody reads and too many wait. */
  deliver(bytes: Uint8Array, from: DatagramSource, limit: number): boolean {
    if (this.#reader !== null) this.#reader(bytes, from);
    else if (this.#waiting.length >= limit) return false;
    else this.#waiting.push([bytes, from]);
    return true;
  }

  fail(code: ErrnoName, address: string, port: number): void {
    this.#onError?.(new SocketError(code, "recvmsg", address, port));
  }
}

export class UdpLayer {
  readonly #ctx: SocketContext;
  readonly #sockets = new PortTable<UdpSocket>();
  #identification: number;

  constructor(ctx: SocketContext) {
    this.#ctx = ctx;
    this.#identification = ctx.random.below(65_536);
  }

  /** Throws SocketError EADDRINUSE. */
  bind(address: BindAddress, port: number): UdpSocket {
    const chosen = port !== 0 ? port : ephemeralPort(this.#ctx.random, (p) => this.#sockets.free(address, p));
    if (chosen === undefined || !this.#sockets.free(address, chosen))
      throw new SocketError("EADDRINUSE", "bind", address === null ? "::" : formatAddress(address), port);
    const s = new UdpSocket(this, address, chosen);
    this.#sockets.add(s);
    return s;
  }

  unbind(s: UdpSocket): void {
    this.#sockets.delete(s);
  }

  send(s: UdpSocket, bytes: Uint8Array, dst: IpAddress, dport: number): OutputResult | "EADDRNOTAVAIL" {
    if (bytes.length > MAX_PAYLOAD) return "EMSGSIZE";
    const bound = s.boundAddress;
    const src = bound === null || bound === 0 || bound === 0n ? this.#ctx.ip.sourceFor(dst) : bound;
    if (src === undefined) return "ENETUNREACH";
    if (typeof src !== typeof dst) return "EADDRNOTAVAIL";
    const length = Udp.HEADER + bytes.length;
    const whole = ipHeaderLength(src) + length;
    const p = ipPacket(src, dst, length, {
      protocol: IpProtocol.UDP,
      ttl: s.ttl !== 0 ? s.ttl : isMulticast(dst) ? 1 : TTL,
      identification: (this.#identification = (this.#identification + 1) & 0xffff),
      dontFragment: whole <= this.#ctx.ip.mtuFor(dst),
    });
    Udp.emit({ sport: s.boundPort, dport, payload: bytes }, p.data, p.start + ipHeaderLength(src), pseudoSum(src, dst, IpProtocol.UDP));
    if (s.traceId !== 0) {
      p.traceId = s.traceId;
      p.traceHop = s.traceHop;
      this.#ctx.trace(p, `udp ${formatEndpoint(src, s.boundPort)}`, "send");
      s.traceHop = p.traceHop;
    }
    this.#ctx.count("udpOut");
    return this.#ctx.ip.output(p);
  }

  /** A UDP packet for this namespace. Returns false when no socket takes it: the caller answers "port unreachable". */
  receive(p: Packet, v: IpView): boolean {
    const b = p.data;
    const why = Udp.problem(b, v.at, v.end, pseudoSumAt(b, p.start, IpProtocol.UDP));
    if (why !== "") {
      this.#ctx.count(why === "bad checksum" ? "udpBadChecksum" : "udpMalformed");
      this.#ctx.trace(p, "udp", "drop", why);
      return true;
    }
    const dport = Udp.dport(b, v.at);
    const sport = Udp.sport(b, v.at);
    const s = this.#sockets.lookup(v.dst, dport);
    if (s === undefined || (s.peer !== null && (s.peer.address !== v.src || s.peer.port !== sport))) {
      this.#ctx.count("udpNoPort");
      this.#ctx.trace(p, `udp ${formatEndpoint(v.dst, dport)}`, "reject", "no socket");
      return false;
    }
    s.traceId = p.traceId;
    this.#ctx.trace(p, `udp ${formatEndpoint(v.dst, dport)}`, "deliver");
    s.traceHop = p.traceHop;
    this.#ctx.count("udpIn");
    const bytes = b.slice(v.at + Udp.HEADER, v.at + Udp.length(b, v.at));
    if (!s.deliver(bytes, { address: formatAddress(v.src), port: sport }, this.#ctx.limits.maxDatagrams)) this.#ctx.count("udpQueueFull");
    return true;
  }

  /** An ICMP error quotes the UDP header at b[at] that we sent from `local` to `remote`. */
  icmpError(local: IpAddress, remote: IpAddress, b: Uint8Array, at: number, error: ErrnoName, report: IcmpReport): void {
    const s = this.#sockets.lookup(local, Udp.sport(b, at));
    const dport = Udp.dport(b, at);
    if (s === undefined || s.peer === null || s.peer.address !== remote || s.peer.port !== dport) return;
    s.onIcmp?.(report);
    s.fail(error, formatAddress(remote), dport);
  }

  list(): UdpRow[] {
    return [...this.#sockets].map((s) => ({
      localAddress: s.boundAddress,
      localPort: s.boundPort,
      peer: s.peer,
      receiveQueue: s.waitingBytes,
    }));
  }

  shutDown(): void {
    for (const s of [...this.#sockets]) s.close();
  }
}
