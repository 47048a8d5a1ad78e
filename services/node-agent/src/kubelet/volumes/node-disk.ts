// The node's disk as pods see it: emptyDirs and hostPaths. In memory while the node runs.
// Invariant: the same host path is the same inode for every pod of the node.
import { CharInode, DirInode, FifoInode, FileInode, FileSystem, type Inode, isErrno, MountTable, SocketInode } from "@podwire/runtime";
import { VolumeError } from "./payload.ts";

const AS_ROOT = { uid: 0, gid: 0, groups: [0], override: true };

export class NodeDisk {
  readonly #host: FileSystem;
  readonly #table: MountTable;
  readonly #emptyDirs = new Map<string, FileSystem>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
    this.#host = new FileSystem({ type: "ext4", now });
    this.#table = new MountTable({ root: this.#host.root, readOnly: false, source: "/dev/vda1", target: "/" });
    for (const d of [
      "/tmp",
      "/var",
      "/var/log",
      "/var/lib",
      "/var/lib/kubelet",
      "/etc",
      "/mnt",
      "/opt",
      "/run",
      "/home",
      "/root",
      "/dev",
      "/data",
    ])
      this.#table.mkdir(this.#table.root, d, AS_ROOT, d === "/tmp" ? 0o1777 : 0o755);
  }

  emptyDir(uid: string, name: string, fsGroup: number | undefined): FileSystem {
    const key = `${uid}/${name}`;
    let fs = this.#emptyDirs.get(key);
    if (!fs) {
      fs = new FileSystem({ type: "ext4", now: this.#now });
      fs.root.mode = 0o777;
      if (fsGroup !== undefined) {
        fs.root.gid = fsGroup;
        fs.root.mode |= 0o2000;
      }
      this.#emptyDirs.set(key, fs);
    }
    return fs;
  }

  removePod(uid: string): void {
    for (const key of [...this.#emptyDirs.keys()]) if (key.startsWith(`${uid}/`)) this.#emptyDirs.delete(key);
  }

  /** hostPath types: "", DirectoryOrCreate, Directory, FileOrCreate, File, Socket, CharDevice, BlockDevice. */
  hostPath(path: string, type: string): Inode {
    let inode = this.#find(path);
    if (type === "" && inode === undefined) return this.#mkdirs(path, 0o755);
    if (type === "DirectoryOrCreate" && inode === undefined) return this.#mkdirs(path, 0o755);
    if (type === "FileOrCreate" && inode === undefined) {
      const at = this.#table.walk(this.#table.root, path, AS_ROOT);
      inode = new FileInode(this.#host, 0o644, 0, 0);
      (at.dir.inode as DirInode).link(at.name, inode);
      return inode;
    }
    if (inode === undefined) throw new VolumeError(`hostPath type check failed: ${path} is not a ${WORDS[type] ?? type}`);
    const ok =
      type === "" ||
      (/^Directory/.test(type) && inode instanceof DirInode) ||
      (/^File/.test(type) && inode instanceof FileInode) ||
      (type === "Socket" && inode instanceof SocketInode) ||
      (type === "CharDevice" && inode instanceof CharInode) ||
      inode instanceof FifoInode;
    if (!ok) throw new VolumeError(`hostPath type check failed: ${path} is not a ${WORDS[type] ?? type}`);
    return inode;
  }

  #find(path: string): Inode | undefined {
    try {
      return this.#table.walk(this.#table.root, path, AS_ROOT).place?.inode;
    } catch (e) {
      if (isErrno(e, "ENOENT") || isErrno(e, "ENOTDIR")) return undefined;
      throw e;
    }
  }

  #mkdirs(path: string, mode: number): Inode {
    let at = "";
    for (const part of path.split("/").filter((x) => x !== "")) {
      at += `/${part}`;
      if (this.#find(at) === undefined) this.#table.mkdir(this.#table.root, at, AS_ROOT, mode);
    }
    return this.#find(path === "" ? "/" : path) as Inode;
  }
}

const WORDS: Record<string, string> = {
  Directory: "directory",
  DirectoryOrCreate: "directory",
  File: "file",
  FileOrCreate: "file",
  Socket: "socket file",
  CharDevice: "character device",
  BlockDevice: "block device",
};
