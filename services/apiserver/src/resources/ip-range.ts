// IPv4 ranges as numbers, for the service CIDR. Pure.

export interface IpRange {
  text: string;
  /** First address of the range as uint32. */
  base: number;
  /** How many addresses the range has. */
  size: number;
}

/** Parses "10.96.0.0/12"; undefined when it is not an IPv4 range. */
export function parseIpRange(text: string): IpRange | undefined {
  const m = /^([\d.]+)\/(\d{1,2})$/.exec(text);
  const address = m ? parseIpv4(m[1] as string) : undefined;
  const prefix = Number(m?.[2]);
  if (address === undefined || prefix > 32) return undefined;
  const size = 2 ** (32 - prefix);
  return { text, base: Math.floor(address / size) * size, size };
}

export function parseIpv4(text: string): number | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let n = 0;
  for (const p of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(p) || Number(p) > 255) return undefined;
    n = n * 256 + Number(p);
  }
  return n;
}

export function formatIpv4(n: number): string {
  return `${Math.floor(n / 16777216) % 256}.${Math.floor(n / 65536) % 256}.${Math.floor(n / 256) % 256}.${n % 256}`;
}

/** Usable addresses: neither the network's own nor the broadcast address. */
export function contains(range: IpRange, address: number): boolean {
  return address > range.base && address < range.base + range.size - 1;
}

/** How many addresses at the range's start are left for static choice (KEP-3070): between 16 and 256. */
export function staticBand(range: IpRange): number {
  const usable = range.size - 2;
  return usable < 16 ? 0 : Math.min(Math.max(16, Math.floor(usable / 16)), 256);
}
