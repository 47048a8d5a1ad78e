// The hash in the names and labels of what a controller makes from a pod template: 32-bit FNV-1a, written with letters that
// spell no word. Kubernetes hashes a Go dump of the template; that is not reproducible elsewhere and nothing depends on its
// value, so the canonical JSON is hashed here. Invariant: equal templates and collision counts give equal hashes.
import { canonical } from "./equality.ts";

const LETTERS = "bcdfghjklmnpqrstvwxz2456789";

/** FNV-1a, 32 bits, over UTF-8. */
export function fnv32a(text: string): number {
  let h = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) {
    h ^= byte;
    h = Math.imul(h, 0x01000193);
  }
  return h >>> 0;
}

/** Writes each character as one of 27 safe ones (apimachinery rand.SafeEncodeString). */
export function safeEncode(s: string): string {
  let out = "";
  for (let i = 0; i < s.length; i++) out += LETTERS[s.charCodeAt(i) % LETTERS.length];
  return out;
}

export function templateHash(template: unknown, collisionCount?: number): string {
  const salt = collisionCount === undefined ? "" : String(collisionCount);
  return safeEncode(String(fnv32a(canonical(template) + salt)));
}
