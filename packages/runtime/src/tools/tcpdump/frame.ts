// A captured packet as tcpdump looks at it: the link header that Linux would show, and where the headers are.
// Invariant: offsets that are set lie within `bytes`; what is cut off or unknown stays undefined.
import { type Device, EtherType, Flow, Packet, readFlow } from "@podwire/net";

export const LINK_ETHERNET = 1;
export const LINK_SLL2 = 276;

export interface Frame {
  timeMs: number;
  /** From the Ethernet header on. */
  bytes: Uint8Array;
  /** On the wire; `bytes` may be cut to the snapshot length. */
  wireLength: number;
  device: string;
  deviceIndex: number;
  direction: "in" | "out";
  loopback: boolean;
  etherType: number;
  /** Of IPv4 and IPv6 packets that were understood. */
  flow: Flow | undefined;
}

export const ETHERNET_BYTES = 14;

/** Copies what passes a device; loopback gets the empty Ethernet header that Linux shows. */
export function frameOf(d: Device, p: Packet, direction: "in" | "out", timeMs: number): Frame {
  const head = d.pointless ? ETHERNET_BYTES : 0;
  const bytes = new Uint8Array(p.end - p.start + head);
  bytes.set(p.data.subarray(p.start, p.end), head);
  if (head > 0) {
    const type = (p.data[p.start] as number) >> 4 === 6 ? EtherType.IPV6 : EtherType.IPV4;
    bytes[12] = type >> 8;
    bytes[13] = type & 255;
  }
  return readFrame({ timeMs, bytes, wireLength: bytes.length, device: d.name, deviceIndex: d.index, direction, loopback: d.pointless });
}

export function readFrame(f: Omit<Frame, "etherType" | "flow">): Frame {
  const etherType = f.bytes.length >= ETHERNET_BYTES ? ((f.bytes[12] as number) << 8) | (f.bytes[13] as number) : 0;
  let flow: Flow | undefined;
  if (etherType === EtherType.IPV4 || etherType === EtherType.IPV6) {
    flow = new Flow();
    const fault = readFlow(new Packet(f.bytes, ETHERNET_BYTES, f.bytes.length), flow, false);
    if (fault !== undefined) flow = undefined;
  }
  return { ...f, etherType, flow };
}
