// kube-proxy's iptables mode: names, plans, and what real packets make of the rules.
import { listen, settle, tcp, two, udp } from "@podwire/testkit";
import { afterEach, describe, expect, test } from "vitest";
import { endpointChain, servicePortChain } from "./names.ts";
import { createProxier } from "./proxier.ts";
import type { ProxySettings } from "./proxy-settings.ts";
import type { ServiceInput } from "./service-ports.ts";

const settings = (over: Partial<ProxySettings> = {}): ProxySettings => ({
  family: 4,
  nodeName: "node-1",
  nodeLabels: {},
  nodeIPs: ["172.30.1.1"],
  podCIDR: "10.244.0.0/16",
  masqueradeAll: false,
  nodePortAddresses: undefined,
  localhostNodePorts: true,
  preferSameTrafficDistribution: true,
  ...over,
});

function service(
  name: string,
  clusterIP: string,
  endpoints: [string, string][],
  spec: object = {},
  protocol = "TCP",
  status: object = {},
): [string, ServiceInput] {
  return [
    `default/${name}`,
    {
      service: {
        metadata: { namespace: "default", name },
        spec: { clusterIP, ports: [{ name: "p", port: 80, protocol, ...(spec as any).port }], ...spec },
        status,
      } as never,
      slices: [
        {
          metadata: { labels: { "kubernetes.io/service-name": name } },
          addressType: "IPv4",
          ports: [{ name: "p", port: 8080, protocol }],
          endpoints: endpoints.map(([ip, nodeName]) => ({ addresses: [ip], nodeName, conditions: { ready: true } })),
        },
      ],
    },
  ];
}

describe("names", () => {
  test("are upstream's: the chain of the kubernetes Service is known from every cluster", () => {
    expect(servicePortChain("KUBE-SVC", "default/kubernetes:https", "tcp")).toBe("KUBE-SVC-NPX46M4PTMTKRN6Y");
    expect(servicePortChain("KUBE-SVC", "kube-system/kube-dns:dns", "UDP")).toBe("KUBE-SVC-TCOU7JCQXEZGVUNU");
    expect(endpointChain("ns", "tcp", "1.2.3.4:5")).toMatch(/^KUBE-SEP-[A-Z2-7]{16}$/);
  });
});

let net: ReturnType<typeof two> | undefined;
afterEach(() => net?.close());

/** Two nodes with the same Services; pods p (node 1), q (node 2). */
function cluster(services: [string, ServiceInput][]) {
  net = two();
  const { a, b, points } = net;
  const [p, q, p2] = [a.addPod(2), b.addPod(2), a.addPod(3)];
  for (const [i, node] of [a, b].entries())
    createProxier("iptables", node.root, settings({ nodeName: `node-${i + 1}`, nodeIPs: [`172.30.1.${i + 1}`] })).sync(new Map(services));
  return { a, b, p, q, p2, points };
}

describe("the data path through kube-proxy's rules", () => {
  test("TCP by ClusterIP to a pod on another node, and back, with every hop in the trace", async () => {
    const { p, q, points } = cluster([service("web", "10.96.0.20", [["10.244.2.2", "node-2"]])]);
    const [gotP, gotQ] = [listen(p), listen(q)];
    p.armTrace({ traceId: 9, dst: "10.96.0.20", maxPackets: 1, untilMs: Date.now() + 10_000 });
    p.output(tcp("10.244.1.2", 4000, "10.96.0.20", 80, 2));
    await settle();
    expect(gotQ).toMatchObject([{ src: "10.244.1.2", dst: "10.244.2.2", sport: 4000, dport: 8080, tcpFlags: 2, checksumOk: true }]);
    expect(gotP).toMatchObject([{ src: "10.96.0.20", sport: 80, dport: 4000, tcpFlags: 0x12, checksumOk: true }]);
    const nat = points.find((x) => x.place === "nat");
    expect(nat).toMatchObject({
      process: "node-1",
      netns: "root",
      name: "prerouting",
      verdict: "dnat",
      before: { dst: "10.96.0.20", dport: 80 },
      after: { dst: "10.244.2.2", dport: 8080 },
    });
    expect(nat?.rule).toMatch(/^-A KUBE-SEP-\w{16} -p tcp -m comment --comment default\/web:p -j DNAT --to-destination 10.244.2.2:8080$/);
    expect(points.filter((x) => x.place === "hook").map((x) => x.rule.split(" ")[1])).toContain("KUBE-SERVICES");
  });

  test("connections spread over the endpoints; each stays where it began", async () => {
    const { p, q, p2 } = cluster([
      service("web", "10.96.0.20", [
        ["10.244.2.2", "node-2"],
        ["10.244.1.3", "node-1"],
      ]),
    ]);
    const [gotQ, gotP2] = [listen(q), listen(p2)];
    listen(p);
    for (let i = 0; i < 100; i++) {
      p.output(tcp("10.244.1.2", 4000 + i, "10.96.0.20", 80, 2));
      if (i % 10 === 9) await settle(5);
    }
    await settle();
    expect(gotQ.length + gotP2.length).toBe(100);
    expect(gotQ.length).toBeGreaterThan(25);
    expect(gotP2.length).toBeGreaterThan(25);
    for (let i = 0; i < 100; i++) p.output(tcp("10.244.1.2", 4000 + i, "10.96.0.20", 80, 0x10, 2, 101));
    await settle();
    const first = gotQ
      .filter((s) => s.tcpFlags === 2)
      .map((s) => s.sport)
      .sort();
    expect(
      gotQ
        .filter((s) => s.tcpFlags === 0x10)
        .map((s) => s.sport)
        .sort(),
    ).toEqual(first);
  });

  test("the answer of a pod on the same bridge is translated back", async () => {
    const { p, p2 } = cluster([service("dns", "10.96.0.10", [["10.244.1.3", "node-1"]], {}, "UDP")]);
    const [gotP, gotP2] = [listen(p), listen(p2)];
    p.output(udp("10.244.1.2", 5000, "10.96.0.10", 80, "near"));
    await settle();
    expect(gotP2).toMatchObject([{ text: "near", src: "10.244.1.2" }]);
    expect(gotP).toMatchObject([{ text: "re:near", src: "10.96.0.10", sport: 80, checksumOk: true }]);
  });

  test("hairpin: a pod reaches itself through its Service and sees the bridge's address", async () => {
    const { p } = cluster([service("self", "10.96.0.30", [["10.244.1.2", "node-1"]], {}, "UDP")]);
    const got = listen(p);
    p.output(udp("10.244.1.2", 5000, "10.96.0.30", 80, "me"));
    await settle();
    expect(got).toMatchObject([
      { text: "me", src: "10.244.1.1", dst: "10.244.1.2", dport: 8080, checksumOk: true },
      { text: "re:me", src: "10.96.0.30", sport: 80, dport: 5000, checksumOk: true },
    ]);
  });

  test("NodePort from another machine is masqueraded, policy Local keeps the client's address", async () => {
    const { a, b, q } = cluster([
      service("open", "10.96.0.40", [["10.244.2.2", "node-2"]], { type: "NodePort", port: { nodePort: 30080 } }, "UDP"),
      service(
        "local",
        "10.96.0.41",
        [["10.244.2.2", "node-2"]],
        { type: "NodePort", port: { nodePort: 30081 }, externalTrafficPolicy: "Local" },
        "UDP",
      ),
    ]);
    const { NetNamespace, Nic } = await import("@podwire/net");
    const { seededRandom, silentLogger, systemClock } = await import("@podwire/base");
    const edge = new NetNamespace({ name: "root", process: "edge", clock: systemClock, random: seededRandom(3), log: silentLogger });
    edge.addDevice(new Nic(net!.wire.port("172.30.0.3")));
    edge.addAddress("eth0", "172.30.0.3", 16);
    edge.addAddress("lo", "203.0.113.7", 32);
    const [gotEdge, gotQ] = [listen(edge), listen(q)];
    edge.output(udp("203.0.113.7", 6000, "172.30.1.1", 30080, "via node 1"));
    edge.output(udp("203.0.113.7", 6001, "172.30.1.2", 30081, "local"));
    edge.output(udp("203.0.113.7", 6002, "172.30.1.1", 30081, "no local endpoint: dropped"));
    await settle();
    const byText = [...gotQ].sort((x, y) => (x.text < y.text ? -1 : 1));
    expect(byText).toMatchObject([
      { text: "local", src: "203.0.113.7", dport: 8080 },
      { text: "via node 1", src: "10.244.1.0", dport: 8080 },
    ]);
    expect(gotEdge.map((s) => [s.src, s.sport, s.text, s.checksumOk]).sort()).toEqual([
      ["172.30.1.1", 30080, "re:via node 1", true],
      ["172.30.1.2", 30081, "re:local", true],
    ]);
    expect(a.root.readCounters().drops["netfilter"]).toBe(1);
    expect(b.root.conntrack.list().length).toBeGreaterThan(0);
    edge.close();
  });

  test("a Service without endpoints is refused at once, from a pod and from the node", async () => {
    const { a, p } = cluster([service("none", "10.96.0.50", [])]);
    const [gotP, gotRoot] = [listen(p), listen(a.root)];
    p.output(tcp("10.244.1.2", 4000, "10.96.0.50", 80, 2));
    a.root.output(tcp("172.30.1.1", 4000, "10.96.0.50", 80, 2));
    await settle();
    expect(gotP).toMatchObject([{ icmp: 0x303 }]);
    expect(gotRoot).toMatchObject([{ icmp: 0x303 }]);
    expect(a.root.conntrack.count).toBeLessThanOrEqual(2);
  });

  test("client affinity keeps a source at its endpoint", async () => {
    const { p, q, p2 } = cluster([
      service(
        "sticky",
        "10.96.0.60",
        [
          ["10.244.2.2", "node-2"],
          ["10.244.1.3", "node-1"],
        ],
        { sessionAffinity: "ClientIP" },
      ),
    ]);
    const [gotQ, gotP2] = [listen(q), listen(p2)];
    listen(p);
    for (let i = 0; i < 30; i++) p.output(tcp("10.244.1.2", 4000 + i, "10.96.0.60", 80, 2));
    await settle();
    expect([gotQ.length, gotP2.length].sort((x, y) => x - y)).toEqual([0, 30]);
  });

  test("an ICMP error from behind a Service names the Service", async () => {
    const { p, q } = cluster([service("dns", "10.96.0.10", [["10.244.2.2", "node-2"]], {}, "UDP")]);
    const got = listen(p);
    q.sockets = undefined;
    p.output(udp("10.244.1.2", 5000, "10.96.0.10", 80, "closed"));
    await settle();
    expect(got).toMatchObject([{ icmp: 0x303, src: "10.96.0.10" }]);
    const inner = got[0]!.packet;
    const at = inner.start + 28;
    expect([...inner.data.subarray(at + 16, at + 20)]).toEqual([10, 96, 0, 10]);
    expect([...inner.data.subarray(at + 20, at + 24)]).toEqual([5000 >> 8, 5000 & 255, 0, 80]);
  });
});

describe("plans", () => {
  const many = (n: number) =>
    new Map(
      Array.from({ length: n }, (_, i) =>
        service(`s${i}`, `10.96.${i >> 8}.${i & 255}`, [
          ["10.244.2.2", "node-2"],
          ["10.244.1.3", "node-1"],
        ]),
      ),
    );

  test("one changed endpoint among many Services touches its own chains alone", () => {
    net = two();
    const proxier = createProxier("iptables", net.a.root, settings());
    const services = many(500);
    proxier.sync(services);
    const change = (name: string, last: string) =>
      services.set(
        ...service(name, `10.96.0.${name.slice(1)}`, [
          ["10.244.2.2", "node-2"],
          [last, "node-1"],
        ]),
      );
    change("s7", "10.244.1.9");
    expect(proxier.sync(services, ["default/s7"])).toEqual({ chainsSet: 2, chainsRemoved: 1 });
    expect(proxier.sync(services)).toEqual({ chainsSet: 0, chainsRemoved: 0 });
    expect(proxier.dump()).toContain("10.244.1.9:8080");
    services.delete("default/s8");
    expect(proxier.sync(services)).toEqual({ chainsSet: 1, chainsRemoved: 3 });
  });

  test("the sum of the steps is what one step from nothing gives", () => {
    net = two();
    const services = many(20);
    const proxier = createProxier("iptables", net.a.root, settings());
    proxier.sync(services);
    services.set(...service("s3", "10.96.0.3", []));
    services.delete("default/s4");
    services.set(...service("s5", "10.96.0.99", [["10.244.2.7", "node-2"]], { type: "NodePort", port: { nodePort: 30500 } }));
    services.set(...service("t", "10.96.0.98", [["10.244.2.8", "node-2"]]));
    proxier.sync(services);
    createProxier("iptables", net.b.root, settings()).sync(services);
    const sorted = (text: string) => text.split("\n").sort();
    expect(sorted(proxier.dump())).toEqual(sorted(net.b.root.netfilter.v4.save()));
  });

  test("prints as iptables-save does and can be taken away again", () => {
    net = two();
    const proxier = createProxier("iptables", net.a.root, settings());
    proxier.sync(
      new Map([
        service("web", "10.96.0.20", [
          ["10.244.2.2", "n"],
          ["10.244.2.3", "n"],
          ["10.244.2.4", "n"],
        ]),
      ]),
    );
    const text = proxier.dump();
    expect(text).toContain(":KUBE-SERVICES - [0:0]");
    expect(text).toMatch(
      /-A KUBE-SERVICES -d 10\.96\.0\.20\/32 -p tcp -m comment --comment "default\/web:p cluster IP" -m tcp --dport 80 -j KUBE-SVC-\w{16}/,
    );
    expect(text).toMatch(
      /-A KUBE-SVC-\w{16} -m comment --comment "default\/web:p -> 10\.244\.2\.2:8080" -m statistic --mode random --probability 0\.33333333349 -j KUBE-SEP-\w{16}/,
    );
    expect(text).toContain(
      "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN\n-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0\n",
    );
    expect(text).toContain(
      '-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
    );
    proxier.remove();
    expect(proxier.dump()).toBe("");
  });
});
