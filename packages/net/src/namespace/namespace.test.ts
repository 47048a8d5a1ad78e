// The way of packets through two nodes and their pods, with real bytes over an in-memory wire.

import { echo, ipOf, listen, settle, tcp, two, udp } from "@podwire/testkit";
import { afterEach, describe, expect, test } from "vitest";
import type { NetNamespace } from "./namespace.ts";

let net: ReturnType<typeof two> | undefined;
afterEach(() => net?.close());
const drops = (ns: NetNamespace) => ns.readCounters().drops;

describe("pods on two nodes", () => {
  test("UDP goes through veth, bridge, VXLAN and back, and the pods see each other's own addresses", async () => {
    net = two();
    const [p, q] = [net.a.addPod(2), net.b.addPod(2)];
    const [gotP, gotQ] = [listen(p), listen(q)];
    expect(p.output(udp(ipOf(p), 4000, ipOf(q), 53, "hello"))).toBe("");
    await settle();
    expect(gotQ).toMatchObject([{ text: "hello", src: "10.244.1.2", dst: "10.244.2.2", sport: 4000, dport: 53, checksumOk: true }]);
    expect(gotP).toMatchObject([{ text: "re:hello", src: "10.244.2.2", checksumOk: true }]);
    expect(net.wire.frames).toBe(2);
  });

  test("the same over IPv6 inside an IPv4 tunnel", async () => {
    net = two();
    const [p, q] = [net.a.addPod(2), net.b.addPod(2)];
    const [gotP, gotQ] = [listen(p), listen(q)];
    p.output(udp("fd00:244:1::2", 4000, "fd00:244:2::2", 53, "six"));
    await settle();
    expect(gotQ).toMatchObject([{ text: "six", src: "fd00:244:1::2", checksumOk: true }]);
    expect(gotP).toMatchObject([{ text: "re:six", checksumOk: true }]);
  });

  test("pods of one node talk over the bridge alone, and the node reaches its pods", async () => {
    net = two();
    const [p, q] = [net.a.addPod(2), net.a.addPod(3)];
    const [gotP, gotQ, gotRoot] = [listen(p), listen(q), listen(net.a.root)];
    p.output(udp(ipOf(p), 4000, ipOf(q), 53, "near"));
    net.a.root.output(udp("10.244.1.1", 4001, ipOf(q), 53, "node"));
    await settle();
    expect(gotQ.map((s) => s.text).sort()).toEqual(["near", "node"]);
    expect(gotP).toMatchObject([{ text: "re:near" }]);
    expect(gotRoot).toMatchObject([{ text: "re:node", src: "10.244.1.3" }]);
    expect(net.wire.frames).toBe(0);
  });

  test("echo requests are answered by the namespace, to loopback too", async () => {
    net = two();
    const p = net.a.addPod(2);
    const q = net.b.addPod(2);
    const got = listen(p);
    p.output(echo(ipOf(p), ipOf(q), 77));
    p.output(echo("127.0.0.1", "127.0.0.1", 78));
    await settle();
    expect(got.map((s) => [s.src, s.icmp])).toEqual([
      ["127.0.0.1", 0],
      ["10.244.2.2", 0],
    ]);
  });

  test("a dead TTL, a closed port, an unknown neighbour and an unknown network are told by ICMP", async () => {
    net = two();
    const [p, q] = [net.a.addPod(2), net.b.addPod(2)];
    const got = listen(p);
    p.output(udp(ipOf(p), 1, ipOf(q), 9, "x", { ttl: 1 }));
    p.output(udp(ipOf(p), 2, ipOf(q), 9, "x", { ttl: 2 }));
    p.output(udp(ipOf(p), 3, ipOf(q), 9, "x"));
    net.a.root.routes.remove((r) => r.to.length === 0);
    p.output(udp(ipOf(p), 4, "192.0.2.1", 9, "x"));
    await settle();
    expect(got.map((s) => [s.src, s.icmp.toString(16)])).toEqual([
      ["10.244.1.1", "b00"],
      ["10.244.1.1", "300"],
      ["10.244.2.0", "b00"],
      ["10.244.2.2", "303"],
    ]);
    p.output(tcp(ipOf(p), 5, ipOf(q), 9, 2));
    await settle();
    expect(got.at(-1)).toMatchObject({ protocol: "tcp", tcpFlags: 0x14, checksumOk: true });
  });

  test("a packet too big for the tunnel: frag needed with DF, pieces and reassembly without", async () => {
    net = two();
    const [p, q] = [net.a.addPod(2), net.b.addPod(2)];
    const [gotP, gotQ] = [listen(p, false), listen(q, false)];
    p.device("eth0")!.mtu = 1500;
    p.output(udp(ipOf(p), 1, ipOf(q), 9, "", { bytes: 1472, df: true }));
    await settle();
    expect(gotP).toMatchObject([{ icmp: 0x304 }]);
    expect(p.mtuFor(0x0af40202)).toBe(1450);
    p.output(udp(ipOf(p), 1, ipOf(q), 9, "", { bytes: 4000 }));
    await settle();
    expect(gotQ).toMatchObject([{ checksumOk: true }]);
    expect(gotQ[0]?.text.length).toBe(4000);
  });

  test("what is not right is dropped and counted", async () => {
    net = two();
    const [p, q] = [net.a.addPod(2), net.b.addPod(2)];
    const got = listen(q);
    const bad = udp(ipOf(p), 1, ipOf(q), 9, "x");
    bad.data[bad.start + 10]! ^= 1;
    p.output(bad);
    p.output(udp("127.0.0.1", 1, ipOf(q), 9, "x"));
    p.output(udp("224.0.0.1", 1, ipOf(q), 9, "x"));
    p.output(udp("10.244.1.1", 1, ipOf(q), 9, "x"));
    await settle();
    expect(got).toEqual([]);
    expect(drops(net.a.root)).toMatchObject({ badChecksum: 1, martianLoopback: 1, martianSource: 1, martianOwnSource: 1 });
  });

  test("strict reverse path check drops a source that is routed elsewhere", async () => {
    net = two({ rpFilter: 1 });
    const [p, q] = [net.a.addPod(2), net.b.addPod(2)];
    const got = listen(q);
    listen(p);
    p.output(udp("10.244.2.77", 1, ipOf(q), 9, "spoofed"));
    p.output(udp(ipOf(p), 1, ipOf(q), 9, "honest"));
    await settle();
    expect(got.map((s) => s.text)).toEqual(["honest"]);
    expect(drops(net.a.root)).toMatchObject({ reversePath: 1 });
  });
});

describe("traces", () => {
  test("every hop of a packet is a point, in order, on both nodes; none without a filter", async () => {
    net = two();
    const [p, q] = [net.a.addPod(2), net.b.addPod(2)];
    listen(q);
    listen(p);
    p.output(udp(ipOf(p), 4000, ipOf(q), 53, "quiet"));
    await settle();
    expect(net.points).toEqual([]);
    p.armTrace({ traceId: 7, dst: ipOf(q), protocol: "udp", dport: 53, maxPackets: 1, untilMs: Date.now() + 10_000 });
    p.output(udp(ipOf(p), 4000, ipOf(q), 53, "loud"));
    p.output(udp(ipOf(p), 4000, ipOf(q), 53, "second is past maxPackets"));
    await settle();
    const there = net.points.filter((x) => ["10.244.1.2", "172.30.1.1"].includes(x.before.src));
    expect(there.map((x) => `${x.process} ${x.netns} ${x.place} ${x.name}`)).toEqual([
      "node-1 default/pod-1-2 route output",
      "node-1 default/pod-1-2 device eth0",
      "node-1 root bridge veth2",
      "node-1 root route forward",
      "node-1 root device flannel.1",
      "node-1 root encap flannel.1",
      "node-1 root device eth0",
      "node-2 root device eth0",
      "node-2 root decap flannel.1",
      "node-2 root device flannel.1",
      "node-2 root route forward",
      "node-2 root device cni0",
      "node-2 root bridge veth2",
      "node-2 default/pod-2-2 device eth0",
      "node-2 default/pod-2-2 route input",
    ]);
    expect(there.map((x) => x.hop)).toEqual(there.map((_, i) => i));
    expect(there[3]?.rule).toBe("10.244.2.0/24 via 10.244.2.0 dev flannel.1 onlink");
    expect(there[5]?.detail).toMatchObject({ src: "172.30.1.1", dst: "172.30.1.2", dport: 4789, vni: 1 });
  });
});
