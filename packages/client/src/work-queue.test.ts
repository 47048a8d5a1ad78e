import { systemClock } from "@podwire/base";
import { expect, test } from "vitest";
import { workQueue } from "./work-queue.ts";

test("a key added twice is handed out once", async () => {
  const q = workQueue({ clock: systemClock });
  q.add("a");
  q.add("a");
  q.add("b");
  expect(q.length).toBe(2);
  expect(await q.get()).toBe("a");
  expect(await q.get()).toBe("b");
  expect(q.length).toBe(0);
});

test("a key added while it is processed comes again after done, and not before", async () => {
  const q = workQueue({ clock: systemClock });
  q.add("a");
  expect(await q.get()).toBe("a");
  q.add("a");
  q.add("a");
  expect(q.length).toBe(0);
  q.done("a");
  expect(q.length).toBe(1);
  expect(await q.get()).toBe("a");
  q.done("a");
  expect(q.length).toBe(0);
});

test("a waiting getter gets the key at once, and undefined on shut-down", async () => {
  const q = workQueue({ clock: systemClock });
  const first = q.get();
  const second = q.get();
  q.add("x");
  expect(await first).toBe("x");
  q.shutDown();
  expect(await second).toBeUndefined();
  q.add("y");
  expect(await q.get()).toBeUndefined();
});

test("addAfter keeps the earliest time", async () => {
  const q = workQueue({ clock: systemClock });
  q.addAfter("a", 10_000);
  q.addAfter("a", 20);
  q.addAfter("a", 15_000);
  expect(q.length).toBe(0);
  const started = performance.now();
  expect(await q.get()).toBe("a");
  expect(performance.now() - started).toBeLessThan(2000);
  q.shutDown();
});

test("failures back off exponentially from 5 ms and are forgotten", async () => {
  const delays: number[] = [];
  const after = (ms: number, fn: () => void) => {
    delays.push(ms);
    queueMicrotask(fn);
    return { cancel() {} };
  };
  const clock = { ...systemClock, after };
  const q = workQueue({ clock });
  for (let i = 0; i < 4; i++) {
    q.addRateLimited("a");
    expect(await q.get()).toBe("a");
    q.done("a");
  }
  expect(delays).toEqual([5, 10, 20, 40]);
  expect(q.failures("a")).toBe(4);
  q.forget("a");
  expect(q.failures("a")).toBe(0);
});

test("order is first in first out over thousands of keys", async () => {
  const q = workQueue({ clock: systemClock });
  for (let i = 0; i < 5000; i++) q.add(`k${i}`);
  for (let i = 0; i < 5000; i++) {
    const k = await q.get();
    expect(k).toBe(`k${i}`);
    q.done(k as string);
  }
});
