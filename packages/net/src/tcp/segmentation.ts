// Segmentation in software: a packet that stands for several (gsoSize > 0) becomes the packets it stands for, for captures and for
// links that carry nothing larger than their MTU. Inner and outer headers of VXLAN are both rewritten (Linux: skb_gso_segment).
// Invariant: the payloads of the pieces, joined, are the payload of the whole; every checksum and length in a piece is right.
import { checksum, pseudoSumAt } from "../checksum.ts";
import { Ethernet } from "../codec/ethernet.ts";
import { Ipv4 } from "../codec/ipv4.ts";
import { Ipv6 } from "../codec/ipv6.ts";
import { EtherType, IpProtocol, putU16, putU32, u16, u32 } from "../codec/numbers.ts";
import { Tcp, TcpFlag } from "../codec/tcp.ts";
import { Udp } from "../codec/udp.ts";
import { Vxlan } from "../codec/vxlan.ts";

/** Where the headers of a packet are; `outer*` are -1 without a tunnel. */
interface Layout {
  outerIp: number;
  outerUdp: number;
  ip: number;
  tcp: number;
  payload: number;
  end: number;
}

/** Calls `emit` with each piece, a fresh array. `start` is an Ethernet header when `ethernet`, else an IP header. A packet that is
 *  no TCP packet, or needs no cutting, is handed over whole. */
export function segmentPacket(
  b: Uint8Array,
  start: number,
  end: number,
  ethernet: boolean,
  gsoSize: number,
  emit: (piece: Uint8Array) => void,
): void {
  const at = gsoSize > 0 ? layoutOf(b, start, end, ethernet) : null;
  if (at === null || at.end - at.payload <= gsoSize) {
    emit(b.slice(start, end));
    return;
  }
  const headers = at.payload - start;
  const total = at.end - at.payload;
  for (let offset = 0, i = 0; offset < total; offset += gsoSize, i++) {
    const n = Math.min(gsoSize, total - offset);
    const piece = new Uint8Array(headers + n);
    piece.set(b.subarray(start, at.payload), 0);
    piece.set(b.subarray(at.payload + offset, at.payload + offset + n), headers);
    finishTcp(piece, at.ip - start, at.tcp - start, offset, i, offset + n === total);
    if (at.outerIp >= 0) finishOuter(piece, at.outerIp - start, at.outerUdp - start, i);
    emit(piece);
  }
}

function layoutOf(b: Uint8Array, start: number, end: number, ethernet: boolean): Layout | null {
  let ip = start;
  if (ethernet) {
    if (end - start < Ethernet.HEADER) return null;
    const type = Ethernet.type(b, start);
    if (type !== EtherType.IPV4 && type !== EtherType.IPV6) return null;
    ip = start + Ethernet.HEADER;
  }
  const outer = transportOf(b, ip, end);
  if (outer === null) return null;
  if (outer.protocol === IpProtocol.TCP) return tcpLayout(b, -1, -1, ip, outer.at, outer.end);
  if (outer.protocol !== IpProtocol.UDP || outer.end - outer.at < Udp.HEADER || Udp.dport(b, outer.at) !== Vxlan.PORT) return null;
  const inner = outer.at + Udp.HEADER + Vxlan.HEADER + Ethernet.HEADER;
  const t = transportOf(b, inner, outer.end);
  return t === null || t.protocol !== IpProtocol.TCP ? null : tcpLayout(b, ip, outer.at, inner, t.at, t.end);
}

function tcpLayout(b: Uint8Array, outerIp: number, outerUdp: number, ip: number, tcp: number, end: number): Layout | null {
  return Tcp.problem(b, tcp, end) === "" ? { outerIp, outerUdp, ip, tcp, payload: tcp + Tcp.headerLength(b, tcp), end } : null;
}

function transportOf(b: Uint8Array, ip: number, end: number): { protocol: number; at: number; end: number } | null {
  if (end - ip < Ipv4.HEADER) return null;
  if (b[ip]! >>> 4 === 4) {
    if (Ipv4.isFragment(b, ip) || ip + Ipv4.totalLength(b, ip) > end) return null;
    return { protocol: Ipv4.protocol(b, ip), at: ip + Ipv4.headerLength(b, ip), end: ip + Ipv4.totalLength(b, ip) };
  }
  if (Ipv6.problem(b, ip, end) !== "") return null;
  return { protocol: Ipv6.nextHeader(b, ip), at: ip + Ipv6.HEADER, end: ip + Ipv6.HEADER + Ipv6.payloadLength(b, ip) };
}

function finishTcp(b: Uint8Array, ip: number, tcp: number, offset: number, index: number, last: boolean): void {
  putU32(b, tcp + Tcp.SEQ, (u32(b, tcp + Tcp.SEQ) + offset) | 0);
  if (!last) b[tcp + Tcp.FLAGS]! &= ~(TcpFlag.FIN | TcpFlag.PSH);
  if (index > 0) b[tcp + Tcp.FLAGS]! &= ~TcpFlag.CWR;
  finishIp(b, ip, index);
  putU16(b, tcp + Tcp.CHECKSUM, 0);
  putU16(b, tcp + Tcp.CHECKSUM, checksum(b, tcp, b.length, pseudoSumAt(b, ip, IpProtocol.TCP) + b.length - tcp));
}

function finishOuter(b: Uint8Array, ip: number, udp: number, index: number): void {
  finishIp(b, ip, index);
  const length = b.length - udp;
  putU16(b, udp + Udp.LENGTH, length);
  if (Udp.checksum(b, udp) === 0) return;
  putU16(b, udp + Udp.CHECKSUM, 0);
  putU16(b, udp + Udp.CHECKSUM, checksum(b, udp, b.length, pseudoSumAt(b, ip, IpProtocol.UDP) + length) || 0xffff);
}

function finishIp(b: Uint8Array, ip: number, index: number): void {
  if (b[ip]! >>> 4 === 6) {
    Ipv6.setPayloadLength(b, ip, b.length - ip - Ipv6.HEADER);
    return;
  }
  Ipv4.setTotalLength(b, ip, b.length - ip);
  Ipv4.setIdentification(b, ip, (u16(b, ip + 4) + index) & 0xffff);
  Ipv4.seal(b, ip);
}
