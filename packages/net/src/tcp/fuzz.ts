// Fuzzing of the TCP state machine, for tests and bench/fuzz/net.ts: random settings, links, applications and intruders.
// What must hold: nothing throws; the invariants of `check` after every step; both ends deliver exactly the bytes the other wrote, or
// an error is reported; nothing stalls. An intruder who guesses numbers may reset or confuse a connection, but not break an invariant.
import { type Random, seededRandom } from "@podwire/base";
import {
  abort,
  type Connection,
  close,
  consumed,
  DEFAULT_TCP,
  headerLength,
  OutSegment,
  openActive,
  openPassive,
  pathMtu,
  shutdown,
  type TcpConfig,
  write,
  writeHeader,
} from "./index.ts";
import { distance } from "./sequence.ts";
import { TwoEnds } from "./two-ends.ts";

/** A broken property, with the seed that shows it. */
export class FuzzError extends Error {}

const HOUR_MS = 3_600_000;

/** Random connections over a random link, well-behaved applications: what arrives is what was written. */
export function fuzzTransfer(seed: number): void {
  const random = seededRandom(seed);
  const link = randomLink(random, seed);
  const sides = { a: new Application(random), b: new Application(random) };
  const bad = (why: string) => new FuzzError(`seed ${seed}: ${why}`);
  const drive = (end: "a" | "b", c: Connection) => {
    check(c, bad);
    sides[end].act(c, link.nowMs);
  };
  link.onEvents = drive;
  link.poke("a");
  const over = () => ended(link.a) && ended(link.b);
  // Applications act on events and every 50 ms.
  for (let i = 0; !over() && link.nowMs < 10 * HOUR_MS; i++) {
    link.run(link.nowMs + (i < 2000 ? 50 : 60_000), over);
    for (const end of ["a", "b"] as const) {
      const c = link[end];
      if (c === null) continue;
      drive(end, c);
      if (random.float() < 0.002) pathMtu(c, c.una, 300 + random.below(1000));
      link.poke(end);
    }
  }
  const [a, b] = [link.a!, link.b];
  if (!over()) throw bad(`stalled in ${a.state}/${b?.state} after ${sides.a.read}/${sides.a.total} and ${sides.b.read}/${sides.b.total}`);
  // What was received before the end is still there to be read.
  if (b !== null)
    for (const [side, c] of [
      [sides.a, a],
      [sides.b, b],
    ] as const)
      while (c.received.length > 0) side.readSome(c);
  const failed = a.error !== "" || (b !== null && b.error !== "");
  for (const [from, to] of [
    [sides.a, sides.b],
    [sides.b, sides.a],
  ] as const) {
    if (to.mismatchAt >= 0) throw bad(`byte ${to.mismatchAt} differs`);
    if (!failed && to.read !== from.total) throw bad(`${to.read} of ${from.total} bytes arrived, no error`);
    if (to.read > from.written) throw bad("more bytes read than written");
  }
  check(a, bad);
}

/** The same with an intruder who sends segments with numbers near the right ones: invariants only. */
export function fuzzHostile(seed: number): void {
  const random = seededRandom(seed);
  const link = randomLink(random, seed);
  const sides = { a: new Application(random), b: new Application(random) };
  const bad = (why: string) => new FuzzError(`hostile seed ${seed}: ${why}`);
  link.onEvents = (end, c) => {
    check(c, bad);
    sides[end].act(c, link.nowMs);
  };
  link.poke("a");
  for (let i = 0; i < 400; i++) {
    link.run(link.nowMs + random.below(100));
    for (const end of ["a", "b"] as const) {
      const c = link[end];
      if (c === null) continue;
      link.inject(end, forged(c, random));
      sides[end].act(c, link.nowMs);
      if (random.float() < 0.002) abort(c);
      link.poke(end);
      check(c, bad);
    }
  }
}

function ended(c: Connection | null): boolean {
  return c === null || c.state === "closed" || c.state === "timeWait";
}

function randomLink(random: Random, seed: number): TwoEnds {
  const maybe = (chance: number, value: number) => (random.float() < chance ? value * random.float() : 0);
  const link = new TwoEnds(seededRandom(seed ^ 0x5bd1e995), {
    loss: maybe(0.7, 0.2),
    duplicate: maybe(0.4, 0.2),
    reorder: maybe(0.5, 0.3),
    delayMs: 0.1 + random.float() * 50,
    jitterMs: maybe(0.5, 20),
  });
  link.record = false;
  const config = (): TcpConfig => ({
    ...DEFAULT_TCP,
    receiveLimit: random.pick([2000, 20_000, 65_535, 200_000, 1 << 20]),
    sendLimit: random.pick([1000, 50_000, 1 << 20]),
    gsoBytes: random.pick([0, 8000, 32_000]),
    sack: random.float() < 0.8,
    timestamps: random.float() < 0.8,
    windowScaling: random.float() < 0.8,
    dataRetries: 30,
    synRetries: 20,
    synAckRetries: 20,
  });
  const mss = random.pick([100, 536, 1398, 1460, 9000]);
  link.a = openActive(config(), mss, random.uint32(), random.uint32());
  link.listen = (syn, now) => openPassive(config(), random.pick([536, 1398, 1460]), random.uint32(), random.uint32(), syn, now);
  return link;
}

/** Writes a known stream in random pieces, reads in random pieces and with pauses, closes in one of the ways. */
class Application {
  readonly total: number;
  written = 0;
  read = 0;
  mismatchAt = -1;
  readonly #random: Random;
  #pausedUntilMs = 0;

  constructor(random: Random) {
    this.#random = random;
    this.total = random.float() < 0.2 ? 0 : random.below(random.pick([100, 10_000, 300_000]));
  }

  act(c: Connection, nowMs: number): void {
    if (ended(c)) return;
    const r = this.#random;
    if (r.float() < 0.01) c.noDelay = !c.noDelay;
    if (nowMs >= this.#pausedUntilMs) {
      if (r.float() < 0.03) this.#pausedUntilMs = nowMs + r.below(3000);
      this.readSome(c);
    }
    while (this.written < this.total && r.float() < 0.9) {
      const n = Math.min(this.total - this.written, 1 + r.below(r.pick([10, 2000, 100_000])));
      const took = write(c, stream(this.written, n));
      this.written += took;
      if (took < n) break;
    }
    if (this.written === this.total && c.synchronized && !c.finQueued && r.float() < 0.3) shutdown(c);
    if (c.finQueued && c.finReceived && c.received.length === 0 && r.float() < 0.5) close(c, nowMs);
  }

  readSome(c: Connection): void {
    for (let chunk = c.received.take(); chunk !== null; chunk = c.received.take()) {
      const wanted = stream(this.read, chunk.length);
      if (this.mismatchAt < 0 && !Buffer.from(wanted).equals(chunk)) this.mismatchAt = this.read;
      this.read += chunk.length;
      if (this.#random.float() < 0.2) break;
    }
    consumed(c);
  }
}

/** Bytes [at, at + n) of the stream every application writes. */
function stream(at: number, n: number): Uint8Array {
  const b = new Uint8Array(n);
  for (let i = 0; i < n; i++) b[i] = ((at + i) * 31 + ((at + i) >>> 8) * 7) & 255;
  return b;
}

function forged(c: Connection, random: Random): Uint8Array {
  const o = new OutSegment();
  const near = () => random.pick([0, 1, -1, random.below(2000), -random.below(2000), random.below(1 << 20), random.uint32()]);
  o.flags = random.below(64);
  o.seq = (c.rcvNxt + near()) | 0;
  o.ack = (random.pick([c.una, c.nxt]) + near()) | 0;
  o.window = random.below(65_536);
  if (random.float() < 0.1) o.mss = 1 + random.below(65_535);
  if (random.float() < 0.1) o.windowScale = random.below(256);
  o.sackPermitted = random.float() < 0.1;
  o.hasTimestamp = random.float() < 0.6;
  o.tsValue = (c.tsRecent + near()) | 0;
  if (random.float() < 0.3) {
    o.sackCount = 1 + random.below(3);
    for (let i = 0; i < 2 * o.sackCount; i++) o.sack[i] = (c.una + near()) | 0;
  }
  const length = random.float() < 0.3 ? random.below(3000) : 0;
  if (headerLength(o) > 60) o.sackCount = 0;
  const b = new Uint8Array(headerLength(o) + length);
  writeHeader(o, b, 0, 1, 2);
  return b;
}

/** The invariants of a connection (connection.ts, scoreboard.ts, reassembly.ts). */
export function check(c: Connection, bad: (why: string) => Error): void {
  if (c.flight < 0) throw bad(`flight ${c.flight}`);
  let [at, sacked, lost, resent] = [c.sent.head?.seq ?? 0, 0, 0, 0];
  if (c.sent.head !== null && c.sent.head.seq !== c.una) throw bad("the scoreboard does not start at una");
  for (let s = c.sent.head; s !== null; s = s.next) {
    const n = distance(s.end, s.seq);
    if (s.seq !== at || n <= 0) throw bad(`the scoreboard has a hole or an empty entry (${n})`);
    at = s.end;
    if (s.marks & 1) sacked += n;
    if (s.marks & 2) lost += n;
    if (s.marks & 8) resent += n;
    if (s.next === null && (s !== c.sent.tail || s.end !== c.nxt)) throw bad("the scoreboard does not end at nxt");
  }
  if (sacked !== c.sent.sackedBytes || lost !== c.sent.lostBytes || resent !== c.sent.resentBytes)
    throw bad("the scoreboard's sums are wrong");
  if (c.synchronized && c.state !== "timeWait" && c.cwnd < Math.min(c.payloadMax, 88)) throw bad(`cwnd ${c.cwnd}`);
  if (c.sendBuffer.length > c.config.sendLimit) throw bad(`${c.sendBuffer.length} bytes in the send buffer`);
  // The window is offered in units of 2^scale.
  if (c.received.length > c.config.receiveLimit + (1 << c.receiveScale)) throw bad(`${c.received.length} bytes in the receive buffer`);
  let held = 0;
  let end = c.rcvNxt;
  for (const r of c.reassembly?.ranges ?? []) {
    if (distance(r.start, end) <= 0 && c.state !== "synReceived") throw bad("ranges touch or overlap");
    const n = r.chunks.reduce((sum, x) => sum + x.length, 0);
    if (n !== distance(r.end, r.start)) throw bad("a range does not hold its bytes");
    held += n;
    end = r.end;
  }
  if (held > c.config.receiveLimit + 65_536) throw bad(`${held} bytes out of order`);
  if (Number.isNaN(c.rtoMs) || c.rtoMs < c.config.rtoMinMs || c.rtoMs > c.config.rtoMaxMs) throw bad(`rto ${c.rtoMs}`);
}
