// ADD, CHECK, DEL, GC, STATUS and VERSION on two real node networks over a wire in memory, in both families and by both overlays.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { seededRandom, silentLogger, systemClock } from "@podwire/base";
import { memoryBus, openWire } from "@podwire/bus";
import { afterEach, describe, expect, test } from "vitest";
import { NodeNetwork } from "../network/node-network.ts";
import { bandwidthOf } from "./bandwidth-plugin.ts";
import { BridgePlugin } from "./bridge-plugin.ts";
import { CniError } from "./cni.ts";

const deps = { clock: systemClock, random: seededRandom(3), log: silentLogger };
const folders: string[] = [];
const networks: NodeNetwork[] = [];

afterEach(() => {
  for (const n of networks.splice(0)) n.close();
  for (const f of folders.splice(0)) fs.rmSync(f, { recursive: true, force: true });
});

interface Side {
  network: NodeNetwork;
  cni: BridgePlugin;
  leases: string;
}

function nodes(overlay: "vxlan" | "host-gw", dual: boolean): [Side, Side] {
  const bus = memoryBus();
  const cidrs = (i: number) => (dual ? [`10.244.${i}.0/24`, `fd00:10:244:${i}::/64`] : [`10.244.${i}.0/24`]);
  const make = (i: number): Side => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "podwire-cni-"));
    folders.push(folder);
    const wire = openWire(bus.connect({ cluster: "t", identity: `node:${i}`, ...deps }), { address: `172.30.1.${i}`, ...deps });
    const network = new NodeNetwork({
      nodeName: `node-${i}`,
      wire,
      clusterCIDRs: dual ? ["10.244.0.0/16", "fd00:10:244::/56"] : ["10.244.0.0/16"],
      gateway: "172.30.0.3",
      underlayPrefix: 16,
      mtu: 1500,
      overlay,
      ...deps,
    });
    networks.push(network);
    const leases = path.join(folder, "leases.json");
    return { network, leases, cni: new BridgePlugin({ network, leaseFile: leases, ...deps }) };
  };
  const [a, b] = [make(1), make(2)];
  a.network.setPeer("node-2", { podCIDRs: cidrs(2), addresses: b.network.addresses });
  b.network.setPeer("node-1", { podCIDRs: cidrs(1), addresses: a.network.addresses });
  a.network.configure(cidrs(1));
  b.network.configure(cidrs(2));
  return [a, b];
}

/** Leases are written at the end of a turn of the event loop. */
const turn = () => new Promise((r) => setImmediate(r));

const request = (id: string, o: object = {}) => ({ containerId: id, podName: id, podNamespace: "default", ...o });
const failure = (fn: () => unknown): CniError => {
  try {
    fn();
  } catch (e) {
    if (e instanceof CniError) return e;
    throw e;
  }
  throw new Error("it succeeded");
};

test("ADD answers in the specification's shape, twice over for two families", () => {
  const [a] = nodes("vxlan", true);
  const { result, addresses } = a.cni.add(request("c1"));
  expect(addresses).toEqual(["10.244.1.2", "fd00:10:244:1::2"]);
  expect(result).toMatchObject({
    cniVersion: "1.1.0",
    interfaces: [
      { name: "cni0", mtu: 1450 },
      { name: expect.stringMatching(/^veth[0-9a-f]{8}$/) },
      { name: "eth0", sandbox: expect.any(String) },
    ],
    ips: [
      { address: "10.244.1.2/24", gateway: "10.244.1.1", interface: 2 },
      { address: "fd00:10:244:1::2/64", gateway: "fd00:10:244:1::1", interface: 2 },
    ],
    dns: {},
  });
  expect(result.routes).toContainEqual({ dst: "0.0.0.0/0", gw: "10.244.1.1" });
  expect(result.routes).toContainEqual({ dst: "::/0", gw: "fd00:10:244:1::1" });
  for (const i of result.interfaces) expect(i.mac).toMatch(/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
});

test("CHECK sees what is gone; DEL is idempotent; an ADD that fails leaves nothing", async () => {
  const [a] = nodes("vxlan", false);
  const { netns, addresses } = a.cni.add(request("c1"));
  a.cni.check("c1");
  expect(failure(() => a.cni.add(request("c1")))).toMatchObject({ code: 999 });
  expect(failure(() => a.cni.check("unknown"))).toMatchObject({ code: 3 });
  netns.removeAddress("eth0", addresses[0] as string);
  expect(failure(() => a.cni.check("c1")).message).toContain("lost 10.244.1.2");
  a.cni.del("c1");
  a.cni.del("c1");
  expect(failure(() => a.cni.add(request("../c2"))).toJSON()).toMatchObject({ cniVersion: "1.1.0", code: 4, msg: expect.any(String) });
  const devices = a.network.root.devices.size;
  const bad = failure(() => a.cni.add(request("c3", { hostPorts: [{ hostPort: 80, containerPort: 80, protocol: "XXX" }] })));
  expect(bad).toMatchObject({ code: 7, message: expect.stringContaining("XXX") });
  expect(a.network.root.devices.size).toBe(devices);
  await turn();
  expect(JSON.parse(fs.readFileSync(a.leases, "utf8")).leases).toEqual({});
});

test("GC keeps the valid attachments and their leases only", async () => {
  const [a] = nodes("vxlan", true);
  for (const id of ["c1", "c2", "c3"]) a.cni.add(request(id));
  a.cni.gc(new Set(["c2"]));
  expect(a.cni.used).toBe(1);
  a.cni.check("c2");
  await turn();
  for (const file of [a.leases, `${a.leases}.v6`])
    expect(Object.values(JSON.parse(fs.readFileSync(file, "utf8")).leases)).toEqual(["c2/eth0"]);
});

test("STATUS and ADD say that there is no range yet; VERSION says what is spoken; a full range says try again later", () => {
  const bus = memoryBus();
  const wire = openWire(bus.connect({ cluster: "t", identity: "node:1", ...deps }), { address: "172.30.1.1", ...deps });
  const network = new NodeNetwork({
    nodeName: "n",
    wire,
    clusterCIDRs: ["10.244.0.0/16"],
    gateway: "172.30.0.3",
    underlayPrefix: 16,
    mtu: 1500,
    overlay: "vxlan",
    ...deps,
  });
  networks.push(network);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "podwire-cni-"));
  folders.push(folder);
  const cni = new BridgePlugin({ network, leaseFile: path.join(folder, "l.json"), ...deps });
  expect(cni.version()).toMatchObject({ cniVersion: "1.1.0", supportedVersions: expect.arrayContaining(["1.0.0", "1.1.0"]) });
  expect(failure(() => cni.status())).toMatchObject({ code: 50 });
  expect(failure(() => cni.add(request("c1")))).toMatchObject({ code: 11, message: "cni plugin not initialized" });
  network.configure(["10.244.9.0/29"]);
  cni.status();
  for (let i = 1; i <= 5; i++) cni.add(request(`c${i}`));
  expect(failure(() => cni.add(request("c6")))).toMatchObject({ code: 11, message: expect.stringContaining("no IP addresses available") });
});

describe.each(["vxlan", "host-gw"] as const)("overlay %s", (overlay) => {
  test("pods reach each other over the wire in both families and see each other's own address", async () => {
    const [a, b] = nodes(overlay, true);
    const server = b.cni.add(request("server"));
    const client = a.cni.add(request("client"));
    server.netns.tcpListen({ port: 80 }, (s) => s.end(`${s.remoteAddress}`));
    for (const [i, family] of [4, 6].entries()) {
      const socket = client.netns.tcpConnect({ host: server.addresses[i] as string, port: 80 });
      let seen = "";
      for await (const chunk of socket) seen += chunk;
      expect([family, seen]).toEqual([family, client.addresses[i]]);
    }
    // The node itself, by its address of each family.
    for (const [i, host] of b.network.addresses.entries()) {
      expect(await a.network.root.ping(host, { timeoutMs: 2000 })).toMatchObject({ type: "reply" });
      expect(await a.network.root.ping(server.addresses[i] as string, { timeoutMs: 2000 })).toMatchObject({ type: "reply" });
    }
    expect(
      a.network.root.listRoutes().some((r) => r.includes(overlay === "vxlan" ? "dev flannel.1" : "10.244.2.0/24 via 172.30.1.2 dev eth0")),
    ).toBe(true);
    const mtus = [client.netns.mtuFor(0x0af40202)];
    expect(mtus).toEqual([overlay === "vxlan" ? 1450 : 1500]);
    a.network.removePeer("node-2");
    expect(a.network.root.listRoutes().filter((r) => /10\.244\.2\.0|fd00:10:244:2:/.test(r))).toEqual([]);
  });
});

test("bandwidth: annotations are read as the kubelet reads them, and traffic keeps to them", async () => {
  expect(bandwidthOf({})).toBeUndefined();
  expect(bandwidthOf({ "kubernetes.io/ingress-bandwidth": "10M" })).toEqual({ ingressBitsPerSecond: 10_000_000 });
  expect(() => bandwidthOf({ "kubernetes.io/egress-bandwidth": "1" })).toThrow(/unreasonably small/);
  expect(() => bandwidthOf({ "kubernetes.io/egress-bandwidth": "2P" })).toThrow(/unreasonably large/);
  const [a, b] = nodes("vxlan", false);
  const limited = b.cni.add(request("limited", { bandwidth: { ingressBitsPerSecond: 1_600_000 } }));
  const client = a.cni.add(request("client"));
  const want = 500_000;
  const done = new Promise<number>((resolve) => {
    let got = 0;
    limited.netns.tcpListen({ port: 80 }, (s) =>
      s.on("data", (d: Buffer) => {
        got += d.length;
        if (got >= want) resolve(systemClock.monotonicMs());
      }),
    );
  });
  const begin = systemClock.monotonicMs();
  client.netns.tcpConnect({ host: limited.addresses[0] as string, port: 80 }).end(Buffer.alloc(want));
  const seconds = ((await done) - begin) / 1000;
  // 200 KB/s after a burst of 200 KB: 1.5 s at least, and not three times that.
  expect(seconds).toBeGreaterThan(1.3);
  expect(seconds).toBeLessThan(5);
});
