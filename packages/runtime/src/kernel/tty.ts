// A pseudo-terminal (pty(7), termios(3)) between a stream from outside and the processes of a container: canonical input with
// echo and erase, signals from Ctrl-C, Ctrl-\ and Ctrl-Z, "\n" to "\r\n" on the way out, window size.
// Invariant: in canonical mode readers see whole lines only (or what an end-of-file character released).
import { OpenFile, type Wake } from "./open-file.ts";
import { WakeList } from "./pipe.ts";
import type { Process } from "./process.ts";
import { SIGHUP, SIGINT, SIGQUIT, SIGTSTP } from "./signals.ts";

export interface Termios {
  /** Line editing in the terminal. */
  canonical: boolean;
  echo: boolean;
  /** Ctrl-C and relatives make signals. */
  signals: boolean;
  /** "\n" leaves as "\r\n". */
  outputNl: boolean;
  /** "\r" arrives as "\n". */
  inputCr: boolean;
}

/** Bytes that wait for a reader; further input is dropped, as a terminal does with a bell. */
const INPUT_LIMIT_BYTES = 65_536;
/** Of one write(2) to a terminal. */
const WRITE_LIMIT_BYTES = 65_536;
const EMPTY = new Uint8Array(0);

/** The master's side: what the terminal shows. */
export interface TtyOutput {
  write(bytes: Uint8Array): void;
  /** The one who looks takes no more for now. Echo is written nevertheless: it is as little as what was typed. */
  held(): boolean;
  onWritable(wake: Wake): () => void;
}

export class Tty {
  termios: Termios = { canonical: true, echo: true, signals: true, outputNl: true, inputCr: true };
  columns = 80;
  rows = 24;
  readonly output: TtyOutput;
  readonly #readable = new WakeList();
  #line: number[] = [];
  #ready: number[][] = [];
  #readyBytes = 0;
  #hungUp = false;
  #foreground: Process | undefined;
  /** Process group that signals go to; 0 is the first process's. */
  foregroundGroup = 0;

  constructor(output: TtyOutput) {
    this.output = output;
  }

  slave(): OpenFile {
    return new TtyFile(this);
  }

  setForeground(p: Process): void {
    this.#foreground = p;
    this.foregroundGroup = p.pgid;
  }

  /** True when the size is a new one. */
  resize(columns: number, rows: number): boolean {
    const changed = columns !== this.columns || rows !== this.rows;
    this.columns = columns;
    this.rows = rows;
    return changed;
  }

  /** No more input will come: readers get end of file. */
  hangUpInput(): void {
    this.#hungUp = true;
    this.#readable.wakeAll();
  }

  hangUp(): void {
    this.hangUpInput();
    if (this.#foreground && !this.#foreground.ended) this.#foreground.take(SIGHUP);
  }

  /** Bytes typed. */
  input(bytes: Uint8Array): void {
    const echo: number[] = [];
    for (const raw of bytes) this.#byte(raw === 13 && this.termios.inputCr ? 10 : raw, echo);
    if (echo.length > 0) this.write(Uint8Array.from(echo));
  }

  #byte(b: number, echo: number[]): void {
    const t = this.termios;
    if (t.signals && (b === 3 || b === 28 || b === 26)) {
      if (t.echo) echo.push(94, b + 64);
      this.#line = [];
      this.#signal(b === 3 ? SIGINT : b === 28 ? SIGQUIT : SIGTSTP);
      return;
    }
    if (!t.canonical) {
      if (t.echo) echo.push(b);
      this.#release([b]);
      return;
    }
    if (b === 127 || b === 8) {
      if (this.#eraseOne() && t.echo) echo.push(8, 32, 8);
      return;
    }
    if (b === 21) {
      while (this.#eraseOne()) if (t.echo) echo.push(8, 32, 8);
      return;
    }
    if (b === 4) {
      this.#release(this.#line);
      this.#line = [];
      return;
    }
    if (this.#line.length >= 4095 && b !== 10) return;
    this.#line.push(b);
    if (t.echo) {
      if (b < 32 && b !== 10 && b !== 9) echo.push(94, b + 64);
      else echo.push(b);
    }
    if (b === 10) {
      this.#release(this.#line);
      this.#line = [];
    }
  }

  #eraseOne(): boolean {
    if (this.#line.length === 0) return false;
    let b = this.#line.pop() as number;
    while (b >= 0x80 && b < 0xc0 && this.#line.length > 0) b = this.#line.pop() as number;
    return true;
  }

  #release(bytes: number[]): void {
    if (this.#readyBytes + bytes.length > INPUT_LIMIT_BYTES) return;
    this.#ready.push(bytes);
    this.#readyBytes += bytes.length;
    this.#readable.wakeAll();
  }

  #signal(signal: number): void {
    const first = this.#foreground;
    if (!first) return;
    const group = [...first.namespace.processes.values()].filter((p) => p.pgid === this.foregroundGroup);
    for (const p of group.length > 0 ? group : [first]) p.namespace.deliver(p, signal);
  }

  read(max: number): Uint8Array | undefined {
    const first = this.#ready[0];
    if (first === undefined) return this.#hungUp ? EMPTY : undefined;
    if (first.length <= max) {
      this.#ready.shift();
      this.#readyBytes -= first.length;
      return Uint8Array.from(first);
    }
    this.#readyBytes -= max;
    return Uint8Array.from(first.splice(0, max));
  }

  onReadable(wake: Wake): () => void {
    return this.#readable.add(wake);
  }

  write(bytes: Uint8Array): void {
    if (!this.termios.outputNl || !bytes.includes(10)) {
      this.output.write(bytes.slice());
      return;
    }
    const out: number[] = [];
    for (const b of bytes) {
      if (b === 10) out.push(13);
      out.push(b);
    }
    this.output.write(Uint8Array.from(out));
  }
}

export class TtyFile extends OpenFile {
  readonly tty: Tty;
  constructor(tty: Tty) {
    super({ read: true, write: true });
    this.tty = tty;
  }
  override get kind() {
    return "char" as const;
  }
  override readNow(max: number): Uint8Array | undefined {
    return this.tty.read(max);
  }
  override onReadable(wake: Wake) {
    return this.tty.onReadable(wake);
  }
  override writeNow(bytes: Uint8Array): number {
    let at = 0;
    for (; at < bytes.length && !this.tty.output.held(); at += WRITE_LIMIT_BYTES)
      this.tty.write(bytes.subarray(at, at + WRITE_LIMIT_BYTES));
    return Math.min(at, bytes.length);
  }
  override onWritable(wake: Wake) {
    return this.tty.output.onWritable(wake);
  }
}
