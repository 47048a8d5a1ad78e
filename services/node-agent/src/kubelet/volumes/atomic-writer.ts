// Writes a payload into a volume so that a reader sees the old or the new content, never a mixture (volume/util/atomic_writer.go):
// files lie in a dated folder, "..data" points at it, and user-visible names point through "..data".
import { DirInode, FileInode, FileSystem, SymlinkInode } from "@podwire/runtime";
import type { Payload } from "./payload.ts";

export interface WriteOptions {
  nowMs: number;
  /** fsGroup of the pod: group ownership and group readability. */
  fsGroup?: number | undefined;
}

/** Replaces the content of `root`. False when it is already so. */
export function writePayload(root: DirInode, payload: Payload, o: WriteOptions): boolean {
  if (isCurrent(root, payload)) return false;
  const fs = root.fs;
  const stamp = new Date(o.nowMs).toISOString();
  const name = `..${stamp.slice(0, 19).replaceAll("-", "_").replaceAll("T", "_").replaceAll(":", "_")}.${String(Math.trunc(fs.inodes * 7919) % 1_000_000_000).padStart(9, "0")}`;
  const dated = new DirInode(fs, 0o755 | (o.fsGroup !== undefined ? 0o2000 : 0), 0, o.fsGroup ?? 0);
  for (const [path, f] of payload) {
    const parts = path.split("/").filter((x) => x !== "");
    let dir = dated;
    for (const part of parts.slice(0, -1)) {
      let next = dir.get(part);
      if (!(next instanceof DirInode)) {
        next = new DirInode(fs, 0o755, 0, o.fsGroup ?? 0);
        dir.link(part, next);
      }
      dir = next as DirInode;
    }
    const mode = o.fsGroup !== undefined && f.uid === undefined ? f.mode | 0o040 : f.mode;
    const file = new FileInode(fs, mode, f.uid ?? 0, o.fsGroup ?? 0);
    file.adopt(f.bytes);
    dir.link(parts.at(-1) as string, file);
  }
  const old = root.get("..data");
  const oldName = old instanceof SymlinkInode ? old.target : undefined;
  root.link(name, dated);
  if (old) root.unlink("..data");
  root.link("..data", new SymlinkInode(fs, name, 0, 0));
  const wanted = new Set([...payload.keys()].map((p) => p.split("/").find((x) => x !== "") as string));
  for (const top of wanted) if (!root.get(top)) root.link(top, new SymlinkInode(fs, `..data/${top}`, 0, 0));
  for (const [existing] of [...root.entries()]) if (!existing.startsWith("..") && !wanted.has(existing)) root.unlink(existing);
  if (oldName !== undefined && root.get(oldName)) root.unlink(oldName);
  return true;
}

function isCurrent(root: DirInode, payload: Payload): boolean {
  const link = root.get("..data");
  const dir = link instanceof SymlinkInode ? root.get(link.target) : undefined;
  if (!(dir instanceof DirInode)) return false;
  let files = 0;
  const count = (d: DirInode): void => {
    for (const i of d.entries().values()) i instanceof DirInode ? count(i) : files++;
  };
  count(dir);
  if (files !== payload.size) return false;
  for (const [path, f] of payload) {
    let at: unknown = dir;
    for (const part of path.split("/").filter((x) => x !== "")) at = at instanceof DirInode ? at.get(part) : undefined;
    if (!(at instanceof FileInode) || Buffer.compare(at.view(), f.bytes) !== 0) return false;
  }
  return true;
}

export function memoryVolume(
  now: () => number,
  o: { type?: "tmpfs" | "ext4"; sizeLimitBytes?: number | undefined; mode?: number; fsGroup?: number | undefined } = {},
): FileSystem {
  const fs = new FileSystem({
    type: o.type ?? "tmpfs",
    now,
    ...(o.sizeLimitBytes === undefined ? {} : { sizeLimitBytes: o.sizeLimitBytes }),
  });
  fs.root.mode = o.mode ?? 0o777;
  if (o.fsGroup !== undefined) {
    fs.root.gid = o.fsGroup;
    fs.root.mode |= 0o2000;
  }
  return fs;
}
