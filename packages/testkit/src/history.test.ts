// The checker finds what is planted, finds nothing in the memory store's histories, and nothing in JetStream's while the
// server is killed again and again under two stores that fight over the same keys.
import { seededRandom, silentLogger, systemClock } from "@podwire/base";
import { type Entry, openJetStreamStore, openMemoryStore, type Store } from "@podwire/store";
import { describe, expect, test } from "vitest";
import { checkStoreHistory, type StoreOperation } from "./history.ts";
import { runStoreWorkload } from "./store-workload.ts";
import { startTestNats, testNatsBinary } from "./test-nats.ts";
import { virtualClock } from "./virtual-clock.ts";

const key = { group: "", resource: "pods", namespace: "d", name: "x" };
const entry = (revision: number, previousRevision: number, value: string, deleted = false): Entry => ({
  key,
  revision,
  previousRevision,
  value: new TextEncoder().encode(value),
  deleted,
});
const write = (
  kind: "create" | "update" | "delete",
  value: string,
  expected: number,
  revision: number,
  from: number,
  to: number,
): StoreOperation => ({
  client: "c",
  key,
  kind,
  value,
  expected,
  calledMs: from,
  returnedMs: to,
  outcome: { kind: "done", revision },
});
const read = (revision: number, value: string, from: number, to: number): StoreOperation => ({
  client: "r",
  key,
  kind: "get",
  calledMs: from,
  returnedMs: to,
  found: revision === 0 ? undefined : { revision, value },
});

const log = [entry(1, 0, "a"), entry(2, 1, "b"), entry(5, 2, "c", true)];
const history = [write("create", "a", 0, 1, 0, 1), write("update", "b", 1, 2, 2, 3), write("delete", "c", 2, 5, 4, 5)];

describe("planted", () => {
  test("a possible history passes, reads that overlap writes included", () => {
    const reads = [
      read(0, "", 0, 0.5),
      read(1, "a", 0.5, 2.5),
      read(1, "a", 2.5, 4),
      read(2, "b", 2.5, 2.6),
      read(2, "b", 4, 6),
      read(0, "", 4.5, 6),
      read(0, "", 9, 9.5),
    ];
    expect(checkStoreHistory([...history, ...reads], log)).toEqual([]);
  });

  const cases: [string, StoreOperation[], Entry[], RegExp][] = [
    ["an acknowledged write is lost", history, log.slice(0, 2), /acknowledged at 5, the log has it at no revision/],
    [
      "a write is at another revision than was said",
      [write("create", "a", 0, 1, 0, 1), write("update", "b", 1, 3, 2, 3)],
      log.slice(0, 2),
      /acknowledged at 3, the log has it at 2/,
    ],
    ["a write happens twice", history, [...log, entry(6, 5, "b")], /happened twice/],
    [
      "a write replaces what it did not expect",
      [write("create", "a", 0, 1, 0, 1), write("update", "b", 9, 2, 2, 3)],
      log.slice(0, 2),
      /replaced 1/,
    ],
    [
      "a later write gets a lower revision",
      [write("create", "a", 0, 1, 8, 9), write("update", "b", 1, 2, 2, 3)],
      log.slice(0, 2),
      /was certain before/,
    ],
    ["a stale read", [...history, read(1, "a", 3.5, 4)], log, /had replaced it before/],
    ["a read from the future", [...history, read(2, "b", 0, 1)], log, /before it was written/],
    ["a read of what never was", [...history, read(2, "z", 3, 4)], log, /does not have/],
    ["nothing is found although it was there", [...history, read(0, "", 3.2, 3.5)], log, /no deletion explains it/],
    [
      "a refused write happened",
      [{ ...(history[0] as StoreOperation), outcome: { kind: "refused", current: 3 } } as StoreOperation],
      log.slice(0, 1),
      /refused, but it happened/,
    ],
    ["a version is missing in between", history, [log[0] as Entry, log[2] as Entry], /says it replaced 2, but 1 was there/],
  ];
  test.each(cases)("%s", (_name, operations, entries, expected) => {
    expect(checkStoreHistory(operations, entries).join("\n")).toMatch(expected);
  });
});

test("the memory store's histories are possible, for many seeds, on virtual time", async () => {
  let total = 0;
  for (let seed = 1; seed <= 20; seed++) {
    const clock = virtualClock();
    const store = openMemoryStore({ clock });
    const seen: Entry[] = [];
    await store.feed({ onSnapshot: (e) => seen.push(e), onSynced() {}, onChange: (e) => seen.push(e), onRestart() {} });
    const run = runStoreWorkload({
      clock,
      random: seededRandom(seed),
      stores: [store],
      clients: 5,
      keys: 3,
      pauseMs: 5,
      over: () => clock.monotonicMs() > 500,
    });
    await clock.advance(1_000);
    const operations = await run;
    total += operations.length;
    expect(checkStoreHistory(operations, seen)).toEqual([]);
  }
  expect(total).toBeGreaterThan(5_000);
});

describe.skipIf(testNatsBinary === undefined)("JetStream (skipped without a nats-server)", () => {
  test("kill -9 of the server under two stores: nothing acknowledged is lost, nothing happens twice, feeds agree", async () => {
    const nats = await startTestNats();
    try {
      const random = seededRandom(11);
      const stores: Store[] = [];
      const feeds: { seen: Entry[]; restarts: string[] }[] = [];
      for (let i = 0; i < 2; i++) {
        const store = await openJetStreamStore(await nats.connect("apiserver"), { clock: systemClock, log: silentLogger });
        stores.push(store);
        const f = { seen: [] as Entry[], restarts: [] as string[] };
        feeds.push(f);
        await new Promise<void>((synced) => {
          void store.feed({
            onSnapshot: (e) => f.seen.push(e),
            onSynced: () => synced(),
            onChange: (e) => f.seen.push(e),
            onRestart: (r) => f.restarts.push(r),
          });
        });
      }
      let over = false;
      let begun = 0;
      const more = async (operations: number) => {
        for (const until = begun + operations; begun < until; ) await new Promise((r) => setTimeout(r, 1));
      };
      const stop = () => {
        begun++;
        return over;
      };
      const run = runStoreWorkload({ clock: systemClock, random, stores, clients: 8, keys: 4, pauseMs: 2, over: stop });
      for (let i = 0; i < 4; i++) {
        await more(50 + random.below(100));
        await nats.kill();
        await new Promise((r) => setTimeout(r, random.below(100)));
        await nats.start();
      }
      await more(50);
      over = true;
      const operations = await run;
      const last = await (stores[0] as Store).currentRevision();
      for (const [i, store] of stores.entries()) {
        const end = await store.feed({ onSnapshot() {}, onSynced() {}, onChange() {}, onRestart() {} });
        await end.reached(last);
        for (let n = 0; n < 500 && (feeds[i]?.seen.at(-1)?.revision ?? 0) < last; n++) await new Promise((r) => setTimeout(r, 10));
      }
      expect(feeds.map((f) => f.restarts)).toEqual([[], []]);
      expect(checkStoreHistory(operations, feeds[0]?.seen as Entry[])).toEqual([]);
      expect(feeds[1]?.seen.map((e) => e.revision)).toEqual(feeds[0]?.seen.map((e) => e.revision));
      expect(operations.length).toBeGreaterThan(200);
      const done = operations.filter((o) => o.kind !== "get" && o.outcome.kind === "done").length;
      expect(done).toBe(feeds[0]?.seen.length);
    } finally {
      await nats.close();
    }
  }, 90_000);
});
