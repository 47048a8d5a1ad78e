// Inodes of the in-memory file systems: files, directories, links, FIFOs, sockets and devices with Linux's metadata.
// Invariant: a directory's entries belong to the same FileSystem; `nlink` counts the names (plus "." and sub-".." for
// directories); `fs.usedBytes` is the sum of the sizes of its files.

import { SysError } from "../kernel/errno.ts";
import type { FileKind, OpenFile } from "../kernel/open-file.ts";
import type { Pipe } from "../kernel/pipe.ts";
import type { Program } from "../kernel/process.ts";

export interface FileSystemOptions {
  /** As `mount` and statfs(2) show it. */
  type: "overlay" | "tmpfs" | "ext4" | "proc" | "sysfs" | "devtmpfs" | "nfs4";
  /** Bytes; absent is without a limit. Past it writes fail with ENOSPC. */
  sizeLimitBytes?: number;
  /** Number of inodes; past it creating fails with ENOSPC. */
  inodeLimit?: number;
  now: () => number;
  /** Space that several file systems share; past its limit writes fail with ENOSPC. */
  pool?: SpacePool;
  /** Inode numbers begin here: two machines that write one file system never give the same number. */
  firstIno?: number;
}

export interface SpacePool {
  readonly limitBytes: number;
  usedBytes: number;
}

/** Told of every change, for file systems that live on a disk or on several machines at once. */
export interface ChangeRecorder {
  link(dir: DirInode, name: string, inode: Inode): void;
  unlink(dir: DirInode, name: string, inode: Inode): void;
  rename(from: DirInode, name: string, to: DirInode, as: string, inode: Inode): void;
  write(file: FileInode, at: number, bytes: Uint8Array): void;
  truncate(file: FileInode, size: number): void;
  /** Mode, owner or times. */
  attributes(inode: Inode): void;
}

/** Undoes one change; says which inodes that were freed are there again. */
export type UndoStep = (revived: Inode[]) => void;

/** How to undo changes, newest first; for copies of a file system whose changes may turn out to come after those of others. */
export class UndoLog {
  #steps: UndoStep[] = [];

  /** All of these, one after the other. */
  static of(logs: readonly UndoLog[]): UndoLog {
    const all = new UndoLog();
    all.#steps = logs.flatMap((l) => l.#steps);
    return all;
  }

  get length(): number {
    return this.#steps.length;
  }
  push(step: UndoStep): void {
    this.#steps.push(step);
  }
  run(revived: Inode[]): void {
    for (let i = this.#steps.length - 1; i >= 0; i--) (this.#steps[i] as UndoStep)(revived);
    this.#steps = [];
  }
}

/** statfs(2)'s f_type. */
export const FS_MAGIC: Record<FileSystemOptions["type"], number> = {
  overlay: 0x794c7630,
  tmpfs: 0x01021994,
  ext4: 0xef53,
  proc: 0x9fa0,
  sysfs: 0x62656572,
  devtmpfs: 0x01021994,
  nfs4: 0x6969,
};

export const DEFAULT_INODE_LIMIT = 1_000_000;

export class FileSystem {
  readonly type: FileSystemOptions["type"];
  sizeLimitBytes: number | undefined;
  readonly inodeLimit: number;
  readonly now: () => number;
  usedBytes = 0;
  /** Of these, an image's own files, which no limit counts. */
  lowerBytes = 0;
  inodes = 0;
  nextIno = 1;
  /** When it was made: the time of an image's files. */
  readonly madeMs: number;
  readonly pool: SpacePool | undefined;
  #root: DirInode | undefined;
  recorder: ChangeRecorder | undefined;
  /** Takes how each change of a recorded inode's names and content is undone. */
  undo: UndoLog | undefined;
  /** What writing answers while the disk behind the file system cannot be reached. */
  failing: "EIO" | undefined;
  /** What is written now was accepted elsewhere, or was there before: it counts and is never refused. */
  unlimited = false;

  constructor(o: FileSystemOptions) {
    this.type = o.type;
    this.sizeLimitBytes = o.sizeLimitBytes;
    this.inodeLimit = o.inodeLimit ?? DEFAULT_INODE_LIMIT;
    this.now = o.now;
    this.pool = o.pool;
    this.madeMs = o.now();
    if (o.firstIno !== undefined) {
      // The root is number 1 everywhere.
      this.#root = new DirInode(this, 0o755, 0, 0);
      this.nextIno = o.firstIno;
    }
  }
  /** Made when first looked at: /proc has one of its own kind. */
  get root(): DirInode {
    this.#root ??= new DirInode(this, 0o755, 0, 0);
    return this.#root;
  }
  newIno(): number {
    if (this.inodes >= this.inodeLimit) throw new SysError("ENOSPC");
    this.inodes++;
    return this.nextIno++;
  }
  /** Accounts `delta` bytes; throws ENOSPC when the limit would be passed. */
  charge(delta: number): void {
    if (delta > 0 && !this.unlimited) {
      if (this.failing !== undefined) throw new SysError(this.failing);
      if (this.sizeLimitBytes !== undefined && this.usedBytes - this.lowerBytes + delta > this.sizeLimitBytes) throw new SysError("ENOSPC");
      if (this.pool !== undefined && this.pool.usedBytes + delta > this.pool.limitBytes) throw new SysError("ENOSPC");
    }
    this.usedBytes += delta;
    if (this.pool !== undefined) this.pool.usedBytes += delta;
  }
  /** Nobody uses the file system any more: its space goes back to the pool. */
  release(): void {
    if (this.pool !== undefined) this.pool.usedBytes -= this.usedBytes;
    this.usedBytes = 0;
  }
}

export abstract class Inode {
  abstract readonly kind: FileKind;
  readonly fs: FileSystem;
  readonly ino: number;
  /** The file system's recorder knows it. */
  recorded = false;
  freed = false;
  /** Permission bits, 0o7777. */
  mode: number;
  uid: number;
  gid: number;
  nlink = 1;
  atimeMs: number;
  mtimeMs: number;
  ctimeMs: number;
  constructor(fs: FileSystem, mode: number, uid: number, gid: number, ino: number = fs.newIno()) {
    this.fs = fs;
    this.ino = ino;
    this.mode = mode;
    this.uid = uid;
    this.gid = gid;
    this.atimeMs = this.mtimeMs = this.ctimeMs = fs.now();
  }
  get size(): number {
    return 0;
  }
  touch(): void {
    this.mtimeMs = this.ctimeMs = this.fs.now();
  }
  /** Mode, owner or times were set. */
  attributesChanged(): void {
    this.ctimeMs = this.fs.now();
    if (this.recorded) this.fs.recorder?.attributes(this);
  }
  /** Another name is about to be given to it. */
  countName(): void {
    if (this.recorded) this.fs.undo?.push(() => void this.nlink--);
    this.nlink++;
  }
  /** The last name is gone and nobody has it open. */
  free(): void {
    if (this.freed) return;
    this.freed = true;
    if (this.recorded)
      this.fs.undo?.push((revived) => {
        this.freed = false;
        this.fs.inodes++;
        revived.push(this);
      });
    this.fs.inodes--;
  }
}

const EMPTY = new Uint8Array(0);

export class FileInode extends Inode {
  readonly kind = "file";
  /** Content is the first `#size` bytes; a shared buffer (from an image) is copied before the first write. */
  #data: Uint8Array = EMPTY;
  #size = 0;
  #shared = false;
  opens = 0;
  /** What runs when the file is executed; a file without one runs by its "#!" line. */
  program: Program | undefined;
  /** Content made at each open, as in /proc. */
  generate: (() => Uint8Array) | undefined;

  override get size(): number {
    return this.#size;
  }
  /** A view of the content: do not keep or change it. */
  view(): Uint8Array {
    return this.generate !== undefined ? this.generate() : this.#data.subarray(0, this.#size);
  }
  /** Content from an image or a volume writer, shared until the first write. */
  adopt(bytes: Uint8Array): void {
    this.fs.charge(bytes.length - this.#size);
    this.#keepWhole();
    this.#data = bytes;
    this.#size = bytes.length;
    this.#shared = true;
    if (!this.recorded) return;
    this.fs.recorder?.truncate(this, 0);
    this.fs.recorder?.write(this, 0, bytes);
  }
  writeAt(at: number, bytes: Uint8Array): void {
    const end = at + bytes.length;
    if (end > this.#size) this.fs.charge(end - this.#size);
    this.#keepFrom(at, Math.min(end, this.#size));
    if (this.recorded) this.fs.recorder?.write(this, at, bytes);
    if (this.#shared || end > this.#data.length) {
      const grown = new Uint8Array(Math.max(end, this.#size, end > this.#data.length ? this.#data.length * 2 : 0, 64));
      grown.set(this.#data.subarray(0, this.#size));
      this.#data = grown;
      this.#shared = false;
    }
    this.#data.set(bytes, at);
    if (end > this.#size) this.#size = end;
    this.touch();
  }
  truncate(size: number): void {
    this.fs.charge(size - this.#size);
    if (size === 0) this.#keepWhole();
    else this.#keepFrom(Math.min(size, this.#size), this.#size);
    if (this.recorded) this.fs.recorder?.truncate(this, size);
    if (size === 0) {
      this.#data = EMPTY;
    } else if (this.#shared || size > this.#data.length) {
      const next = new Uint8Array(size);
      next.set(this.#data.subarray(0, Math.min(size, this.#size)));
      this.#data = next;
    } else this.#data.fill(0, Math.min(size, this.#size));
    this.#shared = false;
    this.#size = size;
    this.touch();
  }
  /** The bytes from `at` to `end` are about to change, and the size. */
  #keepFrom(at: number, end: number): void {
    const { undo } = this.fs;
    if (!this.recorded || undo === undefined) return;
    const size = this.#size;
    const { mtimeMs } = this;
    const before = at < end ? this.#data.slice(at, end) : EMPTY;
    undo.push(() => {
      this.fs.charge(size - this.#size);
      if (this.#shared || size > this.#data.length) {
        const whole = new Uint8Array(size);
        whole.set(this.#data.subarray(0, Math.min(size, this.#size)));
        this.#data = whole;
        this.#shared = false;
      }
      this.#data.set(before, at);
      this.#data.fill(0, size);
      this.#size = size;
      this.mtimeMs = mtimeMs;
    });
  }
  /** The whole content is about to be given up. */
  #keepWhole(): void {
    const { undo } = this.fs;
    if (!this.recorded || undo === undefined) return;
    const [data, size, shared] = [this.#data, this.#size, this.#shared];
    const { mtimeMs } = this;
    undo.push(() => {
      this.fs.charge(size - this.#size);
      this.#data = data;
      this.#size = size;
      this.#shared = shared;
      this.mtimeMs = mtimeMs;
    });
  }
  override free(): void {
    if (this.freed) return;
    this.#keepWhole();
    this.fs.charge(-this.#size);
    this.#data = EMPTY;
    this.#size = 0;
    super.free();
  }
}

/** Entries that come into being when they are looked at: those of an image's folder, which its containers share. */
export interface LowerDir {
  readonly names: ReadonlyMap<string, unknown>;
  /** How many of them are directories. */
  readonly directories: number;
  make(name: string, fs: FileSystem): Inode;
}

export class DirInode extends Inode {
  readonly kind = "dir";
  #entries: Map<string, Inode> | undefined;
  /** What is not in `#entries` yet. */
  #lower: LowerDir | undefined;
  /** The directory that this one was merged into. */
  sameAs: DirInode | undefined;
  constructor(fs: FileSystem, mode: number, uid: number, gid: number, lower?: LowerDir, ino?: number) {
    super(fs, mode, uid, gid, ino);
    this.nlink = 2 + (lower?.directories ?? 0);
    this.#lower = lower;
  }
  override get size(): number {
    return this.fs.type === "tmpfs" ? this.entries().size * 20 + 40 : 4096;
  }
  setLower(lower: LowerDir): void {
    this.nlink = 2 + lower.directories;
    this.#lower = lower;
    this.#entries = undefined;
  }
  /** All of them: what was still to be made is made. */
  entries(): Map<string, Inode> {
    const lower = this.#lower;
    if (lower === undefined) {
      this.#entries ??= new Map();
      return this.#entries;
    }
    const made = this.#entries;
    const all = new Map<string, Inode>();
    for (const name of lower.names.keys()) all.set(name, made?.get(name) ?? lower.make(name, this.fs));
    this.#lower = undefined;
    this.#entries = all;
    return all;
  }
  get(name: string): Inode | undefined {
    const lower = this.#lower;
    if (lower === undefined) return this.#entries?.get(name);
    const known = this.#entries?.get(name);
    if (known !== undefined || !lower.names.has(name)) return known;
    const inode = lower.make(name, this.fs);
    this.#entries ??= new Map();
    this.#entries.set(name, inode);
    return inode;
  }
  /** Becomes another way to see `other`: two machines made a directory of one name at once. */
  mergeInto(other: DirInode): void {
    const before = this.entries();
    this.fs.undo?.push(() => {
      this.#entries = before;
      this.sameAs = undefined;
    });
    this.#entries = other.entries();
    this.sameAs = other;
  }
  /** These names, of this directory or others, are about to change. */
  #keep(...names: [dir: DirInode, name: string, inode: Inode | undefined][]): void {
    const { undo } = this.fs;
    if (!this.recorded || undo === undefined) return;
    for (const [dir, name, inode] of names) {
      const { nlink, mtimeMs } = dir;
      const names = inode?.nlink;
      undo.push(() => {
        if (inode === undefined) dir.entries().delete(name);
        else {
          dir.entries().set(name, inode);
          inode.nlink = names as number;
        }
        dir.nlink = nlink;
        dir.mtimeMs = mtimeMs;
      });
    }
  }
  /** Adds a name; the caller has checked that it is free. */
  link(name: string, inode: Inode): void {
    this.#keep([this, name, undefined]);
    this.entries().set(name, inode);
    if (inode.kind === "dir") this.nlink++;
    this.touch();
    if (this.recorded) this.fs.recorder?.link(this, name, inode);
  }
  /** Removes a name and frees what it named when that was its last. */
  unlink(name: string): void {
    const inode = this.entries().get(name);
    if (inode === undefined) throw new SysError("ENOENT", name);
    this.#keep([this, name, inode]);
    this.entries().delete(name);
    if (inode.kind === "dir") {
      this.nlink--;
      inode.nlink = 0;
    } else inode.nlink--;
    inode.ctimeMs = this.fs.now();
    if (inode.nlink <= 0 && !(inode instanceof FileInode && inode.opens > 0)) inode.free();
    this.touch();
    if (this.recorded) this.fs.recorder?.unlink(this, name, inode);
  }
  /** Takes a name over from another directory of the file system (rename(2)); the new name is free. */
  moveIn(from: DirInode, name: string, as: string): void {
    const inode = from.entries().get(name);
    if (inode === undefined) throw new SysError("ENOENT", name);
    this.#keep([from, name, inode], [this, as, undefined]);
    from.entries().delete(name);
    if (inode.kind === "dir") from.nlink--;
    from.touch();
    this.entries().set(as, inode);
    if (inode.kind === "dir") this.nlink++;
    this.touch();
    if (this.recorded) this.fs.recorder?.rename(from, name, this, as, inode);
  }
}

export class SymlinkInode extends Inode {
  readonly kind = "symlink";
  readonly target: string;
  constructor(fs: FileSystem, target: string, uid: number, gid: number, ino?: number) {
    super(fs, 0o777, uid, gid, ino);
    this.target = target;
  }
  override get size(): number {
    return Buffer.byteLength(this.target);
  }
}

export class FifoInode extends Inode {
  readonly kind = "fifo";
  pipe: Pipe | undefined;
}

/** A Unix socket's name; `listener` is the socket that is bound to it. */
export class SocketInode extends Inode {
  readonly kind = "socket";
  listener: unknown;
}

export class CharInode extends Inode {
  readonly kind = "char";
  readonly major: number;
  readonly minor: number;
  readonly open: (mode: { read?: boolean; write?: boolean }) => OpenFile;
  constructor(fs: FileSystem, mode: number, device: { major: number; minor: number; open: CharInode["open"] }, uid = 0, gid = 0) {
    super(fs, mode, uid, gid);
    this.major = device.major;
    this.minor = device.minor;
    this.open = device.open;
  }
}
