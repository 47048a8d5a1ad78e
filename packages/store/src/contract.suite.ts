// What every store driver must do. Run by contract.test.ts on memory and on JetStream of a real nats-server.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Entry, Feed, FeedHandlers, Key, Store } from "./contract.ts";
import { KeyExistsError, KeyNotFoundError, RevisionConflictError, StoreClosedError } from "./errors.ts";

export interface StoreFixture {
  open(): Promise<Store>;
  /** How many versions and markers the driver keeps. */
  versions(): Promise<number>;
  close(): Promise<void>;
}

export const bytes = (s: string) => new TextEncoder().encode(s);
export const text = (b: Uint8Array) => new TextDecoder().decode(b);

export function key(name: string, namespace = "default", resource = "pods", group = ""): Key {
  return { group, resource, namespace, name };
}

/** Records what a feed says, in short: "+name@rev" snapshot, "=rev" synced, "~name@rev<prev" change, "-name@rev<prev" deletion. */
export function recorder(): FeedHandlers & { log: string[]; entries: Entry[] } {
  const log: string[] = [];
  const entries: Entry[] = [];
  return {
    log,
    entries,
    onSnapshot: (e) => {
      entries.push(e);
      log.push(`+${e.key.name}@${e.revision}`);
    },
    onSynced: (r) => log.push(`=${r}`),
    onChange: (e) => {
      entries.push(e);
      log.push(`${e.deleted ? "-" : "~"}${e.key.name}@${e.revision}<${e.previousRevision}`);
    },
    onRestart: (reason) => log.push(`restart: ${reason}`),
  };
}

export function storeContract(open: () => Promise<StoreFixture>): void {
  let fixture: StoreFixture;
  let store: Store;
  beforeAll(async () => {
    fixture = await open();
    store = await fixture.open();
  });
  afterAll(async () => {
    await store?.close();
    await fixture?.close();
  });

  describe("create, update, delete", () => {
    test("revisions of different keys come from one counter and only grow", async () => {
      const before = await store.currentRevision();
      const r1 = await store.create(key("one"), bytes("1"));
      const r2 = await store.create(key("one", "kube-system", "deployments", "apps"), bytes("2"));
      const r3 = await store.update(key("one"), bytes("3"), r1);
      expect([r1, r2, r3]).toEqual([before + 1, before + 2, before + 3]);
      expect(await store.currentRevision()).toBe(r3);
      const e = await store.get(key("one"));
      expect(e && { ...e, value: text(e.value) }).toEqual({
        key: key("one"),
        value: "3",
        revision: r3,
        deleted: false,
        previousRevision: r1,
      });
    });

    test("create of a living key names its revision; of a deleted key succeeds", async () => {
      const k = key("born-again");
      const r1 = await store.create(k, bytes("a"));
      await expect(store.create(k, bytes("b"))).rejects.toMatchObject({ name: "KeyExistsError", currentRevision: r1 });
      const r2 = await store.delete(k, bytes("a!"), r1);
      expect(r2).toBeGreaterThan(r1);
      expect(await store.get(k)).toBeUndefined();
      const r3 = await store.create(k, bytes("c"));
      expect(r3).toBeGreaterThan(r2);
      expect(await store.get(k)).toMatchObject({ revision: r3, previousRevision: r2 });
      await expect(store.create(k, bytes("d"))).rejects.toBeInstanceOf(KeyExistsError);
    });

    test("conflicts say what is there; absent and deleted keys are not found", async () => {
      const k = key("contested");
      const r1 = await store.create(k, bytes("a"));
      const r2 = await store.update(k, bytes("b"), r1);
      const conflict = { name: "RevisionConflictError", expectedRevision: r1, currentRevision: r2 };
      await expect(store.update(k, bytes("c"), r1)).rejects.toMatchObject(conflict);
      await expect(store.delete(k, bytes("c"), r1)).rejects.toMatchObject(conflict);
      await expect(store.update(k, bytes("c"), r2 + 1000)).rejects.toBeInstanceOf(RevisionConflictError);
      await expect(store.update(key("never"), bytes("c"), 5)).rejects.toBeInstanceOf(KeyNotFoundError);
      await expect(store.delete(key("never"), bytes("c"), 5)).rejects.toBeInstanceOf(KeyNotFoundError);
      const gone = await store.delete(k, bytes("b"), r2);
      await expect(store.update(k, bytes("c"), r2)).rejects.toBeInstanceOf(KeyNotFoundError);
      await expect(store.update(k, bytes("c"), gone)).rejects.toBeInstanceOf(KeyNotFoundError);
      await expect(store.delete(k, bytes("c"), gone)).rejects.toBeInstanceOf(KeyNotFoundError);
    });

    test("of many writers at the same revision exactly one wins", async () => {
      const k = key("race");
      const created = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => store.create(k, bytes(`c${i}`))));
      expect(created.filter((r) => r.status === "fulfilled")).toHaveLength(1);
      const r = (await store.get(k))?.revision as number;
      const updated = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => store.update(k, bytes(`u${i}`), r)));
      const won = updated.findIndex((u) => u.status === "fulfilled");
      expect(updated.filter((u) => u.status === "fulfilled")).toHaveLength(1);
      expect(text((await store.get(k))?.value as Uint8Array)).toBe(`u${won}`);
    });

    test("any name is safe: dots, wildcards, spaces, empty namespace, not ASCII", async () => {
      for (const name of ["a.b.c", "*", ">", "a b", "system:node:x", "ä/€", "=41", "a=b"]) {
        const k = key(name, "", "clusterroles", "rbac.authorization.k8s.io");
        const r = await store.create(k, bytes(name));
        expect(await store.get(k)).toMatchObject({ key: k, revision: r });
      }
    });

    test("values: empty, and 3 MB of every byte", async () => {
      const big = new Uint8Array(3 * 1024 * 1024).map((_, i) => i);
      await store.create(key("empty"), new Uint8Array(0));
      await store.create(key("big"), big);
      expect((await store.get(key("empty")))?.value.length).toBe(0);
      expect(Buffer.compare((await store.get(key("big")))?.value as Uint8Array, big)).toBe(0);
    });
  });

  describe("feed", () => {
    test("snapshot without deletions, exact revision, then every change in order with what it replaced", async () => {
      const r1 = await store.create(key("f1", "feed"), bytes("1"));
      const r2 = await store.create(key("f2", "feed"), bytes("2"));
      const r3 = await store.delete(key("f1", "feed"), bytes("1"), r1);
      const r4 = await store.update(key("f2", "feed"), bytes("22"), r2);
      const rec = recorder();
      const feed = await store.feed(rec);
      await feed.reached(r4);
      expect(feed.revision).toBe(r4);
      const mine = () => rec.log.filter((l) => /^[-+~]f\d@|^=\d/.test(l));
      expect(mine()).toEqual([`+f2@${r4}`, `=${r4}`]);
      const r5 = await store.create(key("f1", "feed"), bytes("again"));
      const r6 = await store.update(key("f2", "feed"), bytes("222"), r4);
      const r7 = await store.delete(key("f2", "feed"), bytes("222"), r6);
      await feed.reached(r7);
      expect(mine().slice(2)).toEqual([`~f1@${r5}<${r3}`, `~f2@${r6}<${r4}`, `-f2@${r7}<${r6}`]);
      const last = rec.entries.at(-1) as Entry;
      expect(text(last.value)).toBe("222");
      expect(last.key).toEqual(key("f2", "feed"));
      feed.close();
      await expect(feed.reached(r7 + 1)).rejects.toBeInstanceOf(StoreClosedError);
    });

    test("a feed that begins during writes misses and repeats nothing", async () => {
      const recs = [];
      const feeds: Feed[] = [];
      const writes: Promise<number>[] = [];
      for (let i = 0; i < 300; i++) {
        writes.push(store.create(key(`w${i}`, "during"), bytes(String(i))));
        if (i % 60 === 30) {
          const rec = recorder();
          recs.push(rec);
          feeds.push(await store.feed(rec));
        }
      }
      const last = Math.max(...(await Promise.all(writes)));
      for (const [i, feed] of feeds.entries()) {
        await feed.reached(last);
        const rec = recs[i] as ReturnType<typeof recorder>;
        const seen = rec.entries.filter((e) => e.key.namespace === "during").map((e) => e.key.name);
        expect(new Set(seen).size).toBe(300);
        expect(seen.length).toBe(300);
        const revisions = rec.entries.map((e) => e.revision);
        expect(revisions).toEqual([...revisions].sort((a, b) => a - b));
        feed.close();
      }
    });

    test("reached can be given up; a handler that throws does not end the feed", async () => {
      let changes = 0;
      let synced = () => {};
      const begun = new Promise<void>((resolve) => {
        synced = resolve;
      });
      const feed = await store.feed({
        onSnapshot() {},
        onSynced: () => synced(),
        onRestart() {},
        onChange() {
          changes++;
          throw new Error("handler's own fault");
        },
      });
      await begun;
      const stop = new AbortController();
      const waiting = feed.reached((await store.currentRevision()) + 1000, stop.signal);
      stop.abort(new Error("enough"));
      await expect(waiting).rejects.toThrow("enough");
      await store.create(key("t1", "throws"), bytes("1"));
      const r = await store.create(key("t2", "throws"), bytes("2"));
      await feed.reached(r);
      expect(changes).toBe(2);
      feed.close();
    });
  });

  describe("compaction", () => {
    test("superseded versions and old markers go; live objects, newer versions and feeds stay", async () => {
      const rec = recorder();
      const feed = await store.feed(rec);
      const live = key("live", "compact");
      const dead = key("dead", "compact");
      let r = await store.create(live, bytes("0"));
      for (let i = 1; i <= 10; i++) r = await store.update(live, bytes(String(i)), r);
      const d = await store.create(dead, bytes("x"));
      const marker = await store.delete(dead, bytes("x"), d);
      await store.compact(marker);
      const afterFirst = await fixture.versions();
      const r2 = await store.update(live, bytes("after"), r);
      expect(await fixture.versions()).toBe(afterFirst + 1);
      await store.compact(r); // r is below r2: the version at r is superseded and goes, r2 stays
      expect(await fixture.versions()).toBe(afterFirst);
      expect(await store.get(live)).toMatchObject({ revision: r2 });
      expect(await store.get(dead)).toBeUndefined();
      const again = await store.create(dead, bytes("y"));
      await feed.reached(again);
      expect(rec.log.some((l) => l.startsWith("restart"))).toBe(false);
      const fresh = recorder();
      const feed2 = await store.feed(fresh);
      await feed2.reached(again);
      expect(fresh.log.filter((l) => /live|dead/.test(l))).toEqual([`+live@${r2}`, `+dead@${again}`]);
      expect(fresh.log).toContain(`=${again}`);
      feed.close();
      feed2.close();
    });

    test("when the newest version of all is a compacted marker, revisions still go on and a feed syncs at it", async () => {
      const k = key("tail", "compact");
      const r = await store.create(k, bytes("x"));
      const marker = await store.delete(k, bytes("x"), r);
      await store.compact(marker);
      expect(await store.currentRevision()).toBe(marker);
      const rec = recorder();
      const feed = await store.feed(rec);
      await feed.reached(marker);
      expect(rec.log.at(-1)).toBe(`=${marker}`);
      expect(await store.create(k, bytes("y"))).toBe(marker + 1);
      feed.close();
    });
  });

  describe("size", () => {
    test("10,000 objects load, list by feed, and compact", async () => {
      const value = bytes(JSON.stringify({ metadata: { name: "x" }, spec: { data: "y".repeat(400) } }));
      const t0 = performance.now();
      await Promise.all(Array.from({ length: 10_000 }, (_, i) => store.create(key(`n${i}`, "load", "configmaps"), value)));
      const t1 = performance.now();
      const rec = recorder();
      const feed = await store.feed(rec);
      await feed.reached(await store.currentRevision());
      const t2 = performance.now();
      expect(rec.entries.filter((e) => e.key.namespace === "load")).toHaveLength(10_000);
      await store.compact(await store.currentRevision());
      const t3 = performance.now();
      console.log(`10,000 creates ${(t1 - t0).toFixed(0)} ms, feed ${(t2 - t1).toFixed(0)} ms, compaction ${(t3 - t2).toFixed(0)} ms`);
      feed.close();
    }, 60_000);
  });

  test("a closed store refuses", async () => {
    const other = await fixture.open();
    await other.close();
    await expect(other.get(key("one"))).rejects.toBeInstanceOf(StoreClosedError);
    await expect(other.create(key("zzz"), bytes(""))).rejects.toBeInstanceOf(StoreClosedError);
  });
}
