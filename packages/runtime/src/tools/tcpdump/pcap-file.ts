// Files of tcpdump -w and -r: the classic pcap format (draft-ietf-opsawg-pcap), little-endian, microseconds; Ethernet, or Linux cooked
// v2 (LINKTYPE_LINUX_SLL2) for "-i any".
import { PodwireError } from "@podwire/base";
import { ETHERNET_BYTES, type Frame, LINK_ETHERNET, LINK_SLL2, readFrame } from "./frame.ts";

const MAGIC = 0xa1b2c3d4;
const HEADER_BYTES = 24;
const RECORD_BYTES = 16;
const SLL2_BYTES = 20;

export class PcapFileError extends PodwireError {}

export function fileHeader(link: number, snapBytes: number): Uint8Array {
  const v = new DataView(new ArrayBuffer(HEADER_BYTES));
  v.setUint32(0, MAGIC, true);
  v.setUint16(4, 2, true);
  v.setUint16(6, 4, true);
  v.setUint32(16, snapBytes, true);
  v.setUint32(20, link, true);
  return new Uint8Array(v.buffer);
}

export function fileRecord(f: Frame, link: number): Uint8Array {
  const cooked = link === LINK_SLL2;
  const body = cooked ? cookedBytes(f) : f.bytes;
  const out = new Uint8Array(RECORD_BYTES + body.length);
  const v = new DataView(out.buffer);
  v.setUint32(0, Math.floor(f.timeMs / 1000), true);
  v.setUint32(4, Math.floor((f.timeMs % 1000) * 1000), true);
  v.setUint32(8, body.length, true);
  v.setUint32(12, f.wireLength + (cooked ? SLL2_BYTES - ETHERNET_BYTES : 0), true);
  out.set(body, RECORD_BYTES);
  return out;
}

function cookedBytes(f: Frame): Uint8Array {
  const payload = f.bytes.subarray(ETHERNET_BYTES);
  const out = new Uint8Array(SLL2_BYTES + payload.length);
  const v = new DataView(out.buffer);
  v.setUint16(0, f.etherType);
  v.setUint32(4, f.deviceIndex);
  v.setUint16(8, f.loopback ? 772 : 1);
  out[10] = f.direction === "out" ? 4 : 0;
  out[11] = 6;
  out.set(f.bytes.subarray(6, 12), 12);
  out.set(payload, SLL2_BYTES);
  return out;
}

/** The packets of a file. Throws PcapFileError. */
export function readFile(bytes: Uint8Array): { link: number; snapBytes: number; frames: Frame[] } {
  if (bytes.length < HEADER_BYTES)
    throw new PcapFileError(`truncated dump file; tried to read 24 file header bytes, only got ${bytes.length}`);
  const v = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (v.getUint32(0, true) !== MAGIC) throw new PcapFileError("unknown file format");
  const link = v.getUint32(20, true);
  if (link !== LINK_ETHERNET && link !== LINK_SLL2) throw new PcapFileError(`link type ${link} is not supported here`);
  const frames: Frame[] = [];
  for (let at = HEADER_BYTES; at + RECORD_BYTES <= bytes.length; ) {
    const kept = v.getUint32(at + 8, true);
    if (at + RECORD_BYTES + kept > bytes.length) throw new PcapFileError("truncated dump file");
    let data = bytes.slice(at + RECORD_BYTES, at + RECORD_BYTES + kept);
    let wireLength = v.getUint32(at + 12, true);
    let direction: "in" | "out" = "in";
    let loopback = false;
    let deviceIndex = 0;
    if (link === LINK_SLL2 && kept >= SLL2_BYTES) {
      const w = new DataView(data.buffer);
      direction = data[10] === 4 ? "out" : "in";
      loopback = w.getUint16(8) === 772;
      deviceIndex = w.getUint32(4);
      const whole = new Uint8Array(ETHERNET_BYTES + data.length - SLL2_BYTES);
      whole.set(data.subarray(12, 18), 6);
      whole.set(data.subarray(0, 2), 12);
      whole.set(data.subarray(SLL2_BYTES), ETHERNET_BYTES);
      data = whole;
      wireLength -= SLL2_BYTES - ETHERNET_BYTES;
    }
    frames.push(
      readFrame({
        timeMs: v.getUint32(at, true) * 1000 + v.getUint32(at + 4, true) / 1000,
        bytes: data,
        wireLength,
        device: `if${deviceIndex}`,
        deviceIndex,
        direction,
        loopback,
      }),
    );
    at += RECORD_BYTES + kept;
  }
  return { link, snapBytes: v.getUint32(16, true), frames };
}
