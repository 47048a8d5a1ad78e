// encode and decode against everything: every plain value survives, every other byte string is refused in bounded memory.
import { seededRandom, silentLogger, systemClock } from "@podwire/base";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkStructure, decode, encode, encodeAfter, MAX_DEPTH } from "./codec.ts";
import { until } from "./contract.suite.ts";
import { MalformedError } from "./errors.ts";
import { memoryBus } from "./memory.ts";

const plain = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, false, 0, -1, 127, 128, -32, -33, 65_535, 65_536, 2 ** 31, 2 ** 32, 2 ** 53 - 1, -(2 ** 53) + 1),
    fc.integer(),
    fc.double({ noNaN: true }),
    fc.string({ unit: "grapheme", maxLength: 300 }),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(tie("value"), { maxLength: 20 }),
    fc.dictionary(
      fc.string({ maxLength: 20 }).filter((k) => k !== "__proto__"),
      tie("value"),
      { maxKeys: 20 },
    ),
  ),
})).value;

/** msgpackr gives integers beyond 2^53 and -0 back as the same number; toEqual tells 0 from -0. */
const normal = (v: unknown): unknown => {
  if (v === 0) return 0;
  if (v instanceof Uint8Array) return [...v];
  if (Array.isArray(v)) return v.map(normal);
  if (v && typeof v === "object") return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, normal(x)]));
  return v;
};

test("every plain value survives; bytes come back as Uint8Array of their own", () => {
  fc.assert(
    fc.property(plain, (v) => {
      const b = encode(v);
      checkStructure(b);
      expect(normal(decode(b))).toEqual(normal(v));
    }),
    { numRuns: 500 },
  );
  const b = Buffer.from(encode({ x: new Uint8Array([1, 2, 3]) }));
  const { x } = decode(b) as { x: Uint8Array };
  b.fill(0);
  expect([x.constructor.name, [...x]]).toEqual(["Uint8Array", [1, 2, 3]]);
});

test("undefined and dates survive too", () => {
  const v = { at: new Date(1_700_000_000_123), old: new Date(-1), none: undefined };
  expect(decode(encode(v))).toEqual(v);
});

test("any bytes: a value or MalformedError, nothing else", () => {
  const safe = (b: Uint8Array) => {
    try {
      decode(b);
    } catch (e) {
      expect(e).toBeInstanceOf(MalformedError);
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), safe), { numRuns: 3_000 });
  fc.assert(
    fc.property(plain, fc.nat(), fc.integer({ min: 1, max: 255 }), (v, where, xor) => {
      const b = Buffer.from(encode(v));
      b[where % b.length] = (b[where % b.length] as number) ^ xor;
      safe(b);
      safe(b.subarray(0, where % b.length));
    }),
    { numRuns: 1_000 },
  );
});

describe("refused before anything is allocated", () => {
  const u32 = (n: number) => [n >>> 24, (n >>> 16) & 255, (n >>> 8) & 255, n & 255];
  test.each<[string, number[]]>([
    ["an array of 4 billion", [0xdd, ...u32(0xffffffff)]],
    ["an array of 30 million", [0xdd, ...u32(30_000_000), 1, 2, 3]],
    ["a map of 2 billion", [0xdf, ...u32(0x7fffffff)]],
    ["a string of 4 GB", [0xdb, ...u32(0xffffffff), 65]],
    ["bytes of 1 GB", [0xc6, ...u32(2 ** 30), 65]],
    ["nesting", Array(MAX_DEPTH + 1).fill(0x91)],
    ["arrays in arrays without end", Array(100_000).fill(0x91)],
    ["a record extension", [0xd4, 0x72, 0x40]],
    ["a set extension", [0xd6, 0x73, 0, 0, 0, 0]],
    ["the reserved byte", [0xc1]],
    ["nothing", []],
    ["a value and a half", [0xc0, 0xc0]],
  ])("%s", (_name, bytes) => {
    const t0 = performance.now();
    expect(() => decode(new Uint8Array(bytes))).toThrow(MalformedError);
    expect(performance.now() - t0).toBeLessThan(100);
  });

  test("a key named __proto__ changes no prototype", () => {
    const v = decode(new Uint8Array([0x81, 0xa9, ...new TextEncoder().encode("__proto__"), 0x81, 0xa1, 0x78, 0x01])) as Record<
      string,
      unknown
    >;
    expect(Object.getPrototypeOf(v)).toBe(Object.prototype);
    expect((v as { x?: unknown }).x).toBeUndefined();
  });
});

test("garbage on served subjects is answered or counted, and service goes on", async () => {
  const broker = memoryBus();
  const deps = { clock: systemClock, random: seededRandom(1), log: silentLogger };
  const server = broker.connect({ cluster: "c", identity: "apiserver", ...deps });
  const peer = broker.connect({ cluster: "c", identity: "node:a", ...deps });
  server.serve("pw.c.api.x", async (b) => b);
  server.serveStreams("pw.c.apistream.x", (_o, s) => {
    s.onFrame(() => {});
  });
  const inbox = peer.newInbox();
  let answers = 0;
  peer.subscribe(`${inbox}.*`, () => answers++);
  const random = seededRandom(3);
  for (let i = 0; i < 500; i++) {
    const junk = random.bytes(random.below(40));
    peer.publish("pw.c.api.x", junk, { reply: `${inbox}.a` });
    peer.publish("pw.c.api.x", junk);
    peer.publish("pw.c.apistream.x", junk, { reply: `${inbox}.s` });
    peer.publish("pw.c.apistream.x", junk);
  }
  await until(() => answers >= 1_000);
  expect(await peer.request("pw.c.api.x", "still here")).toBe("still here");
  const stream = await peer.openStream("pw.c.apistream.x", 1);
  await stream.send("works");
  stream.abort({ code: "done", message: "" });
  expect(server.stats().complaints).toBeGreaterThan(500);
});

test("bytes in front are the caller's; a large value does not make later slabs large", () => {
  const b = encodeAfter(6, { a: [1, 2, 3] });
  expect(decode(b.subarray(6))).toEqual({ a: [1, 2, 3] });
  encode(new Uint8Array(5_000_000));
  expect(encode("small").buffer.byteLength).toBeLessThan(100_000);
});
