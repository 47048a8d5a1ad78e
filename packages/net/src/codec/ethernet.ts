// Ethernet II framing (IEEE 802.3 clause 3, type field). No FCS: the wire below us has its own integrity.
// Invariant: a parsed frame has its 14 header bytes; the payload is everything behind them.
import { type Mac, macAt, putMac } from "./address.ts";
import { Malformed } from "./malformed.ts";
import { putU16, u16 } from "./numbers.ts";

export interface Ethernet {
  dst: Mac;
  src: Mac;
  /** EtherType. */
  type: number;
}

const HEADER = 14;

export const Ethernet = {
  HEADER,
  DST: 0,
  SRC: 6,
  TYPE: 12,
  dst: (b: Uint8Array, at: number): Mac => macAt(b, at),
  src: (b: Uint8Array, at: number): Mac => macAt(b, at + 6),
  type: (b: Uint8Array, at: number): number => u16(b, at + 12),
  setDst: (b: Uint8Array, at: number, v: Mac): void => putMac(b, at, v),
  setSrc: (b: Uint8Array, at: number, v: Mac): void => putMac(b, at + 6, v),
  setType: (b: Uint8Array, at: number, v: number): void => putU16(b, at + 12, v),

  /** "" when the bytes are a frame, else why not. Allocates nothing. */
  problem(_b: Uint8Array, at: number, end: number): string {
    return end - at < HEADER ? "truncated" : "";
  },
  parse(b: Uint8Array, at: number, end: number): Ethernet | Malformed {
    const why = Ethernet.problem(b, at, end);
    if (why !== "") return new Malformed("ethernet", why);
    return { dst: macAt(b, at), src: macAt(b, at + 6), type: u16(b, at + 12) };
  },
  /** Writes the header; returns its length. */
  emit(e: Ethernet, b: Uint8Array, at: number): number {
    putMac(b, at, e.dst);
    putMac(b, at + 6, e.src);
    putU16(b, at + 12, e.type);
    return HEADER;
  },
};
