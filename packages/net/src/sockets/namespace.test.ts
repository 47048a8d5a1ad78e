import { once } from "node:events";
import * as http from "node:http";
import { seededRandom } from "@podwire/base";
import { ipOf, two } from "@podwire/testkit";
import { afterEach, expect, test } from "vitest";
import { address } from "../codec/address.ts";
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

test("a smaller MTU on the path is learned, and what was under way goes out again in smaller pieces", async () => {
  net = two();
  const [p, q] = [net.a.addPod(2), net.b.addPod(2)];
  net.a.flannel.mtu = 1300;
  const data = seededRandom(3).bytes(2_000_000);
  const got: Uint8Array[] = [];
  let largest = 0;
  net.b.nic.addTap((packet, direction) => {
    if (direction === "in") largest = Math.max(largest, packet.gsoSize);
  });
  for (const family of [4, 6] as const) {
    got.length = 0;
    largest = 0;
    q.tcpListen({ port: 80 + family }, (s) => s.on("data", (c) => got.push(c)).on("end", () => s.end()));
    const s = p.tcpConnect({ host: ipOf(q, family), port: 80 + family });
    s.resume();
    s.end(data);
    await once(s, "close");
    expect(Buffer.concat(got).equals(data)).toBe(true);
    // The MTU less IP, TCP and time stamps.
    expect(largest).toBe(1300 - (family === 4 ? 20 : 40) - 20 - 12);
    expect(p.mtuFor(address(ipOf(q, family)))).toBe(1300);
  }
});

test("what a router says of an address without a way reaches the connect", async () => {
  net = two();
  const [p, q] = [net.a.addPod(2), net.b.addPod(2)];
  q.tcpListen({ port: 80 });
  net.b.root.addRoute({ to: `${ipOf(q)}/32`, type: "unreachable" });
  const [e] = (await once(p.tcpConnect({ host: ipOf(q), port: 80 }), "error")) as [SocketError];
  expect(["EHOSTUNREACH", "ENETUNREACH"]).toContain(e.code);
});
