// NaCl's secretbox: XSalsa20 and Poly1305, which Node's crypto does not have (nacl.cr.yp.to/secretbox.html, Bernstein's "Extending the
// Salsa20 nonce"). Invariant: `open` returns nothing unless the authenticator is right. Shapes: key 32 bytes, nonce 24, tag 16 before the text.
import { timingSafeEqual } from "node:crypto";

export const KEY_BYTES = 32;
export const NONCE_BYTES = 24;
const TAG_BYTES = 16;
const BLOCK_BYTES = 64;
const SIGMA = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574] as const;
/** Column and row rounds of Salsa20: four words each, rotated by 7, 9, 13, 18. */
const QUARTERS = [
  [0, 4, 8, 12],
  [5, 9, 13, 1],
  [10, 14, 2, 6],
  [15, 3, 7, 11],
  [0, 1, 2, 3],
  [5, 6, 7, 4],
  [10, 11, 8, 9],
  [15, 12, 13, 14],
] as const;
const P = (1n << 130n) - 5n;
const CLAMP = 0x0ffffffc0ffffffc0ffffffc0fffffffn;

export function seal(key: Uint8Array, nonce: Uint8Array, text: Uint8Array): Buffer {
  const { body, macKey } = stream(key, nonce, text);
  return Buffer.concat([poly1305(macKey, body), body]);
}

/** undefined when the box was made with another key, or changed. */
export function open(key: Uint8Array, nonce: Uint8Array, box: Uint8Array): Buffer | undefined {
  if (box.length < TAG_BYTES) return undefined;
  const body = box.subarray(TAG_BYTES);
  const { body: text, macKey } = stream(key, nonce, body);
  return timingSafeEqual(poly1305(macKey, body), box.subarray(0, TAG_BYTES)) ? text : undefined;
}

/** The text under the key stream; its first half block is Poly1305's key. */
function stream(key: Uint8Array, nonce: Uint8Array, text: Uint8Array): { body: Buffer; macKey: Buffer } {
  const subkey = hsalsa20(words(key), words(nonce.subarray(0, 16)));
  const rest = words(nonce.subarray(16, 24));
  const body = Buffer.allocUnsafe(text.length);
  let macKey: Buffer = Buffer.alloc(0);
  for (let counter = 0, at = -KEY_BYTES; at < text.length || counter === 0; counter++, at += BLOCK_BYTES) {
    const block = salsa20(subkey, [rest[0] as number, rest[1] as number, counter >>> 0, Math.floor(counter / 2 ** 32)]);
    if (counter === 0) macKey = block.subarray(0, KEY_BYTES);
    for (let i = counter === 0 ? KEY_BYTES : 0; i < BLOCK_BYTES && at + i < text.length; i++)
      body[at + i] = (text[at + i] as number) ^ (block[i] as number);
  }
  return { body, macKey };
}

function layout(key: readonly number[], input: readonly number[]): number[] {
  return [SIGMA[0], ...key.slice(0, 4), SIGMA[1], ...input, SIGMA[2], ...key.slice(4, 8), SIGMA[3]];
}

function rounds(state: readonly number[]): Uint32Array {
  const x = Uint32Array.from(state);
  for (let i = 0; i < 10; i++) {
    for (const [a, b, c, d] of QUARTERS) {
      x[b] = (x[b] as number) ^ rotate((x[a] as number) + (x[d] as number), 7);
      x[c] = (x[c] as number) ^ rotate((x[b] as number) + (x[a] as number), 9);
      x[d] = (x[d] as number) ^ rotate((x[c] as number) + (x[b] as number), 13);
      x[a] = (x[a] as number) ^ rotate((x[d] as number) + (x[c] as number), 18);
    }
  }
  return x;
}

function rotate(v: number, by: number): number {
  return (v << by) | (v >>> (32 - by));
}

function hsalsa20(key: readonly number[], input: readonly number[]): number[] {
  const z = rounds(layout(key, input));
  return [0, 5, 10, 15, 6, 7, 8, 9].map((i) => z[i] as number);
}

function salsa20(key: readonly number[], input: readonly number[]): Buffer {
  const state = layout(key, input);
  const z = rounds(state);
  const out = Buffer.allocUnsafe(BLOCK_BYTES);
  for (let i = 0; i < 16; i++) out.writeUInt32LE(((z[i] as number) + (state[i] as number)) >>> 0, i * 4);
  return out;
}

function poly1305(key: Uint8Array, text: Uint8Array): Buffer {
  const r = little(key.subarray(0, 16)) & CLAMP;
  let sum = 0n;
  for (let i = 0; i < text.length; i += TAG_BYTES) {
    const part = text.subarray(i, i + TAG_BYTES);
    sum = ((sum + little(part) + (1n << BigInt(8 * part.length))) * r) % P;
  }
  const tag = BigInt.asUintN(128, sum + little(key.subarray(16, 32)));
  const out = Buffer.allocUnsafe(TAG_BYTES);
  out.writeBigUInt64LE(BigInt.asUintN(64, tag), 0);
  out.writeBigUInt64LE(tag >> 64n, 8);
  return out;
}

function little(b: Uint8Array): bigint {
  return b.length === 0 ? 0n : BigInt(`0x${Buffer.from(b).reverse().toString("hex")}`);
}

function words(b: Uint8Array): number[] {
  const view = Buffer.from(b.buffer, b.byteOffset, b.byteLength);
  return Array.from({ length: b.length / 4 }, (_, i) => view.readUInt32LE(i * 4));
}
