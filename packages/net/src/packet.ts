// A packet under way: bytes with headroom, so that a header is pushed or pulled without a copy (Linux's sk_buff).
// Invariant: 0 <= start <= end <= data.length. Who holds a Packet owns it: handing it on gives it away; `clone` copies. Where a
// packet ends (delivered, sent, dropped), `release` gives its memory back; a packet that is only forgotten costs a slot until the
// garbage collector finds it.
import { copyBytes, giveBackBytes, takeBytes } from "./packet-memory.ts";

/** Room in front of an IP packet for: inner Ethernet 14, VXLAN 8, UDP 8, IPv6 40, outer Ethernet 14. */
export const HEADROOM = 96;

const RELEASED = new Uint8Array(0);

export class Packet {
  data: Uint8Array;
  start: number;
  end: number;
  /** TCP payload bytes per segment when this packet stands for several (GSO); 0 when it is one packet. */
  gsoSize = 0;
  /** Netfilter mark (uint32). */
  mark = 0;
  /** Name of the device it came in by, "" when it was made here. */
  inDevice = "";
  /** Connection-tracking entry, set by the conntrack hook; owned by conntrack. */
  ct: unknown = null;
  /** 0, or the number of the trace that follows it; survives the wire. */
  traceId = 0;
  /** Position among the trace's points, counted up at each point; survives the wire. */
  traceHop = 0;

  constructor(data: Uint8Array, start: number, end: number) {
    this.data = data;
    this.start = start;
    this.end = end;
  }

  /** A packet with `length` zero bytes for an IP packet behind HEADROOM. */
  static alloc(length: number): Packet {
    const p = Packet.room(length);
    p.data.fill(0, 0, p.end);
    return p;
  }

  /** As alloc, but the bytes are whatever was there: for those who write every one. */
  static room(length: number): Packet {
    return new Packet(takeBytes(HEADROOM + length), HEADROOM, HEADROOM + length);
  }

  /** Copies `bytes` behind fresh headroom. */
  static from(bytes: Uint8Array): Packet {
    const p = Packet.room(bytes.length);
    p.data.set(bytes, p.start);
    return p;
  }

  /** The packet ends here: its memory may be used again. Nothing may read it afterwards; a second call does nothing. */
  release(): void {
    const data = this.data;
    this.data = RELEASED;
    this.start = 0;
    this.end = 0;
    giveBackBytes(data);
  }

  get length(): number {
    return this.end - this.start;
  }

  /** The bytes now; a view, not a copy. */
  bytes(): Uint8Array {
    return this.data.subarray(this.start, this.end);
  }

  /** Makes room for `n` bytes in front and returns the new start. Reallocates when the headroom is used up. */
  push(n: number): number {
    if (this.start < n) {
      const grown = takeBytes(HEADROOM + n + this.length);
      copyBytes(grown, HEADROOM + n, this.data, this.start, this.length);
      giveBackBytes(this.data);
      this.end = HEADROOM + n + this.length;
      this.start = HEADROOM + n;
      this.data = grown;
    }
    this.start -= n;
    return this.start;
  }

  /** Drops `n` bytes in front and returns the new start. */
  pull(n: number): number {
    this.start += n;
    return this.start;
  }

  clone(): Packet {
    const p = Packet.room(this.length);
    copyBytes(p.data, p.start, this.data, this.start, this.length);
    p.gsoSize = this.gsoSize;
    p.mark = this.mark;
    p.inDevice = this.inDevice;
    p.traceId = this.traceId;
    p.traceHop = this.traceHop;
    return p;
  }
}
