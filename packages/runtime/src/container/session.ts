// A process with streams that come from outside: the first one of a container, or one that was brought in by exec.
// Invariant: what is written reaches the process in order and is taken no faster than it reads; output reaches every listener.
import { FdTable, OpenFile, type Wake } from "../kernel/open-file.ts";
import { openPipe, type PipeEnd } from "../kernel/pipe.ts";
import type { ExitStatus, Process } from "../kernel/process.ts";
import { SIGWINCH } from "../kernel/signals.ts";
import { Tty } from "../kernel/tty.ts";
import type { OutputListener, SessionOutput } from "./session-output.ts";

export class Session {
  /** The process's descriptors 0, 1 and 2. */
  readonly fds = new FdTable();
  readonly tty: Tty | undefined;
  #process: Process | undefined;
  #input: PipeEnd | undefined;
  readonly #output: SessionOutput;

  constructor(o: { stdin: boolean; tty: boolean }, output: SessionOutput) {
    this.#output = output;
    if (o.tty) {
      this.tty = new Tty({
        write: (bytes) => output.emit("stdout", bytes),
        held: () => output.held,
        onWritable: (wake) => output.onWritable(wake),
      });
      const f = this.tty.slave();
      for (const fd of [0, 1, 2]) this.fds.set(fd, f);
      if (!o.stdin) this.tty.hangUpInput();
      return;
    }
    if (o.stdin) {
      const [read, write] = openPipe();
      this.#input = write.ref();
      this.fds.set(0, read);
    } else this.fds.set(0, new NullInput());
    this.fds.set(1, output.file("stdout"));
    this.fds.set(2, output.file("stderr"));
  }

  /** Joins the streams with the process that has them. */
  attach(process: Process): this {
    this.#process = process;
    this.tty?.setForeground(process);
    return this;
  }

  get process(): Process {
    return this.#process as Process;
  }

  /** A promise from the listener holds the process's writes until it settles. */
  onOutput(cb: OutputListener): void {
    this.#output.add(cb);
  }

  /** Resolves when the process has taken the bytes (or is over). */
  async write(bytes: Uint8Array): Promise<void> {
    const { process } = this;
    if (process.ended) return;
    if (this.tty) return this.tty.input(bytes);
    let at = 0;
    for (
      let input = this.#input;
      input !== undefined && at < bytes.length && !process.ended && input.pipe.readers > 0;
      input = this.#input
    ) {
      const n = input.writeNow(bytes.subarray(at));
      at += n;
      const { pipe } = input;
      if (n === 0) await process.block((wake: Wake) => pipe.writable.add(wake)).catch(() => undefined);
    }
  }

  endInput(): void {
    if (this.tty) return;
    this.#input?.unref();
    this.#input = undefined;
  }

  resize(columns: number, rows: number): void {
    if (this.tty?.resize(columns, rows)) this.process.take(SIGWINCH);
  }

  wait(): Promise<ExitStatus> {
    return new Promise((resolve) => this.process.namespace.onEnd(this.process, (p) => resolve(p.status as ExitStatus)));
  }

  kill(signal: number): void {
    this.process.namespace.deliver(this.process, signal, "outside");
  }
}

/** /dev/null as standard input of a container without stdin. */
class NullInput extends OpenFile {
  constructor() {
    super(READ);
  }
  override get kind() {
    return "char" as const;
  }
  override readNow(): Uint8Array {
    return EMPTY;
  }
}

const EMPTY = new Uint8Array(0);
const READ = { read: true } as const;
