// The shell: informers in, rules out, conntrack cleaned, health checks answered over the node's own network.
import http from "node:http";
import { silentLogger, systemClock } from "@podwire/base";
import { listen, settle, two, udp } from "@podwire/testkit";
import { afterEach, expect, test } from "vitest";
import { type KubeProxy, startKubeProxy } from "./kube-proxy.ts";

/** An informer that the test feeds. */
function feed() {
  const handlers: any[] = [];
  const objects = new Map<string, any>();
  return {
    informer: {
      handle: (h: any) => void handlers.push(h),
      whenSynced: () => Promise.resolve(),
      lister: { list: () => [...objects.values()] },
    } as any,
    set(o: any) {
      const key = `${o.metadata.namespace}/${o.metadata.name}`;
      const old = objects.get(key);
      objects.set(key, o);
      for (const h of handlers) old === undefined ? h.onAdd(o) : h.onUpdate(o, old);
    },
    remove(key: string) {
      const old = objects.get(key);
      objects.delete(key);
      for (const h of handlers) h.onDelete(old);
    },
  };
}

let net: ReturnType<typeof two> | undefined;
let proxy: KubeProxy | undefined;
afterEach(() => {
  proxy?.stop();
  net?.close();
});

function node() {
  net = two();
  const [services, slices] = [feed(), feed()];
  proxy = startKubeProxy({
    namespace: net.a.root,
    services: services.informer,
    endpointSlices: slices.informer,
    nodeName: "node-1",
    nodeLabels: {},
    nodeIPs: ["172.30.1.1"],
    clusterCIDRs: ["10.244.0.0/16"],
    clock: systemClock,
    log: silentLogger,
  });
  return { services, slices, proxy, a: net.a, b: net.b };
}

const service = (spec: object = {}) => ({
  metadata: { namespace: "default", name: "dns" },
  spec: { clusterIP: "10.96.0.10", ports: [{ name: "dns", port: 53, protocol: "UDP" }], ...spec },
});
const slice = (...ips: string[]) => ({
  metadata: { namespace: "default", name: "dns-1", labels: { "kubernetes.io/service-name": "dns" } },
  addressType: "IPv4",
  ports: [{ name: "dns", port: 5353, protocol: "UDP" }],
  endpoints: ips.map((ip) => ({
    addresses: [ip],
    nodeName: ip.startsWith("10.244.1.") ? "node-1" : "node-2",
    conditions: { ready: true },
  })),
});

test("a UDP client that keeps its port is sent to the new endpoint when the old one goes", async () => {
  const { services, slices, proxy, a, b } = node();
  const [client, old, next] = [a.addPod(2), b.addPod(2), a.addPod(3)];
  const [gotOld, gotNext, gotClient] = [listen(old), listen(next), listen(client)];
  services.set(service());
  slices.set(slice("10.244.2.2"));
  await proxy.ready;
  const ask = async (text: string) => {
    client.output(udp("10.244.1.2", 5000, "10.96.0.10", 53, text));
    await settle();
  };
  await ask("one");
  slices.set(slice("10.244.1.3"));
  await settle();
  await ask("two");
  expect(gotOld.map((s) => s.text)).toEqual(["one"]);
  expect(gotNext.map((s) => s.text)).toEqual(["two"]);
  expect(gotClient.map((s) => [s.src, s.text])).toEqual([
    ["10.96.0.10", "re:one"],
    ["10.96.0.10", "re:two"],
  ]);
  expect(proxy.counters()).toMatchObject({ conntrackCleaned: 1, failures: 0 });
  proxy.setMode("nftables");
  await ask("three");
  services.remove("default/dns");
  await settle();
  expect(proxy.dump()).not.toContain("10.96.0.10");
});

test("another zone of the node means other endpoints", async () => {
  const { services, slices, proxy } = node();
  services.set(service());
  const zoned = slice("10.244.2.2", "10.244.2.3");
  for (const [i, e] of zoned.endpoints.entries()) Object.assign(e, { hints: { forZones: [{ name: i === 0 ? "a" : "b" }] } });
  slices.set(zoned);
  await proxy.ready;
  const targets = () => [...proxy.dump().matchAll(/--to-destination (\S+)/g)].map((m) => m[1]).sort();
  expect(targets()).toEqual(["10.244.2.2:5353", "10.244.2.3:5353"]);
  proxy.setNode({ metadata: { labels: { "topology.kubernetes.io/zone": "b" } } });
  expect(targets()).toEqual(["10.244.2.3:5353"]);
});

test("the mode is switched under a connection, which goes on, and new ones find the Service in every mode", async () => {
  const { services, slices, proxy, a, b } = node();
  const [client, server] = [a.addPod(2), b.addPod(2)];
  services.set({
    metadata: { namespace: "default", name: "echo" },
    spec: { clusterIP: "10.96.0.20", ports: [{ name: "tcp", port: 80, protocol: "TCP" }] },
  });
  slices.set({
    metadata: { namespace: "default", name: "echo-1", labels: { "kubernetes.io/service-name": "echo" } },
    addressType: "IPv4",
    ports: [{ name: "tcp", port: 8080, protocol: "TCP" }],
    endpoints: [{ addresses: ["10.244.2.2"], conditions: { ready: true } }],
  });
  await proxy.ready;
  server.tcpListen({ port: 8080 }, (s) => s.pipe(s));
  const ask = async (socket: any, text: string) => {
    const answer = new Promise<string>((resolve, reject) => {
      socket.once("data", (d: Buffer) => resolve(d.toString()));
      socket.once("error", reject);
    });
    socket.write(text);
    return answer;
  };
  const connect = () => client.tcpConnect({ host: "10.96.0.20", port: 80 });
  const old = connect();
  expect(await ask(old, "before")).toBe("before");
  for (const mode of ["nftables", "ipvs", "iptables"] as const) {
    proxy.setMode(mode);
    expect(proxy.dump()).toContain("10.96.0.20");
    expect(await ask(old, mode)).toBe(mode);
    const fresh = connect();
    expect(await ask(fresh, `new ${mode}`)).toBe(`new ${mode}`);
    fresh.destroy();
  }
  old.destroy();
});

test("the health-check port says how many endpoints are here", async () => {
  const { services, slices, proxy, a } = node();
  const client = a.addPod(2);
  services.set(service({ type: "LoadBalancer", externalTrafficPolicy: "Local", healthCheckNodePort: 32000 }));
  slices.set(slice("10.244.2.2"));
  await proxy.ready;
  const ask = (port: number, path = "/") =>
    new Promise<[number, any]>((resolve, reject) => {
      const req = http.get({ createConnection: () => client.tcpConnect({ host: "172.30.1.1", port }) as never, path }, async (res) => {
        let body = "";
        for await (const c of res) body += c;
        resolve([res.statusCode ?? 0, JSON.parse(body)]);
      });
      req.on("error", reject);
    });
  expect(await ask(32000)).toEqual([503, { service: { namespace: "default", name: "dns" }, localEndpoints: 0, serviceProxyHealthy: true }]);
  slices.set(slice("10.244.2.2", "10.244.1.3"));
  await settle();
  expect((await ask(32000))[0]).toBe(200);
  expect((await ask(10_256, "/healthz"))[0]).toBe(200);
  proxy.setNode({ spec: { taints: [{ key: "ToBeDeletedByClusterAutoscaler" }] } });
  expect(await ask(10_256, "/healthz")).toMatchObject([503, { nodeEligible: false }]);
  expect((await ask(10_256, "/livez"))[0]).toBe(200);
  expect((await ask(32000))[0]).toBe(200);
  proxy.setNode({ metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" } });
  expect((await ask(10_256, "/healthz"))[0]).toBe(503);
  proxy.setNode({});
  expect((await ask(10_256, "/healthz"))[0]).toBe(200);
  services.remove("default/dns");
  await settle();
  await expect(ask(32000)).rejects.toThrow(/ECONNREFUSED/);
});
