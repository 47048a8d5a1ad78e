// Bytes that arrived in order and the application has not read. Payloads are copied out of their packets and joined, so that the
// reader gets few large chunks instead of one a segment.
// Invariant: `length` = sum of the chunks; bytes leave in the order they came; an empty buffer holds no memory. Limit: the advertised
// window (the connection's receiveLimit).
import { copyBytes } from "../packet-memory.ts";

/** Chunks grow to this while data keeps coming. */
const JOIN_BYTES = 65_536;

export class ReceiveBuffer {
  length = 0;
  #chunks: Uint8Array[] | null = null;
  /** The chunk being filled and how much of it is. */
  #tail: Uint8Array | null = null;
  #used = 0;
  /** Bytes since the reader last emptied the buffer, and before that: what the next chunk will probably have to hold. */
  #turn = 0;
  #expected = 0;

  append(b: Uint8Array, from: number, to: number): void {
    const n = to - from;
    this.length += n;
    this.#turn += n;
    let tail = this.#tail;
    if (tail === null || tail.length - this.#used < n) {
      this.#seal();
      tail = Buffer.allocUnsafeSlow(Math.max(n, this.#turn > n ? JOIN_BYTES : this.#expected));
      this.#tail = tail;
    }
    copyBytes(tail, this.#used, b, from, n);
    this.#used += n;
  }

  /** The next chunk, or null. Its bytes are the reader's now. */
  take(): Uint8Array | null {
    if (this.#chunks === null) this.#seal();
    const chunk = this.#chunks?.shift();
    if (chunk === undefined) {
      this.#chunks = null;
      this.#expected = Math.min(this.#turn, JOIN_BYTES);
      this.#turn = 0;
      return null;
    }
    if (this.#chunks!.length === 0) this.#chunks = null;
    this.length -= chunk.length;
    return chunk;
  }

  #seal(): void {
    if (this.#tail === null) return;
    this.#chunks ??= [];
    this.#chunks.push(this.#used === this.#tail.length ? this.#tail : this.#tail.subarray(0, this.#used));
    this.#tail = null;
    this.#used = 0;
  }
}
