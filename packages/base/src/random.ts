// Randomness as a value that is handed in. A seeded source gives the same numbers on every machine (xoshiro128**,
// seeded by splitmix32; public domain algorithms of Blackman and Vigna), the system source draws its seed from the kernel.
import { randomBytes } from "node:crypto";

export interface Random {
  /** Uniform in [0, 1). */
  float(): number;
  /** Uniform integer in [0, 2^32). */
  uint32(): number;
  /** Uniform integer in [0, n), n >= 1. */
  below(n: number): number;
  /** One element of a non-empty list. */
  pick<T>(list: readonly T[]): T;
  /** Fisher-Yates, in place; returns the list. */
  shuffle<T>(list: T[]): T[];
  bytes(n: number): Uint8Array;
  /** RFC 9562 version 4, lower case. */
  uuid(): string;
  /** Kubernetes' generateName suffix: `n` letters out of the 27 that spell no word ("bcdfghjklmnpqrstvwxz2456789"). */
  suffix(n: number): string;
}

const SAFE_LETTERS = "bcdfghjklmnpqrstvwxz2456789";

/** A source that yields the same sequence for the same seed. */
export function seededRandom(seed: number): Random {
  let s = seed >>> 0;
  const splitmix = () => {
    s = (s + 0x9e3779b9) >>> 0;
    let z = s;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  let [a, b, c, d] = [splitmix(), splitmix(), splitmix(), splitmix()];
  const rotl = (x: number, k: number) => (x << k) | (x >>> (32 - k));
  const uint32 = () => {
    const result = Math.imul(rotl(Math.imul(b, 5), 7), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotl(d, 11);
    return result;
  };
  return fromUint32(uint32);
}

/** A source seeded by the operating system. Not for secrets: use node:crypto for keys and tokens. */
export function systemRandom(): Random {
  return seededRandom(randomBytes(4).readUInt32LE());
}

function fromUint32(uint32: () => number): Random {
  const float = () => uint32() / 4294967296;
  const below = (n: number) => Math.floor(float() * n);
  const bytes = (n: number) => {
    const out = new Uint8Array(n);
    for (let i = 0; i < n; i++) out[i] = uint32() & 0xff;
    return out;
  };
  return {
    uint32,
    float,
    below,
    bytes,
    pick: (list) => {
      if (list.length === 0) throw new RangeError("pick from an empty list");
      return list[below(list.length)] as never;
    },
    shuffle: (list) => {
      for (let i = list.length - 1; i > 0; i--) {
        const j = below(i + 1);
        [list[i], list[j]] = [list[j] as never, list[i] as never];
      }
      return list;
    },
    uuid: () => {
      const b = bytes(16);
      b[6] = ((b[6] as number) & 0x0f) | 0x40;
      b[8] = ((b[8] as number) & 0x3f) | 0x80;
      const h = Buffer.from(b).toString("hex");
      return `${h.slice(0, 8)}-${h.slice(8, 12)}-${h.slice(12, 16)}-${h.slice(16, 20)}-${h.slice(20)}`;
    },
    suffix: (n) => {
      let out = "";
      for (let i = 0; i < n; i++) out += SAFE_LETTERS[below(SAFE_LETTERS.length)];
      return out;
    },
  };
}
