// Segments in and out of the TCP core. Both classes are scratch space: one object is filled again for every segment, so that the
// hot path allocates nothing. Numbers that wrap (seq, ack, timestamps) are int32 (sequence.ts).
// Invariant: a Segment is read only from bytes that Tcp.problem accepted; an OutSegment can always be written.
import { putU16, putU32, u16 } from "../codec/numbers.ts";
import { TcpFlag } from "../codec/tcp.ts";

/** Blocks of one SACK option: three fit beside timestamps, four without. */
export const MAX_SACK_BLOCKS = 4;

/** A segment that arrived. */
export class Segment {
  seq = 0;
  ack = 0;
  flags = 0;
  /** As in the header, unscaled. */
  window = 0;
  /** -1 when the option is absent. */
  mss = -1;
  /** -1 when the option is absent. */
  windowScale = -1;
  sackPermitted = false;
  hasTimestamp = false;
  tsValue = 0;
  tsEcho = 0;
  sackCount = 0;
  readonly sack = new Int32Array(2 * MAX_SACK_BLOCKS);
  /** Payload = b[from, to). */
  b: Uint8Array = EMPTY;
  from = 0;
  to = 0;
}

export const EMPTY = new Uint8Array(0);

function i32(b: Uint8Array, at: number): number {
  return (b[at]! << 24) | (b[at + 1]! << 16) | (b[at + 2]! << 8) | b[at + 3]!;
}

/** Fills `s` from a TCP header at b[at] with the payload up to `end`. The bytes must have passed Tcp.problem. */
export function readSegment(s: Segment, b: Uint8Array, at: number, end: number): void {
  s.seq = i32(b, at + 4);
  s.ack = i32(b, at + 8);
  s.flags = b[at + 13]!;
  s.window = u16(b, at + 14);
  s.mss = -1;
  s.windowScale = -1;
  s.sackPermitted = false;
  s.sackCount = 0;
  s.b = b;
  s.from = at + ((b[at + 12]! >>> 4) << 2);
  s.to = end;
  // The layout nearly every segment has: NOP NOP timestamps, nothing else.
  if (s.from === at + 32 && i32(b, at + 20) === 0x0101080a) {
    s.hasTimestamp = true;
    s.tsValue = i32(b, at + 24);
    s.tsEcho = i32(b, at + 28);
    return;
  }
  s.hasTimestamp = false;
  if (s.from > at + 20) readOptions(s, b, at + 20, s.from);
}

function readOptions(s: Segment, b: Uint8Array, at: number, end: number): void {
  while (at < end) {
    const kind = b[at]!;
    if (kind === 0) return;
    if (kind === 1) {
      at++;
      continue;
    }
    const length = at + 1 < end ? b[at + 1]! : 0;
    if (length < 2 || at + length > end) return;
    if (kind === 2 && length === 4) s.mss = u16(b, at + 2);
    else if (kind === 3 && length === 3) s.windowScale = Math.min(b[at + 2]!, 14);
    else if (kind === 4 && length === 2) s.sackPermitted = true;
    else if (kind === 8 && length === 10) {
      s.hasTimestamp = true;
      s.tsValue = i32(b, at + 2);
      s.tsEcho = i32(b, at + 6);
    } else if (kind === 5) {
      for (let i = at + 2; i + 8 <= at + length && s.sackCount < MAX_SACK_BLOCKS; i += 8) {
        s.sack[2 * s.sackCount] = i32(b, i);
        s.sack[2 * s.sackCount + 1] = i32(b, i + 4);
        s.sackCount++;
      }
    }
    at += length;
  }
}

/** A segment to send. The payload stays in the connection's send buffer until the packet is written. */
export class OutSegment {
  seq = 0;
  ack = 0;
  flags = 0;
  /** As in the header, already scaled. */
  window = 0;
  /** 0 when the option is absent. */
  mss = 0;
  /** -1 when the option is absent. */
  windowScale = -1;
  sackPermitted = false;
  hasTimestamp = false;
  tsValue = 0;
  tsEcho = 0;
  sackCount = 0;
  readonly sack = new Int32Array(2 * MAX_SACK_BLOCKS);
  /** Where the payload starts in the send buffer. */
  payloadAt = 0;
  payloadLength = 0;
  /** Payload bytes per packet when this stands for several; 0 when it is one. */
  gsoSize = 0;
}

/** Length of the header that writeHeader will write. */
export function headerLength(o: OutSegment): number {
  let n = 20;
  if (o.mss > 0) n += 4;
  if (o.hasTimestamp) n += o.sackPermitted ? 10 : 12;
  if (o.sackPermitted) n += o.hasTimestamp ? 2 : 4;
  if (o.windowScale >= 0) n += 4;
  if (o.sackCount > 0) n += 4 + 8 * o.sackCount;
  return n;
}

/** Writes the TCP header with options at b[at], checksum zero; returns its length. Order and padding are Linux's. */
export function writeHeader(o: OutSegment, b: Uint8Array, at: number, sport: number, dport: number): number {
  putU16(b, at, sport);
  putU16(b, at + 2, dport);
  putU32(b, at + 4, o.seq);
  putU32(b, at + 8, o.ack);
  b[at + 13] = o.flags;
  putU16(b, at + 14, o.window);
  putU32(b, at + 16, 0);
  let p = at + 20;
  if (o.mss > 0) {
    putU16(b, p, 0x0204);
    putU16(b, p + 2, o.mss);
    p += 4;
  }
  if (o.sackPermitted) {
    if (!o.hasTimestamp) {
      putU16(b, p, 0x0101);
      p += 2;
    }
    putU16(b, p, 0x0402);
    p += 2;
  }
  if (o.hasTimestamp) {
    if (!o.sackPermitted) {
      putU16(b, p, 0x0101);
      p += 2;
    }
    putU16(b, p, 0x080a);
    putU32(b, p + 2, o.tsValue);
    putU32(b, p + 6, o.tsEcho);
    p += 10;
  }
  if (o.windowScale >= 0) {
    putU32(b, p, 0x01030300 | o.windowScale);
    p += 4;
  }
  if (o.sackCount > 0) {
    putU32(b, p, 0x01010500 | (2 + 8 * o.sackCount));
    p += 4;
    for (let i = 0; i < 2 * o.sackCount; i++, p += 4) putU32(b, p, o.sack[i]!);
  }
  b[at + 12] = ((p - at) >>> 2) << 4;
  return p - at;
}

/** "S", "SA", "PA", "FA", "R", ... for transcripts and traces, in the order SFRPAU. */
export function flagNames(flags: number): string {
  let text = "";
  if (flags & TcpFlag.SYN) text += "S";
  if (flags & TcpFlag.FIN) text += "F";
  if (flags & TcpFlag.RST) text += "R";
  if (flags & TcpFlag.PSH) text += "P";
  if (flags & TcpFlag.ACK) text += "A";
  if (flags & TcpFlag.URG) text += "U";
  return text;
}
