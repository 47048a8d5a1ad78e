// JetStream's API as calls: JSON on $JS.API subjects, acknowledgements of publications, both answered on one inbox.
// Written on the bus's own publish and subscribe, so that a put costs one message each way and no more.
// Invariant: every call ends: with its answer, StoreUnavailableError after its time, or DisconnectedError.
import { type Clock, reasonOf, type Timer } from "@podwire/base";
import { type Bus, DisconnectedError } from "@podwire/bus";
import { StoreClosedError, StoreRefusedError, StoreUnavailableError } from "./errors.ts";

/** A put or an API call is answered in milliseconds; a server that is recovering its stream may need seconds. */
export const CALL_TIMEOUT_MS = 5_000;
/** Calls without an answer are looked for this often. */
const SWEEP_EVERY_MS = 250;

/** JetStream error codes (server/errors.json of the nats-server). */
export const JsError = {
  streamNotFound: 10_059,
  streamNameInUse: 10_058,
  noMessageFound: 10_037,
  wrongLastSequence: 10_071,
  wrongLastSequenceConstant: 10_164,
  consumerNotFound: 10_014,
} as const;

export interface StoredMessage {
  subject: string;
  seq: number;
  headers: Readonly<Record<string, string>>;
  data: Uint8Array;
  /** RFC 3339 with nanoseconds, as the server says it. */
  time: string;
}

export interface StreamInfo {
  config: Record<string, unknown>;
  state: { messages: number; bytes: number; first_seq: number; last_seq: number; num_subjects?: number; subjects?: Record<string, number> };
}

export type Ack = { seq: number } | { error: JsFailure };

export interface JsFailure {
  code: number;
  errCode: number;
  description: string;
}

interface Waiting {
  call: string;
  sentMs: number;
  deadlineMs: number;
  resolve(data: Uint8Array): void;
  reject(e: Error): void;
}

export class JetStreamApi {
  readonly stream: string;
  readonly bus: Bus;
  private readonly clock: Clock;
  private readonly base: string;
  private readonly waiting = new Map<string, Waiting>();
  private readonly subscriptions;
  private readonly sweeper: Timer;
  private next = 0;
  private connected = true;
  private closed = false;
  private onConnected: (() => void)[] = [];
  /** Told of every answer: the monotonic time at which its question was sent. */
  onAnswer: ((sentMs: number) => void) | undefined;

  constructor(bus: Bus, stream: string, clock: Clock) {
    this.bus = bus;
    this.stream = stream;
    this.clock = clock;
    this.base = `${bus.newInbox()}.`;
    this.subscriptions = [
      bus.subscribe(`${this.base}*`, (m) => {
        const token = m.subject.slice(this.base.length);
        const w = this.waiting.get(token);
        if (!w) return;
        this.waiting.delete(token);
        this.onAnswer?.(w.sentMs);
        if (m.data.length === 0 && m.header("Status") === "503")
          w.reject(new StoreUnavailableError(`${w.call}: JetStream does not answer`));
        else w.resolve(m.data);
      }),
      bus.onStatus((s) => {
        if (s === "disconnected") {
          this.connected = false;
          for (const w of this.takeAll()) w.reject(new DisconnectedError());
        } else if (s === "connected") {
          this.connected = true;
          for (const cb of this.onConnected.splice(0)) cb();
        }
      }),
    ];
    this.sweeper = clock.every(SWEEP_EVERY_MS, () => this.sweep(), { unref: true });
  }

  /** Sends and resolves with the answer's bytes (valid until the next turn). */
  ask(call: string, subject: string, data: Uint8Array, headers?: Readonly<Record<string, string>>): Promise<Uint8Array> {
    if (this.closed) return Promise.reject(new StoreClosedError());
    if (!this.connected) return Promise.reject(new DisconnectedError());
    const token = (this.next++).toString(36);
    const sentMs = this.clock.monotonicMs();
    return new Promise((resolve, reject) => {
      this.waiting.set(token, { call, sentMs, deadlineMs: sentMs + CALL_TIMEOUT_MS, resolve, reject });
      try {
        this.bus.publish(subject, data, headers ? { reply: this.base + token, headers } : { reply: this.base + token });
      } catch (e) {
        this.waiting.delete(token);
        reject(e as Error);
      }
    });
  }

  /** Resolves when the server has everything that was sent before: a message to ourselves. */
  async roundTrip(): Promise<void> {
    await this.ask("round trip", this.base + this.next.toString(36), NOTHING);
  }

  /** An API call; throws StoreRefusedError with JetStream's error code. */
  async call<T>(name: string, body?: object): Promise<T> {
    const payload = body === undefined ? NOTHING : new TextEncoder().encode(JSON.stringify(body));
    const answer = await this.ask(name, `$JS.API.${name}`, payload);
    const json = parse(answer, name) as { error?: { code: number; err_code?: number; description?: string } };
    if (json.error) throw new StoreRefusedError(name, json.error.err_code ?? json.error.code, json.error.description ?? "");
    return json as T;
  }

  /** Publishes into the stream; resolves with the sequence or JetStream's refusal. */
  async put(subject: string, data: Uint8Array, headers: Readonly<Record<string, string>>): Promise<Ack> {
    const answer = await this.ask("put", subject, data, headers);
    const json = parse(answer, "put") as { seq?: number; error?: { code: number; err_code?: number; description?: string } };
    if (json.error)
      return { error: { code: json.error.code, errCode: json.error.err_code ?? 0, description: json.error.description ?? "" } };
    if (typeof json.seq !== "number") throw new StoreUnavailableError("put: not an acknowledgement");
    return { seq: json.seq };
  }

  streamInfo(body?: object): Promise<StreamInfo> {
    return this.call(`STREAM.INFO.${this.stream}`, body);
  }

  /** The message that a selector names, read from the leader; undefined when there is none. */
  async message(
    select: { last_by_subj: string } | { seq: number } | { seq: number; next_by_subj: string },
  ): Promise<StoredMessage | undefined> {
    try {
      const { message } = await this.call<{ message: { subject: string; seq: number; hdrs?: string; data?: string; time: string } }>(
        `STREAM.MSG.GET.${this.stream}`,
        select,
      );
      return {
        subject: message.subject,
        seq: message.seq,
        time: message.time,
        headers: message.hdrs ? parseHeaders(Buffer.from(message.hdrs, "base64").toString("utf8")) : {},
        data: message.data ? new Uint8Array(Buffer.from(message.data, "base64")) : NOTHING,
      };
    } catch (e) {
      if (e instanceof StoreRefusedError && e.code === JsError.noMessageFound) return undefined;
      throw e;
    }
  }

  /** Resolves when there is a connection; at once when there is one. */
  whenConnected(): Promise<void> {
    if (this.closed) return Promise.reject(new StoreClosedError());
    if (this.connected) return Promise.resolve();
    return new Promise((resolve) => void this.onConnected.push(resolve));
  }

  get isConnected(): boolean {
    return this.connected;
  }

  close(): void {
    this.closed = true;
    this.sweeper.cancel();
    for (const s of this.subscriptions) s.unsubscribe();
    for (const w of this.takeAll()) w.reject(new StoreClosedError());
    for (const cb of this.onConnected.splice(0)) cb();
  }

  private sweep(): void {
    const now = this.clock.monotonicMs();
    for (const [token, w] of this.waiting) {
      if (w.deadlineMs > now) break; // insertion order is deadline order
      this.waiting.delete(token);
      w.reject(new StoreUnavailableError(`${w.call}: no answer within ${CALL_TIMEOUT_MS} ms`));
    }
  }

  private takeAll(): Waiting[] {
    const all = [...this.waiting.values()];
    this.waiting.clear();
    return all;
  }
}

const NOTHING = new Uint8Array(0);
const utf8 = new TextDecoder();

function parse(b: Uint8Array, call: string): unknown {
  try {
    const v = JSON.parse(utf8.decode(b));
    if (v !== null && typeof v === "object") return v;
  } catch (cause) {
    throw new StoreUnavailableError(`${call}: ${reasonOf(cause)}`, { cause });
  }
  throw new StoreUnavailableError(`${call}: the answer is not an object`);
}

/** "NATS/1.0\r\nA: b\r\n\r\n" to {A: "b"}; of a repeated name the first. */
export function parseHeaders(block: string): Record<string, string> {
  const out: Record<string, string> = {};
  for (const line of block.split("\r\n").slice(1)) {
    const colon = line.indexOf(":");
    if (colon > 0) out[line.slice(0, colon)] ??= line.slice(colon + 1).trim();
  }
  return out;
}
