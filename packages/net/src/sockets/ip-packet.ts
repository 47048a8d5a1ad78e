// Whole IP packets made by the socket layer: headroom, IP header, room for the transport; and the view of one that arrived.
// Invariant: what `ipPacket` returns is a valid packet of either family once its transport part is written; DF is set unless the
// packet may be fragmented.
import type { IpAddress } from "../codec/address.ts";
import { Ipv4 } from "../codec/ipv4.ts";
import { Ipv6 } from "../codec/ipv6.ts";
import { isMalformed } from "../codec/malformed.ts";
import { putU32 } from "../codec/numbers.ts";
import { Packet } from "../packet.ts";

export interface IpFields {
  protocol: number;
  ttl: number;
  /** 0 with DF (RFC 6864). */
  identification: number;
  dontFragment: boolean;
}

/** Length of the IP header in front of a packet between such addresses. */
export function ipHeaderLength(a: IpAddress): number {
  return typeof a === "number" ? Ipv4.HEADER : Ipv6.HEADER;
}

/** A packet with its IP header written and `length` bytes, not zeroed, for the transport behind it. */
export function ipPacket(src: IpAddress, dst: IpAddress, length: number, f: IpFields): Packet {
  if (typeof src === "number" && typeof dst === "number") {
    const p = Packet.room(Ipv4.HEADER + length);
    writeIpv4(p.data, p.start, src, dst, Ipv4.HEADER + length, f);
    return p;
  }
  const p = Packet.room(Ipv6.HEADER + length);
  Ipv6.emit(
    { src: BigInt(src), dst: BigInt(dst), trafficClass: 0, flowLabel: 0, nextHeader: f.protocol, hopLimit: f.ttl, payloadLength: length },
    p.data,
    p.start,
  );
  return p;
}

/** Ipv4.emit for the hot path: the checksum is summed from the fields, not from the bytes. */
function writeIpv4(b: Uint8Array, at: number, src: number, dst: number, total: number, f: IpFields): void {
  const flags = f.dontFragment ? 0x4000 : 0;
  const sum =
    0x4500 + total + f.identification + flags + (f.ttl << 8) + f.protocol + (src >>> 16) + (src & 0xffff) + (dst >>> 16) + (dst & 0xffff);
  const folded = (sum & 0xffff) + (sum >>> 16);
  putU32(b, at, 0x45000000 | total);
  putU32(b, at + 4, (f.identification << 16) | flags);
  putU32(b, at + 8, (f.ttl << 24) | (f.protocol << 16) | (~((folded & 0xffff) + (folded >>> 16)) & 0xffff));
  putU32(b, at + 12, src);
  putU32(b, at + 16, dst);
}

/** Where the parts of an arrived packet are. One scratch object; `readIp` fills it. */
export class IpView {
  src: IpAddress = 0;
  dst: IpAddress = 0;
  protocol = 0;
  ttl = 0;
  /** Offset of the transport header in the bytes, and the end of the packet. */
  at = 0;
  end = 0;
}

/** Reads b[start, end); returns "" or why the packet cannot be delivered. */
export function readIp(v: IpView, b: Uint8Array, start: number, end: number): string {
  if (end - start < Ipv4.HEADER) return "truncated";
  if (b[start]! >>> 4 === 4) {
    const header = Ipv4.headerLength(b, start);
    const total = Ipv4.totalLength(b, start);
    if (header < Ipv4.HEADER || total < header || start + total > end) return "truncated";
    if (Ipv4.isFragment(b, start)) return "fragment";
    v.src = Ipv4.src(b, start);
    v.dst = Ipv4.dst(b, start);
    v.protocol = b[start + 9]!;
    v.ttl = b[start + 8]!;
    v.at = start + header;
    v.end = start + total;
    return "";
  }
  const why = Ipv6.problem(b, start, end);
  if (why !== "") return why;
  v.end = start + Ipv6.HEADER + Ipv6.payloadLength(b, start);
  const t = Ipv6.transport(b, start, v.end);
  if (isMalformed(t)) return t.reason;
  if (t.protocol === Ipv6.FRAGMENT) return "fragment";
  v.src = Ipv6.src(b, start);
  v.dst = Ipv6.dst(b, start);
  v.protocol = t.protocol;
  v.ttl = b[start + 7]!;
  v.at = t.at;
  return "";
}
