// Fragments: what is cut is put together again, in any order; overlaps, false ends, too much and too many are dropped with a reason.
import { seededRandom } from "@podwire/base";
import { ipOf, listen, settle, two, udp, virtualClock } from "@podwire/testkit";
import { expect, test } from "vitest";
import type { Packet } from "../packet.ts";
import { Counters } from "./counters.ts";
import { Flow, readFlow } from "./flow.ts";
import { BYTES_LIMIT, DATAGRAM_LIMIT, fragment, Reassembly, TIMEOUT_MS } from "./fragments.ts";

function table() {
  const clock = virtualClock();
  const counters = new Counters();
  return { clock, drops: () => counters.read().drops, r: new Reassembly(clock, counters) };
}

/** What becomes of a packet that arrives. */
function give(r: Reassembly, p: Packet): Packet | undefined {
  const f = new Flow();
  expect(readFlow(p, f, false)).toBeUndefined();
  return r.add(p, f);
}

/** An IPv4 fragment with payload bytes [from, to) of datagram `id`. */
function piece(id: number, from: number, to: number, more: boolean, src = "10.0.0.1", dst = "10.0.0.2"): Packet {
  const p = udp(src, 1, dst, 9, "", { bytes: to - from - 8 });
  const b = p.data;
  b[p.start + 4] = id >> 8;
  b[p.start + 5] = id;
  b[p.start + 6] = (more ? 0x20 : 0) | (from >> 11);
  b[p.start + 7] = from >> 3;
  b[p.start + 10] = b[p.start + 11] = 0;
  let sum = 0;
  for (let i = 0; i < 20; i += 2) sum += (b[p.start + i]! << 8) | b[p.start + i + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  b[p.start + 10] = ~sum >> 8;
  b[p.start + 11] = ~sum;
  return p;
}

test.each([
  ["10.0.0.1", "10.0.0.2", 65_507],
  ["fd00::1", "fd00::2", 65_527],
])("the largest datagram of %s, in pieces of 1,450 in any order, comes out as it was", (src, dst, bytes) => {
  const { r, drops } = table();
  const whole = udp(src, 1, dst, 9, "", { bytes });
  const wanted = Buffer.from(whole.bytes());
  const f = new Flow();
  readFlow(whole, f, false);
  const pieces = seededRandom(3).shuffle(fragment(whole, f, 1450, 77));
  const out = pieces.map((p) => give(r, p)).filter((p) => p !== undefined);
  expect(out).toHaveLength(1);
  const header = src.includes(":") ? 40 : 20;
  expect(Buffer.from(out[0]!.bytes()).subarray(header).equals(wanted.subarray(header))).toBe(true);
  expect([r.bytes, drops()]).toEqual([0, {}]);
});

test("an overlap ends its datagram, a repetition does not", () => {
  const { r, drops } = table();
  give(r, piece(1, 0, 800, true));
  give(r, piece(1, 792, 1600, false));
  expect([drops(), r.bytes]).toEqual([{ overlappingFragment: 1 }, 0]);
  give(r, piece(2, 0, 800, true));
  give(r, piece(2, 0, 800, true));
  expect(give(r, piece(2, 800, 900, false))?.length).toBe(920);
  expect(drops()).toEqual({ overlappingFragment: 1, duplicateFragment: 1 });
});

test("a piece behind the end, two ends, and a hole that the sum of lengths hides put nothing together and throw nothing", () => {
  const { r, drops } = table();
  // As many bytes as the end says, but one piece lies far behind it and a hole before it.
  give(r, piece(1, 0, 800, true));
  give(r, piece(1, 60_000, 60_800, true));
  expect(give(r, piece(1, 1600, 2400, false))).toBeUndefined();
  give(r, piece(2, 800, 1600, false));
  expect(give(r, piece(2, 60_000, 60_800, true))).toBeUndefined();
  give(r, piece(3, 800, 1600, false));
  expect(give(r, piece(3, 1600, 2400, false))).toBeUndefined();
  expect([drops(), r.bytes]).toEqual([{ badFragment: 3 }, 0]);
});

test("more than an IP packet can hold, and odd lengths in the middle, are refused (the ping of death)", () => {
  const { r, drops } = table();
  give(r, piece(1, 65_504, 65_504 + 800, false));
  give(r, piece(1, 0, 801, true));
  expect([drops(), r.bytes]).toEqual([{ badFragment: 2 }, 0]);
});

test("datagrams that never end are bounded in number, in bytes and in time", async () => {
  const { r, clock, drops } = table();
  for (let id = 0; id < DATAGRAM_LIMIT + 50; id++) give(r, piece(id, 0, 800, true));
  expect(drops()["reassemblyFull"]).toBe(50);
  for (let at = 800; at + 8000 < 65_000; at += 8000) for (let id = 0; id < DATAGRAM_LIMIT; id++) give(r, piece(id, at, at + 8000, true));
  expect(r.bytes).toBeLessThanOrEqual(BYTES_LIMIT);
  await clock.advance(TIMEOUT_MS + 1);
  expect(give(r, piece(5, 0, 800, true))).toBeUndefined();
  expect(give(r, piece(5, 800, 900, false))?.length).toBe(920);
  expect(drops()["reassemblyTimeout"]).toBe(DATAGRAM_LIMIT);
  expect(r.bytes).toBe(0);
});

test("random pieces, honest and not, throw nowhere and leave nothing behind", async () => {
  const random = seededRandom(11);
  const { r, clock, drops } = table();
  for (let i = 0; i < 6000; i++) {
    const from = random.below(40) * 8 + (random.below(20) === 0 ? 60_000 : 0);
    const length = 8 * (1 + random.below(12));
    give(r, piece(random.below(300), from, Math.min(from + length, 65_512), random.below(3) !== 0))?.release();
    if (i % 200 === 0) await clock.advance(500);
  }
  await clock.advance(2 * TIMEOUT_MS);
  give(r, piece(1, 0, 800, true));
  expect(r.bytes).toBe(800);
  expect(Object.keys(drops()).sort()).toEqual(["badFragment", "duplicateFragment", "overlappingFragment", "reassemblyTimeout"]);
});

test("a node takes a pod's fragments that lie about their end, counts them and goes on", async () => {
  const net = two();
  const p = net.a.addPod(2);
  const got = listen(net.a.root, false);
  const lie = (from: number, to: number, more: boolean) => p.output(piece(1, from, to, more, ipOf(p), "10.244.1.1"));
  lie(0, 800, true);
  lie(60_000, 60_800, true);
  lie(1600, 2400, false);
  p.output(udp(ipOf(p), 1, "10.244.1.1", 9, "alive"));
  await settle();
  expect(got.map((s) => s.text)).toEqual(["alive"]);
  expect(net.a.root.readCounters().drops["badFragment"]).toBe(1);
  net.close();
});
