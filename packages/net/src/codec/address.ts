// Addresses as numbers: IPv4 a uint32, IPv6 a bigint below 2^128, MAC a 48-bit number. Equality is `===` and all three work as
// Map keys, so nothing in the packet path makes a string. Text in: a strict own path for plain dotted quads, ipaddr.js for the
// rest. Text out: RFC 5952 for IPv6.
import ipaddr from "ipaddr.js";
import { putU32, u32 } from "./numbers.ts";

/** IPv4 as uint32 (number) or IPv6 (bigint). */
export type IpAddress = number | bigint;
/** IEEE 802 address, 48 bits. */
export type Mac = number;

export const BROADCAST_MAC: Mac = 0xffffffffffff;
export const ANY_V4 = 0;
export const ANY_V6 = 0n;
export const LOOPBACK_V4 = 0x7f000001;
export const LOOPBACK_V6 = 1n;

/** Strict dotted quad ("10.0.0.1", no leading zeros) to uint32; undefined when it is anything else. */
export function parseIpv4(text: string): number | undefined {
  let value = 0;
  let octet = -1;
  let dots = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 46) {
      if (octet < 0 || ++dots > 3) return undefined;
      value = value * 256 + octet;
      octet = -1;
    } else if (c >= 48 && c <= 57) {
      if (octet === 0) return undefined;
      octet = octet < 0 ? c - 48 : octet * 10 + c - 48;
      if (octet > 255) return undefined;
    } else return undefined;
  }
  return dots === 3 && octet >= 0 ? value * 256 + octet : undefined;
}

/** IPv4 or IPv6 text as a user writes it; undefined when it is neither. IPv4-mapped IPv6 (::ffff:a.b.c.d) becomes IPv4. */
export function parseAddress(text: string): IpAddress | undefined {
  const v4 = parseIpv4(text);
  if (v4 !== undefined) return v4;
  const bare = text.startsWith("[") && text.endsWith("]") ? text.slice(1, -1) : text;
  if (!bare.includes(":") || bare.includes("%") || !ipaddr.IPv6.isValid(bare)) return undefined;
  const a = ipaddr.IPv6.parse(bare);
  if (a.isIPv4MappedAddress()) return ipv4At(Uint8Array.from(a.toIPv4Address().toByteArray()), 0);
  return ipv6At(Uint8Array.from(a.toByteArray()), 0);
}

/** Like parseAddress, for text that is known to be an address (constants, validated objects). Throws RangeError. */
export function address(text: string): IpAddress {
  const a = parseAddress(text);
  if (a === undefined) throw new RangeError(`not an IP address: ${JSON.stringify(text)}`);
  return a;
}

/** "10.0.0.1" of an address in a uint32. */
export function formatIpv4(a: number): string {
  return `${a >>> 24}.${(a >>> 16) & 255}.${(a >>> 8) & 255}.${a & 255}`;
}

/** RFC 5952: lower case, longest run of zeros (two or more) as "::", the first of equals. */
export function formatIpv6(a: bigint): string {
  const groups: number[] = [];
  for (let i = 7; i >= 0; i--) groups.push(Number((a >> BigInt(i * 16)) & 0xffffn));
  let [bestAt, bestLength] = [-1, 1];
  for (let i = 0; i < 8; ) {
    let j = i;
    while (j < 8 && groups[j] === 0) j++;
    if (j - i > bestLength) [bestAt, bestLength] = [i, j - i];
    i = j + 1;
  }
  const hex = (from: number, to: number) =>
    groups
      .slice(from, to)
      .map((g) => g.toString(16))
      .join(":");
  return bestAt < 0 ? hex(0, 8) : `${hex(0, bestAt)}::${hex(bestAt + bestLength, 8)}`;
}

/** An address of either family as people write it (RFC 5952). */
export function formatAddress(a: IpAddress): string {
  return typeof a === "number" ? formatIpv4(a) : formatIpv6(a);
}

/** "10.0.0.1:80" or "[fd00::1]:80". */
export function formatEndpoint(a: IpAddress, port: number): string {
  return typeof a === "number" ? `${formatIpv4(a)}:${port}` : `[${formatIpv6(a)}]:${port}`;
}

export const ipv4At = u32;
export const putIpv4 = putU32;

/** 16 bytes, big-endian, at an offset. */
export function ipv6At(b: Uint8Array, at: number): bigint {
  const high = (BigInt(u32(b, at)) << 32n) | BigInt(u32(b, at + 4));
  const low = (BigInt(u32(b, at + 8)) << 32n) | BigInt(u32(b, at + 12));
  return (high << 64n) | low;
}

/** Writes 16 bytes, big-endian, at an offset. */
export function putIpv6(b: Uint8Array, at: number, a: bigint): void {
  putU32(b, at, Number((a >> 96n) & 0xffffffffn));
  putU32(b, at + 4, Number((a >> 64n) & 0xffffffffn));
  putU32(b, at + 8, Number((a >> 32n) & 0xffffffffn));
  putU32(b, at + 12, Number(a & 0xffffffffn));
}

/** The network mask of a prefix length 0..32 as uint32. */
export function maskV4(prefixLength: number): number {
  return prefixLength === 0 ? 0 : (0xffffffff << (32 - prefixLength)) >>> 0;
}

/** The first address of the prefix that holds `a`. */
export function networkOf(a: IpAddress, prefixLength: number): IpAddress {
  if (typeof a === "number") return (a & maskV4(prefixLength)) >>> 0;
  const host = BigInt(128 - prefixLength);
  return (a >> host) << host;
}

/** True when `a` lies in network/prefixLength; false across families. */
export function inPrefix(a: IpAddress, network: IpAddress, prefixLength: number): boolean {
  if (typeof a === "number" && typeof network === "number") return prefixLength === 0 || (a ^ network) >>> (32 - prefixLength) === 0;
  if (typeof a === "bigint" && typeof network === "bigint") return (a ^ network) >> BigInt(128 - prefixLength) === 0n;
  return false;
}

export interface Prefix {
  address: IpAddress;
  length: number;
}

/** "10.244.0.0/16" (host bits allowed; a bare address means /32 or /128); undefined when it is not a prefix. */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.lastIndexOf("/");
  const a = parseAddress(slash < 0 ? text : text.slice(0, slash));
  if (a === undefined) return undefined;
  const max = typeof a === "number" ? 32 : 128;
  if (slash < 0) return { address: a, length: max };
  const digits = text.slice(slash + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(digits) || Number(digits) > max) return undefined;
  return { address: a, length: Number(digits) };
}

/** "10.0.0.0/8". */
export function formatPrefix(p: Prefix): string {
  return `${formatAddress(p.address)}/${p.length}`;
}

/** 127.0.0.0/8 or ::1. */
export function isLoopback(a: IpAddress): boolean {
  return typeof a === "number" ? a >>> 24 === 127 : a === LOOPBACK_V6;
}

/** 224.0.0.0/4 or ff00::/8. */
export function isMulticast(a: IpAddress): boolean {
  return typeof a === "number" ? a >>> 28 === 14 : a >> 120n === 0xffn;
}

/** 0.0.0.0 or ::. */
export function isUnspecified(a: IpAddress): boolean {
  return a === 0 || a === 0n;
}

/** 169.254.0.0/16 or fe80::/10. */
export function isLinkLocal(a: IpAddress): boolean {
  return typeof a === "number" ? a >>> 16 === 0xa9fe : a >> 118n === 0x3fan;
}

/** 6 bytes at an offset. */
export function macAt(b: Uint8Array, at: number): Mac {
  return ((b[at]! << 8) | b[at + 1]!) * 0x100000000 + u32(b, at + 2);
}

/** Writes 6 bytes at an offset. */
export function putMac(b: Uint8Array, at: number, mac: Mac): void {
  const high = Math.floor(mac / 0x100000000);
  b[at] = high >>> 8;
  b[at + 1] = high;
  putU32(b, at + 2, mac % 0x100000000);
}

/** "02:00:00:00:00:01". */
export function formatMac(mac: Mac): string {
  return mac
    .toString(16)
    .padStart(12, "0")
    .replace(/(..)(?!$)/g, "$1:");
}

/** A hardware address as text; undefined when it is none. */
export function parseMac(text: string): Mac | undefined {
  return /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(text) ? Number.parseInt(text.replaceAll(":", ""), 16) : undefined;
}

/** Group bit (multicast or broadcast): delivered to more than one station. */
export function isGroupMac(b: Uint8Array, at: number): boolean {
  return (b[at]! & 1) !== 0;
}
