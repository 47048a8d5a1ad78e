// A DNS message as tcpdump prints it: "41+ A? name. (36)", "41*- 1/0/0 A 10.96.0.1 (52)". Pure.
import dnsPacket, { type Answer } from "dns-packet";

const RCODES: { [name: string]: string } = {
  NOERROR: "",
  FORMERR: " FormErr",
  SERVFAIL: " ServFail",
  NXDOMAIN: " NXDomain",
  NOTIMP: " NotImp",
  REFUSED: " Refused",
};

/** undefined when the bytes are no DNS message. */
export function dnsText(bytes: Uint8Array): string | undefined {
  let m: ReturnType<typeof dnsPacket.decode>;
  try {
    m = dnsPacket.decode(Buffer.from(bytes));
  } catch {
    return undefined;
  }
  const flags = m.flags ?? 0;
  const additional = m.additionals?.length ?? 0;
  const dotted = (n: string) => (n === "" || n === "." ? "." : n.endsWith(".") ? n : `${n}.`);
  const question = (m.questions ?? []).map((q) => ` ${q.type}? ${dotted(q.name)}`).join("");
  if (m.type !== "response")
    return `${m.id}${flags & 0x100 ? "+" : ""}${additional > 0 ? ` [${additional}au]` : ""}${question} (${bytes.length})`;
  const marks = `${flags & 0x400 ? "*" : ""}${flags & 0x80 ? "" : "-"}${flags & 0x200 ? "|" : ""}${flags & 0x20 ? "$" : ""}`;
  const answers = (m.answers ?? []).map((a) => ` ${recordText(a, dotted)}`).join(",");
  return `${m.id}${RCODES[m.rcode] ?? ` ${m.rcode}`}${marks} ${m.answers?.length ?? 0}/${m.authorities?.length ?? 0}/${additional}${answers} (${bytes.length})`;
}

function recordText(a: Answer, dotted: (n: string) => string): string {
  const d = a.data as any;
  switch (a.type) {
    case "SRV":
      return `SRV ${dotted(d.target)}:${d.port} ${d.priority} ${d.weight}`;
    case "CNAME":
    case "PTR":
    case "NS":
      return `${a.type} ${dotted(String(d))}`;
    case "MX":
      return `MX ${dotted(d.exchange)} ${d.preference}`;
    case "TXT":
      return `TXT ${(Array.isArray(d) ? d : [d]).map((t) => `"${String(t)}"`).join(" ")}`;
    case "A":
    case "AAAA":
      return `${a.type} ${d}`;
    default:
      return a.type;
  }
}
