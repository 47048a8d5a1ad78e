// A component's log: one JSON object a line in <component>.log, turned over to <component>.log.1 at a size limit. Invariant: every
// line in the file is a JSON object with `time` (ms) and `component`; what a process wrote otherwise is wrapped as its `msg`.
import { closeSync, existsSync, fstatSync, openSync, readdirSync, readFileSync, renameSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "@podwire/base";

/** A log file is turned over at this size; one older file is kept, so a component has at most twice this on disk. */
export const MAX_LOG_BYTES = 8 * 1024 * 1024;
/** A line longer than this is cut. */
const MAX_LINE_CHARS = 64 * 1024;

export interface LogLine {
  time: number;
  component: string;
  level?: number;
  msg?: string;
  [field: string]: unknown;
}

export class LogFile {
  readonly component: string;
  private readonly path: string;
  private readonly clock: Clock;
  private fd: number;
  private sizeBytes: number;
  private partial = "";

  constructor(dir: string, component: string, clock: Clock) {
    this.component = component;
    this.path = join(dir, `${component}.log`);
    this.clock = clock;
    this.fd = openSync(this.path, "a", 0o600);
    this.sizeBytes = fstatSync(this.fd).size;
  }

  /** Takes output as it comes from a pipe, and returns the complete lines in it as they were filed. */
  write(chunk: string): LogLine[] {
    const lines = (this.partial + chunk).split("\n");
    this.partial = (lines.pop() as string).slice(0, MAX_LINE_CHARS);
    return lines.filter((l) => l.trim() !== "").map((l) => this.line(l));
  }

  /** Files one line; returns what was filed. */
  line(text: string): LogLine {
    const parsed = parseLogLine(text.slice(0, MAX_LINE_CHARS), this.component, this.clock.nowMs());
    this.append(`${JSON.stringify(parsed)}\n`);
    return parsed;
  }

  close(): void {
    if (this.partial.trim() !== "") this.line(this.partial);
    this.partial = "";
    closeSync(this.fd);
  }

  private append(text: string): void {
    if (this.sizeBytes > MAX_LOG_BYTES) {
      closeSync(this.fd);
      renameSync(this.path, `${this.path}.1`);
      this.fd = openSync(this.path, "a", 0o600);
      this.sizeBytes = 0;
    }
    this.sizeBytes += writeSync(this.fd, text);
  }
}

const NATS_LINE = /^\[\d+\] \S+ \S+ \[(INF|WRN|ERR|FTL|DBG|TRC)\] (.*)$/;
const NATS_LEVEL: Record<string, number> = { TRC: 10, DBG: 20, INF: 30, WRN: 40, ERR: 50, FTL: 60 };

/** JSON stays what it is; nats-server's lines and any other text are wrapped. */
export function parseLogLine(text: string, component: string, nowMs: number): LogLine {
  if (text.startsWith("{")) {
    try {
      const o = JSON.parse(text) as Record<string, unknown>;
      return { ...o, time: typeof o["time"] === "number" ? o["time"] : nowMs, component };
    } catch {
      // Not JSON after all: wrapped below.
    }
  }
  const nats = NATS_LINE.exec(text);
  if (nats) return { level: NATS_LEVEL[nats[1] as string] as number, time: nowMs, component, msg: nats[2] as string };
  return { level: 30, time: nowMs, component, msg: text };
}

/** Names of the components that have a log in `dir`. */
export function componentsWithLogs(dir: string): string[] {
  if (!existsSync(dir)) return [];
  return readdirSync(dir)
    .filter((n) => n.endsWith(".log"))
    .map((n) => n.slice(0, -4))
    .sort();
}

/** All kept lines of a component, oldest first. */
export function readLog(dir: string, component: string): LogLine[] {
  return [`${component}.log.1`, `${component}.log`]
    .map((n) => join(dir, n))
    .filter(existsSync)
    .flatMap((path) => parseLines(readFileSync(path, "utf8")));
}

export function parseLines(text: string): LogLine[] {
  const out: LogLine[] = [];
  for (const line of text.split("\n")) {
    if (line === "") continue;
    try {
      out.push(JSON.parse(line) as LogLine);
    } catch {
      // A line that is being written, or was cut by a full disk.
    }
  }
  return out;
}
