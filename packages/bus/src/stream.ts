// Streams with credit over a Transport. Opening is a request-like message with a reply subject; then each side publishes
// frames on the other's letterbox. Layout of a frame message, integers big-endian:
//   0 ACCEPT  u32 window                      1 DATA  u8 more, u32 number, payload (a frame in one or more parts)
//   2 CREDIT  f64 bytes consumed in total     3 END   u32 number of data messages sent
//   4 ABORT   msgpackr {code, message}        5 PING  (reply subject: where an unknown stream is reported)
// Invariants: at most `window` bytes plus one frame are unacknowledged; frames arrive in order, once, or the stream
// fails; a stream closes exactly once. A lost message shows as a gap in the numbers and aborts the stream.
import { type Clock, reasonOf } from "@podwire/base";
import type { BusStream, RemoteFailure, RequestOptions } from "./bus.ts";
import { decode, encode, encodeAfter } from "./codec.ts";
import { BusClosedError, BusTimeoutError, DisconnectedError, MalformedError, NoRespondersError, RemoteError } from "./errors.ts";
import type { Letterbox } from "./mailbox.ts";
import { DEFAULT_REQUEST_TIMEOUT_MS, type EndpointDeps, failureOf, MAX_PART_BYTES, readFailure } from "./request.ts";
import type { BusMessage, Subscription } from "./transport.ts";

const ACCEPT = 0;
const DATA = 1;
const CREDIT = 2;
const END = 3;
const ABORT = 4;
const PING = 5;
const DATA_HEADER = 6;

export const DEFAULT_WINDOW_BYTES = 256 * 1024;
const MAX_WINDOW_BYTES = 64 * 1024 * 1024;
/** A frame that is put together from parts may not grow past this. */
export const MAX_FRAME_BYTES = 64 * 1024 * 1024;
/** What a frame counts for beside its payload, so that empty frames need credit too. */
const FRAME_COST = 64;
const PING_EVERY_MS = 10_000;
/** A peer that says nothing for so long is gone. */
export const SILENCE_LIMIT_MS = 30_000;
/** Streams of one connection past this number are refused. */
export const MAX_STREAMS = 16_384;

type StreamHandler = (open: unknown, stream: BusStream, message: { subject: string }) => void | Promise<void>;

export class Streams {
  private readonly d: EndpointDeps;
  private readonly open = new Set<Stream>();
  private pinger: { cancel(): void } | undefined;

  constructor(d: EndpointDeps) {
    this.d = d;
    d.mailbox.onUnclaimed = (m) => {
      // A peer that still believes in a stream of ours learns that it is over.
      if (m.reply && (m.data[0] === PING || m.data[0] === ACCEPT))
        this.refuse(m.reply, new RemoteError("unknown-stream", "the other side of the stream is gone"));
    };
  }

  get count(): number {
    return this.open.size;
  }

  openStream(subject: string, open: unknown, opts: RequestOptions & { windowBytes?: number } = {}): Promise<BusStream> {
    const { transport, clock } = this.d;
    const { signal } = opts;
    const timeoutMs = opts.timeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const stream = this.create(opts.windowBytes);
      let settled = false;
      const settle = (e?: unknown) => {
        if (settled) return;
        settled = true;
        timer.cancel();
        signal?.removeEventListener("abort", onAbort);
        if (e === undefined) resolve(stream);
        else {
          stream.abort({ code: "abandoned", message: "the opener went away" });
          reject(e);
        }
      };
      const onAbort = () => settle(signal?.reason);
      const timer = clock.after(timeoutMs, () => settle(new BusTimeoutError(subject, timeoutMs)));
      signal?.addEventListener("abort", onAbort, { once: true });
      stream.openSubject = subject;
      stream.onOpened = (e) => settle(e);
      try {
        transport.publish(subject, encode([open, stream.windowBytes]), { reply: stream.box.subject });
      } catch (e) {
        settle(e);
      }
    });
  }

  serveStreams(subject: string, handler: StreamHandler, opts: { queue?: string; windowBytes?: number } = {}): Subscription {
    return this.d.transport.subscribe(subject, (m) => this.accept(m, handler, opts.windowBytes), opts);
  }

  private accept(m: BusMessage, handler: StreamHandler, windowBytes: number | undefined): void {
    const { subject, reply } = m;
    if (!reply) {
      this.d.complaints.complain("malformed stream", { subject });
      return;
    }
    let open: unknown;
    let peerWindow: number;
    try {
      const v = decode(m.data);
      if (!Array.isArray(v) || v.length !== 2 || !Number.isInteger(v[1]) || v[1] < 1) throw new MalformedError("not [open, window]");
      [open, peerWindow] = v;
    } catch (e) {
      this.d.complaints.complain("malformed stream", { subject });
      this.refuse(reply, new RemoteError("malformed", reasonOf(e)));
      return;
    }
    if (this.open.size >= MAX_STREAMS) {
      this.refuse(reply, new RemoteError("overloaded", `more than ${MAX_STREAMS} streams`));
      return;
    }
    const stream = this.create(windowBytes);
    stream.connect(reply, peerWindow);
    const failed = (e: unknown) => {
      if (!(e instanceof RemoteError)) this.d.complaints.complain("stream failed", { subject, err: e });
      stream.abort(failureOf(e));
    };
    let done: void | Promise<void>;
    try {
      done = handler(open, stream, { subject });
    } catch (e) {
      failed(e);
      return;
    }
    done?.catch(failed);
    // An async handler that threw before its first await has rejected by now, but its rejection is told in a microtask.
    queueMicrotask(() => queueMicrotask(() => stream.accept()));
  }

  private refuse(reply: string, e: RemoteError): void {
    this.d.transport.publish(reply, abortMessage(failureOf(e)));
  }

  private create(windowBytes = DEFAULT_WINDOW_BYTES): Stream {
    const stream: Stream = new Stream(
      this.d,
      Math.min(windowBytes, MAX_WINDOW_BYTES),
      (onMessage) => this.d.mailbox.open(onMessage),
      () => {
        this.open.delete(stream);
        if (this.open.size === 0) {
          this.pinger?.cancel();
          this.pinger = undefined;
        }
      },
    );
    this.open.add(stream);
    this.pinger ??= this.d.clock.every(PING_EVERY_MS, () => this.ping(), { unref: true });
    return stream;
  }

  private ping(): void {
    const now = this.d.clock.monotonicMs();
    for (const s of [...this.open]) s.tick(now);
  }

  disconnected(): void {
    const e = new DisconnectedError();
    for (const s of [...this.open]) s.fail({ code: "disconnected", message: e.message }, e);
  }

  refused(subject: string): void {
    for (const s of [...this.open])
      if (s.openSubject === subject || s.peerSubject === subject)
        s.fail({ code: "forbidden", message: `${this.d.transport.identity} may not publish on ${subject}` });
  }

  close(): void {
    const e = new BusClosedError();
    for (const s of [...this.open]) {
      s.abort({ code: "closed", message: e.message });
    }
  }
}

class Stream implements BusStream {
  readonly box: Letterbox;
  readonly windowBytes: number;
  openSubject: string | undefined;
  peerSubject: string | undefined;
  /** Set by the opener: called with undefined on ACCEPT, or with why there is no stream. */
  onOpened: ((e: unknown) => void) | undefined;
  closed = false;

  private readonly d: EndpointDeps;
  private readonly clock: Clock;
  private readonly released: () => void;
  private readonly partBytes: number;
  private accepted = false;
  private error: RemoteFailure | undefined;
  private lastHeardMs: number;
  private lastSaidMs: number;
  // sending
  private peerWindow = 0;
  private sentBytes = 0;
  private creditedBytes = 0;
  private sentNumber = 0;
  private ended = false;
  private readonly blocked: { resolve(): void; reject(e: unknown): void }[] = [];
  // receiving
  private receivedNumber = 0;
  private parts: Uint8Array[] = [];
  private partsBytes = 0;
  private readonly arrived: { frame: unknown; cost: number }[] = [];
  private consumedBytes = 0;
  private reportedBytes = 0;
  private delivering = false;
  private peerEnded = false;
  private endTold = false;
  private reader: ((frame: unknown) => void | Promise<void>) | undefined;
  private readonly endListeners: (() => void)[] = [];
  private readonly closeListeners: ((e: RemoteFailure | undefined) => void)[] = [];

  constructor(d: EndpointDeps, windowBytes: number, open: (onMessage: (m: BusMessage) => void) => Letterbox, released: () => void) {
    this.d = d;
    this.clock = d.clock;
    this.windowBytes = windowBytes;
    this.released = released;
    this.partBytes = Math.max(1024, Math.min(MAX_PART_BYTES, d.transport.maxPayload - 1024));
    this.lastHeardMs = this.lastSaidMs = d.clock.monotonicMs();
    this.box = open((m) => this.onMessage(m));
  }

  /** Accepting side: where the opener listens. */
  connect(peerSubject: string, peerWindow: number): void {
    this.peerSubject = peerSubject;
    this.peerWindow = Math.min(peerWindow, MAX_WINDOW_BYTES);
  }

  accept(): void {
    if (this.accepted || this.closed) return;
    this.accepted = true;
    const b = Buffer.allocUnsafe(5);
    b[0] = ACCEPT;
    b.writeUInt32BE(this.windowBytes, 1);
    this.say(b, this.box.subject);
  }

  send(frame: unknown): Promise<void> {
    const sent = this.sendFrame(frame);
    sent.catch(() => {}); // who does not wait learns of a failure by onClose; it must not end the process
    return sent;
  }

  private async sendFrame(frame: unknown): Promise<void> {
    if (this.closed) throw this.reason();
    if (this.ended) throw new RemoteError("ended", "this side of the stream has ended");
    this.accept();
    const whole = encodeAfter(DATA_HEADER, frame);
    const cost = whole.length - DATA_HEADER + FRAME_COST;
    if (whole.length <= this.partBytes) this.sayData(whole, false);
    else
      for (let at = DATA_HEADER; at < whole.length; at += this.partBytes) {
        const part = Buffer.allocUnsafe(DATA_HEADER + Math.min(this.partBytes, whole.length - at));
        part.set(whole.subarray(at, at + this.partBytes), DATA_HEADER);
        this.sayData(part, at + this.partBytes < whole.length);
      }
    this.sentBytes += cost;
    if (this.sentBytes - this.creditedBytes < this.peerWindow) return;
    await new Promise<void>((resolve, reject) => void this.blocked.push({ resolve, reject }));
  }

  private sayData(b: Uint8Array, more: boolean): void {
    const number = this.sentNumber++;
    b[0] = DATA;
    b[1] = more ? 1 : 0;
    b[2] = number >>> 24;
    b[3] = number >>> 16;
    b[4] = number >>> 8;
    b[5] = number;
    this.say(b);
  }

  end(): void {
    if (this.ended || this.closed) return;
    this.accept();
    this.ended = true;
    const b = Buffer.allocUnsafe(5);
    b[0] = END;
    b.writeUInt32BE(this.sentNumber >>> 0, 1);
    this.say(b);
    this.maybeClose();
  }

  abort(error: RemoteFailure): void {
    if (this.closed) return;
    if (this.peerSubject !== undefined) this.say(abortMessage(error));
    this.fail(error);
  }

  onFrame(cb: (frame: unknown) => void | Promise<void>): void {
    this.reader = cb;
    void this.deliver();
  }

  onEnd(cb: () => void): void {
    this.endListeners.push(cb);
    if (this.endTold) cb();
  }

  onClose(cb: (error: RemoteFailure | undefined) => void): void {
    if (this.closed) cb(this.error);
    else this.closeListeners.push(cb);
  }

  /** Ends the stream on this side, without telling the peer. */
  fail(error: RemoteFailure | undefined, opening?: Error): void {
    if (this.closed) return;
    this.closed = true;
    this.error = error;
    this.box.close();
    this.released();
    this.arrived.length = 0;
    this.parts = [];
    for (const b of this.blocked.splice(0)) b.reject(this.reason());
    this.onOpened?.(opening ?? (error ? new RemoteError(error.code, error.message) : new RemoteError("ended", "the stream ended")));
    for (const cb of this.closeListeners.splice(0)) this.guard(() => cb(error));
  }

  tick(nowMs: number): void {
    if (this.peerSubject === undefined) return; // opening has a timeout of its own
    if (nowMs - this.lastHeardMs >= SILENCE_LIMIT_MS)
      this.abort({ code: "silent", message: `the peer said nothing for ${SILENCE_LIMIT_MS} ms` });
    else if (nowMs - this.lastSaidMs >= PING_EVERY_MS / 2) this.say(Buffer.of(PING), this.box.subject);
  }

  private reason(): RemoteError {
    return this.error ? new RemoteError(this.error.code, this.error.message) : new RemoteError("closed", "the stream is closed");
  }

  private say(b: Uint8Array, reply?: string): void {
    this.lastSaidMs = this.clock.monotonicMs();
    if (this.peerSubject === undefined) return;
    try {
      this.d.transport.publish(this.peerSubject, b, reply === undefined ? undefined : { reply });
    } catch (e) {
      this.fail(failureOf(e)); // the bus was closed under the stream
    }
  }

  private onMessage(m: BusMessage): void {
    if (this.closed) return;
    const b = m.data;
    if (b.length === 0) {
      if (m.header("Status") !== "503") {
        this.malformed("empty");
        return;
      }
      if (this.peerSubject === undefined) {
        this.fail(undefined, new NoRespondersError(this.openSubject ?? ""));
        return;
      }
      this.fail({ code: "gone", message: "the peer is gone" }); // answers a PING
      return;
    }
    this.lastHeardMs = this.clock.monotonicMs();
    const view = new DataView(b.buffer, b.byteOffset, b.byteLength);
    switch (b[0]) {
      case ACCEPT:
        if (b.length !== 5 || !m.reply || this.accepted) {
          this.malformed("accept");
          return;
        }
        this.accepted = true;
        this.connect(m.reply, view.getUint32(1));
        this.onOpened?.(undefined);
        this.onOpened = undefined;
        return;
      case DATA:
        if (b.length < DATA_HEADER || this.peerEnded) {
          this.malformed("data");
          return;
        }
        this.onData(view.getUint32(2), b[1] === 1, b.subarray(DATA_HEADER));
        return;
      case CREDIT: {
        const credited = b.length === 9 ? view.getFloat64(1) : Number.NaN;
        if (!(credited >= this.creditedBytes && credited <= this.sentBytes)) {
          this.malformed("credit");
          return;
        }
        this.creditedBytes = credited;
        if (this.sentBytes - credited < this.peerWindow) for (const w of this.blocked.splice(0)) w.resolve();
        return;
      }
      case END:
        if (b.length !== 5) {
          this.malformed("end");
          return;
        }
        if (view.getUint32(1) !== this.receivedNumber >>> 0) {
          this.lost();
          return;
        }
        this.peerEnded = true;
        void this.deliver();
        return;
      case ABORT: {
        const e = readFailure(b.subarray(1));
        this.fail({ code: e.code, message: e.message });
        return;
      }
      case PING:
        return;
      default:
        this.malformed("type");
        return;
    }
  }

  private onData(number: number, more: boolean, payload: Uint8Array): void {
    if (number !== this.receivedNumber++ >>> 0) {
      this.lost();
      return;
    }
    if (more || this.parts.length > 0) {
      this.partsBytes += payload.length;
      if (this.partsBytes > MAX_FRAME_BYTES) {
        this.malformed("frame too large");
        return;
      }
      this.parts.push(payload.slice());
      if (more) return;
      payload = Buffer.concat(this.parts);
      this.parts = [];
      this.partsBytes = 0;
    }
    let frame: unknown;
    try {
      frame = decode(payload);
    } catch {
      this.malformed("frame");
      return;
    }
    this.arrived.push({ frame, cost: payload.length + FRAME_COST });
    if (!this.delivering) void this.deliver();
  }

  /** Hands frames to the reader one after the other; the credit for a frame follows its reader's promise. */
  private async deliver(): Promise<void> {
    if (this.delivering || (!this.reader && this.arrived.length > 0)) return;
    this.delivering = true;
    try {
      while (!this.closed && this.reader && this.arrived.length > 0) {
        const { frame, cost } = this.arrived.shift() as { frame: unknown; cost: number };
        const pending = this.reader(frame);
        if (pending) await pending;
        this.consumedBytes += cost;
        if (this.consumedBytes - this.reportedBytes >= this.windowBytes / 4) this.report();
      }
    } catch (e) {
      this.d.complaints.complain("stream reader failed", { err: e });
      this.abort(failureOf(e));
    } finally {
      this.delivering = false;
    }
    if (this.peerEnded && !this.endTold && !this.closed) {
      this.endTold = true;
      for (const cb of this.endListeners) this.guard(cb);
      this.maybeClose();
    }
  }

  private report(): void {
    this.reportedBytes = this.consumedBytes;
    if (this.closed || this.peerEnded) return;
    const b = Buffer.allocUnsafe(9);
    b[0] = CREDIT;
    b.writeDoubleBE(this.consumedBytes, 1);
    this.say(b);
  }

  private maybeClose(): void {
    if (this.ended && this.endTold) this.fail(undefined);
  }

  private lost(): void {
    this.d.complaints.complain("stream frames lost", {});
    this.abort({ code: "lost-frames", message: "messages of the stream were lost" });
  }

  private malformed(what: string): void {
    this.d.complaints.complain("malformed stream message", { what });
    this.abort({ code: "malformed", message: `malformed stream message: ${what}` });
  }

  private guard(fn: () => void): void {
    try {
      fn();
    } catch (err) {
      this.d.complaints.complain("stream callback failed", { err });
    }
  }
}

function abortMessage(error: RemoteFailure): Uint8Array {
  const e = encode({ code: error.code, message: error.message });
  const b = Buffer.allocUnsafe(1 + e.length);
  b[0] = ABORT;
  b.set(e, 1);
  return b;
}
