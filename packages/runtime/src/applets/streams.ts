// Reading and writing files as streams: whole lines of bytes, chunks, standard input for "-".
import type { Process } from "../kernel/process.ts";

const CHUNK = 65_536;

/** Opens a file for reading ("-" is standard input); answers the descriptor. Throws SysError. */
export async function openInput(p: Process, path: string): Promise<number> {
  return path === "-" ? 0 : p.open(path, { read: true });
}

export function closeInput(p: Process, fd: number): void {
  if (fd !== 0) p.fds.close(fd);
}

export async function* chunks(p: Process, fd: number): AsyncGenerator<Uint8Array> {
  for (;;) {
    const bytes = await p.read(fd, CHUNK);
    if (bytes.length === 0) return;
    yield bytes;
    const pause = p.checkpoint();
    if (pause) await pause;
  }
}

/** Lines as byte strings (latin1) without the newline; `ended` false for a last line that has none. */
export async function* lines(p: Process, fd: number, delimiter = 10): AsyncGenerator<{ text: string; ended: boolean }> {
  let rest = "";
  const d = String.fromCharCode(delimiter);
  for await (const bytes of chunks(p, fd)) {
    const text = rest + Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
    let from = 0;
    for (let at = text.indexOf(d); at >= 0; at = text.indexOf(d, from)) {
      yield { text: text.slice(from, at), ended: true };
      from = at + 1;
    }
    rest = text.slice(from);
  }
  if (rest !== "") yield { text: rest, ended: false };
}

/** Everything of a descriptor. */
export async function readAll(p: Process, fd: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const c of chunks(p, fd)) parts.push(Buffer.from(c));
  return Buffer.concat(parts);
}

/** Byte string to bytes. */
export function raw(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}
/** Byte string to text. */
export function decode(text: string): string {
  return Buffer.from(text, "latin1").toString("utf8");
}
/** Text to byte string. */
export function encode(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

/** Output that is collected and written in larger pieces; `flush` before anything else is written or the program ends. */
export class Output {
  readonly #p: Process;
  readonly #fd: number;
  #text = "";
  constructor(p: Process, fd = 1) {
    this.#p = p;
    this.#fd = fd;
  }
  /** Byte string. */
  write(text: string): Promise<void> | undefined {
    this.#text += text;
    return this.#text.length >= CHUNK ? this.flush() : undefined;
  }
  async flush(): Promise<void> {
    const t = this.#text;
    this.#text = "";
    if (t !== "") await this.#p.write(this.#fd, raw(t));
  }
}
