// An open file description (open(2)): what file descriptors of one or several processes point at. Reads and writes come in
// a form that never waits (`readNow`, `writeNow`) and a way to be woken, so that a process blocks in one place only
// (`Process.block`) and a fast path costs no promise.
// Invariant: `refs` counts the descriptors that point here; the last `unref` releases, exactly once.
import { SysError } from "./errno.ts";

export type Wake = () => void;
export type FileKind = "file" | "dir" | "symlink" | "fifo" | "socket" | "char";

export interface OpenMode {
  read?: boolean;
  write?: boolean;
  append?: boolean;
}

const NEVER = () => () => undefined;

export abstract class OpenFile {
  refs = 0;
  readonly mode: Readonly<OpenMode>;
  #released = false;
  constructor(mode: OpenMode) {
    this.mode = mode;
  }
  abstract get kind(): FileKind;
  /** At most `max` bytes; empty at end of file; undefined when a read would block. The result is the caller's to keep. */
  readNow(_max: number): Uint8Array | undefined {
    throw new SysError("EBADF");
  }
  /** How many bytes were taken; 0 when a write would block. */
  writeNow(_bytes: Uint8Array): number {
    throw new SysError("EBADF");
  }
  /** Calls `wake` once when a read may succeed; returns how to give up. */
  onReadable(_wake: Wake): () => void {
    return NEVER();
  }
  onWritable(_wake: Wake): () => void {
    return NEVER();
  }
  /** lseek(2). Throws ESPIPE where there is no position. */
  seek(_offset: number, _whence: "set" | "cur" | "end"): number {
    throw new SysError("ESPIPE");
  }
  ref(): this {
    this.refs++;
    return this;
  }
  unref(): void {
    this.refs--;
    if (this.refs <= 0 && !this.#released) {
      this.#released = true;
      this.released();
    }
  }
  protected released(): void {}
}

/** A process's table of descriptors. dup'ed descriptors share the description. */
export class FdTable {
  #files: (OpenFile | undefined)[] = [undefined, undefined, undefined];
  /** Made when one is marked. */
  #cloexec: Set<number> | undefined;
  /** RLIMIT_NOFILE. */
  readonly limit: number;
  constructor(limit = 1_048_576) {
    this.limit = limit;
  }
  get(fd: number): OpenFile {
    const f = this.#files[fd];
    if (f === undefined) throw new SysError("EBADF");
    return f;
  }
  find(fd: number): OpenFile | undefined {
    return this.#files[fd];
  }
  /** Lowest free number not below `min`. */
  add(file: OpenFile, min = 0): number {
    let fd = min;
    while (this.#files[fd] !== undefined) fd++;
    if (fd >= this.limit) throw new SysError("EMFILE");
    this.#files[fd] = file.ref();
    return fd;
  }
  /** dup2: puts `file` at `fd`, closing what was there. */
  set(fd: number, file: OpenFile): void {
    if (fd < 0 || fd >= this.limit) throw new SysError("EBADF");
    file.ref();
    const old = this.#files[fd];
    this.#files[fd] = file;
    this.#cloexec?.delete(fd);
    old?.unref();
  }
  close(fd: number): void {
    const f = this.#files[fd];
    if (f === undefined) throw new SysError("EBADF");
    this.#files[fd] = undefined;
    this.#cloexec?.delete(fd);
    f.unref();
  }
  setCloexec(fd: number): void {
    this.#cloexec ??= new Set();
    this.#cloexec.add(fd);
  }
  closeAll(): void {
    const files = this.#files;
    this.#files = [];
    this.#cloexec = undefined;
    for (const f of files) f?.unref();
  }
  /** What a child of fork(2) has; with `exec`, without the close-on-exec ones. */
  clone(exec: boolean): FdTable {
    const t = new FdTable(this.limit);
    for (let fd = 0; fd < this.#files.length; fd++) {
      const f = this.#files[fd];
      if (f === undefined || (exec && this.#cloexec?.has(fd))) continue;
      t.#files[fd] = f.ref();
      if (this.#cloexec?.has(fd)) t.setCloexec(fd);
    }
    return t;
  }
  list(): [number, OpenFile][] {
    const out: [number, OpenFile][] = [];
    for (let fd = 0; fd < this.#files.length; fd++) {
      const f = this.#files[fd];
      if (f !== undefined) out.push([fd, f]);
    }
    return out;
  }
}
