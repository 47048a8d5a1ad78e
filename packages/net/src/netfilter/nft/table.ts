// One nftables table: chains, verdict maps, address sets and affinity sets, changed by transactions and printed as nft does.
// Invariant: a transaction is applied whole or not at all; every jump and every map element leads to a chain that is there. Elements are
// indexed by address and by (protocol, port), so that a lookup makes no text.
import { PodwireError } from "@podwire/base";
import { type IpAddress, inPrefix, type Prefix, parseAddress, parsePrefix } from "../../codec/address.ts";
import { PROTOCOLS } from "../compile.ts";
import { type NftElement, type NftHook, type NftMapType, type NftRule, type NftVerdict, printNftRule, printVerdict } from "./data.ts";

export class NftError extends PodwireError {}

/** Elements of one map or set, and addresses an affinity set remembers. */
export const ELEMENT_LIMIT = 1_000_000;
const AFFINITY_LIMIT = 65_536;

export interface NftChain {
  readonly name: string;
  rules: readonly NftRule[];
  hook: NftHook | undefined;
}

export interface NftDelta {
  chains: Map<string, readonly NftRule[]>;
  removeChains: string[];
  /** Elements to set by map name, and keys to take away. */
  elements: Map<string, NftElement[]>;
  removeElements: Map<string, string[]>;
  sets: Map<string, readonly string[]>;
  /** Affinity sets to make (seconds) and to destroy. */
  affinity: Map<string, number>;
  removeAffinity: string[];
}

export function emptyDelta(): NftDelta {
  return {
    chains: new Map(),
    removeChains: [],
    elements: new Map(),
    removeElements: new Map(),
    sets: new Map(),
    affinity: new Map(),
    removeAffinity: [],
  };
}

interface NftMap {
  type: NftMapType;
  elements: Map<string, NftElement>;
  byAddress: Map<IpAddress, Map<number, NftElement>>;
  byPort: Map<number, NftElement>;
}

interface NftSet {
  texts: readonly string[];
  addresses: Set<IpAddress>;
  prefixes: Prefix[];
}

interface AffinitySet {
  seconds: number;
  seen: Map<IpAddress, number>;
}

export class NftTable {
  readonly name: string;
  readonly family: 4 | 6;
  readonly chains = new Map<string, NftChain>();
  private readonly maps = new Map<string, NftMap>();
  private readonly sets = new Map<string, NftSet>();
  private readonly affinities = new Map<string, AffinitySet>();

  constructor(name: string, family: 4 | 6, maps: Readonly<Record<string, NftMapType>>) {
    this.name = name;
    this.family = family;
    for (const [n, type] of Object.entries(maps)) this.maps.set(n, { type, elements: new Map(), byAddress: new Map(), byPort: new Map() });
  }

  addBaseChain(name: string, hook: NftHook): void {
    this.chains.set(name, { name, rules: [], hook });
  }

  apply(d: NftDelta): void {
    this.check(d);
    for (const [name, rules] of d.chains) {
      const chain = this.chains.get(name);
      if (chain === undefined) this.chains.set(name, { name, rules, hook: undefined });
      else chain.rules = rules;
    }
    for (const [name, seconds] of d.affinity)
      if (this.affinities.get(name)?.seconds !== seconds) this.affinities.set(name, { seconds, seen: new Map() });
    for (const [name, keys] of d.removeElements) for (const key of keys) this.removeElement(this.maps.get(name)!, key);
    for (const [name, elements] of d.elements) for (const e of elements) setElement(this.maps.get(name)!, e);
    for (const [name, texts] of d.sets) this.sets.set(name, readSet(texts));
    for (const name of d.removeChains) this.chains.delete(name);
    for (const name of d.removeAffinity) this.affinities.delete(name);
  }

  inSet(name: string, a: IpAddress): boolean {
    const set = this.sets.get(name);
    return set !== undefined && (set.addresses.has(a) || set.prefixes.some((p) => inPrefix(a, p.address, p.length)));
  }

  lookupService(map: string, dst: IpAddress, protocol: number, port: number): NftElement | undefined {
    return this.maps
      .get(map)
      ?.byAddress.get(dst)
      ?.get((port << 8) | protocol);
  }

  lookupPort(map: string, protocol: number, port: number): NftElement | undefined {
    return this.maps.get(map)?.byPort.get((port << 8) | protocol);
  }

  remember(set: string, source: IpAddress, nowMs: number): void {
    const seen = this.affinities.get(set)?.seen;
    if (seen === undefined) return;
    seen.delete(source);
    if (seen.size >= AFFINITY_LIMIT) seen.delete(seen.keys().next().value as IpAddress);
    seen.set(source, nowMs);
  }

  remembers(set: string, source: IpAddress, nowMs: number): boolean {
    const a = this.affinities.get(set);
    const at = a?.seen.get(source);
    if (a === undefined || at === undefined) return false;
    if (nowMs - at <= a.seconds * 1000) return true;
    a.seen.delete(source);
    return false;
  }

  /** As `nft list table <family> <name>` prints it. */
  print(): string {
    const ip = this.family === 4 ? "ip" : "ip6";
    const address = this.family === 4 ? "ipv4_addr" : "ipv6_addr";
    const lines = [`table ${ip} ${this.name} {`];
    const elements = (list: readonly string[]) => {
      if (list.length > 0) lines.push(`\t\telements = { ${list.join(",\n\t\t\t     ")} }`);
      lines.push("\t}", "");
    };
    for (const [name, s] of sorted(this.sets)) {
      lines.push(`\tset ${name} {`, `\t\ttype ${address}`);
      if (s.prefixes.length > 0) lines.push("\t\tflags interval");
      elements([...s.texts].sort());
    }
    for (const [name, a] of sorted(this.affinities)) {
      lines.push(`\tset ${name} {`, `\t\ttype ${address}`, "\t\tflags dynamic,timeout", `\t\ttimeout ${a.seconds}s`);
      elements([]);
    }
    for (const [name, m] of sorted(this.maps)) {
      lines.push(`\tmap ${name} {`, `\t\ttype ${m.type === "service" ? `${address} . ` : ""}inet_proto . inet_service : verdict`);
      elements(
        [...m.elements.values()]
          .map((e) => `${e.key}${e.comment === undefined ? "" : ` comment "${e.comment}"`} : ${printVerdict(e.is)}`)
          .sort(),
      );
    }
    for (const [name, c] of sorted(this.chains)) {
      lines.push(`\tchain ${name} {`);
      if (c.hook !== undefined)
        lines.push(`\t\ttype ${c.hook.type} hook ${c.hook.hook} priority ${c.hook.priority.replace("-", " - ")}; policy accept;`);
      for (const r of c.rules) lines.push(`\t\t${printNftRule(r, ip)}`);
      lines.push("\t}", "");
    }
    if (lines.at(-1) === "") lines.pop();
    return `${lines.join("\n")}\n}\n`;
  }

  private check(d: NftDelta): void {
    const there = (name: string) => (this.chains.has(name) || d.chains.has(name)) && !d.removeChains.includes(name);
    const need = (v: NftVerdict, where: string) => {
      if ("chain" in v && !there(v.chain)) throw new NftError(`${this.name}: ${where} leads to chain ${v.chain}, which does not exist`);
    };
    for (const [name, rules] of d.chains)
      for (const r of rules) {
        if (r.do.s === "verdict") need(r.do.is, name);
        if (r.do.s === "random") for (const chain of r.do.chains) need({ v: "goto", chain }, name);
        if (r.do.s === "affinity") need({ v: "goto", chain: r.do.chain }, name);
      }
    for (const [name, elements] of d.elements) {
      const map = this.maps.get(name);
      if (map === undefined) throw new NftError(`${this.name}: no map ${name}`);
      if (map.elements.size + elements.length > ELEMENT_LIMIT)
        throw new NftError(`${this.name}: map ${name} would pass ${ELEMENT_LIMIT} elements`);
      for (const e of elements) {
        need(e.is, `map ${name}`);
        if (keyOf(map.type, e.key) === undefined) throw new NftError(`${this.name}: not a key of map ${name}: ${e.key}`);
      }
    }
  }

  private removeElement(map: NftMap, key: string): void {
    const k = keyOf(map.type, key);
    if (!map.elements.delete(key) || k === undefined) return;
    if (k.address === undefined) map.byPort.delete(k.port);
    else {
      const ports = map.byAddress.get(k.address);
      ports?.delete(k.port);
      if (ports?.size === 0) map.byAddress.delete(k.address);
    }
  }
}

function setElement(map: NftMap, e: NftElement): void {
  const k = keyOf(map.type, e.key)!;
  map.elements.set(e.key, e);
  if (k.address === undefined) {
    map.byPort.set(k.port, e);
    return;
  }
  let ports = map.byAddress.get(k.address);
  if (ports === undefined) {
    ports = new Map();
    map.byAddress.set(k.address, ports);
  }
  ports.set(k.port, e);
}

function keyOf(type: NftMapType, text: string): { address: IpAddress | undefined; port: number } | undefined {
  const parts = text.split(" . ");
  if (parts.length !== (type === "service" ? 3 : 2)) return undefined;
  const [protocol, port] = parts.slice(-2) as [string, string];
  const number = PROTOCOLS[protocol as keyof typeof PROTOCOLS];
  const address = type === "service" ? parseAddress(parts[0] as string) : undefined;
  if (number === undefined || (type === "service" && address === undefined)) return undefined;
  return { address, port: (Number(port) << 8) | number };
}

function readSet(texts: readonly string[]): NftSet {
  const set: NftSet = { texts, addresses: new Set(), prefixes: [] };
  for (const t of texts) {
    const p = parsePrefix(t);
    if (p === undefined) throw new NftError(`not an address or prefix: ${t}`);
    if (t.includes("/")) set.prefixes.push(p);
    else set.addresses.add(p.address);
  }
  return set;
}

function sorted<T>(m: ReadonlyMap<string, T>): [string, T][] {
  return [...m].sort(([a], [b]) => (a < b ? -1 : 1));
}
