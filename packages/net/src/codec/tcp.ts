// TCP segments (RFC 9293 3.1) with the options MSS, window scale and timestamps (RFC 7323), SACK-permitted and SACK (RFC 2018).
// `pseudo` = pseudoSum(src, dst, 6). Invariant: what `problem` accepts has 20 <= data offset <= the bytes there; options are read
// leniently (an unknown or broken option ends or skips, RFC 9293 3.2) but never past the header.
import { checksum, checksumHolds } from "../checksum.ts";
import { Malformed } from "./malformed.ts";
import { putU16, putU32, u16, u32 } from "./numbers.ts";

/** Flag bits of byte 13. */
export const TcpFlag = { FIN: 1, SYN: 2, RST: 4, PSH: 8, ACK: 16, URG: 32, ECE: 64, CWR: 128 } as const;

export interface TcpOptions {
  mss?: number;
  /** Shift count, as sent (RFC 7323 limits its use to 14). */
  windowScale?: number;
  sackPermitted?: boolean;
  timestamp?: { value: number; echo: number };
  /** At most four blocks [left, right) as sequence numbers. */
  sack?: [left: number, right: number][];
}

export interface Tcp {
  sport: number;
  dport: number;
  seq: number;
  ack: number;
  flags: number;
  /** As in the header, unscaled. */
  window: number;
  urgent: number;
  options: TcpOptions;
  payload: Uint8Array;
}

const HEADER = 20;
const MAX_HEADER = 60;
const END = 0;
const NOP = 1;
const MSS = 2;
const WINDOW_SCALE = 3;
const SACK_PERMITTED = 4;
const SACK = 5;
const TIMESTAMPS = 8;

export const Tcp = {
  HEADER,
  MAX_HEADER,
  SPORT: 0,
  DPORT: 2,
  SEQ: 4,
  ACK: 8,
  FLAGS: 13,
  WINDOW: 14,
  CHECKSUM: 16,
  OPTION_KIND: { END, NOP, MSS, WINDOW_SCALE, SACK_PERMITTED, SACK, TIMESTAMPS },
  sport: (b: Uint8Array, at: number): number => u16(b, at),
  dport: (b: Uint8Array, at: number): number => u16(b, at + 2),
  seq: (b: Uint8Array, at: number): number => u32(b, at + 4),
  ack: (b: Uint8Array, at: number): number => u32(b, at + 8),
  headerLength: (b: Uint8Array, at: number): number => (b[at + 12]! >>> 4) << 2,
  flags: (b: Uint8Array, at: number): number => b[at + 13]!,
  window: (b: Uint8Array, at: number): number => u16(b, at + 14),
  checksum: (b: Uint8Array, at: number): number => u16(b, at + 16),
  setSport: (b: Uint8Array, at: number, v: number): void => putU16(b, at, v),
  setDport: (b: Uint8Array, at: number, v: number): void => putU16(b, at + 2, v),

  problem(b: Uint8Array, at: number, end: number, pseudo?: number): string {
    if (end - at < HEADER) return "truncated";
    const headerLength = (b[at + 12]! >>> 4) << 2;
    if (headerLength < HEADER) return "bad data offset";
    if (headerLength > end - at) return "truncated";
    return pseudo === undefined || checksumHolds(b, at, end, pseudo + (end - at)) ? "" : "bad checksum";
  },
  parse(b: Uint8Array, at: number, end: number, pseudo?: number): Tcp | Malformed {
    const why = Tcp.problem(b, at, end, pseudo);
    if (why !== "") return new Malformed("tcp", why);
    const headerLength = (b[at + 12]! >>> 4) << 2;
    return {
      sport: u16(b, at),
      dport: u16(b, at + 2),
      seq: u32(b, at + 4),
      ack: u32(b, at + 8),
      flags: b[at + 13]!,
      window: u16(b, at + 14),
      urgent: u16(b, at + 18),
      options: parseTcpOptions(b, at + HEADER, at + headerLength),
      payload: b.subarray(at + headerLength, end),
    };
  },
  /** Writes header, options and payload. Options that do not fit 40 bytes are left out, SACK blocks first. */
  emit(t: Tcp, b: Uint8Array, at: number, pseudo: number): number {
    const headerLength = HEADER + emitTcpOptions(t.options, b, at + HEADER);
    const end = at + headerLength + t.payload.length;
    b.set(t.payload, at + headerLength);
    putU16(b, at, t.sport);
    putU16(b, at + 2, t.dport);
    putU32(b, at + 4, t.seq);
    putU32(b, at + 8, t.ack);
    b[at + 12] = (headerLength >>> 2) << 4;
    b[at + 13] = t.flags;
    putU16(b, at + 14, t.window);
    putU16(b, at + 16, 0);
    putU16(b, at + 18, t.urgent);
    putU16(b, at + 16, checksum(b, at, end, pseudo + (end - at)));
    return end - at;
  },
};

/** Reads the options in b[at, end). Never fails: what cannot be read is skipped, a bad length ends the list. */
export function parseTcpOptions(b: Uint8Array, at: number, end: number): TcpOptions {
  const o: TcpOptions = {};
  while (at < end) {
    const kind = b[at]!;
    if (kind === END) break;
    if (kind === NOP) {
      at++;
      continue;
    }
    if (at + 1 >= end) break;
    const length = b[at + 1]!;
    if (length < 2 || at + length > end) break;
    if (kind === MSS && length === 4) o.mss = u16(b, at + 2);
    else if (kind === WINDOW_SCALE && length === 3) o.windowScale = b[at + 2]!;
    else if (kind === SACK_PERMITTED && length === 2) o.sackPermitted = true;
    else if (kind === TIMESTAMPS && length === 10) o.timestamp = { value: u32(b, at + 2), echo: u32(b, at + 6) };
    else if (kind === SACK && length >= 10 && (length - 2) % 8 === 0) {
      o.sack = [];
      for (let i = at + 2; i < at + length; i += 8) o.sack.push([u32(b, i), u32(b, i + 4)]);
    }
    at += length;
  }
  return o;
}

/** Writes the options at b[at], padded to four bytes with NOPs in front as Linux does; returns their length (0..40). */
export function emitTcpOptions(o: TcpOptions, b: Uint8Array, at: number): number {
  const from = at;
  if (o.mss !== undefined) {
    b[at] = MSS;
    b[at + 1] = 4;
    putU16(b, at + 2, o.mss);
    at += 4;
  }
  if (o.sackPermitted) {
    if (o.timestamp === undefined) {
      b[at++] = NOP;
      b[at++] = NOP;
    }
    b[at] = SACK_PERMITTED;
    b[at + 1] = 2;
    at += 2;
  }
  if (o.timestamp !== undefined) {
    if (!o.sackPermitted) {
      b[at++] = NOP;
      b[at++] = NOP;
    }
    b[at] = TIMESTAMPS;
    b[at + 1] = 10;
    putU32(b, at + 2, o.timestamp.value);
    putU32(b, at + 6, o.timestamp.echo);
    at += 10;
  }
  if (o.windowScale !== undefined) {
    b[at] = NOP;
    b[at + 1] = WINDOW_SCALE;
    b[at + 2] = 3;
    b[at + 3] = o.windowScale;
    at += 4;
  }
  const blocks = Math.min(o.sack?.length ?? 0, Math.floor((40 - (at - from) - 4) / 8));
  if (o.sack !== undefined && blocks > 0) {
    b[at] = NOP;
    b[at + 1] = NOP;
    b[at + 2] = SACK;
    b[at + 3] = 2 + 8 * blocks;
    at += 4;
    for (let i = 0; i < blocks; i++) {
      const [left, right] = o.sack[i]!;
      putU32(b, at, left);
      putU32(b, at + 4, right);
      at += 8;
    }
  }
  return at - from;
}
