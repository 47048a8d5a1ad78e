// The ICMP and ICMPv6 messages that a host or router makes itself: errors about a packet, and echo replies.
// Invariant: never an error about an error, a fragment that is not the first, or a packet to or from many (RFC 1122 3.2.2, RFC 4443
// 2.4e); an error quotes as much as fits in 576 (IPv4) or 1280 bytes (IPv6); at most ERRORS_PER_SECOND leave a namespace.
import type { Clock } from "@podwire/base";
import { checksum, pseudoSumAt } from "../checksum.ts";
import { type IpAddress, isMulticast, isUnspecified, putIpv6 } from "../codec/address.ts";
import { putU16, putU32, u16, u32 } from "../codec/numbers.ts";
import { Packet } from "../packet.ts";
import { type Flow, isIcmpError } from "./flow.ts";

export const ERRORS_PER_SECOND = 1000;

/** What an error says, in words that both families have. */
export type IcmpErrorKind =
  | "netUnreachable"
  | "hostUnreachable"
  | "portUnreachable"
  | "protocolUnreachable"
  | "adminProhibited"
  | "packetTooBig"
  | "timeExceeded";

const V4: Readonly<Record<IcmpErrorKind, readonly [number, number]>> = {
  netUnreachable: [3, 0],
  hostUnreachable: [3, 1],
  protocolUnreachable: [3, 2],
  portUnreachable: [3, 3],
  packetTooBig: [3, 4],
  adminProhibited: [3, 13],
  timeExceeded: [11, 0],
};

const V6: Readonly<Record<IcmpErrorKind, readonly [number, number]>> = {
  netUnreachable: [1, 0],
  hostUnreachable: [1, 3],
  protocolUnreachable: [4, 1],
  portUnreachable: [1, 4],
  packetTooBig: [2, 0],
  adminProhibited: [1, 1],
  timeExceeded: [3, 0],
};

/** Allows ERRORS_PER_SECOND on average, a tenth of it at once. */
export class IcmpLimiter {
  private readonly clock: Clock;
  private tokens = ERRORS_PER_SECOND / 10;
  private atMs = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  allow(): boolean {
    const now = this.clock.monotonicMs();
    this.tokens = Math.min(ERRORS_PER_SECOND / 10, this.tokens + ((now - this.atMs) * ERRORS_PER_SECOND) / 1000);
    this.atMs = now;
    if (this.tokens < 1) return false;
    this.tokens--;
    return true;
  }
}

/** Whether an error may be sent about this packet. */
export function mayAnswer(f: Flow): boolean {
  if (f.fragmentOffset !== 0 || isMulticast(f.dst) || isMulticast(f.src) || isUnspecified(f.src)) return false;
  return !((f.protocol === 1 || f.protocol === 58) && isIcmpError(f.protocol, f.dport >> 8));
}

/** An ICMP error about the IP packet at p.start, from `source` to its sender. `mtu` counts for packetTooBig. */
export function icmpError(p: Packet, f: Flow, kind: IcmpErrorKind, source: IpAddress, mtu = 0): Packet {
  const six = f.family === 6;
  const quoted = Math.min(p.end - p.start, six ? 1280 - 48 : 576 - 28);
  const headers = six ? 40 : 20;
  const e = Packet.alloc(headers + 8 + quoted);
  const b = e.data;
  const at = e.start;
  const l4 = at + headers;
  b.set(p.data.subarray(p.start, p.start + quoted), l4 + 8);
  const [type, code] = (six ? V6 : V4)[kind];
  b[l4] = type;
  b[l4 + 1] = code;
  if (kind === "packetTooBig") {
    if (six) putU32(b, l4 + 4, mtu);
    else putU16(b, l4 + 6, mtu);
  }
  ipHeader(b, at, e.end, six ? 58 : 1, source, f.src, six ? 64 : 64);
  putU16(b, l4 + 2, checksum(b, l4, e.end, six ? pseudoSumAt(b, at, 58) + (e.end - l4) : 0));
  e.traceId = p.traceId;
  e.traceHop = p.traceHop;
  return e;
}

/** Turns an echo request into its reply, in place. */
export function echoReply(p: Packet, f: Flow): Packet {
  const body = p.data.slice(p.start + f.l4, p.end);
  const six = f.family === 6;
  const headers = six ? 40 : 20;
  const e = Packet.alloc(headers + body.length);
  const l4 = e.start + headers;
  e.data.set(body, l4);
  e.data[l4] = six ? 129 : 0;
  putU16(e.data, l4 + 2, 0);
  ipHeader(e.data, e.start, e.end, six ? 58 : 1, f.dst, f.src, 64);
  putU16(e.data, l4 + 2, checksum(e.data, l4, e.end, six ? pseudoSumAt(e.data, e.start, 58) + (e.end - l4) : 0));
  e.traceId = p.traceId;
  e.traceHop = p.traceHop;
  return e;
}

/** The RST that answers a TCP segment (RFC 9293 3.10.7.1), or undefined when it is itself a RST. */
export function tcpReset(p: Packet, f: Flow): Packet | undefined {
  if ((f.tcpFlags & 4) !== 0) return undefined;
  const b = p.data;
  const t = p.start + f.l4;
  const six = f.family === 6;
  const headers = six ? 40 : 20;
  const r = Packet.alloc(headers + 20);
  const l4 = r.start + headers;
  putU16(r.data, l4, f.dport);
  putU16(r.data, l4 + 2, f.sport);
  if ((f.tcpFlags & 16) !== 0) {
    putU32(r.data, l4 + 4, u32(b, t + 8));
    r.data[l4 + 13] = 4;
  } else {
    const length = p.end - t - (b[t + 12]! >> 4) * 4 + ((f.tcpFlags & 2) !== 0 ? 1 : 0) + ((f.tcpFlags & 1) !== 0 ? 1 : 0);
    putU32(r.data, l4 + 8, (u32(b, t + 4) + length) >>> 0);
    r.data[l4 + 13] = 4 | 16;
  }
  r.data[l4 + 12] = 0x50;
  ipHeader(r.data, r.start, r.end, 6, f.dst, f.src, 64);
  putU16(r.data, l4 + 16, checksum(r.data, l4, r.end, pseudoSumAt(r.data, r.start, 6) + 20));
  r.traceId = p.traceId;
  r.traceHop = p.traceHop;
  return r;
}

/** Writes an IP header for the packet b[at, end). */
export function ipHeader(
  b: Uint8Array,
  at: number,
  end: number,
  protocol: number,
  src: IpAddress,
  dst: IpAddress,
  ttl: number,
  dontFragment = false,
): void {
  if (typeof src === "bigint" || typeof dst === "bigint") {
    putU32(b, at, 0x60000000);
    putU16(b, at + 4, end - at - 40);
    b[at + 6] = protocol;
    b[at + 7] = ttl;
    putIpv6(b, at + 8, BigInt(src));
    putIpv6(b, at + 24, BigInt(dst));
    return;
  }
  b[at] = 0x45;
  b[at + 1] = 0;
  putU16(b, at + 2, end - at);
  putU32(b, at + 4, dontFragment ? 0x4000 : 0);
  b[at + 8] = ttl;
  b[at + 9] = protocol;
  putU16(b, at + 10, 0);
  putU32(b, at + 12, src);
  putU32(b, at + 16, dst);
  putU16(b, at + 10, checksum(b, at, at + 20));
}

/** The MTU that a received packet-too-big names, or 0. */
export function tooBigMtu(p: Packet, f: Flow): number {
  const l4 = p.start + f.l4;
  if (f.family === 6) return f.protocol === 58 && p.data[l4] === 2 ? u32(p.data, l4 + 4) : 0;
  return f.protocol === 1 && p.data[l4] === 3 && p.data[l4 + 1] === 4 ? u16(p.data, l4 + 6) : 0;
}
