// A pipe (pipe(7)): a bounded queue of bytes between open files. A full pipe makes writers wait, an empty one readers;
// no writer left is end of file, no reader left is EPIPE. FIFOs in the file system hold one of these.
// Invariant: 0 <= size <= PIPE_CAPACITY_BYTES; chunks in `queue` are never empty and never shared with the writer.
import { SysError } from "./errno.ts";
import { OpenFile, type Wake } from "./open-file.ts";

export const PIPE_CAPACITY_BYTES = 65_536;

export class Pipe {
  queue: Uint8Array[] = [];
  /** Bytes of queue[0] that were read. */
  #head = 0;
  size = 0;
  readers = 0;
  writers = 0;
  /** Raised each time an end opens, for FIFO open(2), which waits for the other end. */
  readonly opened = new WakeList();
  readonly readable = new WakeList();
  readonly writable = new WakeList();

  readNow(max: number): Uint8Array | undefined {
    const first = this.queue[0];
    if (first === undefined) return this.writers === 0 ? EMPTY : undefined;
    let out: Uint8Array;
    if (this.queue.length === 1 || first.length - this.#head >= max) {
      out = first.subarray(this.#head, Math.min(first.length, this.#head + max));
      this.#head += out.length;
      if (this.#head === first.length) {
        this.queue.shift();
        this.#head = 0;
      }
    } else {
      out = new Uint8Array(Math.min(max, this.size));
      let n = 0;
      while (n < out.length) {
        const chunk = this.queue[0] as Uint8Array;
        const take = Math.min(chunk.length - this.#head, out.length - n);
        out.set(chunk.subarray(this.#head, this.#head + take), n);
        n += take;
        this.#head += take;
        if (this.#head === chunk.length) {
          this.queue.shift();
          this.#head = 0;
        }
      }
    }
    this.size -= out.length;
    this.writable.wakeAll();
    return out;
  }

  /** Number of bytes taken: 0 when full. Throws EPIPE when nobody can read. */
  writeNow(bytes: Uint8Array): number {
    if (this.readers === 0) throw new SysError("EPIPE");
    const n = Math.min(bytes.length, PIPE_CAPACITY_BYTES - this.size);
    if (n === 0) return 0;
    this.queue.push(bytes.slice(0, n));
    this.size += n;
    this.readable.wakeAll();
    return n;
  }
}

const EMPTY = new Uint8Array(0);

/** Who waits for a condition. Waking clears the list: whoever still has to wait registers again. */
export class WakeList {
  /** Most lists have one waiter at most. */
  #one: Wake | undefined;
  #others: Set<Wake> | undefined;
  add(wake: Wake): () => void {
    if (this.#one === undefined) this.#one = wake;
    else {
      this.#others ??= new Set();
      this.#others.add(wake);
    }
    return () => {
      if (this.#one === wake) this.#one = undefined;
      else this.#others?.delete(wake);
    };
  }
  wakeAll(): void {
    const one = this.#one;
    const others = this.#others;
    this.#one = undefined;
    if (others !== undefined && others.size > 0) {
      this.#others = undefined;
      one?.();
      for (const wake of others) wake();
    } else one?.();
  }
}

const MODES = { read: { read: true }, write: { write: true }, both: { read: true, write: true } } as const;

/** One end of a pipe as an open file. */
export class PipeEnd extends OpenFile {
  readonly pipe: Pipe;
  readonly end: "read" | "write" | "both";
  constructor(pipe: Pipe, end: "read" | "write" | "both") {
    super(MODES[end]);
    this.pipe = pipe;
    this.end = end;
    if (end !== "write") pipe.readers++;
    if (end !== "read") pipe.writers++;
    pipe.opened.wakeAll();
  }
  override get kind() {
    return "fifo" as const;
  }
  override readNow(max: number): Uint8Array | undefined {
    if (this.end === "write") throw new SysError("EBADF");
    return this.pipe.readNow(max);
  }
  override onReadable(wake: Wake) {
    return this.pipe.readable.add(wake);
  }
  override writeNow(bytes: Uint8Array): number {
    if (this.end === "read") throw new SysError("EBADF");
    return this.pipe.writeNow(bytes);
  }
  override onWritable(wake: Wake) {
    return this.pipe.writable.add(wake);
  }
  protected override released(): void {
    if (this.end !== "write") this.pipe.readers--;
    if (this.end !== "read") this.pipe.writers--;
    this.pipe.readable.wakeAll();
    this.pipe.writable.wakeAll();
  }
}

/** pipe(2): [read end, write end]. */
export function openPipe(): [PipeEnd, PipeEnd] {
  const pipe = new Pipe();
  return [new PipeEnd(pipe, "read"), new PipeEnd(pipe, "write")];
}
