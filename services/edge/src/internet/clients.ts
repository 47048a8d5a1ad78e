// Addresses of internet clients: each real host that connects is one address of 203.0.113.0/24 (TEST-NET-3, RFC 5737), always the
// same one, so that session affinity and source ranges mean something. Pure.

export const CLIENT_PREFIX = "203.0.113.";
/** .1 to .249 are clients; the rest is kept for hosts of the internet that pods may call. */
const CLIENTS = 249;

/** 127.0.0.7 is 203.0.113.7; any other remote address is hashed. */
export function clientAddress(remote: string | undefined): string {
  const plain = (remote ?? "").replace(/^::ffff:/, "");
  const loopback = /^127\.0\.0\.(\d+)$/.exec(plain);
  if (loopback) return CLIENT_PREFIX + (1 + ((Number(loopback[1]) - 1 + CLIENTS) % CLIENTS));
  let h = 0x811c9dc5;
  for (const c of plain) h = Math.imul(h ^ c.charCodeAt(0), 0x01000193) >>> 0;
  return CLIENT_PREFIX + (1 + (h % CLIENTS));
}
