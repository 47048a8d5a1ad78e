// What one look at an IP packet's headers tells: family, protocol, addresses, ports, where the transport header is.
// Invariant: a Flow was only made from bytes that are there; offsets are relative to the start of the IP header, so that
// pushing and pulling link headers leaves them true. RFC 791, RFC 8200, RFC 792, RFC 4443.
import { formatAddress, type IpAddress } from "../codec/address.ts";
import { protocolName } from "../codec/numbers.ts";
import type { Packet } from "../packet.ts";
import type { FlowTuple } from "../trace.ts";

/** An address from its words (int32; IPv4 in w3 only). */
export function addressOf(family: 4 | 6, w0: number, w1: number, w2: number, w3: number): IpAddress {
  if (family === 4) return w3 >>> 0;
  return (((BigInt(w0 >>> 0) << 32n) | BigInt(w1 >>> 0)) << 64n) | (BigInt(w2 >>> 0) << 32n) | BigInt(w3 >>> 0);
}

/** Word `index` (0..3) of an address, int32. */
export function wordOf(a: IpAddress, index: number): number {
  if (typeof a === "number") return index === 3 ? a | 0 : 0;
  return Number((a >> BigInt(96 - 32 * index)) & 0xffffffffn) | 0;
}

/** Why a packet's headers were not understood; also the drop reason that is counted. */
export type HeaderFault =
  | "truncated"
  | "badVersion"
  | "badHeaderLength"
  | "badTotalLength"
  | "badChecksum"
  | "truncatedTransport"
  | "badExtension";

export class Flow {
  family: 4 | 6 = 4;
  protocol = 0;
  s0 = 0;
  s1 = 0;
  s2 = 0;
  s3 = 0;
  d0 = 0;
  d1 = 0;
  d2 = 0;
  d3 = 0;
  /** Ports; for ICMP echo sport is the identifier and dport is type << 8 | code; 0 in later fragments. */
  sport = 0;
  dport = 0;
  /** Offset of the transport header behind the IP header's start. */
  l4 = 0;
  ttl = 0;
  /** TCP flag bits, 0 for others. */
  tcpFlags = 0;
  /** Fragment offset in bytes; 0 for whole packets and first fragments. */
  fragmentOffset = 0;
  moreFragments = false;
  dontFragment = false;
  /** Put together here from pieces: it may be cut again, whatever its family. */
  reassembled = false;
  /** Reference of the connection-tracking entry, -1 without one. */
  ct = -1;
  /** CtState: what the packet is to its connection; 0 until conntrack saw it. */
  ctState = 0;

  get src(): IpAddress {
    return addressOf(this.family, this.s0, this.s1, this.s2, this.s3);
  }

  get dst(): IpAddress {
    return addressOf(this.family, this.d0, this.d1, this.d2, this.d3);
  }

  /** As trace points and logs show it. */
  tuple(): FlowTuple {
    const ports = hasPorts(this.protocol);
    return {
      src: formatAddress(this.src),
      dst: formatAddress(this.dst),
      protocol: protocolName(this.protocol),
      sport: ports ? this.sport : 0,
      dport: ports ? this.dport : 0,
    };
  }
}

export function hasPorts(protocol: number): boolean {
  return protocol === 6 || protocol === 17 || protocol === 132;
}

const word = (b: Uint8Array, i: number) => (b[i]! << 24) | (b[i + 1]! << 16) | (b[i + 2]! << 8) | b[i + 3]!;

/** Reads the headers of the IP packet at p.start into `f`; undefined when all is well. Trims p.end to the packet's own
 *  total length (link padding). Checks the IPv4 header checksum when `verify`. */
export function readFlow(p: Packet, f: Flow, verify: boolean): HeaderFault | undefined {
  const b = p.data;
  const at = p.start;
  const have = p.end - at;
  if (have < 20) return "truncated";
  const version = b[at]! >> 4;
  if (version === 6) return readFlow6(p, f);
  if (version !== 4) return "badVersion";
  const ihl = (b[at]! & 15) * 4;
  if (ihl < 20 || ihl > have) return "badHeaderLength";
  const total = (b[at + 2]! << 8) | b[at + 3]!;
  if (total < ihl || total > have) return "badTotalLength";
  if (verify && !headerSumsToZero(b, at, ihl)) return "badChecksum";
  p.end = at + total;
  f.family = 4;
  f.protocol = b[at + 9]!;
  f.ttl = b[at + 8]!;
  f.s0 = f.s1 = f.s2 = f.d0 = f.d1 = f.d2 = 0;
  f.s3 = word(b, at + 12);
  f.d3 = word(b, at + 16);
  f.l4 = ihl;
  const frag = (b[at + 6]! << 8) | b[at + 7]!;
  f.dontFragment = (frag & 0x4000) !== 0;
  f.moreFragments = (frag & 0x2000) !== 0;
  f.fragmentOffset = (frag & 0x1fff) * 8;
  return readTransport(p, f);
}

function headerSumsToZero(b: Uint8Array, at: number, length: number): boolean {
  let sum = 0;
  for (let i = at; i < at + length; i += 2) sum += (b[i]! << 8) | b[i + 1]!;
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  return sum === 0xffff;
}

/** Extension headers walked before a packet counts as hostile (RFC 8200 asks for tolerance, not for loops). */
const MAX_EXTENSIONS = 8;

function readFlow6(p: Packet, f: Flow): HeaderFault | undefined {
  const b = p.data;
  const at = p.start;
  const have = p.end - at;
  if (have < 40) return "truncated";
  const total = 40 + ((b[at + 4]! << 8) | b[at + 5]!);
  if (total > have) return "badTotalLength";
  p.end = at + total;
  f.family = 6;
  f.ttl = b[at + 7]!;
  f.s0 = word(b, at + 8);
  f.s1 = word(b, at + 12);
  f.s2 = word(b, at + 16);
  f.s3 = word(b, at + 20);
  f.d0 = word(b, at + 24);
  f.d1 = word(b, at + 28);
  f.d2 = word(b, at + 32);
  f.d3 = word(b, at + 36);
  f.fragmentOffset = 0;
  f.moreFragments = false;
  f.dontFragment = true;
  let next = b[at + 6]!;
  let l4 = 40;
  for (let i = 0; next === 0 || next === 43 || next === 44 || next === 60; i++) {
    if (i >= MAX_EXTENSIONS || l4 + 8 > total) return "badExtension";
    const length = next === 44 ? 8 : (b[at + l4 + 1]! + 1) * 8;
    if (l4 + length > total) return "badExtension";
    if (next === 44) {
      const frag = (b[at + l4 + 2]! << 8) | b[at + l4 + 3]!;
      f.fragmentOffset = frag & 0xfff8;
      f.moreFragments = (frag & 1) !== 0;
    }
    next = b[at + l4]!;
    l4 += length;
  }
  f.protocol = next;
  f.l4 = l4;
  return readTransport(p, f);
}

function readTransport(p: Packet, f: Flow): HeaderFault | undefined {
  const b = p.data;
  const l4 = p.start + f.l4;
  f.sport = 0;
  f.dport = 0;
  f.tcpFlags = 0;
  if (f.fragmentOffset !== 0) return undefined;
  switch (f.protocol) {
    case 6:
      if (l4 + 20 > p.end) return "truncatedTransport";
      f.tcpFlags = b[l4 + 13]!;
      break;
    case 17:
    case 132:
      if (l4 + 8 > p.end) return "truncatedTransport";
      break;
    case 1:
    case 58: {
      if (l4 + 8 > p.end) return "truncatedTransport";
      const type = b[l4]!;
      f.dport = (type << 8) | b[l4 + 1]!;
      if (isEcho(f.protocol, type)) f.sport = (b[l4 + 4]! << 8) | b[l4 + 5]!;
      return undefined;
    }
    default:
      return undefined;
  }
  f.sport = (b[l4]! << 8) | b[l4 + 1]!;
  f.dport = (b[l4 + 2]! << 8) | b[l4 + 3]!;
  return undefined;
}

/** Echo request or reply of ICMP or ICMPv6. */
export function isEcho(protocol: number, type: number): boolean {
  return protocol === 1 ? type === 8 || type === 0 : type === 128 || type === 129;
}

/** ICMP or ICMPv6 error messages, which carry the packet that caused them. */
export function isIcmpError(protocol: number, type: number): boolean {
  if (protocol === 1) return type === 3 || type === 4 || type === 5 || type === 11 || type === 12;
  return protocol === 58 && type < 128;
}
