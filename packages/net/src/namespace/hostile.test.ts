// What the network may do to a node: garbage, truncation, spoofing, loops, floods. Counted and dropped, nothing thrown, the node alive.
import { seededRandom } from "@podwire/base";
import { echo, ipOf, listen, settle, tcp, two, udp } from "@podwire/testkit";
import { afterEach, expect, test } from "vitest";
import type { Rule } from "../netfilter/rule.ts";
import { Packet } from "../packet.ts";
import { Flow, readFlow } from "./flow.ts";
import type { NetNamespace } from "./namespace.ts";

let net: ReturnType<typeof two> | undefined;
afterEach(() => net?.close());

async function alive(p: NetNamespace, q: NetNamespace): Promise<void> {
  const got = listen(q, false);
  for (let i = 0; i < 20 && got.length === 0; i++) {
    p.output(udp(ipOf(p), 7777, ipOf(q), 7, "alive"));
    await settle(50);
  }
  expect(got.find((s) => s.text === "alive")).toMatchObject({ checksumOk: true });
}

test("mutated packets of every kind, from a pod and from the wire, throw nowhere", async () => {
  net = two();
  const { a, b, wire } = net;
  const [p, q] = [a.addPod(2), b.addPod(2)];
  for (const n of [a, b]) {
    const rules: Rule[] = [
      { protocol: "udp", dst: "10.96.0.1", matches: [{ m: "dport", from: 80, to: 80 }], target: { t: "DNAT", to: "10.244.2.2:8080" } },
    ];
    n.root.netfilter.v4.nat.apply({ chains: new Map([["PREROUTING", rules]]) });
  }
  const random = seededRandom(42);
  const seeds = [
    udp("10.244.1.2", 1, "10.96.0.1", 80, "service"),
    udp("10.244.1.2", 1, "10.244.2.2", 80, "", { bytes: 300 }),
    tcp("10.244.1.2", 1, "10.244.2.2", 80, 2),
    echo("10.244.1.2", "10.244.2.2", 1),
    udp("fd00:244:1::2", 1, "fd00:244:2::2", 80, "six"),
  ].map((x) => x.bytes().slice());
  const underlay = wire.port("172.30.1.9");
  const head = (bytes: Uint8Array, from: number[]) => {
    const frame = new Uint8Array(bytes.length + 14);
    frame.set([2, 0x42, 172, 30, 1, 2, 2, 0x42, 172, 30, 1, ...from, bytes[0]! >> 4 === 6 ? 0x86 : 8, bytes[0]! >> 4 === 6 ? 0xdd : 0]);
    frame.set(bytes, 14);
    return frame;
  };
  const vxlan = (inner: Uint8Array) => udp("172.30.1.9", 40_000, "172.30.1.2", 4789, "", { bytes: inner.length + 8 });
  for (let i = 0; i < 20_000; i++) {
    const bytes = random.pick(seeds).slice(0, random.float() < 0.3 ? random.below(60) : undefined);
    for (let k = random.below(6); k > 0; k--) if (bytes.length > 0) bytes[random.below(bytes.length)] = random.below(256);
    const way = random.below(3);
    if (way === 0) p.output(Packet.from(bytes));
    else if (way === 1) underlay.send("172.30.1.2", { bytes: head(bytes, [9]), gsoSize: 0, traceId: 0, traceHop: 0 });
    else {
      const outer = vxlan(bytes);
      const at = outer.start + 28;
      outer.data.set([8, 0, 0, 0, 0, 0, 1, 0], at);
      outer.data.set(bytes, at + 8);
      outer.data[outer.start + 26] = outer.data[outer.start + 27] = 0;
      underlay.send("172.30.1.2", { bytes: head(outer.bytes(), [9]), gsoSize: 0, traceId: 0, traceHop: 0 });
    }
    if (i % 500 === 0) await settle(1);
  }
  await settle();
  const { drops } = b.root.readCounters();
  expect(Object.keys(drops).length).toBeGreaterThan(3);
  await alive(p, q);
});

test("readFlow never reads past the end and accepts nothing shorter than it says", () => {
  const random = seededRandom(9);
  for (let i = 0; i < 50_000; i++) {
    const bytes = random.bytes(random.below(90));
    if (bytes.length > 0 && random.float() < 0.9) bytes[0] = random.pick([0x45, 0x46, 0x4f, 0x60]);
    const p = new Packet(bytes, 0, bytes.length);
    const f = new Flow();
    if (readFlow(p, f, false) === undefined) {
      expect(p.end).toBeLessThanOrEqual(bytes.length);
      expect(f.l4).toBeLessThanOrEqual(p.end);
    }
  }
});

test("a frame that claims another sender, or is for somebody else, is refused and counted", async () => {
  net = two();
  const { b, wire } = net;
  const port = wire.port("172.30.1.9");
  const bytes = udp("172.30.1.9", 1, "172.30.1.2", 9, "x").bytes();
  const frame = (mac: number[], from: number[]) => {
    const f = new Uint8Array(14 + bytes.length);
    f.set([...mac, ...from, 8, 0]);
    f.set(bytes, 14);
    return { bytes: f, gsoSize: 0, traceId: 0, traceHop: 0 };
  };
  port.send("172.30.1.2", frame([2, 0x42, 172, 30, 1, 2], [2, 0x42, 172, 30, 1, 1]));
  port.send("172.30.1.2", frame([2, 0x42, 172, 30, 1, 7], [2, 0x42, 172, 30, 1, 9]));
  port.send("172.30.1.2", { bytes: new Uint8Array(5), gsoSize: 0, traceId: 0, traceHop: 0 });
  port.send("172.30.1.2", { bytes: "text" as never, gsoSize: 0, traceId: 0, traceHop: 0 });
  await settle();
  expect(b.nic.refused).toEqual({ malformed: 2, spoofed: 1, notForUs: 1 });
});

test("two nodes that route a network at each other let a packet die by its TTL", async () => {
  net = two();
  const { a, b } = net;
  a.root.addRoute({ to: "192.0.2.0/24", via: "10.244.2.0", dev: "flannel.1", onlink: true });
  b.root.addRoute({ to: "192.0.2.0/24", via: "10.244.1.0", dev: "flannel.1", onlink: true });
  const [p, q] = [a.addPod(2), b.addPod(2)];
  const got = listen(p);
  p.output(udp(ipOf(p), 1, "192.0.2.1", 9, "round and round"));
  await settle(300);
  expect(got).toMatchObject([{ icmp: 0x0b00 }]);
  const drops = [a, b].map((n) => n.root.readCounters().drops["ttlExceeded"] ?? 0);
  expect(drops[0]! + drops[1]!).toBe(1);
  await alive(p, q);
});

test("an ARP storm and claims to the gateway's address change nothing that is known", async () => {
  net = two();
  const { a } = net;
  const [p, q] = [a.addPod(2), a.addPod(3)];
  await alive(p, q);
  const before = a.root.neighbours.list().length;
  const evil = p.device("eth0")!;
  for (let i = 0; i < 5000; i++) {
    const claim = Packet.alloc(42);
    const sender = i % 2 === 0 ? [10, 244, 1, 1] : [10, 244, 9, i & 255];
    claim.data.set(
      [
        255,
        255,
        255,
        255,
        255,
        255,
        10,
        88,
        10,
        244,
        1,
        2,
        8,
        6,
        0,
        1,
        8,
        0,
        6,
        4,
        0,
        1,
        10,
        88,
        10,
        244,
        1,
        2,
        ...sender,
        0,
        0,
        0,
        0,
        0,
        0,
        ...sender,
      ],
      claim.start,
    );
    evil.transmit(claim);
    if (i % 500 === 0) await settle(1);
  }
  await settle();
  expect(a.root.neighbours.list().length).toBe(before);
  expect(a.root.readCounters().drops["arpOwnAddress"]).toBe(2500);
  await alive(p, q);
});

test("packets for a neighbour that never answers: a few wait, the rest is dropped, then the sender is told", async () => {
  net = two();
  const { a } = net;
  const p = a.addPod(2);
  const got = listen(p);
  for (let i = 0; i < 200; i++) a.root.output(udp("10.244.1.1", i, "10.244.1.99", 9, "x"));
  expect(a.root.readCounters().drops["neighbourQueueFull"]).toBe(136);
  p.output(udp(ipOf(p), 5, "10.96.7.7", 9, "x"));
  await settle(3400);
  expect(a.root.readCounters().drops["neighbourFailed"]).toBeGreaterThanOrEqual(64);
  expect(got.every((s) => s.protocol === "icmp")).toBe(true);
});

test("host-gw: nodes route pods' packets to each other without a tunnel", async () => {
  net = two();
  const { a, b, points } = net;
  for (const [n, other] of [
    [a, b],
    [b, a],
  ] as const) {
    n.root.removeRoute({ to: `10.244.${other.index}.0/24` });
    n.root.addRoute({ to: `10.244.${other.index}.0/24`, via: other.underlay, dev: "eth0" });
  }
  const [p, q] = [a.addPod(2), b.addPod(2)];
  const [gotP, gotQ] = [listen(p), listen(q)];
  p.armTrace({ traceId: 3, dst: ipOf(q), maxPackets: 1, untilMs: Date.now() + 10_000 });
  p.output(udp(ipOf(p), 5, ipOf(q), 9, "plain"));
  await settle();
  expect(gotQ).toMatchObject([{ text: "plain", src: "10.244.1.2" }]);
  expect(gotP).toMatchObject([{ text: "re:plain", src: "10.244.2.2" }]);
  expect(points.some((x) => x.place === "encap")).toBe(false);
  expect(points.find((x) => x.place === "route" && x.netns === "root")?.rule).toBe("10.244.2.0/24 via 172.30.1.2 dev eth0");
});
