// ICMP and ICMPv6 of one namespace's sockets: echo answered and asked (ping), errors handed to the socket whose packet they quote,
// "port unreachable" for UDP nobody takes (RFC 792, RFC 1122 3.2.2, RFC 4443).
// Invariant: an error is never answered by an error; errors are rate-limited; a quoted packet is believed only as far as it matches
// a socket of ours.
import { pseudoSum, pseudoSumAt } from "../checksum.ts";
import { formatAddress, formatEndpoint, type IpAddress, isMulticast, isUnspecified } from "../codec/address.ts";
import { Icmp } from "../codec/icmp.ts";
import { Icmpv6 } from "../codec/icmpv6.ts";
import { Ipv4 } from "../codec/ipv4.ts";
import { Ipv6 } from "../codec/ipv6.ts";
import { isMalformed } from "../codec/malformed.ts";
import { IpProtocol } from "../codec/numbers.ts";
import type { Packet } from "../packet.ts";
import type { SocketContext } from "./context.ts";
import { SocketError } from "./errors.ts";
import { type IpView, ipHeaderLength, ipPacket } from "./ip-packet.ts";
import type { TcpLayer } from "./tcp-layer.ts";
import type { UdpLayer } from "./udp-socket.ts";

const TTL = 64;
/** Bytes of the offending packet that an error quotes (RFC 1812 4.3.2.3: as much as fits 576). */
const QUOTE_BYTES = 548;
/** Pings of a namespace without an answer yet. */
const MAX_PINGS = 4096;

/** What a quoted packet's error means to the socket that sent it. */
type Meaning = "ECONNREFUSED" | "EHOSTUNREACH" | "ENETUNREACH" | "EACCES";

export interface PingAnswer {
  rttMs: number;
  /** TTL of the answer as it arrived. */
  ttl: number;
  /** Who answered: the target, or the router that could not deliver. */
  from: string;
  type: "reply" | "unreachable" | "timeExceeded" | "tooBig";
  /** ICMP code of an error, 0 of a reply. */
  code: number;
}

export interface PingOptions {
  timeoutMs?: number;
  ttl?: number;
  /** Payload bytes, 56 as ping(8). */
  size?: number;
}

interface Pending {
  sentMs: number;
  done: (a: PingAnswer) => void;
}

export class IcmpLayer {
  readonly #ctx: SocketContext;
  readonly #tcp: TcpLayer;
  readonly #udp: UdpLayer;
  readonly #pings = new Map<number, Pending>();
  #nextPing: number;
  #errorsInWindow = 0;
  #windowMs = Number.NEGATIVE_INFINITY;

  constructor(ctx: SocketContext, tcp: TcpLayer, udp: UdpLayer) {
    this.#ctx = ctx;
    this.#tcp = tcp;
    this.#udp = udp;
    this.#nextPing = ctx.random.uint32();
  }

  /** Rejects with SocketError ETIMEDOUT, or ENETUNREACH and the like when the packet cannot leave. */
  ping(dst: IpAddress, options: PingOptions = {}): Promise<PingAnswer> {
    const { timeoutMs = 1000, ttl = TTL, size = 56 } = options;
    const text = formatAddress(dst);
    const src = this.#ctx.ip.sourceFor(dst);
    if (src === undefined) return Promise.reject(new SocketError("ENETUNREACH", "ping", text));
    if (this.#pings.size >= MAX_PINGS) return Promise.reject(new SocketError("ENOBUFS", "ping", text));
    // Identifier and sequence number in one.
    const id = (this.#nextPing = (this.#nextPing + 1) >>> 0);
    return new Promise((resolve, reject) => {
      const timer = this.#ctx.clock.after(timeoutMs, () => {
        this.#pings.delete(id);
        reject(new SocketError("ETIMEDOUT", "ping", text));
      });
      const finish = (act: () => void) => {
        timer.cancel();
        this.#pings.delete(id);
        act();
      };
      this.#pings.set(id, { sentMs: this.#ctx.clock.monotonicMs(), done: (a) => finish(() => resolve(a)) });
      const body = new Uint8Array(size).map((_, i) => i & 255);
      const failed = this.#ctx.ip.output(
        this.#message(src, dst, ttl, typeof dst === "number" ? Icmp.ECHO_REQUEST : Icmpv6.ECHO_REQUEST, 0, id, body),
      );
      if (failed !== "") finish(() => reject(new SocketError(failed, "ping", text)));
    });
  }

  #message(src: IpAddress, dst: IpAddress, ttl: number, type: number, code: number, rest: number, body: Uint8Array): Packet {
    const v4 = typeof src === "number";
    const length = Icmp.HEADER + body.length;
    const p = ipPacket(src, dst, length, {
      protocol: v4 ? IpProtocol.ICMP : IpProtocol.ICMPV6,
      ttl,
      identification: 0,
      dontFragment: false,
    });
    const at = p.start + ipHeaderLength(src);
    if (v4) Icmp.emit({ type, code, rest, body }, p.data, at);
    else Icmpv6.emit({ type, code, rest, body }, p.data, at, pseudoSum(src, dst, IpProtocol.ICMPV6));
    return p;
  }

  /** An ICMP or ICMPv6 packet for this namespace (neighbour discovery is the namespace's own). */
  receive(p: Packet, v: IpView): void {
    const b = p.data;
    const v4 = v.protocol === IpProtocol.ICMP;
    const why = v4 ? Icmp.problem(b, v.at, v.end) : Icmpv6.problem(b, v.at, v.end, pseudoSumAt(b, p.start, IpProtocol.ICMPV6));
    if (why !== "") {
      this.#ctx.count(why === "bad checksum" ? "icmpBadChecksum" : "icmpMalformed");
      this.#ctx.trace(p, "icmp", "drop", why);
      return;
    }
    const type = b[v.at]!;
    this.#ctx.trace(p, `icmp ${formatAddress(v.dst)}`, "deliver", `type ${type} code ${b[v.at + 1]}`);
    if (type === (v4 ? Icmp.ECHO_REQUEST : Icmpv6.ECHO_REQUEST)) this.#answerEcho(p, v, v4);
    else if (type === (v4 ? Icmp.ECHO_REPLY : Icmpv6.ECHO_REPLY)) this.#pinged(v, b, v.at + 4, "reply", 0);
    else if (v4 ? Icmp.isError(type) : Icmpv6.isError(type)) this.#error(v, b, v4);
  }

  #answerEcho(p: Packet, v: IpView, v4: boolean): void {
    if (isMulticast(v.dst) || isUnspecified(v.src)) return;
    const b = p.data;
    const rest = (Icmp.identifier(b, v.at) * 0x10000 + Icmp.sequence(b, v.at)) >>> 0;
    const reply = this.#message(
      v.dst,
      v.src,
      TTL,
      v4 ? Icmp.ECHO_REPLY : Icmpv6.ECHO_REPLY,
      0,
      rest,
      b.subarray(v.at + Icmp.HEADER, v.end),
    );
    reply.traceId = p.traceId;
    reply.traceHop = p.traceHop;
    this.#ctx.count("icmpEchoes");
    this.#ctx.trace(reply, `icmp ${formatAddress(v.dst)}`, "send", "echo reply");
    this.#ctx.ip.output(reply);
  }

  #pinged(v: IpView, b: Uint8Array, idAt: number, type: PingAnswer["type"], code: number): void {
    const id = ((b[idAt]! << 24) | (b[idAt + 1]! << 16) | (b[idAt + 2]! << 8) | b[idAt + 3]!) >>> 0;
    const pending = this.#pings.get(id);
    pending?.done({ rttMs: this.#ctx.clock.monotonicMs() - pending.sentMs, ttl: v.ttl, from: formatAddress(v.src), type, code });
  }

  #error(v: IpView, b: Uint8Array, v4: boolean): void {
    const quoted = readQuoted(b, v.at + Icmp.HEADER, v.end, v4);
    if (quoted === null) return;
    const type = b[v.at]!;
    const code = b[v.at + 1]!;
    const kind = errorKind(type, v4, code);
    if (kind === null) return;
    this.#ctx.count("icmpErrorsIn");
    const mtu = kind === "tooBig" ? (v4 ? Icmp.nextHopMtu(b, v.at) : Icmpv6.mtu(b, v.at)) : 0;
    const meaning = meaningOf(type, code, v4);
    if (quoted.protocol === IpProtocol.TCP) {
      if (kind === "tooBig") this.#tcp.icmpError(quoted.src, quoted.dst, b, quoted.at, "", Math.max(mtu, v4 ? 552 : Ipv6.MIN_MTU));
      else if (kind === "unreachable")
        this.#tcp.icmpError(quoted.src, quoted.dst, b, quoted.at, meaning === "EACCES" ? "EHOSTUNREACH" : meaning, 0);
    } else if (quoted.protocol === IpProtocol.UDP) {
      this.#udp.icmpError(
        quoted.src,
        quoted.dst,
        b,
        quoted.at,
        kind === "tooBig" ? "EMSGSIZE" : kind === "timeExceeded" ? "EHOSTUNREACH" : meaning,
        { from: formatAddress(v.src), type, code, ttl: v.ttl },
      );
    } else if (quoted.protocol === (v4 ? IpProtocol.ICMP : IpProtocol.ICMPV6)) this.#pinged(v, b, quoted.at + 4, kind, code);
  }

  /** Answers a datagram that no socket takes. */
  portUnreachable(p: Packet, v: IpView): void {
    if (isMulticast(v.dst) || isUnspecified(v.src) || !this.#mayError()) return;
    const v4 = typeof v.src === "number";
    const quote = p.data.subarray(p.start, Math.min(v.end, p.start + QUOTE_BYTES));
    const answer = v4
      ? this.#message(v.dst, v.src, TTL, Icmp.UNREACHABLE, Icmp.PORT_UNREACHABLE, 0, quote)
      : this.#message(v.dst, v.src, TTL, Icmpv6.UNREACHABLE, Icmpv6.PORT_UNREACHABLE, 0, quote);
    answer.traceId = p.traceId;
    answer.traceHop = p.traceHop;
    this.#ctx.count("icmpErrorsOut");
    this.#ctx.trace(answer, `icmp ${formatEndpoint(v.dst, 0)}`, "send", "port unreachable");
    this.#ctx.ip.output(answer);
  }

  #mayError(): boolean {
    const now = this.#ctx.clock.monotonicMs();
    if (now - this.#windowMs >= 1000) {
      this.#windowMs = now;
      this.#errorsInWindow = 0;
    }
    if (this.#errorsInWindow++ < this.#ctx.limits.maxIcmpErrorsPerSecond) return true;
    this.#ctx.count("icmpErrorsSuppressed");
    return false;
  }
}

/** The packet an error quotes: our addresses and the offset of at least eight transport bytes; null when there is less. */
function readQuoted(b: Uint8Array, at: number, end: number, v4: boolean) {
  if (v4) {
    if (end - at < Ipv4.HEADER || b[at]! >>> 4 !== 4) return null;
    const header = Ipv4.headerLength(b, at);
    if (header < Ipv4.HEADER || end - at < header + 8 || Ipv4.fragmentOffset(b, at) !== 0) return null;
    return { src: Ipv4.src(b, at), dst: Ipv4.dst(b, at), protocol: Ipv4.protocol(b, at), at: at + header };
  }
  if (end - at < Ipv6.HEADER || b[at]! >>> 4 !== 6) return null;
  const t = Ipv6.transport(b, at, end);
  if (isMalformed(t) || end - t.at < 8) return null;
  return { src: Ipv6.src(b, at), dst: Ipv6.dst(b, at), protocol: t.protocol, at: t.at };
}

function errorKind(type: number, v4: boolean, code: number): "unreachable" | "timeExceeded" | "tooBig" | null {
  if (v4) {
    if (type === Icmp.UNREACHABLE) return code === Icmp.FRAGMENTATION_NEEDED ? "tooBig" : "unreachable";
    return type === Icmp.TIME_EXCEEDED ? "timeExceeded" : null;
  }
  if (type === Icmpv6.UNREACHABLE) return "unreachable";
  if (type === Icmpv6.PACKET_TOO_BIG) return "tooBig";
  return type === Icmpv6.TIME_EXCEEDED ? "timeExceeded" : null;
}

/** As Linux maps codes of "destination unreachable" to errno (icmp_err_convert, tab_unreach). */
function meaningOf(type: number, code: number, v4: boolean): Meaning {
  if (v4 && type === Icmp.UNREACHABLE) {
    if (code === Icmp.PORT_UNREACHABLE) return "ECONNREFUSED";
    if (code === Icmp.NET_UNREACHABLE || code === 6 || code === 9 || code === 11) return "ENETUNREACH";
    return "EHOSTUNREACH";
  }
  if (!v4 && type === Icmpv6.UNREACHABLE) {
    if (code === Icmpv6.PORT_UNREACHABLE) return "ECONNREFUSED";
    if (code === Icmpv6.NO_ROUTE) return "ENETUNREACH";
    return code === Icmpv6.ADMIN_PROHIBITED ? "EACCES" : "EHOSTUNREACH";
  }
  return "EHOSTUNREACH";
}
