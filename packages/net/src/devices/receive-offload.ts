// Generic receive offload: TCP segments of one flow that follow each other within one message of the wire become one packet that stands
// for them (gsoSize), so that the node's whole path is walked once for many. As Linux's tcp_gro_receive, inside VXLAN too.
// Invariant: only what differs in sequence number, length, checksum, IP identification and PSH is joined, in order and without a hole; the
// joined checksum is computed from the segments' own fields, so that damage to any of them is still seen by the receiver; packets keep
// their order within a flow, and none stays here past the end of its message.
import { fold, sumBytes } from "../checksum.ts";
import { u16, u32 } from "../codec/numbers.ts";
import { HEADROOM, Packet } from "../packet.ts";
import { copyBytes } from "../packet-memory.ts";

/** Payload of a joined packet; with its headers it fits a large slot. */
const MAX_PAYLOAD = 32_000;
/** Smaller segments are no bulk transfer: they are not held. */
const MIN_PAYLOAD = 512;
/** Flows that are joined at a time. */
const MAX_HELD = 4;
const ETHERNET = 14;
/** Outer Ethernet 14, IPv4 20, UDP 8, VXLAN 8, inner Ethernet 14. */
const INNER_IP = 64;
const VXLAN_PORT = 4789;
const ACK = 0x10;
const PSH = 0x08;

/** Where things are in a frame that can be joined. */
interface Layout {
  /** Offset of the (inner) IP header. */
  ip: number;
  tcp: number;
  payload: number;
  end: number;
}

interface Held {
  p: Packet;
  layout: Layout;
  nextSeq: number;
  /** Payload of every segment but the last. */
  segment: number;
  count: number;
  /** Sum of all payloads, as the segments' checksums claim it. */
  sum: number;
  push: boolean;
}

const at: Layout = { ip: 0, tcp: 0, payload: 0, end: 0 };

export class ReceiveOffload {
  private readonly deliver: (p: Packet) => void;
  private held: Held[] = [];
  /** Segments taken, and packets they became. */
  readonly counters = { segments: 0, packets: 0 };

  constructor(deliver: (p: Packet) => void) {
    this.deliver = deliver;
  }

  /** True: the frame is copied and will be delivered by `flush` at the latest. False: it is the caller's, everything before it is delivered. */
  add(b: Uint8Array): boolean {
    if (!layoutOf(b)) {
      this.flush();
      return false;
    }
    for (const h of this.held) {
      if (!sameFlow(h, b)) continue;
      if (this.join(h, b)) return true;
      this.release(h);
      return this.hold(b);
    }
    return this.hold(b);
  }

  /** The message ends: what is held goes on. */
  flush(): void {
    const { held } = this;
    if (held.length === 0) return;
    this.held = [];
    for (const h of held) this.send(h);
  }

  private release(h: Held): void {
    this.held.splice(this.held.indexOf(h), 1);
    this.send(h);
  }

  private hold(b: Uint8Array): boolean {
    const segment = at.end - at.payload;
    if (segment < MIN_PAYLOAD || (b[at.tcp + 13]! & PSH) !== 0 || (segment & 1) !== 0 || segment * 2 > MAX_PAYLOAD) return false;
    if (this.held.length >= MAX_HELD) this.release(this.held[0] as Held);
    const p = Packet.room(at.payload + MAX_PAYLOAD);
    copyBytes(p.data, HEADROOM, b, 0, at.end);
    p.end = HEADROOM + at.end;
    this.held.push({
      p,
      layout: { ...at },
      nextSeq: (u32(b, at.tcp + 4) + segment) | 0,
      segment,
      count: 1,
      sum: claimedSum(b, segment),
      push: false,
    });
    this.counters.segments++;
    return true;
  }

  private join(h: Held, b: Uint8Array): boolean {
    const n = at.end - at.payload;
    const { p } = h;
    if (n > h.segment || (u32(b, at.tcp + 4) | 0) !== h.nextSeq || p.end - HEADROOM - h.layout.payload + n > MAX_PAYLOAD) return false;
    if (!sameHeaders(h, b)) return false;
    copyBytes(p.data, p.end, b, at.payload, n);
    p.end += n;
    h.nextSeq = (h.nextSeq + n) | 0;
    h.count++;
    h.sum += claimedSum(b, n);
    h.push = (b[at.tcp + 13]! & PSH) !== 0;
    this.counters.segments++;
    // A short or pushed segment is the last of its burst.
    if (h.push || n < h.segment) this.release(h);
    return true;
  }

  private send(h: Held): void {
    if (h.count > 1) finish(h);
    this.counters.packets++;
    this.deliver(h.p);
  }
}

/** Fills in `at`; false when the frame is no TCP data segment with nothing but ACK and PSH, bare or in VXLAN over IPv4. */
function layoutOf(b: Uint8Array): boolean {
  let ip = ETHERNET;
  if (b.length > INNER_IP + 40 && b[12] === 8 && b[13] === 0 && b[14] === 0x45 && b[23] === 17 && u16(b, 36) === VXLAN_PORT) {
    if (
      !headerHolds(b, ETHERNET) ||
      (u16(b, 20) & 0x3fff) !== 0 ||
      u16(b, 40) !== 0 ||
      u16(b, 16) !== b.length - ETHERNET ||
      u16(b, 38) !== b.length - 34
    )
      return false;
    ip = INNER_IP;
  }
  if (b.length < ip + 40) return false;
  const type = u16(b, ip - 2);
  let tcp: number;
  if (type === 0x0800) {
    if (b[ip] !== 0x45 || !headerHolds(b, ip) || b[ip + 9] !== 6 || (u16(b, ip + 6) & 0x3fff) !== 0 || u16(b, ip + 2) !== b.length - ip)
      return false;
    tcp = ip + 20;
  } else if (type === 0x86dd) {
    if (b[ip]! >> 4 !== 6 || b[ip + 6] !== 6 || u16(b, ip + 4) !== b.length - ip - 40) return false;
    tcp = ip + 40;
  } else return false;
  if (b.length < tcp + 20) return false;
  const header = (b[tcp + 12]! >> 4) * 4;
  if (header < 20 || (b[tcp + 13]! & ~PSH) !== ACK || tcp + header >= b.length) return false;
  at.ip = ip;
  at.tcp = tcp;
  at.payload = tcp + header;
  at.end = b.length;
  return true;
}

function sameFlow(h: Held, b: Uint8Array): boolean {
  const { layout, p } = h;
  if (layout.ip !== at.ip || layout.payload !== at.payload) return false;
  // Addresses stand right before the ports in both families.
  return equal(p.data, b, at.tcp - (at.tcp - at.ip === 20 ? 8 : 32), at.tcp + 4) && (at.ip === ETHERNET || equal(p.data, b, 42, INNER_IP));
}

/** Everything that may not differ between joined segments. */
function sameHeaders(h: Held, b: Uint8Array): boolean {
  const d = h.p.data;
  const { ip, tcp, payload } = at;
  const net =
    tcp - ip === 20 ? equal(d, b, ip, ip + 2) && equal(d, b, ip + 6, ip + 10) : equal(d, b, ip, ip + 4) && equal(d, b, ip + 6, ip + 8);
  return (
    net &&
    (ip === ETHERNET || (equal(d, b, 26, 38) && b[22] === d[HEADROOM + 22])) &&
    equal(d, b, tcp + 8, tcp + 13) &&
    equal(d, b, tcp + 14, tcp + 16) &&
    equal(d, b, tcp + 18, payload)
  );
}

/** b[from, to) against the held packet's bytes at the same place. */
function equal(held: Uint8Array, b: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (held[HEADROOM + i] !== b[i]) return false;
  return true;
}

/** The payload's sum, were the segment's checksum right: what is missing to make everything before it add up to 0xffff. */
function claimedSum(b: Uint8Array, payloadBytes: number): number {
  const { ip, tcp, payload } = at;
  const addresses = tcp - ip === 20 ? ip + 12 : ip + 8;
  return ~fold(sumBytes(b, addresses, payload, 6 + (payload - tcp) + payloadBytes)) & 0xffff;
}

/** Lengths and checksums of the joined packet. */
function finish(h: Held): void {
  const { p, layout } = h;
  const b = p.data;
  const o = HEADROOM;
  const length = p.end - o;
  const { ip, tcp, payload } = layout;
  if (ip === INNER_IP) {
    put16(b, o + 16, length - ETHERNET);
    headerChecksum(b, o + ETHERNET);
    put16(b, o + 38, length - 34);
  }
  if (tcp - ip === 20) {
    put16(b, o + ip + 2, length - ip);
    headerChecksum(b, o + ip);
  } else put16(b, o + ip + 4, length - ip - 40);
  if (h.push) b[o + tcp + 13] = b[o + tcp + 13]! | PSH;
  put16(b, o + tcp + 16, 0);
  const addresses = tcp - ip === 20 ? ip + 12 : ip + 8;
  put16(b, o + tcp + 16, ~fold(sumBytes(b, o + addresses, o + payload, 6 + (length - tcp)) + h.sum) & 0xffff);
  p.gsoSize = h.segment;
}

/** Its checksum will be written anew, so it must be right. */
function headerHolds(b: Uint8Array, from: number): boolean {
  return fold(sumBytes(b, from, from + 20)) === 0xffff;
}

function headerChecksum(b: Uint8Array, from: number): void {
  put16(b, from + 10, 0);
  put16(b, from + 10, ~fold(sumBytes(b, from, from + 20)) & 0xffff);
}

function put16(b: Uint8Array, i: number, value: number): void {
  b[i] = value >>> 8;
  b[i + 1] = value;
}
