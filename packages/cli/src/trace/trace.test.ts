// Collecting over a real (in-memory) bus, order of points, and the printed form.
import { seededRandom, silentLogger, systemClock } from "@podwire/base";
import { decode, encode, memoryBus, subjectsOf } from "@podwire/bus";
import type { TraceFilter, TracePoint } from "@podwire/net";
import { expect, it } from "vitest";
import { collectTrace, firstExchange, inOrder } from "./collect.ts";
import { processesCrossed, renderTrace } from "./render.ts";

const flow = (dst: string, dport: number) => ({ src: "203.0.113.7", dst, protocol: "tcp", sport: 40000, dport });
const point = (o: Partial<TracePoint>): TracePoint => ({
  traceId: 1,
  hop: 0,
  timeMs: 0,
  process: "edge",
  netns: "root",
  place: "device",
  name: "eth0",
  rule: "",
  verdict: "",
  before: flow("198.51.100.1", 80),
  after: flow("198.51.100.1", 80),
  ...o,
});

it("arms every process, and gathers what they report about this trace only", async () => {
  const broker = memoryBus();
  const common = { cluster: "c", clock: systemClock, random: seededRandom(1), log: silentLogger };
  const node = broker.connect({ ...common, identity: "node:node-1" });
  const admin = broker.connect({ ...common, identity: "user:admin" });
  const s = subjectsOf("c");
  let armed: TraceFilter | undefined;
  node.subscribe(s.traceArm, (m) => {
    armed = decode(m.data.slice()) as TraceFilter;
  });
  const points = await collectTrace(
    { bus: admin, clock: systemClock, random: common.random, selection: { dport: 80 }, maxPackets: 1, timeoutMs: 2000 },
    async () => {
      const traceId = armed?.traceId as number;
      node.publish(s.tracePoint("node-1"), encode([point({ traceId, hop: 2, timeMs: 5 }), point({ traceId, hop: 1, timeMs: 5 })]));
      node.publish(s.tracePoint("node-1"), encode(point({ traceId: traceId + 1 })));
      node.publish(s.tracePoint("node-1"), new Uint8Array([0xc1]));
    },
  );
  expect(armed).toMatchObject({ dport: 80, maxPackets: 1 });
  expect(points.map((p) => p.hop)).toEqual([1, 2]);
});

it("prints processes as headings and translations as before and after", () => {
  const points = [
    point({ place: "socket", name: "", verdict: "send" }),
    point({
      process: "node-1",
      place: "nat",
      name: "prerouting",
      rule: "-A KUBE-SEP-X -j DNAT",
      verdict: "dnat",
      after: flow("10.244.1.2", 8080),
      timeMs: 1,
    }),
    point({ process: "node-1", netns: "default/web-1", place: "socket", verdict: "deliver", timeMs: 2 }),
  ];
  expect(renderTrace(points, { outColour: false })).toEqual([
    "edge · host",
    "     +0.00  socket                  tcp 203.0.113.7:40000 > 198.51.100.1:80  → send",
    "node-1 · host",
    "     +1.00  nat prerouting          tcp 203.0.113.7:40000 > 198.51.100.1:80  ⇒  tcp 203.0.113.7:40000 > 10.244.1.2:8080  → dnat  -A KUBE-SEP-X -j DNAT",
    "node-1 · pod default/web-1",
    "     +2.00  socket eth0             tcp 203.0.113.7:40000 > 198.51.100.1:80  → deliver",
  ]);
  expect(processesCrossed(points)).toEqual(["edge", "node-1"]);
  const answer = point({ place: "socket", verdict: "deliver", timeMs: 3 });
  expect(firstExchange([...points, answer, point({ timeMs: 4 })])).toEqual([...points, answer]);
  expect(firstExchange(points)).toEqual(points);
  expect(inOrder([point({ timeMs: 2 }), point({ timeMs: 1, hop: 5 })])[0]?.hop).toBe(5);
});
