// MySQL's client/server protocol, the parts both sides need: packets with a sequence number, length-encoded values, the native
// password's proof.
import { createHash } from "node:crypto";
import type { Process } from "../../kernel/process.ts";
import type { StreamSocket } from "../../net/net-stack.ts";

export const PORT = 3306;
export const PLUGIN = "mysql_native_password";
/** Bytes of one packet; larger ones are split by the protocol and refused here. */
const MAX_PACKET_BYTES = 16 * 1024 * 1024 - 1;

export function packet(sequence: number, body: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUIntLE(body.length, 0, 3);
  head[3] = sequence & 0xff;
  return Buffer.concat([head, body]);
}

export function lengthEncoded(value: number | string | Buffer): Buffer {
  if (typeof value === "number") {
    if (value < 251) return Buffer.from([value]);
    const b = Buffer.alloc(value < 65_536 ? 3 : 9);
    b[0] = value < 65_536 ? 0xfc : 0xfe;
    if (value < 65_536) b.writeUInt16LE(value, 1);
    else b.writeBigUInt64LE(BigInt(value), 1);
    return b;
  }
  const bytes = Buffer.from(value as string);
  return Buffer.concat([lengthEncoded(bytes.length), bytes]);
}

/** Reads the fields of a packet one after the other. */
export class Reader {
  readonly #b: Buffer;
  at = 0;
  constructor(b: Buffer) {
    this.#b = b;
  }
  get left(): number {
    return this.#b.length - this.at;
  }
  byte(): number {
    return this.#b[this.at++] ?? 0;
  }
  uint(bytes: number): number {
    const n = this.left < bytes ? 0 : this.#b.readUIntLE(this.at, bytes);
    this.at += bytes;
    return n;
  }
  skip(n: number): void {
    this.at += n;
  }
  bytes(n: number): Buffer {
    const out = this.#b.subarray(this.at, this.at + n);
    this.at += n;
    return out;
  }
  zeroEnded(): string {
    const end = this.#b.indexOf(0, this.at);
    const stop = end < 0 ? this.#b.length : end;
    const out = this.#b.toString("utf8", this.at, stop);
    this.at = stop + 1;
    return out;
  }
  length(): number {
    const first = this.byte();
    return first < 251
      ? first
      : first === 0xfc
        ? this.uint(2)
        : first === 0xfd
          ? this.uint(3)
          : Number(this.#b.readBigUInt64LE((this.at += 8) - 8));
  }
  string(): string {
    return this.bytes(this.length()).toString("utf8");
  }
  /** A cell of a row: 0xfb stands for NULL. */
  stringOrNull(): string | null {
    if (this.#b[this.at] !== 0xfb) return this.string();
    this.at++;
    return null;
  }
  rest(): string {
    return this.#b.toString("utf8", this.at);
  }
}

/** SHA1(password) XOR SHA1(salt, SHA1(SHA1(password))); empty for no password. */
export function nativeProof(password: string, salt: Uint8Array): Buffer {
  if (password === "") return Buffer.alloc(0);
  const sha1 = (...parts: Uint8Array[]) => {
    const h = createHash("sha1");
    for (const part of parts) h.update(part);
    return h.digest();
  };
  const once = sha1(Buffer.from(password, "utf8"));
  const mask = sha1(salt, sha1(once));
  return Buffer.from(once.map((b, i) => b ^ (mask[i] as number)));
}

/** Packets as they come. */
export function onPackets(s: StreamSocket, take: (body: Buffer, sequence: number) => void): void {
  let buffer: Buffer = Buffer.alloc(0);
  s.on("data", (d: Buffer) => {
    buffer = buffer.length === 0 ? d : Buffer.concat([buffer, d]);
    while (buffer.length >= 4) {
      const length = buffer.readUIntLE(0, 3);
      if (length >= MAX_PACKET_BYTES) return void s.destroy();
      if (buffer.length < 4 + length) return;
      const body = buffer.subarray(4, 4 + length);
      const sequence = buffer[3] as number;
      buffer = buffer.subarray(4 + length);
      take(body, sequence);
    }
  });
}

export const CAPABILITIES = {
  longPassword: 0x1,
  connectWithDb: 0x8,
  protocol41: 0x200,
  transactions: 0x2000,
  secureConnection: 0x8000,
  pluginAuth: 0x80000,
  lengthEncodedAuth: 0x200000,
} as const;

export type Socket = StreamSocket;
export type { Process };
