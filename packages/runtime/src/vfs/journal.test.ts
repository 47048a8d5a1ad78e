// Random histories of file system calls, journalled, replayed, torn and shared between two machines: the copies are the same.
import { seededRandom } from "@podwire/base";
import { expect, it } from "vitest";
import { DirInode, FileInode, FileSystem, SymlinkInode } from "./inode.ts";
import { Replica, recordChanges, snapshotOf } from "./journal.ts";
import { MountTable } from "./mounts.ts";

const ROOT = { uid: 0, gid: 0, groups: [0], override: true };
let time = 1_700_000_000_000;
const make = (firstIno?: number) => new FileSystem({ type: "ext4", now: () => time, ...(firstIno ? { firstIno } : {}) });
const tableOf = (fs: FileSystem) => new MountTable({ root: fs.root, readOnly: false, source: "", target: "/" });

function textOf(fs: FileSystem): string {
  const lines: string[] = [];
  const walk = (d: DirInode, path: string) => {
    for (const [name, i] of [...d.entries()].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const what =
        i instanceof FileInode ? Buffer.from(i.view()).toString("latin1") : i instanceof SymlinkInode ? `-> ${i.target}` : i.kind;
      lines.push(`${path}/${name} ${i.ino} ${i.mode.toString(8)} ${i.uid}:${i.gid} ${i.nlink} ${Math.trunc(i.mtimeMs)} ${what}`);
      if (i instanceof DirInode) walk(i, `${path}/${name}`);
    }
  };
  walk(fs.root, "");
  return `${lines.join("\n")}\nused ${fs.usedBytes} inodes ${fs.inodes}`;
}

/** One random call; errors are part of life. */
function step(fs: FileSystem, random: ReturnType<typeof seededRandom>): void {
  time += 10;
  const t = tableOf(fs);
  const any = () => `/${["a", "b", "c", "d/a", "d/b", "d/e/f", "g"][random.below(7)]}`;
  const write = (append: boolean) => {
    const f = t.open(t.root, any(), ROOT, { write: true, create: true, truncate: !append && random.below(2) === 0, append });
    if (!("writeNow" in f)) return;
    f.ref();
    if (!append) f.seek(random.below(20), "set");
    f.writeNow(Buffer.from("x".repeat(random.below(30)) + random.below(10)));
    f.unref();
  };
  try {
    const folder = ["/d", "/d/e", "/g"][random.below(3)] as string;
    const calls = [
      () => write(false),
      () => write(false),
      () => write(true),
      () => t.unlink(t.root, any(), ROOT),
      () => t.rename(t.root, any(), any(), ROOT),
      () => t.mkdir(t.root, folder, ROOT, 0o755),
      () => t.rmdir(t.root, folder, ROOT),
      () => t.symlink(t.root, any(), any(), ROOT),
      () => t.link(t.root, any(), any(), ROOT),
      () => t.chmod(t.root, any(), ROOT, random.below(0o1000)),
      () => t.chown(t.root, any(), ROOT, random.below(3), random.below(3)),
    ];
    random.pick(calls)();
  } catch (e) {
    if (!(e as { code?: string }).code) throw e;
  }
}

it("replays to the same file system, from its records and from a snapshot", () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = seededRandom(seed);
    const fs = make();
    const records: Buffer[] = [];
    recordChanges(fs, (r) => records.push(...r));
    for (let i = 0; i < 120; i++) step(fs, random);
    const again = make();
    const all = Buffer.concat(records);
    expect(new Replica(again).apply(all)).toBe(all.length);
    expect(textOf(again), `seed ${seed}`).toBe(textOf(fs));
    const fromSnapshot = make();
    const copy = new Replica(fromSnapshot);
    copy.apply(Buffer.concat([...snapshotOf(fs)]));
    copy.sweep();
    expect(textOf(fromSnapshot), `seed ${seed}, snapshot`).toBe(textOf(fs));
    // Over an older state of itself, too.
    const older = make();
    const replica = new Replica(older);
    replica.apply(Buffer.concat(records.slice(0, records.length >> 1)));
    replica.apply(Buffer.concat([...snapshotOf(fs)]));
    replica.sweep();
    expect(textOf(older), `seed ${seed}, snapshot over an older state`).toBe(textOf(fs));
  }
});

it("stops at a torn or damaged record", () => {
  const fs = make();
  const records: Buffer[] = [];
  recordChanges(fs, (r) => records.push(...r));
  for (const name of ["one", "two"]) fs.root.link(name, new FileInode(fs, 0o644, 0, 0));
  const all = Buffer.concat(records);
  const torn = make();
  expect(new Replica(torn).apply(all.subarray(0, all.length - 3))).toBe(all.length - (records.at(-1) as Buffer).length);
  expect([...torn.root.entries().keys()]).toEqual(["one"]);
  const damaged = Buffer.from(all);
  damaged[damaged.length - 1] = (damaged.at(-1) as number) ^ 1;
  const partly = make();
  new Replica(partly).apply(damaged);
  expect([...partly.root.entries().keys()]).toEqual(["one"]);
});

it("keeps content that a file had before it got its name, and whole trees", () => {
  const fs = make();
  const records: Buffer[] = [];
  recordChanges(fs, (r) => records.push(...r));
  const dir = new DirInode(fs, 0o755, 0, 0);
  const file = new FileInode(fs, 0o600, 7, 8);
  file.adopt(Buffer.from("before"));
  dir.link("f", file);
  fs.root.link("d", dir);
  const again = make();
  new Replica(again).apply(Buffer.concat(records));
  expect(textOf(again)).toBe(textOf(fs));
});
