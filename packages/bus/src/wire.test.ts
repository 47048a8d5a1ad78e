// The wire port over the memory bus and over its own connection to a nats-server, and its message format against msgpackr and against garbage.
import { seededRandom, silentLogger, systemClock } from "@podwire/base";
import fc from "fast-check";
import { Packr } from "msgpackr";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "./contract.suite.ts";
import { memoryBus } from "./memory.ts";
import { connectNats } from "./nats.ts";
import { type LocalServer, localServer, natsBinary } from "./server.suite.ts";
import type { WireFaults, WireFrame } from "./wire.ts";
import { BatchBuffers, BatchWriter, MAX_FRAME_BYTES, readBatch } from "./wire-batch.ts";
import { BANDWIDTH_QUEUE_MS, departures, NO_FAULTS, REORDER_HOLD_MS } from "./wire-faults.ts";
import { type FaultyWirePort, openWire } from "./wire-port.ts";

const frame = (bytes: Uint8Array, extra: Partial<WireFrame> = {}): WireFrame => ({ bytes, gsoSize: 0, traceId: 0, traceHop: 0, ...extra });

function batchOf(frames: WireFrame[]): Uint8Array {
  const w = new BatchWriter(new BatchBuffers());
  for (const f of frames) {
    expect(w.fits(f.bytes.length)).toBe(true);
    w.add(f);
  }
  return w.finish().message;
}

function readAll(b: Uint8Array): { n: number; frames: WireFrame[] } {
  const frames: WireFrame[] = [];
  const n = readBatch(b, (f) => frames.push({ ...f, bytes: f.bytes.slice() }));
  return { n, frames };
}

const anyFrame = fc.record({
  bytes: fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.integer({ min: 250, max: 7_000 }).map((n) => new Uint8Array(n).fill(n & 255)),
  ),
  gsoSize: fc.oneof(fc.constant(0), fc.nat(65_535)),
  traceId: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffffffff })),
  traceHop: fc.oneof(fc.constant(0), fc.nat(255)),
});

describe("batch", () => {
  test("what was written is read back, and is MessagePack", () => {
    const unpackr = new Packr({ useRecords: false });
    fc.assert(
      fc.property(fc.array(anyFrame, { minLength: 1, maxLength: 8 }), (frames) => {
        const b = batchOf(frames);
        const { n, frames: back } = readAll(b);
        expect(n).toBe(frames.length);
        expect(back.map((f) => ({ ...f, bytes: Buffer.from(f.bytes) }))).toEqual(
          frames.map((f) => ({ ...f, bytes: Buffer.from(f.bytes) })),
        );
        const plain = unpackr.unpack(b) as (Uint8Array | [Uint8Array, number, number, number])[];
        expect(plain.map((x) => (Array.isArray(x) ? x[0].length : x.length))).toEqual(frames.map((f) => f.bytes.length));
      }),
      { numRuns: 100 },
    );
  });

  test("an empty batch takes the largest frame, and then no other", () => {
    const w = new BatchWriter(new BatchBuffers(), new Uint8Array(300));
    const largest = frame(new Uint8Array(MAX_FRAME_BYTES).fill(7), { gsoSize: 1, traceId: 2, traceHop: 3 });
    expect(w.fits(MAX_FRAME_BYTES)).toBe(true);
    w.add(largest);
    expect(w.fits(1)).toBe(false);
    const { message, batchBytes } = w.finish();
    expect(readAll(message.subarray(300, 300 + batchBytes)).frames[0]?.bytes.length).toBe(MAX_FRAME_BYTES);
    expect([...message.subarray(300 + batchBytes)]).toEqual([13, 10]);
  });

  test("truncated, damaged and random messages are malformed or read within their bounds", () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { minLength: 1, maxLength: 4 }), fc.nat(), fc.integer({ min: 1, max: 255 }), (frames, where, xor) => {
        const b = Buffer.from(batchOf(frames));
        const cut = where % b.length;
        expect(readAll(b.subarray(0, cut)).n).toBeLessThan(0);
        b[cut] = (b[cut] as number) ^ xor;
        let total = 0;
        readBatch(b, (f) => {
          total += f.bytes.length;
        });
        expect(total).toBeLessThanOrEqual(b.length);
      }),
      { numRuns: 300 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (b) => {
        readBatch(b, (f) => expect(f.bytes.length).toBeLessThanOrEqual(b.length));
      }),
    );
    expect(readBatch(new Uint8Array([0xdd, 0, 0, 0, 2, 0xc4, 1, 9]), () => {})).toBe(-2);
    expect(readBatch(new Uint8Array([0xdd, 0, 0, 0, 1, 0xc4, 1, 9, 9]), () => {})).toBe(-2);
  });
});

/** Two ports, 172.30.1.1 and 172.30.1.2, and a way to publish as anybody. */
interface TwoPorts {
  a: FaultyWirePort;
  b: FaultyWirePort;
  inject(subject: string, data: Uint8Array): void;
}

function onMemory(faults?: Partial<WireFaults>): TwoPorts {
  const broker = memoryBus();
  const deps = { clock: systemClock, random: seededRandom(7), log: silentLogger };
  const open = (address: string, f?: Partial<WireFaults>): FaultyWirePort =>
    openWire(broker.connect({ cluster: "c", identity: `node:${address}`, ...deps }), { address, ...deps, ...(f ? { faults: f } : {}) });
  const peer = broker.connect({ cluster: "c", identity: "node:x", ...deps });
  return { a: open("172.30.1.1", faults), b: open("172.30.1.2"), inject: (s, d) => peer.publish(s, d) };
}

let server: LocalServer | undefined;
const opened: { close(): unknown }[] = [];
afterAll(async () => {
  for (const o of opened) await o.close();
  await server?.close();
});

async function onNats(faults?: Partial<WireFaults>): Promise<TwoPorts> {
  server ??= await localServer();
  const deps = { clock: systemClock, random: seededRandom(7), log: silentLogger };
  const { url } = server;
  const open = async (address: string, f?: Partial<WireFaults>) => {
    const bus = await connectNats({ url, cluster: "c", identity: `node:${address}`, ...deps });
    const port = openWire(bus, { address, ...deps, ...(f ? { faults: f } : {}) });
    opened.push(port, bus);
    await port.ready;
    return port;
  };
  const peer = await connectNats({ url, cluster: "c", identity: "node:x", ...deps });
  opened.push(peer);
  return { a: await open("172.30.1.1", faults), b: await open("172.30.1.2"), inject: (s, d) => peer.publish(s, d) };
}

describe.each([
  ["memory", async (f?: Partial<WireFaults>) => onMemory(f), true],
  ["nats-server (skipped without one)", onNats, natsBinary !== undefined],
] as const)("port on %s", (_name, ports, available) => {
  beforeEach(({ skip }) => skip(!available, "no nats-server"));
  afterEach(async () => {
    for (const o of opened.splice(0)) await o.close();
  });

  test("frames of one tick travel in one message, in order, with their source", async () => {
    const { a, b } = await ports();
    const got: string[] = [];
    b.onFrame((source, f) => got.push(`${source} ${f.bytes[0]} ${f.gsoSize} ${f.traceId} ${f.traceHop}`));
    const bytes = new Uint8Array([0]);
    for (let i = 0; i < 5; i++) {
      bytes[0] = i; // the port copies
      a.send("172.30.1.2", frame(bytes, i === 3 ? { gsoSize: 1410, traceId: 9, traceHop: 2 } : {}));
    }
    a.send("172.30.9.9", frame(bytes));
    await until(() => got.length === 5);
    expect(got).toEqual([0, 1, 2, 3, 4].map((i) => (i === 3 ? "172.30.1.1 3 1410 9 2" : `172.30.1.1 ${i} 0 0 0`)));
    expect(a.counters()).toMatchObject({ txFrames: 6, txMessages: 2, txDropped: 0 });
    expect(b.counters()).toMatchObject({ rxFrames: 5, rxMessages: 1, rxMalformed: 0 });
  });

  test("large bursts leave in several messages, complete, in order and undamaged", async () => {
    const { a, b } = await ports();
    const got: number[] = [];
    let damaged = 0;
    b.onFrame((_s, f) => {
      const i = new DataView(f.bytes.buffer, f.bytes.byteOffset).getUint32(0);
      got.push(i);
      for (let k = 4; k < f.bytes.length; k += 97) if (f.bytes[k] !== ((i + k) & 255)) damaged++;
    });
    const sizes = [60, 1450, 9000, 32_768, 65_000, MAX_FRAME_BYTES];
    for (let burst = 0, i = 0; burst < 5; burst++) {
      for (let n = 0; n < 100; n++, i++) {
        const bytes = new Uint8Array(sizes[i % sizes.length] as number);
        for (let k = 4; k < bytes.length; k += 97) bytes[k] = i + k;
        new DataView(bytes.buffer).setUint32(0, i);
        a.send("172.30.1.2", frame(bytes));
      }
      await until(() => got.length === i);
    }
    expect(got).toEqual(Array.from({ length: 500 }, (_, i) => i));
    expect(damaged).toBe(0);
    expect(a.counters().txMessages).toBeGreaterThan(100);
    expect(a.counters().txMessages).toBeLessThan(400);
  });

  test("garbage on the wire is counted; a receiver that throws is survived; bad destinations and sizes are dropped", async () => {
    const { a, b, inject } = await ports();
    let calls = 0;
    b.onFrame(() => {
      calls++;
      throw new Error("receiver's own fault");
    });
    const garbage = [
      [],
      [0xc1],
      [0xdd, 0xff, 0xff, 0xff, 0xff],
      [0xdd, 0, 0, 0, 1, 0xc6, 0xff, 0xff, 0xff, 0xff],
      new Uint8Array(3_000_000),
    ];
    for (const g of garbage) inject("pw.c.wire.172-30-1-2.172-30-1-7", new Uint8Array(g));
    await until(() => b.counters().rxMalformed === 5);
    a.send("172.30.1.2", frame(new Uint8Array(10)));
    a.send("not an address > *", frame(new Uint8Array(10)));
    a.send("172.30.1.2\r\nPUB x 0", frame(new Uint8Array(10)));
    a.send("172.30.1.2", frame(new Uint8Array(MAX_FRAME_BYTES + 1)));
    await until(() => calls === 1);
    expect(b.counters().rxMalformed).toBe(5);
    expect(a.counters().txDropped).toBe(3);
  });

  test("partition and loss act on the sender, and can be taken back; delay delays", async () => {
    const { a, b } = await ports({ partitionedFrom: ["172.30.1.2"] });
    let got = 0;
    b.onFrame(() => got++);
    a.send("172.30.1.2", frame(new Uint8Array(1)));
    a.setFaults({ partitionedFrom: [], lossPercent: 100 });
    a.send("172.30.1.2", frame(new Uint8Array(1)));
    expect(a.counters().txDropped).toBe(2);
    a.setFaults({ lossPercent: 0, delayMs: 10 });
    const t0 = performance.now();
    a.send("172.30.1.2", frame(new Uint8Array(1)));
    await until(() => got === 1);
    expect(performance.now() - t0).toBeGreaterThan(9);
  });
});

describe.skipIf(natsBinary === undefined)("the wire's own connection (skipped without a nats-server)", () => {
  test("a killed server is found again; packets meanwhile are dropped and counted, not kept", async () => {
    const { a, b } = await onNats();
    let got = 0;
    b.onFrame(() => got++);
    await server?.kill();
    await new Promise((r) => setTimeout(r, 50));
    for (let i = 0; i < 10; i++) a.send("172.30.1.2", frame(new Uint8Array([i])));
    await until(() => a.counters().txDropped === 10);
    await server?.start();
    const again = setInterval(() => a.send("172.30.1.2", frame(new Uint8Array(1))), 10);
    await until(() => got > 0);
    clearInterval(again);
  });

  test("what is sent before the first connection waits for it", async () => {
    server ??= await localServer();
    const deps = { clock: systemClock, random: seededRandom(7), log: silentLogger };
    const bus = await connectNats({ url: server.url, cluster: "c", identity: "node:early", ...deps });
    const b = openWire(bus, { address: "172.30.1.2", ...deps });
    await b.ready;
    let got = 0;
    b.onFrame(() => got++);
    const a = openWire(bus, { address: "172.30.1.1", ...deps });
    for (let i = 0; i < 10; i++) a.send("172.30.1.2", frame(new Uint8Array(1)));
    await until(() => got === 10);
    expect(a.counters()).toMatchObject({ txFrames: 10, txDropped: 0 });
    opened.push(a, b, bus);
  });
});

describe("faults", () => {
  const run = (f: Partial<WireFaults>, seed = 3, n = 2000, stepMs = 1) => {
    const random = seededRandom(seed);
    const link = { freeAtMs: 0 };
    return Array.from({ length: n }, (_, i) => departures({ ...NO_FAULTS, ...f }, link, random, "10.0.0.1", 1000, i * stepMs));
  };

  test("the same seed decides the same", () => {
    const f = { lossPercent: 5, duplicatePercent: 5, corruptPercent: 5, delayMs: 10, jitterMs: 5, reorderPercent: 3 };
    expect(run(f)).toEqual(run(f));
    expect(run(f, 4)).not.toEqual(run(f, 3));
  });

  test("percentages come out about right", () => {
    const share = (xs: unknown[]) => xs.length / 2000;
    expect(share(run({ lossPercent: 10 }).filter((d) => d.length === 0))).toBeCloseTo(0.1, 1);
    expect(share(run({ duplicatePercent: 20 }).filter((d) => d.length === 2))).toBeCloseTo(0.2, 1);
    expect(share(run({ corruptPercent: 20 }).filter((d) => (d[0]?.corruptAt ?? -1) >= 0 && d[0]?.corruptXor !== 0))).toBeCloseTo(0.2, 1);
    const late = run({ reorderPercent: 20 }).filter((d, i) => d[0]?.atMs === i + REORDER_HOLD_MS);
    expect(share(late)).toBeCloseTo(0.2, 1);
  });

  test("delay and jitter stay in their bounds", () => {
    const delays = run({ delayMs: 20, jitterMs: 5 }).map((d, i) => (d[0]?.atMs ?? 0) - i);
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(15);
    expect(Math.max(...delays)).toBeLessThanOrEqual(25);
  });

  test("bandwidth spaces frames and drops what would wait too long", () => {
    // 1000 bytes at 1 Mbit/s take 8 ms; offered one a millisecond.
    const out = run({ bandwidthBitsPerSecond: 1_000_000 }, 1, 1000, 1).flat();
    for (let i = 1; i < out.length; i++) expect((out[i]?.atMs ?? 0) - (out[i - 1]?.atMs ?? 0)).toBeGreaterThan(7.99);
    expect(out.length).toBeLessThan((1000 + BANDWIDTH_QUEUE_MS) / 8 + 2);
    expect(out.length).toBeGreaterThan(1000 / 8);
  });
});
