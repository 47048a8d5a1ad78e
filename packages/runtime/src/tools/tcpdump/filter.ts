// Filter expressions (pcap-filter(7)): host, net, port, portrange with src and dst, protocols, ether host, broadcast, multicast, less,
// greater, comparisons of header bytes (tcp[tcpflags] & tcp-syn != 0), and, or, not. Pure: names are resolved by the caller.
import { PodwireError } from "@podwire/base";
import { EtherType, type IpAddress, inPrefix, isMulticast, parseAddress, parseMac, parsePrefix } from "@podwire/net";
import { ETHERNET_BYTES, type Frame } from "./frame.ts";

export class FilterError extends PodwireError {}

export type Filter = (f: Frame) => boolean;

const PROTOCOLS: { [name: string]: Filter } = {
  ip: (f) => f.etherType === EtherType.IPV4,
  ip6: (f) => f.etherType === EtherType.IPV6,
  arp: (f) => f.etherType === EtherType.ARP,
  tcp: (f) => f.flow?.protocol === 6,
  udp: (f) => f.flow?.protocol === 17,
  sctp: (f) => f.flow?.protocol === 132,
  icmp: (f) => f.flow?.protocol === 1,
  icmp6: (f) => f.flow?.protocol === 58,
};
const PORTS: { [name: string]: number } = { ssh: 22, domain: 53, http: 80, https: 443, mysql: 3306, postgresql: 5432, redis: 6379 };
const NUMBERS: { [name: string]: number } = {
  tcpflags: 13,
  "tcp-fin": 1,
  "tcp-syn": 2,
  "tcp-rst": 4,
  "tcp-push": 8,
  "tcp-ack": 16,
  "tcp-urg": 32,
  "tcp-ece": 64,
  "tcp-cwr": 128,
  icmptype: 0,
  icmpcode: 1,
  "icmp-echoreply": 0,
  "icmp-unreach": 3,
  "icmp-echo": 8,
  "icmp-timxceed": 11,
};
const TYPES = new Set(["host", "net", "port", "portrange"]);

interface Qualifiers {
  protocol: string;
  direction: "src" | "dst" | "either" | "both";
  type: string;
}

/** Words of an expression that name hosts and are no addresses. */
export function namesIn(text: string): string[] {
  const words = tokensOf(text);
  return words.filter((w, i) => words[i - 1] === "host" && parseAddress(w) === undefined && parseMac(w) === undefined);
}

function tokensOf(text: string): string[] {
  return text.match(/&&|\|\||[<>=!]=|<<|>>|[()[\]!<>=&|+*]|[^\s()[\]!<>=&|+*]+/g) ?? [];
}

/** Throws FilterError. `addresses` are those of names. */
export function parseFilter(text: string, addresses: ReadonlyMap<string, readonly string[]>): Filter {
  const tokens = tokensOf(text);
  if (tokens.length === 0) return () => true;
  return new Parser(tokens, addresses).whole();
}

const syntax = () => new FilterError("syntax error");

class Parser {
  readonly #tokens: readonly string[];
  readonly #addresses: ReadonlyMap<string, readonly string[]>;
  #at = 0;
  #last: Qualifiers | undefined;
  constructor(tokens: readonly string[], addresses: ReadonlyMap<string, readonly string[]>) {
    this.#tokens = tokens;
    this.#addresses = addresses;
  }

  whole(): Filter {
    const f = this.#or();
    if (this.#at < this.#tokens.length) throw syntax();
    return f;
  }

  get #peek(): string {
    return this.#tokens[this.#at] ?? "";
  }
  #take(...words: string[]): boolean {
    if (this.#at >= this.#tokens.length || !words.includes(this.#peek)) return false;
    this.#at++;
    return true;
  }
  #next(): string {
    const t = this.#tokens[this.#at++];
    if (t === undefined) throw syntax();
    return t;
  }

  /** `and` and `or` bind alike, from the left, as libpcap has it. */
  #or(): Filter {
    let left = this.#not();
    for (;;) {
      if (this.#take("and", "&&")) {
        const [a, b] = [left, this.#not()];
        left = (f) => a(f) && b(f);
      } else if (this.#take("or", "||")) {
        const [a, b] = [left, this.#not()];
        left = (f) => a(f) || b(f);
      } else return left;
    }
  }

  #not(): Filter {
    if (this.#take("not", "!")) {
      const inner = this.#not();
      return (f) => !inner(f);
    }
    if (this.#peek === "(" && !this.#arithmeticAhead()) {
      this.#at++;
      const inner = this.#or();
      if (!this.#take(")")) throw syntax();
      return inner;
    }
    return this.#primary();
  }

  /** Whether the parenthesis belongs to a comparison of numbers. */
  #arithmeticAhead(): boolean {
    let depth = 0;
    for (let i = this.#at; i < this.#tokens.length; i++) {
      const t = this.#tokens[i] as string;
      if (t === "(") depth++;
      else if (t === ")" && --depth === 0) return /^([<>]|[<>=!]=|=|[&|+*]|<<|>>)$/.test(this.#tokens[i + 1] ?? "");
    }
    return false;
  }

  #primary(): Filter {
    const t = this.#peek;
    const after = this.#tokens[this.#at + 1];
    if (after === "[" || t === "len" || t === "(" || (/^(0x[\da-f]+|\d+)$/i.test(t) && /^([<>]|[<>=!]=|=|[&+*])$/.test(after ?? "")))
      return this.#comparison();
    if (t === "less" || t === "greater") {
      this.#at++;
      const n = this.#number(this.#next());
      return t === "less" ? (f) => f.wireLength <= n : (f) => f.wireLength >= n;
    }
    if (this.#take("ether")) return this.#ether();
    if (t === "broadcast" || t === "multicast") {
      this.#at++;
      return t === "broadcast"
        ? (f) => f.bytes.subarray(0, 6).every((b) => b === 255)
        : (f) => f.flow !== undefined && isMulticast(f.flow.dst);
    }
    const q: Qualifiers = { protocol: "", direction: "either", type: "" };
    let qualified = false;
    if (PROTOCOLS[t] !== undefined) {
      this.#at++;
      q.protocol = t;
      const next = this.#peek;
      if (next !== "src" && next !== "dst" && !TYPES.has(next)) {
        if (this.#take("proto")) throw syntax();
        return PROTOCOLS[t] as Filter;
      }
      qualified = true;
    }
    const direction = this.#direction();
    if (direction !== undefined) {
      q.direction = direction;
      qualified = true;
    }
    if (TYPES.has(this.#peek)) {
      q.type = this.#next();
      qualified = true;
    }
    if (!qualified) {
      if (this.#last === undefined) {
        if (parseAddress(t) === undefined) throw syntax();
        q.type = "host";
      } else Object.assign(q, this.#last);
    }
    if (q.type === "") q.type = "host";
    this.#last = q;
    const id = this.#next();
    const test = this.#idTest(q, id);
    const protocol = q.protocol === "" ? undefined : (PROTOCOLS[q.protocol] as Filter);
    return protocol === undefined ? test : (f) => protocol(f) && test(f);
  }

  #direction(): Qualifiers["direction"] | undefined {
    const first = this.#peek;
    if (first !== "src" && first !== "dst") return undefined;
    this.#at++;
    const other = first === "src" ? "dst" : "src";
    const word = this.#peek;
    if ((word === "or" || word === "and") && this.#tokens[this.#at + 1] === other) {
      this.#at += 2;
      return word === "or" ? "either" : "both";
    }
    return first;
  }

  #idTest(q: Qualifiers, id: string): Filter {
    if (q.type === "port" || q.type === "portrange") {
      const [low, high] =
        q.type === "port" ? [this.#port(id), this.#port(id)] : (id.split("-").map((x) => this.#port(x)) as [number, number]);
      if (high === undefined) throw syntax();
      const fits = (n: number) => n >= low && n <= high;
      return (f) => {
        const x = f.flow;
        if (x === undefined || (x.protocol !== 6 && x.protocol !== 17 && x.protocol !== 132) || x.fragmentOffset !== 0) return false;
        return directed(q.direction, fits(x.sport), fits(x.dport));
      };
    }
    const fits = q.type === "net" ? netTest(id) : this.#hostTest(id);
    return (f) => {
      const ends = endsOf(f);
      return ends !== undefined && directed(q.direction, fits(ends[0]), fits(ends[1]));
    };
  }

  #hostTest(id: string): (a: IpAddress) => boolean {
    const own = parseAddress(id);
    const list = own !== undefined ? [own] : (this.#addresses.get(id) ?? []).map((a) => parseAddress(a) as IpAddress);
    if (list.length === 0) throw new FilterError(`unknown host '${id}'`);
    return (a) => list.includes(a);
  }

  #ether(): Filter {
    const direction = this.#direction() ?? "either";
    this.#take("host");
    const mac = parseMac(this.#next());
    if (mac === undefined) throw syntax();
    const at = (f: Frame, from: number) => f.bytes.subarray(from, from + 6).reduce((n, b) => n * 256 + b, 0) === mac;
    return (f) => directed(direction, at(f, 6), at(f, 0));
  }

  #port(text: string): number {
    const n = PORTS[text] ?? Number(text);
    if (!Number.isInteger(n) || n < 0 || n > 65_535) throw new FilterError(`illegal port '${text}'`);
    return n;
  }

  #number(text: string): number {
    const n = NUMBERS[text] ?? Number(text);
    if (!Number.isInteger(n)) throw syntax();
    return n;
  }

  // Arithmetic: an accessor that has no such packet makes the comparison false.

  #comparison(): Filter {
    const left = this.#sum();
    const op = this.#next();
    const right = this.#sum();
    const compare: { [op: string]: (a: number, b: number) => boolean } = {
      "=": (a, b) => a === b,
      "==": (a, b) => a === b,
      "!=": (a, b) => a !== b,
      "<": (a, b) => a < b,
      ">": (a, b) => a > b,
      "<=": (a, b) => a <= b,
      ">=": (a, b) => a >= b,
    };
    const c = compare[op];
    if (c === undefined) throw syntax();
    return (f) => {
      const [a, b] = [left(f), right(f)];
      return a !== undefined && b !== undefined && c(a, b);
    };
  }

  #sum(): (f: Frame) => number | undefined {
    let left = this.#value();
    for (;;) {
      const op = this.#peek;
      if (!["&", "|", "+", "*", "<<", ">>"].includes(op)) return left;
      this.#at++;
      const [a, b] = [left, this.#value()];
      left = (f) => {
        const [x, y] = [a(f), b(f)];
        if (x === undefined || y === undefined) return undefined;
        return op === "&"
          ? (x & y) >>> 0
          : op === "|"
            ? (x | y) >>> 0
            : op === "+"
              ? x + y
              : op === "*"
                ? x * y
                : op === "<<"
                  ? x << y
                  : x >>> y;
      };
    }
  }

  #value(): (f: Frame) => number | undefined {
    const t = this.#next();
    if (t === "(") {
      const inner = this.#sum();
      if (!this.#take(")")) throw syntax();
      return inner;
    }
    if (t === "len") return (f) => f.wireLength;
    if (this.#peek !== "[") {
      const n = this.#number(t);
      return () => n;
    }
    this.#at++;
    const [offset = "", size = "1"] = this.#next().split(":");
    if (!this.#take("]")) throw syntax();
    const at = this.#number(offset);
    const bytes = Number(size);
    if (bytes !== 1 && bytes !== 2 && bytes !== 4) throw syntax();
    const base = baseOf(t);
    return (f) => {
      const start = base(f);
      if (start === undefined || start + at + bytes > f.bytes.length) return undefined;
      let n = 0;
      for (let i = 0; i < bytes; i++) n = n * 256 + (f.bytes[start + at + i] as number);
      return n;
    };
  }
}

function baseOf(protocol: string): (f: Frame) => number | undefined {
  if (protocol === "ether") return () => 0;
  const test = PROTOCOLS[protocol];
  if (test === undefined) throw syntax();
  if (protocol === "ip" || protocol === "ip6" || protocol === "arp") return (f) => (test(f) ? ETHERNET_BYTES : undefined);
  return (f) => (f.flow !== undefined && test(f) && f.flow.fragmentOffset === 0 ? ETHERNET_BYTES + f.flow.l4 : undefined);
}

function directed(d: Qualifiers["direction"], src: boolean, dst: boolean): boolean {
  return d === "src" ? src : d === "dst" ? dst : d === "both" ? src && dst : src || dst;
}

function netTest(id: string): (a: IpAddress) => boolean {
  // "10.244" is 10.244.0.0/16.
  const parts = id.split(".");
  const short = !id.includes("/") && !id.includes(":") && parts.length < 4;
  const text = short ? `${[...parts, ..."000".slice(0, 4 - parts.length)].join(".")}/${parts.length * 8}` : id;
  const p = parsePrefix(text.includes("/") ? text : `${text}/${text.includes(":") ? 128 : 32}`);
  if (p === undefined) throw syntax();
  return (a) => typeof a === typeof p.address && inPrefix(a, p.address, p.length);
}

/** Source and destination of IP, sender and target of ARP. */
function endsOf(f: Frame): [IpAddress, IpAddress] | undefined {
  if (f.flow !== undefined) return [f.flow.src, f.flow.dst];
  if (f.etherType !== EtherType.ARP || f.bytes.length < ETHERNET_BYTES + 28) return undefined;
  const v = new DataView(f.bytes.buffer, f.bytes.byteOffset);
  return [v.getUint32(ETHERNET_BYTES + 14), v.getUint32(ETHERNET_BYTES + 24)];
}
