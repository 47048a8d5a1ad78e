// What all network devices share: a name, a MAC address, an MTU, counters, and the namespace that hears them.
// Invariant: `transmit` owns the packet it gets, whose start is an Ethernet header (an IP header on loopback); a device that is down
// neither sends nor hears.
import type { IpAddress, Mac } from "../codec/address.ts";
import type { Packet } from "../packet.ts";

export interface DeviceCounters {
  rxPackets: number;
  rxBytes: number;
  rxDropped: number;
  txPackets: number;
  txBytes: number;
  txDropped: number;
}

/** The namespace, as its devices see it. */
export interface DeviceHost {
  /** A frame came in by `device`; `port` names the bridge port it really came by, or "". */
  frameIn(device: Device, p: Packet, port: string): void;
  /** An IP packet came in by a device without link headers. */
  packetIn(device: Device, p: Packet): void;
  dropped(p: Packet, device: Device, reason: string): void;
  trace(p: Packet, device: Device, direction: "in" | "out"): void;
}

/** What takes the frames of an enslaved device: a bridge. */
export interface Master {
  readonly name: string;
  portIn(port: Device, p: Packet): void;
}

/** Decides when a device's packets leave (a queueing discipline). */
export interface Shaper {
  /** False: dropped, and still the caller's. */
  offer(p: Packet, send: (p: Packet) => void): boolean;
  close(): void;
}

/** Sees every packet that passes, for a capture; must not keep or change it. */
export type Tap = (p: Packet, direction: "in" | "out") => void;

const NO_TAPS: readonly Tap[] = [];

export abstract class Device {
  readonly name: string;
  mac: Mac;
  mtu: number;
  /** ifindex; 0 until the device is added to a namespace. */
  index = 0;
  up = true;
  /** Namespace; undefined until the device is added to one. */
  host: DeviceHost | undefined;
  master: Master | undefined;
  private tap: Tap | undefined;
  private taps: readonly Tap[] = NO_TAPS;
  readonly counters: DeviceCounters = { rxPackets: 0, rxBytes: 0, rxDropped: 0, txPackets: 0, txBytes: 0, txDropped: 0 };
  /** Holds packets back on their way out; undefined: they leave at once. */
  shaper: Shaper | undefined;
  /** No link header, no neighbours. */
  readonly pointless: boolean = false;

  constructor(name: string, mac: Mac, mtu: number) {
    this.name = name;
    this.mac = mac;
    this.mtu = mtu;
  }

  /** Lets `tap` see what passes from now on, beside those that do already; answers what ends that. */
  addTap(tap: Tap): () => void {
    this.setTaps([...this.taps, tap]);
    return () => this.setTaps(this.taps.filter((t) => t !== tap));
  }

  private setTaps(taps: readonly Tap[]): void {
    this.taps = taps;
    this.tap =
      taps.length <= 1
        ? taps[0]
        : (p, direction) => {
            for (const t of taps) t(p, direction);
          };
  }

  /** Sends a frame; gives the packet away. */
  transmit(p: Packet): void {
    if (!this.up) {
      this.drop(p, "deviceDown");
      return;
    }
    if (this.shaper === undefined) this.leave(p);
    else if (!this.shaper.offer(p, (later) => (this.up ? this.leave(later) : this.drop(later, "deviceDown")))) this.drop(p, "shaperFull");
  }

  private leave(p: Packet): void {
    this.counters.txPackets++;
    this.counters.txBytes += p.end - p.start;
    if (this.tap !== undefined) this.tap(p, "out");
    this.send(p);
  }

  protected abstract send(p: Packet): void;

  /** What the device can tell about a neighbour without asking: a MAC address, or undefined to ask by ARP or ND. */
  neighbour(_address: IpAddress): Mac | undefined {
    return undefined;
  }

  /** A frame arrived. */
  protected arrive(p: Packet): void {
    if (!this.up || this.host === undefined) {
      p.release();
      this.counters.rxDropped++;
      return;
    }
    this.counters.rxPackets++;
    this.counters.rxBytes += p.end - p.start;
    if (this.tap !== undefined) this.tap(p, "in");
    if (p.traceId !== 0) this.host.trace(p, this, "in");
    if (this.master !== undefined) this.master.portIn(this, p);
    else if (this.pointless) this.host.packetIn(this, p);
    else this.host.frameIn(this, p, "");
  }

  drop(p: Packet, reason: string): void {
    this.counters.txDropped++;
    if (this.host === undefined) p.release();
    else this.host.dropped(p, this, reason);
  }

  close(): void {
    this.up = false;
    this.shaper?.close();
  }
}

/** The MAC address that belongs to an IPv4 address: `high` (two bytes) and the address, as Docker and OVN do. */
export function macOfIpv4(high: number, ipv4: number): Mac {
  return high * 0x100000000 + ipv4;
}

/** High bytes of pods' addresses: 0a:58:xx:xx:xx:xx. */
export const POD_MAC = 0x0a58;
/** High bytes of the underlay's: 02:42:xx:xx:xx:xx. */
export const UNDERLAY_MAC = 0x0242;

/** A locally administered MAC address out of 48 random bits. */
export function randomMac(random: { uint32(): number }): Mac {
  return (((random.uint32() & 0xfcff) | 0x0200) >>> 0) * 0x100000000 + random.uint32();
}
