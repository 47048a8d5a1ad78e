// Whole IP packets made by the socket layer: headroom, IP header, room for the transport; and the view of one that arrived.
// Invariant: what `ipPacket` returns is a valid packet of either family once its transport part is written; DF is set unless the
// packet may be fragmented.
import type { IpAddress } from "../codec/address.ts";
import { Ipv4 } from "../codec/ipv4.ts";
import { Ipv6 } from "../codec/ipv6.ts";
import { isMalformed } from "../codec/malformed.ts";
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
    Ipv4.emit(
      {
        src,
        dst,
        protocol: f.protocol,
        ttl: f.ttl,
        tos: 0,
        identification: f.identification,
        dontFragment: f.dontFragment,
        moreFragments: false,
        fragmentOffset: 0,
        totalLength: Ipv4.HEADER + length,
      },
      p.data,
      p.start,
    );
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
