// NATS nkeys on the platform's own Ed25519. The nkeys library signs in JavaScript, which costs a starting process 20-40 ms of
// CPU for each connection; here it is microseconds. Format: base32 (RFC 4648, no padding) of prefix byte(s), 32 bytes, CRC-16
// (XMODEM, little-endian); a seed has two prefix bytes, "S" and the kind joined; kind U (user) is 20 << 3.
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { PodwireError } from "@podwire/base";

const PREFIX_SEED = 18 << 3;
const PREFIX_USER = 20 << 3;
const RAW_BYTES = 32;
/** DER of an Ed25519 PKCS#8 private key up to its 32 bytes (RFC 8410). */
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** Text that is not a user seed. */
export class BadSeedError extends PodwireError {
  constructor(why: string) {
    super(`not a NATS user seed: ${why}`, { next: "podwire up writes identity files anew" });
  }
}

export interface UserKey {
  /** "U...", what the server knows. */
  readonly publicKey: string;
  /** Signature of the server's nonce, base64url as CONNECT wants it. */
  sign(nonce: string): string;
}

/** A new seed, "SU...". */
export function createSeed(): string {
  const { privateKey } = generateKeyPairSync("ed25519");
  const raw = privateKey.export({ format: "der", type: "pkcs8" }).subarray(PKCS8.length);
  return withCrc(Buffer.concat([Buffer.of(PREFIX_SEED | (PREFIX_USER >> 5), (PREFIX_USER & 31) << 3), raw]));
}

/** The key behind a seed. Throws BadSeedError. */
export function userKey(seed: string): UserKey {
  const b = fromBase32(seed.trim());
  if (b.length !== 2 + RAW_BYTES + 2) throw new BadSeedError("wrong length");
  const body = b.subarray(0, -2);
  if (crc16(body) !== b.readUInt16LE(body.length)) throw new BadSeedError("wrong checksum");
  if (((b[0] as number) & 0xf8) !== PREFIX_SEED) throw new BadSeedError("not a seed");
  if (((((b[0] as number) & 7) << 5) | ((b[1] as number) >> 3)) !== PREFIX_USER) throw new BadSeedError("of another kind than user");
  const key = createPrivateKey({ key: Buffer.concat([PKCS8, body.subarray(2)]), format: "der", type: "pkcs8" });
  return { publicKey: publicOf(key), sign: (nonce) => sign(null, Buffer.from(nonce), key).toString("base64url") };
}

function publicOf(key: KeyObject): string {
  const der = createPublicKey(key).export({ format: "der", type: "spki" });
  return withCrc(Buffer.concat([Buffer.of(PREFIX_USER), der.subarray(-RAW_BYTES)]));
}

function withCrc(body: Buffer): string {
  const crc = Buffer.alloc(2);
  crc.writeUInt16LE(crc16(body));
  return toBase32(Buffer.concat([body, crc]));
}

function crc16(b: Uint8Array): number {
  let crc = 0;
  for (const byte of b) {
    crc ^= byte << 8;
    for (let i = 0; i < 8; i++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff;
  }
  return crc;
}

function toBase32(b: Uint8Array): string {
  let out = "";
  let bits = 0;
  let value = 0;
  for (const byte of b) {
    value = ((value << 8) | byte) & 0xffff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      out += ALPHABET[(value >> bits) & 31];
    }
  }
  return bits > 0 ? out + ALPHABET[(value << (5 - bits)) & 31] : out;
}

function fromBase32(s: string): Buffer {
  const out: number[] = [];
  let bits = 0;
  let value = 0;
  for (const ch of s) {
    const v = ALPHABET.indexOf(ch);
    if (v < 0) throw new BadSeedError("a character that base32 does not have");
    value = ((value << 5) | v) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      out.push((value >> bits) & 255);
    }
  }
  return Buffer.from(out);
}
