// A learning bridge (IEEE 802.1D without spanning tree: ports are veths, there can be no loop), itself a device of its namespace.
// Invariant: a frame never leaves by the port it came in by, unless that port is in hairpin mode; an FDB entry is at most
// AGEING_MS old; the FDB holds at most FDB_LIMIT learned entries (what is not learned is flooded).
// With `netfilter` set, bridged IP packets pass the hooks (net.bridge.bridge-nf-call-iptables), as kube-proxy needs.
import type { Clock } from "@podwire/base";
import { isGroupMac, type Mac } from "../codec/address.ts";
import { Ethernet } from "../codec/ethernet.ts";
import type { Packet } from "../packet.ts";
import { Device, type Master } from "./device.ts";

/** 802.1D's recommended ageing time. */
export const AGEING_MS = 300_000;
export const FDB_LIMIT = 16_384;

export interface FdbEntry {
  port: Device;
  seenMs: number;
  permanent: boolean;
}

/** Lets the namespace look at a frame that crosses the bridge. True: go on bridging; false: it was taken or dropped. */
export interface BridgeNetfilter {
  bridgePrerouting(bridge: Bridge, port: Device, p: Packet): boolean;
  bridgeForward(bridge: Bridge, from: Device, to: Device, p: Packet): boolean;
  /** Copies of the packet went to every port; it ends here. */
  bridgeFlooded(p: Packet): void;
}

export class Bridge extends Device implements Master {
  private readonly clock: Clock;
  private readonly ports = new Map<string, { device: Device; hairpin: boolean }>();
  private readonly fdb = new Map<Mac, FdbEntry>();
  netfilter: BridgeNetfilter | undefined;

  constructor(clock: Clock, name: string, mac: Mac, mtu = 1500) {
    super(name, mac, mtu);
    this.clock = clock;
  }

  addPort(device: Device, opts: { hairpin?: boolean } = {}): void {
    this.ports.set(device.name, { device, hairpin: opts.hairpin === true });
    device.master = this;
  }

  removePort(device: Device): void {
    this.ports.delete(device.name);
    device.master = undefined;
    for (const [mac, e] of this.fdb) if (e.port === device) this.fdb.delete(mac);
  }

  /** Teaches an address for good, or until its port goes. */
  addFdb(mac: Mac, port: Device): void {
    this.fdb.set(mac, { port, seenMs: 0, permanent: true });
  }

  /** The forwarding database, as `bridge fdb show br <name>` lists it. */
  fdbEntries(): ReadonlyMap<Mac, Readonly<FdbEntry>> {
    return this.fdb;
  }

  portNames(): string[] {
    return [...this.ports.keys()];
  }

  /** Frames of the namespace itself. */
  protected override send(p: Packet): void {
    this.forward(p, undefined);
  }

  portIn(port: Device, p: Packet): void {
    if (p.end - p.start < Ethernet.HEADER) {
      port.drop(p, "truncated");
      return;
    }
    this.learn(Ethernet.src(p.data, p.start), port);
    const dst = Ethernet.dst(p.data, p.start);
    if (dst === this.mac) {
      this.deliver(port, p);
      return;
    }
    if (this.netfilter !== undefined && isIp(p) && !this.netfilter.bridgePrerouting(this, port, p)) return;
    this.forward(p, port);
  }

  private deliver(port: Device, p: Packet): void {
    this.counters.rxPackets++;
    this.counters.rxBytes += p.end - p.start;
    this.host?.frameIn(this, p, port.name);
  }

  private forward(p: Packet, from: Device | undefined): void {
    const { data, start } = p;
    if (!isGroupMac(data, start)) {
      const e = this.lookup(Ethernet.dst(data, start));
      if (e !== undefined) {
        this.sendTo(e.port, p, from);
        return;
      }
    }
    for (const port of this.ports.values()) if (port.device !== from) this.sendTo(port.device, p.clone(), from);
    if (from !== undefined && isGroupMac(data, start)) {
      this.deliver(from, p);
      return;
    }
    this.netfilter?.bridgeFlooded(p);
    p.release();
  }

  private sendTo(to: Device, p: Packet, from: Device | undefined): void {
    if (to === from && this.ports.get(to.name)?.hairpin !== true) {
      to.drop(p, "bridgeSamePort");
      return;
    }
    if (from !== undefined && this.netfilter !== undefined && isIp(p) && !this.netfilter.bridgeForward(this, from, to, p)) return;
    if (p.traceId !== 0) this.host?.trace(p, to, "out");
    to.transmit(p);
  }

  private lookup(mac: Mac): FdbEntry | undefined {
    const e = this.fdb.get(mac);
    if (e === undefined || e.permanent || this.clock.monotonicMs() - e.seenMs <= AGEING_MS) return e;
    this.fdb.delete(mac);
    return undefined;
  }

  private learn(mac: Mac, port: Device): void {
    const e = this.fdb.get(mac);
    if (e !== undefined) {
      if (e.permanent) return;
      e.port = port;
      e.seenMs = this.clock.monotonicMs();
      return;
    }
    if (Math.floor(mac / 0x10000000000) & 1) return;
    if (this.fdb.size >= FDB_LIMIT) this.age();
    if (this.fdb.size < FDB_LIMIT) this.fdb.set(mac, { port, seenMs: this.clock.monotonicMs(), permanent: false });
  }

  private age(): void {
    const now = this.clock.monotonicMs();
    for (const [mac, e] of this.fdb) if (!e.permanent && now - e.seenMs > AGEING_MS) this.fdb.delete(mac);
  }
}

function isIp(p: Packet): boolean {
  const type = Ethernet.type(p.data, p.start);
  return type === 0x0800 || type === 0x86dd;
}
