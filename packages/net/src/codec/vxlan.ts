// VXLAN header (RFC 7348 section 5). Invariant: a parsed header has the I flag; reserved bits are ignored on receipt and zero
// on emission.
import { Malformed } from "./malformed.ts";
import { putU24, putU32, u24 } from "./numbers.ts";

export interface Vxlan {
  /** VXLAN network identifier, 24 bits. */
  vni: number;
}

const HEADER = 8;

export const Vxlan = {
  HEADER,
  PORT: 4789,
  vni: (b: Uint8Array, at: number): number => u24(b, at + 4),

  problem(b: Uint8Array, at: number, end: number): string {
    if (end - at < HEADER) return "truncated";
    return (b[at]! & 0x08) === 0 ? "no VNI" : "";
  },
  parse(b: Uint8Array, at: number, end: number): Vxlan | Malformed {
    const why = Vxlan.problem(b, at, end);
    return why === "" ? { vni: u24(b, at + 4) } : new Malformed("vxlan", why);
  },
  emit(v: Vxlan, b: Uint8Array, at: number): number {
    putU32(b, at, 0x08000000);
    putU24(b, at + 4, v.vni);
    b[at + 7] = 0;
    return HEADER;
  },
};
