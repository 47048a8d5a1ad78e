// Request and reply over a Transport. A request is one message with a reply subject; an answer is one or more parts:
//   byte 0: 0 last part, 1 more follow, 2 failure (msgpackr {code, message}); bytes 1-4: number of the part, big-endian; payload.
// Invariant: a request ends once: with its answer, a failure, a timeout, an abort, or the loss of the connection.
import { type Clock, type Complaints, reasonOf } from "@podwire/base";
import type { RequestOptions } from "./bus.ts";
import { decode, encode, encodeAfter } from "./codec.ts";
import {
  BusClosedError,
  BusTimeoutError,
  DisconnectedError,
  MalformedError,
  NoRespondersError,
  PayloadTooLargeError,
  RemoteError,
} from "./errors.ts";
import type { Mailbox } from "./mailbox.ts";
import type { BusMessage, Subscription, Transport } from "./transport.ts";

const LAST = 0;
const MORE = 1;
const FAILURE = 2;
const PART_HEADER = 5;

/** Larger answers travel in parts of this size, or of what the server's max_payload allows. */
export const MAX_PART_BYTES = 1024 * 1024;
/** A server lets the broker catch up after this much of one answer. */
const FLUSH_EVERY_BYTES = 8 * 1024 * 1024;
/** A larger answer is malformed. */
export const MAX_ANSWER_BYTES = 512 * 1024 * 1024;
/** Requests past this number at a time are answered "overloaded". */
export const MAX_REQUESTS_SERVED = 10_000;
export const DEFAULT_REQUEST_TIMEOUT_MS = 30_000;

export interface EndpointDeps {
  transport: Transport;
  mailbox: Mailbox;
  clock: Clock;
  complaints: Complaints;
}

interface Waiting {
  subject: string;
  fail(e: Error): void;
}

export class Requests {
  private readonly d: EndpointDeps;
  private readonly waiting = new Set<Waiting>();
  private serving = 0;
  served = 0;
  sent = 0;

  constructor(d: EndpointDeps) {
    this.d = d;
  }

  request(subject: string, body: unknown, opts: RequestOptions = {}): Promise<unknown> {
    const { transport, mailbox, clock } = this.d;
    const { signal } = opts;
    const timeoutMs = opts.timeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const parts: Uint8Array[] = [];
      let total = 0;
      const finish = () => {
        box.close();
        timer.cancel();
        this.waiting.delete(waiting);
        signal?.removeEventListener("abort", onAbort);
      };
      const fail = (e: unknown) => {
        finish();
        reject(e);
      };
      const onAbort = () => fail(signal?.reason);
      const box = mailbox.open((m) => {
        if (m.data.length === 0 && m.header("Status") === "503") return fail(new NoRespondersError(subject));
        const part = readPart(m.data);
        if (part?.kind === FAILURE) return fail(readFailure(part.payload));
        if (part === undefined || part.index !== parts.length || (total += part.payload.length) > MAX_ANSWER_BYTES) {
          this.d.complaints.complain("malformed answer", { subject });
          return fail(new MalformedError(`the answer on ${subject} is malformed`));
        }
        if (part.kind === MORE) {
          parts.push(part.payload.slice());
          return;
        }
        finish();
        try {
          resolve(decode(parts.length === 0 ? part.payload : Buffer.concat([...parts, part.payload])));
        } catch (e) {
          this.d.complaints.complain("malformed answer", { subject });
          reject(e);
        }
      });
      const timer = clock.after(timeoutMs, () => fail(new BusTimeoutError(subject, timeoutMs)));
      const waiting: Waiting = { subject, fail };
      this.waiting.add(waiting);
      signal?.addEventListener("abort", onAbort, { once: true });
      this.sent++;
      try {
        transport.publish(subject, encode(body), { reply: box.subject });
      } catch (e) {
        fail(e);
      }
    });
  }

  serve(
    subject: string,
    handler: (body: unknown, message: { subject: string }) => Promise<unknown>,
    opts: { queue?: string } = {},
  ): Subscription {
    return this.d.transport.subscribe(subject, (m) => void this.answer(m, handler), opts);
  }

  private async answer(m: BusMessage, handler: (body: unknown, message: { subject: string }) => Promise<unknown>): Promise<void> {
    const { subject, reply } = m;
    if (this.serving >= MAX_REQUESTS_SERVED) {
      this.d.complaints.complain("overloaded", { subject });
      if (reply) this.sendFailure(reply, new RemoteError("overloaded", `more than ${MAX_REQUESTS_SERVED} requests at a time`));
      return;
    }
    this.serving++;
    this.served++;
    try {
      let body: unknown;
      try {
        body = decode(m.data);
      } catch (e) {
        this.d.complaints.complain("malformed request", { subject });
        throw new RemoteError("malformed", reasonOf(e));
      }
      const answer = encodeAfter(PART_HEADER, await handler(body, { subject }));
      if (reply) await this.sendParts(reply, answer);
    } catch (e) {
      if (e instanceof BusClosedError) return;
      if (!(e instanceof RemoteError)) this.d.complaints.complain("request failed", { subject, err: e });
      if (reply) this.sendFailure(reply, e);
    } finally {
      this.serving--;
    }
  }

  /** `whole`: the answer behind PART_HEADER free bytes. */
  private async sendParts(reply: string, whole: Uint8Array): Promise<void> {
    const { transport } = this.d;
    const partBytes = Math.max(1024, Math.min(MAX_PART_BYTES, transport.maxPayload - 1024));
    if (whole.length <= partBytes) {
      transport.publish(reply, fillPart(whole, LAST, 0));
      return;
    }
    const answer = whole.subarray(PART_HEADER);
    let sinceFlush = 0;
    for (let at = 0, index = 0; ; index++) {
      const end = Math.min(answer.length, at + partBytes);
      const kind = end === answer.length ? LAST : MORE;
      transport.publish(reply, writePart(kind, index, answer.subarray(at, end)));
      if (kind === LAST) return;
      sinceFlush += end - at;
      at = end;
      if (sinceFlush >= FLUSH_EVERY_BYTES) {
        sinceFlush = 0;
        await transport.flush();
      }
    }
  }

  private sendFailure(reply: string, e: unknown): void {
    try {
      this.d.transport.publish(reply, writeFailure(e));
    } catch (err) {
      this.d.complaints.complain("failure not sent", { err });
    }
  }

  /** The connection is gone: no answer will come to what was asked before. */
  disconnected(): void {
    for (const w of [...this.waiting]) w.fail(new DisconnectedError());
  }

  /** The server refused a publication on `subject`: whoever asked there need not wait. */
  refused(subject: string): void {
    for (const w of [...this.waiting])
      if (w.subject === subject) w.fail(new RemoteError("forbidden", `${this.d.transport.identity} may not publish on ${subject}`));
  }

  close(): void {
    for (const w of [...this.waiting]) w.fail(new BusClosedError());
  }
}

function writePart(kind: number, index: number, payload: Uint8Array): Uint8Array {
  const b = Buffer.allocUnsafe(PART_HEADER + payload.length);
  b.set(payload, PART_HEADER);
  return fillPart(b, kind, index);
}

function fillPart(b: Uint8Array, kind: number, index: number): Uint8Array {
  b[0] = kind;
  b[1] = index >>> 24;
  b[2] = index >>> 16;
  b[3] = index >>> 8;
  b[4] = index;
  return b;
}

function readPart(b: Uint8Array): { kind: number; index: number; payload: Uint8Array } | undefined {
  if (b.length < PART_HEADER || (b[0] as number) > FAILURE) return undefined;
  const index = (((b[1] as number) << 24) | ((b[2] as number) << 16) | ((b[3] as number) << 8) | (b[4] as number)) >>> 0;
  return { kind: b[0] as number, index, payload: b.subarray(PART_HEADER) };
}

/** What is told to a peer about anything thrown. */
export function failureOf(e: unknown): { code: string; message: string } {
  if (e instanceof RemoteError) return { code: e.code, message: e.message };
  if (e instanceof PayloadTooLargeError) return { code: "too-large", message: e.message };
  return { code: "internal", message: reasonOf(e) };
}

function writeFailure(e: unknown): Uint8Array {
  return writePart(FAILURE, 0, encode(failureOf(e)));
}

/** The failure in an encoded {code, message}; a malformed one becomes a failure too. */
export function readFailure(b: Uint8Array): RemoteError {
  try {
    const f = decode(b) as { code?: unknown; message?: unknown } | null;
    if (f && typeof f === "object") return new RemoteError(String(f.code ?? "unknown"), String(f.message ?? ""));
  } catch {
    // Falls through: the peer failed, and what it says cannot be read.
  }
  return new RemoteError("unknown", "the peer answered with a failure that cannot be read");
}
