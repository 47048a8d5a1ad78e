// Two connections joined by a simulated link, for tests and fuzzing: virtual time, seeded loss, duplication, reordering and delay.
// Segments cross as real header bytes, so that writing and reading them is tested too. Keeps a transcript a person can read.
// Invariant: the same seed and the same calls give the same run.
import type { Random } from "@podwire/base";
import {
  type Connection,
  fireTimers,
  flagNames,
  nextTimer,
  type OutSegment,
  readSegment,
  receive,
  Segment,
  transmit,
  writeHeader,
} from "./index.ts";

export interface LinkFaults {
  /** Chances in [0, 1). */
  loss: number;
  duplicate: number;
  reorder: number;
  delayMs: number;
  jitterMs: number;
  /** Drops a segment when it returns true; sees the direction and the number of the segment in it, from 1. */
  drop?: (from: "a" | "b", n: number, flags: string, length: number) => boolean;
}

interface InFlight {
  atMs: number;
  order: number;
  to: "a" | "b";
  bytes: Uint8Array;
}

export class TwoEnds {
  nowMs = 0;
  readonly faults: LinkFaults;
  readonly transcript: string[] = [];
  #random: Random;
  #flying: InFlight[] = [];
  #order = 0;
  #sent = { a: 0, b: 0 };
  #iss = { a: 0, b: 0 };
  #segment = new Segment();
  a: Connection | null = null;
  b: Connection | null = null;
  /** Makes end b when a SYN arrives and there is none. */
  listen: ((syn: Segment, nowMs: number) => Connection) | null = null;
  /** Called after anything happened at an end. */
  onEvents: (end: "a" | "b", c: Connection) => void = () => {};
  record = true;
  #pausedUntilMs = 0;

  constructor(random: Random, faults: Partial<LinkFaults> = {}) {
    this.#random = random;
    this.faults = { loss: 0, duplicate: 0, reorder: 0, delayMs: 10, jitterMs: 0, ...faults };
  }

  /** Lets an end send, after a call of the application on it. */
  poke(end: "a" | "b"): void {
    const c = this[end];
    if (c === null) return;
    transmit(c, this.nowMs, (_, out) => this.#emit(end, c, out));
    if (c.events !== 0) {
      this.onEvents(end, c);
      c.events = 0;
      transmit(c, this.nowMs, (_, out) => this.#emit(end, c, out));
    }
  }

  #emit(from: "a" | "b", c: Connection, out: OutSegment): void {
    const bytes = new Uint8Array(60 + out.payloadLength);
    const header = writeHeader(out, bytes, 0, 1, 2);
    if (out.payloadLength > 0) c.sendBuffer.copy(out.payloadAt, out.payloadLength, bytes, header);
    const n = ++this.#sent[from];
    const flags = flagNames(out.flags);
    const f = this.faults;
    const lost = (f.loss > 0 && this.#random.float() < f.loss) || (f.drop?.(from, n, flags, out.payloadLength) ?? false);
    if (this.record) this.#note(from, c, out, flags, lost);
    if (lost) return;
    const copies = f.duplicate > 0 && this.#random.float() < f.duplicate ? 2 : 1;
    for (let i = 0; i < copies; i++) {
      let delayMs = f.delayMs + (f.jitterMs > 0 ? this.#random.float() * f.jitterMs : 0);
      if (f.reorder > 0 && this.#random.float() < f.reorder) delayMs += this.#random.float() * 3 * f.delayMs;
      const to = from === "a" ? "b" : "a";
      this.#flying.push({
        atMs: Math.max(this.nowMs + delayMs, this.#pausedUntilMs),
        order: this.#order++,
        to,
        bytes: bytes.slice(0, header + out.payloadLength),
      });
    }
  }

  #note(from: "a" | "b", c: Connection, out: OutSegment, flags: string, lost: boolean): void {
    if (flags.includes("S")) this.#iss[from] = c.iss;
    const seq = (out.seq - this.#iss[from]) >>> 0;
    const ack = (out.ack - this.#iss[from === "a" ? "b" : "a"]) >>> 0;
    let text = `${this.nowMs.toFixed(0).padStart(6)} ${from === "a" ? "a > b" : "b > a"} ${flags} ${seq}:${(seq + out.payloadLength) >>> 0}(${out.payloadLength})`;
    if (flags.includes("A")) text += ` ack ${ack}`;
    text += ` win ${out.window}`;
    if (out.mss > 0) text += ` mss ${out.mss}`;
    if (out.sackPermitted) text += " sackOK";
    if (out.windowScale >= 0) text += ` wscale ${out.windowScale}`;
    const peer = this.#iss[from === "a" ? "b" : "a"];
    for (let i = 0; i < out.sackCount; i++) text += ` sack ${(out.sack[2 * i]! - peer) >>> 0}:${(out.sack[2 * i + 1]! - peer) >>> 0}`;
    if (out.gsoSize > 0) text += ` gso ${out.gsoSize}`;
    this.transcript.push(lost ? `${text} LOST` : text);
  }

  /** Nothing arrives for `ms`; then everything does, in order (a machine that was busy). */
  pause(ms: number): void {
    this.#pausedUntilMs = this.nowMs + ms;
    for (const f of this.#flying) f.atMs = Math.max(f.atMs, this.#pausedUntilMs);
  }

  /** Injects bytes of a segment to an end, as a third party would. */
  inject(to: "a" | "b", bytes: Uint8Array): void {
    this.#flying.push({ atMs: this.nowMs, order: this.#order++, to, bytes });
  }

  /** Runs until nothing is due at or before `untilMs`, or `done` says so. Returns false when the time ran out first. */
  run(untilMs: number, done: () => boolean = () => false): boolean {
    for (;;) {
      if (done()) return true;
      let next: InFlight | undefined;
      for (const f of this.#flying)
        if (next === undefined || f.atMs < next.atMs || (f.atMs === next.atMs && f.order < next.order)) next = f;
      const timer = Math.min(this.a ? nextTimer(this.a) : Infinity, this.b ? nextTimer(this.b) : Infinity);
      const atMs = Math.min(next?.atMs ?? Infinity, timer);
      if (atMs > untilMs) {
        this.nowMs = Math.max(this.nowMs, Math.min(untilMs, atMs));
        return done();
      }
      this.nowMs = Math.max(this.nowMs, atMs);
      if (next !== undefined && next.atMs <= timer) {
        this.#flying.splice(this.#flying.indexOf(next), 1);
        this.#deliver(next);
      } else {
        for (const end of ["a", "b"] as const) {
          const c = this[end];
          if (c !== null && nextTimer(c) <= this.nowMs) {
            fireTimers(c, this.nowMs);
            this.poke(end);
          }
        }
      }
    }
  }

  #deliver(f: InFlight): void {
    readSegment(this.#segment, f.bytes, 0, f.bytes.length);
    let c = this[f.to];
    if (c === null && f.to === "b" && this.listen !== null && this.#segment.flags === 2) {
      c = this.b = this.listen(this.#segment, this.nowMs);
    } else if (c !== null) receive(c, this.#segment, this.nowMs);
    this.poke(f.to);
  }
}
