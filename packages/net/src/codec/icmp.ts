// ICMP for IPv4 (RFC 792, RFC 1191 for the next-hop MTU). One shape for every type: type, code, the four bytes whose meaning
// depends on the type, and the body (echo data, or the packet that caused an error).
// Invariant: what `problem` accepts has eight header bytes and a good checksum; an error quotes at least an IP header.
import { checksum, checksumHolds } from "../checksum.ts";
import { Malformed } from "./malformed.ts";
import { putU16, putU32, u16, u32 } from "./numbers.ts";

export interface Icmp {
  type: number;
  code: number;
  /** Bytes 4..7: identifier and sequence, unused and next-hop MTU, pointer, gateway. */
  rest: number;
  body: Uint8Array;
}

const HEADER = 8;

export const Icmp = {
  HEADER,
  ECHO_REPLY: 0,
  UNREACHABLE: 3,
  REDIRECT: 5,
  ECHO_REQUEST: 8,
  TIME_EXCEEDED: 11,
  PARAMETER_PROBLEM: 12,
  /** Codes of UNREACHABLE. */
  NET_UNREACHABLE: 0,
  HOST_UNREACHABLE: 1,
  PROTOCOL_UNREACHABLE: 2,
  PORT_UNREACHABLE: 3,
  FRAGMENTATION_NEEDED: 4,
  ADMIN_PROHIBITED: 13,
  /** Codes of TIME_EXCEEDED. */
  TTL_EXCEEDED: 0,
  REASSEMBLY_TIME_EXCEEDED: 1,
  type: (b: Uint8Array, at: number): number => b[at]!,
  code: (b: Uint8Array, at: number): number => b[at + 1]!,
  /** Of echo messages. */
  identifier: (b: Uint8Array, at: number): number => u16(b, at + 4),
  sequence: (b: Uint8Array, at: number): number => u16(b, at + 6),
  /** Of FRAGMENTATION_NEEDED. */
  nextHopMtu: (b: Uint8Array, at: number): number => u16(b, at + 6),
  setIdentifier: (b: Uint8Array, at: number, v: number): void => putU16(b, at + 4, v),
  isError: (type: number): boolean => type === 3 || type === 4 || type === 5 || type === 11 || type === 12,

  problem(b: Uint8Array, at: number, end: number): string {
    if (end - at < HEADER) return "truncated";
    if (Icmp.isError(b[at]!) && end - at < HEADER + 20) return "error without the packet";
    return checksumHolds(b, at, end) ? "" : "bad checksum";
  },
  parse(b: Uint8Array, at: number, end: number): Icmp | Malformed {
    const why = Icmp.problem(b, at, end);
    if (why !== "") return new Malformed("icmp", why);
    return { type: b[at]!, code: b[at + 1]!, rest: u32(b, at + 4), body: b.subarray(at + HEADER, end) };
  },
  emit(m: Icmp, b: Uint8Array, at: number): number {
    const end = at + HEADER + m.body.length;
    b.set(m.body, at + HEADER);
    b[at] = m.type;
    b[at + 1] = m.code;
    putU16(b, at + 2, 0);
    putU32(b, at + 4, m.rest);
    putU16(b, at + 2, checksum(b, at, end));
    return end - at;
  },
};
