// Messages that come before their consumer is ready, then one at a time in order.
// Past the limit the oldest consumerless messages are not dropped: `push` throws, and the connection ends.
import { PodwireError } from "@podwire/base";

export class BufferFullError extends PodwireError {}

const MAX_BUFFERED_BYTES = 16 * 1024 * 1024;

export class Buffered<T> {
  readonly #queue: T[] = [];
  readonly #sizeOf: (m: T) => number;
  #bytes = 0;
  #consume: ((m: T) => void | Promise<void>) | undefined;
  #busy = false;

  constructor(sizeOf: (m: T) => number) {
    this.#sizeOf = sizeOf;
  }

  push(m: T): void {
    this.#bytes += this.#sizeOf(m);
    if (this.#bytes > MAX_BUFFERED_BYTES) throw new BufferFullError(`more than ${MAX_BUFFERED_BYTES} bytes wait for a consumer`);
    this.#queue.push(m);
    void this.#run();
  }

  drain(consume: (m: T) => void | Promise<void>): void {
    this.#consume = consume;
    void this.#run();
  }

  async #run(): Promise<void> {
    if (this.#busy || !this.#consume) return;
    this.#busy = true;
    for (let m = this.#queue.shift(); m !== undefined; m = this.#queue.shift()) {
      this.#bytes -= this.#sizeOf(m);
      await this.#consume(m);
    }
    this.#busy = false;
  }
}
