// DNS messages (RFC 1035, EDNS0 RFC 6891) between bytes and what the plugins speak, by dns-packet.
// Invariant: a UDP answer is never longer than the asker can take; what does not fit is cut and TC is set.
import dnsPacket, { type DecodedPacket, type Answer as WireRecord } from "dns-packet";
import type { Question, Reply } from "./plugin.ts";
import type { Record } from "./records.ts";

const RCODES: { [rcode: string]: number } = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 };
export const UDP_LIMIT_BYTES = 512;
/** What this server offers to take over UDP. */
const OWN_UDP_BYTES = 1232;
const TCP_LIMIT_BYTES = 65_535;

export interface Query {
  packet: DecodedPacket;
  question: Question | undefined;
  edns: boolean;
}

/** undefined: not a query, nothing to answer. */
export function readQuery(bytes: Uint8Array, protocol: "udp" | "tcp", from: { address: string; port: number }): Query | undefined {
  let packet: DecodedPacket;
  try {
    packet = dnsPacket.decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  } catch {
    return undefined;
  }
  if (packet.type !== "query") return undefined;
  const first = packet.questions?.[0];
  const edns = packet.additionals?.find((r) => r.type === "OPT") as { udpPayloadSize?: number; flags?: number } | undefined;
  const question: Question | undefined = first && {
    name: dotted(first.name),
    type: first.type,
    id: packet.id ?? 0,
    protocol,
    from,
    sizeBytes: bytes.length,
    dnssec: ((edns?.flags ?? 0) & 0x8000) !== 0,
    bufferBytes: Math.max(UDP_LIMIT_BYTES, edns?.udpPayloadSize ?? UDP_LIMIT_BYTES),
  };
  return { packet, question, edns: edns !== undefined };
}

export function writeReply(query: Query, reply: Reply, protocol: "udp" | "tcp"): Uint8Array {
  const limit = protocol === "udp" ? (query.question?.bufferBytes ?? UDP_LIMIT_BYTES) : TCP_LIMIT_BYTES;
  const whole = encoded(query, reply, false);
  if (whole.length <= limit) return whole;
  // Additional records are help, not answer: they go first, and answers from the end after them.
  let count = reply.answers.length;
  let cut = encoded(query, { ...reply, additional: [] }, false);
  if (cut.length <= limit) return cut;
  while (count > 0) {
    count = Math.min(count - 1, Math.floor((count * limit) / cut.length));
    cut = encoded(query, { ...reply, additional: [], authority: [], answers: reply.answers.slice(0, count) }, true);
    if (cut.length <= limit) return cut;
  }
  return cut;
}

function encoded(query: Query, r: Reply, truncated: boolean): Uint8Array {
  const flags =
    (r.authoritative ? dnsPacket.AUTHORITATIVE_ANSWER : dnsPacket.RECURSION_AVAILABLE) |
    ((query.packet.flags ?? 0) & dnsPacket.RECURSION_DESIRED) |
    (truncated ? dnsPacket.TRUNCATED_RESPONSE : 0) |
    (RCODES[r.rcode] ?? RCODES["SERVFAIL"] ?? 2);
  const opt = {
    type: "OPT",
    name: ".",
    udpPayloadSize: OWN_UDP_BYTES,
    extendedRcode: 0,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options: [],
  };
  return dnsPacket.encode({
    type: "response",
    id: query.packet.id ?? 0,
    flags,
    questions: query.packet.questions ?? [],
    answers: r.answers.map(wireRecord),
    authorities: r.authority.map(wireRecord),
    additionals: [...r.additional.map(wireRecord), ...(query.edns ? [opt as unknown as WireRecord] : [])],
  });
}

/** Size of a reply as it would go out, for the log. */
export function replyBytes(r: Reply): number {
  return encoded({ packet: { id: 0 } as DecodedPacket, question: undefined, edns: false }, r, false).length;
}

export function recordsOf(list: readonly WireRecord[]): Record[] {
  return list
    .filter((r) => r.type !== "OPT")
    .map((r) => {
      const x = r as { name: string; type: string; ttl?: number; data: unknown };
      return { name: dotted(x.name), type: x.type, ttl: x.ttl ?? 0, data: x.data };
    });
}

function wireRecord(r: Record): WireRecord {
  return { name: r.name, type: r.type, ttl: r.ttl, class: "IN", data: r.data } as WireRecord;
}

function dotted(name: string): string {
  return name.endsWith(".") ? name : `${name}.`;
}
