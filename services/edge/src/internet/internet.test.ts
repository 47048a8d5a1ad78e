// A real client at a real listener, the internet's namespace, the router, and a node that has the virtual address: bytes both ways, a
// refused connection, and UDP, all as packets over a wire.
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createConnection } from "node:net";
import { seededRandom, silentLogger, systemClock } from "@podwire/base";
import type { WireFrame, WirePort } from "@podwire/bus";
import { NetNamespace, Nic, type TracePoint } from "@podwire/net";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { OpenListener } from "../listeners/host-ports.ts";
import { openTcp } from "../listeners/tcp.ts";
import { openUdp } from "../listeners/udp.ts";
import { type Internet, openInternet } from "./internet.ts";

const VIP = "198.51.100.1";
const clock = systemClock;
const random = seededRandom(7);
const log = silentLogger;

/** Ports that hand frames to each other in a later turn, as the bus does. */
function wires(...addresses: string[]): WirePort[] {
  const heard = new Map<string, (source: string, frame: WireFrame) => void>();
  return addresses.map((address) => ({
    address,
    send: (to, frame) => {
      const copy = { ...frame, bytes: frame.bytes.slice() };
      clock.soon(() => heard.get(to)?.(address, copy));
    },
    onFrame: (cb) => void heard.set(address, cb),
    onMessageEnd: () => undefined,
    counters: () => ({ txFrames: 0, txBytes: 0, txMessages: 0, txDropped: 0, rxFrames: 0, rxBytes: 0, rxMessages: 0, rxMalformed: 0 }),
    close: () => void heard.delete(address),
  }));
}

let internet: Internet;
let node: NetNamespace;
let points: TracePoint[];
const open: OpenListener[] = [];

beforeEach(() => {
  points = [];
  const [a, b] = wires("172.30.0.3", "172.30.1.1") as [WirePort, WirePort];
  const candidates = (vip: string) => (vip === VIP ? [{ name: "node-1", address: "172.30.1.1" }] : []);
  internet = openInternet({ wire: a, clock, random, log, trace: { point: (p) => void points.push(p) }, candidates });
  node = new NetNamespace({ name: "root", process: "node-1", clock, random, log });
  const nic = new Nic(b);
  node.addDevice(nic);
  node.addAddress(nic, "172.30.1.1", 16);
  node.addAddress(nic, VIP, 32);
  node.addRoute({ to: "203.0.113.0/24", via: "172.30.0.3" });
});
afterEach(() => {
  for (const l of open.splice(0)) l.close();
  internet.close();
  node.close();
});

const listener = async (port: number) => {
  const l = await openTcp("127.0.0.1", 0, internet, () => ({ address: VIP, port }));
  open.push(l);
  return l;
};

it("joins a real connection to packets for the virtual address, from the client's own address", async () => {
  node.tcpListen({ port: 80, allowHalfOpen: true }, (s) => {
    let got = "";
    s.on("data", (d: Uint8Array) => (got += Buffer.from(d).toString()));
    s.on("end", () => s.end(`${s.remoteAddress} sent ${got.length}: ${got.slice(0, 5)}`));
  });
  internet.armTrace({ traceId: 5, dst: VIP, dport: 80, protocol: "tcp", maxPackets: 1, untilMs: clock.nowMs() + 10_000 });
  const { port } = await listener(80);
  const c = createConnection({ port, host: "127.0.0.1", allowHalfOpen: true });
  c.end(`hello${"x".repeat(300_000)}`);
  let answer = "";
  for await (const d of c) answer += d;
  expect(answer).toBe("203.0.113.1 sent 300005: hello");
  expect(points.length).toBeGreaterThan(0);
  expect(points[0]).toMatchObject({ traceId: 5, process: "edge", before: { src: "203.0.113.1", dst: VIP, dport: 80 } });
});

it("resets a client whose Service refuses, and one whose Service has no node", async () => {
  for (const l of [await listener(81), await openTcp("127.0.0.1", 0, internet, () => undefined)]) {
    open.push(l);
    const c = createConnection({ port: l.port, host: "127.0.0.1" });
    const [error] = (await once(c, "error")) as [NodeJS.ErrnoException];
    expect(error.code).toBe("ECONNRESET");
  }
});

it("carries datagrams and their answers, and keeps clients apart", async () => {
  const echo = node.udpBind({ host: VIP, port: 53 });
  echo.onMessage((bytes, from) => echo.send(Buffer.from(`${Buffer.from(bytes)} from ${from.address}`), from.port, from.address));
  const l = await openUdp("127.0.0.1", 0, internet, () => ({ address: VIP, port: 53 }), clock);
  open.push(l);
  const clients = [createSocket("udp4"), createSocket("udp4")];
  const answers = clients.map(async (c, i) => {
    c.send(`question ${i}`, l.port, "127.0.0.1");
    const [message] = (await once(c, "message")) as [Buffer];
    c.close();
    return message.toString();
  });
  expect(await Promise.all(answers)).toEqual(["question 0 from 203.0.113.1", "question 1 from 203.0.113.1"]);
  expect(l.connections()).toBe(2);
});
