// A file system whose content outlives the process: its journal (runtime/vfs/journal.ts) in one file of the node's folder.
// Invariants: what was written in one turn of the event loop is in the file after that turn, so a killed process loses nothing that
// it could have told anyone; a torn end is cut off; an untouched file system has no file; the file stays within a few times the
// size of what it holds.
import fs from "node:fs";
import path from "node:path";
import type { Clock } from "@podwire/base";
import { type FileSystem, Replica, recordChanges, snapshotOf } from "@podwire/runtime";

/** Smaller journals are never written anew. */
const COMPACT_FROM_BYTES = 1024 * 1024;
/** A journal past so many times its live content is written anew. */
const COMPACT_RATIO = 4;
/** What an inode takes in a snapshot, about. */
const INODE_BYTES = 64;

export class JournalFile {
  readonly fs: FileSystem;
  readonly #path: string;
  readonly #clock: Clock;
  #fd: number | undefined;
  #bytes = 0;
  #waiting: Buffer[] = [];
  #scheduled = false;
  #closed = false;

  /** Fills `fs`, which is empty, with what the file holds. `fresh` is called for a file system that never was on the disk. */
  constructor(o: { path: string; fs: FileSystem; clock: Clock; fresh?: (fs: FileSystem) => void }) {
    this.fs = o.fs;
    this.#path = o.path;
    this.#clock = o.clock;
    const found = this.#load();
    recordChanges(this.fs, (records) => this.#write(records));
    if (!found) o.fresh?.(this.fs);
  }

  #load(): boolean {
    let bytes: Buffer;
    try {
      bytes = fs.readFileSync(this.#path);
    } catch (e) {
      if ((e as { code?: string }).code === "ENOENT") return false;
      throw e;
    }
    const replica = new Replica(this.fs);
    this.#bytes = replica.apply(bytes);
    replica.sweep();
    if (this.#bytes < bytes.length) fs.truncateSync(this.#path, this.#bytes);
    return this.#bytes > 0;
  }

  #write(records: Buffer[]): void {
    if (this.#closed) return;
    this.#waiting.push(...records);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.soon(() => this.flush());
  }

  flush(): void {
    this.#scheduled = false;
    if (this.#waiting.length === 0 || this.#closed) return;
    const waiting = this.#waiting;
    this.#waiting = [];
    if (this.#fd === undefined) {
      fs.mkdirSync(path.dirname(this.#path), { recursive: true });
      this.#fd = fs.openSync(this.#path, "a");
    }
    for (const chunk of waiting.length === 1 ? waiting : [Buffer.concat(waiting)]) {
      fs.writeSync(this.#fd, chunk);
      this.#bytes += chunk.length;
    }
    if (this.#bytes > COMPACT_FROM_BYTES && this.#bytes > COMPACT_RATIO * (this.fs.usedBytes + this.fs.inodes * INODE_BYTES))
      this.#compact();
  }

  /** The present state replaces the history, at once. */
  #compact(): void {
    const beside = `${this.#path}.new`;
    const fd = fs.openSync(beside, "w");
    this.#bytes = 0;
    for (const record of snapshotOf(this.fs)) this.#bytes += fs.writeSync(fd, record);
    fs.renameSync(beside, this.#path);
    if (this.#fd !== undefined) fs.closeSync(this.#fd);
    this.#fd = fd;
  }

  /** The node goes down: what is written from now on is lost. */
  close(): void {
    this.flush();
    this.#closed = true;
    if (this.#fd !== undefined) fs.closeSync(this.#fd);
    this.#fd = undefined;
  }

  /** The content is not wanted any more. */
  remove(): void {
    this.#waiting = [];
    this.close();
    this.fs.recorder = undefined;
    this.fs.release();
    fs.rmSync(this.#path, { force: true });
  }
}
