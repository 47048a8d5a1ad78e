// The node's disk over reboots, and fsGroup.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { systemClock as clock } from "@podwire/base";
import { DirInode, FileInode, FileSystem } from "@podwire/runtime";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { NodeDisk } from "./node-disk.ts";
import { setVolumeOwnership } from "./ownership.ts";
import { VolumeError } from "./payload.ts";

let folder: string;
beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "podwire-disk-"));
});
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));

const open = (limitBytes = 1e6) => new NodeDisk({ folder, clock, limitBytes });
const turn = () => new Promise<void>((r) => clock.soon(r));

function put(dir: DirInode, name: string, text: string): FileInode {
  const f = new FileInode(dir.fs, 0o644, 0, 0);
  dir.link(name, f);
  f.writeAt(0, Buffer.from(text));
  return f;
}
const read = (dir: DirInode, name: string) => Buffer.from((dir.get(name) as FileInode).view()).toString();

describe("the node's disk", () => {
  it("keeps emptyDirs and hostPaths over a power cut, and nothing of pods that are gone", async () => {
    const disk = open();
    put(disk.emptyDir("pod-1", "cache").root, "f", "one");
    put(disk.emptyDir("pod-2", "cache").root, "f", "two");
    put(disk.hostPath("/data/app", "DirectoryOrCreate") as DirInode, "h", "host");
    await turn();
    // No close: the process was killed.
    const again = open();
    again.retain(new Set(["pod-1"]));
    expect(read(again.emptyDir("pod-1", "cache").root, "f")).toBe("one");
    expect(again.emptyDir("pod-1", "cache").root.mode & 0o777).toBe(0o777);
    expect(again.emptyDir("pod-2", "cache").root.entries().size).toBe(0);
    expect(read(again.hostPath("/data/app", "Directory") as DirInode, "h")).toBe("host");
    again.removePod("pod-1");
    expect(fs.existsSync(path.join(folder, "pods", "pod-1"))).toBe(false);
  });

  it("writes nothing for a volume that nobody writes to", async () => {
    const disk = open();
    disk.emptyDir("pod-1", "idle");
    await turn();
    expect(fs.existsSync(path.join(folder, "pods"))).toBe(false);
  });

  it("ends when it is full, for all volumes together, and gives the space back", () => {
    const disk = open(1000);
    const a = put(disk.emptyDir("pod-1", "a").root, "f", "x".repeat(600));
    expect(() => put(disk.emptyDir("pod-2", "b").root, "f", "x".repeat(600))).toThrow("No space left on device");
    a.truncate(0);
    put(disk.emptyDir("pod-2", "b").root, "g", "x".repeat(600));
    disk.removePod("pod-2");
    expect(disk.pool.usedBytes).toBe(0);
  });

  it("keeps its file small while content is overwritten", async () => {
    const disk = open(8e6);
    const f = put(disk.emptyDir("pod-1", "log").root, "f", "");
    for (let i = 0; i < 40; i++) {
      f.writeAt(0, Buffer.alloc(100_000, i));
      await turn();
    }
    expect(fs.statSync(path.join(folder, "pods", "pod-1", "log.journal")).size).toBeLessThan(1_400_000);
    const again = open(8e6);
    expect((again.emptyDir("pod-1", "log").root.get("f") as FileInode).view()[5]).toBe(39);
  });

  it("checks the types of hostPaths in the kubelet's words", () => {
    const disk = open();
    expect(() => disk.hostPath("/nowhere", "Directory")).toThrow(
      new VolumeError("hostPath type check failed: /nowhere is not a directory"),
    );
    expect(() => disk.hostPath("/data", "File")).toThrow(new VolumeError("hostPath type check failed: /data is not a file"));
    expect(() => disk.hostPath("/data/s", "Socket")).toThrow(new VolumeError("hostPath type check failed: /data/s is not a socket file"));
    expect(disk.hostPath("/data/new", "FileOrCreate")).toBeInstanceOf(FileInode);
    expect(disk.hostPath("/made/for/you", "")).toBeInstanceOf(DirInode);
  });
});

describe("fsGroup", () => {
  const volume = () => {
    const v = new FileSystem({ type: "ext4", now: () => 0 });
    put(v.root, "f", "x").mode = 0o600;
    const sub = new DirInode(v, 0o700, 0, 0);
    v.root.link("sub", sub);
    return { v, sub };
  };
  it("gives everything to the group", () => {
    const { v, sub } = volume();
    setVolumeOwnership(v.root, { fsGroup: 2000, policy: "Always" }, false);
    expect([v.root.gid, sub.gid, (v.root.get("f") as FileInode).gid]).toEqual([2000, 2000, 2000]);
    expect([v.root.mode, sub.mode, (v.root.get("f") as FileInode).mode]).toEqual([0o2775, 0o2770, 0o660]);
  });
  it("leaves what is below a root that is right already, when the policy says so", () => {
    const { v, sub } = volume();
    setVolumeOwnership(v.root, { fsGroup: 2000, policy: "OnRootMismatch" }, false);
    sub.gid = 7;
    setVolumeOwnership(v.root, { fsGroup: 2000, policy: "OnRootMismatch" }, false);
    expect(sub.gid).toBe(7);
    setVolumeOwnership(v.root, { fsGroup: 2001, policy: "OnRootMismatch" }, false);
    expect(sub.gid).toBe(2001);
  });
});
