// A container's root file system: the image's files as a lower layer that costs nothing until it is looked at, changes in
// memory on top, and the mounts every container has (/dev, /dev/shm, /proc, /sys, the pod's /etc files, volumes).
import type { Random } from "@podwire/base";
import type { ImageFile, ImageSpec } from "../images/image.ts";
import { CharInode, DirInode, FileInode, FileSystem, type Inode, type SpacePool, SymlinkInode } from "../vfs/inode.ts";
import { type Mount, MountTable } from "../vfs/mounts.ts";
import { standardDevices } from "../vfs/regular-file.ts";

interface TreeNode {
  file: ImageFile;
  children: Map<string, TreeNode> | undefined;
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
  const root: TreeNode = { file: { path: "/", dir: true }, children: new Map() };
  for (const f of [...BASE, ...files]) {
    let at = root;
    const parts = f.path.split("/").filter((x) => x !== "");
    parts.forEach((part, i) => {
      at.children ??= new Map();
      let next = at.children.get(part);
      if (next === undefined) {
        next = { file: { path: `/${parts.slice(0, i + 1).join("/")}`, dir: true }, children: undefined };
        at.children.set(part, next);
      }
      if (i === parts.length - 1) next.file = f;
      at = next;
    });
  }
  trees.set(files, root);
  return root;
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

function fillFrom(node: TreeNode): (dir: DirInode) => void {
  return (dir) => {
    for (const [name, child] of node.children ?? []) dir.entries().set(name, inodeOf(child, dir.fs));
    for (const inode of dir.entries().values()) if (inode.kind === "dir") dir.nlink++;
  };
}

function inodeOf(node: TreeNode, fs: FileSystem): Inode {
  const f = node.file;
  const uid = f.uid ?? 0;
  const gid = f.gid ?? 0;
  if (f.symlink !== undefined) return new SymlinkInode(fs, f.symlink, uid, gid);
  if (f.content !== undefined || f.program !== undefined) {
    const inode = new FileInode(fs, f.mode ?? (f.program ? 0o755 : 0o644), uid, gid);
    inode.program = f.program;
    const content = contentOf(f);
    fs.lowerBytes += content.length;
    inode.adopt(content);
    return inode;
  }
  return new DirInode(fs, f.mode ?? 0o755, uid, gid, fillFrom(node));
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
  fs.root.setFill(fillFrom(treeOf(o.image.files)));
  const rootMount: Mount = { root: fs.root, readOnly: false, source: "overlay", target: "/" };
  const table = new MountTable(rootMount);
  const devices = new FileSystem({ type: "tmpfs", now: o.now, sizeLimitBytes: 65_536 * 1024 });
  devices.root.setFill((dir) => {
    for (const [name, d] of Object.entries(standardDevices(o.random))) dir.entries().set(name, new CharInode(devices, 0o666, d));
    dir.entries().set("shm", new DirInode(devices, 0o1777, 0, 0));
    dir.entries().set("pts", new DirInode(devices, 0o755, 0, 0));
    dir.entries().set("mqueue", new DirInode(devices, 0o1777, 0, 0));
    for (const [name, target] of [
      ["fd", "/proc/self/fd"],
      ["stdin", "/proc/self/fd/0"],
      ["stdout", "/proc/self/fd/1"],
      ["stderr", "/proc/self/fd/2"],
    ] as const)
      dir.entries().set(name, new SymlinkInode(devices, target, 0, 0));
  });
  mountAt(table, { mountPath: "/dev", root: devices.root, readOnly: false, source: "tmpfs" });
  for (const m of [...o.mounts].sort((a, b) => a.mountPath.split("/").length - b.mountPath.split("/").length)) mountAt(table, m);
  rootMount.readOnly = o.readOnly;
  return table;
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
