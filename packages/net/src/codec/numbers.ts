// Big-endian fields (network byte order, RFC 791 appendix B) and the protocol numbers of IANA that this stack knows.
// Invariant: readers return unsigned numbers; writers keep the low bits. No bounds are checked here: the codecs' `problem`
// functions do that once per packet.

/** 2 bytes, big-endian. */
export function u16(b: Uint8Array, at: number): number {
  return (b[at]! << 8) | b[at + 1]!;
}

/** 3 bytes, big-endian. */
export function u24(b: Uint8Array, at: number): number {
  return (b[at]! << 16) | (b[at + 1]! << 8) | b[at + 2]!;
}

/** 4 bytes, big-endian, unsigned. */
export function u32(b: Uint8Array, at: number): number {
  return ((b[at]! << 24) | (b[at + 1]! << 16) | (b[at + 2]! << 8) | b[at + 3]!) >>> 0;
}

/** Writes 2 bytes, big-endian. */
export function putU16(b: Uint8Array, at: number, v: number): void {
  b[at] = v >>> 8;
  b[at + 1] = v;
}

/** Writes 3 bytes, big-endian. */
export function putU24(b: Uint8Array, at: number, v: number): void {
  b[at] = v >>> 16;
  b[at + 1] = v >>> 8;
  b[at + 2] = v;
}

/** Writes 4 bytes, big-endian. */
export function putU32(b: Uint8Array, at: number, v: number): void {
  b[at] = v >>> 24;
  b[at + 1] = v >>> 16;
  b[at + 2] = v >>> 8;
  b[at + 3] = v;
}

export const EtherType = { IPV4: 0x0800, ARP: 0x0806, VLAN: 0x8100, IPV6: 0x86dd } as const;

export const IpProtocol = { ICMP: 1, TCP: 6, UDP: 17, ICMPV6: 58, SCTP: 132 } as const;

/** "tcp", "udp", ... as trace points and rules write them; the number as text when it has no name here. */
export function protocolName(protocol: number): string {
  switch (protocol) {
    case IpProtocol.ICMP:
      return "icmp";
    case IpProtocol.TCP:
      return "tcp";
    case IpProtocol.UDP:
      return "udp";
    case IpProtocol.ICMPV6:
      return "icmpv6";
    case IpProtocol.SCTP:
      return "sctp";
    default:
      return String(protocol);
  }
}
