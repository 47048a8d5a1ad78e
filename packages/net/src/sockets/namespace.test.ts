import { once } from "node:events";
import * as http from "node:http";
import { ipOf, two } from "@podwire/testkit";
import { afterEach, expect, test } from "vitest";
import type { SocketError } from "./errors.ts";

let net: ReturnType<typeof two> | undefined;
afterEach(() => net?.close());

test("http between pods of two nodes, over VXLAN", async () => {
  net = two();
  const [p, q] = [net.a.addPod(2), net.b.addPod(2)];
  const app = http.createServer((req, res) => res.end(`hello ${req.socket.remoteAddress} ${"x".repeat(100_000)}`));
  q.tcpListen({ port: 80, allowHalfOpen: true }, (s) => app.emit("connection", s));
  const req = http.get({ createConnection: () => p.tcpConnect({ host: ipOf(q), port: 80 }) as never, path: "/" });
  const [res] = (await once(req, "response")) as [http.IncomingMessage];
  let body = "";
  for await (const c of res) body += c;
  expect(body).toBe(`hello ${ipOf(p)} ${"x".repeat(100_000)}`);
  expect(net.wire.frames).toBeGreaterThan(5);
});

test("ping, and the errors of routers reach it", async () => {
  net = two();
  const [p, q] = [net.a.addPod(2), net.b.addPod(2)];
  expect(await p.ping(ipOf(q))).toMatchObject({ type: "reply", from: ipOf(q), ttl: 62 });
  expect(await p.ping(ipOf(q), { ttl: 1 })).toMatchObject({ type: "timeExceeded" });
  expect(await p.ping("127.0.0.1")).toMatchObject({ type: "reply" });
});

test("a closed port refuses, on another node and on loopback", async () => {
  net = two();
  const [p, q] = [net.a.addPod(2), net.b.addPod(2)];
  for (const host of [ipOf(q), "127.0.0.1"]) {
    const [e] = (await once(p.tcpConnect({ host, port: 81 }), "error")) as [SocketError];
    expect(e.message).toBe(`connect ECONNREFUSED ${host}:81`);
  }
});
