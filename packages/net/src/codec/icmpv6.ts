// ICMPv6 (RFC 4443) and the addresses inside neighbour discovery (RFC 4861). The same shape as ICMP, but the checksum covers
// the pseudo header: hand in `pseudo` = pseudoSum(src, dst, 58).
// Invariant: what `problem` accepts has eight header bytes and, when `pseudo` is given, a good checksum.
import { checksum, checksumHolds } from "../checksum.ts";
import { Malformed } from "./malformed.ts";
import { putU16, putU32, u16, u32 } from "./numbers.ts";

export interface Icmpv6 {
  type: number;
  code: number;
  /** Bytes 4..7: identifier and sequence, MTU, pointer. */
  rest: number;
  body: Uint8Array;
}

const HEADER = 8;

export const Icmpv6 = {
  HEADER,
  UNREACHABLE: 1,
  PACKET_TOO_BIG: 2,
  TIME_EXCEEDED: 3,
  PARAMETER_PROBLEM: 4,
  ECHO_REQUEST: 128,
  ECHO_REPLY: 129,
  ROUTER_SOLICITATION: 133,
  ROUTER_ADVERTISEMENT: 134,
  NEIGHBOUR_SOLICITATION: 135,
  NEIGHBOUR_ADVERTISEMENT: 136,
  /** Codes of UNREACHABLE. */
  NO_ROUTE: 0,
  ADMIN_PROHIBITED: 1,
  ADDRESS_UNREACHABLE: 3,
  PORT_UNREACHABLE: 4,
  /** Codes of TIME_EXCEEDED. */
  HOP_LIMIT_EXCEEDED: 0,
  type: (b: Uint8Array, at: number): number => b[at]!,
  code: (b: Uint8Array, at: number): number => b[at + 1]!,
  identifier: (b: Uint8Array, at: number): number => u16(b, at + 4),
  sequence: (b: Uint8Array, at: number): number => u16(b, at + 6),
  /** Of PACKET_TOO_BIG. */
  mtu: (b: Uint8Array, at: number): number => u32(b, at + 4),
  isError: (type: number): boolean => type < 128,

  problem(b: Uint8Array, at: number, end: number, pseudo?: number): string {
    if (end - at < HEADER) return "truncated";
    if (b[at]! < 128 && end - at < HEADER + 40) return "error without the packet";
    return pseudo === undefined || checksumHolds(b, at, end, pseudo + (end - at)) ? "" : "bad checksum";
  },
  parse(b: Uint8Array, at: number, end: number, pseudo?: number): Icmpv6 | Malformed {
    const why = Icmpv6.problem(b, at, end, pseudo);
    if (why !== "") return new Malformed("icmpv6", why);
    return { type: b[at]!, code: b[at + 1]!, rest: u32(b, at + 4), body: b.subarray(at + HEADER, end) };
  },
  emit(m: Icmpv6, b: Uint8Array, at: number, pseudo: number): number {
    const end = at + HEADER + m.body.length;
    b.set(m.body, at + HEADER);
    b[at] = m.type;
    b[at + 1] = m.code;
    putU16(b, at + 2, 0);
    putU32(b, at + 4, m.rest);
    putU16(b, at + 2, checksum(b, at, end, pseudo + (end - at)));
    return end - at;
  },
};
