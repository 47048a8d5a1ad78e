// The protobuf wire format: varints, fixed64, length-delimited fields (protobuf encoding specification).
// Invariant: no read passes the end of its message; a violation is a ProtobufError, never a wrong value.
import { PodwireError } from "@podwire/base";

export class ProtobufError extends PodwireError {}

export const VARINT = 0;
export const FIXED64 = 1;
export const BYTES = 2;
export const FIXED32 = 5;

export class BytesReader {
  at: number;
  readonly end: number;
  readonly b: Uint8Array;
  constructor(b: Uint8Array, at = 0, end = b.length) {
    this.b = b;
    this.at = at;
    this.end = end;
  }

  /** An unsigned varint of at most 53 bits; larger ones go through `varint64`. */
  varint(): number {
    const { b, end } = this;
    let at = this.at;
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 8; i++) {
      if (at >= end) throw new ProtobufError("unexpected EOF");
      const c = b[at++]!;
      value += (c & 0x7f) * scale;
      if (c < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        this.at = at;
        return value;
      }
      scale *= 128;
    }
    const v = this.varint64();
    return Number(v);
  }

  /** A varint as a signed 64-bit integer. */
  varint64(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (this.at >= this.end) throw new ProtobufError("unexpected EOF");
      const c = this.b[this.at++]!;
      value |= BigInt(c & 0x7f) << shift;
      if (c < 0x80) return BigInt.asIntN(64, value);
    }
    throw new ProtobufError("proto: integer overflow");
  }

  /** A signed integer (int32 and int64 are sign-extended to ten bytes on the wire). */
  int(): number {
    const start = this.at;
    // A tenth byte means a negative number: the fast path would lose its sign.
    let n = 0;
    while (start + n < this.end && this.b[start + n]! >= 0x80) n++;
    return n < 7 ? this.varint() : Number(this.varint64());
  }

  double(): number {
    if (this.at + 8 > this.end) throw new ProtobufError("unexpected EOF");
    const v = new DataView(this.b.buffer, this.b.byteOffset + this.at, 8).getFloat64(0, true);
    this.at += 8;
    return v;
  }

  /** The end of a length-delimited field that starts here. */
  length(): number {
    const n = this.varint();
    if (n < 0) throw new ProtobufError("proto: negative length found during unmarshaling");
    const end = this.at + n;
    if (end > this.end) throw new ProtobufError("unexpected EOF");
    return end;
  }

  bytes(): Uint8Array {
    const end = this.length();
    const out = this.b.subarray(this.at, end);
    this.at = end;
    return out;
  }

  string(): string {
    const end = this.length();
    const { b } = this;
    const n = end - this.at;
    let out: string;
    if (n < 24) {
      out = "";
      for (let i = this.at; i < end; i++) {
        const c = b[i]!;
        if (c >= 0x80) {
          out = utf8(b, this.at, end);
          break;
        }
        out += String.fromCharCode(c);
      }
    } else out = utf8(b, this.at, end);
    this.at = end;
    return out;
  }

  skip(wireType: number): void {
    if (wireType === VARINT) this.varint64();
    else if (wireType === FIXED64) this.at += 8;
    else if (wireType === BYTES) this.at = this.length();
    else if (wireType === FIXED32) this.at += 4;
    else throw new ProtobufError(`proto: illegal wireType ${wireType}`);
    if (this.at > this.end) throw new ProtobufError("unexpected EOF");
  }
}

function utf8(b: Uint8Array, at: number, end: number): string {
  return Buffer.from(b.buffer, b.byteOffset + at, end - at).toString("utf8");
}
