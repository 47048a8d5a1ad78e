// fsGroup: gives a volume's files to a group (volume/volume_linux.go). Files become readable (and writable) by it, folders pass it on.
import { DirInode, type Inode, SymlinkInode } from "@podwire/runtime";

const READ_WRITE = 0o660;
const READ_ONLY = 0o440;
const EXECUTE = 0o110;
const SET_GID = 0o2000;

/** How the group of a pod's volumes is set: `policy` is the pod's fsGroupChangePolicy. */
export interface Ownership {
  fsGroup: number;
  policy: "Always" | "OnRootMismatch";
}

export function setVolumeOwnership(root: Inode, o: Ownership, readOnly: boolean): void {
  if (o.policy === "OnRootMismatch" && !mismatches(root, o.fsGroup, readOnly)) return;
  const visit = (inode: Inode): void => {
    own(inode, o.fsGroup, readOnly);
    if (inode instanceof DirInode) for (const child of inode.entries().values()) visit(child);
  };
  visit(root);
}

function wantedMode(inode: Inode, readOnly: boolean): number {
  const access = readOnly ? READ_ONLY : READ_WRITE;
  return inode.mode | access | (inode.kind === "dir" ? SET_GID | EXECUTE : 0);
}

function own(inode: Inode, gid: number, readOnly: boolean): void {
  const mode = inode instanceof SymlinkInode ? inode.mode : wantedMode(inode, readOnly);
  if (inode.gid === gid && inode.mode === mode) return;
  inode.gid = gid;
  inode.mode = mode;
  inode.attributesChanged();
}

function mismatches(root: Inode, gid: number, readOnly: boolean): boolean {
  return root.gid !== gid || root.mode !== wantedMode(root, readOnly);
}
