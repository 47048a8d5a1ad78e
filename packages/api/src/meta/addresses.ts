// IP addresses and CIDRs as the API checks them: plain IPv4 without leading zeros, IPv6, prefixes; and what an address may
// not be as an endpoint (Go's net/netip and util/validation of Kubernetes 1.34).

export interface ParsedIp {
  readonly family: 4 | 6;
  /** The address as a number: 32 or 128 bits. */
  readonly value: bigint;
}

/** An address as text; undefined when it is none. An IPv4-mapped address is that IPv4 address. */
export function parseIp(text: string): ParsedIp | undefined {
  const v4 = parseV4(text);
  if (v4 !== undefined) return { family: 4, value: v4 };
  const v6 = parseV6(text);
  if (v6 === undefined) return undefined;
  // An IPv4-mapped address is that IPv4 address.
  if (v6 >> 32n === 0xffffn) return { family: 4, value: v6 & 0xffffffffn };
  return { family: 6, value: v6 };
}

function parseV4(text: string): bigint | undefined {
  const m = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (m === null) return undefined;
  let v = 0n;
  for (let i = 1; i <= 4; i++) {
    const part = m[i]!;
    if (Number(part) > 255 || (part.length > 1 && part[0] === "0")) return undefined;
    v = (v << 8n) | BigInt(part);
  }
  return v;
}

function parseV6(text: string): bigint | undefined {
  if (!text.includes(":") || text.length > 45) return undefined;
  let head = text;
  const dot = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dot) {
    const v4 = parseV4(dot[2]!);
    if (v4 === undefined) return undefined;
    head = `${dot[1]}${(v4 >> 16n).toString(16)}:${(v4 & 0xffffn).toString(16)}`;
  }
  const halves = head.split("::");
  if (halves.length > 2) return undefined;
  const groups = (s: string): string[] => (s === "" ? [] : s.split(":"));
  const left = groups(halves[0]!);
  const right = halves.length === 2 ? groups(halves[1]!) : [];
  const missing = 8 - left.length - right.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const all = [...left, ...Array<string>(halves.length === 2 ? missing : 0).fill("0"), ...right];
  let v = 0n;
  for (const g of all) {
    if (!/^[0-9a-fA-F]{1,4}$/.test(g)) return undefined;
    v = (v << 16n) | BigInt(`0x${g}`);
  }
  return v;
}

export const IP_ERROR = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
export const CIDR_ERROR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

/** Whether the text is an address of either family. */
export const isIp = (text: string): boolean => parseIp(text) !== undefined;
/** Whether the text is an IPv6 address that is not an IPv4-mapped one. */
export const isIpv6 = (text: string): boolean => parseIp(text)?.family === 6;

export interface ParsedCidr extends ParsedIp {
  readonly bits: number;
}

/** "10.9.8.0/24" with its host bits cleared; undefined when it is no prefix. */
export function parseCidr(text: string): ParsedCidr | undefined {
  const slash = text.indexOf("/");
  if (slash < 0) return undefined;
  const ip = parseIp(text.slice(0, slash));
  const bits = text.slice(slash + 1);
  if (ip === undefined || !/^(0|[1-9]\d{0,2})$/.test(bits) || Number(bits) > (ip.family === 4 ? 32 : 128)) return undefined;
  const host = BigInt((ip.family === 4 ? 32 : 128) - Number(bits));
  return { family: ip.family, value: (ip.value >> host) << host, bits: Number(bits) };
}

/** True when the CIDR contains the address. */
export function cidrContains(cidr: ParsedCidr, ip: ParsedIp): boolean {
  if (cidr.family !== ip.family) return false;
  const host = BigInt((cidr.family === 4 ? 32 : 128) - cidr.bits);
  return ip.value >> host === cidr.value >> host;
}

const V4_RANGES: readonly [string, string][] = [
  ["127.0.0.0/8", "may not be in the loopback range (127.0.0.0/8, ::1/128)"],
  ["169.254.0.0/16", "may not be in the link-local range (169.254.0.0/16, fe80::/10)"],
  ["224.0.0.0/24", "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"],
];
const V6_RANGES: readonly [string, string][] = [
  ["::1/128", V4_RANGES[0]![1]],
  ["fe80::/10", V4_RANGES[1]![1]],
  ["ff02::/16", V4_RANGES[2]![1]],
];

/** Why an address may not be an endpoint; [] when it may. */
export function endpointIpErrors(text: string): string[] {
  const ip = parseIp(text);
  if (ip === undefined) return ["must be a valid IP address"];
  if (ip.value === 0n) return ["may not be unspecified (0.0.0.0 or ::)"];
  const out: string[] = [];
  for (const [cidr, why] of ip.family === 4 ? V4_RANGES : V6_RANGES) if (cidrContains(parseCidr(cidr)!, ip)) out.push(why);
  return out;
}
