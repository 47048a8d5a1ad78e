// A VXLAN tunnel end (RFC 7348) as flannel drives it: no learning, no flooding; every remote MAC has a static FDB entry, every
// remote gateway a static neighbour entry.
// Invariant: a frame to a MAC without an entry is dropped and counted; the outer source port depends on the inner flow alone, so
// that one flow keeps one path (RFC 7348 section 5).
import type { Clock } from "@podwire/base";
import type { IpAddress, Mac } from "../codec/address.ts";
import { Ethernet } from "../codec/ethernet.ts";
import { Udp } from "../codec/udp.ts";
import { Vxlan } from "../codec/vxlan.ts";
import type { Packet } from "../packet.ts";
import { Device } from "./device.ts";

/** What the tunnel needs of its namespace: sends a UDP datagram whose payload is p's bytes. */
export interface Underlay {
  sendEncapsulated(device: VxlanDevice, p: Packet, remote: IpAddress, sourcePort: number): void;
  decapsulated(device: VxlanDevice, p: Packet, remote: IpAddress): void;
}

/** Inner frame 14, VXLAN 8, UDP 8, IPv4 20. */
export const VXLAN_OVERHEAD_V4 = 50;
const FDB_LIMIT = 65_536;

export class VxlanDevice extends Device {
  readonly vni: number;
  /** The underlay address that packets are sent from. */
  readonly local: IpAddress;
  readonly port: number;
  private readonly fdb = new Map<Mac, IpAddress>();
  underlay: Underlay | undefined;

  constructor(opts: { name?: string; vni?: number; mac: Mac; local: IpAddress; mtu?: number; port?: number; clock?: Clock }) {
    super(opts.name ?? "flannel.1", opts.mac, opts.mtu ?? 1450);
    this.vni = opts.vni ?? 1;
    this.local = opts.local;
    this.port = opts.port ?? Vxlan.PORT;
  }

  /** bridge fdb add <mac> dev flannel.1 dst <remote> */
  addFdb(mac: Mac, remote: IpAddress): void {
    if (this.fdb.size >= FDB_LIMIT && !this.fdb.has(mac)) throw new RangeError(`more than ${FDB_LIMIT} FDB entries on ${this.name}`);
    this.fdb.set(mac, remote);
  }

  removeFdb(mac: Mac): void {
    this.fdb.delete(mac);
  }

  fdbEntries(): ReadonlyMap<Mac, IpAddress> {
    return this.fdb;
  }

  protected override send(p: Packet): void {
    const remote = this.fdb.get(Ethernet.dst(p.data, p.start));
    if (remote === undefined) {
      this.drop(p, "noFdbEntry");
      return;
    }
    if (this.underlay === undefined) {
      this.drop(p, "noUnderlay");
      return;
    }
    const sourcePort = entropyPort(p);
    const at = p.push(Vxlan.HEADER);
    Vxlan.emit({ vni: this.vni }, p.data, at);
    this.underlay.sendEncapsulated(this, p, remote, sourcePort);
  }

  /** A datagram for our port: p.start is at the UDP header. False when it is not for this tunnel. */
  receive(p: Packet, remote: IpAddress): boolean {
    const at = p.start + Udp.HEADER;
    if (Vxlan.problem(p.data, at, p.end) !== "" || Vxlan.vni(p.data, at) !== this.vni) return false;
    p.pull(Udp.HEADER + Vxlan.HEADER);
    p.mark = 0;
    p.ct = null;
    if (p.end - p.start < Ethernet.HEADER) {
      this.counters.rxDropped++;
      this.host?.dropped(p, this, "truncated");
      return true;
    }
    this.underlay?.decapsulated(this, p, remote);
    this.arrive(p);
    return true;
  }
}

/** 32768..65535 out of the inner addresses, protocol and ports. */
function entropyPort(p: Packet): number {
  const b = p.data;
  const ip = p.start + Ethernet.HEADER;
  if (ip + 24 > p.end) return 32_768;
  const six = b[ip]! >> 4 === 6;
  let h = 0x811c9dc5;
  const from = six ? 8 : 12;
  const ports = six ? 40 : (b[ip]! & 15) * 4;
  for (let i = ip + from; i < ip + (six ? 40 : 20) && i < p.end; i += 2) h = Math.imul(h ^ ((b[i]! << 8) | b[i + 1]!), 0x01000193);
  const fragment = !six && (b[ip + 6]! & 0x3f) + b[ip + 7]! !== 0;
  if (!fragment)
    for (let i = ip + ports; i < ip + ports + 4 && i + 1 < p.end; i += 2) h = Math.imul(h ^ ((b[i]! << 8) | b[i + 1]!), 0x01000193);
  h ^= h >>> 15;
  return 32_768 + (h & 0x7fff);
}
