// The changes of a file system as bytes: what a volume's file on disk consists of, and what machines that share a volume send each other.
// A record is u32 length, u32 CRC-32 of what follows, u8 operation, f64 time (ms), then the operation's fields; integers big-endian.
// Invariants: replaying all records of a file system, in order, gives the same names, contents, owners and modes; replaying a record
// twice in a row does no harm; a record that is cut short or damaged ends the replay, as a torn write at a power cut must.
import { crc32 } from "node:zlib";
import { type ChangeRecorder, DirInode, FifoInode, FileInode, type FileSystem, type Inode, SocketInode, SymlinkInode } from "./inode.ts";

const INODE = 1;
const LINK = 2;
const UNLINK = 3;
const RENAME = 4;
const WRITE = 5;
const TRUNCATE = 6;
const ENTRIES = 7;
/** What follows was added by one session of one machine; for logs that several machines write. */
const MARK = 8;

const HEADER = 8;
const HEAD = 9;
export const ROOT_INO = 1;
/** A file's content goes into records of at most so many bytes. */
export const MAX_WRITE_BYTES = 256 * 1024;

const KINDS = ["file", "dir", "symlink", "fifo", "socket"] as const;

/** Fields of a record after operation and time. */
function record(op: number, timeMs: number, bodyLength: number, fill: (b: Buffer) => void): Buffer {
  const out = Buffer.allocUnsafe(HEADER + HEAD + bodyLength);
  out.writeUInt32BE(HEAD + bodyLength, 0);
  out.writeUInt8(op, HEADER);
  out.writeDoubleBE(timeMs, HEADER + 1);
  fill(out.subarray(HEADER + HEAD));
  out.writeUInt32BE(crc32(out.subarray(HEADER)), 4);
  return out;
}

function inodeRecord(i: Inode): Buffer {
  const target = i instanceof SymlinkInode ? Buffer.from(i.target) : Buffer.alloc(0);
  return record(INODE, i.mtimeMs, 19 + target.length, (b) => {
    b.writeDoubleBE(i.ino, 0);
    b.writeUInt8(Math.max(0, KINDS.indexOf(i.kind as never)), 8);
    b.writeUInt16BE(i.mode & 0o7777, 9);
    b.writeUInt32BE(i.uid >>> 0, 11);
    b.writeUInt32BE(i.gid >>> 0, 15);
    target.copy(b, 19);
  });
}

function nameRecord(op: number, timeMs: number, numbers: readonly number[], name: string): Buffer {
  const text = Buffer.from(name);
  return record(op, timeMs, numbers.length * 8 + text.length, (b) => {
    numbers.forEach((n, i) => {
      b.writeDoubleBE(n, i * 8);
    });
    text.copy(b, numbers.length * 8);
  });
}

function writeRecord(ino: number, timeMs: number, at: number, bytes: Uint8Array): Buffer {
  return record(WRITE, timeMs, 16 + bytes.length, (b) => {
    b.writeDoubleBE(ino, 0);
    b.writeDoubleBE(at, 8);
    b.set(bytes, 16);
  });
}

function renameRecord(timeMs: number, from: number, name: string, to: number, as: string, ino: number): Buffer {
  const before = Buffer.from(name);
  const after = Buffer.from(as);
  return record(RENAME, timeMs, 26 + before.length + after.length, (b) => {
    b.writeDoubleBE(from, 0);
    b.writeDoubleBE(to, 8);
    b.writeDoubleBE(ino, 16);
    b.writeUInt16BE(before.length, 24);
    before.copy(b, 26);
    after.copy(b, 26 + before.length);
  });
}

function entriesRecord(d: DirInode): Buffer {
  const parts = [...d.entries()].map(([name, inode]) => ({ name: Buffer.from(name), ino: inode.ino }));
  const length = parts.reduce((n, p) => n + 10 + p.name.length, 8);
  return record(ENTRIES, d.mtimeMs, length, (b) => {
    b.writeDoubleBE(d.ino, 0);
    let at = 8;
    for (const p of parts) {
      b.writeDoubleBE(p.ino, at);
      b.writeUInt16BE(p.name.length, at + 8);
      p.name.copy(b, at + 10);
      at += 10 + p.name.length;
    }
  });
}

/**
 * Records every change of `fs` from now on; the records of each change go to `emit`. What `fs` holds already is the caller's to have
 * recorded. `replica` goes on following the file system, where others change it too.
 */
export function recordChanges(fs: FileSystem, emit: (records: Buffer[]) => void, replica?: Replica): ChangeRecorder {
  const introduce = (inode: Inode, into: Buffer[]): void => {
    if (inode.recorded) return;
    inode.recorded = true;
    replica?.know(inode);
    into.push(inodeRecord(inode));
    if (inode instanceof FileInode && inode.size > 0) into.push(...contentOf(inode));
    if (inode instanceof DirInode) for (const [name, child] of inode.entries()) link(inode, name, child, into);
  };
  const link = (dir: DirInode, name: string, inode: Inode, into: Buffer[]): void => {
    introduce(inode, into);
    into.push(nameRecord(LINK, dir.mtimeMs, [numberOf(dir), numberOf(inode)], name));
  };
  const recorder: ChangeRecorder = {
    link(dir, name, inode) {
      const records: Buffer[] = [];
      link(dir, name, inode, records);
      emit(records);
    },
    unlink(dir, name, inode) {
      if (inode.nlink <= 0) replica?.forget(inode);
      emit([nameRecord(UNLINK, dir.mtimeMs, [numberOf(dir), numberOf(inode)], name)]);
    },
    rename: (from, name, to, as, inode) => emit([renameRecord(to.mtimeMs, numberOf(from), name, numberOf(to), as, numberOf(inode))]),
    write(file, at, bytes) {
      const records: Buffer[] = [];
      for (let i = 0; i < bytes.length; i += MAX_WRITE_BYTES)
        records.push(writeRecord(file.ino, fs.now(), at + i, bytes.subarray(i, i + MAX_WRITE_BYTES)));
      emit(records);
    },
    truncate: (file, size) => emit([nameRecord(TRUNCATE, fs.now(), [file.ino, size], "")]),
    attributes: (inode) => emit([inodeRecord(inode)]),
  };
  fs.recorder = recorder;
  fs.root.recorded = true;
  return recorder;
}

function* contentOf(file: FileInode): Generator<Buffer> {
  const bytes = file.view();
  for (let at = 0; at < bytes.length; at += MAX_WRITE_BYTES)
    yield writeRecord(file.ino, file.mtimeMs, at, bytes.subarray(at, at + MAX_WRITE_BYTES));
}

/** Goes before a batch of `length` bytes of records. */
export function batchMark(session: number, batch: number, length: number, nowMs: number): Buffer {
  return record(MARK, nowMs, 20, (b) => {
    b.writeDoubleBE(session, 0);
    b.writeDoubleBE(batch, 8);
    b.writeUInt32BE(length, 16);
  });
}

export interface LogPart {
  /** Undefined for records that stand in the log without a mark (a snapshot's). */
  mark: { session: number; batch: number } | undefined;
  records: Uint8Array;
}

/** Cuts a log into its batches; what is not whole yet stays in the rest. */
export function partsOf(log: Uint8Array): { parts: LogPart[]; rest: Uint8Array } {
  const b = Buffer.from(log.buffer, log.byteOffset, log.byteLength);
  const parts: LogPart[] = [];
  let at = 0;
  let plainFrom = 0;
  const plain = (end: number) => {
    if (end > plainFrom) parts.push({ mark: undefined, records: b.subarray(plainFrom, end) });
  };
  while (at + HEADER + HEAD <= b.length) {
    const end = at + HEADER + b.readUInt32BE(at);
    if (end > b.length) break;
    if (b.readUInt8(at + HEADER) !== MARK) {
      at = end;
      continue;
    }
    const f = at + HEADER + HEAD;
    const batchEnd = end + b.readUInt32BE(f + 16);
    if (batchEnd > b.length) break;
    plain(at);
    parts.push({ mark: { session: b.readDoubleBE(f), batch: b.readDoubleBE(f + 8) }, records: b.subarray(end, batchEnd) });
    at = plainFrom = batchEnd;
  }
  plain(at);
  return { parts, rest: b.subarray(at) };
}

/** The whole file system as records; replayed over any older state of itself, and swept, they give the present one. */
export function* snapshotOf(fs: FileSystem): Generator<Buffer> {
  const seen = new Set<Inode>();
  const dirs: DirInode[] = [];
  const visit = function* (inode: Inode): Generator<Buffer> {
    if (seen.has(inode)) return;
    seen.add(inode);
    yield inodeRecord(inode);
    if (inode instanceof FileInode) {
      yield nameRecord(TRUNCATE, inode.mtimeMs, [inode.ino, 0], "");
      yield* contentOf(inode);
    } else if (inode instanceof DirInode) {
      dirs.push(inode);
      for (const child of inode.entries().values()) yield* visit(child);
    }
  };
  yield* visit(fs.root);
  for (const d of dirs) yield entriesRecord(d);
}

/** With so many files that are open without a name, those that were closed are looked for. */
const MANY_ORPHANS = 64;

/** Follows a file system's records. */
export class Replica {
  readonly fs: FileSystem;
  /** New inodes made here get numbers after those that were read; not so where several machines write. */
  readonly #continueNumbers: boolean;
  /** A directory's number may lead to another one of the same name that was made before it. */
  readonly #inodes = new Map<number, Inode>();
  /** Made by a record, not named yet. */
  readonly #unnamed = new Set<Inode>();
  /** Open here, and without a name: no name will be given to them, but who has them open writes on. */
  readonly #orphans = new Map<number, FileInode>();
  /** Made here by a change that was undone, to be made again as the same objects. */
  readonly #unmade = new Map<number, Inode>();

  constructor(fs: FileSystem, o: { continueNumbers?: boolean } = {}) {
    this.fs = fs;
    this.#continueNumbers = o.continueNumbers ?? true;
    this.#inodes.set(fs.root.ino, fs.root);
  }

  /** Learns of an inode that was made here. */
  know(inode: Inode): void {
    this.#inodes.set(inode.ino, inode);
    this.fs.undo?.push(() => this.#unmake(inode));
  }

  /** Its last name is gone. */
  forget(inode: Inode): void {
    const { ino } = inode;
    const known = this.#inodes.get(ino);
    if (known) this.fs.undo?.push(() => void this.#inodes.set(ino, known));
    this.#inodes.delete(ino);
    if (!(inode instanceof FileInode) || inode.opens === 0) return;
    if (this.#orphans.size >= MANY_ORPHANS) for (const [n, i] of this.#orphans) if (i.opens === 0) this.#orphans.delete(n);
    this.#orphans.set(ino, inode);
    this.fs.undo?.push(() => void this.#orphans.delete(ino));
  }

  #unmake(inode: Inode): void {
    this.#inodes.delete(inode.ino);
    this.#unnamed.delete(inode);
    this.#unmade.set(inode.ino, inode);
    inode.recorded = false;
    if (inode instanceof FileInode) inode.truncate(0);
    if (inode instanceof DirInode) inode.entries().clear();
    inode.nlink = inode instanceof DirInode ? 2 : 1;
    this.fs.inodes--;
  }

  /** The log is read from its start, where no two directories are one. */
  beginAgain(): void {
    for (const [ino, i] of this.#inodes) if (ino !== i.ino) this.#inodes.delete(ino);
  }

  /** What was undone has been made again. */
  settled(): void {
    this.#unmade.clear();
  }

  /** Applies the whole records in `bytes`; returns how many bytes they were. Changes made here are not recorded again. */
  apply(bytes: Uint8Array): number {
    const { fs } = this;
    const { recorder } = fs;
    // What comes from the log has been accepted there.
    fs.recorder = undefined;
    fs.unlimited = true;
    const b = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 0;
    try {
      for (;;) {
        if (at + HEADER + HEAD > b.length) return at;
        const length = b.readUInt32BE(at);
        const end = at + HEADER + length;
        if (length < HEAD || end > b.length) return at;
        if (crc32(b.subarray(at + HEADER, end)) !== b.readUInt32BE(at + 4)) return at;
        this.#one(b.readUInt8(at + HEADER), b.readDoubleBE(at + HEADER + 1), b.subarray(at + HEADER + HEAD, end));
        at = end;
      }
    } finally {
      fs.recorder = recorder;
      fs.unlimited = false;
    }
  }

  /** After a snapshot, and after records that were cut: counts names anew and forgets what no name leads to. */
  sweep(): void {
    const names = new Map<Inode, number>();
    const visit = (d: DirInode): void => {
      let subdirs = 0;
      for (const i of d.entries().values()) {
        const seen = names.get(i) ?? 0;
        names.set(i, seen + 1);
        if (!(i instanceof DirInode)) continue;
        subdirs++;
        if (seen === 0) visit(i);
      }
      d.nlink = 2 + subdirs;
    };
    visit(this.fs.root);
    this.#unnamed.clear();
    for (const [ino, i] of this.#inodes) {
      if (ino !== i.ino) continue;
      const count = names.get(i) ?? 0;
      if (i === this.fs.root || (i instanceof DirInode && count > 0)) continue;
      i.nlink = count;
      if (count > 0) continue;
      this.forget(i);
      if (!(i instanceof FileInode && i.opens > 0)) i.free();
    }
  }

  #one(op: number, timeMs: number, b: Buffer): void {
    switch (op) {
      case INODE:
        this.#inode(timeMs, b);
        return;
      case LINK: {
        const dir = this.#dir(b.readDoubleBE(0));
        const inode = this.#inodes.get(b.readDoubleBE(8));
        if (dir && inode) this.#link(dir, b.toString("utf8", 16), inode, timeMs);
        return;
      }
      case UNLINK: {
        const dir = this.#dir(b.readDoubleBE(0));
        const name = b.toString("utf8", 16);
        // Another may have the name by now: who removed this one did not mean that. And a directory was empty for who removed it.
        const inode = dir?.get(name);
        if (dir && inode && inode === this.#inodes.get(b.readDoubleBE(8)) && !isFull(inode)) this.#unlink(dir, name, timeMs);
        return;
      }
      case RENAME:
        this.#rename(timeMs, b);
        return;
      case WRITE: {
        const file = this.#file(b.readDoubleBE(0));
        if (!file) return;
        file.writeAt(b.readDoubleBE(8), b.subarray(16));
        file.mtimeMs = timeMs;
        return;
      }
      case TRUNCATE: {
        const file = this.#file(b.readDoubleBE(0));
        if (!file) return;
        file.truncate(b.readDoubleBE(8));
        file.mtimeMs = timeMs;
        return;
      }
      case ENTRIES:
        this.#entries(timeMs, b);
        return;
    }
  }

  #dir(ino: number): DirInode | undefined {
    const i = this.#inodes.get(ino);
    return i instanceof DirInode ? i : undefined;
  }

  #file(ino: number): FileInode | undefined {
    const i = this.#inodes.get(ino) ?? this.#orphans.get(ino);
    return i instanceof FileInode && !i.freed ? i : undefined;
  }

  #inode(timeMs: number, b: Buffer): void {
    const ino = b.readDoubleBE(0);
    let i = this.#inodes.get(ino);
    const mode = b.readUInt16BE(9);
    const uid = b.readUInt32BE(11);
    const gid = b.readUInt32BE(15);
    if (i) this.#keepAttributes(i);
    else {
      const made = this.#unmade.get(ino) ?? this.#make(KINDS[b.readUInt8(8)] ?? "file", ino, mode, uid, gid, b.toString("utf8", 19));
      i = made;
      i.recorded = true;
      this.fs.inodes++;
      if (this.#continueNumbers) this.fs.nextIno = Math.max(this.fs.nextIno, ino + 1);
      this.#inodes.set(ino, i);
      this.#unnamed.add(i);
      this.fs.undo?.push(() => this.#unmake(made));
    }
    i.mode = mode;
    i.uid = uid;
    i.gid = gid;
    i.mtimeMs = i.ctimeMs = timeMs;
  }

  #keepAttributes(i: Inode): void {
    const { mode, uid, gid, mtimeMs, ctimeMs } = i;
    this.fs.undo?.push(() => void Object.assign(i, { mode, uid, gid, mtimeMs, ctimeMs }));
  }

  #make(kind: (typeof KINDS)[number], ino: number, mode: number, uid: number, gid: number, target: string): Inode {
    switch (kind) {
      case "dir":
        return new DirInode(this.fs, mode, uid, gid, undefined, ino);
      case "symlink":
        return new SymlinkInode(this.fs, target, uid, gid, ino);
      case "fifo":
        return new FifoInode(this.fs, mode, uid, gid, ino);
      case "socket":
        return new SocketInode(this.fs, mode, uid, gid, ino);
      case "file":
        return new FileInode(this.fs, mode, uid, gid, ino);
    }
  }

  #link(dir: DirInode, name: string, inode: Inode, timeMs: number): void {
    const old = dir.get(name);
    if (old === inode) return;
    if (old instanceof DirInode && inode instanceof DirInode && this.#unnamed.has(inode)) {
      this.#merge(inode, old);
      return;
    }
    if (old && isFull(old)) return;
    if (old) this.#unlink(dir, name, timeMs);
    if (this.#unnamed.delete(inode)) this.fs.undo?.push(() => void this.#unnamed.add(inode));
    else if (inode.kind !== "dir") inode.countName();
    dir.link(name, inode);
    dir.mtimeMs = timeMs;
  }

  /** Two machines made a directory of this name: what is put into the later one goes into the first. */
  #merge(later: DirInode, first: DirInode): void {
    this.#unnamed.delete(later);
    this.#inodes.set(later.ino, first);
    this.fs.undo?.push(() => {
      this.#inodes.set(later.ino, later);
      this.#unnamed.add(later);
    });
    for (const [name, child] of later.entries()) if (!first.get(name)) first.link(name, child);
    later.mergeInto(first);
  }

  #unlink(dir: DirInode, name: string, timeMs: number): void {
    const inode = dir.get(name);
    if (!inode) return;
    dir.unlink(name);
    dir.mtimeMs = timeMs;
    if (inode.nlink <= 0) this.forget(inode);
  }

  #rename(timeMs: number, b: Buffer): void {
    const from = this.#dir(b.readDoubleBE(0));
    const to = this.#dir(b.readDoubleBE(8));
    const split = 26 + b.readUInt16BE(24);
    const name = b.toString("utf8", 26, split);
    const as = b.toString("utf8", split);
    const inode = from?.get(name);
    if (!from || !to || !inode || inode !== this.#inodes.get(b.readDoubleBE(16)) || (from === to && name === as)) return;
    if (inode instanceof DirInode && holds(inode, to)) return;
    const old = to.get(as);
    if (old && old !== inode && isFull(old)) return;
    if (old === inode) {
      this.#unlink(from, name, timeMs);
      return;
    }
    if (old) this.#unlink(to, as, timeMs);
    to.moveIn(from, name, as);
    from.mtimeMs = to.mtimeMs = timeMs;
  }

  #entries(timeMs: number, b: Buffer): void {
    const dir = this.#dir(b.readDoubleBE(0));
    if (!dir) return;
    // What loses its name here may get another in the next record: freeing is left to `sweep`.
    const entries = dir.entries();
    entries.clear();
    for (let at = 8; at + 10 <= b.length; ) {
      const length = b.readUInt16BE(at + 8);
      const inode = this.#inodes.get(b.readDoubleBE(at));
      if (inode) entries.set(b.toString("utf8", at + 10, at + 10 + length), inode);
      at += 10 + length;
    }
    dir.mtimeMs = timeMs;
  }
}

/** The number by which every machine knows it. */
function numberOf(i: Inode): number {
  return i instanceof DirInode && i.sameAs ? numberOf(i.sameAs) : i.ino;
}

function isFull(i: Inode): boolean {
  return i instanceof DirInode && i.entries().size > 0;
}

/** `dir` is `outer`, or lies in it. */
function holds(outer: DirInode, dir: DirInode): boolean {
  if (outer === dir) return true;
  for (const i of outer.entries().values()) if (i instanceof DirInode && holds(i, dir)) return true;
  return false;
}
