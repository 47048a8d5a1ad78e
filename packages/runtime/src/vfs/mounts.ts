// A container's view of files: a tree of mounts, path resolution (path_resolution(7)) and the file system calls.
// Every call takes the credentials of who asks; permission bits, sticky directories and read-only mounts are honoured.
// Invariant: a Place is an inode as reached by a path: through which mount, and from which parent, so that ".." needs no search.
import { SysError } from "../kernel/errno.ts";
import type { OpenFile, OpenMode } from "../kernel/open-file.ts";
import { type Pipe, PipeEnd, Pipe as PipeQueue } from "../kernel/pipe.ts";
import { CharInode, DirInode, FifoInode, FileInode, type Inode, SocketInode, SymlinkInode } from "./inode.ts";
import { DirectoryFile, RegularFile } from "./regular-file.ts";

export interface Credentials {
  uid: number;
  gid: number;
  groups: readonly number[];
  /** CAP_DAC_OVERRIDE and relatives: root in a container has them unless dropped. */
  override: boolean;
  /** CAP_FOWNER: acts as the owner of every file. Absent is as `override`. */
  owner?: boolean;
  /** CAP_CHOWN. Absent is as `override`. */
  chown?: boolean;
  /** For /proc/self. */
  pid?: number;
}

export interface Mount {
  root: Inode;
  readOnly: boolean;
  /** As /proc/mounts shows them. */
  source: string;
  target: string;
  options?: string;
}

export interface Place {
  inode: Inode;
  mount: Mount;
  parent: Place | undefined;
  name: string;
}

const MAX_LINKS = 40;
const NAME_MAX = 255;
const PATH_MAX = 4096;

export interface Stat {
  kind: Inode["kind"];
  ino: number;
  dev: string;
  mode: number;
  nlink: number;
  uid: number;
  gid: number;
  size: number;
  atimeMs: number;
  mtimeMs: number;
  ctimeMs: number;
  rdev?: { major: number; minor: number };
}

export class MountTable {
  readonly rootMount: Mount;
  readonly root: Place;
  mounts: readonly Mount[];
  #at = new Map<Inode, Mount>();

  constructor(rootMount: Mount) {
    this.rootMount = rootMount;
    this.mounts = [rootMount];
    this.root = { inode: rootMount.root, mount: rootMount, parent: undefined, name: "/" };
  }

  /** Mounts over an existing place; a later mount hides an earlier one. */
  mount(at: Place, mount: Mount): void {
    this.#at.set(at.inode, mount);
    this.mounts = this.mounts.concat(mount);
  }

  #step(dir: Place, name: string, cred: Credentials): Place | undefined {
    if (name === "." || name === "") return dir;
    if (name === "..") return dir.parent ?? dir;
    if (dir.inode.kind !== "dir") throw new SysError("ENOTDIR");
    allow(dir.inode, 1, cred);
    if (name.length > NAME_MAX) throw new SysError("ENAMETOOLONG");
    let inode = (dir.inode as DirInode).get(name);
    if (inode === undefined) return undefined;
    let mount = dir.mount;
    for (let over = this.#at.get(inode); over !== undefined && over.root !== inode; over = this.#at.get(inode)) {
      mount = over;
      inode = over.root;
    }
    return { inode, mount, parent: dir, name };
  }

  /** The place a path names. Throws ENOENT, ENOTDIR, ELOOP, EACCES. */
  resolve(from: Place, path: string, cred: Credentials, follow = true): Place {
    const r = this.walk(from, path, cred, follow);
    if (r.place === undefined) throw new SysError("ENOENT", path);
    return r.place;
  }

  /** Like resolve, but a missing last component is answered with its directory and name. */
  walk(from: Place, path: string, cred: Credentials, follow = true): { dir: Place; name: string; place: Place | undefined } {
    if (path === "") throw new SysError("ENOENT", path);
    if (path.length > PATH_MAX) throw new SysError("ENAMETOOLONG", path);
    let links = 0;
    const walk = (start: Place, given: string, followLast: boolean): { dir: Place; name: string; place: Place | undefined } => {
      let here = given.startsWith("/") ? this.root : start;
      const parts = given.split("/").filter((p) => p !== "");
      const mustBeDir = given.endsWith("/");
      let dir = here;
      let name = ".";
      for (let i = 0; i < parts.length; i++) {
        name = parts[i] as string;
        dir = here;
        const last = i === parts.length - 1;
        if (name === "self" && cred.pid !== undefined && here.inode === here.mount.root && here.mount.root.fs.type === "proc")
          name = String(cred.pid);
        let next: Place | undefined;
        try {
          next = this.#step(here, name, cred);
        } catch (e) {
          throw e instanceof SysError && e.path === undefined ? new SysError(e.code, path) : e;
        }
        if (next === undefined) {
          if (last) return { dir, name, place: undefined };
          throw new SysError("ENOENT", path);
        }
        if (next.inode.kind === "symlink" && (!last || followLast || mustBeDir)) {
          if (++links > MAX_LINKS) throw new SysError("ELOOP", path);
          const r = walk(here, (next.inode as SymlinkInode).target, true);
          if (r.place === undefined) {
            if (last) return r;
            throw new SysError("ENOENT", path);
          }
          next = r.place;
        }
        if ((!last || mustBeDir) && next.inode.kind !== "dir") throw new SysError("ENOTDIR", path);
        here = next;
      }
      return { dir, name, place: here };
    };
    return walk(from, path, follow);
  }

  /** open(2) of everything but a FIFO's waiting, which is the process's (`Process.open`). */
  open(from: Place, path: string, cred: Credentials, o: OpenOptions): OpenFile | FifoOpen {
    const r = this.walk(from, path, cred, !(o.nofollow ?? false));
    let place = r.place;
    if (place === undefined) {
      if (!o.create) throw new SysError("ENOENT", path);
      if (path.endsWith("/")) throw new SysError("EISDIR", path);
      const dir = this.#writableDir(r.dir, cred, path);
      const inode = new FileInode(dir.fs, (o.mode ?? 0o666) & ~(o.umask ?? 0o022), cred.uid, dir.mode & 0o2000 ? dir.gid : cred.gid);
      dir.link(r.name, inode);
      place = { inode, mount: r.dir.mount, parent: r.dir, name: r.name };
    } else {
      if (o.exclusive && o.create) throw new SysError("EEXIST", path);
      if (place.inode.kind === "dir") {
        if (o.write) throw new SysError("EISDIR", path);
        allow(place.inode, 4, cred, path);
        return new DirectoryFile(place.inode as DirInode);
      }
      if (o.directory) throw new SysError("ENOTDIR", path);
      if (o.read) allow(place.inode, 4, cred, path);
      if (o.write) {
        allow(place.inode, 2, cred, path);
        if (place.mount.readOnly && place.inode.kind === "file") throw new SysError("EROFS", path);
      }
    }
    const inode = place.inode;
    if (inode instanceof FileInode) {
      if (o.truncate && o.write && inode.size > 0) inode.truncate(0);
      return new RegularFile(inode, { read: o.read, write: o.write, append: o.append });
    }
    if (inode instanceof CharInode) return inode.open({ read: o.read, write: o.write });
    if (inode instanceof FifoInode) {
      inode.pipe ??= new PipeQueue();
      return { pipe: inode.pipe, end: o.read && o.write ? "both" : o.write ? "write" : "read" };
    }
    throw new SysError("ENXIO", path);
  }

  stat(from: Place, path: string, cred: Credentials, follow = true): Stat {
    return statOf(this.resolve(from, path, cred, follow).inode);
  }

  readdir(from: Place, path: string, cred: Credentials): { name: string; inode: Inode }[] {
    const p = this.resolve(from, path, cred);
    if (p.inode.kind !== "dir") throw new SysError("ENOTDIR", path);
    allow(p.inode, 4, cred, path);
    return [...(p.inode as DirInode).entries()].map(([name, inode]) => ({ name, inode: this.#at.get(inode)?.root ?? inode }));
  }

  mkdir(from: Place, path: string, cred: Credentials, mode: number): void {
    const r = this.walk(from, path.replace(/(.)\/+$/, "$1"), cred, false);
    if (r.place !== undefined) throw new SysError("EEXIST", path);
    const dir = this.#writableDir(r.dir, cred, path);
    const setgid = dir.mode & 0o2000;
    dir.link(r.name, new DirInode(dir.fs, mode | setgid, cred.uid, setgid ? dir.gid : cred.gid));
  }

  mknod(from: Place, path: string, cred: Credentials, kind: "fifo" | "socket", mode: number): Inode {
    const r = this.walk(from, path, cred, false);
    if (r.place !== undefined) throw new SysError("EEXIST", path);
    const dir = this.#writableDir(r.dir, cred, path);
    const inode = kind === "fifo" ? new FifoInode(dir.fs, mode, cred.uid, cred.gid) : new SocketInode(dir.fs, mode, cred.uid, cred.gid);
    dir.link(r.name, inode);
    return inode;
  }

  symlink(from: Place, target: string, path: string, cred: Credentials): void {
    const r = this.walk(from, path, cred, false);
    if (r.place !== undefined) throw new SysError("EEXIST", path);
    const dir = this.#writableDir(r.dir, cred, path);
    dir.link(r.name, new SymlinkInode(dir.fs, target, cred.uid, cred.gid));
  }

  link(from: Place, target: string, path: string, cred: Credentials): void {
    const t = this.resolve(from, target, cred, false);
    if (t.inode.kind === "dir") throw new SysError("EPERM", target);
    const r = this.walk(from, path, cred, false);
    if (r.place !== undefined) throw new SysError("EEXIST", path);
    const dir = this.#writableDir(r.dir, cred, path);
    if (t.mount !== r.dir.mount) throw new SysError("EXDEV", path);
    t.inode.countName();
    dir.link(r.name, t.inode);
  }

  unlink(from: Place, path: string, cred: Credentials): void {
    const r = this.walk(from, path, cred, false);
    if (r.place === undefined) throw new SysError("ENOENT", path);
    if (r.place.inode.kind === "dir") throw new SysError("EISDIR", path);
    this.#remove(r.dir, r.name, r.place, cred, path);
  }

  rmdir(from: Place, path: string, cred: Credentials): void {
    const r = this.walk(from, path, cred, false);
    if (r.place === undefined) throw new SysError("ENOENT", path);
    if (r.place.inode.kind !== "dir") throw new SysError("ENOTDIR", path);
    if (r.name === "." || r.place === this.root) throw new SysError("EINVAL", path);
    if ((r.place.inode as DirInode).entries().size > 0) throw new SysError("ENOTEMPTY", path);
    this.#remove(r.dir, r.name, r.place, cred, path);
  }

  #remove(dirPlace: Place, name: string, place: Place, cred: Credentials, path: string): void {
    const dir = this.#writableDir(dirPlace, cred, path);
    sticky(dir, place.inode, cred, path);
    if (dir.get(name) !== place.inode) throw new SysError("EBUSY", path);
    dir.unlink(name);
  }

  rename(from: Place, oldPath: string, newPath: string, cred: Credentials): void {
    const a = this.walk(from, oldPath, cred, false);
    if (a.place === undefined) throw new SysError("ENOENT", oldPath);
    const b = this.walk(from, newPath.replace(/(.)\/+$/, "$1"), cred, false);
    const source = this.#writableDir(a.dir, cred, oldPath);
    const target = this.#writableDir(b.dir, cred, newPath);
    sticky(source, a.place.inode, cred, oldPath);
    if (a.dir.mount !== b.dir.mount || source.get(a.name) !== a.place.inode)
      throw new SysError(source.get(a.name) !== a.place.inode ? "EBUSY" : "EXDEV", oldPath);
    for (let p: Place | undefined = b.dir; p !== undefined; p = p.parent)
      if (p.inode === a.place.inode) throw new SysError("EINVAL", newPath);
    if (b.place !== undefined) {
      if (b.place.inode === a.place.inode) return;
      const toDir = b.place.inode.kind === "dir";
      if (toDir && a.place.inode.kind !== "dir") throw new SysError("EISDIR", newPath);
      if (!toDir && a.place.inode.kind === "dir") throw new SysError("ENOTDIR", newPath);
      if (toDir && (b.place.inode as DirInode).entries().size > 0) throw new SysError("ENOTEMPTY", newPath);
      sticky(target, b.place.inode, cred, newPath);
      if (this.#at.has(b.place.inode) || target.get(b.name) !== b.place.inode) throw new SysError("EBUSY", newPath);
      target.unlink(b.name);
    }
    target.moveIn(source, a.name, b.name);
  }

  readlink(from: Place, path: string, cred: Credentials): string {
    const p = this.resolve(from, path, cred, false);
    if (!(p.inode instanceof SymlinkInode)) throw new SysError("EINVAL", path);
    return p.inode.target;
  }

  chmod(from: Place, path: string, cred: Credentials, mode: number): void {
    const p = this.#owned(from, path, cred);
    p.inode.mode = mode & 0o7777;
    p.inode.attributesChanged();
  }

  chown(from: Place, path: string, cred: Credentials, uid: number, gid: number, follow = true): void {
    const p = this.resolve(from, path, cred, follow);
    if (p.mount.readOnly) throw new SysError("EROFS", path);
    const groupOnly = uid === -1 || uid === p.inode.uid;
    const ownGroup = gid === -1 || gid === cred.gid || cred.groups.includes(gid);
    if (!(cred.chown ?? cred.override) && !(cred.uid === p.inode.uid && groupOnly && ownGroup)) throw new SysError("EPERM", path);
    if (uid !== -1) p.inode.uid = uid;
    if (gid !== -1) p.inode.gid = gid;
    if (p.inode.kind === "file") p.inode.mode &= ~0o6000;
    p.inode.attributesChanged();
  }

  utimes(from: Place, path: string, cred: Credentials, atimeMs: number, mtimeMs: number): void {
    const p = this.resolve(from, path, cred);
    if (p.mount.readOnly) throw new SysError("EROFS", path);
    if (!(cred.owner ?? cred.override) && cred.uid !== p.inode.uid) allow(p.inode, 2, cred, path);
    p.inode.atimeMs = atimeMs;
    p.inode.mtimeMs = mtimeMs;
    p.inode.attributesChanged();
  }

  /** access(2) for the bits r=4, w=2, x=1. */
  access(from: Place, path: string, cred: Credentials, bits: number): void {
    const p = this.resolve(from, path, cred);
    if (bits & 2 && p.mount.readOnly && p.inode.kind !== "char") throw new SysError("EROFS", path);
    allow(p.inode, bits, cred, path);
  }

  realpath(from: Place, path: string, cred: Credentials): string {
    return pathOf(this.resolve(from, path, cred));
  }

  #owned(from: Place, path: string, cred: Credentials): Place {
    const p = this.resolve(from, path, cred);
    if (p.mount.readOnly) throw new SysError("EROFS", path);
    if (!(cred.owner ?? cred.override) && cred.uid !== p.inode.uid) throw new SysError("EPERM", path);
    return p;
  }

  #writableDir(dir: Place, cred: Credentials, path: string): DirInode {
    if (dir.inode.kind !== "dir") throw new SysError("ENOTDIR", path);
    if (dir.mount.readOnly) throw new SysError("EROFS", path);
    allow(dir.inode, 3, cred, path);
    if (dir.inode.nlink === 0) throw new SysError("ENOENT", path);
    return dir.inode as DirInode;
  }
}

export interface OpenOptions extends OpenMode {
  create?: boolean;
  exclusive?: boolean;
  truncate?: boolean;
  directory?: boolean;
  nofollow?: boolean;
  /** For a file that is created; the umask is taken off. */
  mode?: number;
  umask?: number;
}

/** A FIFO to be opened: who opens it waits for the other end. */
export interface FifoOpen {
  pipe: Pipe;
  end: "read" | "write" | "both";
}

export function isFifoOpen(x: OpenFile | FifoOpen): x is FifoOpen {
  return "pipe" in x && !(x instanceof PipeEnd);
}

/** Absolute path of a place inside its container. */
export function pathOf(place: Place): string {
  const parts: string[] = [];
  for (let p: Place | undefined = place; p?.parent !== undefined; p = p.parent) parts.push(p.name);
  return `/${parts.reverse().join("/")}`;
}

export function statOf(inode: Inode): Stat {
  return {
    kind: inode.kind,
    ino: inode.ino,
    dev: inode.fs.type,
    mode: inode.mode,
    nlink: inode.nlink,
    uid: inode.uid,
    gid: inode.gid,
    size: inode instanceof FileInode && inode.generate !== undefined ? 0 : inode.size,
    atimeMs: inode.atimeMs,
    mtimeMs: inode.mtimeMs,
    ctimeMs: inode.ctimeMs,
    ...(inode instanceof CharInode ? { rdev: { major: inode.major, minor: inode.minor } } : {}),
  };
}

/** Throws EACCES when `cred` may not do `bits` (r=4, w=2, x=1) with the inode. */
export function allow(inode: Inode, bits: number, cred: Credentials, path?: string): void {
  if (cred.override) {
    if (bits & 1 && inode.kind !== "dir" && (inode.mode & 0o111) === 0) throw new SysError("EACCES", path);
    return;
  }
  const shift = inode.uid === cred.uid ? 6 : inode.gid === cred.gid || cred.groups.includes(inode.gid) ? 3 : 0;
  if (((inode.mode >> shift) & bits) !== bits) throw new SysError("EACCES", path);
}

function sticky(dir: DirInode, inode: Inode, cred: Credentials, path: string): void {
  if (dir.mode & 0o1000 && !(cred.owner ?? cred.override) && cred.uid !== inode.uid && cred.uid !== dir.uid)
    throw new SysError("EPERM", path);
}
