// Captures in pcapng (IETF draft-ietf-opsawg-pcapng): a section, an interface a device, a packet block each with direction and a
// comment that says what became of the packet. Pure: returns the bytes of each block, the caller writes them in order.
// Invariant: the blocks in order are a valid file; a packet that stands for several is written as those it stands for.
import { segmentPacket } from "./tcp/segmentation.ts";

export const LinkType = { ETHERNET: 1, RAW_IP: 101 } as const;
export type LinkType = (typeof LinkType)[keyof typeof LinkType];

const SECTION = 0x0a0d0d0a;
const INTERFACE = 1;
const PACKET = 6;
const BYTE_ORDER = 0x1a2b3c4d;
/** Bytes kept of a packet: whatever an IP length can say, and its link header. */
const SNAP_LENGTH = 262_144;

const Option = {
  END: 0,
  COMMENT: 1,
  SHB_USERAPPL: 4,
  IF_NAME: 2,
  IF_DESCRIPTION: 3,
  IF_TSRESOL: 9,
  EPB_FLAGS: 2,
} as const;

export interface CapturedPacket {
  /** As addInterface returned. */
  interfaceId: number;
  /** Wall time, milliseconds with a fraction. */
  timeMs: number;
  /** From the link header (or IP header) on; not kept. */
  bytes: Uint8Array;
  /** > 0: TCP payload bytes of each packet that this one stands for. */
  gsoSize?: number;
  direction?: "in" | "out";
  /** "accept by -A KUBE-SERVICES ...", shown by Wireshark as the packet's comment. */
  comment?: string;
}

export class PcapngWriter {
  readonly #links: LinkType[] = [];

  /** The first block of the file. */
  header(application = "podwire"): Uint8Array {
    const body = new Uint8Array(16);
    const v = new DataView(body.buffer);
    v.setUint32(0, BYTE_ORDER, true);
    v.setUint16(4, 1, true);
    v.setUint16(6, 0, true);
    // Section length unknown: the file may still grow.
    v.setBigInt64(8, -1n, true);
    return block(SECTION, body, [[Option.SHB_USERAPPL, utf8(application)]]);
  }

  /** A block that declares an interface; its number is what packets name. */
  addInterface(name: string, linkType: LinkType, description = ""): { id: number; block: Uint8Array } {
    const body = new Uint8Array(8);
    const v = new DataView(body.buffer);
    v.setUint16(0, linkType, true);
    v.setUint32(4, SNAP_LENGTH, true);
    const options: [number, Uint8Array][] = [[Option.IF_NAME, utf8(name)]];
    if (description !== "") options.push([Option.IF_DESCRIPTION, utf8(description)]);
    // Time stamps count nanoseconds.
    options.push([Option.IF_TSRESOL, Uint8Array.of(9)]);
    return { id: this.#links.push(linkType) - 1, block: block(INTERFACE, body, options) };
  }

  /** The blocks of one packet; several when it stands for several. Throws RangeError for an unknown interface. */
  packet(p: CapturedPacket): Uint8Array[] {
    const link = this.#links[p.interfaceId];
    if (link === undefined) throw new RangeError(`pcapng: no interface ${p.interfaceId}`);
    const blocks: Uint8Array[] = [];
    segmentPacket(p.bytes, 0, p.bytes.length, link === LinkType.ETHERNET, p.gsoSize ?? 0, (piece) => blocks.push(packetBlock(p, piece)));
    return blocks;
  }
}

function packetBlock(p: CapturedPacket, bytes: Uint8Array): Uint8Array {
  const kept = Math.min(bytes.length, SNAP_LENGTH);
  const body = new Uint8Array(20 + padded(kept));
  const v = new DataView(body.buffer);
  const whole = Math.floor(p.timeMs);
  const ns = BigInt(whole) * 1_000_000n + BigInt(Math.round((p.timeMs - whole) * 1e6));
  v.setUint32(0, p.interfaceId, true);
  v.setUint32(4, Number(ns >> 32n), true);
  v.setUint32(8, Number(ns & 0xffffffffn), true);
  v.setUint32(12, kept, true);
  v.setUint32(16, bytes.length, true);
  body.set(bytes.subarray(0, kept), 20);
  const options: [number, Uint8Array][] = [];
  if (p.comment !== undefined && p.comment !== "") options.push([Option.COMMENT, utf8(p.comment)]);
  if (p.direction !== undefined) options.push([Option.EPB_FLAGS, Uint8Array.of(p.direction === "in" ? 1 : 2, 0, 0, 0)]);
  return block(PACKET, body, options);
}

const padded = (n: number) => (n + 3) & ~3;
const encoder = new TextEncoder();
/** An option's length has 16 bits. */
const utf8 = (text: string) => encoder.encode(text).subarray(0, 0xffff);

function block(type: number, body: Uint8Array, options: [number, Uint8Array][]): Uint8Array {
  let optionBytes = options.length > 0 ? 4 : 0;
  for (const [, value] of options) optionBytes += 4 + padded(value.length);
  const total = 12 + body.length + optionBytes;
  const out = new Uint8Array(total);
  const v = new DataView(out.buffer);
  v.setUint32(0, type, true);
  v.setUint32(4, total, true);
  out.set(body, 8);
  let at = 8 + body.length;
  for (const [code, value] of options) {
    v.setUint16(at, code, true);
    v.setUint16(at + 2, value.length, true);
    out.set(value, at + 4);
    at += 4 + padded(value.length);
  }
  // The end-of-options mark is four zero bytes, already there.
  v.setUint32(total - 4, total, true);
  return out;
}
