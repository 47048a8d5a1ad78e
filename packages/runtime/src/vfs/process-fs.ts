// The file system calls as a process makes them: relative to its working directory, with its credentials and umask.

import { SysError } from "../kernel/errno.ts";
import type { Process } from "../kernel/process.ts";
import { DirInode, FileInode, type Inode } from "./inode.ts";
import { type Mount, type Place, pathOf, type Stat } from "./mounts.ts";
import { RegularFile } from "./regular-file.ts";

export class ProcessFs {
  readonly #p: Process;
  constructor(p: Process) {
    this.#p = p;
  }
  get #m() {
    return this.#p.container.mounts;
  }
  resolve(path: string, follow = true): Place {
    return this.#m.resolve(this.#p.cwd, path, this.#p.cred, follow);
  }
  stat(path: string): Stat {
    const own = /^\/dev\/(?:fd\/(\d+)|std(in|out|err))$/.exec(path);
    const open = own ? this.#p.fds.find(own[1] !== undefined ? Number(own[1]) : ["in", "out", "err"].indexOf(own[2] as string)) : undefined;
    if (open)
      return {
        kind: open.kind,
        ino: 0,
        dev: "tmpfs",
        mode: 0o600,
        nlink: 1,
        uid: this.#p.identity.uid,
        gid: this.#p.identity.gid,
        size: 0,
        atimeMs: 0,
        mtimeMs: 0,
        ctimeMs: 0,
      };
    return this.#m.stat(this.#p.cwd, path, this.#p.cred, true);
  }
  lstat(path: string): Stat {
    return this.#m.stat(this.#p.cwd, path, this.#p.cred, false);
  }
  /** undefined instead of an error when the path cannot be reached. */
  tryStat(path: string, follow = true): Stat | undefined {
    try {
      return follow ? this.stat(path) : this.lstat(path);
    } catch (e) {
      if (e instanceof SysError) return undefined;
      throw e;
    }
  }
  exists(path: string): boolean {
    return this.tryStat(path) !== undefined;
  }
  /** Names and inodes in the directory, in the order of creation (as ext4 without an index would not promise either). */
  readdir(path: string): { name: string; inode: Inode }[] {
    return this.#m.readdir(this.#p.cwd, path, this.#p.cred);
  }
  mkdir(path: string, mode = 0o777): void {
    this.#m.mkdir(this.#p.cwd, path, this.#p.cred, mode & ~this.#p.umask);
  }
  /** mkdir -p. */
  mkdirs(path: string, mode = 0o777): void {
    let at = path.startsWith("/") ? "/" : "";
    for (const part of path.split("/").filter((x) => x !== "")) {
      at += part;
      if (!this.exists(at)) this.mkdir(at, mode);
      at += "/";
    }
  }
  unlink(path: string): void {
    this.#m.unlink(this.#p.cwd, path, this.#p.cred);
  }
  rmdir(path: string): void {
    this.#m.rmdir(this.#p.cwd, path, this.#p.cred);
  }
  rename(from: string, to: string): void {
    this.#m.rename(this.#p.cwd, from, to, this.#p.cred);
  }
  symlink(target: string, path: string): void {
    this.#m.symlink(this.#p.cwd, target, path, this.#p.cred);
  }
  link(target: string, path: string): void {
    this.#m.link(this.#p.cwd, target, path, this.#p.cred);
  }
  mkfifo(path: string, mode = 0o666): void {
    this.#m.mknod(this.#p.cwd, path, this.#p.cred, "fifo", mode & ~this.#p.umask);
  }
  readlink(path: string): string {
    return this.#m.readlink(this.#p.cwd, path, this.#p.cred);
  }
  realpath(path: string): string {
    return this.#m.realpath(this.#p.cwd, path, this.#p.cred);
  }
  chmod(path: string, mode: number): void {
    this.#m.chmod(this.#p.cwd, path, this.#p.cred, mode);
  }
  chown(path: string, uid: number, gid: number, follow = true): void {
    this.#m.chown(this.#p.cwd, path, this.#p.cred, uid, gid, follow);
  }
  utimes(path: string, atimeMs: number, mtimeMs: number): void {
    this.#m.utimes(this.#p.cwd, path, this.#p.cred, atimeMs, mtimeMs);
  }
  access(path: string, bits: number): void {
    this.#m.access(this.#p.cwd, path, this.#p.cred, bits);
  }
  chdir(path: string): void {
    const place = this.resolve(path);
    if (place.inode.kind !== "dir") throw new SysError("ENOTDIR", path);
    this.access(path, 1);
    this.#p.cwd = place;
  }
  mounts(): readonly Mount[] {
    return this.#m.mounts;
  }
  /** The mount that a path lies on. */
  mountOf(path: string): Mount {
    return this.resolve(path).mount;
  }
  pathOf(place: Place): string {
    return pathOf(place);
  }
  /** The whole content of a regular file. */
  readFile(path: string): Uint8Array {
    const f = this.#m.open(this.#p.cwd, path, this.#p.cred, { read: true });
    if (!(f instanceof RegularFile))
      throw new SysError("inode" in f && (f as { inode: unknown }).inode instanceof DirInode ? "EISDIR" : "EINVAL", path);
    f.ref();
    const bytes = f.readNow(Number.MAX_SAFE_INTEGER);
    f.unref();
    return bytes;
  }
  readText(path: string): string {
    return Buffer.from(this.readFile(path)).toString("utf8");
  }
  /** Creates or truncates, writes, closes. */
  writeFile(path: string, data: Uint8Array | string, o: { mode?: number; append?: boolean } = {}): void {
    const f = this.#m.open(this.#p.cwd, path, this.#p.cred, {
      write: true,
      create: true,
      truncate: !o.append,
      append: o.append ?? false,
      umask: this.#p.umask,
      ...(o.mode === undefined ? {} : { mode: o.mode }),
    });
    if (!("writeNow" in f)) throw new SysError("EINVAL", path);
    f.ref();
    try {
      f.writeNow(typeof data === "string" ? Buffer.from(data, "utf8") : data);
    } finally {
      f.unref();
    }
  }
  /** truncate(2). */
  truncate(path: string, size: number): void {
    const p = this.resolve(path);
    if (!(p.inode instanceof FileInode)) throw new SysError("EINVAL", path);
    if (p.mount.readOnly) throw new SysError("EROFS", path);
    this.access(path, 2);
    p.inode.truncate(size);
  }
}
