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
/** A frame is at most an Ethernet frame with a 64 KB IP packet in it, encapsulated. */
export const MAX_FRAME_BYTES = 66_000;

/** A batch that has grown to this leaves before the tick ends. */
export const FLUSH_BYTES = 64 * 1024;
/** Room for the link's own framing around a batch. */
const PREAMBLE_LIMIT = 512;
const TRAILER_BYTES = 2;
const BUFFER_BYTES = PREAMBLE_LIMIT + BATCH_HEADER + Math.max(FLUSH_BYTES, MAX_FRAME_BYTES + FRAME_OVERHEAD) + TRAILER_BYTES;
/** Buffers that are kept for reuse; further ones are left to the garbage collector. */
const MAX_FREE_BUFFERS = 32;

/** Buffers for batches, all of one size. */
export class BatchBuffers {
  private readonly free: Buffer[] = [];

  take(): Buffer {
    return this.free.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
  }

  give(b: Buffer): void {
    if (this.free.length < MAX_FREE_BUFFERS) this.free.push(b);
  }
}

/** The frames that wait for one destination. It holds a buffer only while it is not empty. */
export class BatchWriter {
  frames = 0;
  private readonly buffers: BatchBuffers;
  private readonly preamble: Uint8Array;
  private buffer: Buffer | undefined;
  private at = 0;

  /** `preamble`: bytes in front of the batch, at most PREAMBLE_LIMIT; when there are any, CR LF follows the batch. */
  constructor(buffers: BatchBuffers, preamble: Uint8Array = new Uint8Array(0)) {
    if (preamble.length > PREAMBLE_LIMIT) throw new RangeError(`a preamble of ${preamble.length} bytes`);
    this.buffers = buffers;
    this.preamble = preamble;
  }

  /** True when a frame of so many bytes still belongs into this batch; an empty batch takes any. */
  fits(frameBytes: number): boolean {
    return this.frames === 0 || this.at - this.preamble.length + frameBytes + FRAME_OVERHEAD <= FLUSH_BYTES;
  }

  /** Appends a copy of the frame, which `fits` and is not larger than MAX_FRAME_BYTES. */
  add(frame: WireFrame): void {
    let b = this.buffer;
    if (b === undefined) {
      b = this.buffer = this.buffers.take();
      b.set(this.preamble);
      this.at = this.preamble.length + BATCH_HEADER;
    }
    const { bytes, gsoSize, traceId, traceHop } = frame;
    const length = bytes.length;
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

  /** Ends a batch that is not empty: the message, the size of the batch in it, and its buffer, to be given back once it is sent. */
  finish(): { message: Uint8Array; batchBytes: number; buffer: Buffer } {
    const buffer = this.buffer as Buffer;
    const from = this.preamble.length;
    buffer[from] = ARRAY32;
    writeUint32(buffer, from + 1, this.frames);
    const batchBytes = this.at - from;
    let end = this.at;
    if (from > 0) {
      buffer[end++] = 13;
      buffer[end++] = 10;
    }
    this.frames = 0;
    this.buffer = undefined;
    return { message: buffer.subarray(0, end), batchBytes, buffer };
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
