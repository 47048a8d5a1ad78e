// The C library's resolver (resolv.conf(5), hosts(5)): search list and ndots, UDP with retry over the name servers, TCP when
// truncated. Pure parsing on top, the exchange over the pod's sockets below.
import { type Clock, PodwireError, type Random } from "@podwire/base";
import dnsPacket, { type DecodedPacket, type Answer as WireAnswer } from "dns-packet";
import type { NetStack } from "./net-stack.ts";

export interface ResolvConf {
  nameservers: string[];
  search: string[];
  ndots: number;
  timeoutMs: number;
  attempts: number;
}

/** As glibc: later `search` or `domain` lines replace earlier ones; at most 3 name servers. */
export function parseResolvConf(text: string): ResolvConf {
  const r: ResolvConf = { nameservers: [], search: [], ndots: 1, timeoutMs: 5000, attempts: 2 };
  for (const raw of text.split("\n")) {
    const words = raw
      .replace(/[#;].*$/, "")
      .trim()
      .split(/\s+/);
    const [key, ...rest] = words;
    if (key === "nameserver" && rest[0] !== undefined && r.nameservers.length < 3) r.nameservers.push(rest[0]);
    else if (key === "search" || key === "domain") r.search = rest;
    else if (key === "options")
      for (const o of rest) {
        const [name, value] = o.split(":");
        const n = Number(value);
        if (name === "ndots" && n >= 0) r.ndots = Math.min(n, 15);
        else if (name === "timeout" && n > 0) r.timeoutMs = Math.min(n, 30) * 1000;
        else if (name === "attempts" && n > 0) r.attempts = Math.min(n, 5);
      }
  }
  return r;
}

/** Names to try, in order, for a name as typed. */
export function candidateNames(name: string, conf: Pick<ResolvConf, "search" | "ndots">): string[] {
  if (name.endsWith(".")) return [name.slice(0, -1)];
  const dots = name.split(".").length - 1;
  const searched = conf.search.map((s) => `${name}.${s.replace(/\.$/, "")}`);
  return dots >= conf.ndots ? [name, ...searched] : [...searched, name];
}

/** hosts(5): first match of any name or alias. */
export function lookupHosts(text: string, name: string, family: 4 | 6 | 0): string[] {
  const out: string[] = [];
  const wanted = name.toLowerCase();
  for (const raw of text.split("\n")) {
    const [address, ...names] = raw.replace(/#.*$/, "").trim().split(/\s+/);
    if (!address || !names.some((n) => n.toLowerCase() === wanted)) continue;
    const v6 = address.includes(":");
    if (family === 0 || (family === 6) === v6) out.push(address);
  }
  return out;
}

/** EAI_NONAME and EAI_AGAIN: no such name, or no name server answered. */
export class LookupError extends PodwireError {
  readonly code: "ENOTFOUND" | "EAI_AGAIN";
  readonly hostname: string;
  constructor(code: "ENOTFOUND" | "EAI_AGAIN", hostname: string) {
    super(code === "ENOTFOUND" ? `getaddrinfo ENOTFOUND ${hostname}` : `getaddrinfo EAI_AGAIN ${hostname}`);
    this.code = code;
    this.hostname = hostname;
  }
}

export interface DnsAnswer {
  rcode: string;
  flags: number;
  answers: WireAnswer[];
  authorities: WireAnswer[];
  additionals: WireAnswer[];
  server: string;
  bytes: number;
  rttMs: number;
}

export interface DnsQueryOptions {
  timeoutMs: number;
  tcp?: boolean;
  port?: number;
  recursion?: boolean;
}

/** One question to one server. Rejects with DnsTimeoutError or the socket's error. */
export function dnsQuery(
  stack: NetStack,
  clock: Clock,
  random: Random,
  server: string,
  question: { name: string; type: string },
  o: DnsQueryOptions,
): Promise<DnsAnswer> {
  const id = random.below(65536);
  const query = dnsPacket.encode({
    type: "query",
    id,
    flags: (o.recursion ?? true) ? dnsPacket.RECURSION_DESIRED : 0,
    questions: [{ name: question.name === "" ? "." : question.name, type: question.type, class: "IN" }],
  });
  const started = clock.monotonicMs();
  return new Promise((resolve, reject) => {
    let close: () => void = () => undefined;
    const finish = (f: () => void) => {
      timer.cancel();
      close();
      f();
    };
    const timer = clock.after(o.timeoutMs, () => finish(() => reject(new DnsTimeoutError(server))));
    const take = (bytes: Uint8Array) => {
      let m: DecodedPacket;
      try {
        m = dnsPacket.decode(Buffer.from(bytes));
      } catch {
        return;
      }
      if (m.id !== id || m.type !== "response") return;
      const rcode = m.rcode;
      const answer = {
        rcode,
        flags: m.flags ?? 0,
        answers: m.answers ?? [],
        authorities: m.authorities ?? [],
        additionals: m.additionals ?? [],
        server,
        bytes: bytes.length,
        rttMs: clock.monotonicMs() - started,
      };
      if ((m.flags ?? 0) & dnsPacket.TRUNCATED_RESPONSE && !o.tcp)
        finish(() => resolve(dnsQuery(stack, clock, random, server, question, { ...o, tcp: true })));
      else finish(() => resolve(answer));
    };
    try {
      if (o.tcp) {
        const s = stack.tcpConnect({ host: server, port: o.port ?? 53, timeoutMs: o.timeoutMs });
        let buffered: Buffer = Buffer.alloc(0);
        close = () => s.destroy();
        s.on("error", (e) => finish(() => reject(e)));
        s.on("data", (d: Buffer) => {
          buffered = Buffer.concat([buffered, d]);
          if (buffered.length >= 2 && buffered.length >= 2 + buffered.readUInt16BE(0))
            take(buffered.subarray(2, 2 + buffered.readUInt16BE(0)));
        });
        const framed = Buffer.alloc(2 + query.length);
        framed.writeUInt16BE(query.length, 0);
        framed.set(query, 2);
        s.write(framed);
      } else {
        const u = stack.udpBind({});
        close = () => u.close();
        u.onError?.((e) => finish(() => reject(e)));
        u.onMessage(take);
        u.send(query, o.port ?? 53, server);
      }
    } catch (e) {
      finish(() => reject(e));
    }
  });
}

export class DnsTimeoutError extends PodwireError {
  constructor(server: string) {
    super(`no answer from name server ${server}`);
  }
}
