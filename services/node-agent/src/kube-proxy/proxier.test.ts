// Every proxy mode over the same network: Services work, change and go; modes are switched under traffic; dumps are what one sync from
// nothing would give.
import { listen, settle, tcp, two, udp } from "@podwire/testkit";
import { afterEach, describe, expect, test } from "vitest";
import { createProxier, type ProxyMode } from "./proxier.ts";
import type { ProxySettings } from "./proxy-settings.ts";
import type { ServiceInput } from "./service-ports.ts";

const settings: ProxySettings = {
  family: 4,
  nodeName: "node-1",
  nodeLabels: {},
  nodeIPs: ["172.30.1.1"],
  podCIDR: "10.244.0.0/16",
  masqueradeAll: false,
  nodePortAddresses: undefined,
  localhostNodePorts: true,
  preferSameTrafficDistribution: true,
};

function service(name: string, clusterIP: string, endpoints: string[], spec: object = {}, protocol = "UDP"): [string, ServiceInput] {
  return [
    `default/${name}`,
    {
      service: { metadata: { namespace: "default", name }, spec: { clusterIP, ports: [{ name: "p", port: 80, protocol }], ...spec } },
      slices: [
        {
          addressType: "IPv4",
          metadata: {},
          ports: [{ name: "p", port: 8080, protocol }],
          endpoints: endpoints.map((ip) => ({ addresses: [ip], conditions: { ready: true } })),
        },
      ],
    },
  ];
}

let net: ReturnType<typeof two> | undefined;
afterEach(() => net?.close());

const MODES: readonly ProxyMode[] = ["iptables", "ipvs", "nftables"];

describe.each(MODES)("%s", (mode) => {
  function cluster(services: Map<string, ServiceInput>) {
    net = two();
    const [p, near, q] = [net.a.addPod(2), net.a.addPod(3), net.b.addPod(2)];
    const proxier = createProxier(mode, net.a.root, settings);
    proxier.sync(services);
    return { root: net.a.root, p, near, q, proxier };
  }

  test("a Service is reached across nodes and on the same bridge, and answers come from it", async () => {
    const { p, near, q } = cluster(
      new Map([
        service("far", "10.96.0.1", ["10.244.2.2"]),
        service("near", "10.96.0.2", ["10.244.1.3"]),
        service("self", "10.96.0.3", ["10.244.1.2"]),
      ]),
    );
    const [gotP, gotNear, gotQ] = [listen(p), listen(near), listen(q)];
    for (const [i, ip] of ["10.96.0.1", "10.96.0.2", "10.96.0.3"].entries()) p.output(udp("10.244.1.2", 100 + i, ip, 80, ip));
    await settle();
    expect(gotQ).toMatchObject([{ text: "10.96.0.1", src: "10.244.1.2", dport: 8080, checksumOk: true }]);
    expect(gotNear).toMatchObject([{ text: "10.96.0.2", src: "10.244.1.2", dport: 8080 }]);
    const answers = gotP.filter((s) => s.text.startsWith("re:"));
    expect(answers.map((s) => [s.src, s.sport, s.text, s.checksumOk]).sort()).toEqual([
      ["10.96.0.1", 80, "re:10.96.0.1", true],
      ["10.96.0.2", 80, "re:10.96.0.2", true],
      ["10.96.0.3", 80, "re:10.96.0.3", true],
    ]);
    expect(gotP.find((s) => s.text === "10.96.0.3")).toMatchObject({ src: "10.244.1.1", dport: 8080 });
  });

  test("both families side by side: an IPv6 Service is reached, masqueraded when it must be, and answers", async () => {
    net = two();
    const [p, q] = [net.a.addPod(2), net.b.addPod(2)];
    const six = { ...settings, family: 6 as const, nodeIPs: ["fd00:30::1"], podCIDR: "fd00:244::/32" };
    const dual = new Map<string, ServiceInput>([
      [
        "default/six",
        {
          service: {
            metadata: { namespace: "default", name: "six" },
            spec: { clusterIPs: ["10.96.0.9", "fd00:96::9"], ports: [{ name: "p", port: 80, protocol: "UDP" }] },
          },
          slices: [
            {
              addressType: "IPv4",
              metadata: {},
              ports: [{ name: "p", port: 8080, protocol: "UDP" }],
              endpoints: [{ addresses: ["10.244.2.2"], conditions: { ready: true } }],
            },
            {
              addressType: "IPv6",
              metadata: {},
              ports: [{ name: "p", port: 8080, protocol: "UDP" }],
              endpoints: [
                { addresses: ["fd00:244:2::2"], conditions: { ready: true } },
                { addresses: ["fd00:244:1::2"], conditions: { ready: true } },
              ],
            },
          ],
        },
      ],
    ]);
    for (const s of [settings, six]) createProxier(mode, net.a.root, s).sync(dual);
    const [gotP, gotQ] = [listen(p), listen(q)];
    for (let i = 0; i < 12; i++) p.output(udp("fd00:244:1::2", 100 + i, "fd00:96::9", 80, `six ${i}`));
    p.output(udp("10.244.1.2", 99, "10.96.0.9", 80, "four"));
    await settle();
    expect(gotQ.filter((s) => s.text === "four")).toMatchObject([{ src: "10.244.1.2", dport: 8080, checksumOk: true }]);
    const far = gotQ.filter((s) => s.text.startsWith("six"));
    const self = gotP.filter((s) => s.text.startsWith("six"));
    expect(far.length + self.length).toBe(12);
    expect(far.every((s) => s.src === "fd00:244:1::2" && s.dport === 8080 && s.checksumOk)).toBe(true);
    expect(self.every((s) => s.src === "fd00:244:1::1" && s.checksumOk)).toBe(true);
    const answers = gotP.filter((s) => s.text.startsWith("re:six"));
    expect(answers.length).toBe(12);
    expect(answers.every((s) => s.src === "fd00:96::9" && s.sport === 80 && s.checksumOk)).toBe(true);
  });

  test("an endpoint goes, another comes, the Service goes; nothing of the mode stays after remove", async () => {
    const services = new Map([service("web", "10.96.0.1", ["10.244.2.2"])]);
    const { root, p, near, q, proxier } = cluster(services);
    const [gotP, gotNear, gotQ] = [listen(p), listen(near), listen(q)];
    p.output(udp("10.244.1.2", 1, "10.96.0.1", 80, "first"));
    await settle();
    services.set(...service("web", "10.96.0.1", ["10.244.1.3"]));
    proxier.sync(services, ["default/web"]);
    p.output(udp("10.244.1.2", 2, "10.96.0.1", 80, "second"));
    await settle();
    services.set(...service("web", "10.96.0.1", []));
    proxier.sync(services, ["default/web"]);
    p.output(udp("10.244.1.2", 3, "10.96.0.1", 80, "refused"));
    await settle();
    expect(gotQ.map((s) => s.text)).toEqual(["first"]);
    expect(gotNear.map((s) => s.text)).toEqual(["second"]);
    expect(gotP.at(-1)).toMatchObject({ icmp: 0x303 });
    services.clear();
    proxier.sync(services);
    proxier.remove();
    expect(root.netfilter.v4.save()).toBe("");
    expect(root.netfilter.sets.save()).toBe("");
    expect(createProxier(mode, root, settings).dump()).not.toContain("10.96.0.1");
  });

  test("the sum of syncs is what one sync from nothing gives", () => {
    const services = new Map(Array.from({ length: 12 }, (_, i) => service(`s${i}`, `10.96.0.${i}`, ["10.244.2.2", "10.244.1.3"])));
    const { proxier } = cluster(services);
    services.set(...service("s3", "10.96.0.3", []));
    services.delete("default/s4");
    services.set(
      ...service("s5", "10.96.0.99", ["10.244.2.7"], {
        type: "NodePort",
        sessionAffinity: "ClientIP",
        ports: [{ name: "p", port: 80, nodePort: 30500, protocol: "UDP" }],
      }),
    );
    proxier.sync(services, ["default/s3", "default/s4", "default/s5"]);
    const fresh = createProxier(mode, net!.b.root, settings);
    fresh.sync(services);
    const sorted = (text: string) => text.split("\n").sort();
    expect(sorted(proxier.dump())).toEqual(sorted(fresh.dump()));
    expect(proxier.dump()).toContain("10.96.0.99");
    expect(proxier.sync(services)).toEqual({ chainsSet: 0, chainsRemoved: 0 });
  });
});

test("datagrams that came in pieces are translated whole: across nodes, on one bridge, in both families", async () => {
  net = two();
  const [p, near, q] = [net.a.addPod(2), net.a.addPod(3), net.b.addPod(2)];
  const [gotNear, gotQ] = [listen(near, false), listen(q, false)];
  const services = new Map([service("far", "10.96.0.1", ["10.244.2.2"]), service("near", "10.96.0.2", ["10.244.1.3"])]);
  createProxier("iptables", net.a.root, settings).sync(services);
  p.output(udp("10.244.1.2", 1, "10.96.0.1", 80, "", { bytes: 5000 }));
  p.output(udp("10.244.1.2", 2, "10.96.0.2", 80, "", { bytes: 5001 }));
  p.output(udp("10.244.1.2", 3, "10.244.1.3", 9, "", { bytes: 5002 }));
  p.output(udp("fd00:244:1::2", 4, "fd00:244:2::2", 9, "", { bytes: 5003 }));
  await settle();
  expect(gotQ.map((s) => [s.text.length, s.dport, s.checksumOk]).sort()).toEqual([
    [5000, 8080, true],
    [5003, 9, true],
  ]);
  expect(gotNear.map((s) => [s.text.length, s.dport, s.checksumOk]).sort()).toEqual([
    [5001, 8080, true],
    [5002, 9, true],
  ]);
});

test("a mode is switched under a connection: the old one goes on, new ones follow the new mode", async () => {
  net = two();
  const [p, q] = [net.a.addPod(2), net.b.addPod(2)];
  const [gotP, gotQ] = [listen(p), listen(q)];
  const services = new Map([service("web", "10.96.0.1", ["10.244.2.2"], {}, "TCP")]);
  let sport = 1000;
  let proxier = createProxier("iptables", net.a.root, settings);
  proxier.sync(services);
  p.output(tcp("10.244.1.2", 999, "10.96.0.1", 80, 2));
  await settle();
  for (const mode of ["ipvs", "nftables", "iptables"] as const) {
    proxier.remove();
    proxier = createProxier(mode, net.a.root, settings);
    proxier.sync(services);
    p.output(tcp("10.244.1.2", 999, "10.96.0.1", 80, 0x18, 2, 101));
    p.output(tcp("10.244.1.2", ++sport, "10.96.0.1", 80, 2));
    await settle();
  }
  expect(gotQ.filter((s) => s.sport === 999).map((s) => s.tcpFlags)).toEqual([2, 0x18, 0x18, 0x18]);
  expect(gotQ.filter((s) => s.sport > 999).length).toBe(3);
  expect(gotP.every((s) => s.src === "10.96.0.1")).toBe(true);
});

test("dumps are in each tool's own format", () => {
  net = two();
  const services = new Map([service("web", "10.96.0.1", ["10.244.2.2", "10.244.2.3"], { sessionAffinity: "ClientIP" }, "TCP")]);
  const ipvs = createProxier("ipvs", net.a.root, { ...settings, ipvsScheduler: "lc" });
  ipvs.sync(services);
  expect(ipvs.dump()).toContain(
    "-A -t 10.96.0.1:80 -s lc -p 10800\n-a -t 10.96.0.1:80 -r 10.244.2.2:8080 -m -w 1\n-a -t 10.96.0.1:80 -r 10.244.2.3:8080 -m -w 1\n",
  );
  expect(ipvs.dump()).toContain(
    "create KUBE-CLUSTER-IP hash:ip,port family inet hashsize 1024 maxelem 65536\nadd KUBE-CLUSTER-IP 10.96.0.1,tcp:80\n".split("\n")[0],
  );
  expect(ipvs.dump()).toContain("-A KUBE-SERVICES ! -s 10.244.0.0/16 -m set --match-set KUBE-CLUSTER-IP dst,dst -j KUBE-MARK-MASQ");
  const nft = createProxier("nftables", net.b.root, settings);
  nft.sync(services);
  const text = nft.dump();
  expect(text).toMatch(/^table ip kube-proxy \{\n/);
  expect(text).toMatch(
    /elements = \{ 10\.96\.0\.1 \. tcp \. 80 comment "default\/web:p" : goto service-[A-Z2-7]{8}-default\/web\/tcp\/p \}/,
  );
  expect(text).toMatch(
    /numgen random mod 2 vmap \{ 0 : goto endpoint-[A-Z2-7]{8}-default\/web\/tcp\/p__10\.244\.2\.2\/8080, 1 : goto endpoint-/,
  );
  expect(text).toContain("type nat hook prerouting priority dstnat; policy accept;");
  expect(text).toContain("\t\tip daddr . meta l4proto . th dport vmap @service-ips\n");
});
