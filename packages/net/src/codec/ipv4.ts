// IPv4 (RFC 791, RFC 6864 for the identification field, RFC 3168 for ECN). Options are skipped, never acted on.
// Invariant: what `problem` accepts has a whole header with a good checksum, and headerLength <= totalLength <= the bytes there.
import { checksum, checksumHolds } from "../checksum.ts";
import { ipv4At, putIpv4 } from "./address.ts";
import { Malformed } from "./malformed.ts";
import { putU16, u16 } from "./numbers.ts";

export interface Ipv4 {
  src: number;
  dst: number;
  protocol: number;
  ttl: number;
  /** DSCP and ECN. */
  tos: number;
  identification: number;
  dontFragment: boolean;
  moreFragments: boolean;
  /** In bytes. */
  fragmentOffset: number;
  /** 20..60; emit always writes 20. */
  headerLength: number;
  /** Header and payload. */
  totalLength: number;
}

const HEADER = 20;

export const Ipv4 = {
  HEADER,
  TOTAL_LENGTH: 2,
  TTL: 8,
  PROTOCOL: 9,
  CHECKSUM: 10,
  SRC: 12,
  DST: 16,
  DEFAULT_TTL: 64,
  headerLength: (b: Uint8Array, at: number): number => (b[at]! & 15) << 2,
  tos: (b: Uint8Array, at: number): number => b[at + 1]!,
  totalLength: (b: Uint8Array, at: number): number => u16(b, at + 2),
  identification: (b: Uint8Array, at: number): number => u16(b, at + 4),
  dontFragment: (b: Uint8Array, at: number): boolean => (b[at + 6]! & 0x40) !== 0,
  /** True for every piece of a fragmented datagram, the first and the last too. */
  isFragment: (b: Uint8Array, at: number): boolean => (u16(b, at + 6) & 0x3fff) !== 0,
  /** In bytes. */
  fragmentOffset: (b: Uint8Array, at: number): number => (u16(b, at + 6) & 0x1fff) << 3,
  ttl: (b: Uint8Array, at: number): number => b[at + 8]!,
  protocol: (b: Uint8Array, at: number): number => b[at + 9]!,
  checksum: (b: Uint8Array, at: number): number => u16(b, at + 10),
  src: (b: Uint8Array, at: number): number => ipv4At(b, at + 12),
  dst: (b: Uint8Array, at: number): number => ipv4At(b, at + 16),
  /** Setters do not touch the checksum; use checksum.ts' patches, or `seal`. */
  setTotalLength: (b: Uint8Array, at: number, v: number): void => putU16(b, at + 2, v),
  setIdentification: (b: Uint8Array, at: number, v: number): void => putU16(b, at + 4, v),
  setTtl: (b: Uint8Array, at: number, v: number): void => void (b[at + 8] = v),
  setSrc: (b: Uint8Array, at: number, v: number): void => putIpv4(b, at + 12, v),
  setDst: (b: Uint8Array, at: number, v: number): void => putIpv4(b, at + 16, v),
  /** Recomputes the header checksum. */
  seal(b: Uint8Array, at: number): void {
    putU16(b, at + 10, 0);
    putU16(b, at + 10, checksum(b, at, at + ((b[at]! & 15) << 2)));
  },

  problem(b: Uint8Array, at: number, end: number): string {
    if (end - at < HEADER) return "truncated";
    if (b[at]! >>> 4 !== 4) return "bad version";
    const headerLength = (b[at]! & 15) << 2;
    if (headerLength < HEADER) return "bad header length";
    const totalLength = u16(b, at + 2);
    if (totalLength < headerLength) return "bad total length";
    if (totalLength > end - at) return "truncated";
    return checksumHolds(b, at, at + headerLength) ? "" : "bad checksum";
  },
  parse(b: Uint8Array, at: number, end: number): Ipv4 | Malformed {
    const why = Ipv4.problem(b, at, end);
    if (why !== "") return new Malformed("ipv4", why);
    const fragment = u16(b, at + 6);
    return {
      src: ipv4At(b, at + 12),
      dst: ipv4At(b, at + 16),
      protocol: b[at + 9]!,
      ttl: b[at + 8]!,
      tos: b[at + 1]!,
      identification: u16(b, at + 4),
      dontFragment: (fragment & 0x4000) !== 0,
      moreFragments: (fragment & 0x2000) !== 0,
      fragmentOffset: (fragment & 0x1fff) << 3,
      headerLength: (b[at]! & 15) << 2,
      totalLength: u16(b, at + 2),
    };
  },
  /** Writes a 20-byte header with its checksum; returns 20. `headerLength` of the meaning is not used. */
  emit(h: Omit<Ipv4, "headerLength">, b: Uint8Array, at: number): number {
    b[at] = 0x45;
    b[at + 1] = h.tos;
    putU16(b, at + 2, h.totalLength);
    putU16(b, at + 4, h.identification);
    putU16(b, at + 6, (h.dontFragment ? 0x4000 : 0) | (h.moreFragments ? 0x2000 : 0) | (h.fragmentOffset >>> 3));
    b[at + 8] = h.ttl;
    b[at + 9] = h.protocol;
    putIpv4(b, at + 12, h.src);
    putIpv4(b, at + 16, h.dst);
    Ipv4.seal(b, at);
    return HEADER;
  },
};
