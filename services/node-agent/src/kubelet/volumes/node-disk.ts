// The node's disk as pods see it: emptyDirs of its pods and hostPaths. Its content is the node's folder, so it survives a reboot.
// Invariants: the same host path is the same inode for every pod of the node; an emptyDir lives as long as its pod is on this node;
// all of it together never takes more than the disk has.
import fs from "node:fs";
import path from "node:path";
import type { Clock } from "@podwire/base";
import {
  CharInode,
  DirInode,
  FifoInode,
  FileInode,
  FileSystem,
  type Inode,
  isErrno,
  MountTable,
  SocketInode,
  type SpacePool,
} from "@podwire/runtime";
import { JournalFile } from "./journal-file.ts";
import { VolumeError } from "./payload.ts";

const AS_ROOT = { uid: 0, gid: 0, groups: [0], override: true };

/** Folders that a fresh host has. */
const HOST_FOLDERS = [
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
  "/srv",
  "/usr",
] as const;

export interface NodeDiskOptions {
  /** Folder of the journals. */
  folder: string;
  clock: Clock;
  /** Content of all file systems of the disk together; more answers ENOSPC. */
  limitBytes: number;
  /** Files that a fresh host has, by path. */
  hostFiles?: Readonly<Record<string, string>>;
}

export class NodeDisk {
  readonly pool: SpacePool;
  readonly #o: NodeDiskOptions;
  readonly #emptyDirs = new Map<string, JournalFile>();
  #host: { journal: JournalFile; table: MountTable } | undefined;

  constructor(o: NodeDiskOptions) {
    this.#o = o;
    this.pool = { limitBytes: o.limitBytes, usedBytes: 0 };
  }

  /** Made at the first use: a node whose pods use no hostPath reads nothing. */
  #hostDisk() {
    this.#host ??= this.#openHost();
    return this.#host;
  }

  #openHost() {
    const journal = this.#open("host.journal", 0o755, (host) => {
      const t = new MountTable({ root: host.root, readOnly: false, source: "/dev/vda1", target: "/" });
      for (const d of HOST_FOLDERS) t.mkdir(t.root, d, AS_ROOT, d === "/tmp" ? 0o1777 : d === "/root" ? 0o700 : 0o755);
      for (const [at, text] of Object.entries(this.#o.hostFiles ?? {})) {
        const inode = new FileInode(host, 0o644, 0, 0);
        (t.resolve(t.root, path.posix.dirname(at), AS_ROOT).inode as DirInode).link(path.posix.basename(at), inode);
        inode.writeAt(0, Buffer.from(text));
      }
    });
    return { journal, table: new MountTable({ root: journal.fs.root, readOnly: false, source: "/dev/vda1", target: "/" }) };
  }

  #open(file: string, rootMode: number, fresh: (fs: FileSystem) => void = () => undefined): JournalFile {
    const { folder, clock } = this.#o;
    const made = new FileSystem({ type: "ext4", now: () => clock.nowMs(), pool: this.pool });
    made.root.mode = rootMode;
    return new JournalFile({ path: path.join(folder, file), fs: made, clock, fresh });
  }

  emptyDir(uid: string, name: string): FileSystem {
    const key = `${uid}/${name}`;
    let j = this.#emptyDirs.get(key);
    if (!j) {
      // Without anything in it it has no file: it is made like this again.
      j = this.#open(path.join("pods", uid, `${name}.journal`), 0o777);
      this.#emptyDirs.set(key, j);
    }
    return j.fs;
  }

  /** Bytes in the pod's emptyDir; undefined when there is none of that name. */
  emptyDirBytes(uid: string, name: string): number | undefined {
    return this.#emptyDirs.get(`${uid}/${name}`)?.fs.usedBytes;
  }

  removePod(uid: string): void {
    for (const [key, j] of [...this.#emptyDirs])
      if (key.startsWith(`${uid}/`)) {
        this.#emptyDirs.delete(key);
        j.remove();
      }
    fs.rmSync(path.join(this.#o.folder, "pods", uid), { recursive: true, force: true });
  }

  /** After a reboot: what belongs to pods that are no longer here goes. */
  retain(uids: ReadonlySet<string>): void {
    let found: string[] = [];
    try {
      found = fs.readdirSync(path.join(this.#o.folder, "pods"));
    } catch (e) {
      if ((e as { code?: string }).code !== "ENOENT") throw e;
    }
    for (const uid of found) if (!uids.has(uid)) this.removePod(uid);
  }

  close(): void {
    for (const j of this.#emptyDirs.values()) j.close();
    this.#host?.journal.close();
  }

  /** hostPath types: "", DirectoryOrCreate, Directory, FileOrCreate, File, Socket, CharDevice, BlockDevice. */
  hostPath(at: string, type: string): Inode {
    const { journal, table } = this.#hostDisk();
    let inode = this.#find(at);
    if (inode === undefined && (type === "" || type === "DirectoryOrCreate")) return this.#mkdirs(at, 0o755);
    if (inode === undefined && type === "FileOrCreate") {
      let place: ReturnType<MountTable["walk"]>;
      try {
        place = table.walk(table.root, at, AS_ROOT);
      } catch (e) {
        throw new VolumeError(`hostPath type check failed: open ${at}: no such file or directory`, { cause: e });
      }
      inode = new FileInode(journal.fs, 0o644, 0, 0);
      (place.dir.inode as DirInode).link(place.name, inode);
      return inode;
    }
    if (inode !== undefined && (type === "" || isOfType(inode, type))) return inode;
    throw new VolumeError(`hostPath type check failed: ${at} is not a ${WORDS[type] ?? type}`);
  }

  /** What lies at a path of the host; undefined when nothing does. */
  find(at: string): Inode | undefined {
    this.#hostDisk();
    return this.#find(at);
  }

  #find(at: string): Inode | undefined {
    const { table } = this.#hostDisk();
    try {
      return table.walk(table.root, at, AS_ROOT).place?.inode;
    } catch (e) {
      if (isErrno(e, "ENOENT") || isErrno(e, "ENOTDIR")) return undefined;
      throw e;
    }
  }

  #mkdirs(target: string, mode: number): Inode {
    const { table } = this.#hostDisk();
    let at = "";
    for (const part of target.split("/").filter((x) => x !== "")) {
      at += `/${part}`;
      if (this.#find(at) === undefined) table.mkdir(table.root, at, AS_ROOT, mode);
    }
    return this.#find(at === "" ? "/" : at) as Inode;
  }
}

function isOfType(inode: Inode, type: string): boolean {
  switch (type) {
    case "Directory":
    case "DirectoryOrCreate":
      return inode instanceof DirInode;
    case "File":
    case "FileOrCreate":
      return inode instanceof FileInode;
    case "Socket":
      return inode instanceof SocketInode;
    case "CharDevice":
      return inode instanceof CharInode && !(inode instanceof FifoInode);
    default:
      return false;
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
