// SYN cookies: when a listener's backlog is full, the answer to a SYN carries in its numbers what would have been remembered, and the
// connection is made from the peer's acknowledgement (RFC 4987 3.6; the layout of the time stamp's low bits is Linux's idea).
// Invariant: no memory is kept for a SYN answered so; a cookie is good for its addresses, ports and about two minutes. The hash is keyed
// but not cryptographic: it stops floods in a simulated network, not an adversary who studies it.
import type { IpAddress } from "../codec/address.ts";
import type { Segment } from "./segment.ts";

/** Three bits of the cookie choose one of these: the largest not above the peer's. */
const MSS_TABLE = [216, 536, 1024, 1220, 1360, 1388, 1440, 1460] as const;
/** The count that ages cookies goes up this often; the last two values are believed. */
const COUNT_MS = 64_000;
/** Low bits of the time stamp: window scale (15 none), SACK. */
const STAMP_BITS = 5;
const NO_SCALE = 15;

export interface CookiePeer {
  local: IpAddress;
  localPort: number;
  remote: IpAddress;
  remotePort: number;
}

export class SynCookies {
  readonly #keys: readonly [number, number];

  constructor(keys: readonly [number, number]) {
    this.#keys = keys;
  }

  /** The initial sequence number that answers `syn`. */
  make(peer: CookiePeer, syn: Segment, nowMs: number): number {
    let index = 0;
    while (index < 7 && MSS_TABLE[index + 1]! <= Math.max(syn.mss, MSS_TABLE[0])) index++;
    const count = Math.floor(nowMs / COUNT_MS) & 31;
    return (count << 27) | (index << 24) | this.#hash(peer, syn.seq, count, index) | 0;
  }

  /** The MSS that the cookie acknowledged by `ack` remembers; -1 when it is none of ours. */
  check(peer: CookiePeer, ack: Segment, nowMs: number): number {
    const cookie = (ack.ack - 1) | 0;
    const count = cookie >>> 27;
    const index = (cookie >>> 24) & 7;
    const age = (Math.floor(nowMs / COUNT_MS) - count) & 31;
    if (age > 1 || (cookie & 0xffffff) !== this.#hash(peer, (ack.seq - 1) | 0, count, index)) return -1;
    return MSS_TABLE[index]!;
  }

  #hash(p: CookiePeer, irs: number, count: number, index: number): number {
    let h = this.#keys[0];
    for (const word of [
      ...words(p.local),
      ...words(p.remote),
      (p.localPort << 16) | p.remotePort,
      irs,
      (count << 3) | index,
      this.#keys[1],
    ]) {
      h = Math.imul(h ^ word, 0x9e3779b1);
      h = Math.imul(h ^ (h >>> 15), 0x85ebca6b) ^ (h >>> 13);
    }
    return h & 0xffffff;
  }
}

function words(a: IpAddress): number[] {
  return typeof a === "number" ? [a | 0] : [0n, 32n, 64n, 96n].map((shift) => Number((a >> shift) & 0xffffffffn) | 0);
}

/** A time stamp not above `stamp` whose low bits say what the peer's SYN offered. */
export function stampWithOptions(stamp: number, syn: Segment): number {
  const bits = (syn.windowScale >= 0 ? Math.min(syn.windowScale, 14) : NO_SCALE) | (syn.sackPermitted ? 16 : 0);
  const low = (1 << STAMP_BITS) - 1;
  const made = (stamp & ~low) | bits;
  return ((made - stamp) | 0) > 0 ? (made - low - 1) | 0 : made;
}

/** Turns the peer's acknowledgement of a cookie into the SYN it answers: sequence number, MSS and, by the echoed stamp, options. */
export function synOfCookie(into: Segment, ack: Segment, mss: number): void {
  into.seq = (ack.seq - 1) | 0;
  into.ack = 0;
  into.flags = 2;
  into.window = ack.window;
  into.mss = mss;
  into.hasTimestamp = ack.hasTimestamp;
  into.tsValue = ack.tsValue;
  into.tsEcho = 0;
  into.sackCount = 0;
  const scale = ack.tsEcho & 15;
  into.windowScale = ack.hasTimestamp && scale !== NO_SCALE ? scale : -1;
  into.sackPermitted = ack.hasTimestamp && (ack.tsEcho & 16) !== 0;
  into.from = into.to;
}
