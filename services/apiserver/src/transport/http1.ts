// HTTP/1.1 (RFC 9112) on a decrypted connection, for the requests that Kubernetes' clients make all the time: a plain head, a body of
// known length. Whatever else comes (upgrades, chunked bodies, HTTP/1.0, malformed bytes) is handed to Node's own server with the
// connection, which keeps it. Node's server alone costs as much as the rest of a get: docs/decisions/plain-http1.md.
// Invariants: one exchange at a time, answered in the order of the requests; nothing is handed over while one is under way.
import type { TLSSocket } from "node:tls";
import type { ApiResponse, ResponseSink } from "../call.ts";
import { MAX_BODY_BYTES } from "../handler.ts";
import { HttpRequest, NO_BODY, type Out } from "./exchange.ts";
import { chunkOf, type Framing, headText, isBodiless, LAST_CHUNK } from "./http1-answer.ts";
import { type HeaderBlock, parseHeaderBlock, parseRequestLine } from "./http1-head.ts";
import { PacedWriter } from "./paced-writer.ts";

/** Longer heads are handed over; Node's server takes up to 64 KB. */
const MAX_HEAD_BYTES = 16 * 1024;
/** So much may come ahead of the answer before the connection is read no further. */
const MAX_AHEAD_BYTES = 64 * 1024;
/** Answers up to this size leave as one piece with their head. */
const ONE_PIECE_BYTES = 16 * 1024;
/** A head that has begun has this many sweeps to end. */
const HEAD_SWEEPS = 6;
/** And a request with a body this many: five minutes, as Node's server gives it. */
const BODY_SWEEPS = 30;
const HEAD_END = Buffer.from("\r\n\r\n");

export interface Http1Options {
  respond(request: HttpRequest, body: Uint8Array, socket: TLSSocket, out: Out): void;
  /** Takes the connection with what is unread of it. */
  handOver(socket: TLSSocket): void;
  /** The Date field's value. */
  date(): string;
  /** Idle connections end after so many sweeps, and clients are told how many seconds that is. */
  idleSweeps: number;
  idleSeconds: number;
}

interface ComingBody {
  method: string;
  target: string;
  block: HeaderBlock;
  chunks: Buffer[];
  missing: number;
}

export class Http1Connection implements Out {
  readonly #o: Http1Options;
  readonly #socket: TLSSocket;
  readonly #address: string;
  #input: Buffer | undefined;
  /** A body that is still coming. */
  #body: ComingBody | undefined;
  #exchange: HttpRequest | undefined;
  #sink: Sink | undefined;
  #close = false;
  /** Waits for the client to read what it was answered. */
  #blocked = false;
  #paused = false;
  #lastFields = "";
  #lastBlock: HeaderBlock | undefined;
  #sweeps = 0;
  readonly #onData = (chunk: Buffer) => this.#data(chunk);
  readonly #onClose = () => this.#closed();

  constructor(socket: TLSSocket, o: Http1Options) {
    this.#o = o;
    this.#socket = socket;
    this.#address = socket.remoteAddress ?? "";
    socket.on("data", this.#onData);
    socket.on("close", this.#onClose);
  }

  /** Called every few seconds: ends what has been silent for too long. */
  sweep(): void {
    if (this.#exchange) return;
    if (++this.#sweeps > (this.#body ? BODY_SWEEPS : this.#input ? HEAD_SWEEPS : this.#o.idleSweeps)) this.#socket.destroy();
  }

  #data(chunk: Buffer): void {
    if (this.#body) {
      this.#bodyData(chunk);
      return;
    }
    if (this.#input) this.#input = Buffer.concat([this.#input, chunk]);
    else {
      this.#input = chunk;
      this.#sweeps = 0;
    }
    if (!this.#exchange && !this.#blocked) this.#next();
    else if (this.#input.length > MAX_AHEAD_BYTES) {
      this.#paused = true;
      this.#socket.pause();
    }
  }

  #bodyData(chunk: Buffer): void {
    const body = this.#body as ComingBody;
    const mine = chunk.length > body.missing ? chunk.subarray(0, body.missing) : chunk;
    body.chunks.push(mine);
    body.missing -= mine.length;
    if (body.missing > 0) return;
    this.#body = undefined;
    this.#input = mine.length < chunk.length ? chunk.subarray(mine.length) : undefined;
    this.#begin(body.method, body.target, body.block, Buffer.concat(body.chunks));
  }

  /** Reads the next request from the input, when it is there. */
  #next(): void {
    const input = this.#input as Buffer;
    const end = input.indexOf(HEAD_END);
    if (end < 0) {
      if (input.length > MAX_HEAD_BYTES) this.#handOver();
      return;
    }
    const head = input.toString("latin1", 0, end + 2);
    const lineEnd = head.indexOf("\r\n");
    const line = parseRequestLine(head.slice(0, lineEnd));
    const block = line && this.#block(head.slice(lineEnd + 2));
    if (!block || block.contentLength > MAX_BODY_BYTES) {
      this.#handOver();
      return;
    }
    const bodyAt = end + HEAD_END.length;
    const after = bodyAt + block.contentLength;
    if (after > input.length) {
      const chunks = bodyAt < input.length ? [input.subarray(bodyAt)] : [];
      this.#body = { ...line, block, chunks, missing: after - input.length };
      this.#input = undefined;
      return;
    }
    this.#input = after < input.length ? input.subarray(after) : undefined;
    this.#begin(line.method, line.target, block, block.contentLength === 0 ? NO_BODY : input.subarray(bodyAt, after));
  }

  /** Clients send the same fields again and again. */
  #block(fields: string): HeaderBlock | undefined {
    if (this.#lastBlock && fields === this.#lastFields) return this.#lastBlock;
    this.#lastBlock = parseHeaderBlock(fields);
    this.#lastFields = fields;
    return this.#lastBlock;
  }

  #begin(method: string, target: string, block: HeaderBlock, body: Uint8Array): void {
    const request = new HttpRequest(method, target, block.headers, this.#address);
    this.#exchange = request;
    this.#close = block.close;
    this.#o.respond(request, body, this.#socket, this);
  }

  send(r: ApiResponse, pieces: readonly Uint8Array[]): void {
    let length = 0;
    for (const p of pieces) length += p.length;
    const bodiless = isBodiless(r.status);
    const head = this.#head(r, bodiless ? "none" : length);
    if (bodiless || length === 0) this.#socket.write(head, "latin1");
    else if (length <= ONE_PIECE_BYTES) {
      const whole = Buffer.allocUnsafe(head.length + length);
      let at = whole.write(head, 0, "latin1");
      for (const p of pieces) {
        whole.set(p, at);
        at += p.length;
      }
      this.#socket.write(whole);
    } else {
      this.#socket.write(head, "latin1");
      const body = new PacedWriter(this.#socket);
      for (const p of pieces) body.write(p);
      body.emptied(() => this.#over());
      return;
    }
    this.#over();
  }

  stream(r: ApiResponse): ResponseSink {
    const stated = r.headers["content-length"];
    const framing: Framing = isBodiless(r.status) ? "none" : stated === undefined ? "chunked" : Number(stated);
    this.#socket.write(this.#head(r, framing), "latin1");
    this.#sink = new Sink(this.#socket, framing, () => this.#over());
    return this.#sink;
  }

  #head(r: ApiResponse, framing: Framing): string {
    const persist = this.#close ? "connection: close\r\n" : `connection: keep-alive\r\nkeep-alive: timeout=${this.#o.idleSeconds}\r\n`;
    return headText(r.status, r.headers, framing, this.#o.date(), persist);
  }

  /** The exchange is over: the next one, or the end. */
  #over(): void {
    this.#exchange?.over();
    this.#exchange = undefined;
    this.#sink = undefined;
    this.#sweeps = 0;
    const socket = this.#socket;
    if (this.#close) {
      socket.off("data", this.#onData);
      socket.end();
      socket.resume(); // What still comes is not read.
      return;
    }
    if (!socket.writableNeedDrain) {
      if (this.#input || this.#paused) this.#goOn();
      return;
    }
    this.#blocked = true;
    socket.once("drain", () => {
      this.#blocked = false;
      this.#goOn();
    });
  }

  #goOn(): void {
    if (this.#paused) {
      this.#paused = false;
      this.#socket.resume();
    }
    if (this.#input && !this.#exchange) this.#next();
  }

  #handOver(): void {
    const socket = this.#socket;
    socket.off("data", this.#onData);
    socket.off("close", this.#onClose);
    socket.pause();
    socket.unshift(this.#input as Buffer);
    this.#input = undefined;
    this.#o.handOver(socket);
    socket.resume();
  }

  #closed(): void {
    this.#exchange?.over();
    this.#exchange = undefined;
    this.#sink?.gone();
  }
}

/** A streamed body. One that ends before its stated length takes the connection with it: the next answer would be read as its rest. */
class Sink implements ResponseSink {
  readonly #socket: TLSSocket;
  readonly #framing: Framing;
  readonly #over: () => void;
  readonly #onClose: (() => void)[] = [];
  readonly #body: PacedWriter;
  #written = 0;
  closed = false;

  constructor(socket: TLSSocket, framing: Framing, over: () => void) {
    this.#socket = socket;
    this.#framing = framing;
    this.#over = over;
    this.#body = framing === "chunked" ? new PacedWriter(socket, chunkOf) : new PacedWriter(socket);
    if (socket.destroyed) this.gone();
  }

  get backlog(): number {
    return this.#body.backlog;
  }

  write(bytes: Uint8Array): boolean {
    if (this.closed) return false;
    if (this.#framing === "none" || bytes.length === 0) return true;
    if (this.#framing === "chunked") return this.#body.write(bytes);
    const mine = bytes.subarray(0, this.#framing - this.#written);
    this.#written += mine.length;
    return this.#body.write(mine);
  }

  end(): void {
    if (this.closed) return;
    this.gone();
    this.#body.emptied(() => {
      if (this.#framing === "chunked") this.#socket.write(LAST_CHUNK);
      if (typeof this.#framing === "number" && this.#written < this.#framing) this.#socket.destroy();
      else this.#over();
    });
  }

  /** No more can be written. */
  gone(): void {
    if (this.closed) return;
    this.closed = true;
    for (const cb of this.#onClose.splice(0)) cb();
  }

  onClose(cb: () => void): void {
    if (this.closed) cb();
    else this.#onClose.push(cb);
  }

  onDrain(cb: () => void): void {
    this.#body.drained(cb);
  }
}
