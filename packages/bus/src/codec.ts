// Values as bytes: msgpackr, and a check of the structure before a decoder allocates anything from it.
// Invariant: `decode` never allocates more than a small multiple of its input, and throws only MalformedError.
// Specification: the MessagePack format; of extensions only msgpackr's `undefined` and the timestamp are accepted.
import { Packr, RESERVE_START_SPACE } from "msgpackr";
import { MalformedError } from "./errors.ts";

const packr = new Packr({ useRecords: false, moreTypes: false, copyBuffers: true, int64AsType: "number" } as ConstructorParameters<
  typeof Packr
>[0]);

/**
 * msgpackr packs into slabs that become as large as the largest value so far, and a small result keeps its whole slab
 * alive. After a result beyond this size the next slab is a small one again.
 */
const LARGE_RESULT_BYTES = 256 * 1024;
const SLAB_BYTES = 64 * 1024;

/** Deeper values are malformed. Objects of the API travel as JSON bytes, so the framing around them is shallow. */
export const MAX_DEPTH = 64;

/** Encodes plain data: null, undefined, booleans, numbers, strings, Uint8Array, arrays, plain objects, Date. */
export function encode(value: unknown): Uint8Array {
  return encodeAfter(0, value);
}

/** As `encode`, behind `reserve` bytes (at most 255) that are the caller's to fill: a header without another copy. */
export function encodeAfter(reserve: number, value: unknown): Uint8Array {
  const b = packr.pack(value, RESERVE_START_SPACE | reserve);
  if (b.length > LARGE_RESULT_BYTES) packr.useBuffer(Buffer.allocUnsafeSlow(SLAB_BYTES));
  return b;
}

/** The inverse of `encode`. Byte strings are copied: the result does not refer to `bytes`. Throws MalformedError. */
export function decode(bytes: Uint8Array): unknown {
  checkStructure(bytes);
  try {
    // A plain Uint8Array, so that byte strings come out as Uint8Array and not as Buffer.
    return packr.unpack(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  } catch (cause) {
    throw new MalformedError("not a MessagePack value", { cause });
  }
}

/** Throws MalformedError unless `b` is exactly one MessagePack value whose lengths all fit. */
export function checkStructure(b: Uint8Array): void {
  const left: number[] = []; // items still to come, by level
  let at = 0;
  let items = 1;
  const end = b.length;
  const size = (n: number): number => {
    if (at + n > end) throw new MalformedError(`truncated at byte ${at}`);
    let v = 0;
    for (let i = 0; i < n; i++) v = v * 256 + (b[at + i] as number);
    at += n;
    return v;
  };
  const skip = (n: number) => {
    at += n;
    if (at > end) throw new MalformedError("a length points past the end");
  };
  const open = (n: number) => {
    if (n > end - at) throw new MalformedError(`a collection of ${n} items cannot fit`);
    if (left.length >= MAX_DEPTH) throw new MalformedError(`nested deeper than ${MAX_DEPTH}`);
    left.push(items);
    items = n;
  };
  while (true) {
    while (items === 0) {
      const outer = left.pop();
      if (outer === undefined) {
        if (at !== end) throw new MalformedError(`${end - at} bytes after the value`);
        return;
      }
      items = outer;
    }
    items--;
    const t = size(1);
    if (t <= 0x7f || t >= 0xe0 || t === 0xc0 || t === 0xc2 || t === 0xc3) continue;
    if (t <= 0x8f) open((t & 0x0f) * 2);
    else if (t <= 0x9f) open(t & 0x0f);
    else if (t <= 0xbf) skip(t & 0x1f);
    else
      switch (t) {
        case 0xc4:
        case 0xd9:
          skip(size(1));
          break;
        case 0xc5:
        case 0xda:
          skip(size(2));
          break;
        case 0xc6:
        case 0xdb:
          skip(size(4));
          break;
        case 0xca:
        case 0xce:
        case 0xd2:
          skip(4);
          break;
        case 0xcb:
        case 0xcf:
        case 0xd3:
          skip(8);
          break;
        case 0xcc:
        case 0xd0:
          skip(1);
          break;
        case 0xcd:
        case 0xd1:
          skip(2);
          break;
        case 0xd4: // msgpackr's undefined
          if (size(1) !== 0 || size(1) !== 0) throw new MalformedError("unknown extension");
          break;
        case 0xd6:
        case 0xd7: // timestamps of 32 and 64 bits
          if (size(1) !== 0xff) throw new MalformedError("unknown extension");
          skip(t === 0xd6 ? 4 : 8);
          break;
        case 0xc7: // timestamp of 96 bits
          if (size(1) !== 12 || size(1) !== 0xff) throw new MalformedError("unknown extension");
          skip(12);
          break;
        case 0xdc:
          open(size(2));
          break;
        case 0xdd:
          open(size(4));
          break;
        case 0xde:
          open(size(2) * 2);
          break;
        case 0xdf:
          open(size(4) * 2);
          break;
        default:
          throw new MalformedError(`byte 0x${t.toString(16)} begins no value`);
      }
  }
}
