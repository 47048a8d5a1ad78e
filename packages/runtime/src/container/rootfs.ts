// A container's root file system: the image's files as a lower layer that costs nothing until it is looked at, changes in
// memory on top, and the mounts every container has (/dev, /dev/shm, /proc, /sys, the pod's /etc files, volumes).
import type { Random } from "@podwire/base";
import type { ImageFile, ImageSpec } from "../images/image.ts";
import { CharInode, DirInode, FileInode, FileSystem, type Inode, type LowerDir, type SpacePool, SymlinkInode } from "../vfs/inode.ts";
import { type Mount, MountTable } from "../vfs/mounts.ts";
import { standardDevices } from "../vfs/regular-file.ts";

/** A file of an image, and what lies below it; shared by all containers of the image. */
class TreeNode implements LowerDir {
  file: ImageFile;
  readonly names = new Map<string, TreeNode>();
  directories = 0;
  constructor(file: ImageFile) {
    this.file = file;
  }
  get isDirectory(): boolean {
    const f = this.file;
    return f.symlink === undefined && f.content === undefined && f.program === undefined;
  }
  make(name: string, fs: FileSystem): Inode {
    return inodeOf(this.names.get(name) as TreeNode, fs);
  }
}

const BASE: readonly ImageFile[] = [
  ...["/bin", "/dev", "/etc", "/home", "/proc", "/sys", "/usr", "/usr/bin", "/usr/sbin", "/sbin", "/var", "/run", "/var/run", "/lib"].map(
    (path) => ({ path, dir: true }),
  ),
  { path: "/tmp", dir: true, mode: 0o1777 },
  { path: "/root", dir: true, mode: 0o700 },
];

const trees = new WeakMap<readonly ImageFile[], TreeNode>();

function treeOf(files: readonly ImageFile[]): TreeNode {
  const known = trees.get(files);
  if (known) return known;
  const root = new TreeNode({ path: "/", dir: true });
  for (const f of [...BASE, ...files]) {
    let at = root;
    const parts = f.path.split("/").filter((x) => x !== "");
    parts.forEach((part, i) => {
      let next = at.names.get(part);
      if (next === undefined) {
        next = new TreeNode({ path: `/${parts.slice(0, i + 1).join("/")}`, dir: true });
        at.names.set(part, next);
      }
      if (i === parts.length - 1) next.file = f;
      at = next;
    });
  }
  countDirectories(root);
  trees.set(files, root);
  return root;
}

function countDirectories(node: TreeNode): void {
  for (const below of node.names.values()) {
    if (below.isDirectory) node.directories++;
    countDirectories(below);
  }
}

const encoder = new TextEncoder();
const contents = new WeakMap<ImageFile, Uint8Array>();

function contentOf(f: ImageFile): Uint8Array {
  let bytes = contents.get(f);
  if (bytes === undefined) {
    bytes = typeof f.content === "string" ? encoder.encode(f.content) : (f.content ?? new Uint8Array(0));
    contents.set(f, bytes);
  }
  return bytes;
}

/** An image's file is as old as the container, whenever it is first looked at. */
function asOld<T extends Inode>(inode: T): T {
  inode.atimeMs = inode.mtimeMs = inode.ctimeMs = inode.fs.madeMs;
  return inode;
}

function inodeOf(node: TreeNode, fs: FileSystem): Inode {
  const f = node.file;
  const uid = f.uid ?? 0;
  const gid = f.gid ?? 0;
  if (f.symlink !== undefined) return asOld(new SymlinkInode(fs, f.symlink, uid, gid));
  if (f.content !== undefined || f.program !== undefined) {
    const inode = new FileInode(fs, f.mode ?? (f.program ? 0o755 : 0o644), uid, gid);
    inode.program = f.program;
    const content = contentOf(f);
    fs.lowerBytes += content.length;
    inode.adopt(content);
    return asOld(inode);
  }
  return asOld(new DirInode(fs, f.mode ?? 0o755, uid, gid, node.names.size > 0 ? node : undefined));
}

/** Something mounted into a container: a volume, or a single file. */
export interface ContainerMount {
  mountPath: string;
  root: Inode;
  readOnly: boolean;
  source?: string;
  options?: string;
}

export interface RootfsOptions {
  image: ImageSpec;
  now: () => number;
  random: Random;
  readOnly: boolean;
  mounts: readonly ContainerMount[];
  /** The disk on which the writable layer lies. */
  pool?: SpacePool;
}

const AS_ROOT = { uid: 0, gid: 0, groups: [0], override: true };

/** Makes the mount table; missing mount points are created as a runtime does. */
export function buildRootfs(o: RootfsOptions): MountTable {
  const fs = new FileSystem({
    type: "overlay",
    now: o.now,
    ...(o.pool === undefined ? {} : { pool: o.pool }),
  });
  fs.root.setLower(treeOf(o.image.files));
  const rootMount: Mount = { root: fs.root, readOnly: false, source: "overlay", target: "/" };
  const table = new MountTable(rootMount);
  const devices = new FileSystem({ type: "tmpfs", now: o.now, sizeLimitBytes: 65_536 * 1024 });
  devices.root.setLower(devicesOf(o.random));
  mountAt(table, { mountPath: "/dev", root: devices.root, readOnly: false, source: "tmpfs" });
  for (const m of [...o.mounts].sort((a, b) => a.mountPath.split("/").length - b.mountPath.split("/").length)) mountAt(table, m);
  rootMount.readOnly = o.readOnly;
  return table;
}

/** /dev: made once for each source of randomness, as /dev/urandom needs one. */
const deviceDirs = new WeakMap<Random, LowerDir>();

function devicesOf(random: Random): LowerDir {
  const known = deviceDirs.get(random);
  if (known) return known;
  const names = new Map<string, (fs: FileSystem) => Inode>();
  for (const [name, d] of Object.entries(standardDevices(random))) names.set(name, (fs) => new CharInode(fs, 0o666, d));
  names.set("shm", (fs) => new DirInode(fs, 0o1777, 0, 0));
  names.set("pts", (fs) => new DirInode(fs, 0o755, 0, 0));
  names.set("mqueue", (fs) => new DirInode(fs, 0o1777, 0, 0));
  for (const [name, target] of [
    ["fd", "/proc/self/fd"],
    ["stdin", "/proc/self/fd/0"],
    ["stdout", "/proc/self/fd/1"],
    ["stderr", "/proc/self/fd/2"],
  ] as const)
    names.set(name, (fs) => new SymlinkInode(fs, target, 0, 0));
  const made: LowerDir = { names, directories: 3, make: (name, fs) => (names.get(name) as (fs: FileSystem) => Inode)(fs) };
  deviceDirs.set(random, made);
  return made;
}

function mountAt(table: MountTable, m: ContainerMount): void {
  const path = m.mountPath.replace(/(.)\/+$/, "$1");
  const parts = path.split("/").filter((x) => x !== "");
  let at = "";
  parts.forEach((part, i) => {
    const w = table.walk(table.root, `${at}/${part}`, AS_ROOT, true);
    at += `/${part}`;
    if (w.place !== undefined) return;
    const dir = w.dir.inode as DirInode;
    const last = i === parts.length - 1;
    dir.link(w.name, last && m.root.kind !== "dir" ? new FileInode(dir.fs, 0o755, 0, 0) : new DirInode(dir.fs, 0o755, 0, 0));
  });
  const place = table.resolve(table.root, path === "" ? "/" : path, AS_ROOT, true);
  table.mount(place, {
    root: m.root,
    readOnly: m.readOnly,
    source: m.source ?? "/dev/root",
    target: path,
    ...(m.options === undefined ? {} : { options: m.options }),
  });
}
