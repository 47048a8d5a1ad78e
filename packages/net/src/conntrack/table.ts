// The storage of connection tracking: entries as rows of one Int32Array, found by either of their two tuples through an
// open-addressed hash whose slots hold the IPv4 tuple itself, so that finding a connection is one cache miss. No objects, no strings,
// nothing to collect.
// Invariant: a confirmed entry has exactly two slots, each reachable by linear probing from its hash; a free row is on the
// free list; a reference is (row << 1) | direction.
import type { Flow } from "../namespace/flow.ts";

/** Words of one tuple: s0..s3, d0..d3, (sport << 16 | dport), (family << 8 | protocol). */
export const TUPLE_WORDS = 10;
/** Words of one row. */
export const ROW_WORDS = 32;

/** Word offsets in a row; the original tuple is at 0, the reply tuple at TUPLE_WORDS. */
export const Field = {
  status: 20,
  tcpState: 21,
  mark: 22,
  packetsOriginal: 23,
  packetsReply: 24,
  /** Counts reuse of the row, so that a stale reference can be told. */
  generation: 25,
  /** What the policy engine decided, and under which of its generations. */
  policyGeneration: 26,
  policyVerdict: 27,
  /** When the row is over, in ticks of monotonic time. */
  expires: 28,
  /** Next row of the free list. */
  nextFree: 30,
  /** Whose count the connection is in (an IPVS real server), 0 for nobody's. */
  owner: 31,
} as const;

export const FIRST_ROWS = 256;
/** Rows that a slot's 23 bits of reference can name. */
export const MAX_ROWS = 1 << 21;
/** Unit of Field.expires; an int32 of them lasts for a year. */
const TICK_MS = 16;
/** How full the slots may be. At 100,000 connections the slots are then 4 MB and a lookup one miss of the cache and none of the page
 *  table's (measured: 160 ns, 200 at half of this on the same busy machine); a tuple that is not there costs nine probes at the limit. */
const MAX_LOAD = 0.8;
/** Words of a slot: the last 32 bits of both addresses, the ports, and (reference + 1) << 9 | IPv6 << 8 | protocol (0 is empty). For
 *  IPv6 the rest of the addresses is compared in the row. */
const SLOT = 4;
const KIND = 511;

export class ConntrackTable {
  /** Rows; grows by doubling up to `maxRows`. */
  rows = new Int32Array(FIRST_ROWS * ROW_WORDS);
  readonly maxRows: number;
  private capacity = FIRST_ROWS;
  private firstFree = 0;
  /** The number of slots is a power of two, at most MAX_LOAD of them full. */
  private slots = new Int32Array(FIRST_ROWS * 2 * SLOT);
  private mask = FIRST_ROWS * 2 - 1;
  private readonly seed: number;
  /** Confirmed and unconfirmed rows. */
  used = 0;
  readonly scratch = new Int32Array(TUPLE_WORDS);

  constructor(maxRows: number, seed: number) {
    this.maxRows = Math.min(maxRows, MAX_ROWS);
    this.seed = seed | 0;
    this.linkFree(0, FIRST_ROWS);
  }

  get rowCapacity(): number {
    return this.capacity;
  }

  private linkFree(from: number, to: number): void {
    for (let r = from; r < to; r++) this.rows[r * ROW_WORDS + Field.nextFree] = r + 1 < to ? r + 1 : -1;
    this.firstFree = from;
  }

  /** A zeroed row that is in no hash yet, or -1 when the table is full. */
  allocate(): number {
    if (this.firstFree < 0) {
      if (this.capacity >= this.maxRows) return -1;
      const next = Math.min(this.capacity * 2, this.maxRows);
      const rows = new Int32Array(next * ROW_WORDS);
      rows.set(this.rows);
      this.rows = rows;
      this.linkFree(this.capacity, next);
      this.capacity = next;
    }
    const row = this.firstFree;
    const at = row * ROW_WORDS;
    this.firstFree = this.rows[at + Field.nextFree]!;
    const generation = this.rows[at + Field.generation]!;
    this.rows.fill(0, at, at + ROW_WORDS);
    this.rows[at + Field.generation] = (generation + 1) | 0;
    this.used++;
    return row;
  }

  /** Gives an unhashed row back. */
  release(row: number): void {
    const at = row * ROW_WORDS;
    this.rows[at + Field.status] = 0;
    this.rows[at + Field.nextFree] = this.firstFree;
    this.firstFree = row;
    this.used--;
  }

  setExpires(row: number, atMs: number): void {
    this.rows[row * ROW_WORDS + Field.expires] = Math.ceil(atMs / TICK_MS);
  }

  /** Monotonic milliseconds at which a row is over. */
  expiresMs(row: number): number {
    return this.rows[row * ROW_WORDS + Field.expires]! * TICK_MS;
  }

  /** Puts both tuples of a row into the hash. */
  insert(row: number): void {
    if (this.used * 2 > (this.mask + 1) * MAX_LOAD) this.grow();
    this.put(row << 1);
    this.put((row << 1) | 1);
  }

  /** Takes both tuples of a row out of the hash. */
  remove(row: number): void {
    this.take(row << 1);
    this.take((row << 1) | 1);
  }

  /** The reference of the entry one of whose tuples is at t[at..], or -1. */
  find(t: Int32Array, at: number): number {
    const { slots, mask } = this;
    const s3 = t[at + 3]!;
    const d3 = t[at + 7]!;
    const ports = t[at + 8]!;
    const kind = kindOf(t[at + 9]!);
    for (let i = this.hashAt(t, at) & mask; ; i = (i + 1) & mask) {
      const o = i * SLOT;
      const last = slots[o + 3]!;
      if (last === 0) return -1;
      if (slots[o] !== s3 || slots[o + 1] !== d3 || slots[o + 2] !== ports || (last & KIND) !== kind) continue;
      const ref = (last >>> 9) - 1;
      if (kind < 256 || this.sameHighWords(t, at, ref)) return ref;
    }
  }

  /** Writes the tuple of a packet into scratch and finds it. */
  findFlow(f: Flow): number {
    writeTuple(this.scratch, 0, f);
    return this.find(this.scratch, 0);
  }

  /** The words of IPv6 addresses that a slot has no room for. */
  private sameHighWords(t: Int32Array, at: number, ref: number): boolean {
    const { rows } = this;
    const o = tupleOffset(ref);
    return (
      rows[o] === t[at] &&
      rows[o + 1] === t[at + 1] &&
      rows[o + 2] === t[at + 2] &&
      rows[o + 4] === t[at + 4] &&
      rows[o + 5] === t[at + 5] &&
      rows[o + 6] === t[at + 6]
    );
  }

  /** Independent products, so that the processor need not wait for one before the next; the seed keeps collisions from being chosen. */
  private hashAt(t: Int32Array, at: number): number {
    const { seed } = this;
    let h =
      Math.imul(t[at + 3]! ^ seed, 0x9e3779b1) ^
      Math.imul(t[at + 7]! ^ (seed >>> 3), 0x85ebca6b) ^
      Math.imul((t[at + 8]! + t[at + 9]!) ^ (seed << 5), 0xc2b2ae35);
    if (t[at + 9]! >> 8 === 6) {
      h = mix(h, t[at]!);
      h = mix(h, t[at + 1]!);
      h = mix(h, t[at + 2]!);
      h = mix(h, t[at + 4]!);
      h = mix(h, t[at + 5]!);
      h = mix(h, t[at + 6]!);
    }
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    return h ^ (h >>> 16);
  }

  private put(ref: number): void {
    const o = tupleOffset(ref);
    let i = this.hashAt(this.rows, o) & this.mask;
    while (this.slots[i * SLOT + 3] !== 0) i = (i + 1) & this.mask;
    const slot = i * SLOT;
    this.slots[slot] = this.rows[o + 3]!;
    this.slots[slot + 1] = this.rows[o + 7]!;
    this.slots[slot + 2] = this.rows[o + 8]!;
    this.slots[slot + 3] = ((ref + 1) << 9) | kindOf(this.rows[o + 9]!);
  }

  /** Removes one slot and moves later ones of its run forward, so that no tombstones are needed. */
  private take(ref: number): void {
    const { slots, mask } = this;
    let i = this.hashAt(this.rows, tupleOffset(ref)) & mask;
    for (; slots[i * SLOT + 3]! >>> 9 !== ref + 1; i = (i + 1) & mask) if (slots[i * SLOT + 3] === 0) return;
    let hole = i;
    for (let j = (i + 1) & mask; slots[j * SLOT + 3] !== 0; j = (j + 1) & mask) {
      const home = this.hashAt(this.rows, tupleOffset((slots[j * SLOT + 3]! >>> 9) - 1)) & mask;
      if (((j - home) & mask) < ((j - hole) & mask)) continue;
      slots.copyWithin(hole * SLOT, j * SLOT, j * SLOT + SLOT);
      hole = j;
    }
    slots[hole * SLOT + 3] = 0;
  }

  private grow(): void {
    const old = this.slots;
    this.slots = new Int32Array(old.length * 2);
    this.mask = this.mask * 2 + 1;
    for (let i = 3; i < old.length; i += SLOT) if (old[i] !== 0) this.put((old[i]! >>> 9) - 1);
  }
}

/** Where a reference's tuple is in the rows. */
function tupleOffset(ref: number): number {
  return (ref >> 1) * ROW_WORDS + (ref & 1) * TUPLE_WORDS;
}

/** Protocol, with bit 8 for IPv6. */
function kindOf(meta: number): number {
  return (meta & 255) | (meta >> 8 === 6 ? 256 : 0);
}

function mix(h: number, w: number): number {
  const k = Math.imul(h ^ w, 0x9e3779b1);
  return k ^ (k >>> 15);
}

/** Writes the tuple of a packet. */
export function writeTuple(t: Int32Array, at: number, f: Flow): void {
  t[at] = f.s0;
  t[at + 1] = f.s1;
  t[at + 2] = f.s2;
  t[at + 3] = f.s3;
  t[at + 4] = f.d0;
  t[at + 5] = f.d1;
  t[at + 6] = f.d2;
  t[at + 7] = f.d3;
  t[at + 8] = (f.sport << 16) | f.dport;
  t[at + 9] = (f.family << 8) | f.protocol;
}

/** ICMP types that answer each other (RFC 792, RFC 4443); undefined for those that have no answer. */
function answerType(protocol: number, type: number): number | undefined {
  if (protocol === 58) return type === 128 ? 129 : type === 129 ? 128 : undefined;
  switch (type) {
    case 8:
      return 0;
    case 0:
      return 8;
    case 13:
      return 14;
    case 14:
      return 13;
    case 17:
      return 18;
    case 18:
      return 17;
    default:
      return undefined;
  }
}

/** Writes the tuple of the answer to `from` at `to`; false when there can be none. */
export function invertTuple(t: Int32Array, from: number, to: number): boolean {
  const protocol = t[from + 9]! & 255;
  let ports = (t[from + 8]! << 16) | (t[from + 8]! >>> 16);
  if (protocol === 1 || protocol === 58) {
    const answer = answerType(protocol, (t[from + 8]! >>> 8) & 255);
    if (answer === undefined) return false;
    ports = (t[from + 8]! & 0xffff0000) | (answer << 8) | (t[from + 8]! & 255);
  }
  t[to] = t[from + 4]!;
  t[to + 1] = t[from + 5]!;
  t[to + 2] = t[from + 6]!;
  t[to + 3] = t[from + 7]!;
  t[to + 4] = t[from]!;
  t[to + 5] = t[from + 1]!;
  t[to + 6] = t[from + 2]!;
  t[to + 7] = t[from + 3]!;
  t[to + 8] = ports;
  t[to + 9] = t[from + 9]!;
  return true;
}
