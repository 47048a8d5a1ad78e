// Volumes that several nodes have open, with requests and answers lost and the storage restarted: copies become the same, and the same as
// what a node reads that opens the volume afterwards; a node that a volume was taken from writes no more.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock as clock, type Random, seededRandom, silentLogger } from "@podwire/base";
import { type Bus, BusTimeoutError, memoryBus, subjectsOf, type VolumeChanged } from "@podwire/bus";
import { serveVolumes, VolumeStore } from "@podwire/edge";
import { RemoteVolume } from "@podwire/node-agent";
import { DirInode, FileInode, type FileSystem, isFifoOpen, MountTable, partsOf, type SpacePool, SymlinkInode } from "@podwire/runtime";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { eventually } from "./cluster.ts";

const log = silentLogger;
const ROOT = { uid: 0, gid: 0, groups: [0], override: true };
let folder: string;
let broker: ReturnType<typeof memoryBus>;
let edge: Bus;
let store: VolumeStore;
let server: { unsubscribe(): void };
let opened: RemoteVolume[];
/** Memory of each node for volumes' content. */
let pool: SpacePool;

const connect = (identity: string) => broker.connect({ cluster: "t", identity, clock, random: seededRandom(1), log });
function startStorage(): void {
  const subjects = subjectsOf("t");
  store = new VolumeStore({
    folder,
    clock,
    log,
    notify: (node, change) => edge.publish(subjects.volume(node), Buffer.from(JSON.stringify(change))),
  });
  server = serveVolumes(edge, store);
}
function stopStorage(): void {
  server.unsubscribe();
  store.close();
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "podwire-volumes-"));
  broker = memoryBus();
  edge = connect("edge");
  opened = [];
  pool = { limitBytes: Number.POSITIVE_INFINITY, usedBytes: 0 };
  startStorage();
});
afterEach(() => {
  for (const v of opened) v.abandon();
  stopStorage();
  rmSync(folder, { recursive: true, force: true });
});

/** A bus on which a part of the requests, or of their answers, is lost. */
function lossy(bus: Bus, random: Random, losses: { rate: number }): Bus {
  return Object.assign(Object.create(bus) as Bus, {
    async request(subject: string, body: unknown, o?: object) {
      if (random.float() < losses.rate) throw new BusTimeoutError(subject, 1);
      const answer = await bus.request(subject, body, o);
      if (random.float() < losses.rate) throw new BusTimeoutError(subject, 1);
      return answer;
    },
  });
}

async function openOn(
  node: string,
  volume: string,
  kind: "csi" | "nfs" = "nfs",
  around: (b: Bus) => Bus = (b) => b,
): Promise<RemoteVolume> {
  const bus = connect(`node:${node}`);
  const v = await RemoteVolume.open({ bus: around(bus), clock, log, volume, kind, readOnly: false, type: "nfs4", pool });
  bus.subscribe(subjectsOf("t").volume(node), (m) => {
    const change = JSON.parse(Buffer.from(m.data).toString()) as VolumeChanged;
    if (change.volume === volume) v.notice(change.generation, change.end);
  });
  opened.push(v);
  return v;
}

function textOf(fs: FileSystem): string {
  const lines: string[] = [];
  const walk = (d: DirInode, path: string) => {
    for (const [name, i] of [...d.entries()].sort(([a], [b]) => (a < b ? -1 : 1))) {
      const what = i instanceof FileInode ? Buffer.from(i.view()).toString("latin1") : i instanceof SymlinkInode ? i.target : i.kind;
      lines.push(`${path}/${name} ${i.ino} ${i.mode.toString(8)} ${what}`);
      if (i instanceof DirInode) walk(i, `${path}/${name}`);
    }
  };
  walk(fs.root, "");
  return lines.join("\n");
}

function step(fs: FileSystem, random: Random, node: string): void {
  const t = new MountTable({ root: fs.root, readOnly: false, source: "", target: "/" });
  const any = () => `/${random.pick(["a", "b", "c", "d/a", "d/b", "d/e/f"])}`;
  const folderName = () => random.pick(["/d", "/d/e", "/g"]);
  const write = () => {
    const f = t.open(t.root, any(), ROOT, { write: true, create: true, truncate: random.below(3) === 0 });
    if (isFifoOpen(f)) return;
    f.ref();
    f.seek(random.below(30), "set");
    f.writeNow(Buffer.from(`${node}${random.below(1000)}`));
    f.unref();
  };
  const calls = [
    write,
    write,
    write,
    () => t.unlink(t.root, any(), ROOT),
    () => t.rename(t.root, any(), any(), ROOT),
    () => t.mkdir(t.root, folderName(), ROOT, 0o755),
    () => t.rmdir(t.root, folderName(), ROOT),
    () => t.symlink(t.root, any(), any(), ROOT),
    () => t.chmod(t.root, any(), ROOT, random.below(0o1000)),
  ];
  try {
    random.pick(calls)();
  } catch (e) {
    if (!(e as { code?: string }).code) throw e;
  }
}

describe("three nodes change one volume at once", () => {
  for (const seed of [1, 2, 3, 67, 92])
    it(`and end with the same content, seed ${seed}`, async () => {
      const random = seededRandom(seed);
      const losses = { rate: 0 };
      const nodes = ["x", "y", "z"];
      const copies = await Promise.all(nodes.map((n) => openOn(n, "share", "nfs", (b) => lossy(b, random, losses))));
      losses.rate = 0.15;
      for (let round = 0; round < 60; round++) {
        copies.forEach((v, i) => {
          if (random.below(2) === 0) for (let k = random.below(4); k >= 0; k--) step(v.fs, random, nodes[i] as string);
        });
        if (round % 20 === 19) {
          stopStorage();
          await clock.sleep(5);
          startStorage();
        } else if (random.below(3) === 0) await clock.sleep(random.below(4));
      }
      losses.rate = 0;
      await Promise.all(copies.map((v) => v.flush()));
      await eventually(
        "all copies are the same",
        () => {
          // A notice may have been lost with the storage; the next change, or this, tells.
          for (const v of copies) v.notice(1, store.lengthOf("share"));
          const texts = copies.map((v) => textOf(v.fs));
          return texts.every((x) => x === texts[0]) || undefined;
        },
        8_000,
      );
      const fresh = await openOn("late", "share");
      expect(textOf(fresh.fs)).toBe(textOf((copies[0] as RemoteVolume).fs));
    });
});

it("a change whose answer was lost is not sent again before it was looked for", async () => {
  const lost = { answers: 0, opens: 0 };
  const v = await openOn("x", "share", "nfs", (bus) =>
    Object.assign(Object.create(bus) as Bus, {
      async request(subject: string, body: { op: string }, o?: object) {
        if (body.op === "open" && lost.opens-- > 0) throw new BusTimeoutError(subject, 1);
        const answer = await bus.request(subject, body, o);
        if (body.op === "append" && lost.answers-- > 0) throw new BusTimeoutError(subject, 1);
        return answer;
      },
    }),
  );
  lost.answers = 1;
  lost.opens = 3;
  v.fs.root.link("f", new FileInode(v.fs, 0o644, 0, 0));
  await v.flush();
  expect(lost.opens).toBeLessThan(0);
  const bytes = store.answer("x", { op: "read", volume: "share", generation: 1, offset: 0 }) as { bytes: Uint8Array };
  expect(partsOf(bytes.bytes).parts).toHaveLength(1);
});

it("a node's memory for the content of volumes ends with ENOSPC, and what does not fit is not opened", async () => {
  pool = { limitBytes: 1_000, usedBytes: 0 };
  const a = await openOn("a", "one");
  const write = (v: RemoteVolume, name: string, bytes: number) => {
    const f = new FileInode(v.fs, 0o644, 0, 0);
    v.fs.root.link(name, f);
    f.writeAt(0, Buffer.alloc(bytes));
  };
  write(a, "f", 900);
  expect(() => write(a, "g", 200)).toThrow("No space left on device");
  await a.flush();
  const small = { limitBytes: 500, usedBytes: 0 };
  pool = small;
  await expect(openOn("b", "one")).rejects.toThrow("does not fit into the node's --volume-space");
  expect(small.usedBytes).toBe(0);
  pool = { limitBytes: 1_000, usedBytes: 0 };
  const c = await openOn("c", "one");
  expect(pool.usedBytes).toBe(900);
  await c.close();
  expect(pool.usedBytes).toBe(0);
});

describe("a volume of the CSI driver", () => {
  const put = (v: RemoteVolume, name: string, text: string) => {
    const f = new FileInode(v.fs, 0o644, 0, 0);
    v.fs.root.link(name, f);
    f.writeAt(0, Buffer.from(text));
  };

  it("is for the node that it is attached to, and no longer for one that it was taken from", async () => {
    store.create("pvc-1", 1000);
    await expect(openOn("a", "pvc-1", "csi")).rejects.toThrow("volume pvc-1 is not attached to node a");
    store.attach("pvc-1", "a", { readOnly: false, exclusive: true });
    expect(() => store.attach("pvc-1", "b", { readOnly: false, exclusive: true })).toThrow("already attached to node a");
    const a = await openOn("a", "pvc-1", "csi");
    put(a, "f", "kept");
    await a.flush();
    expect(() => put(a, "big", "x".repeat(2000))).toThrow("No space left on device");
    expect(() => store.remove("pvc-1")).toThrow("still attached");
    store.detach("pvc-1", "a");
    put(a, "g", "too late");
    await eventually("node a learns it", () => a.lost);
    expect(() => put(a, "h", "never")).toThrow("Input/output error");
    store.attach("pvc-1", "b", { readOnly: false, exclusive: true });
    const b = await openOn("b", "pvc-1", "csi");
    expect([...b.fs.root.entries().keys()].filter((n) => n !== "big")).toEqual(["f"]);
  });

  it("is written anew when its log has grown far past its content, and stays what it was", async () => {
    store.create("pvc-2", 0);
    store.attach("pvc-2", "a", { readOnly: false, exclusive: true });
    let v = await openOn("a", "pvc-2", "csi");
    put(v, "f", "");
    const f = v.fs.root.get("f") as FileInode;
    for (let i = 0; i < 50; i++) f.writeAt(0, Buffer.alloc(100_000, i));
    await v.close();
    const before = store.lengthOf("pvc-2");
    expect(before).toBeGreaterThan(5_000_000);
    v = await openOn("a", "pvc-2", "csi");
    expect(store.lengthOf("pvc-2")).toBeLessThan(200_000);
    expect((v.fs.root.get("f") as FileInode).view()[99_999]).toBe(49);
    put(v, "after", "x");
    await v.close();
    stopStorage();
    startStorage();
    v = await openOn("a", "pvc-2", "csi");
    expect([...v.fs.root.entries().keys()]).toEqual(["f", "after"]);
  });
});
