// The plain HTTP/1.1 connection over real sockets, with Node's server behind it for what it hands over.
import http from "node:http";
import net from "node:net";
import type { TLSSocket } from "node:tls";
import { afterEach, expect, it } from "vitest";
import type { ApiResponse, ResponseSink } from "../call.ts";
import type { HttpRequest, Out } from "./exchange.ts";
import { Http1Connection } from "./http1.ts";
import { MalformedHeaderError } from "./http1-answer.ts";

type Respond = (request: HttpRequest, body: string, out: Out) => void;

const closers: (() => void)[] = [];
afterEach(() => {
  for (const c of closers.splice(0)) c();
});

/** A server whose plain connections are answered by `respond`, and the rest by Node with "node: METHOD body". */
async function serve(respond: Respond, connections: Http1Connection[] = []): Promise<number> {
  const node = http.createServer((req, res) => {
    let body = "";
    req.on("data", (d) => (body += d));
    req.on("end", () => res.end(`node: ${req.method} ${body}`));
  });
  node.on("upgrade", (_req, socket, head) => socket.end(`HTTP/1.1 101 Switching Protocols\r\n\r\nswitched ${head}`));
  node.on("clientError", (_e, socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
  const server = net.createServer((socket) => {
    socket.on("error", () => socket.destroy());
    connections.push(
      new Http1Connection(socket as TLSSocket, {
        respond: (request, body, _socket, out) => respond(request, Buffer.from(body).toString(), out),
        handOver: (s) => void node.emit("connection", s),
        date: () => "Thu, 01 Jan 1970 00:00:00 GMT",
        idleSweeps: 2,
        idleSeconds: 180,
      }),
    );
  });
  closers.push(
    () => server.close(),
    () => node.closeAllConnections(),
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as net.AddressInfo).port;
}

/** Sends the pieces, each when the one before has gone out, and resolves with everything that came until `enough` or the end. */
async function talk(port: number, pieces: readonly string[], enough: (text: string) => boolean = () => false): Promise<string> {
  const socket = net.connect(port, "127.0.0.1");
  closers.push(() => socket.destroy());
  socket.setNoDelay(true);
  let text = "";
  const done = new Promise<string>((resolve) => {
    socket.on("data", (d) => {
      text += d.toString("latin1");
      if (enough(text)) resolve(text);
    });
    socket.on("close", () => resolve(text));
    socket.on("error", () => resolve(text));
  });
  for (const p of pieces) {
    await new Promise<void>((resolve) => socket.write(p, "latin1", () => resolve()));
    await new Promise((resolve) => setImmediate(resolve));
  }
  return done;
}

const reply = (text: string, headers: ApiResponse["headers"] = {}): [ApiResponse, Uint8Array[]] => [
  { status: 200, headers },
  [Buffer.from(text)],
];
const echo: Respond = (request, body, out) => out.send(...reply(`${request.method} ${request.path} ${body};`));
const get = (path: string, more = "") => `GET ${path} HTTP/1.1\r\nHost: a\r\n${more}\r\n`;
const post = (body: string, more = "") => `POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n${more}\r\n${body}`;
const bodies = (text: string) => text.split("\r\n").filter((line) => line.endsWith(";"));

it("answers with length, date and what becomes of the connection", async () => {
  const port = await serve((_r, _b, out) => out.send(...reply("x;", { "content-type": "text/plain", warning: ["a", "b"] })));
  const text = await talk(port, [get("/", "Connection: close\r\n")]);
  expect(text.split("\r\n")).toEqual([
    "HTTP/1.1 200 OK",
    "content-type: text/plain",
    "warning: a",
    "warning: b",
    "content-length: 2",
    "date: Thu, 01 Jan 1970 00:00:00 GMT",
    "connection: close",
    "",
    "x;",
  ]);
});

it("answers pipelined requests in their order, however late each answer is", async () => {
  const order: string[] = [];
  const port = await serve((request, _b, out) => {
    order.push(request.path);
    const wait = request.path === "/1" ? 20 : 0;
    setTimeout(() => out.send(...reply(`${request.path};`)), wait);
  });
  const text = await talk(port, [get("/1") + get("/2") + get("/3", "Connection: close\r\n")]);
  expect(order).toEqual(["/1", "/2", "/3"]);
  expect(text.match(/\/\d;/g)).toEqual(["/1;", "/2;", "/3;"]);
});

it("takes heads and bodies in pieces of any size", async () => {
  const port = await serve(echo);
  const all = post("hello") + post("") + get("/last", "Connection: close\r\n");
  for (const size of [1, 7, 40]) {
    const pieces = Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.slice(i * size, (i + 1) * size));
    const text = await talk(port, pieces);
    expect(text.match(/(POST|GET) \S+ \w*;/g), `pieces of ${size}`).toEqual(["POST /p hello;", "POST /p ;", "GET /last ;"]);
  }
});

it.each([
  [
    "a chunked body",
    "PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "node: PUT abc",
  ],
  ["HEAD", "HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK"],
  ["HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", "node: GET "],
  [
    "an expectation",
    "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab",
    "node: POST ab",
  ],
  ["an upgrade", "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nmore", "switched more"],
  ["nonsense", "\u0000\u0001\r\n\r\n", "400 Bad Request"],
])("hands over %s, after plain requests on the same connection", async (_what, raw, expected) => {
  const port = await serve(echo);
  const text = await talk(port, [get("/first") + post("body"), raw]);
  expect(bodies(text)[0] ?? text).toContain("GET /first ;");
  expect(text).toContain("POST /p body;");
  expect(text).toContain(expected);
  // And in one piece, behind a request that is still being answered.
  const slow = await serve((request, body, out) => void setTimeout(() => echo(request, body, out), 10));
  expect(await talk(slow, [get("/first") + raw])).toContain(expected);
});

it("streams in chunks, and takes the next request when the stream has ended", async () => {
  let sink: ResponseSink | undefined;
  const closed: string[] = [];
  const port = await serve((request, body, out) => {
    if (request.path !== "/watch") return echo(request, body, out);
    sink = out.stream({ status: 200, headers: {} });
    sink.onClose(() => closed.push("closed"));
    sink.write(Buffer.from("one"));
    sink.write(Buffer.alloc(0));
    setTimeout(() => {
      sink?.write(Buffer.from("twenty-two characters!"));
      sink?.end();
      sink?.end();
      expect(sink?.write(Buffer.from("late"))).toBe(false);
    }, 5);
  });
  const text = await talk(port, [get("/watch") + get("/next", "Connection: close\r\n")]);
  expect(text).toContain("transfer-encoding: chunked");
  expect(text).toContain("\r\n\r\n3\r\none\r\n16\r\ntwenty-two characters!\r\n0\r\n\r\nHTTP/1.1 200 OK");
  expect(text).toContain("GET /next ;");
  expect(closed).toEqual(["closed"]);
});

it("closes the connection when a stream ends before its stated length, and cuts what is beyond it", async () => {
  const port = await serve((request, _b, out) => {
    const sink = out.stream({ status: 200, headers: { "content-length": "4" } });
    sink.write(Buffer.from(request.path === "/short" ? "ab" : "abcdef"));
    sink.end();
  });
  const long = await talk(port, [get("/long") + get("/short")]);
  expect(long.match(/abcdef/)).toBeNull();
  expect(long.match(/\r\n\r\nabcd/g)).toHaveLength(1);
  expect(long.match(/HTTP\/1\.1 200/g)?.length).toBe(2);
});

it("tells the request and the stream that the client has gone", async () => {
  const gone: string[] = [];
  let went: () => void = () => {};
  const both = new Promise<void>((resolve) => {
    went = resolve;
  });
  const port = await serve((request, _b, out) => {
    request.signal.addEventListener("abort", () => gone.push("signal"));
    const sink = out.stream({ status: 200, headers: {} });
    sink.onClose(() => {
      gone.push(`sink ${sink.closed}`);
      went();
    });
    sink.write(Buffer.from("x"));
  });
  const socket = net.connect(port, "127.0.0.1", () => socket.write(get("/watch")));
  socket.once("data", () => socket.destroy());
  await both;
  expect(gone.sort()).toEqual(["signal", "sink true"]);
});

it("has no body where the status has none", async () => {
  const port = await serve((_r, _b, out) => out.send({ status: 204, headers: {} }, [Buffer.from("never")]));
  const text = await talk(port, [get("/", "Connection: close\r\n")]);
  expect(text).toMatch(/^HTTP\/1\.1 204 No Content\r\n/);
  expect(text).not.toContain("never");
  expect(text).not.toContain("content-length");
});

it("sends no header value with a line break", async () => {
  let thrown: unknown;
  const port = await serve((_r, _b, out) => {
    try {
      out.send(...reply("x", { evil: "a\r\nset-cookie: b" }));
    } catch (e) {
      thrown = e;
      out.send(...reply("refused"));
    }
  });
  expect(await talk(port, [get("/", "Connection: close\r\n")])).toContain("refused");
  expect(thrown).toBeInstanceOf(MalformedHeaderError);
});

it("ends what is silent for too long, but nothing that is being answered", async () => {
  const connections: Http1Connection[] = [];
  let out: Out | undefined;
  const port = await serve((_r, _b, o) => {
    out = o;
  }, connections);
  let text = "";
  const socket = net.connect(port, "127.0.0.1", () => socket.write(get("/slow")));
  closers.push(() => socket.destroy());
  socket.on("data", (d) => (text += d));
  while (!out) await new Promise((r) => setTimeout(r, 1));
  for (let i = 0; i < 20; i++) connections[0]?.sweep();
  const ended = new Promise<void>((resolve) => socket.on("close", () => resolve()));
  const answered = new Promise((resolve) => socket.once("data", resolve));
  out.send(...reply("done;"));
  await answered;
  for (let i = 0; i < 3; i++) connections[0]?.sweep();
  await ended;
  expect(text).toContain("done;");
});

it("ends a request whose body does not come", async () => {
  const connections: Http1Connection[] = [];
  const port = await serve((_r, _b, out) => out.send(...reply("never")), connections);
  const socket = net.connect(port, "127.0.0.1", () => socket.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf"));
  closers.push(() => socket.destroy());
  let ended = false;
  socket.on("close", () => {
    ended = true;
  });
  socket.resume();
  while (!connections[0]) await new Promise((r) => setTimeout(r, 1));
  await new Promise((r) => setTimeout(r, 50));
  for (let i = 0; i < 29; i++) connections[0].sweep();
  await new Promise((r) => setTimeout(r, 20));
  expect(ended).toBe(false);
  for (let i = 0; i < 2; i++) connections[0].sweep();
  await expect.poll(() => ended).toBe(true);
});

it("keeps large bodies whole and in order, bit by bit, however slowly they are read", async () => {
  const large = (letter: string) => Buffer.alloc(700_000, letter);
  const port = await serve((request, _b, out) => {
    if (request.path === "/length") return out.send({ status: 200, headers: {} }, [large("a"), large("b"), Buffer.from("c")]);
    const sink = out.stream({ status: 200, headers: {} });
    sink.write(large("d"));
    sink.write(Buffer.from("e"));
    sink.end();
  });
  const socket = net.connect(port, "127.0.0.1", () => socket.write(get("/length") + get("/chunks", "Connection: close\r\n")));
  closers.push(() => socket.destroy());
  let text = "";
  for await (const d of socket) {
    text += d.toString("latin1");
    await new Promise((r) => setImmediate(r));
  }
  expect(
    text
      .replace(/\r\n[0-9a-f]+\r\n/g, "")
      .match(/(.)\1{1000,}c?e?/g)
      ?.map((m) => [m[0], m.length, m.at(-1)]),
  ).toEqual([
    ["a", 700_000, "a"],
    ["b", 700_001, "c"],
    ["d", 700_001, "e"],
  ]);
});
