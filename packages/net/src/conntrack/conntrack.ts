// Connection tracking: which connection a packet belongs to, in which direction, and for how long it is remembered.
// Invariant: a row is either unconfirmed (owned by the one Flow under way, in no hash) or confirmed (hashed by both tuples, with a
// time at which it is over); an expired row is never returned. After Linux's nf_conntrack; tuples of ICMP by identifier.
import type { Clock, Random, Timer } from "@podwire/base";
import { formatAddress, type IpAddress } from "../codec/address.ts";
import { protocolName } from "../codec/numbers.ts";
import { addressOf, type Flow, hasPorts, isIcmpError } from "../namespace/flow.ts";
import { ConntrackTable, Field, invertTuple, ROW_WORDS, TUPLE_WORDS, writeTuple } from "./table.ts";
import {
  type ConntrackTimeouts,
  DEFAULT_TIMEOUTS,
  nextTcpState,
  saneTcpFlags,
  TCP_IGNORE,
  TCP_INVALID,
  TCP_STATE_NAMES,
  TcpCt,
} from "./tcp-state.ts";

/** What a packet is to its connection; also the bits that `ctstate` matches. */
export const CtState = { none: 0, new: 1, established: 2, related: 4, invalid: 8, untracked: 16 } as const;

/** Bits of a row's status. */
export const Status = {
  seenReply: 1,
  assured: 2,
  confirmed: 4,
  srcNat: 8,
  dstNat: 16,
  srcNatDone: 32,
  dstNatDone: 64,
} as const;

/** nf_conntrack_max of a node; kube-proxy's --conntrack-max-per-core 32768 on four cores. */
export const DEFAULT_MAX_ENTRIES = 131_072;
/** How often rows that are over are swept while there are any, and how many rows one sweep looks at. */
const SWEEP_PERIOD_MS = 1000;
const SWEEP_ROWS = 32_768;
/** Rows that one early drop looks at for a connection that never was answered. */
const EARLY_DROP_ROWS = 64;
/** How many ports are tried before a translation is given up. */
const PORT_TRIES = 128;

export interface ConntrackEntry {
  protocol: string;
  state: string;
  timeoutMs: number;
  original: { src: string; dst: string; sport: number; dport: number; packets: number };
  reply: { src: string; dst: string; sport: number; dport: number; packets: number };
  assured: boolean;
  unreplied: boolean;
  mark: number;
}

/** Which entries to forget: every given field must match. `dst`, `dport` are what the client addressed, `backend` where it was sent. */
export interface ConntrackFilter {
  protocol?: number;
  src?: IpAddress;
  dst?: IpAddress;
  dport?: number;
  backend?: IpAddress;
  backendPort?: number;
  /** Only entries whose destination was not translated. */
  untranslated?: true;
}

export interface ConntrackOptions {
  clock: Clock;
  random: Random;
  maxEntries?: number;
  timeouts?: ConntrackTimeouts;
}

export class Conntrack {
  readonly table: ConntrackTable;
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly timeouts: ConntrackTimeouts;
  private sweeper: Timer | undefined;
  private sweepAt = 0;
  private readonly quoted = new Int32Array(TUPLE_WORDS * 2);
  /** Told when a connection with an owner ends. */
  readonly forgetListeners = new Set<(owner: number) => void>();
  /** Counters as conntrack -S names them. */
  readonly stats = { found: 0, created: 0, invalid: 0, insertFailed: 0, drop: 0, earlyDrop: 0, expired: 0, deleted: 0, natExhausted: 0 };

  constructor(o: ConntrackOptions) {
    this.clock = o.clock;
    this.random = o.random;
    this.timeouts = o.timeouts ?? DEFAULT_TIMEOUTS;
    this.table = new ConntrackTable(o.maxEntries ?? DEFAULT_MAX_ENTRIES, o.random.uint32());
  }

  get count(): number {
    return this.table.used;
  }

  /** Finds or makes the packet's entry and sets f.ct and f.ctState. False when the packet has to be dropped (table full). */
  track(f: Flow, icmpType: number, inner: Flow | undefined): boolean {
    if (f.ctState !== CtState.none) return true;
    if ((f.protocol === 1 || f.protocol === 58) && isIcmpError(f.protocol, icmpType)) {
      this.trackError(f, inner);
      return true;
    }
    const now = this.clock.monotonicMs();
    let ref = this.live(this.table.findFlow(f), now);
    if (ref >= 0 && f.protocol === 6 && this.reopens(ref, f)) {
      this.forget(ref >> 1);
      ref = -1;
    }
    if (ref < 0) return this.begin(f, now);
    this.stats.found++;
    f.ct = ref;
    this.update(f, ref, now);
    return true;
  }

  /** Makes the entry of a first packet permanent (the last thing that happens to it). False when another packet of the same
   *  connection was faster, or no unique tuple could be had: drop it. */
  confirm(f: Flow): boolean {
    if (f.ct < 0 || f.ctState === CtState.related) return true;
    const at = (f.ct >> 1) * ROW_WORDS;
    const t = this.table;
    const status = t.rows[at + Field.status]!;
    if ((status & Status.confirmed) !== 0) return true;
    const now = this.clock.monotonicMs();
    if (this.live(t.find(t.rows, at), now) >= 0 || this.live(t.find(t.rows, at + TUPLE_WORDS), now) >= 0) {
      this.stats.insertFailed++;
      this.release(f);
      return false;
    }
    t.rows[at + Field.status] = status | Status.confirmed;
    t.insert(f.ct >> 1);
    this.armSweeper();
    return true;
  }

  /** The packet was dropped: an entry that only it had is given back. */
  release(f: Flow): void {
    if (f.ct < 0) return;
    const row = f.ct >> 1;
    if (f.ctState === CtState.new && (this.table.rows[row * ROW_WORDS + Field.status]! & Status.confirmed) === 0) {
      this.disown(row);
      this.table.release(row);
    }
    f.ct = -1;
    f.ctState = CtState.none;
  }

  statusOf(ref: number): number {
    return this.table.rows[(ref >> 1) * ROW_WORDS + Field.status]!;
  }

  setStatus(ref: number, bits: number): void {
    this.table.rows[(ref >> 1) * ROW_WORDS + Field.status]! |= bits;
  }

  word(ref: number, field: number): number {
    return this.table.rows[(ref >> 1) * ROW_WORDS + field]!;
  }

  setWord(ref: number, field: number, value: number): void {
    this.table.rows[(ref >> 1) * ROW_WORDS + field] = value;
  }

  /** Sends an unconfirmed connection to another destination. Port 0 keeps the port. */
  translateDestination(ref: number, to: IpAddress, port: number): void {
    const { rows } = this.table;
    const reply = (ref >> 1) * ROW_WORDS + TUPLE_WORDS;
    putAddress(rows, reply, to);
    if (port !== 0 && hasPorts(rows[reply + 9]! & 255)) rows[reply + 8] = (port << 16) | (rows[reply + 8]! & 0xffff);
    this.setStatus(ref, Status.dstNat | Status.dstNatDone);
  }

  /**
   * Gives an unconfirmed connection another source, with a source port that makes the reply tuple unique. `to` undefined keeps
   * the address (a clash alone moves the port). False when no port is free.
   */
  translateSource(ref: number, to: IpAddress | undefined, ports: { min: number; max: number } | undefined, random: boolean): boolean {
    const t = this.table;
    const { rows } = t;
    const reply = (ref >> 1) * ROW_WORDS + TUPLE_WORDS;
    if (to !== undefined) putAddress(rows, reply + 4, to);
    const now = this.clock.monotonicMs();
    const protocol = rows[reply + 9]! & 255;
    const icmp = protocol === 1 || protocol === 58;
    const current = icmp ? rows[reply + 8]! >>> 16 : rows[reply + 8]! & 0xffff;
    const fits = ports === undefined || (current >= ports.min && current <= ports.max);
    const free = () => this.live(t.find(t.rows, reply), now) < 0;
    if (to !== undefined) this.setStatus(ref, Status.srcNat);
    this.setStatus(ref, Status.srcNatDone);
    if (!random && fits && free()) return true;
    if (!icmp && !hasPorts(protocol)) return free();
    const { min, max } = ports ?? portRangeLike(current, icmp);
    const span = max - min + 1;
    let port = min + this.random.below(span);
    for (let i = 0; i < Math.min(PORT_TRIES, span); i++) {
      rows[reply + 8] = icmp ? (port << 16) | (rows[reply + 8]! & 0xffff) : (rows[reply + 8]! & 0xffff0000) | port;
      if (free()) {
        // An echo identifier is in both tuples, so the original keeps its own; the difference is the translation.
        this.setStatus(ref, Status.srcNat);
        return true;
      }
      port = port >= max ? min : port + 1;
    }
    this.stats.natExhausted++;
    return false;
  }

  /** True when a new connection's reply tuple is already another's (two clients to one backend by two ways). */
  clashes(ref: number): boolean {
    const t = this.table;
    return this.live(t.find(t.rows, (ref >> 1) * ROW_WORDS + TUPLE_WORDS), this.clock.monotonicMs()) >= 0;
  }

  /** Forgets entries; returns how many. */
  flush(filter: ConntrackFilter = {}): number {
    let n = 0;
    for (let row = 0; row < this.table.rowCapacity; row++)
      if (this.isConfirmed(row) && this.matches(row, filter)) {
        this.forget(row);
        this.stats.deleted++;
        n++;
      }
    return n;
  }

  /** Entries as `conntrack -L` would list them, at most `limit`. */
  list(limit = Number.POSITIVE_INFINITY): ConntrackEntry[] {
    const out: ConntrackEntry[] = [];
    const now = this.clock.monotonicMs();
    for (let row = 0; row < this.table.rowCapacity && out.length < limit; row++)
      if (this.isConfirmed(row) && this.table.expiresMs(row) > now) out.push(this.describe(row, now));
    return out;
  }

  /** Frees rows that are over; called by the timer, a part of the table each time. */
  sweep(nowMs: number): void {
    const rows = Math.min(SWEEP_ROWS, this.table.rowCapacity);
    for (let i = 0; i < rows; i++) {
      this.sweepAt = this.sweepAt + 1 < this.table.rowCapacity ? this.sweepAt + 1 : 0;
      if (this.isConfirmed(this.sweepAt) && this.table.expiresMs(this.sweepAt) <= nowMs) {
        this.forget(this.sweepAt);
        this.stats.expired++;
      }
    }
  }

  close(): void {
    this.sweeper?.cancel();
    this.sweeper = undefined;
  }

  private begin(f: Flow, now: number): boolean {
    const t = this.table;
    if (f.protocol === 6) {
      if (!saneTcpFlags(f.tcpFlags) || nextTcpState(TcpCt.none, f.tcpFlags, 0) < 0) return this.invalid(f);
    }
    let row = t.allocate();
    if (row < 0 && this.earlyDrop(now)) row = t.allocate();
    if (row < 0) {
      this.stats.drop++;
      return false;
    }
    const at = row * ROW_WORDS;
    writeTuple(t.rows, at, f);
    if (!invertTuple(t.rows, at, at + TUPLE_WORDS)) {
      t.release(row);
      return this.invalid(f);
    }
    this.stats.created++;
    f.ct = row << 1;
    f.ctState = CtState.new;
    t.rows[at + Field.packetsOriginal] = 1;
    let timeout = this.timeouts.genericMs;
    if (f.protocol === 6) {
      const state = nextTcpState(TcpCt.none, f.tcpFlags, 0);
      t.rows[at + Field.tcpState] = state;
      timeout = this.timeouts.tcp[state]!;
    } else if (f.protocol === 17) timeout = this.timeouts.udpMs;
    else if (f.protocol === 1 || f.protocol === 58) timeout = this.timeouts.icmpMs;
    t.setExpires(row, now + timeout);
    return true;
  }

  private update(f: Flow, ref: number, now: number): void {
    const t = this.table;
    const row = ref >> 1;
    const at = row * ROW_WORDS;
    const reply = (ref & 1) !== 0;
    let timeout = this.timeouts.genericMs;
    if (f.protocol === 6) {
      if (!saneTcpFlags(f.tcpFlags)) return void this.invalid(f);
      const state = t.rows[at + Field.tcpState]!;
      const next = nextTcpState(state, f.tcpFlags, ref & 1);
      if (next === TCP_INVALID) return void this.invalid(f);
      if (next === TCP_IGNORE) timeout = 0;
      else {
        t.rows[at + Field.tcpState] = next;
        timeout = this.timeouts.tcp[next]!;
        if (reply && next === TcpCt.established) t.rows[at + Field.status]! |= Status.assured;
        if (state === TcpCt.synRecv && next === TcpCt.established) t.rows[at + Field.status]! |= Status.assured;
      }
    } else if (f.protocol === 17) {
      const seen = reply || (t.rows[at + Field.status]! & Status.seenReply) !== 0;
      timeout = seen ? this.timeouts.udpStreamMs : this.timeouts.udpMs;
      if (reply) t.rows[at + Field.status]! |= Status.assured;
    } else if (f.protocol === 1 || f.protocol === 58) timeout = this.timeouts.icmpMs;
    if (timeout > 0) t.setExpires(row, now + timeout);
    if (reply) {
      t.rows[at + Field.status]! |= Status.seenReply;
      t.rows[at + Field.packetsReply]!++;
      f.ctState = CtState.established;
    } else {
      t.rows[at + Field.packetsOriginal]!++;
      f.ctState = (t.rows[at + Field.status]! & Status.seenReply) !== 0 ? CtState.established : CtState.new;
    }
  }

  /** An ICMP error belongs to the connection of the packet that it quotes and travels as an answer to it: what is looked up is the
   *  quoted packet's inverse, because the quoted packet itself may be translated already. */
  private trackError(f: Flow, inner: Flow | undefined): void {
    let ref = -1;
    if (inner !== undefined) {
      writeTuple(this.quoted, 0, inner);
      if (invertTuple(this.quoted, 0, TUPLE_WORDS)) ref = this.live(this.table.find(this.quoted, TUPLE_WORDS), this.clock.monotonicMs());
    }
    if (ref < 0) {
      this.invalid(f);
      return;
    }
    f.ct = ref;
    f.ctState = CtState.related;
  }

  private invalid(f: Flow): true {
    f.ct = -1;
    f.ctState = CtState.invalid;
    this.stats.invalid++;
    return true;
  }

  /** A SYN on a connection that is over begins a new one. */
  private reopens(ref: number, f: Flow): boolean {
    if ((f.tcpFlags & 0x17) !== 2) return false;
    const state = this.word(ref, Field.tcpState);
    return state === TcpCt.timeWait || (state === TcpCt.close && (ref & 1) === 0);
  }

  /** The reference when its entry is not over yet, else -1 (and the entry is forgotten). */
  private live(ref: number, now: number): number {
    if (ref < 0 || this.table.expiresMs(ref >> 1) > now) return ref;
    this.forget(ref >> 1);
    this.stats.expired++;
    return -1;
  }

  private forget(row: number): void {
    this.disown(row);
    this.table.remove(row);
    this.table.release(row);
  }

  private disown(row: number): void {
    const owner = this.table.rows[row * ROW_WORDS + Field.owner]!;
    if (owner !== 0) for (const tell of this.forgetListeners) tell(owner);
  }

  private isConfirmed(row: number): boolean {
    return (this.table.rows[row * ROW_WORDS + Field.status]! & Status.confirmed) !== 0;
  }

  /** Makes room in a full table: the first of a few rows, from a random place, that never was assured. */
  private earlyDrop(now: number): boolean {
    const capacity = this.table.rowCapacity;
    const start = this.random.below(capacity);
    for (let i = 0; i < Math.min(EARLY_DROP_ROWS, capacity); i++) {
      const row = (start + i) % capacity;
      if (!this.isConfirmed(row)) continue;
      if (this.table.expiresMs(row) > now && (this.table.rows[row * ROW_WORDS + Field.status]! & Status.assured) !== 0) continue;
      this.forget(row);
      this.stats.earlyDrop++;
      return true;
    }
    return false;
  }

  private armSweeper(): void {
    this.sweeper ??= this.clock.after(
      SWEEP_PERIOD_MS,
      () => {
        this.sweeper = undefined;
        this.sweep(this.clock.monotonicMs());
        if (this.table.used > 0) this.armSweeper();
      },
      { unref: true },
    );
  }

  private matches(row: number, x: ConntrackFilter): boolean {
    const { rows } = this.table;
    const at = row * ROW_WORDS;
    const reply = at + TUPLE_WORDS;
    if (x.protocol !== undefined && (rows[at + 9]! & 255) !== x.protocol) return false;
    if (x.dport !== undefined && (rows[at + 8]! & 0xffff) !== x.dport) return false;
    if (x.untranslated && (rows[at + Field.status]! & Status.dstNat) !== 0) return false;
    if (x.backendPort !== undefined && rows[reply + 8]! >>> 16 !== x.backendPort) return false;
    if (x.src !== undefined && addressAt(rows, at) !== x.src) return false;
    if (x.dst !== undefined && addressAt(rows, at + 4, rows[at + 9]) !== x.dst) return false;
    return x.backend === undefined || addressAt(rows, reply) === x.backend;
  }

  private describe(row: number, now: number): ConntrackEntry {
    const { rows } = this.table;
    const at = row * ROW_WORDS;
    const protocol = rows[at + 9]! & 255;
    const status = rows[at + Field.status]!;
    const side = (o: number, packets: number) => ({
      src: formatAddress(addressAt(rows, o)),
      dst: formatAddress(addressAt(rows, o + 4, rows[o + 9])),
      sport: rows[o + 8]! >>> 16,
      dport: rows[o + 8]! & 0xffff,
      packets,
    });
    return {
      protocol: protocolName(protocol),
      state: protocol === 6 ? TCP_STATE_NAMES[rows[at + Field.tcpState]!]! : "",
      timeoutMs: this.table.expiresMs(row) - now,
      original: side(at, rows[at + Field.packetsOriginal]!),
      reply: side(at + TUPLE_WORDS, rows[at + Field.packetsReply]!),
      assured: (status & Status.assured) !== 0,
      unreplied: (status & Status.seenReply) === 0,
      mark: rows[at + Field.mark]! >>> 0,
    };
  }
}

/** Ports of the same class as the one to be replaced (RFC 6056 asks for a wide range; privileged stay privileged). */
function portRangeLike(port: number, icmp: boolean): { min: number; max: number } {
  if (icmp) return { min: 0, max: 0xffff };
  if (port < 512) return { min: 1, max: 511 };
  return port < 1024 ? { min: 600, max: 1023 } : { min: 1024, max: 0xffff };
}

/** Writes an address into four words. */
export function putAddress(t: Int32Array, at: number, a: IpAddress): void {
  if (typeof a === "number") {
    t[at] = t[at + 1] = t[at + 2] = 0;
    t[at + 3] = a;
    return;
  }
  for (let i = 0; i < 4; i++) t[at + i] = Number((a >> BigInt(96 - 32 * i)) & 0xffffffffn) | 0;
}

/** The address in four words; `meta` is the tuple's last word (looked up from a source address when absent). */
export function addressAt(t: Int32Array, at: number, meta: number = t[at + 9]!): IpAddress {
  return addressOf(meta >> 8 === 6 ? 6 : 4, t[at]!, t[at + 1]!, t[at + 2]!, t[at + 3]!);
}
