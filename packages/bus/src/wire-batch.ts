// Frames of one tick as one message: MessagePack, written by hand because every packet of the cluster passes here.
//   batch = array32 of frame;  frame = bin (plain) or fixarray(4) [bin, gsoSize, traceId, traceHop] (each number a uint32)
// Invariants: what `BatchWriter` wrote any MessagePack decoder reads; `readBatch` never reads past the end, reports each
// well-formed frame once, and stops at the first malformed one.
import type { WireFrame } from "./wire.ts";

const ARRAY32 = 0xdd;
const UINT32 = 0xce;
const BATCH_HEADER = 5;
/** What a frame needs beside its bytes, at most: fixarray, bin32 header, three uint32. */
const FRAME_OVERHEAD = 1 + 5 + 15;
const FIRST_BUFFER_BYTES = 4096;
/** A frame is at most an Ethernet frame with a 64 KB IP packet in it, encapsulated. */
export const MAX_FRAME_BYTES = 66_000;

export class BatchWriter {
  frames = 0;
  private buffer = Buffer.allocUnsafeSlow(FIRST_BUFFER_BYTES);
  private at = BATCH_HEADER;

  get sizeBytes(): number {
    return this.at;
  }

  /** Appends a copy of the frame. The caller has checked its length against MAX_FRAME_BYTES. */
  add(frame: WireFrame): void {
    const { bytes, gsoSize, traceId, traceHop } = frame;
    const length = bytes.length;
    if (this.at + length + FRAME_OVERHEAD > this.buffer.length) this.grow(length + FRAME_OVERHEAD);
    const b = this.buffer;
    let at = this.at;
    const plain = (gsoSize | traceId | traceHop) === 0;
    if (!plain) b[at++] = 0x94;
    if (length < 256) {
      b[at] = 0xc4;
      b[at + 1] = length;
      at += 2;
    } else if (length < 65_536) {
      b[at] = 0xc5;
      b[at + 1] = length >>> 8;
      b[at + 2] = length;
      at += 3;
    } else {
      b[at] = 0xc6;
      at = writeUint32(b, at + 1, length);
    }
    b.set(bytes, at);
    at += length;
    if (!plain) {
      b[at] = UINT32;
      at = writeUint32(b, at + 1, gsoSize);
      b[at] = UINT32;
      at = writeUint32(b, at + 1, traceId);
      b[at] = UINT32;
      at = writeUint32(b, at + 1, traceHop);
    }
    this.at = at;
    this.frames++;
  }

  /** The message; it stays valid until the next `add` after `reset(true)`. */
  finish(): Uint8Array {
    const b = this.buffer;
    b[0] = ARRAY32;
    writeUint32(b, 1, this.frames);
    return b.subarray(0, this.at);
  }

  /** Begins the next batch; `reuse` false takes a new buffer because the old one is still being sent. */
  reset(reuse: boolean): void {
    this.frames = 0;
    this.at = BATCH_HEADER;
    if (!reuse) this.buffer = Buffer.allocUnsafeSlow(this.buffer.length);
  }

  private grow(needed: number): void {
    let size = this.buffer.length;
    while (size < this.at + needed) size *= 2;
    const bigger = Buffer.allocUnsafeSlow(size);
    bigger.set(this.buffer.subarray(0, this.at));
    this.buffer = bigger;
  }
}

function writeUint32(b: Uint8Array, at: number, v: number): number {
  b[at] = v >>> 24;
  b[at + 1] = v >>> 16;
  b[at + 2] = v >>> 8;
  b[at + 3] = v;
  return at + 4;
}

/**
 * Calls `onFrame` for each frame; its bytes point into `b`. Returns the number of frames, or -1 - frames when the
 * message is malformed after so many.
 */
export function readBatch(b: Uint8Array, onFrame: (frame: WireFrame) => void): number {
  const end = b.length;
  if (end < BATCH_HEADER || b[0] !== ARRAY32) return -1;
  const count = readUint32(b, 1);
  let at = BATCH_HEADER;
  for (let i = 0; i < count; i++) {
    const plain = b[at] !== 0x94;
    if (!plain) at++;
    let length: number;
    if (at + 5 > end) {
      if (at + 2 > end || b[at] !== 0xc4) return -1 - i;
    }
    switch (b[at]) {
      case 0xc4:
        length = b[at + 1] as number;
        at += 2;
        break;
      case 0xc5:
        length = ((b[at + 1] as number) << 8) | (b[at + 2] as number);
        at += 3;
        break;
      case 0xc6:
        length = readUint32(b, at + 1);
        at += 5;
        break;
      default:
        return -1 - i;
    }
    const from = at;
    at += length;
    if (length > MAX_FRAME_BYTES || at > end) return -1 - i;
    if (plain) {
      onFrame({ bytes: b.subarray(from, at), gsoSize: 0, traceId: 0, traceHop: 0 });
      continue;
    }
    if (at + 15 > end || b[at] !== UINT32 || b[at + 5] !== UINT32 || b[at + 10] !== UINT32) return -1 - i;
    onFrame({
      bytes: b.subarray(from, at),
      gsoSize: readUint32(b, at + 1),
      traceId: readUint32(b, at + 6),
      traceHop: readUint32(b, at + 11),
    });
    at += 15;
  }
  return at === end ? count : -1 - count;
}

function readUint32(b: Uint8Array, at: number): number {
  return (((b[at] as number) << 24) | ((b[at + 1] as number) << 16) | ((b[at + 2] as number) << 8) | (b[at + 3] as number)) >>> 0;
}
