import type { IncomingMessage } from "node:http";
import { Duplex } from "node:stream";
import { createDeflate } from "node:zlib";
import { expect, test } from "vitest";
import { synStream } from "./spdy-client.ts";
import { SPDY_DICTIONARY } from "./spdy-dictionary.ts";
import { serveSpdy } from "./spdy-upgrade.ts";

test("a program that is done at once is heard after the reply to every stream", async () => {
  const written: Buffer[] = [];
  const socket = new Duplex({
    read() {},
    write(chunk, _encoding, done) {
      written.push(chunk);
      done();
    },
  });
  const req = { headers: {}, url: "/exec?stdout=true&stderr=true" } as IncomingMessage;
  serveSpdy(req, socket, Buffer.alloc(0), {
    status: 101,
    headers: {},
    connection: async () => ({
      onFrame: (cb) => void cb(1, Buffer.from("out")),
      onClose: (cb) => cb(undefined),
      send: async () => {},
      end: () => {},
    }),
  });
  const z = createDeflate({ dictionary: SPDY_DICTIONARY });
  const streams = [];
  for (const [id, streamtype] of [
    [1, "error"],
    [3, "stdout"],
    [5, "stderr"],
  ] as const)
    streams.push(await synStream(z, id, { streamtype }));
  socket.push(Buffer.concat(streams));
  await expect.poll(() => written.at(-1)?.readUInt32BE(0)).toBe(5);
  expect(socket.writableEnded).toBe(false); // The client has not read it yet.
  socket.push(null);
  await expect.poll(() => socket.writableEnded).toBe(true);
  const frames = written
    .slice(1)
    .map((f) => [f.readUInt32BE(0) >= 0x80000000 ? "reply" : "data", f.readUInt32BE(f.readUInt32BE(0) >= 0x80000000 ? 8 : 0)]);
  expect(frames.slice(0, 4)).toEqual([
    ["reply", 1],
    ["reply", 3],
    ["reply", 5],
    ["data", 3],
  ]);
});
