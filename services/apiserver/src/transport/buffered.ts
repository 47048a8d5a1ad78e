// Messages that come before their consumer is ready or faster than it takes them: one at a time, in order. Above a limit the source is
// paused, so what waits is bounded by the limit and one message. A consumer that failed gets no more: what comes is discarded.

export interface Source {
  pause(): void;
  resume(): void;
}

const PAUSE_ABOVE_BYTES = 1024 * 1024;
const RESUME_BELOW_BYTES = 256 * 1024;

export class Buffered {
  readonly #queue: Buffer[] = [];
  readonly #source: Source;
  #bytes = 0;
  #paused = false;
  #consume: ((m: Buffer) => void | Promise<void>) | undefined;
  #failed = false;
  #busy = false;

  constructor(source: Source) {
    this.#source = source;
  }

  push(m: Buffer): void {
    if (this.#failed) return;
    this.#bytes += m.length;
    this.#queue.push(m);
    if (this.#bytes > PAUSE_ABOVE_BYTES && !this.#paused) {
      this.#paused = true;
      this.#source.pause();
    }
    void this.#run();
  }

  drain(consume: (m: Buffer) => void | Promise<void>): void {
    this.#consume = consume;
    void this.#run();
  }

  async #run(): Promise<void> {
    if (this.#busy || !this.#consume) return;
    this.#busy = true;
    try {
      for (let m = this.#queue.shift(); m !== undefined; m = this.#queue.shift()) {
        await this.#consume(m);
        this.#bytes -= m.length;
        if (this.#bytes < RESUME_BELOW_BYTES && this.#paused) {
          this.#paused = false;
          this.#source.resume();
        }
      }
      this.#busy = false;
    } catch {
      this.#failed = true;
      this.#queue.length = 0;
      this.#source.resume(); // For the end of the connection, which must still be heard.
    }
  }
}
