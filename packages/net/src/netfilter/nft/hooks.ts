// Puts an nftables table into a namespace's hooks: walks its base chains for each packet and does what they decide.
// Invariant: as for iptables, nat chains see only a connection's first packet; a walk is at most MAX_DEPTH chains deep.
import { inPrefix, type Prefix, parseAddress, parsePrefix } from "../../codec/address.ts";
import { CtState } from "../../conntrack/conntrack.ts";
import type { Flow } from "../../namespace/flow.ts";
import type { Packet } from "../../packet.ts";
import { PROTOCOLS } from "../compile.ts";
import { type HookExtension, HookVerdict, type Netfilter } from "../netfilter.ts";
import type { Position } from "../walk.ts";
import { type NftElement, type NftMatch, type NftRule, type NftVerdict, printNftRule, printVerdict } from "./data.ts";
import type { NftChain, NftTable } from "./table.ts";

const MAX_DEPTH = 32;

/** What a chain came to: `next` goes on with the caller's next rule. */
type Outcome = "next" | "return" | "accept" | "drop" | "reject" | "translated";

const PREFIXES = new WeakMap<readonly string[], Prefix[]>();

export class NftHooks {
  private readonly table: NftTable;
  private readonly nf: Netfilter;
  readonly name: string;

  constructor(table: NftTable, nf: Netfilter) {
    this.table = table;
    this.nf = nf;
    this.name = `nft ${table.family} ${table.name}`;
  }

  attach(): void {
    for (const chain of this.table.chains.values()) {
      if (chain.hook === undefined) continue;
      const { hook, priority } = chain.hook;
      const stage: HookExtension["stage"] = priority === "dstnat-10" ? "beforeDstnat" : priority;
      this.nf.addExtension({ name: `${this.name} ${chain.name}`, hook, stage, decide: (p, f, at) => this.decide(chain, p, f, at) });
    }
  }

  detach(): void {
    for (const chain of this.table.chains.values()) this.nf.removeExtension(`${this.name} ${chain.name}`);
  }

  private decide(chain: NftChain, p: Packet, f: Flow, at: Position): number {
    if (f.family !== this.table.family) return HookVerdict.accept;
    switch (this.walk(chain, p, f, at, 0)) {
      case "drop":
        return HookVerdict.drop;
      case "reject":
        this.nf.rejectWith = f.family === 4 ? "icmp-port-unreachable" : "icmp6-port-unreachable";
        return HookVerdict.reject;
      default:
        return HookVerdict.accept;
    }
  }

  private walk(chain: NftChain, p: Packet, f: Flow, at: Position, depth: number): Outcome {
    if (depth > MAX_DEPTH) return "drop";
    for (const rule of chain.rules) {
      if (rule.match !== undefined && !rule.match.every((m) => this.matches(m, p, f))) continue;
      const o = this.perform(chain, rule, p, f, at, depth);
      if (o === "next") continue;
      return o === "return" ? "next" : o;
    }
    return "next";
  }

  private perform(chain: NftChain, rule: NftRule, p: Packet, f: Flow, at: Position, depth: number): Outcome {
    const s = rule.do;
    switch (s.s) {
      case "verdict":
        return this.follow(s.is, chain, rule, undefined, p, f, at, depth);
      case "serviceMap": {
        const e = this.table.lookupService(s.map, f.dst, f.protocol, f.dport);
        return e === undefined ? "next" : this.follow(e.is, chain, rule, e, p, f, at, depth);
      }
      case "portMap": {
        const e = this.table.lookupPort(s.map, f.protocol, f.dport);
        return e === undefined ? "next" : this.follow(e.is, chain, rule, e, p, f, at, depth);
      }
      case "random": {
        const next = s.chains[this.nf.random.below(s.chains.length)] as string;
        return this.follow({ v: "goto", chain: next }, chain, rule, undefined, p, f, at, depth);
      }
      case "affinity":
        if (!this.table.remembers(s.set, f.src, this.nf.clock.monotonicMs())) return "next";
        return this.follow({ v: "goto", chain: s.chain }, chain, rule, undefined, p, f, at, depth);
      case "remember":
        this.trace(p, f, chain, rule, undefined, "");
        this.table.remember(s.set, f.src, this.nf.clock.monotonicMs());
        return "next";
      case "markOr":
      case "markXor":
        this.trace(p, f, chain, rule, undefined, "");
        p.mark = (s.s === "markOr" ? p.mark | s.value : p.mark ^ s.value) >>> 0;
        return "next";
      case "dnat": {
        const to = readEndpoint(s.to);
        this.trace(p, f, chain, rule, undefined, "");
        if (to !== undefined) this.nf.dnat(p, f, to.address, to.port, this.text(chain, rule, undefined));
        return "translated";
      }
      case "masquerade":
        this.trace(p, f, chain, rule, undefined, "");
        return this.nf.masquerade(p, f, at, this.text(chain, rule, undefined)) ? "translated" : "drop";
      case "reject":
        this.trace(p, f, chain, rule, undefined, "reject");
        this.nf.reason = this.text(chain, rule, undefined);
        return "reject";
    }
  }

  private follow(
    v: NftVerdict,
    chain: NftChain,
    rule: NftRule,
    e: NftElement | undefined,
    p: Packet,
    f: Flow,
    at: Position,
    depth: number,
  ): Outcome {
    this.trace(p, f, chain, rule, e, v.v === "accept" || v.v === "drop" ? v.v : "");
    if (!("chain" in v)) {
      if (v.v === "drop") this.nf.reason = this.text(chain, rule, e);
      return v.v;
    }
    const target = this.table.chains.get(v.chain);
    if (target === undefined) return "next";
    const o = this.walk(target, p, f, at, depth + 1);
    return o === "next" && v.v === "goto" ? "return" : o;
  }

  private matches(m: NftMatch, p: Packet, f: Flow): boolean {
    switch (m.k) {
      case "addr": {
        let prefixes = PREFIXES.get(m.in);
        if (prefixes === undefined) {
          prefixes = m.in.map((x) => parsePrefix(x)).filter((x) => x !== undefined);
          PREFIXES.set(m.in, prefixes);
        }
        const a = m.field === "saddr" ? f.src : f.dst;
        return prefixes.some((x) => inPrefix(a, x.address, x.length)) !== (m.not === true);
      }
      case "addrSet":
        return this.table.inSet(m.set, m.field === "saddr" ? f.src : f.dst) !== (m.not === true);
      case "local":
        return this.nf.isLocal(m.field === "saddr" ? f.src : f.dst);
      case "l4proto":
        return f.protocol === PROTOCOLS[m.is];
      case "dport":
        return f.protocol === PROTOCOLS[m.protocol] && f.dport === m.is;
      case "ctNew":
        return f.ctState === CtState.new;
      case "markClear":
        return (p.mark & m.mask) === 0;
    }
  }

  private text(chain: NftChain, rule: NftRule, e: NftElement | undefined): string {
    const ip = this.table.family === 4 ? "ip" : "ip6";
    return `${chain.name}: ${printNftRule(rule, ip)}${e === undefined ? "" : ` (${e.key} : ${printVerdict(e.is)})`}`;
  }

  private trace(
    p: Packet,
    f: Flow,
    chain: NftChain,
    rule: NftRule,
    e: NftElement | undefined,
    verdict: "" | "accept" | "drop" | "reject",
  ): void {
    if (p.traceId === 0) return;
    const t = f.tuple();
    this.nf.tracePoint(
      p,
      { place: "hook", name: this.nf.currentHook, rule: this.text(chain, rule, e), verdict, detail: { table: this.table.name } },
      t,
      t,
    );
  }
}

function readEndpoint(text: string): { address: NonNullable<ReturnType<typeof parseAddress>>; port: number } | undefined {
  const at = text.lastIndexOf(":");
  const address = parseAddress(text.slice(0, at).replace(/^\[|\]$/g, ""));
  return address === undefined ? undefined : { address, port: Number(text.slice(at + 1)) };
}
