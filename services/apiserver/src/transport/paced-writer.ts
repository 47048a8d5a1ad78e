// A body on its way into a connection. What is large goes in slices, each when the client has taken the one before: TLS keeps an encrypted
// copy of everything that was written and not yet sent. Invariant: bytes leave in the order of `write`.
import type { Writable } from "node:stream";

const SLICE_BYTES = 128 * 1024;

export class PacedWriter {
  readonly #out: Writable;
  readonly #frame: (bytes: Uint8Array) => Uint8Array;
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #waiting = false;
  #whenEmpty: (() => void)[] = [];

  /** `frame` is put around each slice. */
  constructor(out: Writable, frame: (bytes: Uint8Array) => Uint8Array = (b) => b) {
    this.#out = out;
    this.#frame = frame;
  }

  /** Bytes that wait here or in the connection. */
  get backlog(): number {
    return this.#queuedBytes + this.#out.writableLength;
  }

  /** False when more should wait for `emptied`. */
  write(bytes: Uint8Array): boolean {
    if (bytes.length <= SLICE_BYTES && this.#queue.length === 0) return this.#out.write(this.#frame(bytes));
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    this.#go();
    return this.#queue.length === 0 && !this.#waiting;
  }

  /** Calls back when nothing waits here any more; at once when nothing does. */
  emptied(cb: () => void): void {
    if (this.#queue.length === 0) cb();
    else this.#whenEmpty.push(cb);
  }

  /** Calls back when the connection takes more. */
  drained(cb: () => void): void {
    if (this.#queue.length > 0) this.#whenEmpty.push(cb);
    else this.#out.once("drain", cb);
  }

  #go(): void {
    while (this.#queue.length > 0 && !this.#waiting) {
      const first = this.#queue[0] as Uint8Array;
      const slice = first.subarray(0, SLICE_BYTES);
      if (slice.length < first.length) this.#queue[0] = first.subarray(SLICE_BYTES);
      else this.#queue.shift();
      this.#queuedBytes -= slice.length;
      if (this.#out.write(this.#frame(slice))) continue;
      this.#waiting = true;
      this.#out.once("drain", () => {
        this.#waiting = false;
        this.#go();
      });
    }
    if (this.#queue.length === 0) for (const cb of this.#whenEmpty.splice(0)) cb();
  }
}
