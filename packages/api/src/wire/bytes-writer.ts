// Protobuf's wire format, writing: varints, tags, length-delimited fields, into one growing buffer.
// Invariant: what `finish` returns is a view of the buffer: one writer makes one message. Specification: protobuf.dev/programming-guides/encoding.
const INITIAL_BYTES = 1024;

export class BytesWriter {
  private b: Buffer;
  private at = 0;

  constructor(initialBytes: number = INITIAL_BYTES) {
    this.b = Buffer.allocUnsafe(initialBytes);
  }

  private room(n: number): void {
    if (this.at + n <= this.b.length) return;
    const bigger = Buffer.allocUnsafe(Math.max(this.b.length * 2, this.at + n));
    this.b.copy(bigger, 0, 0, this.at);
    this.b = bigger;
  }

  varint(v: number): unknown {
    this.room(10);
    if (v < 0 || v > Number.MAX_SAFE_INTEGER) return this.varint64(BigInt(v));
    while (v >= 128) {
      this.b[this.at++] = (v % 128) | 0x80;
      v = Math.floor(v / 128);
    }
    this.b[this.at++] = v;
  }

  varint64(v: bigint): void {
    this.room(10);
    let u = BigInt.asUintN(64, v);
    while (u >= 128n) {
      this.b[this.at++] = Number(u & 127n) | 0x80;
      u >>= 7n;
    }
    this.b[this.at++] = Number(u);
  }

  tag(number: number, wireType: number): void {
    this.varint(number * 8 + wireType);
  }

  double(v: number): void {
    this.room(8);
    this.at = this.b.writeDoubleLE(v, this.at);
  }

  string(number: number, s: string): void {
    this.tag(number, 2);
    const n = Buffer.byteLength(s);
    this.varint(n);
    this.room(n);
    this.at += this.b.write(s, this.at);
  }

  bytes(number: number, data: Uint8Array): void {
    this.tag(number, 2);
    this.varint(data.length);
    this.raw(data);
  }

  raw(data: Uint8Array): void {
    this.room(data.length);
    this.b.set(data, this.at);
    this.at += data.length;
  }

  /** Writes a message whose length is known only afterwards. */
  nested(number: number, write: () => void): void {
    this.tag(number, 2);
    const start = this.at;
    this.room(1);
    this.at++;
    write();
    const length = this.at - start - 1;
    if (length < 128) {
      this.b[start] = length;
      return;
    }
    let extra = 0;
    for (let n = length; n >= 128; n = Math.floor(n / 128)) extra++;
    this.room(extra);
    this.b.copy(this.b, start + 1 + extra, start + 1, this.at);
    const end = this.at + extra;
    this.at = start;
    this.varint(length);
    this.at = end;
  }

  finish(): Uint8Array {
    return this.b.subarray(0, this.at);
  }
}
