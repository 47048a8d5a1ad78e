// One volume on the cloud's disks: a folder with `volume.json` (what it is) and `<generation>.log` (the changes of its file system,
// runtime/vfs/journal.ts, each batch after its mark). The content is not looked at here, but to write a log anew that has grown far
// past what it holds.
// Invariants: an append is in the file before it is answered; volume.json is replaced whole; of two logs the one it names counts.
import fs from "node:fs";
import path from "node:path";
import type { Clock } from "@podwire/base";
import { batchMark, FileSystem, Replica, snapshotOf } from "@podwire/runtime";

export interface VolumeFacts {
  id: string;
  kind: "csi" | "nfs";
  /** 0: without a limit. */
  sizeBytes: number;
  generation: number;
  /** The next session's number. */
  session: number;
  /** Nodes that it is attached to, and how. */
  attached: Record<string, { readOnly: boolean }>;
}

const COMPACT_FROM_BYTES = 4 * 1024 * 1024;
const COMPACT_RATIO = 4;
const INODE_BYTES = 64;

export class VolumeLog {
  readonly facts: VolumeFacts;
  readonly #folder: string;
  readonly #clock: Clock;
  #fd: number | undefined;
  #end = 0;
  /** Length of the log when it was last written anew. */
  #fresh = 0;

  constructor(folder: string, facts: VolumeFacts, clock: Clock) {
    this.#folder = folder;
    this.facts = facts;
    this.#clock = clock;
  }

  static read(folder: string, clock: Clock): VolumeLog {
    return new VolumeLog(folder, JSON.parse(fs.readFileSync(path.join(folder, "volume.json"), "utf8")) as VolumeFacts, clock);
  }

  save(): void {
    fs.mkdirSync(this.#folder, { recursive: true });
    const file = path.join(this.#folder, "volume.json");
    fs.writeFileSync(`${file}.new`, JSON.stringify(this.facts));
    fs.renameSync(`${file}.new`, file);
  }

  #file(generation: number): string {
    return path.join(this.#folder, `${generation}.log`);
  }

  get end(): number {
    this.#open();
    return this.#end;
  }

  #open(): number {
    if (this.#fd !== undefined) return this.#fd;
    fs.mkdirSync(this.#folder, { recursive: true });
    this.#fd = fs.openSync(this.#file(this.facts.generation), "a+");
    this.#end = fs.fstatSync(this.#fd).size;
    return this.#fd;
  }

  append(session: number, batch: number, bytes: Uint8Array): { from: number; end: number } {
    const fd = this.#open();
    const from = this.#end;
    const mark = batchMark(session, batch, bytes.length, this.#clock.nowMs());
    try {
      fs.writevSync(fd, [mark, bytes]);
    } catch (e) {
      // The disk is full: half a batch would swallow the next one.
      fs.ftruncateSync(fd, from);
      throw e;
    }
    this.#end += mark.length + bytes.length;
    return { from, end: this.#end };
  }

  read(offset: number, maxBytes: number): Uint8Array {
    const fd = this.#open();
    const length = Math.max(0, Math.min(maxBytes, this.#end - offset));
    const out = Buffer.allocUnsafe(length);
    const got = length === 0 ? 0 : fs.readSync(fd, out, 0, length, offset);
    return out.subarray(0, got);
  }

  /** The log has grown past what it can hold: worth writing anew, when nobody has it open. */
  get overgrown(): boolean {
    return this.end > COMPACT_FROM_BYTES && this.end > COMPACT_RATIO * this.#fresh;
  }

  /** Writes the present state as a new generation. */
  compact(): void {
    const state = new FileSystem({ type: "ext4", now: () => this.#clock.nowMs() });
    const replica = new Replica(state);
    replica.apply(this.read(0, this.end));
    replica.sweep();
    if (this.end < COMPACT_RATIO * (state.usedBytes + state.inodes * INODE_BYTES)) {
      this.#fresh = this.end;
      return;
    }
    const old = this.facts.generation;
    const fd = fs.openSync(this.#file(old + 1), "w");
    for (const record of snapshotOf(state)) fs.writeSync(fd, record);
    fs.closeSync(fd);
    this.close();
    this.facts.generation = old + 1;
    this.save();
    fs.rmSync(this.#file(old), { force: true });
    this.#fresh = this.end;
  }

  /** Another volume begins with the content of this one. */
  copyTo(other: VolumeLog): void {
    other.save();
    fs.copyFileSync(this.#pathOfLog(), other.#file(other.facts.generation));
    // Inode numbers of its own sessions must not meet those that the copy brings.
    other.facts.session = this.facts.session;
    other.save();
  }

  #pathOfLog(): string {
    this.#open();
    return this.#file(this.facts.generation);
  }

  close(): void {
    if (this.#fd !== undefined) fs.closeSync(this.#fd);
    this.#fd = undefined;
  }

  remove(): void {
    this.close();
    fs.rmSync(this.#folder, { recursive: true, force: true });
  }
}
