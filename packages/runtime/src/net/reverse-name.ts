// The DNS name under which an address is looked up backwards (RFC 1035 3.5, RFC 3596 2.5). Pure.
import { parseAddress } from "@podwire/net";

/** "4.3.2.1.in-addr.arpa" or the 32 digits of "ip6.arpa", without a final dot; undefined when the text is no address. */
export function reverseName(address: string): string | undefined {
  const a = parseAddress(address);
  if (a === undefined) return undefined;
  if (typeof a === "number") return `${[a & 255, (a >>> 8) & 255, (a >>> 16) & 255, a >>> 24].join(".")}.in-addr.arpa`;
  return `${[...a.toString(16).padStart(32, "0")].reverse().join(".")}.ip6.arpa`;
}
