// A TCP connection as node:net's Socket shows one: a Duplex with addresses, timeouts and Node's error codes, so that node:http,
// node:http2, node:tls and ws run on it unchanged.
// Invariant: bytes wait in the connection's buffers, not here: a slow reader closes the TCP window, a full send buffer holds back the
// writer's callback. Limits: highWaterMark here, receiveLimit and sendLimit there.
import { Duplex } from "node:stream";
import type { Clock, Timer } from "@podwire/base";
import { formatAddress } from "../codec/address.ts";
import { TcpEvent } from "../tcp/index.ts";
import { type ErrnoName, SocketError } from "./errors.ts";
import type { TcpEndpoint, TcpOwner } from "./tcp-endpoint.ts";

/** What a socket may ask of its layer. */
export interface TcpCalls {
  readonly clock: Clock;
  write(e: TcpEndpoint, bytes: Uint8Array): number;
  consumed(e: TcpEndpoint): void;
  shutdown(e: TcpEndpoint): void;
  close(e: TcpEndpoint): void;
  abort(e: TcpEndpoint): void;
  setKeepAlive(e: TcpEndpoint, on: boolean, idleMs: number): void;
}

const HIGH_WATER_MARK = 65_536;

interface Limits {
  /** As on net.Socket: undefined until setTimeout. */
  idleMs: number | undefined;
  idleTimer: Timer | null;
  connectTimer: Timer | null;
  activeMs: number;
}

export interface NetSocketOptions {
  allowHalfOpen?: boolean;
}

/** TCP_NODELAY is on until setNoDelay(false). Events: connect, ready, data, end, drain, timeout, error, close(hadError), and lookup never. */
export class NetSocket extends Duplex implements TcpOwner {
  readonly #calls: TcpCalls;
  #endpoint: TcpEndpoint | null = null;
  #wantsData = false;
  #ended = false;
  #pendingWrite: { chunks: Uint8Array[]; index: number; from: number; done: (e?: Error | null) => void } | null = null;
  /** Made when a time limit is first set; most sockets have none. */
  #limits: Limits | null = null;
  connecting = false;
  bytesRead = 0;
  bytesWritten = 0;

  constructor(calls: TcpCalls, options: NetSocketOptions = {}) {
    super({
      allowHalfOpen: options.allowHalfOpen ?? false,
      highWaterMark: HIGH_WATER_MARK,
      decodeStrings: true,
      emitClose: false,
      autoDestroy: true,
    });
    this.#calls = calls;
  }

  /** Joins the socket with its connection. */
  attach(endpoint: TcpEndpoint, connecting: boolean): void {
    this.#endpoint = endpoint;
    endpoint.owner = this;
    // As Go's net package and node:http's own listeners have it; without, an answer in two writes waits for a delayed acknowledgement.
    endpoint.connection.noDelay = true;
    this.connecting = connecting;
  }

  /** A connect that takes longer fails with ETIMEDOUT. */
  limitConnect(ms: number): void {
    this.#limited().connectTimer = this.#calls.clock.after(ms, () => this.connecting && this.fail("ETIMEDOUT", "connect"), { unref: true });
  }

  #limited(): Limits {
    return (this.#limits ??= { idleMs: undefined, idleTimer: null, connectTimer: null, activeMs: 0 });
  }

  #active(): void {
    if (this.#limits !== null) this.#limits.activeMs = this.#calls.clock.monotonicMs();
  }

  /** As on net.Socket: milliseconds, or undefined. */
  get timeout(): number | undefined {
    return this.#limits?.idleMs;
  }

  /** Ends the socket with an error, in a later turn. */
  fail(code: ErrnoName, syscall: string, address = this.remoteAddress, port = this.remotePort): void {
    this.destroy(new SocketError(code, syscall, address, port));
  }

  onTcpEvents(events: number): void {
    const c = this.#endpoint!.connection;
    if (events & TcpEvent.CONNECTED && this.connecting) {
      this.connecting = false;
      this.#limits?.connectTimer?.cancel();
      this.emit("connect");
      this.emit("ready");
    }
    if (events & TcpEvent.WRITABLE) this.#continueWrite();
    if (events & (TcpEvent.DATA | TcpEvent.END)) {
      this.#active();
      if (this.#wantsData) this.#pull();
      // Without a reader of the empty rest, the end must still be seen.
      else if (events & TcpEvent.END && c.received.length === 0) this.#pull();
    }
    if (events & TcpEvent.CLOSED && c.error !== "" && !this.destroyed) {
      if (this.connecting) this.fail(c.error, "connect");
      else this.destroy(new SocketError(c.error, this.#pendingWrite !== null ? "write" : "read"));
    }
  }

  onLayerClosed(): void {
    this.destroy();
  }

  override _read(): void {
    this.#wantsData = true;
    if (this.#endpoint !== null) this.#pull();
  }

  #pull(): void {
    const e = this.#endpoint!;
    const received = e.connection.received;
    let took = false;
    while (this.#wantsData) {
      const chunk = received.take();
      if (chunk === null) break;
      took = true;
      this.bytesRead += chunk.length;
      if (!this.push(chunk)) this.#wantsData = false;
    }
    if (took) this.#calls.consumed(e);
    if (e.connection.finReceived && received.length === 0 && !this.#ended) {
      this.#ended = true;
      this.push(null);
    }
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: (e?: Error | null) => void): void {
    this.#startWrite([chunk], done);
  }

  override _writev(chunks: { chunk: Uint8Array }[], done: (e?: Error | null) => void): void {
    this.#startWrite(
      chunks.map((c) => c.chunk),
      done,
    );
  }

  #startWrite(chunks: Uint8Array[], done: (e?: Error | null) => void): void {
    this.#pendingWrite = { chunks, index: 0, from: 0, done };
    this.#continueWrite();
  }

  #continueWrite(): void {
    const w = this.#pendingWrite;
    if (w === null) return;
    const e = this.#endpoint;
    if (e === null || (e.connection.state === "closed" && !this.connecting) || e.connection.finQueued) {
      this.#pendingWrite = null;
      w.done(new SocketError("EPIPE", "write"));
      return;
    }
    this.#active();
    while (w.index < w.chunks.length) {
      const chunk = w.chunks[w.index]!;
      const rest = w.from === 0 ? chunk : chunk.subarray(w.from);
      const n = rest.length === 0 ? 0 : this.#calls.write(e, rest);
      this.bytesWritten += n;
      if (n < rest.length) {
        w.from += n;
        return;
      }
      w.index++;
      w.from = 0;
    }
    this.#pendingWrite = null;
    w.done();
  }

  override _final(done: (e?: Error | null) => void): void {
    if (this.#endpoint !== null) this.#calls.shutdown(this.#endpoint);
    done();
  }

  override _destroy(error: Error | null, done: (e?: Error | null) => void): void {
    this.#limits?.idleTimer?.cancel();
    this.#limits?.connectTimer?.cancel();
    this.connecting = false;
    const e = this.#endpoint;
    if (e !== null) {
      e.owner = null;
      this.#calls.close(e);
    }
    const pending = this.#pendingWrite;
    this.#pendingWrite = null;
    done(error);
    pending?.done(error ?? new SocketError("ECANCELED", "write"));
    process.nextTick(() => this.emit("close", error !== null));
  }

  /** Closes with a reset instead of a FIN. */
  resetAndDestroy(): this {
    if (this.#endpoint !== null && !this.destroyed) this.#calls.abort(this.#endpoint);
    this.destroy();
    return this;
  }

  /** Closes when everything written was handed over. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", () => this.destroy());
  }

  setNoDelay(noDelay = true): this {
    if (this.#endpoint !== null) this.#endpoint.connection.noDelay = noDelay;
    return this;
  }

  setKeepAlive(on = false, initialDelayMs = 0): this {
    if (this.#endpoint !== null) this.#calls.setKeepAlive(this.#endpoint, on, initialDelayMs);
    return this;
  }

  /** Emits "timeout" after `ms` without traffic; 0 turns it off. */
  setTimeout(ms: number, onTimeout?: () => void): this {
    const limits = this.#limited();
    limits.idleMs = ms;
    limits.idleTimer?.cancel();
    limits.idleTimer = null;
    if (onTimeout !== undefined) {
      if (ms === 0) this.removeListener("timeout", onTimeout);
      else this.once("timeout", onTimeout);
    }
    if (ms > 0 && !this.destroyed) {
      this.#active();
      this.#armTimeout(limits, ms);
    }
    return this;
  }

  #armTimeout(limits: Limits, delayMs: number): void {
    limits.idleTimer = this.#calls.clock.after(
      delayMs,
      () => {
        const idle = this.#calls.clock.monotonicMs() - limits.activeMs;
        const limit = limits.idleMs ?? 0;
        if (idle + 1 < limit) this.#armTimeout(limits, limit - idle);
        else this.emit("timeout");
      },
      { unref: true },
    );
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  address(): { address: string; family: "IPv4" | "IPv6"; port: number } | Record<string, never> {
    const e = this.#endpoint;
    if (e === null) return {};
    return { address: formatAddress(e.localAddress), family: typeof e.localAddress === "number" ? "IPv4" : "IPv6", port: e.localPort };
  }

  get remoteAddress(): string | undefined {
    return this.#endpoint === null ? undefined : formatAddress(this.#endpoint.remoteAddress);
  }

  get remotePort(): number | undefined {
    return this.#endpoint?.remotePort;
  }

  get remoteFamily(): "IPv4" | "IPv6" | undefined {
    if (this.#endpoint === null) return undefined;
    return typeof this.#endpoint.remoteAddress === "number" ? "IPv4" : "IPv6";
  }

  get localAddress(): string | undefined {
    return this.#endpoint === null ? undefined : formatAddress(this.#endpoint.localAddress);
  }

  get localPort(): number | undefined {
    return this.#endpoint?.localPort;
  }

  get localFamily(): "IPv4" | "IPv6" | undefined {
    if (this.#endpoint === null) return undefined;
    return typeof this.#endpoint.localAddress === "number" ? "IPv4" : "IPv6";
  }

  get pending(): boolean {
    return this.#endpoint === null || this.connecting;
  }

  get bufferSize(): number {
    return this.writableLength;
  }

  get readyState(): "opening" | "open" | "readOnly" | "writeOnly" | "closed" {
    if (this.connecting) return "opening";
    if (this.readable && this.writable) return "open";
    if (this.readable) return "readOnly";
    return this.writable ? "writeOnly" : "closed";
  }

  /** The state of the connection, as `ss` prints it. */
  get tcpState(): string {
    return this.#endpoint?.connection.state ?? "closed";
  }
}
