// UDP (RFC 768; RFC 8200 8.1: over IPv6 the checksum is not optional). `pseudo` = pseudoSum(src, dst, 17).
// Invariant: what `problem` accepts has 8 <= length <= the bytes there and, when `pseudo` is given, a good (or, IPv4, absent) checksum.
import { checksum, checksumHolds } from "../checksum.ts";
import { Malformed } from "./malformed.ts";
import { putU16, u16 } from "./numbers.ts";

export interface Udp {
  sport: number;
  dport: number;
  payload: Uint8Array;
}

const HEADER = 8;

export const Udp = {
  HEADER,
  SPORT: 0,
  DPORT: 2,
  LENGTH: 4,
  CHECKSUM: 6,
  sport: (b: Uint8Array, at: number): number => u16(b, at),
  dport: (b: Uint8Array, at: number): number => u16(b, at + 2),
  length: (b: Uint8Array, at: number): number => u16(b, at + 4),
  checksum: (b: Uint8Array, at: number): number => u16(b, at + 6),
  setSport: (b: Uint8Array, at: number, v: number): void => putU16(b, at, v),
  setDport: (b: Uint8Array, at: number, v: number): void => putU16(b, at + 2, v),

  problem(b: Uint8Array, at: number, end: number, pseudo?: number): string {
    if (end - at < HEADER) return "truncated";
    const length = u16(b, at + 4);
    if (length < HEADER) return "bad length";
    if (length > end - at) return "truncated";
    if (pseudo === undefined || u16(b, at + 6) === 0) return "";
    return checksumHolds(b, at, at + length, pseudo + length) ? "" : "bad checksum";
  },
  parse(b: Uint8Array, at: number, end: number, pseudo?: number): Udp | Malformed {
    const why = Udp.problem(b, at, end, pseudo);
    if (why !== "") return new Malformed("udp", why);
    return { sport: u16(b, at), dport: u16(b, at + 2), payload: b.subarray(at + HEADER, at + u16(b, at + 4)) };
  },
  /** Writes header and payload. Without `pseudo` the checksum field says "none" (VXLAN's outer header, RFC 7348 5). */
  emit(u: Udp, b: Uint8Array, at: number, pseudo?: number): number {
    const length = HEADER + u.payload.length;
    b.set(u.payload, at + HEADER);
    putU16(b, at, u.sport);
    putU16(b, at + 2, u.dport);
    putU16(b, at + 4, length);
    putU16(b, at + 6, 0);
    if (pseudo !== undefined) putU16(b, at + 6, checksum(b, at, at + length, pseudo + length) || 0xffff);
    return length;
  },
};
