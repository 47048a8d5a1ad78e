// A network card on the wire: frames leave for the process whose underlay address stands in the destination MAC address
// (02:42:<IPv4>), so that no ARP crosses the wire. A node's IPv6 underlay address ends in its IPv4 one, so the same holds for it.
// Invariant: a frame that claims another sender than the wire vouches for is dropped and counted; nothing that comes from the wire
// can throw.
import { formatIpv4, type IpAddress, isGroupMac, isMulticast, type Mac, parseIpv4 } from "../codec/address.ts";
import { Ethernet } from "../codec/ethernet.ts";
import { Packet } from "../packet.ts";
import { Device, macOfIpv4, UNDERLAY_MAC } from "./device.ts";
import { ReceiveOffload } from "./receive-offload.ts";

/** The shape of a wire's port (bus: WirePort) as far as a card needs it. */
export interface NicWire {
  readonly address: string;
  send(destination: string, frame: { bytes: Uint8Array; gsoSize: number; traceId: number; traceHop: number }): void;
  onFrame(cb: (source: string, frame: { bytes: Uint8Array; gsoSize: number; traceId: number; traceHop: number }) => void): void;
  /** Calls back when all frames of a message have been handed over; a wire without it joins no segments. */
  onMessageEnd?(cb: () => void): void;
}

/** Largest frame taken from the wire: an IP packet of 65,535 bytes and its link header. */
export const FRAME_LIMIT = 65_535 + Ethernet.HEADER;
/** Known peers' address texts; when full the cache is emptied. */
const TEXT_CACHE_LIMIT = 4096;

export class Nic extends Device {
  private readonly wire: NicWire;
  private readonly textOf = new Map<number, string>();
  /** Undefined: every segment is a packet (ethtool -K eth0 gro off). */
  offload: ReceiveOffload | undefined;
  /** Frames refused on arrival, by why. */
  readonly refused = { malformed: 0, spoofed: 0, notForUs: 0 };

  constructor(wire: NicWire, opts: { name?: string; mtu?: number } = {}) {
    const own = parseIpv4(wire.address);
    if (own === undefined) throw new RangeError(`not an underlay IPv4 address: ${wire.address}`);
    super(opts.name ?? "eth0", macOfIpv4(UNDERLAY_MAC, own), opts.mtu ?? 1500);
    this.wire = wire;
    wire.onFrame((source, frame) => this.fromWire(source, frame));
    if (wire.onMessageEnd !== undefined) {
      const offload = new ReceiveOffload((p) => this.arrive(p));
      this.offload = offload;
      wire.onMessageEnd(() => offload.flush());
    }
  }

  override neighbour(address: IpAddress): Mac | undefined {
    if (typeof address === "number") return macOfIpv4(UNDERLAY_MAC, address);
    return isMulticast(address) ? undefined : macOfIpv4(UNDERLAY_MAC, Number(address & 0xffffffffn));
  }

  protected override send(p: Packet): void {
    const { data, start } = p;
    if (isGroupMac(data, start)) {
      this.drop(p, "noBroadcastOnWire");
      return;
    }
    const to = ((data[start + 2]! << 24) | (data[start + 3]! << 16) | (data[start + 4]! << 8) | data[start + 5]!) >>> 0;
    let text = this.textOf.get(to);
    if (text === undefined) {
      if (this.textOf.size >= TEXT_CACHE_LIMIT) this.textOf.clear();
      text = formatIpv4(to);
      this.textOf.set(to, text);
    }
    this.wire.send(text, { bytes: p.bytes(), gsoSize: p.gsoSize, traceId: p.traceId, traceHop: p.traceHop });
    p.release();
  }

  private fromWire(source: string, frame: { bytes: Uint8Array; gsoSize: number; traceId: number; traceHop: number }): void {
    const b = frame.bytes;
    if (!(b instanceof Uint8Array) || b.length < Ethernet.HEADER || b.length > FRAME_LIMIT) return void this.refused.malformed++;
    if (isGroupMac(b, 0) || Ethernet.dst(b, 0) !== this.mac) return void this.refused.notForUs++;
    const from = parseIpv4(source);
    if (from === undefined || Ethernet.src(b, 0) !== macOfIpv4(UNDERLAY_MAC, from)) return void this.refused.spoofed++;
    if (this.offload !== undefined) {
      if ((frame.gsoSize | frame.traceId) === 0) {
        if (this.offload.add(b)) return;
      } else this.offload.flush();
    }
    const p = Packet.from(b);
    p.gsoSize = frame.gsoSize >>> 0;
    p.traceId = frame.traceId >>> 0;
    p.traceHop = frame.traceHop >>> 0;
    this.arrive(p);
  }
}
