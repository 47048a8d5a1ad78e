import { seededRandom, silentLogger } from "@podwire/base";
import { memoryBus, openWire } from "@podwire/bus";
import { expect, test } from "vitest";
import { virtualClock } from "./virtual-clock.ts";

test("events run in order of due time, ties in order of creation, at exactly their time", () => {
  const c = virtualClock();
  const log: string[] = [];
  const note = (s: string) => () => void log.push(`${s}@${c.monotonicMs()}`);
  c.after(20, note("b"));
  c.after(10, note("a1"));
  c.after(10, note("a2"));
  c.after(30, note("late"));
  c.after(10, note("never")).cancel();
  c.soon(note("soon"));
  c.tick(20);
  expect(log).toEqual(["soon@0", "a1@10", "a2@10", "b@20"]);
  expect([c.monotonicMs(), c.pending()]).toEqual([20, 1]);
  expect(new Date(c.nowMs()).toISOString()).toBe("2026-01-01T00:00:00.020Z");
});

test("every repeats without drift until cancelled, also from within", () => {
  const c = virtualClock();
  const at: number[] = [];
  const t = c.every(5, () => {
    at.push(c.monotonicMs());
    if (at.length === 3) t.cancel();
  });
  c.tick(100);
  expect(at).toEqual([5, 10, 15]);
  expect(c.pending()).toBe(0);
});

test("advance lets promises settle between events; sleep can be aborted", async () => {
  const c = virtualClock();
  const log: string[] = [];
  const worker = (async () => {
    for (let i = 0; i < 3; i++) {
      await c.sleep(10);
      log.push(`w${c.monotonicMs()}`);
    }
  })();
  c.after(25, () => log.push("t25"));
  const stop = new AbortController();
  const aborted = expect(c.sleep(1_000, stop.signal)).rejects.toThrow("stop");
  stop.abort(new Error("stop"));
  await c.advance(30);
  await worker;
  await aborted;
  expect(log).toEqual(["w10", "w20", "t25", "w30"]);
});

test("until stops at the event that makes it true, and complains otherwise", async () => {
  const c = virtualClock();
  let n = 0;
  c.every(7, () => n++);
  await c.until(() => n === 3);
  expect(c.monotonicMs()).toBe(21);
  await expect(c.until(() => n === 0, 50)).rejects.toThrow("not reached");
});

test("a bus with requests, streams and a faulty wire replays exactly from its seed", async () => {
  const run = async (seed: number) => {
    const clock = virtualClock();
    const random = seededRandom(seed);
    const deps = { clock, random, log: silentLogger };
    const broker = memoryBus();
    const a = broker.connect({ cluster: "c", identity: "node:a", ...deps });
    const b = broker.connect({ cluster: "c", identity: "node:b", ...deps });
    const log: string[] = [];
    b.serve("x.y", async (n) => {
      await clock.sleep(random.below(50));
      return (n as number) * 2;
    });
    for (let i = 0; i < 20; i++) void a.request("x.y", i).then((v) => log.push(`${v}@${clock.monotonicMs().toFixed(3)}`));
    const faults = { delayMs: 10, jitterMs: 9, lossPercent: 20, duplicatePercent: 10 };
    const wa = openWire(a, { address: "10.0.0.1", ...deps, faults });
    const wb = openWire(b, { address: "10.0.0.2", ...deps });
    wb.onFrame((s, f) => log.push(`${s} ${f.bytes[0]}@${clock.monotonicMs().toFixed(3)}`));
    for (let i = 0; i < 50; i++) wa.send("10.0.0.2", { bytes: new Uint8Array([i]), gsoSize: 0, traceId: 0, traceHop: 0 });
    await clock.advance(200);
    return log;
  };
  const first = await run(5);
  expect(first.length).toBeGreaterThan(50);
  expect(await run(5)).toEqual(first);
  expect(await run(6)).not.toEqual(first);
});
