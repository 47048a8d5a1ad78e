// The Internet checksum: RFC 1071 (sum), RFC 1624 (incremental update), pseudo headers of RFC 9293 3.1, RFC 768 and RFC 8200 8.1.
// Invariant: a "sum" is an unfolded, uncomplemented total of big-endian 16-bit words, always an exact integer below 2^53;
// a "checksum" is the 16-bit field as it stands in the packet.
import type { IpAddress } from "./codec/address.ts";
import { u16 } from "./codec/numbers.ts";
import { slotSum } from "./packet-memory.ts";

/** Adds the big-endian words of b[from, to) to `seed`; an odd last byte counts as the high half of a word. */
export function sumBytes(b: Uint8Array, from: number, to: number, seed = 0): number {
  const fast = slotSum(b, from, to);
  if (fast >= 0) return fast + seed;
  let sum = 0;
  let i = from;
  // Eight bytes a turn; 32-bit halves are split so that `sum` stays a small integer for packets up to 64 KB.
  for (const stop = to - 7; i < stop; i += 8)
    sum += ((b[i]! << 8) | b[i + 1]!) + ((b[i + 2]! << 8) | b[i + 3]!) + ((b[i + 4]! << 8) | b[i + 5]!) + ((b[i + 6]! << 8) | b[i + 7]!);
  for (; i + 1 < to; i += 2) sum += (b[i]! << 8) | b[i + 1]!;
  if (i < to) sum += b[i]! << 8;
  return sum + seed;
}

/** Folds carries into 16 bits. */
export function fold(sum: number): number {
  while (sum > 0x7fffffff) sum = (sum % 0x10000) + Math.floor(sum / 0x10000);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

/** The checksum field for b[from, to) plus `seed`; the field itself must be zero in the bytes. */
export function checksum(b: Uint8Array, from: number, to: number, seed = 0): number {
  return ~fold(sumBytes(b, from, to, seed)) & 0xffff;
}

/** True when bytes that contain their checksum field add up. */
export function checksumHolds(b: Uint8Array, from: number, to: number, seed = 0): boolean {
  return fold(sumBytes(b, from, to, seed)) === 0xffff;
}

/** The part of the pseudo header known without the length: both addresses and the protocol. Add the length to the result. */
export function pseudoSum(src: IpAddress, dst: IpAddress, protocol: number): number {
  return addressSum(src) + addressSum(dst) + protocol;
}

/** pseudoSum read from an IP header in place, without making addresses. */
export function pseudoSumAt(b: Uint8Array, ipAt: number, protocol: number): number {
  return b[ipAt]! >>> 4 === 4 ? sumBytes(b, ipAt + 12, ipAt + 20, protocol) : sumBytes(b, ipAt + 8, ipAt + 40, protocol);
}

export function addressSum(a: IpAddress): number {
  if (typeof a === "number") return (a >>> 16) + (a & 0xffff);
  let sum = 0;
  for (let rest = a; rest > 0n; rest >>= 16n) sum += Number(rest & 0xffffn);
  return sum;
}

/** RFC 1624 eqn. 3: the field after one 16-bit word of the covered bytes changed. */
export function adjustChecksum16(field: number, before: number, after: number): number {
  return ~fold((~field & 0xffff) + (~before & 0xffff) + after) & 0xffff;
}

/** The same for a uint32 on an even offset (an IPv4 address, a sequence number). */
export function adjustChecksum32(field: number, before: number, after: number): number {
  const sum = (~field & 0xffff) + (~(before >>> 16) & 0xffff) + (~before & 0xffff) + (after >>> 16) + (after & 0xffff);
  return ~fold(sum) & 0xffff;
}

/** The same for addresses of either family. */
export function adjustChecksumAddress(field: number, before: IpAddress, after: IpAddress): number {
  if (typeof before === "number" && typeof after === "number") return adjustChecksum32(field, before, after);
  return ~fold((~field & 0xffff) + (~fold(addressSum(before)) & 0xffff) + addressSum(after)) & 0xffff;
}

/** Applies adjustChecksum32 to the field at b[at], in place. UDP's "no checksum" 0 stays 0 when `zeroMeansNone`. */
export function patchChecksum32(b: Uint8Array, at: number, before: number, after: number, zeroMeansNone = false): void {
  const field = u16(b, at);
  if (zeroMeansNone && field === 0) return;
  let next = adjustChecksum32(field, before, after);
  if (zeroMeansNone && next === 0) next = 0xffff;
  b[at] = next >>> 8;
  b[at + 1] = next;
}

/** Applies adjustChecksum16 to the field at b[at], in place. */
export function patchChecksum16(b: Uint8Array, at: number, before: number, after: number, zeroMeansNone = false): void {
  patchChecksum32(b, at, before, after, zeroMeansNone);
}
