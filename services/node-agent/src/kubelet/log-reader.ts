// Reading container logs back: tail, since, limitBytes, timestamps, previous, follow (kuberuntime/logs). Files are in the CRI format.
// Invariant: lines come in the order they were written; a reader that follows ends when the container has ended and all is read.
import fs from "node:fs";
import type { LogFile } from "./log-file.ts";
import { type LogStream, parseCriLine } from "./log-file.ts";

export interface LogOptions {
  follow: boolean;
  timestamps: boolean;
  tailLines?: number;
  limitBytes?: number;
  /** Wall time, milliseconds. */
  sinceMs?: number;
  stream?: LogStream;
}

export interface LogSink {
  /** Resolves when there is room for more. */
  send(bytes: Uint8Array): Promise<void>;
  readonly closed: boolean;
}

const CHUNK_BYTES = 64 * 1024;

/** Files of one log, oldest first. */
export function logFiles(file: string): string[] {
  const out: string[] = [];
  // Rotated ones count up from the newest.
  for (let n = 1; fs.existsSync(`${file}.${n}`); n++) out.unshift(`${file}.${n}`);
  if (fs.existsSync(file)) out.push(file);
  return out;
}

export async function readLog(file: string, live: LogFile | undefined, o: LogOptions, sink: LogSink): Promise<void> {
  live?.flush();
  const filter = lineFilter(o);
  let lines: Buffer[] = [];
  for (const f of logFiles(file)) lines.push(...splitLines(fs.readFileSync(f)));
  let position = fs.existsSync(file) ? fs.statSync(file).size : 0;
  let inode = fs.existsSync(file) ? fs.statSync(file).ino : 0;
  if (o.tailLines !== undefined) lines = tail(lines, o.tailLines);
  let left = o.limitBytes ?? Number.POSITIVE_INFINITY;
  const send = async (list: Buffer[]): Promise<boolean> => {
    let batch: Buffer[] = [];
    let size = 0;
    const flush = async () => {
      if (size > 0) await sink.send(Buffer.concat(batch));
      batch = [];
      size = 0;
    };
    for (const line of list) {
      let out = filter(line);
      if (out === undefined) continue;
      if (out.length > left) out = out.subarray(0, left);
      left -= out.length;
      batch.push(out);
      size += out.length;
      if (size >= CHUNK_BYTES) await flush();
      if (left <= 0) break;
    }
    await flush();
    return left > 0 && !sink.closed;
  };
  if (!(await send(lines)) || !o.follow || !live) return;
  let rest: Buffer = Buffer.alloc(0);
  for (;;) {
    const ended = live.closed;
    const stat = fs.existsSync(file) ? fs.statSync(file) : undefined;
    if (stat && stat.ino !== inode) {
      inode = stat.ino;
      position = 0;
    }
    if (stat && stat.size > position) {
      const bytes = readFrom(file, position, stat.size);
      position = stat.size;
      const all = rest.length > 0 ? Buffer.concat([rest, bytes]) : bytes;
      const last = all.lastIndexOf(10);
      rest = all.subarray(last + 1);
      if (!(await send(splitLines(all.subarray(0, last + 1))))) return;
      continue;
    }
    if (ended || sink.closed) return;
    await new Promise<void>((resolve) => {
      const off = live.onWrite(() => {
        off();
        resolve();
      });
      if (live.closed) {
        off();
        resolve();
      }
    });
  }
}

function readFrom(file: string, from: number, to: number): Buffer {
  const fd = fs.openSync(file, "r");
  try {
    const b = Buffer.alloc(to - from);
    const n = fs.readSync(fd, b, 0, b.length, from);
    return b.subarray(0, n);
  } finally {
    fs.closeSync(fd);
  }
}

function splitLines(b: Buffer): Buffer[] {
  const out: Buffer[] = [];
  let at = 0;
  while (at < b.length) {
    const nl = b.indexOf(10, at);
    const end = nl < 0 ? b.length : nl + 1;
    out.push(b.subarray(at, end));
    at = end;
  }
  return out;
}

/** The last `n` whole lines; parts of a long line count as one. */
function tail(lines: Buffer[], n: number): Buffer[] {
  let count = 0;
  let i = lines.length;
  while (i > 0) {
    const p = parseCriLine(lines[i - 1] as Buffer);
    if (p && !p.partial && count === n) break;
    if (p && !p.partial) count++;
    if (count > n) break;
    i--;
  }
  return n === 0 ? [] : lines.slice(i);
}

function lineFilter(o: LogOptions): (line: Buffer) => Buffer | undefined {
  let continued = false;
  return (line) => {
    const p = parseCriLine(line);
    if (!p) return undefined;
    const first = !continued;
    continued = p.partial;
    if (o.stream && p.stream !== o.stream) return undefined;
    if (o.sinceMs !== undefined && Date.parse(`${p.timeText.slice(0, 23)}Z`) < o.sinceMs) return undefined;
    const content = p.partial ? p.content.subarray(0, p.content.length - 1) : p.content;
    return o.timestamps && first ? Buffer.concat([Buffer.from(`${p.timeText} `), content]) : content;
  };
}
