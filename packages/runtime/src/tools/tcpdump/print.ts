// A captured packet as a line of tcpdump: ARP, ICMP, TCP with relative sequence numbers and options, UDP, DNS, VXLAN with the packet
// inside. Pure but for names, which the caller gives.
import { EtherType, formatAddress, formatMac, type IpAddress, IpProtocol, pseudoSumAt, Tcp, Udp } from "@podwire/net";
import { dnsText } from "./dns-text.ts";
import { ETHERNET_BYTES, type Frame, readFrame } from "./frame.ts";

export interface PrintOptions {
  /** -v: IP header fields, checksums. */
  verbose: boolean;
  /** -e */
  link: boolean;
  /** -q */
  quick: boolean;
  /** -S */
  absolute: boolean;
  hostName: (a: IpAddress) => string;
  portName: (port: number, protocol: "tcp" | "udp") => string;
}

/** Connections whose first sequence numbers are remembered; past it numbers are absolute until older ones are forgotten. */
const MAX_CONNECTIONS = 4096;
const VXLAN_PORT = 4789;
const HTTP_PORTS = new Set([80, 8080, 3128]);

export class Printer {
  readonly #o: PrintOptions;
  /** First sequence number of each direction. */
  readonly #isn = new Map<string, number>();
  constructor(o: PrintOptions) {
    this.#o = o;
  }

  /** Without the time, without a newline at the end. */
  text(f: Frame): string {
    const head = this.#o.link ? this.#linkText(f) : "";
    return head + this.#network(f, this.#o.link);
  }

  #linkText(f: Frame): string {
    const b = f.bytes;
    const mac = (at: number) => formatMac(b.subarray(at, at + 6).reduce((n, x) => n * 256 + x, 0));
    const broadcast = b.subarray(0, 6).every((x) => x === 255);
    const name =
      f.etherType === EtherType.IPV4 ? "IPv4" : f.etherType === EtherType.IPV6 ? "IPv6" : f.etherType === EtherType.ARP ? "ARP" : "Unknown";
    return `${mac(6)} > ${broadcast ? "Broadcast" : mac(0)}, ethertype ${name} (0x${f.etherType.toString(16).padStart(4, "0")}), length ${f.wireLength}: `;
  }

  #network(f: Frame, named: boolean): string {
    if (f.etherType === EtherType.ARP) return `${named ? "" : "ARP, "}${this.#arp(f)}`;
    const x = f.flow;
    if (x === undefined)
      return named
        ? `length ${f.wireLength - ETHERNET_BYTES}`
        : `ethertype 0x${f.etherType.toString(16).padStart(4, "0")}, length ${f.wireLength - ETHERNET_BYTES}`;
    const ip = x.family === 4 ? "IP" : "IP6";
    const prefix = named && !this.#o.verbose ? "" : named ? "" : `${ip} `;
    return `${prefix}${this.#o.verbose ? this.#header(f) : ""}${this.#transport(f)}`;
  }

  #header(f: Frame): string {
    const b = f.bytes;
    const at = ETHERNET_BYTES;
    const x = f.flow!;
    const names: { [n: number]: string } = { 1: "ICMP", 6: "TCP", 17: "UDP", 58: "ICMPv6", 132: "SCTP" };
    if (x.family === 6)
      return `(flowlabel 0x${((((b[at + 1]! & 15) << 16) | (b[at + 2]! << 8) | b[at + 3]!) >>> 0).toString(16).padStart(5, "0")}, hlim ${x.ttl}, next-header ${names[x.protocol] ?? "unknown"} (${x.protocol}) payload length: ${(b[at + 4]! << 8) | b[at + 5]!}) `;
    const flags = [...(x.moreFragments ? ["+"] : []), ...(x.dontFragment ? ["DF"] : [])];
    return `(tos 0x${b[at + 1]!.toString(16)}, ttl ${x.ttl}, id ${(b[at + 4]! << 8) | b[at + 5]!}, offset ${x.fragmentOffset}, flags [${flags.length === 0 ? "none" : flags.join(",")}], proto ${names[x.protocol] ?? "unknown"} (${x.protocol}), length ${(b[at + 2]! << 8) | b[at + 3]!})\n    `;
  }

  #arp(f: Frame): string {
    const b = f.bytes;
    const at = ETHERNET_BYTES;
    if (b.length < at + 28) return "[|arp]";
    const v = new DataView(b.buffer, b.byteOffset);
    const name = (o: number) => this.#o.hostName(v.getUint32(at + o));
    const mac = (o: number) => formatMac(b.subarray(at + o, at + o + 6).reduce((n, x) => n * 256 + x, 0));
    const length = f.wireLength - at;
    const head = this.#o.verbose ? "Ethernet (len 6), IPv4 (len 4), " : "";
    if (v.getUint16(at + 6) === 1) return `${head}Request who-has ${name(24)} tell ${name(14)}, length ${length}`;
    return `${head}Reply ${name(14)} is-at ${mac(8)}, length ${length}`;
  }

  #transport(f: Frame): string {
    const x = f.flow!;
    const [src, dst] = [this.#o.hostName(x.src), this.#o.hostName(x.dst)];
    const from = ETHERNET_BYTES + x.l4;
    const b = f.bytes;
    const end =
      ETHERNET_BYTES +
      (x.family === 4
        ? (b[ETHERNET_BYTES + 2]! << 8) | b[ETHERNET_BYTES + 3]!
        : 40 + ((b[ETHERNET_BYTES + 4]! << 8) | b[ETHERNET_BYTES + 5]!));
    const name = { 6: "tcp", 17: "udp", 1: "icmp", 58: "icmp6" }[x.protocol] ?? `ip-proto-${x.protocol}`;
    if (x.fragmentOffset !== 0) return `${src} > ${dst}: ${name}`;
    if (x.protocol === 6) return this.#tcp(f, from, end, src, dst);
    if (x.protocol === 17) return this.#udp(f, from, end, src, dst);
    if (x.protocol === 1) return `${src} > ${dst}: ICMP ${this.#icmp(f, from, end)}`;
    if (x.protocol === 58) return `${src} > ${dst}: ICMP6, ${this.#icmp6(f, from, end)}`;
    return `${src} > ${dst}: ${name} ${end - from}`;
  }

  /** With -v: the checksum, and whether it holds. */
  #checksum(f: Frame, from: number, end: number, at: number): { text: string; right: boolean } | undefined {
    if (!this.#o.verbose || end > f.bytes.length) return undefined;
    const b = f.bytes;
    const { protocol } = f.flow!;
    const codec = protocol === IpProtocol.TCP ? Tcp : Udp;
    const right = codec.problem(b, from, end, pseudoSumAt(b, ETHERNET_BYTES, protocol)) === "";
    return { text: `0x${((b[at]! << 8) | b[at + 1]!).toString(16).padStart(4, "0")}`, right };
  }

  #tcp(f: Frame, from: number, end: number, src: string, dst: string): string {
    const x = f.flow!;
    const b = f.bytes;
    const v = new DataView(b.buffer, b.byteOffset);
    const ends = `${src}.${this.#o.portName(x.sport, "tcp")} > ${dst}.${this.#o.portName(x.dport, "tcp")}: `;
    const header = (b[from + 12]! >> 4) * 4;
    const length = end - from - header;
    if (header < 20 || from + header > b.length) return `${ends}[|tcp]`;
    if (this.#o.quick) return `${ends}tcp ${length}`;
    const flags = x.tcpFlags;
    const seq = v.getUint32(from + 4);
    const ack = v.getUint32(from + 8);
    const [own, other] = this.#bases(x, seq, ack, flags);
    const syn = (flags & 2) !== 0;
    const shownSeq = syn ? seq : (seq - own) >>> 0;
    const sum = this.#checksum(f, from, end, from + 16);
    let out = `${ends}Flags [${flagText(flags)}], ${sum === undefined ? "" : `cksum ${sum.text} (${sum.right ? "correct" : "incorrect"}), `}`;
    if (length > 0 || syn || (flags & 5) !== 0) out += `seq ${shownSeq}${length > 0 ? `:${(shownSeq + length) >>> 0}` : ""}, `;
    if (flags & 16) out += `ack ${(ack - other) >>> 0}, `;
    out += `win ${v.getUint16(from + 14)}`;
    if (flags & 32) out += `, urg ${v.getUint16(from + 18)}`;
    const options = tcpOptions(b, from + 20, from + header, other);
    if (options !== "") out += `, options [${options}]`;
    out += `, length ${length}`;
    if (length > 0 && (HTTP_PORTS.has(x.sport) || HTTP_PORTS.has(x.dport)))
      out += httpText(b.subarray(from + header, Math.min(b.length, end)), this.#o.verbose);
    return out;
  }

  /** What to subtract from this direction's numbers and from its acknowledgements. */
  #bases(x: NonNullable<Frame["flow"]>, seq: number, ack: number, flags: number): [number, number] {
    if (this.#o.absolute) return [0, 0];
    const key = `${formatAddress(x.src)} ${x.sport} ${formatAddress(x.dst)} ${x.dport}`;
    const back = `${formatAddress(x.dst)} ${x.dport} ${formatAddress(x.src)} ${x.sport}`;
    const syn = (flags & 2) !== 0;
    if (syn || !this.#isn.has(key)) {
      if (this.#isn.size >= MAX_CONNECTIONS) this.#isn.clear();
      const fresh = syn || !this.#isn.has(back);
      // Seen from the middle on: the first packet's numbers are where both directions begin, shown as they are.
      if (syn) {
        this.#isn.set(key, seq);
        if (!(flags & 16)) this.#isn.delete(back);
      } else if (fresh) {
        this.#isn.set(key, seq);
        if (flags & 16) this.#isn.set(back, ack);
        return [0, 0];
      } else this.#isn.set(key, seq);
    }
    return [this.#isn.get(key) ?? 0, this.#isn.get(back) ?? 0];
  }

  #udp(f: Frame, from: number, end: number, src: string, dst: string): string {
    const x = f.flow!;
    const b = f.bytes;
    const length = end - from - 8;
    const ends = `${src}.${this.#o.portName(x.sport, "udp")} > ${dst}.${this.#o.portName(x.dport, "udp")}: `;
    const payload = b.subarray(from + 8, Math.min(b.length, end));
    if (this.#o.quick) return `${ends}UDP, length ${length}`;
    const sum = this.#checksum(f, from, end, from + 6);
    const check =
      sum === undefined ? "" : `[${sum.text === "0x0000" ? "no cksum" : sum.right ? "udp sum ok" : `bad udp cksum ${sum.text}`}] `;
    if (x.sport === 53 || x.dport === 53) {
      const text = dnsText(payload);
      if (text !== undefined) return `${ends}${check}${text}`;
    }
    if (x.dport === VXLAN_PORT && payload.length > 8) {
      const vni = (payload[4]! << 16) | (payload[5]! << 8) | payload[6]!;
      const inner = readFrame({ ...f, bytes: payload.slice(8), wireLength: length - 8 });
      return `${ends}${check}VXLAN, flags [${payload[0]! & 8 ? "I" : "."}] (0x${payload[0]!.toString(16).padStart(2, "0")}), vni ${vni}\n${this.#network(inner, false)}`;
    }
    return `${ends}${check}UDP, length ${length}`;
  }

  #icmp(f: Frame, from: number, end: number): string {
    const b = f.bytes;
    const v = new DataView(b.buffer, b.byteOffset);
    const length = end - from;
    const type = b[from]!;
    const code = b[from + 1]!;
    if (type === 8 || type === 0)
      return `echo ${type === 8 ? "request" : "reply"}, id ${v.getUint16(from + 4)}, seq ${v.getUint16(from + 6)}, length ${length}`;
    const quoted = () => {
      const at = from + 8;
      if (b.length < at + 20) return undefined;
      const l4 = at + (b[at]! & 15) * 4;
      return { dst: this.#o.hostName(v.getUint32(at + 16)), protocol: b[at + 9]!, port: b.length >= l4 + 4 ? v.getUint16(l4 + 2) : 0 };
    };
    const q = quoted();
    if (type === 3 && q !== undefined) {
      const protocol = q.protocol === 17 ? "udp" : q.protocol === 6 ? "tcp" : "";
      const what: { [code: number]: string } = {
        0: `net ${q.dst} unreachable`,
        1: `host ${q.dst} unreachable`,
        2: `${q.dst} protocol ${q.protocol} unreachable`,
        3:
          protocol === ""
            ? `${q.dst} protocol ${q.protocol} port ${q.port} unreachable`
            : `${q.dst} ${protocol} port ${this.#o.portName(q.port, protocol)} unreachable`,
        4: `${q.dst} unreachable - need to frag (mtu ${v.getUint16(from + 6)})`,
        9: `${q.dst} unreachable - admin prohibited`,
        10: `host ${q.dst} unreachable - admin prohibited`,
        13: `host ${q.dst} unreachable - admin prohibited filter`,
      };
      return `${what[code] ?? `${q.dst} unreachable - #${code}`}, length ${length}`;
    }
    if (type === 11) return `${code === 1 ? "ip reassembly time exceeded" : "time exceeded in-transit"}, length ${length}`;
    return `type-#${type}, length ${length}`;
  }

  #icmp6(f: Frame, from: number, end: number): string {
    const b = f.bytes;
    const v = new DataView(b.buffer, b.byteOffset);
    const length = end - from;
    const type = b[from]!;
    const address = (at: number) => (b.length >= at + 16 ? this.#o.hostName((v.getBigUint64(at) << 64n) | v.getBigUint64(at + 8)) : "");
    switch (type) {
      case 128:
      case 129:
        return `echo ${type === 128 ? "request" : "reply"}, id ${v.getUint16(from + 4)}, seq ${v.getUint16(from + 6)}, length ${length}`;
      case 135:
        return `neighbor solicitation, who has ${address(from + 8)}, length ${length}`;
      case 136:
        return `neighbor advertisement, tgt is ${address(from + 8)}, length ${length}`;
      case 133:
        return `router solicitation, length ${length}`;
      case 3:
        return `time exceeded in-transit, length ${length}`;
      case 2:
        return `packet too big, mtu ${v.getUint32(from + 4)}, length ${length}`;
      case 1:
        return `destination unreachable, ${["unreachable route", "unreachable prohibited", "beyond scope", "unreachable address", "unreachable port"][b[from + 1]!] ?? "unreachable"} ${address(from + 8 + 24)}, length ${length}`;
      default:
        return `type ${type}, length ${length}`;
    }
  }
}

function flagText(flags: number): string {
  const names: [number, string][] = [
    [1, "F"],
    [2, "S"],
    [4, "R"],
    [8, "P"],
    [16, "."],
    [32, "U"],
    [64, "E"],
    [128, "W"],
  ];
  const text = names
    .filter(([bit]) => flags & bit)
    .map(([, c]) => c)
    .join("");
  return text === "" ? "none" : text;
}

function tcpOptions(b: Uint8Array, from: number, to: number, other: number): string {
  const v = new DataView(b.buffer, b.byteOffset);
  const out: string[] = [];
  for (let at = from; at < to; ) {
    const kind = b[at]!;
    if (kind === 0) {
      out.push("eol");
      break;
    }
    if (kind === 1) {
      out.push("nop");
      at++;
      continue;
    }
    const size = b[at + 1] ?? 0;
    if (size < 2 || at + size > to) {
      out.push("[bad opt]");
      break;
    }
    if (kind === 2) out.push(`mss ${v.getUint16(at + 2)}`);
    else if (kind === 3) out.push(`wscale ${b[at + 2]}`);
    else if (kind === 4) out.push("sackOK");
    else if (kind === 5) {
      const blocks = [];
      for (let i = at + 2; i + 8 <= at + size; i += 8)
        blocks.push(`{${(v.getUint32(i) - other) >>> 0}:${(v.getUint32(i + 4) - other) >>> 0}}`);
      out.push(`sack ${blocks.length} ${blocks.join("")}`);
    } else if (kind === 8) out.push(`TS val ${v.getUint32(at + 2)} ecr ${v.getUint32(at + 6)}`);
    else out.push(`unknown-${kind}`);
    at += size;
  }
  return out.join(",");
}

const METHOD = /^(GET|POST|PUT|DELETE|HEAD|OPTIONS|PATCH|CONNECT|TRACE|HTTP\/\d\.\d) /;

/** The first line, all lines with -v, of what looks like HTTP. */
function httpText(payload: Uint8Array, verbose: boolean): string {
  const text = Buffer.from(payload.buffer, payload.byteOffset, payload.length).toString("latin1");
  if (!METHOD.test(text)) return ": HTTP";
  if (!verbose) return `: HTTP: ${text.split("\r\n")[0]}`;
  const head = text.split("\r\n\r\n")[0] as string;
  return `: HTTP, length: ${payload.length}${head
    .split("\r\n")
    .map((l) => `\n\t${l}`)
    .join("")}`;
}

/** -x (and with text -X), -A: the packet's bytes from its IP header on. */
export function dump(bytes: Uint8Array, style: "hex" | "hexText" | "text"): string {
  if (style === "text")
    return `${[...bytes].map((b) => (b === 10 || b === 9 || (b >= 32 && b < 127) ? String.fromCharCode(b) : b === 13 ? "" : ".")).join("")}\n`;
  let out = "";
  for (let at = 0; at < bytes.length; at += 16) {
    const row = bytes.subarray(at, at + 16);
    let hex = "";
    for (let i = 0; i < row.length; i += 2)
      hex += ` ${row[i]!.toString(16).padStart(2, "0")}${row[i + 1] === undefined ? "" : row[i + 1]!.toString(16).padStart(2, "0")}`;
    const text = [...row].map((b) => (b >= 32 && b < 127 ? String.fromCharCode(b) : ".")).join("");
    out += `\t0x${at.toString(16).padStart(4, "0")}: ${hex}${style === "hexText" ? `${" ".repeat(Math.max(0, 40 - hex.length))}  ${text}` : ""}\n`;
  }
  return out;
}
