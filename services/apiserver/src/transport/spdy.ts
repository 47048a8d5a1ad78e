// SPDY/3.1 framing as Kubernetes' clients use it for exec and port-forward: SYN_STREAM, SYN_REPLY, DATA, RST_STREAM, SETTINGS, PING,
// GOAWAY, WINDOW_UPDATE; header blocks are zlib with the protocol's dictionary. Invariants: a frame or a header block beyond its limit ends
// the connection; what a peer sent and nobody has consumed is bounded, since the transport is asked to pause.
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
/** Data of one frame that is sent: its length has 24 bits, and other streams' frames go between. */
const DATA_BYTES = 64 * 1024;
const MAX_HEADER_PAIRS = 100;
/** A header block when it is decompressed. */
const MAX_HEADER_BYTES = 64 * 1024;
/** Received and not consumed: above the first the transport is paused, under the second it goes on. */
const PAUSE_ABOVE_BYTES = 1024 * 1024;
const RESUME_BELOW_BYTES = 256 * 1024;

export interface SpdyStream {
  readonly id: number;
  readonly headers: Readonly<Record<string, string>>;
  /** A promise holds the transport back until it settles, once enough data waits. */
  onData: (data: Uint8Array) => void | Promise<void>;
  /** The peer ended its half, or reset the stream. */
  onEnd: () => void;
  reply(headers?: Record<string, string>): Promise<void>;
  /** The promise, where the transport gives one, settles when it takes more. */
  write(data: Uint8Array): void | Promise<void>;
  end(): void;
  reset(): void;
}

/** What carries the frames. */
export interface SpdyTransport {
  /** The promise settles when the transport takes more. */
  send(bytes: Uint8Array): void | Promise<void>;
  /** Stop, or go on with, reading from the peer. */
  pause(): void;
  resume(): void;
}

/** One side that accepts streams. Bytes in by `receive`, out by the transport. */
export class SpdyConnection {
  readonly #transport: SpdyTransport;
  readonly #inflate: Inflate = createInflate({ dictionary: SPDY_DICTIONARY });
  readonly #deflate: Deflate = createDeflate({ dictionary: SPDY_DICTIONARY });
  readonly #streams = new Map<number, SpdyStream>();
  #buffer: Buffer = Buffer.alloc(0);
  #turn: Promise<void> = Promise.resolve();
  #replies: Promise<void> = Promise.resolve();
  #closed = false;
  #unconsumed = 0;
  #paused = false;
  onStream: (s: SpdyStream) => void = () => {};
  onClose: () => void = () => {};

  constructor(transport: SpdyTransport) {
    this.#transport = transport;
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
      this.#waits(copy.length);
      this.#turn = this.#turn.then(() => this.#frame(copy)).catch(() => this.close());
    }
  }

  #send(bytes: Uint8Array): void | Promise<void> {
    return this.#transport.send(bytes);
  }

  #waits(bytes: number): void {
    this.#unconsumed += bytes;
    if (this.#unconsumed <= PAUSE_ABOVE_BYTES || this.#paused) return;
    this.#paused = true;
    this.#transport.pause();
  }

  #consumed(bytes: number): void {
    this.#unconsumed -= bytes;
    if (this.#unconsumed >= RESUME_BELOW_BYTES || !this.#paused) return;
    this.#paused = false;
    this.#transport.resume();
  }

  get closed(): boolean {
    return this.#closed;
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
      const held = this.#data(first & 0x7fffffff, flags, f.subarray(8));
      if (held) void held.catch(() => {}).then(() => this.#consumed(f.length));
      else this.#consumed(f.length);
      return;
    }
    await this.#control(f, first, flags);
    this.#consumed(f.length);
  }

  async #control(f: Buffer, first: number, flags: number): Promise<void> {
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
        void this.#send(f);
        return;
      case GOAWAY:
        return;
      default:
        return; // SETTINGS, HEADERS and WINDOW_UPDATE need no answer here.
    }
  }

  #data(id: number, flags: number, data: Buffer): void | Promise<void> {
    const s = this.#streams.get(id);
    if (!s) return undefined;
    const held = data.length > 0 ? s.onData(data) : undefined;
    if (data.length > 0) this.#windowUpdate(id, data.length);
    if (flags & FIN) s.onEnd();
    return held;
  }

  #windowUpdate(id: number, delta: number): void {
    const f = control(WINDOW_UPDATE, 0, 8);
    f.writeUInt32BE(id, 8);
    f.writeUInt32BE(delta, 12);
    void this.#send(f);
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
      write: (data) => {
        let at = 0;
        for (; data.length - at > DATA_BYTES; at += DATA_BYTES) void this.#send(dataFrame(id, 0, data.subarray(at, at + DATA_BYTES)));
        return this.#send(dataFrame(id, 0, data.subarray(at)));
      },
      end: () => void this.#send(dataFrame(id, FIN, new Uint8Array(0))),
      reset: () => {
        this.#streams.delete(id);
        const r = control(RST_STREAM, 0, 8);
        r.writeUInt32BE(id, 8);
        r.writeUInt32BE(5, 12);
        void this.#send(r);
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
    void this.#send(f);
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
    let length = 0;
    const onError = (e: Error) => reject(e);
    const onData = (d: Buffer) => {
      length += d.length;
      if (length > MAX_HEADER_BYTES) {
        z.close(); // What is left of it would be decompressed for nobody.
        return reject(new SpdyError(`a header block of more than ${MAX_HEADER_BYTES} bytes`));
      }
      chunks.push(d);
      return undefined;
    };
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
