// The other end of the suite `agnhost`: HTTP/1.1, raw TCP, UDP and gRPC over a namespace's own sockets, and what came back.
import http from "node:http";
import http2 from "node:http2";
import tls from "node:tls";
import { systemClock } from "@podwire/base";
import type { NetNamespace } from "@podwire/net";

export interface Request {
  path?: string;
  method?: string;
  port: number;
  headers?: Record<string, string>;
  body?: string | null;
  tls?: boolean;
  timeout?: number;
  data?: string;
  service?: string;
}

export interface Answer {
  status?: number | null;
  headers?: Record<string, string>;
  trailers?: Record<string, string>;
  body?: string;
  bodyHex?: string;
  reply?: string | null;
  error?: string;
}

export function ask(ns: NetNamespace, kind: "http" | "tcp" | "udp" | "grpc", r: Request): Promise<Answer> {
  switch (kind) {
    case "http":
      return askHttp(ns, r);
    case "tcp":
      return askTcp(ns, r);
    case "udp":
      return askUdp(ns, r);
    case "grpc":
      return askGrpc(ns, r);
  }
}

function connect(ns: NetNamespace, port: number) {
  return ns.tcpConnect({ host: "127.0.0.1", port, timeoutMs: 3_000 });
}

/** How long a request without a `timeout` of its own may take, seconds. */
const HTTP_TIMEOUT_S = 12;

async function askHttp(ns: NetNamespace, r: Request): Promise<Answer> {
  const socket = connect(ns, r.port);
  return new Promise((resolve) => {
    const timer = systemClock.after((r.timeout ?? HTTP_TIMEOUT_S) * 1000, () => {
      resolve({ status: null, error: "TIMEOUT" });
      socket.destroy();
    });
    const answer = (a: Answer) => {
      timer.cancel();
      resolve(a);
      socket.destroy();
    };
    const failed = (e: NodeJS.ErrnoException) =>
      answer({ status: null, error: e.code === "ECONNREFUSED" ? "ECONNREFUSED" : "EMPTY_REPLY" });
    socket.on("error", failed);
    const secure = r.tls ? tls.connect({ socket: socket as never, rejectUnauthorized: false }) : undefined;
    secure?.on("error", failed);
    const req = http.request({
      createConnection: () => (secure ?? socket) as never,
      path: r.path ?? "/",
      method: r.method ?? "GET",
      headers: {
        host: `127.0.0.1:${r.port}`,
        "user-agent": "oracle",
        ...r.headers,
        ...(r.body == null ? {} : { "content-length": Buffer.byteLength(r.body) }),
      },
      setHost: false,
    });
    req.on("error", failed);
    req.on("response", (res) => {
      const chunks: Buffer[] = [];
      res.on("data", (c: Buffer) => chunks.push(c));
      res.on("error", failed);
      res.on("end", () => {
        const headers = Object.fromEntries(Object.entries(res.headers).map(([k, v]) => [k, String(v)]));
        answer({ status: res.statusCode ?? 0, headers, body: Buffer.concat(chunks).toString("utf8") });
      });
    });
    req.end(r.body ?? undefined);
  });
}

function askTcp(ns: NetNamespace, r: Request): Promise<Answer> {
  const s = connect(ns, r.port);
  return new Promise((resolve) => {
    let reply = "";
    let error: string | undefined;
    s.on("data", (d: Buffer) => {
      reply += d.toString("utf8");
    });
    s.on("error", (e: NodeJS.ErrnoException) => {
      error = e.code ?? "error";
    });
    s.on("close", () => resolve({ reply, ...(error === undefined ? {} : { error }) }));
    s.write(r.data ?? "");
    s.on("end", () => s.end());
    systemClock.after(3_000, () => s.destroy(), { unref: true });
  });
}

/** A bound client waits this long for a datagram. */
const UDP_WAIT_MS = 1_000;

function askUdp(ns: NetNamespace, r: Request): Promise<Answer> {
  const u = ns.udpBind({});
  return new Promise((resolve) => {
    const done = (a: Answer) => {
      timer.cancel();
      u.close();
      resolve(a);
    };
    const timer = systemClock.after(UDP_WAIT_MS, () => done({ reply: null }));
    u.onMessage((bytes) => done({ reply: Buffer.from(bytes).toString("utf8") }));
    u.connect(r.port, "127.0.0.1");
    u.onError((e) => done({ reply: null, error: (e as NodeJS.ErrnoException).code ?? "error" }));
    u.send(Buffer.from(r.data ?? ""), r.port, "127.0.0.1");
  });
}

function askGrpc(ns: NetNamespace, r: Request): Promise<Answer> {
  return new Promise((resolve) => {
    const session = http2.connect(`http://127.0.0.1:${r.port}`, { createConnection: () => connect(ns, r.port) as never });
    const failed = (e: NodeJS.ErrnoException) => {
      session.destroy();
      resolve({ error: e.code ?? "error" });
    };
    session.on("error", () => undefined);
    const stream = session.request({
      ":method": "POST",
      ":path": "/grpc.health.v1.Health/Check",
      "content-type": "application/grpc",
      te: "trailers",
    });
    const answer: Answer = {};
    const chunks: Buffer[] = [];
    // The library behind the recorded program sends no date.
    const plain = (h: object) =>
      Object.fromEntries(
        Object.entries(h)
          .filter(([k]) => !k.startsWith(":") && k !== "date")
          .map(([k, v]) => [k, String(v)]),
      );
    stream.on("error", failed);
    stream.on("response", (h) => {
      answer.status = Number(h[":status"]);
      answer.headers = plain(h);
    });
    stream.on("trailers", (t) => {
      answer.trailers = plain(t);
    });
    stream.on("data", (c: Buffer) => chunks.push(c));
    stream.on("end", () => {
      session.close();
      resolve({ ...answer, bodyHex: Buffer.concat(chunks).toString("hex") });
    });
    const service = Buffer.from(r.service ?? "");
    const message = service.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, service.length]), service]);
    stream.end(Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]));
  });
}
