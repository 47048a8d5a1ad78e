// Rewrites addresses and ports of a packet as its connection's entry says, keeping every checksum true.
// Invariant: after `natPacket` the bytes, the Flow and the checksums agree. Checksums are updated, not recomputed (RFC 1624);
// an ICMP error is translated with the packet it quotes (RFC 5508 section 4).
import { adjustChecksum32, checksum, patchChecksum16, patchChecksum32, pseudoSumAt } from "../checksum.ts";
import { putU16, putU32, u16, u32 } from "../codec/numbers.ts";
import { type Flow, isEcho } from "../namespace/flow.ts";
import type { Packet } from "../packet.ts";
import { type Conntrack, CtState, Status } from "./conntrack.ts";
import { crc32c } from "./crc32c.ts";
import { ROW_WORDS, TUPLE_WORDS } from "./table.ts";

/** Which end of the packet a hook may rewrite: destinations before routing, sources after. */
export type Manip = "dst" | "src";

/** Applies the connection's translation for `manip`. True when the packet changed. */
export function natPacket(ct: Conntrack, p: Packet, f: Flow, manip: Manip): boolean {
  if (f.ct < 0) return false;
  const status = ct.statusOf(f.ct);
  if ((status & (Status.srcNat | Status.dstNat)) === 0) return false;
  // The original direction rewrites what was translated; the reply direction rewrites it back, at the other end.
  const reply = (f.ct & 1) !== 0;
  const bit = (manip === "src") !== reply ? Status.srcNat : Status.dstNat;
  if ((status & bit) === 0) return false;
  const { rows } = ct.table;
  const other = (f.ct >> 1) * ROW_WORDS + (reply ? 0 : TUPLE_WORDS);
  if (f.ctState === CtState.related) {
    natError(rows, other, p, f, manip);
    return true;
  }
  // The packet must look like the inverse of the other direction's tuple.
  const from = manip === "dst" ? other : other + 4;
  const ports = rows[other + 8]!;
  const icmp = f.protocol === 1 || f.protocol === 58;
  const port = icmp || manip === "dst" ? ports >>> 16 : ports & 0xffff;
  rewrite(p, f, manip, rows, from, port);
  return true;
}

function rewrite(p: Packet, f: Flow, manip: Manip, rows: Int32Array, from: number, port: number): void {
  const b = p.data;
  const l4 = p.start + f.l4;
  rewriteAddress(b, p.start, f, manip, rows, from, f.fragmentOffset === 0 ? transportChecksum(p, f) : -1, f.protocol === 17);
  if (manip === "dst") {
    f.d0 = rows[from]!;
    f.d1 = rows[from + 1]!;
    f.d2 = rows[from + 2]!;
    f.d3 = rows[from + 3]!;
  } else {
    f.s0 = rows[from]!;
    f.s1 = rows[from + 1]!;
    f.s2 = rows[from + 2]!;
    f.s3 = rows[from + 3]!;
  }
  if (f.fragmentOffset !== 0) return;
  if (f.protocol === 1 || f.protocol === 58) {
    if (!isEcho(f.protocol, b[l4]!) || f.sport === port) return;
    patchChecksum16(b, l4 + 2, f.sport, port);
    putU16(b, l4 + 4, port);
    f.sport = port;
    return;
  }
  if (f.protocol !== 6 && f.protocol !== 17 && f.protocol !== 132) return;
  const at = manip === "dst" ? l4 + 2 : l4;
  const before = u16(b, at);
  if (before === port) return;
  putU16(b, at, port);
  if (manip === "dst") f.dport = port;
  else f.sport = port;
  if (f.protocol === 132) sealSctp(p, l4);
  else patchChecksum16(b, transportChecksum(p, f), before, port, f.protocol === 17);
}

/** Where the transport checksum covers the pseudo header, or -1. */
function transportChecksum(p: Packet, f: Flow): number {
  const l4 = p.start + f.l4;
  const at = f.protocol === 6 ? l4 + 16 : f.protocol === 17 ? l4 + 6 : f.protocol === 58 ? l4 + 2 : -1;
  return at >= 0 && at + 2 <= p.end ? at : -1;
}

/** Writes an address into an IP header and corrects the header checksum and the transport checksum at `sumAt` (or -1). */
function rewriteAddress(
  b: Uint8Array,
  ipAt: number,
  f: Flow,
  manip: Manip,
  rows: Int32Array,
  from: number,
  sumAt: number,
  zeroMeansNone: boolean,
): void {
  if (f.family === 4) {
    const at = ipAt + (manip === "dst" ? 16 : 12);
    const before = u32(b, at);
    const after = rows[from + 3]! >>> 0;
    if (before === after) return;
    putU32(b, at, after);
    putU16(b, ipAt + 10, adjustChecksum32(u16(b, ipAt + 10), before, after));
    if (sumAt >= 0) patchChecksum32(b, sumAt, before, after, zeroMeansNone);
    return;
  }
  const at = ipAt + (manip === "dst" ? 24 : 8);
  for (let i = 0; i < 4; i++) {
    const before = u32(b, at + 4 * i);
    const after = rows[from + i]! >>> 0;
    putU32(b, at + 4 * i, after);
    if (sumAt >= 0 && before !== after) patchChecksum32(b, sumAt, before, after, zeroMeansNone);
  }
}

/** SCTP's checksum covers ports but is no sum: CRC32c over the whole packet (RFC 9260 appendix A), little-endian. */
function sealSctp(p: Packet, l4: number): void {
  putU32(p.data, l4 + 8, 0);
  const crc = crc32c(p.data, l4, p.end);
  p.data[l4 + 8] = crc;
  p.data[l4 + 9] = crc >>> 8;
  p.data[l4 + 10] = crc >>> 16;
  p.data[l4 + 11] = crc >>> 24;
}

/** Translates an ICMP error: the end named by `manip` of the outer header, the opposite end of the quoted packet. */
function natError(rows: Int32Array, other: number, p: Packet, f: Flow, manip: Manip): void {
  const b = p.data;
  const l4 = p.start + f.l4;
  const inner = l4 + 8;
  const from = manip === "src" ? other + 4 : other;
  const port = manip === "src" ? rows[other + 8]! & 0xffff : rows[other + 8]! >>> 16;
  const six = f.family === 6;
  if (inner + (six ? 40 : 20) > p.end) return;
  const innerManip: Manip = manip === "src" ? "dst" : "src";
  const protocol = rows[other + 9]! & 255;
  const innerL4 = inner + (six ? 40 : (b[inner]! & 15) * 4);
  const sumAt = protocol === 6 ? innerL4 + 16 : protocol === 17 ? innerL4 + 6 : protocol === 58 ? innerL4 + 2 : -1;
  const covered = sumAt >= 0 && sumAt + 2 <= p.end ? sumAt : -1;
  rewriteAddress(b, inner, f, innerManip, rows, from, covered, protocol === 17);
  const icmp = protocol === 1 || protocol === 58;
  const portAt = icmp ? innerL4 + 4 : innerManip === "dst" ? innerL4 + 2 : innerL4;
  if (portAt + 2 <= p.end) {
    const wanted = icmp ? rows[other + 8]! >>> 16 : port;
    const before = u16(b, portAt);
    putU16(b, portAt, wanted);
    const at = icmp ? innerL4 + 2 : covered;
    if (at >= 0 && before !== wanted && protocol !== 132) patchChecksum16(b, at, before, wanted, protocol === 17);
  }
  rewriteAddress(b, p.start, f, manip, rows, from, -1, false);
  if (manip === "src") [f.s0, f.s1, f.s2, f.s3] = [rows[from]!, rows[from + 1]!, rows[from + 2]!, rows[from + 3]!];
  else [f.d0, f.d1, f.d2, f.d3] = [rows[from]!, rows[from + 1]!, rows[from + 2]!, rows[from + 3]!];
  putU16(b, l4 + 2, 0);
  const seed = six ? pseudoSumAt(b, p.start, 58) + (p.end - l4) : 0;
  putU16(b, l4 + 2, checksum(b, l4, p.end, seed));
}
