import { constants, createDeflate, createInflate } from "node:zlib";
import { expect, test } from "vitest";
import { SpdyConnection, type SpdyStream } from "./spdy.ts";
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

test("the dictionary is the one that SPDY/3 clients name", () => {
  expect(SPDY_DICTIONARY.length).toBe(1423);
  expect(adler32(SPDY_DICTIONARY)).toBe(0xe3c6a7c2);
});

test("a stream is opened, read, answered and ended", async () => {
  const z = createDeflate({ dictionary: SPDY_DICTIONARY });
  const block = await new Promise<Buffer>((resolve) => {
    const chunks: Buffer[] = [];
    z.on("data", (d) => chunks.push(d));
    const header = (s: string) => Buffer.concat([Buffer.from([0, 0, 0, s.length]), Buffer.from(s)]);
    z.write(Buffer.concat([Buffer.from([0, 0, 0, 1]), header("streamtype"), header("stdin")]));
    z.flush(constants.Z_SYNC_FLUSH, () => resolve(Buffer.concat(chunks)));
  });
  const syn = Buffer.alloc(18);
  syn.writeUInt32BE(0x80030001, 0);
  syn.writeUInt32BE(10 + block.length, 4);
  syn.writeUInt32BE(1, 8);
  const data = Buffer.concat([Buffer.from([0, 0, 0, 1, 1, 0, 0, 2]), Buffer.from("hi")]);
  const sent: Buffer[] = [];
  const c = new SpdyConnection((b) => void sent.push(Buffer.from(b)));
  const seen: string[] = [];
  await new Promise<void>((resolve) => {
    c.onStream = (s) => {
      seen.push(s.headers["streamtype"] ?? "");
      s.onData = (d) => void seen.push(Buffer.from(d).toString());
      s.onEnd = () => void s.reply().then(() => resolve(s.write(Buffer.from("ok"))));
    };
    const all = Buffer.concat([syn, block, data]);
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
  const c = new SpdyConnection((b) => void sent.push(Buffer.from(b)));
  const streams: SpdyStream[] = [];
  const all = new Promise<void>((resolve) => {
    c.onStream = (s) => {
      if (streams.push(s) === 4) resolve();
    };
  });
  const z = createDeflate({ dictionary: SPDY_DICTIONARY });
  for (const id of [1, 3, 5, 7]) {
    const block = await new Promise<Buffer>((resolve) => {
      const chunks: Buffer[] = [];
      z.removeAllListeners("data").on("data", (d) => chunks.push(d));
      z.write(Buffer.alloc(4)); // No headers.
      z.flush(constants.Z_SYNC_FLUSH, () => resolve(Buffer.concat(chunks)));
    });
    const syn = Buffer.alloc(18);
    syn.writeUInt32BE(0x80030001, 0);
    syn.writeUInt32BE(10 + block.length, 4);
    syn.writeUInt32BE(id, 8);
    c.receive(Buffer.concat([syn, block]));
  }
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
