// Out-of-order data waiting for the gap before it, and the SACK blocks that report it (RFC 2018, RFC 2883).
// Invariant: ranges are disjoint, not adjacent, in sequence order; each holds exactly its bytes, copied out of their packets.
// Limit: the receive window bounds the bytes, MAX_RANGES the number of holes (data past it is dropped: the peer sends it again).
import { after, before, beforeOrAt, distance, later } from "./sequence.ts";

/** Holes a connection keeps track of. */
const MAX_RANGES = 256;

interface Range {
  start: number;
  end: number;
  chunks: Uint8Array[];
  /** Counts up with each arrival: the newest range is reported first. */
  stamp: number;
}

export class Reassembly {
  ranges: Range[] = [];
  #stamp = 0;

  get empty(): boolean {
    return this.ranges.length === 0;
  }

  /** Keeps b[from, to) that starts at `seq`. Returns false when there was nothing new in it (all duplicate) or no room. */
  insert(seq: number, b: Uint8Array, from: number, to: number): boolean {
    let at = 0;
    while (at < this.ranges.length && before(this.ranges[at]!.end, seq)) at++;
    const end = (seq + to - from) | 0;
    let range = this.ranges[at];
    if (range === undefined || after(range.start, end)) {
      if (this.ranges.length >= MAX_RANGES) return false;
      this.ranges.splice(at, 0, { start: seq, end, chunks: [b.slice(from, to)], stamp: ++this.#stamp });
      return true;
    }
    range.stamp = ++this.#stamp;
    let fresh = false;
    if (before(seq, range.start)) {
      range.chunks.unshift(b.slice(from, from + distance(range.start, seq)));
      range.start = seq;
      fresh = true;
    }
    // Extend over what lies between this range and those that the new data touches.
    while (after(end, range.end)) {
      const next: Range | undefined = this.ranges[at + 1];
      const stop = next !== undefined && before(next.start, end) ? next.start : end;
      if (stop !== range.end) {
        range.chunks.push(b.slice(from + distance(range.end, seq), from + distance(stop, seq)));
        range.end = stop;
        fresh = true;
      }
      if (next === undefined || next.start !== range.end) break;
      range = this.#join(at);
    }
    const follower = this.ranges[at + 1];
    if (follower !== undefined && follower.start === range.end) this.#join(at);
    return fresh;
  }

  #join(at: number): Range {
    const [left, right] = [this.ranges[at]!, this.ranges[at + 1]!];
    for (const c of right.chunks) left.chunks.push(c);
    left.end = right.end;
    left.stamp = Math.max(left.stamp, right.stamp);
    this.ranges.splice(at + 1, 1);
    return left;
  }

  /** Hands over what follows `next` without a gap, by calls of `deliver`; returns the new next sequence number. */
  drain(next: number, deliver: (bytes: Uint8Array, from: number) => void): number {
    while (this.ranges.length > 0 && beforeOrAt(this.ranges[0]!.start, next)) {
      const range = this.ranges.shift()!;
      let at = range.start;
      for (const chunk of range.chunks) {
        const skip = Math.max(0, distance(next, at));
        if (skip < chunk.length) deliver(chunk, skip);
        at = (at + chunk.length) | 0;
        next = later(next, at);
      }
    }
    return next;
  }

  /** Writes up to `max` blocks, newest first, to into[2 * first ...]; returns how many were written. */
  blocks(into: Int32Array, first: number, max: number): number {
    const n = Math.min(max, this.ranges.length);
    if (n <= 0) return 0;
    const newest = this.ranges.length === 1 ? this.ranges : [...this.ranges].sort((a, b) => b.stamp - a.stamp);
    for (let i = 0; i < n; i++) {
      into[2 * (first + i)] = newest[i]!.start;
      into[2 * (first + i) + 1] = newest[i]!.end;
    }
    return n;
  }
}
