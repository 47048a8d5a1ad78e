// IP fragmentation and reassembly (RFC 791 3.2, RFC 815, RFC 5722: overlaps kill the datagram; RFC 8200 4.5).
// Invariant: at most DATAGRAM_LIMIT unfinished datagrams and BYTES_LIMIT bytes wait, each at most TIMEOUT_MS; what is put together is
// no larger than 65,535 bytes and has no holes.
import type { Clock } from "@podwire/base";
import { putU16, u16 } from "../codec/numbers.ts";
import { Packet } from "../packet.ts";
import type { Counters } from "./counters.ts";
import type { Flow } from "./flow.ts";

export const DATAGRAM_LIMIT = 256;
export const BYTES_LIMIT = 4 * 1024 * 1024;
const MAX_LENGTH = 65_535;
/** Linux's ipfrag_time. */
export const TIMEOUT_MS = 30_000;

/** Cuts a packet into pieces of at most `mtu` bytes. `id` numbers the datagram in IPv6, which has no field for it otherwise. */
export function fragment(p: Packet, f: Flow, mtu: number, id: number): Packet[] {
  if (f.family === 6) return fragment6(p, f, mtu, id);
  const header = f.l4;
  const room = (mtu - header) & ~7;
  const payload = p.end - p.start - header;
  const flags = u16(p.data, p.start + 6);
  const base = (flags & 0x1fff) * 8;
  // Linux numbers datagrams that may be fragmented; a zero identification would mix two of them.
  const out: Packet[] = [];
  for (let at = 0; at < payload; at += room) {
    const length = Math.min(room, payload - at);
    const piece = Packet.alloc(header + length);
    piece.data.set(p.data.subarray(p.start, p.start + header), piece.start);
    piece.data.set(p.data.subarray(p.start + header + at, p.start + header + at + length), piece.start + header);
    const more = at + length < payload || (flags & 0x2000) !== 0;
    putU16(piece.data, piece.start + 2, header + length);
    putU16(piece.data, piece.start + 6, ((base + at) >> 3) | (more ? 0x2000 : 0));
    sealHeader(piece.data, piece.start, header);
    piece.mark = p.mark;
    piece.traceId = p.traceId;
    piece.traceHop = p.traceHop;
    out.push(piece);
  }
  return out;
}

/** Each piece: the IPv6 header, a fragment header, a part of the rest (RFC 8200 4.5). Extension headers go with the rest. */
function fragment6(p: Packet, f: Flow, mtu: number, id: number): Packet[] {
  const rest = p.end - p.start - 40;
  const room = (mtu - 48) & ~7;
  const next = p.data[p.start + 6]!;
  const out: Packet[] = [];
  for (let at = 0; at < rest; at += room) {
    const length = Math.min(room, rest - at);
    const piece = Packet.alloc(48 + length);
    const b = piece.data;
    const h = piece.start + 40;
    b.set(p.data.subarray(p.start, p.start + 40), piece.start);
    putU16(b, piece.start + 4, 8 + length);
    b[piece.start + 6] = 44;
    b[h] = next;
    putU16(b, h + 2, at | (at + length < rest ? 1 : 0));
    putU16(b, h + 4, id >>> 16);
    putU16(b, h + 6, id & 0xffff);
    b.set(p.data.subarray(p.start + 40 + at, p.start + 40 + at + length), h + 8);
    piece.mark = p.mark;
    piece.traceId = p.traceId;
    piece.traceHop = p.traceHop;
    out.push(piece);
  }
  f.l4 = 48;
  return out;
}

function sealHeader(b: Uint8Array, at: number, length: number): void {
  putU16(b, at + 10, 0);
  let sum = 0;
  for (let i = at; i < at + length; i += 2) sum += u16(b, i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  putU16(b, at + 10, ~sum & 0xffff);
}

interface Datagram {
  pieces: { from: number; to: number; bytes: Uint8Array }[];
  /** The header bytes of the first piece. */
  header: Uint8Array | undefined;
  /** Payload length, known from the last piece. */
  total: number;
  bytes: number;
  startMs: number;
  traceId: number;
  traceHop: number;
}

export class Reassembly {
  private readonly clock: Clock;
  private readonly counters: Counters;
  private readonly waiting = new Map<string, Datagram>();
  /** Of the pieces that wait. */
  bytes = 0;

  constructor(clock: Clock, counters: Counters) {
    this.clock = clock;
    this.counters = counters;
  }

  /** Takes a piece; gives the whole packet when it was the last one missing. */
  add(p: Packet, f: Flow): Packet | undefined {
    const now = this.clock.monotonicMs();
    this.expire(now);
    const headerLength = f.l4;
    const length = p.end - p.start - headerLength;
    const from = f.fragmentOffset;
    const to = from + length;
    // The length field counts the header in IPv4 and does not in IPv6.
    const longest = f.family === 4 ? MAX_LENGTH - headerLength : MAX_LENGTH;
    if (length <= 0 || to > longest || (f.moreFragments && length % 8 !== 0)) return void this.counters.drop("badFragment");
    const id = f.family === 4 ? u16(p.data, p.start + 4) : fragmentId6(p, f);
    const key = `${f.src} ${f.dst} ${f.protocol} ${id}`;
    let d = this.waiting.get(key);
    if (this.bytes + length > BYTES_LIMIT) return void this.counters.drop("reassemblyFull");
    if (d === undefined) {
      if (this.waiting.size >= DATAGRAM_LIMIT) return void this.counters.drop("reassemblyFull");
      d = { pieces: [], header: undefined, total: -1, bytes: 0, startMs: now, traceId: p.traceId, traceHop: p.traceHop };
      this.waiting.set(key, d);
    }
    for (const piece of d.pieces)
      if (from < piece.to && to > piece.from) {
        if (from === piece.from && to === piece.to) return void this.counters.drop("duplicateFragment");
        this.forget(key, d);
        return void this.counters.drop("overlappingFragment");
      }
    // An end that another piece lies behind, or a second end elsewhere: nothing that is honest.
    const end = f.moreFragments ? d.total : to;
    if (end >= 0 && (to > end || (d.total >= 0 && end !== d.total) || d.pieces.some((x) => x.to > end))) {
      this.forget(key, d);
      return void this.counters.drop("badFragment");
    }
    d.total = end;
    if (from === 0) d.header = p.data.slice(p.start, p.start + headerLength);
    d.pieces.push({ from, to, bytes: p.data.slice(p.start + headerLength, p.end) });
    d.bytes += length;
    this.bytes += length;
    if (d.total < 0 || d.header === undefined || d.bytes !== d.total) return undefined;
    this.forget(key, d);
    return join(d, d.header, f);
  }

  private forget(key: string, d: Datagram): void {
    this.waiting.delete(key);
    this.bytes -= d.bytes;
  }

  private expire(now: number): void {
    for (const [key, d] of this.waiting) {
      if (now - d.startMs < TIMEOUT_MS) return;
      this.forget(key, d);
      this.counters.drop("reassemblyTimeout");
    }
  }
}

function fragmentId6(p: Packet, f: Flow): number {
  // The fragment header is the last one in front of the payload in every packet that a fragmenting sender makes.
  const at = p.start + f.l4 - 4;
  return u16(p.data, at) * 0x10000 + u16(p.data, at + 2);
}

function join(d: Datagram, header: Uint8Array, f: Flow): Packet {
  // IPv6: drop the fragment header (8 bytes at the end of the unfragmentable part, which here is the plain header).
  const keep = f.family === 6 ? 40 : header.length;
  const p = Packet.alloc(keep + d.total);
  p.data.set(header.subarray(0, keep), p.start);
  for (const piece of d.pieces) p.data.set(piece.bytes, p.start + keep + piece.from);
  if (f.family === 4) {
    putU16(p.data, p.start + 2, keep + d.total);
    putU16(p.data, p.start + 6, 0);
    sealHeader(p.data, p.start, keep);
  } else {
    putU16(p.data, p.start + 4, d.total);
    p.data[p.start + 6] = f.protocol;
  }
  p.traceId = d.traceId;
  p.traceHop = d.traceHop;
  return p;
}
