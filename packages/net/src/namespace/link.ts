// Between IP and Ethernet: frames in and out, ARP and Neighbour Discovery spoken and answered.
// Invariant: only frames for the device's own MAC or for many are heard; only questions about own addresses (or, with proxyArp, ones
// that are routed elsewhere) are answered. RFC 826, RFC 4861 7.2 (hop limit 255 shows that a message is from the link).
import { checksum, checksumHolds, pseudoSumAt } from "../checksum.ts";
import { BROADCAST_MAC, type IpAddress, ipv6At, isGroupMac, isUnspecified, type Mac, macAt, putIpv6, putMac } from "../codec/address.ts";
import { Arp } from "../codec/arp.ts";
import { Ethernet } from "../codec/ethernet.ts";
import { EtherType, putU16, putU32 } from "../codec/numbers.ts";
import type { Device } from "../devices/device.ts";
import { Packet } from "../packet.ts";
import type { Flow } from "./flow.ts";
import { ipHeader } from "./icmp-errors.ts";
import type { NetNamespace } from "./namespace.ts";

const SOLICIT = 135;
const ADVERTISE = 136;

export class Link {
  private readonly ns: NetNamespace;

  constructor(ns: NetNamespace) {
    this.ns = ns;
  }

  /** A frame came in by `device`; p.start is at its Ethernet header. */
  frameIn(device: Device, p: Packet, port: string): void {
    const { ns } = this;
    const { data, start } = p;
    if (p.end - start < Ethernet.HEADER) {
      this.refuse(device, p, "truncated");
      return;
    }
    if (!isGroupMac(data, start) && Ethernet.dst(data, start) !== device.mac) {
      this.refuse(device, p, "otherHost");
      return;
    }
    const type = Ethernet.type(data, start);
    p.pull(Ethernet.HEADER);
    if (type === EtherType.IPV4 || type === EtherType.IPV6) {
      // Neither family may come under the other's type.
      if (p.end > p.start && (data[p.start]! >> 4 === 4) !== (type === EtherType.IPV4)) {
        this.refuse(device, p, "badVersion");
        return;
      }
      ns.path.receive(device, p, port);
      return;
    }
    if (type === EtherType.ARP) {
      this.arpIn(device, p);
      return;
    }
    this.refuse(device, p, "unknownEtherType");
  }

  /** Puts the link header in front of an IP packet and sends it. */
  send(device: Device, p: Packet, to: Mac): void {
    const type = p.data[p.start]! >> 4 === 6 ? EtherType.IPV6 : EtherType.IPV4;
    const at = p.push(Ethernet.HEADER);
    putMac(p.data, at, to);
    putMac(p.data, at + 6, device.mac);
    putU16(p.data, at + 12, type);
    device.transmit(p);
  }

  sendToMany(device: Device, p: Packet, to: IpAddress): void {
    const mac =
      typeof to === "bigint"
        ? 0x333300000000 + Number(to & 0xffffffffn)
        : to >>> 28 === 14
          ? 0x01005e000000 + (to & 0x7fffff)
          : BROADCAST_MAC;
    this.send(device, p, mac);
  }

  /** Asks the link who has `target`. */
  ask(device: Device, target: IpAddress, mac: Mac | undefined): void {
    const source = this.ns.addresses.sourceOn(device.name, target) ?? this.ns.addresses.any(typeof target === "number" ? 4 : 6);
    if (source === undefined) return;
    if (typeof target === "number" && typeof source === "number") {
      this.arpOut(device, mac ?? BROADCAST_MAC, {
        operation: Arp.REQUEST,
        senderMac: device.mac,
        senderIp: source,
        targetMac: mac ?? 0,
        targetIp: target,
      });
      return;
    }
    if (typeof target === "bigint" && typeof source === "bigint") {
      const group = 0xff0200000000000000000001ff000000n | (target & 0xffffffn);
      this.discoveryOut(device, SOLICIT, 0, source, mac === undefined ? group : target, target, mac);
    }
  }

  /** Tells the link about an own address (gratuitous ARP, unsolicited advertisement). */
  announce(device: Device, address: IpAddress): void {
    if (typeof address === "number")
      this.arpOut(device, BROADCAST_MAC, {
        operation: Arp.REQUEST,
        senderMac: device.mac,
        senderIp: address,
        targetMac: 0,
        targetIp: address,
      });
    else this.discoveryOut(device, ADVERTISE, 0x20000000, address, 0xff020000000000000000000000000001n, address, undefined);
  }

  private arpIn(device: Device, p: Packet): void {
    const { ns } = this;
    const a = Arp.parse(p.data, p.start, p.end);
    if (!("operation" in a)) {
      this.refuse(device, p, "badArp");
      return;
    }
    // A claim to one of our own addresses is not believed.
    if (ns.isLocal(a.senderIp)) {
      this.refuse(device, p, "arpOwnAddress");
      return;
    }
    const ours = ns.isLocal(a.targetIp) || (ns.options.proxyArp && this.proxies(device, a.targetIp));
    if (!isUnspecified(a.senderIp)) ns.neighbours.learn(device, a.senderIp, a.senderMac, ours && a.operation === Arp.REQUEST);
    p.release();
    if (a.operation !== Arp.REQUEST || !ours) return;
    ns.counters.count("arpAnswered");
    this.arpOut(device, a.senderMac, {
      operation: Arp.REPLY,
      senderMac: device.mac,
      senderIp: a.targetIp,
      targetMac: a.senderMac,
      targetIp: a.senderIp,
    });
  }

  /** Routed by another device than the one that asks. */
  private proxies(device: Device, target: IpAddress): boolean {
    const route = this.ns.routes.lookup(target);
    return route !== null && route.dev !== "" && route.dev !== device.name;
  }

  private arpOut(device: Device, to: Mac, a: Arp): void {
    const p = Packet.alloc(Arp.HEADER);
    Arp.emit(a, p.data, p.start);
    const at = p.push(Ethernet.HEADER);
    Ethernet.emit({ dst: to, src: device.mac, type: EtherType.ARP }, p.data, at);
    device.transmit(p);
  }

  /** Handles neighbour solicitations and advertisements; false for other ICMP. */
  neighbourDiscovery(p: Packet, f: Flow, deviceName: string): boolean {
    const type = f.dport >> 8;
    if (f.protocol !== 58 || (type !== SOLICIT && type !== ADVERTISE)) return false;
    const { ns } = this;
    const device = ns.devices.get(deviceName);
    const b = p.data;
    const at = p.start + f.l4;
    if (
      device === undefined ||
      f.ttl !== 255 ||
      at + 24 > p.end ||
      !checksumHolds(b, at, p.end, pseudoSumAt(b, p.start, 58) + (p.end - at))
    ) {
      ns.counters.drop("badNeighbourDiscovery");
      return true;
    }
    const target = ipv6At(b, at + 8);
    const mac = linkLayerOption(b, at + 24, p.end, type === SOLICIT ? 1 : 2);
    if (type === ADVERTISE) {
      if (mac !== undefined && !ns.isLocal(target)) ns.neighbours.learn(device, target, mac, false);
      return true;
    }
    const ours = ns.isLocal(target);
    if (mac !== undefined && !isUnspecified(f.src)) ns.neighbours.learn(device, f.src, mac, ours);
    if (!ours) return true;
    ns.counters.count("neighbourAnswered");
    this.discoveryOut(device, ADVERTISE, 0x60000000, target, f.src, target, mac);
    return true;
  }

  private discoveryOut(
    device: Device,
    type: number,
    flags: number,
    src: bigint,
    dst: IpAddress,
    target: bigint,
    mac: Mac | undefined,
  ): void {
    const p = Packet.alloc(40 + 32);
    const b = p.data;
    const at = p.start + 40;
    b[at] = type;
    putU32(b, at + 4, flags);
    putIpv6(b, at + 8, target);
    b[at + 24] = type === SOLICIT ? 1 : 2;
    b[at + 25] = 1;
    putMac(b, at + 26, device.mac);
    ipHeader(b, p.start, p.end, 58, src, dst, 255);
    putU16(b, at + 2, checksum(b, at, p.end, pseudoSumAt(b, p.start, 58) + (p.end - at)));
    if (mac === undefined) this.sendToMany(device, p, dst);
    else this.send(device, p, mac);
  }

  private refuse(device: Device, p: Packet, reason: string): void {
    device.counters.rxDropped++;
    this.ns.counters.drop(reason);
    p.release();
  }
}

/** The MAC address in a source (1) or target (2) link-layer option; malformed options end the search. */
function linkLayerOption(b: Uint8Array, from: number, end: number, kind: number): Mac | undefined {
  for (let at = from; at + 8 <= end; ) {
    const length = b[at + 1]! * 8;
    if (length === 0) return undefined;
    if (b[at] === kind) return macAt(b, at + 2);
    at += length;
  }
  return undefined;
}
