// Real TCP and HTTP through the rules: from pods, from the node itself, from its loopback, to itself, to endpoints on the host network.
import http from "node:http";
import type { NetNamespace } from "@podwire/net";
import { settle, two } from "@podwire/testkit";
import { afterEach, describe, expect, test } from "vitest";
import { createProxier, type ProxyMode } from "./proxier.ts";
import type { ServiceInput } from "./service-ports.ts";

let net: ReturnType<typeof two> | undefined;
afterEach(() => net?.close());

function service(name: string, clusterIP: string, nodePort: number, endpoints: [string, number]): [string, ServiceInput] {
  return [
    `default/${name}`,
    {
      service: {
        metadata: { namespace: "default", name },
        spec: { type: "NodePort", clusterIP, ports: [{ name: "p", port: 80, protocol: "TCP", nodePort }] },
      },
      slices: [
        {
          addressType: "IPv4",
          metadata: {},
          ports: [{ name: "p", port: endpoints[1], protocol: "TCP" }],
          endpoints: [{ addresses: [endpoints[0]], conditions: { ready: true } }],
        },
      ],
    },
  ];
}

function serve(ns: NetNamespace, port: number, name: string): void {
  const app = http.createServer((req, res) => res.end(`${name} saw ${req.socket.remoteAddress} ${"x".repeat(50_000)}`));
  ns.tcpListen({ port, allowHalfOpen: true }, (s) => void app.emit("connection", s));
}

function get(ns: NetNamespace, host: string, port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = ns.tcpConnect({ host, port, timeoutMs: 2500 });
    socket.on("error", reject);
    const req = http.get({ createConnection: () => socket as never, path: "/" }, async (res) => {
      let body = "";
      for await (const c of res) body += c;
      resolve(body.replace(/ x+$/, ` ${body.length}`));
    });
    req.on("error", reject);
  });
}

describe.each(["iptables", "ipvs", "nftables"] as ProxyMode[])("%s", (mode) => {
  test("HTTP by every way to a Service", async () => {
    net = two();
    const [p, q] = [net.a.addPod(2), net.b.addPod(2)];
    const services = new Map([
      service("far", "10.96.0.1", 30_001, ["10.244.2.2", 8080]),
      service("self", "10.96.0.2", 30_002, ["10.244.1.2", 8080]),
      service("host", "10.96.0.3", 30_003, ["172.30.1.1", 9090]),
    ]);
    for (const [i, n] of [net.a, net.b].entries()) {
      n.root.options.routeLocalnet = true;
      createProxier(mode, n.root, {
        family: 4,
        nodeName: `node-${i + 1}`,
        nodeLabels: {},
        nodeIPs: [n.underlay],
        podCIDR: "10.244.0.0/16",
        masqueradeAll: false,
        nodePortAddresses: undefined,
        localhostNodePorts: true,
        preferSameTrafficDistribution: true,
      }).sync(services);
    }
    serve(p, 8080, "p");
    serve(q, 8080, "q");
    serve(net.a.root, 9090, "host");
    const [a, b] = [net.a.root, net.b.root];
    expect(await get(p, "10.96.0.1", 80)).toBe("q saw 10.244.1.2 50017");
    expect(await get(p, "10.96.0.2", 80)).toMatch(/^p saw 10\.244\.1\.1 /);
    expect(await get(a, "10.96.0.1", 80)).toMatch(/^q saw 10\.244\.1\.0 /);
    expect(await get(a, "127.0.0.1", 30_001)).toMatch(/^q saw 10\.244\.1\.0 /);
    expect(await get(a, "172.30.1.1", 30_001)).toMatch(/^q saw 10\.244\.1\.0 /);
    expect(await get(b, "172.30.1.1", 30_001)).toMatch(/^q saw /);
    expect(await get(p, "172.30.1.1", 30_001)).toMatch(/^q saw /);
    expect(await get(p, "10.96.0.3", 80)).toMatch(/^host saw 10\.244\.1\.2 /);
    expect(await get(q, "10.96.0.3", 80)).toMatch(/^host saw /);
    expect(await get(a, "10.96.0.3", 80)).toMatch(/^host saw /);
    expect(await get(b, "10.96.0.3", 80)).toMatch(/^host saw 172\.30\.1\.2 /);
    await expect(get(p, "10.96.0.1", 81)).rejects.toThrow();
    await settle();
    for (const n of [a, b]) expect(n.readCounters().drops["conntrackClash"]).toBeUndefined();
  });
});
