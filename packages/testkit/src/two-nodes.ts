// A small network for tests: nodes joined by an in-memory wire, pods behind cni0 and flannel.1, as CNI and flannel set them up.

import { seededRandom, silentLogger, systemClock } from "@podwire/base";
import {
  address,
  Bridge,
  checksum,
  Flow,
  ipHeader,
  macOfIpv4,
  NetNamespace,
  type NetNamespaceInit,
  Nic,
  type NicWire,
  Packet,
  POD_MAC,
  pseudoSumAt,
  readFlow,
  type TracePoint,
  VxlanDevice,
  vethPair,
} from "@podwire/net";

type WireFrame = Parameters<NicWire["send"]>[1];

/** Joins cards by underlay address; frames arrive in a later turn. */
export class MemoryWire {
  private readonly ports = new Map<string, (source: string, frame: WireFrame) => void>();
  frames = 0;

  port(own: string): NicWire {
    return {
      address: own,
      send: (destination, frame) => {
        this.frames++;
        const copy = { ...frame, bytes: frame.bytes.slice() };
        systemClock.soon(() => this.ports.get(destination)?.(own, copy));
      },
      onFrame: (cb) => void this.ports.set(own, cb),
    };
  }
}

export class TestNode {
  readonly root: NetNamespace;
  readonly nic: Nic;
  readonly cni0: Bridge;
  readonly flannel: VxlanDevice;
  readonly pods: NetNamespace[] = [];
  readonly underlay: string;
  readonly index: number;
  readonly points: TracePoint[];

  constructor(wire: MemoryWire, index: number, points: TracePoint[], opts: Partial<NetNamespaceInit> = {}) {
    this.index = index;
    this.points = points;
    this.underlay = `172.30.1.${index}`;
    const init = {
      process: `node-${index}`,
      clock: systemClock,
      random: seededRandom(index),
      log: silentLogger,
      trace: { point: (p: TracePoint) => void points.push(p) },
    };
    this.root = new NetNamespace({ ...init, name: "root", ipForward: true, bridgeNfCallIptables: true, ...opts });
    this.nic = new Nic(wire.port(this.underlay));
    this.root.addDevice(this.nic);
    this.root.addAddress("eth0", this.underlay, 16);
    this.root.addRoute({ to: "default", via: "172.30.0.3", dev: "eth0" });
    const gateway = address(`10.244.${index}.1`) as number;
    this.cni0 = new Bridge(systemClock, "cni0", macOfIpv4(POD_MAC, gateway), 1450);
    this.root.addDevice(this.cni0);
    this.root.addAddress("cni0", `10.244.${index}.1`, 24);
    this.root.addAddress("cni0", `fd00:244:${index}::1`, 64);
    this.flannel = new VxlanDevice({ mac: macOfIpv4(POD_MAC, address(`10.244.${index}.0`) as number), local: address(this.underlay) });
    this.root.addDevice(this.flannel);
    this.root.addAddress("flannel.1", `10.244.${index}.0`, 32);
    this.root.addAddress("flannel.1", `fd00:244:${index}::`, 128);
  }

  /** What flannel does when it learns of another node. */
  learn(other: TestNode): void {
    const gateway = `10.244.${other.index}.0`;
    const gateway6 = `fd00:244:${other.index}::`;
    this.flannel.addFdb(other.flannel.mac, address(other.underlay));
    this.root.addNeighbour("flannel.1", gateway, other.flannel.mac);
    this.root.addNeighbour("flannel.1", gateway6, other.flannel.mac);
    this.root.addRoute({ to: `10.244.${other.index}.0/24`, via: gateway, dev: "flannel.1", onlink: true });
    this.root.addRoute({ to: `fd00:244:${other.index}::/64`, via: gateway6, dev: "flannel.1", onlink: true });
  }

  /** A pod with eth0 on cni0. */
  addPod(host: number): NetNamespace {
    const ip = `10.244.${this.index}.${host}`;
    const ip6 = `fd00:244:${this.index}::${host.toString(16)}`;
    const init = {
      process: `node-${this.index}`,
      clock: systemClock,
      random: seededRandom(host),
      log: silentLogger,
      trace: { point: (p: TracePoint) => void this.points.push(p) },
    };
    const pod = new NetNamespace({ ...init, name: `default/pod-${this.index}-${host}` });
    const mac = macOfIpv4(POD_MAC, address(ip) as number);
    const [inside, outside] = vethPair(systemClock, { name: "eth0", mac }, { name: `veth${host}`, mac: mac + 0x010000000000 }, 1450);
    pod.addDevice(inside);
    pod.addAddress("eth0", ip, 24);
    pod.addAddress("eth0", ip6, 64);
    pod.addRoute({ to: "default", via: `10.244.${this.index}.1` });
    pod.addRoute({ to: "::/0", via: `fd00:244:${this.index}::1` });
    this.root.addDevice(outside);
    this.cni0.addPort(outside);
    this.pods.push(pod);
    return pod;
  }

  close(): void {
    for (const p of this.pods) p.close();
    this.root.close();
  }
}

export function ipOf(ns: NetNamespace, family: 4 | 6 = 4): string {
  const a = ns.addresses.any(family);
  return a === undefined ? "" : typeof a === "number" ? [a >>> 24, (a >>> 16) & 255, (a >>> 8) & 255, a & 255].join(".") : formatV6(a);
}

function formatV6(a: bigint): string {
  return Array.from({ length: 8 }, (_, i) => ((a >> BigInt(112 - 16 * i)) & 0xffffn).toString(16)).join(":");
}

/** A UDP datagram as a socket would make it. */
export function udp(
  src: string,
  sport: number,
  dst: string,
  dport: number,
  payload: string,
  opts: { ttl?: number; df?: boolean; bytes?: number } = {},
): Packet {
  const data = opts.bytes === undefined ? new TextEncoder().encode(payload) : new Uint8Array(opts.bytes).fill(120);
  const six = src.includes(":");
  const header = six ? 40 : 20;
  const p = Packet.alloc(header + 8 + data.length);
  const at = p.start + header;
  p.data.set([sport >> 8, sport & 255, dport >> 8, dport & 255, (8 + data.length) >> 8, (8 + data.length) & 255, 0, 0], at);
  p.data.set(data, at + 8);
  ipHeader(p.data, p.start, p.end, 17, address(src), address(dst), opts.ttl ?? 64, opts.df);
  const sum = checksum(p.data, at, p.end, pseudoSumAt(p.data, p.start, 17) + 8 + data.length) || 0xffff;
  p.data[at + 6] = sum >> 8;
  p.data[at + 7] = sum & 255;
  return p;
}

/** A bare TCP segment. */
export function tcp(src: string, sport: number, dst: string, dport: number, flags: number, seq = 1, ack = 0): Packet {
  const six = src.includes(":");
  const header = six ? 40 : 20;
  const p = Packet.alloc(header + 20);
  const at = p.start + header;
  const u32 = (v: number) => [(v >>> 24) & 255, (v >>> 16) & 255, (v >>> 8) & 255, v & 255];
  p.data.set([sport >> 8, sport & 255, dport >> 8, dport & 255, ...u32(seq), ...u32(ack), 0x50, flags, 0xff, 0xff, 0, 0, 0, 0], at);
  ipHeader(p.data, p.start, p.end, 6, address(src), address(dst), 64, true);
  const sum = checksum(p.data, at, p.end, pseudoSumAt(p.data, p.start, 6) + 20);
  p.data[at + 16] = sum >> 8;
  p.data[at + 17] = sum & 255;
  return p;
}

export interface Seen {
  text: string;
  src: string;
  dst: string;
  sport: number;
  dport: number;
  protocol: string;
  checksumOk: boolean;
  /** ICMP type << 8 | code. */
  icmp: number;
  packet: Packet;
  tcpFlags: number;
}

/** Collects what is delivered to a namespace; with `echo`, UDP datagrams are answered and SYNs accepted. */
export function listen(ns: NetNamespace, echo = true): Seen[] {
  const seen: Seen[] = [];
  ns.sockets = {
    input(p) {
      const f = new Flow();
      if (readFlow(p, f, true) !== undefined) return false;
      const t = f.tuple();
      const l4 = p.start + f.l4;
      const sumOk =
        f.protocol === 1 ||
        (f.protocol === 17 && p.data[l4 + 6] === 0 && p.data[l4 + 7] === 0) ||
        checksum(p.data, l4, p.end, pseudoSumAt(p.data, p.start, f.protocol) + (p.end - l4)) === 0;
      const body = f.protocol === 17 ? new TextDecoder().decode(p.data.subarray(l4 + 8, p.end)) : "";
      seen.push({
        ...t,
        text: body,
        checksumOk: sumOk,
        icmp: f.protocol === 1 || f.protocol === 58 ? f.dport : 0,
        packet: p,
        tcpFlags: f.tcpFlags,
      });
      if (echo && f.protocol === 17 && !body.startsWith("re:")) {
        const reply = udp(t.dst, f.dport, t.src, f.sport, `re:${body}`);
        reply.traceId = p.traceId;
        reply.traceHop = p.traceHop;
        ns.output(reply);
      }
      if (echo && f.protocol === 6 && f.tcpFlags === 2) ns.output(tcp(t.dst, f.dport, t.src, f.sport, 0x12, 100, 2));
      return true;
    },
  };
  return seen;
}

/** Turns of the event loop that a packet may need from one end to the other and back. */
const TURNS = 60;

/** Lets queued packets arrive: waits, then gives every hop its turn, however late the machine runs us. */
export async function settle(ms = 150): Promise<void> {
  await systemClock.sleep(ms);
  for (let i = 0; i < TURNS; i++) await new Promise<void>((resolve) => systemClock.soon(resolve));
}

export function two(opts: Partial<NetNamespaceInit> = {}): {
  a: TestNode;
  b: TestNode;
  wire: MemoryWire;
  points: TracePoint[];
  close(): void;
} {
  const wire = new MemoryWire();
  const points: TracePoint[] = [];
  const a = new TestNode(wire, 1, points, opts);
  const b = new TestNode(wire, 2, points, opts);
  a.learn(b);
  b.learn(a);
  return {
    a,
    b,
    wire,
    points,
    close: () => {
      a.close();
      b.close();
    },
  };
}

/** An ICMP echo request. */
export function echo(src: string, dst: string, id: number): Packet {
  const p = Packet.alloc(20 + 16);
  const at = p.start + 20;
  p.data.set([8, 0, 0, 0, id >> 8, id & 255, 0, 1], at);
  ipHeader(p.data, p.start, p.end, 1, address(src), address(dst), 64);
  const sum = checksum(p.data, at, p.end);
  p.data[at + 2] = sum >> 8;
  p.data[at + 3] = sum & 255;
  return p;
}
