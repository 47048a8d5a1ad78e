// The wire's own connection against a server that speaks oddly: any cut of the byte stream, garbage, silence, refusals.
import { createServer, type Server, type Socket } from "node:net";
import { oncePerMinute, seededRandom, silentLogger, systemClock } from "@podwire/base";
import { afterEach, expect, test } from "vitest";
import { until } from "./contract.suite.ts";
import { fillLength, MAX_MESSAGE_BYTES, type NatsLink, natsLink } from "./nats-link.ts";

let server: Server | undefined;
let link: NatsLink | undefined;
const sockets: Socket[] = [];
afterEach(async () => {
  link?.close();
  for (const s of sockets.splice(0)) s.destroy();
  await new Promise((r) => server?.close(r) ?? r(undefined));
});

interface Heard {
  messages: { source: string; data: Buffer }[];
  oversize: number;
}

async function connect(onClient: (s: Socket) => void): Promise<Heard> {
  server = createServer((s) => {
    sockets.push(s);
    s.on("error", () => {});
    s.setNoDelay(true);
    onClient(s);
  });
  await new Promise<void>((r) => server?.listen(0, "127.0.0.1", r));
  const { port } = server.address() as { port: number };
  const heard: Heard = { messages: [], oversize: 0 };
  link = natsLink(
    { url: `nats://127.0.0.1:${port}`, cluster: "c", identity: "node:a", clock: systemClock, random: seededRandom(1), log: silentLogger },
    "pw.c.wire.1-2-3-4.*",
    oncePerMinute(silentLogger, systemClock),
    { onMessage: (source, data) => heard.messages.push({ source, data: Buffer.from(data) }), onOversize: () => heard.oversize++ },
  );
  return heard;
}

const HELLO = 'INFO {"server_id":"x","max_payload":1048576}\r\n';
const msg = (source: string, data: Buffer) =>
  Buffer.concat([Buffer.from(`MSG pw.c.wire.1-2-3-4.${source} 1 ${data.length}\r\n`), data, Buffer.from("\r\n")]);

test("however the stream is cut, messages arrive whole and in order", async () => {
  const random = seededRandom(5);
  const sent: { source: string; data: Buffer }[] = [];
  const parts = [Buffer.from(`${HELLO}PONG\r\n`)];
  for (let i = 0; i < 300; i++) {
    const data = Buffer.from(random.bytes(random.pick([0, 1, 10, 300, 5_000, 66_000])));
    sent.push({ source: `10-0-0-${i}`, data });
    parts.push(msg(`10-0-0-${i}`, data));
    if (i % 50 === 7) parts.push(Buffer.from("PING\r\n"));
    if (i % 50 === 9) parts.push(Buffer.from("+OK\r\n"));
    if (i === 100) parts.push(msg("big", Buffer.alloc(MAX_MESSAGE_BYTES + 1, 77)));
  }
  const stream = Buffer.concat(parts);
  let pongs = 0;
  const heard = await connect(async (s) => {
    s.on("data", (b) => {
      pongs += b.toString("latin1").split("PONG\r\n").length - 1;
    });
    for (let at = 0; at < stream.length; ) {
      const n = 1 + random.below(random.pick([3, 50, 2_000, 200_000]));
      s.write(stream.subarray(at, at + n));
      at += n;
      if (random.below(20) === 0) await new Promise((r) => setImmediate(r));
    }
  });
  await until(() => heard.messages.length === 300, 15_000);
  expect(heard.oversize).toBe(1);
  expect(heard.messages.map((m) => m.source)).toEqual(sent.map((m) => m.source));
  for (const [i, m] of heard.messages.entries()) expect(Buffer.compare(m.data, sent[i]?.data as Buffer)).toBe(0);
  await until(() => pongs === 6);
});

test.each([
  ["garbage", "\x00\x01\x02 nonsense\r\n"],
  ["a message without a length", "MSG a b x\r\n"],
  ["an endless line", "x".repeat(100_000)],
  ["INFO that is not JSON", "INFO {nope\r\n"],
  ["TLS demanded", 'INFO {"tls_required":true}\r\n'],
])("%s ends the connection, which is tried again", async (_name, said) => {
  let connections = 0;
  const heard = await connect((s) => {
    connections++;
    s.write(connections === 1 ? said : `${HELLO}PONG\r\n`);
    if (connections === 2) s.write(msg("1-1-1-1", Buffer.from("alive")));
  });
  await until(() => heard.messages.length === 1);
  expect(connections).toBe(2);
});

test("nothing is taken before the handshake is done, nor when too much waits", async () => {
  await connect((s) => {
    s.pause();
    setTimeout(() => s.write(`${HELLO}PONG\r\n`), 50);
  });
  const l = link as NatsLink;
  expect(l.send("s", new Uint8Array(1), () => {})).toBe(false);
  await l.ready;
  let released = 0;
  let taken = 0;
  for (let i = 0; i < 40; i++) if (l.send("s", Buffer.alloc(1024 * 1024), () => released++)) taken++;
  expect(taken).toBeGreaterThan(7);
  expect(taken).toBeLessThan(25);
  for (const s of sockets) s.resume();
  await until(() => released === taken);
});

test("a URL that the link does not speak is left to the client library", () => {
  const o = { cluster: "c", identity: "x", clock: systemClock, random: seededRandom(1), log: silentLogger };
  const handlers = { onMessage() {}, onOversize() {} };
  for (const url of ["tls://h:1", "wss://h:1", "nats://user:pass@h:1", "nats://ok:1,ws://h:2"])
    expect(natsLink({ ...o, url }, "s", oncePerMinute(silentLogger, systemClock), handlers)).toBeUndefined();
});

test("lengths are filled into the preamble's fixed width", () => {
  const preamble = Buffer.from("PUB a.b 00000000\r\n");
  fillLength(preamble, preamble.length, 65_537);
  expect(preamble.toString()).toBe("PUB a.b 00065537\r\n");
});
