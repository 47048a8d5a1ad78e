// Pod address ranges for nodes: the lowest free block of each cluster range. Pure. IPv4 blocks are numbered from the start of the
// range; IPv6 likewise, over the bits between the range's prefix and the block's.
// Invariant: no two nodes hold overlapping blocks.
import { PodwireError } from "@podwire/base";

export class CidrError extends PodwireError {}

export interface Range {
  base: bigint;
  bits: 32 | 128;
  prefix: number;
  blockPrefix: number;
  blocks: number;
}

/** Blocks of a range that are tracked; larger ranges use the first so many. */
const MAX_BLOCKS = 65_536;

export function parseRange(cidr: string, maskV4: number, maskV6: number): Range {
  const [address, length] = cidr.split("/") as [string, string | undefined];
  const bits = address.includes(":") ? 128 : 32;
  const prefix = Number(length);
  const blockPrefix = bits === 32 ? maskV4 : maskV6;
  const base = parseAddress(address);
  if (base === undefined || !Number.isInteger(prefix) || prefix < 0 || prefix > blockPrefix || blockPrefix > bits)
    throw new CidrError(`cannot divide ${cidr} into blocks of /${blockPrefix}`, { next: "--cluster-cidr, --node-cidr-mask-size" });
  return {
    base: (base >> BigInt(bits - prefix)) << BigInt(bits - prefix),
    bits,
    prefix,
    blockPrefix,
    blocks: Math.min(MAX_BLOCKS, 2 ** (blockPrefix - prefix)),
  };
}

export function parseAddress(text: string): bigint | undefined {
  if (!text.includes(":")) {
    const parts = text.split(".");
    if (parts.length !== 4 || parts.some((p) => !/^\d{1,3}$/.test(p) || Number(p) > 255)) return undefined;
    return parts.reduce((n, p) => n * 256n + BigInt(p), 0n);
  }
  const [left, right, more] = text.split("::") as [string, string | undefined, string | undefined];
  if (more !== undefined) return undefined;
  const head = left === "" ? [] : left.split(":");
  const tail = right === undefined || right === "" ? [] : right.split(":");
  const missing = 8 - head.length - tail.length;
  if (right === undefined ? missing !== 0 : missing < 0) return undefined;
  const all = [...head, ...Array<string>(right === undefined ? 0 : missing).fill("0"), ...tail];
  if (all.some((p) => !/^[0-9a-fA-F]{1,4}$/.test(p))) return undefined;
  return all.reduce((n, p) => n * 65536n + BigInt(Number.parseInt(p, 16)), 0n);
}

/** Number of the block that `cidr` is, or undefined when it is not a block of the range. */
export function blockOf(range: Range, cidr: string): number | undefined {
  const [address, length] = cidr.split("/") as [string, string | undefined];
  const value = parseAddress(address);
  if (value === undefined || address.includes(":") !== (range.bits === 128) || Number(length) !== range.blockPrefix) return undefined;
  const n = Number((value - range.base) >> BigInt(range.bits - range.blockPrefix));
  return n >= 0 && n < range.blocks ? n : undefined;
}

export function cidrOf(range: Range, block: number): string {
  const value = range.base + (BigInt(block) << BigInt(range.bits - range.blockPrefix));
  return `${range.bits === 32 ? printV4(value) : printV6(value)}/${range.blockPrefix}`;
}

/** The lowest block that `used` does not hold; undefined when the range is exhausted. */
export function freeBlock(range: Range, used: ReadonlySet<number>): number | undefined {
  for (let i = 0; i < range.blocks; i++) if (!used.has(i)) return i;
  return undefined;
}

function printV4(v: bigint): string {
  return [24n, 16n, 8n, 0n].map((s) => String((v >> s) & 255n)).join(".");
}

/** RFC 5952: the longest run of zeros is shortened. */
function printV6(v: bigint): string {
  const groups = Array.from({ length: 8 }, (_, i) => Number((v >> BigInt((7 - i) * 16)) & 0xffffn));
  let best = { at: -1, length: 1 };
  for (let i = 0; i < 8; i++) {
    let n = 0;
    while (i + n < 8 && groups[i + n] === 0) n++;
    if (n > best.length) best = { at: i, length: n };
  }
  const hex = (g: number[]) => g.map((x) => x.toString(16)).join(":");
  if (best.at < 0) return hex(groups);
  return `${hex(groups.slice(0, best.at))}::${hex(groups.slice(best.at + best.length))}`;
}
