// Two real TCP connections joined: content both ways, half-close, reset, and a slow reader that slows the writer.
import { once } from "node:events";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { afterEach, beforeEach, expect, it } from "vitest";
import { splice } from "./splice.ts";

let back: Server;
let front: Server;
let ended: number;
let onBack: (s: Socket) => void;

const portOf = (s: Server) => (s.address() as { port: number }).port;

beforeEach(async () => {
  ended = 0;
  onBack = () => undefined;
  back = createServer({ allowHalfOpen: true }, (s) => onBack(s));
  back.listen(0, "127.0.0.1");
  await once(back, "listening");
  front = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (s) => {
    const to = createConnection({ port: portOf(back), host: "127.0.0.1", allowHalfOpen: true });
    splice(s, to, () => ended++);
  });
  front.listen(0, "127.0.0.1");
  await once(front, "listening");
});
afterEach(() => {
  back.close();
  front.close();
});

it("carries bytes both ways and half-close", async () => {
  onBack = (s) => {
    let got = "";
    s.on("data", (d) => (got += d));
    s.on("end", () => s.end(`after your end: ${got}`)); // Answers only once the client has closed its half.
  };
  const c = createConnection({ port: portOf(front), host: "127.0.0.1", allowHalfOpen: true });
  c.end("hello");
  let answer = "";
  for await (const d of c) answer += d;
  expect(answer).toBe("after your end: hello");
  await expect.poll(() => ended).toBe(1);
});

it("passes a reset on", async () => {
  onBack = (s) => {
    s.on("error", () => undefined);
    s.once("data", () => s.resetAndDestroy());
  };
  const c = createConnection({ port: portOf(front), host: "127.0.0.1" });
  c.write("x");
  const [error] = (await once(c, "error")) as [NodeJS.ErrnoException];
  expect(error.code).toBe("ECONNRESET");
  await expect.poll(() => ended).toBe(1);
});

it("slows a writer down for a reader that does not read", async () => {
  onBack = (s) => s.pause();
  const c = createConnection({ port: portOf(front), host: "127.0.0.1" });
  let sent = 0;
  const block = Buffer.alloc(1 << 20);
  for (let i = 0; i < 64; i++) {
    sent += block.length;
    if (!c.write(block)) await Promise.race([once(c, "drain"), new Promise((r) => setTimeout(r, 300))]);
    if (c.writableLength > 4 * block.length) break;
  }
  expect(c.writableLength).toBeGreaterThan(0);
  expect(sent).toBeLessThan(64 * block.length);
  c.destroy();
});
