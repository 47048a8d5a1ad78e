// Ranges of Service addresses as numbers, in both families. Pure.

export type IpFamily = "IPv4" | "IPv6";

export interface IpRange {
  text: string;
  family: IpFamily;
  /** First address of the range. */
  base: bigint;
  /** How many addresses the range has, as far as they are given out. */
  size: number;
}

/** Of a larger range the first so many addresses are given out (Kubernetes: a prefix of /64 at least). */
const MAX_SIZE = 2 ** 32;

/** Parses "10.96.0.0/12" or "fd00:10:96::/112"; undefined when it is no range. */
export function parseIpRange(text: string): IpRange | undefined {
  const m = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const address = m ? parseIpNumber(m[1] as string) : undefined;
  if (address === undefined) return undefined;
  const bits = address.family === "IPv4" ? 32 : 128;
  const prefix = Number(m?.[2]);
  if (prefix > bits) return undefined;
  const host = BigInt(bits - prefix);
  return { text, family: address.family, base: (address.value >> host) << host, size: Math.min(MAX_SIZE, 2 ** (bits - prefix)) };
}

/** An address in its canonical form or any other; undefined when it is none. */
export function parseIpNumber(text: string): { family: IpFamily; value: bigint } | undefined {
  if (!text.includes(":")) {
    const parts = text.split(".");
    if (parts.length !== 4 || parts.some((p) => !/^(0|[1-9]\d{0,2})$/.test(p) || Number(p) > 255)) return undefined;
    return { family: "IPv4", value: parts.reduce((n, p) => n * 256n + BigInt(p), 0n) };
  }
  const [left = "", right, more] = text.split("::");
  if (more !== undefined) return undefined;
  const groups = (s: string | undefined) => (s ? s.split(":") : []);
  const [head, tail] = [groups(left), groups(right)];
  const missing = 8 - head.length - tail.length;
  if (right === undefined ? missing !== 0 : missing < 1) return undefined;
  const all = [...head, ...Array<string>(missing).fill("0"), ...tail];
  if (all.some((g) => !/^[0-9a-f]{1,4}$/i.test(g))) return undefined;
  return { family: "IPv6", value: all.reduce((n, g) => n * 65_536n + BigInt(Number.parseInt(g, 16)), 0n) };
}

/** Canonical text (RFC 5952). */
export function formatIp(family: IpFamily, n: bigint): string {
  if (family === "IPv4") return [24n, 16n, 8n, 0n].map((s) => String((n >> s) & 255n)).join(".");
  const groups = Array.from({ length: 8 }, (_, i) => ((n >> BigInt(112 - 16 * i)) & 0xffffn).toString(16));
  let best = { at: -1, length: 1 };
  for (let i = 0; i < 8; i++) {
    let length = 0;
    while (i + length < 8 && groups[i + length] === "0") length++;
    if (length > best.length) best = { at: i, length };
  }
  if (best.at < 0) return groups.join(":");
  return `${groups.slice(0, best.at).join(":")}::${groups.slice(best.at + best.length).join(":")}`;
}

/** The address `offset` behind the range's first. */
export function addressAt(range: IpRange, offset: number): string {
  return formatIp(range.family, range.base + BigInt(offset));
}

/** Usable addresses: neither the network's own nor IPv4's broadcast address. */
export function contains(range: IpRange, address: { family: IpFamily; value: bigint }): boolean {
  const offset = address.value - range.base;
  return address.family === range.family && offset > 0n && offset <= BigInt(usable(range));
}

/** Offsets 1 to this are given out. */
export function usable(range: IpRange): number {
  return range.size - (range.family === "IPv4" ? 2 : 1);
}

/** How many addresses at the range's start are left for static choice (KEP-3070): between 16 and 256. */
export function staticBand(range: IpRange): number {
  const n = usable(range);
  return n < 16 ? 0 : Math.min(Math.max(16, Math.floor(n / 16)), 256);
}
