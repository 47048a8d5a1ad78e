// IPv6 (RFC 8200) with the extension headers that a host must step over: hop-by-hop, routing, destination options, fragment.
// Invariant: what `problem` accepts has a whole fixed header and a payload length that the bytes hold.
import { ipv6At, putIpv6 } from "./address.ts";
import { Malformed } from "./malformed.ts";
import { putU16, putU32, u16 } from "./numbers.ts";

export interface Ipv6 {
  src: bigint;
  dst: bigint;
  trafficClass: number;
  flowLabel: number;
  nextHeader: number;
  hopLimit: number;
  /** Everything behind the 40 bytes. */
  payloadLength: number;
}

const HEADER = 40;
/** A chain longer than this is an attack, not a packet. */
const MAX_EXTENSION_HEADERS = 8;
const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const DESTINATION_OPTIONS = 60;

export const Ipv6 = {
  HEADER,
  PAYLOAD_LENGTH: 4,
  NEXT_HEADER: 6,
  HOP_LIMIT: 7,
  SRC: 8,
  DST: 24,
  FRAGMENT,
  MIN_MTU: 1280,
  payloadLength: (b: Uint8Array, at: number): number => u16(b, at + 4),
  nextHeader: (b: Uint8Array, at: number): number => b[at + 6]!,
  hopLimit: (b: Uint8Array, at: number): number => b[at + 7]!,
  src: (b: Uint8Array, at: number): bigint => ipv6At(b, at + 8),
  dst: (b: Uint8Array, at: number): bigint => ipv6At(b, at + 24),
  setPayloadLength: (b: Uint8Array, at: number, v: number): void => putU16(b, at + 4, v),
  setHopLimit: (b: Uint8Array, at: number, v: number): void => void (b[at + 7] = v),
  setSrc: (b: Uint8Array, at: number, v: bigint): void => putIpv6(b, at + 8, v),
  setDst: (b: Uint8Array, at: number, v: bigint): void => putIpv6(b, at + 24, v),

  problem(b: Uint8Array, at: number, end: number): string {
    if (end - at < HEADER) return "truncated";
    if (b[at]! >>> 4 !== 6) return "bad version";
    return HEADER + u16(b, at + 4) > end - at ? "truncated" : "";
  },
  parse(b: Uint8Array, at: number, end: number): Ipv6 | Malformed {
    const why = Ipv6.problem(b, at, end);
    if (why !== "") return new Malformed("ipv6", why);
    return {
      src: ipv6At(b, at + 8),
      dst: ipv6At(b, at + 24),
      trafficClass: ((b[at]! & 15) << 4) | (b[at + 1]! >>> 4),
      flowLabel: ((b[at + 1]! & 15) << 16) | u16(b, at + 2),
      nextHeader: b[at + 6]!,
      hopLimit: b[at + 7]!,
      payloadLength: u16(b, at + 4),
    };
  },
  emit(h: Ipv6, b: Uint8Array, at: number): number {
    putU32(b, at, (6 << 28) | ((h.trafficClass & 255) << 20) | (h.flowLabel & 0xfffff));
    putU16(b, at + 4, h.payloadLength);
    b[at + 6] = h.nextHeader;
    b[at + 7] = h.hopLimit;
    putIpv6(b, at + 8, h.src);
    putIpv6(b, at + 24, h.dst);
    return HEADER;
  },
  /** Walks the extension headers to the transport: its protocol and offset; protocol 44 at the fragment header when it is one. */
  transport(b: Uint8Array, at: number, end: number): { protocol: number; at: number } | Malformed {
    let protocol = b[at + 6]!;
    let here = at + HEADER;
    for (let i = 0; i < MAX_EXTENSION_HEADERS; i++) {
      if (protocol !== HOP_BY_HOP && protocol !== ROUTING && protocol !== DESTINATION_OPTIONS) return { protocol, at: here };
      if (end - here < 8) return new Malformed("ipv6", "truncated");
      const length = (b[here + 1]! + 1) << 3;
      if (length > end - here) return new Malformed("ipv6", "truncated");
      protocol = b[here]!;
      here += length;
    }
    return new Malformed("ipv6", "too many extension headers");
  },
};
