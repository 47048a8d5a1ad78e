import { constants, createDeflate, createInflate } from "node:zlib";
import { expect, test } from "vitest";
import { SpdyConnection, type SpdyStream, type SpdyTransport } from "./spdy.ts";
import { synStream } from "./spdy-client.ts";
import { SPDY_DICTIONARY } from "./spdy-dictionary.ts";

/** RFC 1950's checksum, by which zlib names a dictionary. */
function adler32(b: Uint8Array): number {
  let x = 1;
  let y = 0;
  for (const v of b) {
    x = (x + v) % 65521;
    y = (y + x) % 65521;
  }
  return ((y << 16) | x) >>> 0;
}

function transport(sent: Buffer[]): SpdyTransport {
  return { send: (b) => void sent.push(Buffer.from(b)), pause: () => {}, resume: () => {} };
}

test("the dictionary is the one that SPDY/3 clients name", () => {
  expect(SPDY_DICTIONARY.length).toBe(1423);
  expect(adler32(SPDY_DICTIONARY)).toBe(0xe3c6a7c2);
});

test("a stream is opened, read, answered and ended", async () => {
  const z = createDeflate({ dictionary: SPDY_DICTIONARY });
  const syn = await synStream(z, 1, { streamtype: "stdin" });
  const data = Buffer.concat([Buffer.from([0, 0, 0, 1, 1, 0, 0, 2]), Buffer.from("hi")]);
  const sent: Buffer[] = [];
  const c = new SpdyConnection(transport(sent));
  const seen: string[] = [];
  await new Promise<void>((resolve) => {
    c.onStream = (s) => {
      seen.push(s.headers["streamtype"] ?? "");
      s.onData = (d) => void seen.push(Buffer.from(d).toString());
      s.onEnd = () => void s.reply().then(() => resolve(s.write(Buffer.from("ok"))));
    };
    const all = Buffer.concat([syn, data]);
    c.receive(all.subarray(0, 7));
    c.receive(all.subarray(7));
  });
  expect(seen).toEqual(["stdin", "hi"]);
  expect(sent.at(-2)?.readUInt32BE(0)).toBe(0x80030002);
  expect(sent.at(-1)?.subarray(8).toString()).toBe("ok");
  expect(() => c.receive(Buffer.from([0, 0, 0, 1, 0, 0xff, 0xff, 0xff]))).toThrow(/frame/);
});

test("answers that are given at once keep one compressed stream", async () => {
  const sent: Buffer[] = [];
  const c = new SpdyConnection(transport(sent));
  const streams: SpdyStream[] = [];
  const all = new Promise<void>((resolve) => {
    c.onStream = (s) => {
      if (streams.push(s) === 4) resolve();
    };
  });
  const z = createDeflate({ dictionary: SPDY_DICTIONARY });
  for (const id of [1, 3, 5, 7]) c.receive(await synStream(z, id, {}));
  await all;
  await Promise.all(streams.map((s) => s.reply({ id: String(s.id) })));
  expect(sent.map((f) => f.readUInt32BE(8))).toEqual([1, 3, 5, 7]);
  const inflate = createInflate({ dictionary: SPDY_DICTIONARY });
  const text = await new Promise<string>((resolve, reject) => {
    let out = "";
    inflate.on("data", (d) => {
      out += d.toString("latin1");
    });
    inflate.on("error", reject);
    inflate.write(Buffer.concat(sent.map((f) => f.subarray(12))));
    inflate.flush(constants.Z_SYNC_FLUSH, () => resolve(out));
  });
  expect([...text.matchAll(/id\0\0\0\u0001(\d)/g)].map((m) => m[1])).toEqual(["1", "3", "5", "7"]);
});

test("what is written goes in frames whose length fits", async () => {
  const sent: Buffer[] = [];
  const c = new SpdyConnection(transport(sent));
  const opened = new Promise<SpdyStream>((resolve) => {
    c.onStream = resolve;
  });
  c.receive(await synStream(createDeflate({ dictionary: SPDY_DICTIONARY }), 1, {}));
  const data = Buffer.alloc(17 * 1024 * 1024, "abcdefg");
  (await opened).write(data);
  expect(sent.every((f) => f.readUInt32BE(0) === 1 && f.readUIntBE(5, 3) === f.length - 8)).toBe(true);
  expect(Buffer.concat(sent.map((f) => f.subarray(8))).equals(data)).toBe(true);
});

test("data that nobody has consumed pauses the transport, and consuming it lets it go on", async () => {
  const calls: string[] = [];
  const c = new SpdyConnection({ send: () => {}, pause: () => void calls.push("pause"), resume: () => void calls.push("resume") });
  const consumed: (() => void)[] = [];
  const opened = new Promise<void>((resolve) => {
    c.onStream = (s) => {
      s.onData = () => new Promise<void>((r) => void consumed.push(r));
      resolve();
    };
  });
  c.receive(await synStream(createDeflate({ dictionary: SPDY_DICTIONARY }), 1, {}));
  await opened;
  const frame = Buffer.alloc(8 + 64 * 1024);
  frame.writeUInt32BE(1, 0);
  frame.writeUInt32BE(64 * 1024, 4);
  for (let i = 0; i < 20; i++) c.receive(frame);
  await expect.poll(() => consumed.length).toBe(20);
  expect(calls).toEqual(["pause"]);
  for (const r of consumed) r();
  await expect.poll(() => calls).toEqual(["pause", "resume"]);
});

test("a header block that decompresses without end closes the connection", async () => {
  const c = new SpdyConnection(transport([]));
  let closed = false;
  c.onClose = () => {
    closed = true;
  };
  let streams = 0;
  c.onStream = () => void streams++;
  const z = createDeflate({ dictionary: SPDY_DICTIONARY });
  const block = await new Promise<Buffer>((resolve) => {
    const chunks: Buffer[] = [];
    z.on("data", (d) => chunks.push(d));
    z.write(Buffer.alloc(50 * 1024 * 1024));
    z.flush(constants.Z_SYNC_FLUSH, () => resolve(Buffer.concat(chunks)));
  });
  const syn = Buffer.alloc(18);
  syn.writeUInt32BE(0x80030001, 0);
  syn.writeUInt32BE(10 + block.length, 4);
  syn.writeUInt32BE(1, 8);
  c.receive(Buffer.concat([syn, block]));
  await expect.poll(() => closed).toBe(true);
  expect(streams).toBe(0);
});
