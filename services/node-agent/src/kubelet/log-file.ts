// A container's log on the node's disk in the CRI format: "2006-01-02T15:04:05.000000000Z stdout F line". Long lines are cut into
// parts tagged P. Rotated by size; readers follow by subscription.
// Invariant: every byte that a container wrote before `close` is in the file when close returns.
import fs from "node:fs";
import path from "node:path";
import type { Clock } from "@podwire/base";

/** --container-log-max-size, --container-log-max-files. */
export interface LogLimits {
  maxBytes: number;
  /** With the one that is written. */
  maxFiles: number;
}

export const DEFAULT_LOG_LIMITS: LogLimits = { maxBytes: 10 * 1024 * 1024, maxFiles: 5 };
/** containerd's max_container_log_line_size. */
const MAX_LINE_BYTES = 16_384;

export type LogStream = "stdout" | "stderr";

export class LogFile {
  readonly file: string;
  readonly #clock: Clock;
  readonly #limits: LogLimits;
  #fd: number | undefined;
  #size = 0;
  #waiting: Buffer[] = [];
  #scheduled = false;
  readonly #partial: { stdout: Buffer; stderr: Buffer } = { stdout: EMPTY, stderr: EMPTY };
  readonly #followers = new Set<() => void>();
  closed = false;

  constructor(file: string, clock: Clock, limits: LogLimits = DEFAULT_LOG_LIMITS) {
    this.#limits = limits;
    this.file = file;
    this.#clock = clock;
  }

  write(stream: LogStream, bytes: Uint8Array): void {
    if (this.closed) return;
    let rest = this.#partial[stream].length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#partial[stream], bytes]);
    const stamp = `${new Date(this.#clock.nowMs()).toISOString().slice(0, -1)}${this.#nanos()}Z ${stream} `;
    for (;;) {
      const nl = rest.indexOf(10);
      if (nl < 0 || nl > MAX_LINE_BYTES) {
        if (rest.length <= MAX_LINE_BYTES) break;
        this.#waiting.push(Buffer.from(`${stamp}P `), rest.subarray(0, MAX_LINE_BYTES), NEWLINE);
        rest = rest.subarray(MAX_LINE_BYTES);
        continue;
      }
      this.#waiting.push(Buffer.from(`${stamp}F `), rest.subarray(0, nl + 1));
      rest = rest.subarray(nl + 1);
    }
    this.#partial[stream] = rest.length === 0 ? EMPTY : Buffer.from(rest);
    if (!this.#scheduled && this.#waiting.length > 0) {
      this.#scheduled = true;
      this.#clock.soon(() => this.flush());
    }
  }

  #last = 0;
  /** Six more digits, so that lines of one millisecond keep their order. */
  #nanos(): string {
    this.#last = (this.#last + 1) % 1_000_000;
    return String(this.#last).padStart(6, "0");
  }

  flush(): void {
    this.#scheduled = false;
    if (this.#waiting.length === 0) return;
    const all = Buffer.concat(this.#waiting);
    this.#waiting = [];
    if (this.#fd === undefined) {
      this.#fd = this.#create();
      this.#size = fs.fstatSync(this.#fd).size;
    }
    if (this.#size > this.#limits.maxBytes) this.#rotate();
    fs.writeSync(this.#fd, all);
    this.#size += all.length;
    for (const f of this.#followers) f();
  }

  /** The file and its folder come with the first line, or with the end. */
  #create(): number {
    fs.mkdirSync(path.dirname(this.file), { recursive: true });
    return fs.openSync(this.file, "a");
  }

  #rotate(): void {
    fs.closeSync(this.#fd as number);
    fs.rmSync(`${this.file}.${this.#limits.maxFiles - 1}`, { force: true });
    for (let n = this.#limits.maxFiles - 2; n >= 1; n--)
      if (fs.existsSync(`${this.file}.${n}`)) fs.renameSync(`${this.file}.${n}`, `${this.file}.${n + 1}`);
    fs.renameSync(this.file, `${this.file}.1`);
    this.#fd = fs.openSync(this.file, "a");
    this.#size = 0;
  }

  /** Ends lines that have no newline yet and closes the file. */
  close(): void {
    if (this.closed) return;
    const stamp = new Date(this.#clock.nowMs()).toISOString().slice(0, -1);
    for (const stream of ["stdout", "stderr"] as const) {
      const rest = this.#partial[stream];
      if (rest.length > 0) this.#waiting.push(Buffer.from(`${stamp}${this.#nanos()}Z ${stream} P `), rest, NEWLINE);
      this.#partial[stream] = EMPTY;
    }
    this.flush();
    this.closed = true;
    if (this.#fd === undefined) fs.closeSync(this.#create());
    else fs.closeSync(this.#fd);
    this.#fd = undefined;
    for (const f of this.#followers) f();
  }

  /** Wakes the followers: one of them has lost its reader. */
  poke(): void {
    for (const f of this.#followers) f();
  }

  /** Called after every write and at the close. */
  onWrite(cb: () => void): () => void {
    this.#followers.add(cb);
    return () => void this.#followers.delete(cb);
  }
}

const EMPTY: Buffer = Buffer.alloc(0);
const NEWLINE = Buffer.from("\n");

/** One line of the CRI format; undefined when it is malformed. */
export function parseCriLine(line: Buffer): { timeText: string; stream: LogStream; partial: boolean; content: Buffer } | undefined {
  const a = line.indexOf(32);
  const b = line.indexOf(32, a + 1);
  const c = line.indexOf(32, b + 1);
  if (a < 0 || b < 0 || c < 0) return undefined;
  const stream = line.toString("latin1", a + 1, b);
  if (stream !== "stdout" && stream !== "stderr") return undefined;
  return { timeText: line.toString("latin1", 0, a), stream, partial: line[b + 1] === 80, content: line.subarray(c + 1) };
}
