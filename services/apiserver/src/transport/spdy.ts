// SPDY/3.1 framing as Kubernetes' clients use it for exec and port-forward: SYN_STREAM, SYN_REPLY, DATA, RST_STREAM, SETTINGS, PING,
// GOAWAY, WINDOW_UPDATE; header blocks are zlib with the protocol's dictionary. Invariant: a frame beyond the limit ends the connection.
import { constants, createDeflate, createInflate, type Deflate, type Inflate } from "node:zlib";
import { PodwireError } from "@podwire/base";
import { SPDY_DICTIONARY } from "./spdy-dictionary.ts";

export class SpdyError extends PodwireError {}

const VERSION = 3;
const SYN_STREAM = 1;
const SYN_REPLY = 2;
const RST_STREAM = 3;
const PING = 6;
const GOAWAY = 7;
const WINDOW_UPDATE = 9;
const FIN = 1;
const MAX_FRAME_BYTES = 4 * 1024 * 1024;
const MAX_HEADER_PAIRS = 100;

export interface SpdyStream {
  readonly id: number;
  readonly headers: Readonly<Record<string, string>>;
  onData: (data: Uint8Array) => void;
  /** The peer ended its half, or reset the stream. */
  onEnd: () => void;
  reply(headers?: Record<string, string>): Promise<void>;
  write(data: Uint8Array): void;
  end(): void;
  reset(): void;
}

/** One side that accepts streams. Bytes in by `receive`, out by the callback. */
export class SpdyConnection {
  readonly #send: (bytes: Uint8Array) => void;
  readonly #inflate: Inflate = createInflate({ dictionary: SPDY_DICTIONARY });
  readonly #deflate: Deflate = createDeflate({ dictionary: SPDY_DICTIONARY });
  readonly #streams = new Map<number, SpdyStream>();
  #buffer: Buffer = Buffer.alloc(0);
  #turn: Promise<void> = Promise.resolve();
  #replies: Promise<void> = Promise.resolve();
  #closed = false;
  onStream: (s: SpdyStream) => void = () => {};
  onClose: () => void = () => {};

  constructor(send: (bytes: Uint8Array) => void) {
    this.#send = send;
    this.#inflate.on("error", () => this.close());
    this.#deflate.on("error", () => this.close());
  }

  /** Takes bytes from the peer. Throws SpdyError when they are not SPDY. */
  receive(bytes: Uint8Array): void {
    this.#buffer = this.#buffer.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#buffer, bytes]);
    while (this.#buffer.length >= 8) {
      const length = this.#buffer.readUIntBE(5, 3);
      if (length > MAX_FRAME_BYTES) throw new SpdyError(`a frame of ${length} bytes`);
      if (this.#buffer.length < 8 + length) return;
      const frame = this.#buffer.subarray(0, 8 + length);
      this.#buffer = this.#buffer.subarray(8 + length);
      const copy = Buffer.from(frame);
      // Header blocks decompress asynchronously and in order, so every frame waits its turn.
      this.#turn = this.#turn.then(() => this.#frame(copy)).catch(() => this.close());
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const s of this.#streams.values()) s.onEnd();
    this.#streams.clear();
    this.#inflate.close();
    this.#deflate.close();
    this.onClose();
  }

  async #frame(f: Buffer): Promise<void> {
    if (this.#closed) return;
    const first = f.readUInt32BE(0);
    const flags = f[4] as number;
    if ((first & 0x80000000) === 0) {
      this.#data(first & 0x7fffffff, flags, f.subarray(8));
      return;
    }
    if (((first >>> 16) & 0x7fff) !== VERSION) throw new SpdyError("not SPDY version 3");
    switch (first & 0xffff) {
      case SYN_STREAM:
        await this.#open(f, flags);
        return;
      case RST_STREAM: {
        const s = this.#streams.get(f.readUInt32BE(8) & 0x7fffffff);
        if (s) this.#streams.delete(s.id);
        s?.onEnd();
        return;
      }
      case PING:
        this.#send(f);
        return;
      case GOAWAY:
        return;
      default:
        return; // SETTINGS, HEADERS and WINDOW_UPDATE need no answer here.
    }
  }

  #data(id: number, flags: number, data: Buffer): void {
    const s = this.#streams.get(id);
    if (!s) return;
    if (data.length > 0) {
      s.onData(data);
      this.#windowUpdate(id, data.length);
    }
    if (flags & FIN) s.onEnd();
  }

  #windowUpdate(id: number, delta: number): void {
    const f = control(WINDOW_UPDATE, 0, 8);
    f.writeUInt32BE(id, 8);
    f.writeUInt32BE(delta, 12);
    this.#send(f);
  }

  async #open(f: Buffer, flags: number): Promise<void> {
    const id = f.readUInt32BE(8) & 0x7fffffff;
    const headers = parseHeaders(await pump(this.#inflate, f.subarray(18)));
    const stream: SpdyStream = {
      id,
      headers,
      onData: () => {},
      onEnd: () => {},
      reply: (h = {}) => this.#reply(id, h),
      write: (data) => this.#send(dataFrame(id, 0, data)),
      end: () => this.#send(dataFrame(id, FIN, new Uint8Array(0))),
      reset: () => {
        this.#streams.delete(id);
        const r = control(RST_STREAM, 0, 8);
        r.writeUInt32BE(id, 8);
        r.writeUInt32BE(5, 12);
        this.#send(r);
      },
    };
    this.#streams.set(id, stream);
    this.onStream(stream);
    if (flags & FIN) stream.onEnd();
  }

  /** Header blocks are one compressed stream: the next is begun when the one before is out, or it would carry that one's bytes too. */
  #reply(id: number, headers: Record<string, string>): Promise<void> {
    this.#replies = this.#replies.then(() => this.#sendReply(id, headers)).catch(() => this.close());
    return this.#replies;
  }

  async #sendReply(id: number, headers: Record<string, string>): Promise<void> {
    if (this.#closed) return;
    const block = await pump(this.#deflate, writeHeaders(headers));
    const f = control(SYN_REPLY, 0, 4 + block.length);
    f.writeUInt32BE(id, 8);
    block.copy(f, 12);
    this.#send(f);
  }
}

function control(type: number, flags: number, length: number): Buffer {
  const f = Buffer.alloc(8 + length);
  f.writeUInt32BE((0x80000000 | (VERSION << 16) | type) >>> 0, 0);
  f.writeUInt32BE(((flags << 24) | length) >>> 0, 4);
  return f;
}

function dataFrame(id: number, flags: number, data: Uint8Array): Buffer {
  const f = Buffer.alloc(8 + data.length);
  f.writeUInt32BE(id, 0);
  f.writeUInt32BE(((flags << 24) | data.length) >>> 0, 4);
  f.set(data, 8);
  return f;
}

/** Runs bytes through a zlib stream that lives as long as the connection. */
function pump(z: Inflate | Deflate, bytes: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const onData = (d: Buffer) => void chunks.push(d);
    const onError = (e: Error) => reject(e);
    z.on("data", onData);
    z.once("error", onError);
    z.write(bytes);
    z.flush(constants.Z_SYNC_FLUSH, () => {
      z.off("data", onData);
      z.off("error", onError);
      resolve(Buffer.concat(chunks));
    });
  });
}

function parseHeaders(b: Buffer): Record<string, string> {
  const headers: Record<string, string> = {};
  const pairs = b.readUInt32BE(0);
  if (pairs > MAX_HEADER_PAIRS) throw new SpdyError(`${pairs} headers`);
  let at = 4;
  const text = () => {
    const n = b.readUInt32BE(at);
    at += 4 + n;
    return b.toString("utf8", at - n, at);
  };
  for (let i = 0; i < pairs; i++) {
    const name = text();
    headers[name.toLowerCase()] = text();
  }
  return headers;
}

function writeHeaders(headers: Record<string, string>): Buffer {
  const parts: Buffer[] = [];
  const number = (n: number) => {
    const b = Buffer.alloc(4);
    b.writeUInt32BE(n);
    parts.push(b);
  };
  const entries = Object.entries(headers);
  number(entries.length);
  for (const [k, v] of entries) {
    for (const s of [k, v]) {
      const b = Buffer.from(s);
      number(b.length);
      parts.push(b);
    }
  }
  return Buffer.concat(parts);
}
