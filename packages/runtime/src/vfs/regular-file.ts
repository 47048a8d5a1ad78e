// Open regular files and directories, and the character devices every container has (/dev/null, zero, full, urandom).
import type { Random } from "@podwire/base";
import { SysError } from "../kernel/errno.ts";
import { OpenFile, type OpenMode } from "../kernel/open-file.ts";
import type { DirInode, FileInode } from "./inode.ts";

const EMPTY = new Uint8Array(0);

export class RegularFile extends OpenFile {
  readonly inode: FileInode;
  /** Content of a generated file, fixed at open. */
  readonly #snapshot: Uint8Array | undefined;
  readonly #readonlyMount: boolean;
  position = 0;
  constructor(inode: FileInode, mode: OpenMode, readonlyMount = false) {
    super(mode);
    this.inode = inode;
    inode.opens++;
    this.#readonlyMount = readonlyMount;
    this.#snapshot = inode.generate?.();
  }
  override get kind() {
    return "file" as const;
  }
  override readNow(max: number): Uint8Array {
    if (!this.mode.read) throw new SysError("EBADF");
    const all = this.#snapshot ?? this.inode.view();
    if (this.position >= all.length) return EMPTY;
    const out = all.slice(this.position, this.position + max);
    this.position += out.length;
    return out;
  }
  override writeNow(bytes: Uint8Array): number {
    if (!this.mode.write) throw new SysError("EBADF");
    if (this.#readonlyMount) throw new SysError("EROFS");
    const at = this.mode.append ? this.inode.size : this.position;
    this.inode.writeAt(at, bytes);
    this.position = at + bytes.length;
    return bytes.length;
  }
  override seek(offset: number, whence: "set" | "cur" | "end"): number {
    const base = whence === "set" ? 0 : whence === "cur" ? this.position : this.inode.size;
    if (base + offset < 0) throw new SysError("EINVAL");
    this.position = base + offset;
    return this.position;
  }
  protected override released(): void {
    this.inode.opens--;
    if (this.inode.opens === 0 && this.inode.nlink <= 0) this.inode.free();
  }
}

export class DirectoryFile extends OpenFile {
  readonly inode: DirInode;
  constructor(inode: DirInode) {
    super({ read: true });
    this.inode = inode;
  }
  override get kind() {
    return "dir" as const;
  }
  override readNow(): Uint8Array {
    throw new SysError("EISDIR");
  }
}

class Device extends OpenFile {
  readonly #read: (max: number) => Uint8Array;
  readonly #full: boolean;
  constructor(read: (max: number) => Uint8Array, full = false) {
    super({ read: true, write: true });
    this.#read = read;
    this.#full = full;
  }
  override get kind() {
    return "char" as const;
  }
  override readNow(max: number): Uint8Array {
    return this.#read(max);
  }
  override writeNow(bytes: Uint8Array): number {
    if (this.#full) throw new SysError("ENOSPC");
    return bytes.length;
  }
  override seek(): number {
    return 0;
  }
}

const nothing = () => EMPTY;
const zeros = (max: number) => new Uint8Array(max);

/** Name in /dev -> device. */
export function standardDevices(random: Random): Record<string, { major: number; minor: number; open: () => OpenFile }> {
  return {
    null: { major: 1, minor: 3, open: () => new Device(nothing) },
    zero: { major: 1, minor: 5, open: () => new Device(zeros) },
    full: { major: 1, minor: 7, open: () => new Device(zeros, true) },
    random: { major: 1, minor: 8, open: () => new Device((max) => random.bytes(max)) },
    urandom: { major: 1, minor: 9, open: () => new Device((max) => random.bytes(max)) },
  };
}
