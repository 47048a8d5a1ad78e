// ARP for IPv4 over Ethernet (RFC 826). Invariant: only hardware type 1, protocol 0x0800, lengths 6 and 4 parse.
import { ipv4At, type Mac, macAt, putIpv4, putMac } from "./address.ts";
import { Malformed } from "./malformed.ts";
import { putU16, u16 } from "./numbers.ts";

export interface Arp {
  /** 1 request, 2 reply. */
  operation: number;
  senderMac: Mac;
  senderIp: number;
  targetMac: Mac;
  targetIp: number;
}

const LENGTH = 28;

export const Arp = {
  HEADER: LENGTH,
  REQUEST: 1,
  REPLY: 2,
  operation: (b: Uint8Array, at: number): number => u16(b, at + 6),
  senderMac: (b: Uint8Array, at: number): Mac => macAt(b, at + 8),
  senderIp: (b: Uint8Array, at: number): number => ipv4At(b, at + 14),
  targetMac: (b: Uint8Array, at: number): Mac => macAt(b, at + 18),
  targetIp: (b: Uint8Array, at: number): number => ipv4At(b, at + 24),

  problem(b: Uint8Array, at: number, end: number): string {
    if (end - at < LENGTH) return "truncated";
    if (u16(b, at) !== 1 || u16(b, at + 2) !== 0x0800) return "not IPv4 over Ethernet";
    if (b[at + 4] !== 6 || b[at + 5] !== 4) return "bad address length";
    const operation = u16(b, at + 6);
    return operation === 1 || operation === 2 ? "" : "unknown operation";
  },
  parse(b: Uint8Array, at: number, end: number): Arp | Malformed {
    const why = Arp.problem(b, at, end);
    if (why !== "") return new Malformed("arp", why);
    return {
      operation: u16(b, at + 6),
      senderMac: macAt(b, at + 8),
      senderIp: ipv4At(b, at + 14),
      targetMac: macAt(b, at + 18),
      targetIp: ipv4At(b, at + 24),
    };
  },
  emit(a: Arp, b: Uint8Array, at: number): number {
    putU16(b, at, 1);
    putU16(b, at + 2, 0x0800);
    b[at + 4] = 6;
    b[at + 5] = 4;
    putU16(b, at + 6, a.operation);
    putMac(b, at + 8, a.senderMac);
    putIpv4(b, at + 14, a.senderIp);
    putMac(b, at + 18, a.targetMac);
    putIpv4(b, at + 24, a.targetIp);
    return LENGTH;
  },
};
