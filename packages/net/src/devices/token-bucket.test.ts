// The bucket on a virtual clock: a burst at once, then the rate, in order, and never more than the limit waits.
import { virtualClock } from "@podwire/testkit";
import { expect, test } from "vitest";
import { Packet } from "../packet.ts";
import { TokenBucket } from "./token-bucket.ts";

const packet = (bytes: number, n = 0) => {
  const p = Packet.alloc(bytes);
  p.mark = n;
  return p;
};

test("a burst leaves at once, the rest at the rate and in order", async () => {
  const clock = virtualClock();
  const bucket = new TokenBucket(clock, { bytesPerSecond: 10_000, burstBytes: 5_000, limitBytes: 100_000 });
  const left: { atMs: number; n: number }[] = [];
  const begin = clock.monotonicMs();
  const send = (p: Packet) => void left.push({ atMs: clock.monotonicMs() - begin, n: p.mark });
  for (let i = 0; i < 25; i++) expect(bucket.offer(packet(1000, i), send)).toBe(true);
  expect(left.map((l) => l.n)).toEqual([0, 1, 2, 3, 4]);
  await clock.advance(1000);
  expect(left).toHaveLength(15);
  await clock.advance(1000);
  expect(left.map((l) => l.n)).toEqual(Array.from({ length: 25 }, (_, i) => i));
  for (const [i, l] of left.entries()) expect(l.atMs).toBeGreaterThanOrEqual((i - 4) * 100 - 1);
});

test("what would wait beyond the limit is refused; one packet larger than the burst goes and leaves a debt", async () => {
  const clock = virtualClock();
  const bucket = new TokenBucket(clock, { bytesPerSecond: 1000, burstBytes: 2000, limitBytes: 3000 });
  let bytes = 0;
  const send = (p: Packet) => void (bytes += p.length);
  expect(bucket.offer(packet(10_000), send)).toBe(true);
  expect(bytes).toBe(10_000);
  expect([1000, 1000, 1000, 1000].map((n) => bucket.offer(packet(n), send))).toEqual([true, true, true, false]);
  expect(bucket.counters).toEqual({ delayed: 3, dropped: 1 });
  await clock.advance(8_900);
  expect(bytes).toBe(10_000);
  await clock.advance(3_200);
  expect(bytes).toBe(13_000);
  bucket.close();
});
