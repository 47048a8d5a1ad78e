import { createHash } from "node:crypto";
import { once } from "node:events";
import * as http from "node:http";
import * as http2 from "node:http2";
import { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import * as tls from "node:tls";
import { seededRandom, systemClock } from "@podwire/base";
import { afterEach, describe, expect, test } from "vitest";
import { pseudoSum } from "../checksum.ts";
import { Ipv4 } from "../codec/ipv4.ts";
import { Tcp } from "../codec/tcp.ts";
import { Packet } from "../packet.ts";
import type { SocketError } from "./errors.ts";
import { ipPacket } from "./ip-packet.ts";
import type { NetSocket } from "./net-socket.ts";
import { JumpingClock, type PacketFaults, twoHosts } from "./two-hosts.ts";

const open: { [Symbol.dispose](): void }[] = [];
afterEach(() => {
  for (const o of open.splice(0)) o[Symbol.dispose]();
});

function hosts(...args: Parameters<typeof twoHosts>) {
  const h = twoHosts(...args);
  open.push(h);
  return h;
}

const errorOf = async (s: NetSocket) => (await once(s, "error"))[0] as SocketError;

async function text(s: AsyncIterable<Uint8Array>): Promise<string> {
  const all: Uint8Array[] = [];
  for await (const c of s) all.push(c);
  return Buffer.concat(all).toString();
}

describe("a connection", () => {
  for (const [host, peer] of [
    ["10.0.0.2", "10.0.0.1"],
    ["fd00::2", "fd00::1"],
  ] as const)
    test(`echo and addresses over ${host}`, async () => {
      const { a, b } = hosts();
      const seen: unknown[] = [];
      const server = b.tcpListen({ port: 7, allowHalfOpen: true }, (s) => {
        seen.push(s.remoteAddress, s.localAddress, s.localPort);
        s.pipe(s);
      });
      expect(server.address()).toEqual({ address: "::", family: "IPv6", port: 7 });
      const s = a.tcpConnect({ host, port: 7 });
      expect([s.connecting, s.readyState]).toEqual([true, "opening"]);
      await once(s, "connect");
      expect([s.remoteAddress, s.remotePort, s.localAddress, s.readyState]).toEqual([host, 7, peer, "open"]);
      s.end("hello there");
      expect(await text(s)).toBe("hello there");
      expect(seen).toEqual([peer, host, 7]);
      expect([s.bytesWritten, s.bytesRead]).toEqual([11, 11]);
    });

  test("refused: ECONNREFUSED with Node's message", async () => {
    const { a } = hosts();
    const e = await errorOf(a.tcpConnect({ host: "10.0.0.2", port: 81 }));
    expect([e.code, e.message, e.errno]).toEqual(["ECONNREFUSED", "connect ECONNREFUSED 10.0.0.2:81", -111]);
  });

  test("no route: ENETUNREACH; not an address: ENOTFOUND; nobody there: ETIMEDOUT", async () => {
    const h = hosts({ tap: () => true });
    expect((await errorOf(h.a.tcpConnect({ host: "web", port: 1 }))).code).toBe("ENOTFOUND");
    expect((await errorOf(h.a.tcpConnect({ host: "10.0.0.2", port: 1, timeoutMs: 20 }))).code).toBe("ETIMEDOUT");
    expect((await errorOf(h.a.tcpConnect({ host: "10.0.0.2", port: 1, localAddress: "10.9.9.9" }))).code).toBe("EADDRNOTAVAIL");
  });

  test("two listeners on one port: EADDRINUSE, unless the addresses differ", () => {
    const { b } = hosts();
    b.tcpListen({ port: 80, host: "10.0.0.2" });
    expect(() => b.tcpListen({ port: 80, host: "10.0.0.2" })).toThrow(expect.objectContaining({ code: "EADDRINUSE" }));
    expect(() => b.tcpListen({ port: 80 })).toThrow(expect.objectContaining({ code: "EADDRINUSE" }));
    expect(() => b.tcpListen({ port: 80, host: "fd00::2" })).not.toThrow();
    expect(() => b.tcpListen({ port: 80, host: "10.7.7.7" })).toThrow(expect.objectContaining({ code: "EADDRNOTAVAIL" }));
    const any = b.tcpListen({ port: 0 });
    expect(any.address().port).toBeGreaterThanOrEqual(32_768);
  });

  test("a reset reaches the peer as ECONNRESET; a closed listener refuses", async () => {
    const { a, b } = hosts();
    const accepted = Promise.withResolvers<NetSocket>();
    const server = b.tcpListen({ port: 7 }, accepted.resolve);
    const s = a.tcpConnect({ host: "10.0.0.2", port: 7 });
    (await accepted.promise).resetAndDestroy();
    const e = await errorOf(s);
    expect([e.code, e.syscall]).toEqual(["ECONNRESET", "read"]);
    server.close();
    expect((await errorOf(a.tcpConnect({ host: "10.0.0.2", port: 7 }))).code).toBe("ECONNREFUSED");
  });

  test("close is emitted once, after both ends are done; setTimeout tells of silence", async () => {
    const { a, b } = hosts();
    b.tcpListen({ port: 7 }, (s) => s.resume());
    const s = a.tcpConnect({ host: "10.0.0.2", port: 7 });
    s.resume();
    const started = systemClock.monotonicMs();
    s.setTimeout(30);
    await once(s, "timeout");
    expect(systemClock.monotonicMs() - started).toBeGreaterThan(25);
    s.end();
    expect(await once(s, "close")).toEqual([false]);
    expect(s.destroyed).toBe(true);
  });

  test("a reader that pauses holds the writer back", async () => {
    const { a, b } = hosts();
    const accepted = Promise.withResolvers<NetSocket>();
    b.tcpListen({ port: 7 }, accepted.resolve);
    const s = a.tcpConnect({ host: "10.0.0.2", port: 7 });
    const peer = await accepted.promise;
    let sent = 0;
    const writing = (async () => {
      for (let i = 0; i < 100; i++) {
        if (!s.write(Buffer.alloc(100_000, i))) await once(s, "drain");
        sent += 100_000;
      }
      s.end();
    })();
    await new Promise((r) => setTimeout(r, 150));
    // Both sockets' buffers, both connections' limits: well below what was to be written.
    expect(sent).toBeLessThan(5_000_000);
    let got = 0;
    for await (const c of peer) got += c.length;
    await writing;
    expect(got).toBe(10_000_000);
  });
});

describe("50 MB arrive whole", () => {
  const cases: [string, Partial<PacketFaults>][] = [
    ["a clean link", {}],
    ["loss, duplication and reordering", { loss: 0.005, duplicate: 0.005, reorder: 0.01, delayMs: 1 }],
  ];
  for (const [name, faults] of cases)
    test(`over ${name}`, { timeout: 60_000 }, async () => {
      const { a, b } = hosts(faults);
      const data = seededRandom(5).bytes(1_000_000);
      const wanted = createHash("sha256");
      for (let i = 0; i < 50; i++) wanted.update(data);
      const got = createHash("sha256");
      const done = Promise.withResolvers<void>();
      b.tcpListen({ port: 7 }, (s) => {
        pipeline(s, new Writable({ write: (c, _e, cb) => void cb(void got.update(c)) })).then(done.resolve, done.reject);
      });
      const s = a.tcpConnect({ host: "10.0.0.2", port: 7 });
      await pipeline(
        Readable.from(
          (function* () {
            for (let i = 0; i < 50; i++) yield data;
          })(),
        ),
        s,
      );
      await done.promise;
      expect(got.digest("hex")).toBe(wanted.digest("hex"));
    });
});

for (const kind of ["real", "virtual"] as const)
  describe(`node's protocols on the ${kind} clock`, () => {
    function world(faults: Partial<PacketFaults> = {}) {
      if (kind === "real") return hosts(faults);
      const clock = new JumpingClock();
      const h = hosts({ delayMs: 1, ...faults }, clock);
      open.push({ [Symbol.dispose]: () => clock.stop() });
      return h;
    }

    test("http with keep-alive and a lossy link", async () => {
      const { a, b } = world({ loss: 0.05 });
      let connections = 0;
      const app = http.createServer((req, res) => {
        let n = 0;
        req.on("data", (c) => (n += c.length));
        req.on("end", () => res.end(`${req.method} ${req.url} ${n} from ${req.socket.remoteAddress}`));
      });
      b.tcpListen({ port: 80, allowHalfOpen: true }, (s) => {
        connections++;
        app.emit("connection", s);
      });
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      (agent as any).createConnection = () => a.tcpConnect({ host: "10.0.0.2", port: 80 });
      for (let i = 0; i < 5; i++) {
        const body = "x".repeat(i * 20_000);
        const answer = await new Promise<string>((resolve, reject) => {
          const req = http.request({ agent, host: "web", method: "POST", path: `/${i}` }, (res) => text(res).then(resolve, reject));
          req.on("error", reject);
          req.end(body);
        });
        expect(answer).toBe(`POST /${i} ${body.length} from 10.0.0.1`);
      }
      expect(connections).toBe(1);
      agent.destroy();
    });

    test("http2", async () => {
      const { a, b } = world();
      const app = http2.createServer();
      app.on("stream", (stream, headers) => {
        stream.respond({ ":status": 200 });
        stream.end(`you asked ${headers[":path"]}`);
      });
      b.tcpListen({ port: 80, allowHalfOpen: true }, (s) => app.emit("connection", s));
      const session = http2.connect("http://web", { createConnection: () => a.tcpConnect({ host: "10.0.0.2", port: 80 }) });
      const answers = await Promise.all([1, 2, 3].map((i) => text(session.request({ ":path": `/${i}` }))));
      expect(answers).toEqual(["you asked /1", "you asked /2", "you asked /3"]);
      session.close();
    });

    test("tls over it, over tcp", async () => {
      const { a, b } = world({ loss: 0.02 });
      const key = Buffer.from("a shared secret of this test");
      const ciphers = { ciphers: "PSK", maxVersion: "TLSv1.2" } as const;
      const app = tls.createServer({ ...ciphers, pskCallback: () => key }, (s) => s.pipe(s));
      b.tcpListen({ port: 443, allowHalfOpen: true }, (s) => app.emit("connection", s));
      const socket = a.tcpConnect({ host: "10.0.0.2", port: 443, allowHalfOpen: true });
      const secure = tls.connect({
        socket,
        ...ciphers,
        pskCallback: () => ({ psk: key, identity: "me" }),
        checkServerIdentity: () => undefined,
      });
      await once(secure, "secureConnect");
      const data = seededRandom(1).bytes(300_000);
      secure.end(data);
      const all: Uint8Array[] = [];
      for await (const c of secure) all.push(c);
      expect(Buffer.concat(all).equals(data)).toBe(true);
    });

    test("an upgrade, then frames both ways", async () => {
      const { a, b } = world();
      const app = http.createServer();
      app.on("upgrade", (_req, socket) => {
        socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n");
        socket.on("data", (c: Buffer) => socket.write(c.toString().toUpperCase()));
      });
      b.tcpListen({ port: 80, allowHalfOpen: true }, (s) => app.emit("connection", s));
      const req = http.request({
        createConnection: () => a.tcpConnect({ host: "10.0.0.2", port: 80 }) as any,
        headers: { Connection: "Upgrade", Upgrade: "echo" },
      });
      req.end();
      const [, socket] = (await once(req, "upgrade")) as [unknown, NetSocket];
      socket.write("ping");
      const [answer] = await once(socket, "data");
      expect(String(answer)).toBe("PING");
      socket.destroy();
    });
  });

describe("udp and icmp", () => {
  test("datagrams both ways, replies to the sender's address", async () => {
    const { a, b } = hosts();
    const echo = b.udpBind({ port: 53 });
    echo.onMessage((bytes, from) => void echo.send(bytes, from.port, from.address));
    const s = a.udpBind();
    const answer = new Promise<string>((r) => s.onMessage((bytes, from) => r(`${Buffer.from(bytes)} ${from.address}:${from.port}`)));
    expect(s.send(Buffer.from("hi"), 53, "10.0.0.2")).toBe("");
    expect(await answer).toBe("hi 10.0.0.2:53");
    expect(() => b.udpBind({ port: 53 })).toThrow(expect.objectContaining({ code: "EADDRINUSE" }));
    expect(s.send(new Uint8Array(70_000), 53, "10.0.0.2")).toBe("EMSGSIZE");
  });

  test("a connected socket learns of a port unreachable; a closed port counts", async () => {
    const { a, b } = hosts();
    const s = a.udpBind().connect(9, "10.0.0.2");
    const error = new Promise<SocketError>((r) => s.onError(r));
    s.send(Buffer.from("x"));
    expect((await error).code).toBe("ECONNREFUSED");
    expect(b.counters()["udpNoPort"]).toBe(1);
  });

  test("ping answers; an unanswered one times out", async () => {
    const h = hosts();
    expect(await h.a.ping("10.0.0.2", { size: 1000 })).toMatchObject({ from: "10.0.0.2", type: "reply", ttl: 64 });
    expect(await h.a.ping("fd00::2")).toMatchObject({ from: "fd00::2", type: "reply" });
    h.faults.tap = () => true;
    await expect(h.a.ping("10.0.0.2", { timeoutMs: 10 })).rejects.toMatchObject({ code: "ETIMEDOUT" });
  });
});

test("the IPv4 header written on the hot path is the codec's", () => {
  const random = seededRandom(9);
  for (let i = 0; i < 500; i++) {
    const fields = {
      protocol: random.below(256),
      ttl: random.below(256),
      identification: random.below(65_536),
      dontFragment: random.float() < 0.5,
    };
    const [src, dst, length] = [random.uint32(), random.uint32(), random.below(1400)];
    const p = ipPacket(src, dst, length, fields);
    const wanted = new Uint8Array(20);
    Ipv4.emit({ ...fields, src, dst, totalLength: 20 + length, tos: 0, moreFragments: false, fragmentOffset: 0 }, wanted, 0);
    expect(p.bytes().slice(0, 20)).toEqual(wanted);
  }
});

describe("bad input", () => {
  test("a flood of SYNs fills the backlog and no more; honest peers still get in, by cookies", async () => {
    const { a, b } = hosts({ tap: (p, from) => from === "b" && p.data[p.start + 16] === 11 });
    let accepted = 0;
    const server = b.tcpListen({ port: 80, backlog: 64 }, (s) => {
      accepted++;
      s.pipe(s);
    });
    for (let i = 0; i < 1000; i++) {
      const src = 0x0b000000 + i;
      const p = ipPacket(src, 0x0a000002, 20, { protocol: 6, ttl: 64, identification: 0, dontFragment: true });
      Tcp.emit(
        { sport: 1000, dport: 80, seq: i, ack: 0, flags: 2, window: 1000, urgent: 0, options: {}, payload: new Uint8Array(0) },
        p.data,
        p.start + 20,
        pseudoSum(src, 0x0a000002, 6),
      );
      b.receive(p);
    }
    expect(server.halfOpen).toBe(64);
    expect(b.counters()["tcpCookiesSent"]).toBe(936);
    const data = seededRandom(4).bytes(500_000);
    for (const host of ["10.0.0.2", "fd00::2"]) {
      const s = a.tcpConnect({ host, port: 80 });
      s.end(data);
      const got: Uint8Array[] = [];
      for await (const c of s) got.push(c);
      expect(Buffer.concat(got).equals(data)).toBe(true);
    }
    expect([accepted, b.counters()["tcpCookiesReceived"], server.halfOpen]).toEqual([2, 2, 64]);
  });

  test("an acknowledgement that carries no cookie of ours is reset", async () => {
    const { a, b } = hosts();
    const accepted = new Promise((r) => b.tcpListen({ port: 80, backlog: 0 }, r));
    a.tcpConnect({ host: "10.0.0.2", port: 80 });
    await accepted;
    const p = ipPacket(0x0a000001, 0x0a000002, 20, { protocol: 6, ttl: 64, identification: 0, dontFragment: true });
    const forged = {
      sport: 999,
      dport: 80,
      seq: 1,
      ack: 77_777,
      flags: 16,
      window: 1000,
      urgent: 0,
      options: {},
      payload: new Uint8Array(0),
    };
    Tcp.emit(forged, p.data, p.start + 20, pseudoSum(0x0a000001, 0x0a000002, 6));
    b.receive(p);
    expect([b.counters()["tcpCookiesReceived"], b.counters()["tcpResetsSent"]]).toEqual([1, 1]);
  });

  test("garbage of every length neither throws nor answers", () => {
    let sent = 0;
    const { b } = hosts({ tap: () => ++sent > 0 });
    const random = seededRandom(3);
    for (let i = 0; i < 5000; i++) {
      const bytes = random.bytes(random.below(120));
      if (bytes.length > 0) bytes[0] = random.pick([0x45, 0x46, 0x60, 0x4f, bytes[0]!]);
      b.receive(Packet.from(bytes));
    }
    expect(sent).toBe(0);
  });
});
