// What was sent and is not acknowledged, in sequence order: when it was sent, whether the peer has it (SACK), whether it is
// taken for lost (RFC 6675, RFC 8985). Invariant: entries are contiguous from snd.una to snd.nxt; the byte counters equal the
// sums over the entries' marks. One entry is one transmission, so up to 32 KB with segmentation offload; entries split where a
// SACK block or a retransmission ends inside one. Limit: the send window bounds the entries.
import { before, distance } from "./sequence.ts";

export const Mark = {
  /** The peer reported it. */
  SACKED: 1,
  /** Taken for lost. */
  LOST: 2,
  /** Was sent more than once: gives no round-trip sample (Karn). */
  RETRANSMITTED: 4,
  /** LOST, and its retransmission is under way. */
  RESENT: 8,
} as const;

export class Sent {
  seq = 0;
  end = 0;
  sentAtMs = 0;
  marks = 0;
  next: Sent | null = null;
  prev: Sent | null = null;
}

/** Free entries kept by the process. */
const MAX_FREE = 4096;
let free: Sent | null = null;
let freeCount = 0;

function obtain(): Sent {
  const s = free;
  if (s === null) return new Sent();
  free = s.next;
  freeCount--;
  return s;
}

export class Scoreboard {
  head: Sent | null = null;
  tail: Sent | null = null;
  sackedBytes = 0;
  lostBytes = 0;
  resentBytes = 0;

  /** Records a first transmission of [seq, end) behind everything sent before. */
  append(seq: number, end: number, nowMs: number): void {
    const s = obtain();
    s.seq = seq;
    s.end = end;
    s.sentAtMs = nowMs;
    s.marks = 0;
    s.next = null;
    s.prev = this.tail;
    if (this.tail === null) this.head = s;
    else this.tail.next = s;
    this.tail = s;
  }

  /** Splits so that an entry ends at `at`, which lies inside `s`. Returns the left part. */
  split(s: Sent, at: number): Sent {
    const right = obtain();
    right.seq = at;
    right.end = s.end;
    right.sentAtMs = s.sentAtMs;
    right.marks = s.marks;
    right.prev = s;
    right.next = s.next;
    if (s.next === null) this.tail = right;
    else s.next.prev = right;
    s.next = right;
    s.end = at;
    return s;
  }

  /** Drops the first entry, which is acknowledged whole. */
  shift(): void {
    const s = this.head!;
    this.#count(s.marks, -distance(s.end, s.seq));
    this.head = s.next;
    if (this.head === null) this.tail = null;
    else this.head.prev = null;
    s.prev = null;
    s.next = null;
    if (freeCount < MAX_FREE) {
      s.next = free;
      free = s;
      freeCount++;
    }
  }

  /** Shortens the first entry to start at `seq`. */
  trimHead(seq: number): void {
    const s = this.head!;
    this.#count(s.marks, -distance(seq, s.seq));
    s.seq = seq;
  }

  /** Replaces the marks of an entry and keeps the counters right. */
  mark(s: Sent, marks: number): void {
    const n = distance(s.end, s.seq);
    this.#count(s.marks, -n);
    s.marks = marks;
    this.#count(marks, n);
  }

  #count(marks: number, n: number): void {
    if (marks & Mark.SACKED) this.sackedBytes += n;
    if (marks & Mark.LOST) this.lostBytes += n;
    if (marks & Mark.RESENT) this.resentBytes += n;
  }

  /** The first entry that should be sent again. */
  firstLost(): Sent | null {
    if (this.lostBytes === this.resentBytes) return null;
    for (let s = this.head; s !== null; s = s.next) if ((s.marks & (Mark.LOST | Mark.RESENT)) === Mark.LOST) return s;
    return null;
  }

  /** The entry that holds `seq`, or null. */
  find(seq: number): Sent | null {
    for (let s = this.head; s !== null; s = s.next) if (before(seq, s.end)) return s;
    return null;
  }

  clear(): void {
    while (this.head !== null) this.shift();
  }
}
