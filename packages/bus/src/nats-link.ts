// A connection to NATS for packets only: one subscription, publications that are written into the socket from the batch's
// own buffer, and received messages that are read where they lie. It costs a third of the client library's CPU when
// sending and a quarter when receiving (docs/decisions/wire-link.md). Specification: the NATS client protocol (INFO,
// CONNECT, SUB, PUB, MSG, PING, PONG, -ERR), nkey authentication.
// Invariants: while connected every complete message is handed over once, in order; what waits to be sent is bounded;
// the connection is retried for ever with back-off until `close`.
import { type Socket, connect as tcpConnect } from "node:net";
import { type Clock, type Complaints, reasonOf, type Timer } from "@podwire/base";
import type { NatsConnectOptions } from "./nats.ts";
import { userKey } from "./nkey.ts";
import type { WireLink, WireLinkHandlers } from "./wire-link.ts";

/** A network card's queue: what waits for the socket beyond this is dropped, as a full queue drops. */
export const MAX_BACKLOG_BYTES = 8 * 1024 * 1024;
/** No batch is larger; a larger message is skipped without being stored. */
export const MAX_MESSAGE_BYTES = 256 * 1024;
const RECEIVE_BUFFER_BYTES = 768 * 1024;
/** Room that each read from the socket gets at least. */
const READ_ROOM_BYTES = 128 * 1024;
/** A control line (INFO is the longest) does not exceed this. */
const MAX_LINE_BYTES = 32 * 1024;
const RECONNECT_MIN_MS = 50;
const RECONNECT_MAX_MS = 2_000;
const PING_INTERVAL_MS = 10_000;
const MAX_PINGS_OUT = 2;

const CR = 13;
const LF = 10;
const SPACE = 32;
const LETTER_M = 77;
const LENGTH_DIGITS = 8;

/** Undefined when the URL is of a kind that only the client library can speak (TLS, WebSocket, user and password). */
export function natsLink(
  o: NatsConnectOptions,
  subscribeTo: string,
  complaints: Complaints,
  handlers: WireLinkHandlers,
): NatsLink | undefined {
  const servers: { host: string; port: number }[] = [];
  for (const text of o.url.split(",")) {
    const url = URL.parse(/^[a-z]+:\/\//.test(text.trim()) ? text.trim() : `nats://${text.trim()}`);
    if (url?.protocol !== "nats:" || url.username !== "") return undefined;
    servers.push({ host: url.hostname.replace(/^\[|\]$/g, ""), port: Number(url.port || 4222) });
  }
  return new NatsLink(o, servers, subscribeTo, complaints, handlers);
}

export class NatsLink implements WireLink {
  readonly ready: Promise<void>;
  reconnects = 0;
  private readonly o: NatsConnectOptions;
  private readonly clock: Clock;
  private readonly servers: readonly { host: string; port: number }[];
  private readonly subscribeTo: string;
  private readonly complaints: Complaints;
  private readonly handlers: WireLinkHandlers;
  private readonly buffer = Buffer.allocUnsafeSlow(RECEIVE_BUFFER_BYTES);
  private start = 0;
  private end = 0;
  private skip = 0;
  private socket: Socket | undefined;
  private up = false;
  private closed = false;
  private attempts = 0;
  private pingsOut = 0;
  private retry: Timer | undefined;
  private readonly pinger: Timer;
  private becameReady!: () => void;

  constructor(
    o: NatsConnectOptions,
    servers: readonly { host: string; port: number }[],
    subscribeTo: string,
    complaints: Complaints,
    handlers: WireLinkHandlers,
  ) {
    this.o = o;
    this.clock = o.clock;
    this.servers = servers;
    this.subscribeTo = subscribeTo;
    this.complaints = complaints;
    this.handlers = handlers;
    this.ready = new Promise((resolve) => {
      this.becameReady = resolve;
    });
    this.pinger = this.clock.every(PING_INTERVAL_MS, () => this.ping(), { unref: true });
    this.connect();
  }

  /** "PUB <subject> 00000000\r\n": the length has a fixed width, so that it can be filled in last. */
  preamble(subject: string): Uint8Array {
    return Buffer.from(`PUB ${subject} ${"0".repeat(LENGTH_DIGITS)}\r\n`, "latin1");
  }

  send(_subject: string, message: Uint8Array, released: () => void): boolean {
    const { socket } = this;
    if (!this.up || !socket || socket.writableLength > MAX_BACKLOG_BYTES) return false;
    socket.write(message, released);
    return true;
  }

  cork(): void {
    this.socket?.cork();
  }

  uncork(): void {
    this.socket?.uncork();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.up = false;
    this.pinger.cancel();
    this.retry?.cancel();
    this.socket?.end();
    this.socket?.unref();
    this.becameReady();
  }

  private connect(): void {
    const { host, port } = this.servers[this.attempts % this.servers.length] as { host: string; port: number };
    this.start = this.end = this.skip = this.pingsOut = 0;
    const socket: Socket = tcpConnect({
      host,
      port,
      noDelay: true,
      onread: { buffer: () => this.room(), callback: (n) => this.read(socket, n) },
    });
    this.socket = socket;
    socket.on("error", (err) => {
      if (this.attempts > 3) this.complaints.complain("the wire cannot connect", { err: reasonOf(err) });
    });
    socket.on("close", () => this.lost(socket));
  }

  private lost(socket: Socket): void {
    if (socket !== this.socket || this.closed) return;
    if (this.up) this.complaints.complain("the wire was disconnected", {});
    this.up = false;
    this.socket = undefined;
    const delay = Math.min(RECONNECT_MAX_MS, RECONNECT_MIN_MS * 2 ** Math.min(this.attempts++, 10));
    this.retry = this.clock.after(delay + this.o.random.below(RECONNECT_MIN_MS), () => {
      if (!this.closed) this.connect();
    });
  }

  private ping(): void {
    if (!this.up || !this.socket) return;
    if (this.pingsOut >= MAX_PINGS_OUT) {
      this.socket.destroy();
      return;
    }
    this.pingsOut++;
    this.socket.write("PING\r\n");
  }

  /** Where the next read goes: behind what has been received of an incomplete message. */
  private room(): Buffer {
    if (RECEIVE_BUFFER_BYTES - this.end < READ_ROOM_BYTES) {
      this.buffer.copyWithin(0, this.start, this.end);
      this.end -= this.start;
      this.start = 0;
    }
    return this.buffer.subarray(this.end);
  }

  private read(socket: Socket, count: number): boolean {
    if (socket !== this.socket) return false;
    this.end += count;
    const b = this.buffer;
    while (this.start < this.end) {
      if (this.skip > 0) {
        const n = Math.min(this.skip, this.end - this.start);
        this.skip -= n;
        this.start += n;
        continue;
      }
      const lf = b.indexOf(LF, this.start);
      if (lf < 0 || lf >= this.end) {
        if (this.end - this.start > MAX_LINE_BYTES) this.violated("line too long");
        break;
      }
      if (b[this.start] !== LETTER_M) {
        const line = b.toString("latin1", this.start, lf).trimEnd();
        this.start = lf + 1;
        this.control(socket, line);
        if (socket !== this.socket) return false;
        continue;
      }
      // MSG <subject> <sid> <length>\r\n<payload>\r\n
      let at = lf - 2;
      let length = 0;
      for (let unit = 1; at > this.start && b[at] !== SPACE; at--, unit *= 10) {
        const digit = (b[at] as number) - 48;
        length = digit >= 0 && digit <= 9 ? length + digit * unit : Number.NaN;
      }
      if (b[lf - 1] !== CR || at === lf - 2 || Number.isNaN(length)) {
        this.violated("not a message");
        break;
      }
      const payload = lf + 1;
      if (length > MAX_MESSAGE_BYTES) {
        this.start = payload;
        this.skip = length + 2;
        this.handlers.onOversize();
        continue;
      }
      if (payload + length + 2 > this.end) break;
      const subjectEnd = b.indexOf(SPACE, this.start + 4);
      const dot = b.lastIndexOf(46, subjectEnd);
      this.start = payload + length + 2;
      this.handlers.onMessage(b.toString("latin1", dot + 1, subjectEnd), b.subarray(payload, payload + length));
    }
    if (this.start === this.end) this.start = this.end = 0;
    return true;
  }

  private control(socket: Socket, line: string): void {
    if (line === "PING") socket.write("PONG\r\n");
    else if (line === "PONG") {
      this.pingsOut = 0;
      if (!this.up) this.established();
    } else if (line.startsWith("INFO ")) this.greet(socket, line.slice(5));
    else if (line.startsWith("-ERR")) this.complaints.complain("the wire was refused", { server: line.slice(0, 256) });
    else if (line !== "+OK") this.violated("unknown line");
  }

  private greet(socket: Socket, json: string): void {
    if (this.up) return; // later INFO lines tell of other servers
    let info: { nonce?: string; tls_required?: boolean };
    try {
      info = JSON.parse(json);
    } catch {
      this.violated("INFO");
      return;
    }
    if (info.tls_required) {
      this.violated("the server requires TLS");
      return;
    }
    const hello: Record<string, unknown> = {
      verbose: false,
      pedantic: false,
      lang: "podwire",
      version: "1",
      protocol: 1,
      name: `${this.o.identity} (wire)`,
    };
    if (this.o.seed !== undefined && info.nonce !== undefined) {
      const key = userKey(this.o.seed);
      hello.nkey = key.publicKey;
      hello.sig = key.sign(info.nonce);
    }
    socket.write(`CONNECT ${JSON.stringify(hello)}\r\nSUB ${this.subscribeTo} 1\r\nPING\r\n`);
  }

  private established(): void {
    if (this.attempts > 0) this.reconnects++;
    this.up = true;
    this.attempts = 0;
    this.becameReady();
  }

  private violated(what: string): void {
    this.complaints.complain("the wire's server speaks otherwise", { what });
    this.socket?.destroy();
  }
}

/** Fills in the length that a preamble of NatsLink left open. */
export function fillLength(message: Uint8Array, preambleBytes: number, length: number): void {
  for (let i = preambleBytes - 3, n = length; i >= preambleBytes - 2 - LENGTH_DIGITS; i--) {
    message[i] = 48 + (n % 10);
    n = Math.floor(n / 10);
  }
}
