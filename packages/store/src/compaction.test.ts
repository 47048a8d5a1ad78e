// When compaction runs, and what the plan for a stream purges.
import { type Clock, silentLogger, systemClock } from "@podwire/base";
import { expect, test } from "vitest";
import { startCompaction } from "./compaction.ts";
import { bytes, key } from "./contract.suite.ts";
import { planCompaction } from "./jetstream-compact.ts";
import { openMemoryStore } from "./memory.ts";

/** A clock whose period is fired by hand. */
function handClock(): { clock: Clock; fire(): Promise<void>; cancelled: boolean } {
  let fn: (() => unknown) | undefined;
  const hand = {
    clock: {
      ...systemClock,
      every: (_ms: number, f: () => void) => {
        fn = f;
        return {
          cancel: () => {
            hand.cancelled = true;
          },
        };
      },
    },
    fire: async () => void (await fn?.()),
    cancelled: false,
  };
  return hand;
}

test("each period compacts to where the store stood one period ago", async () => {
  const hand = handClock();
  const store = openMemoryStore({ clock: systemClock });
  const compaction = startCompaction(store, { clock: hand.clock, log: silentLogger });
  let r = await store.create(key("a"), bytes("0"));
  r = await store.update(key("a"), bytes("1"), r);
  await hand.fire();
  expect(store.versions()).toBe(2); // nothing is a period old yet
  r = await store.update(key("a"), bytes("2"), r);
  r = await store.update(key("a"), bytes("3"), r);
  await hand.fire();
  expect(store.versions()).toBe(2); // revisions 1 and 2 are gone, 3 is younger than a period
  await hand.fire();
  expect(store.versions()).toBe(1);
  compaction.stop();
  expect(hand.cancelled).toBe(true);
});

test("a failed compaction is logged, and made good by the next", async () => {
  const hand = handClock();
  const store = openMemoryStore({ clock: systemClock });
  const warned: string[] = [];
  const log = { ...silentLogger, warn: (_f: object, m?: string) => void warned.push(m ?? "") };
  let fail = false;
  const flaky = {
    ...store,
    currentRevision: () => store.currentRevision(),
    compact: (n: number) => (fail ? Promise.reject(new Error("away")) : store.compact(n)),
  };
  startCompaction(flaky as typeof store, { clock: hand.clock, log });
  let r = await store.create(key("a"), bytes("0"));
  r = await store.update(key("a"), bytes("1"), r);
  await hand.fire();
  fail = true;
  await hand.fire();
  expect(warned).toHaveLength(1);
  fail = false;
  await hand.fire();
  expect(store.versions()).toBe(1);
});

test("the plan: never the newest of a live key, never the stream's last message, only what is old enough", () => {
  const newest = new Map([
    ["live", { sequence: 9, deleted: false }],
    ["young", { sequence: 30, deleted: false }],
    ["single", { sequence: 3, deleted: false }],
    ["dead", { sequence: 8, deleted: true }],
    ["dying", { sequence: 25, deleted: true }],
    ["last", { sequence: 31, deleted: true }],
  ]);
  const counts = { live: 4, young: 5, single: 1, dead: 2, dying: 3, last: 1 };
  expect(planCompaction(newest, counts, 20, 31)).toEqual([
    { subject: "live", below: 9 },
    { subject: "young", below: 21 },
    { subject: "dead", below: 9 },
    { subject: "dying", below: 21 },
  ]);
  expect(planCompaction(new Map([["last", { sequence: 31, deleted: true }]]), { last: 2 }, 40, 31)).toEqual([
    { subject: "last", below: 31 },
  ]);
});
