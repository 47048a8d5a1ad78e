// What a session's processes write, told to those who listen from outside. A listener that answers with a promise holds the writers, like a
// full pipe, until it settles. Invariant: a process never runs ahead of a slow listener by more than one piece for each descriptor.
import { OpenFile, type Wake } from "../kernel/open-file.ts";
import { PIPE_CAPACITY_BYTES, WakeList } from "../kernel/pipe.ts";

export type OutputStream = "stdout" | "stderr";
/** The bytes are valid during the call only. */
export type OutputListener = (stream: OutputStream, bytes: Uint8Array) => void | Promise<void>;

const NONE: readonly OutputListener[] = [];
const WRITE = { write: true } as const;

export class SessionOutput {
  /** Replaced, not changed: one listener costs no more than one. */
  #listeners: readonly OutputListener[] = NONE;
  readonly #writable = new WakeList();
  #holding = 0;

  /** Returns how to stop listening. */
  add(cb: OutputListener): () => void {
    this.#listeners = this.#listeners.concat(cb);
    return () => {
      this.#listeners = this.#listeners.filter((l) => l !== cb);
    };
  }

  get held(): boolean {
    return this.#holding > 0;
  }

  onWritable(wake: Wake): () => void {
    return this.#writable.add(wake);
  }

  emit(stream: OutputStream, bytes: Uint8Array): void {
    for (const cb of this.#listeners) {
      const taken = cb(stream, bytes);
      if (!taken) continue;
      this.#holding++;
      const release = () => {
        if (--this.#holding === 0) this.#writable.wakeAll();
      };
      taken.then(release, release);
    }
  }

  /** As a descriptor of the process: a pipe to the listeners. */
  file(stream: OutputStream): OpenFile {
    return new OutputFile(this, stream);
  }
}

class OutputFile extends OpenFile {
  readonly #output: SessionOutput;
  readonly #stream: OutputStream;
  constructor(output: SessionOutput, stream: OutputStream) {
    super(WRITE);
    this.#output = output;
    this.#stream = stream;
  }
  override get kind() {
    return "fifo" as const;
  }
  override writeNow(bytes: Uint8Array): number {
    let at = 0;
    while (at < bytes.length && !this.#output.held) {
      const piece = bytes.subarray(at, at + PIPE_CAPACITY_BYTES);
      this.#output.emit(this.#stream, piece);
      at += piece.length;
    }
    return at; // Less than asked only while held, so that who waits is woken.
  }
  override onWritable(wake: Wake) {
    return this.#output.onWritable(wake);
  }
}
