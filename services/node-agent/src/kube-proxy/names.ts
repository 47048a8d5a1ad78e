// Names of kube-proxy's chains: a prefix and sixteen letters of a hash, since iptables allows 28 characters.
// Invariant: the same Service port and endpoint give the same names as upstream kube-proxy, so that dumps can be compared.
import { hash } from "node:crypto";

const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** RFC 4648 base32 without the padding. */
export function base32(bytes: Uint8Array): string {
  let out = "";
  let bits = 0;
  let value = 0;
  for (const b of bytes) {
    value = ((value << 8) | b) & 0xffff;
    bits += 8;
    while (bits >= 5) {
      out += BASE32[(value >> (bits - 5)) & 31];
      bits -= 5;
    }
  }
  return bits > 0 ? out + BASE32[(value << (5 - bits)) & 31] : out;
}

function hash16(text: string): string {
  return base32(hash("sha256", text, "buffer").subarray(0, 10));
}

export type ChainKind = "KUBE-SVC" | "KUBE-SVL" | "KUBE-EXT" | "KUBE-FW";

/** The chain of a Service port. `name` is "namespace/name:port" ("namespace/name" for an unnamed port). */
export function servicePortChain(kind: ChainKind, name: string, protocol: string): string {
  return `${kind}-${hash16(name + protocol.toLowerCase())}`;
}

/** The chain of one endpoint "ip:port" of a Service port. */
export function endpointChain(name: string, protocol: string, endpoint: string): string {
  return `KUBE-SEP-${hash16(name + protocol.toLowerCase() + endpoint)}`;
}
