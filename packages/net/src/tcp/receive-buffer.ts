// Bytes that arrived in order and the application has not read. Payloads are copied out of their packets and joined, so that the
// reader gets few large chunks instead of one a segment.
// Invariant: `length` = sum of the chunks; bytes leave in the order they came. Limit: the advertised window (the connection's receiveLimit).

import { copyBytes } from "../packet-memory.ts";

const JOIN_BYTES = 65536;

export class ReceiveBuffer {
  length = 0;
  #chunks: Uint8Array[] = [];
  /** The last chunk's backing store and how much of it is used; joined into while there is room. */
  #tail: Uint8Array | null = null;
  #used = 0;
  #from = 0;
  /** The reader took more than one payload at a time lately: start with a large chunk. */
  #bulk = false;
  #appends = 0;

  append(b: Uint8Array, from: number, to: number): void {
    const n = to - from;
    this.length += n;
    this.#appends++;
    const tail = this.#tail;
    if (tail !== null && tail.length - this.#used >= n) {
      copyBytes(tail, this.#used, b, from, n);
      this.#used += n;
      return;
    }
    this.#seal();
    const size = this.#bulk || this.#appends > 1 ? Math.max(JOIN_BYTES, n) : n;
    this.#tail = Buffer.allocUnsafeSlow(size);
    copyBytes(this.#tail, 0, b, from, n);
    this.#from = 0;
    this.#used = n;
  }

  /** The next chunk, or null. Its bytes are the reader's now. */
  take(): Uint8Array | null {
    if (this.#chunks.length === 0) {
      this.#bulk = this.#appends > 1;
      this.#appends = 0;
      this.#seal();
      // What is left of a large chunk serves the next payloads.
    }
    const chunk = this.#chunks.shift();
    if (chunk === undefined) return null;
    this.length -= chunk.length;
    return chunk;
  }

  clear(): void {
    this.#chunks = [];
    this.#tail = null;
    this.#used = this.#from = 0;
    this.length = 0;
  }

  #seal(): void {
    if (this.#tail === null) return;
    if (this.#used > this.#from) this.#chunks.push(this.#tail.subarray(this.#from, this.#used));
    this.#from = this.#used;
    if (this.#tail.length - this.#used < 2048) this.#tail = null;
  }
}
