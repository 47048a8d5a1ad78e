// The audit log: a JSON event a line, to a file that is rotated by size and age (as --audit-log-maxsize, -maxbackup and -maxage say) or to
// standard output. Invariant: events of one turn of the event loop are written together, in order, before anything after them.
import { appendFileSync, existsSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import type { Clock, Logger } from "@podwire/base";
import type { AuditSink } from "./audit.ts";

export interface LogFileOptions {
  /** "-": standard output. */
  path: string;
  /** Rotate before a file grows past this. */
  maxSizeBytes: number;
  /** Rotated files to keep; 0: all. */
  maxBackups: number;
  /** Rotated files older than this are removed; 0: never. */
  maxAgeMs: number;
  clock: Clock;
  log: Logger;
}

/** Lines waiting for the end of the turn; past it they are written at once. */
const MAX_PENDING_BYTES = 4 * 1024 * 1024;

export class AuditLogFile implements AuditSink {
  readonly #o: LogFileOptions;
  #pending: string[] = [];
  #pendingBytes = 0;
  #scheduled = false;
  #size: number;

  constructor(o: LogFileOptions) {
    this.#o = o;
    this.#size = o.path !== "-" && existsSync(o.path) ? statSync(o.path).size : 0;
  }

  write(event: Record<string, unknown>): void {
    const line = `${JSON.stringify(event)}\n`;
    this.#pending.push(line);
    this.#pendingBytes += line.length;
    if (this.#pendingBytes >= MAX_PENDING_BYTES) this.#flush();
    if (this.#scheduled || this.#pending.length === 0) return;
    this.#scheduled = true;
    this.#o.clock.soon(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    if (this.#pending.length === 0) return;
    const text = this.#pending.join("");
    this.#pending = [];
    this.#pendingBytes = 0;
    try {
      if (this.#o.path === "-") {
        process.stdout.write(text);
        return;
      }
      const bytes = Buffer.byteLength(text);
      if (this.#size > 0 && this.#size + bytes > this.#o.maxSizeBytes) this.#rotate();
      appendFileSync(this.#o.path, text, { mode: 0o600 });
      this.#size += bytes;
    } catch (err) {
      this.#o.log.error({ err, path: this.#o.path }, "audit events could not be written");
    }
  }

  /** "audit.log" becomes "audit-2025-01-02T03-04-05.678.log". */
  #rotate(): void {
    const { path, maxBackups, maxAgeMs, clock } = this.#o;
    const extension = extname(path);
    const stem = basename(path, extension);
    const stamp = new Date(clock.nowMs()).toISOString().slice(0, 23).replaceAll(":", "-");
    renameSync(path, join(dirname(path), `${stem}-${stamp}${extension}`));
    this.#size = 0;
    const backups = readdirSync(dirname(path))
      .filter((f) => f.startsWith(`${stem}-`) && f.endsWith(extension))
      .sort()
      .reverse();
    for (const [i, f] of backups.entries()) {
      const full = join(dirname(path), f);
      const tooOld = maxAgeMs > 0 && clock.nowMs() - statSync(full).mtimeMs > maxAgeMs;
      if (tooOld || (maxBackups > 0 && i >= maxBackups)) rmSync(full, { force: true });
    }
  }

  async close(): Promise<void> {
    this.#flush();
  }
}
