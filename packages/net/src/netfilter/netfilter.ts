// The five hooks of a namespace: which tables a packet meets at each, in which order, and what conntrack does between them.
// Invariant: every packet that enters a hook leaves it accepted, dropped or rejected; a first packet leaves the last hook with its
// connection confirmed, or its unconfirmed entry is given back by whoever drops it (`Conntrack.release`).
// Order as in Linux: raw, conntrack, mangle, nat (destinations), filter, nat (sources), confirm.
import type { Clock, Random } from "@podwire/base";
import type { IpAddress } from "../codec/address.ts";
import { Conntrack, type ConntrackOptions, CtState, Status } from "../conntrack/conntrack.ts";
import { type Manip, natPacket } from "../conntrack/nat.ts";
import { Flow, isIcmpError, readFlow } from "../namespace/flow.ts";
import { Packet } from "../packet.ts";
import type { FlowTuple, TracePoint } from "../trace.ts";
import { type CompiledChain, type CompiledRule, ruleText, Verdict } from "./compile.ts";
import { RecentLists } from "./recent.ts";
import type { HookName, RejectWith } from "./rule.ts";
import { IpSets } from "./sets.ts";
import { Ruleset, type Table } from "./tables.ts";
import { type Position, Walker } from "./walk.ts";

/** What a hook decided. */
export const HookVerdict = { accept: 0, drop: 1, reject: 2 } as const;

/** What netfilter needs of its namespace. */
export interface NetfilterHost {
  clock: Clock;
  random: Random;
  isLocal(a: IpAddress): boolean;
  /** The address that MASQUERADE gives a packet to `dst` leaving by `device`. */
  masqueradeAddress(device: string, dst: IpAddress): IpAddress | undefined;
  tracePoint(
    p: Packet,
    point: Pick<TracePoint, "place" | "name" | "rule" | "verdict" | "detail">,
    before: FlowTuple,
    after: FlowTuple,
  ): void;
}

/** More decisions in the data path than tables make: NetworkPolicy, the ipvs and nftables proxies. Called in `order`. */
export interface HookExtension {
  readonly name: string;
  readonly hook: HookName;
  /** Where among the tables: "dstnat" and "srcnat" behind the nat table when that translated nothing, "filter" behind the filter
   *  table. */
  readonly stage: "beforeDstnat" | "dstnat" | "filter" | "srcnat";
  /** A HookVerdict; a drop's reason goes to `reason`. */
  decide(p: Packet, f: Flow, at: Position, nf: Netfilter): number;
}

export class Netfilter {
  readonly v4 = new Ruleset(4);
  readonly v6 = new Ruleset(6);
  readonly conntrack: Conntrack;
  readonly recent = new RecentLists();
  readonly sets = new IpSets();
  private readonly host: NetfilterHost;
  private readonly walker: Walker;
  private readonly inner = new Flow();
  private extensions: HookExtension[] = [];
  private hookName: HookName = "prerouting";
  /** Why the last drop or reject happened: a fixed word that is counted, and what a person reads (a rule's text). */
  cause = "netfilter";
  reason = "";
  rejectWith: RejectWith = "icmp-port-unreachable";

  constructor(host: NetfilterHost, conntrack: Partial<Omit<ConntrackOptions, "clock" | "random">> = {}) {
    this.host = host;
    this.conntrack = new Conntrack({ clock: host.clock, random: host.random, ...conntrack });
    this.walker = new Walker({
      clock: host.clock,
      random: host.random,
      conntrack: this.conntrack,
      recent: this.recent,
      sets: this.sets,
      isLocal: (a) => host.isLocal(a),
      onRule: (p, f, table, chain, rule) => this.traceRule(p, f, table, chain, rule),
    });
  }

  ruleset(family: 4 | 6): Ruleset {
    return family === 4 ? this.v4 : this.v6;
  }

  addExtension(e: HookExtension): void {
    this.extensions = [...this.extensions.filter((x) => x.name !== e.name || x.hook !== e.hook), e];
  }

  removeExtension(name: string): void {
    this.extensions = this.extensions.filter((x) => x.name !== name);
  }

  /** Takes a packet through one hook; a HookVerdict. */
  run(hook: HookName, p: Packet, f: Flow, at: Position): number {
    const rules = f.family === 4 ? this.v4 : this.v6;
    this.hookName = hook;
    this.cause = "netfilter";
    const first = hook === "prerouting" || hook === "output";
    if (first) {
      if (!this.walkTable(rules.raw, hook, p, f, at)) return HookVerdict.drop;
      if (f.ctState === CtState.none && !this.track(p, f)) {
        this.cause = this.reason = "conntrackFull";
        return HookVerdict.drop;
      }
    }
    if (!this.walkTable(rules.mangle, hook, p, f, at)) return this.verdict;
    if (first) {
      const before = this.extend(hook, "beforeDstnat", p, f, at);
      if (before !== HookVerdict.accept) return before;
      const v = this.nat(rules, hook, "dst", p, f, at);
      if (v !== HookVerdict.accept) return v;
    }
    if (hook !== "prerouting" && hook !== "postrouting") {
      if (!this.walkTable(rules.filter, hook, p, f, at)) return this.verdict;
      const v = this.extend(hook, "filter", p, f, at);
      if (v !== HookVerdict.accept) return v;
    }
    if (hook === "input" || hook === "postrouting") {
      const v = this.nat(rules, hook, "src", p, f, at);
      if (v !== HookVerdict.accept) return v;
      if (!this.conntrack.confirm(f)) {
        this.cause = this.reason = "conntrackClash";
        return HookVerdict.drop;
      }
    }
    return HookVerdict.accept;
  }

  /** Sends a first packet somewhere else, as DNAT does; for extensions. */
  dnat(p: Packet, f: Flow, to: IpAddress, port: number, rule: string): void {
    if (f.ct < 0) return;
    this.conntrack.translateDestination(f.ct, to, port);
    this.translate(p, f, "dst", rule, "dnat");
    this.translated = true;
  }

  /** Gives a first packet the address of the device it leaves by, as MASQUERADE --random-fully does; false when that cannot be. */
  masquerade(p: Packet, f: Flow, at: Position, rule: string): boolean {
    if (f.ct < 0) return true;
    const to = this.host.masqueradeAddress(at.out, f.dst);
    if (to === undefined || !this.conntrack.translateSource(f.ct, to, undefined, true)) {
      this.cause = this.reason = to === undefined ? "noMasqueradeAddress" : "natPortsExhausted";
      return false;
    }
    this.translate(p, f, "src", rule, "masquerade");
    this.translated = true;
    return true;
  }

  get clock(): Clock {
    return this.host.clock;
  }

  get random(): Random {
    return this.host.random;
  }

  isLocal(a: IpAddress): boolean {
    return this.host.isLocal(a);
  }

  /** The hook that a packet is in, for trace points. */
  get currentHook(): HookName {
    return this.hookName;
  }

  /** For extensions that leave trace points. */
  tracePoint(
    p: Packet,
    point: Pick<TracePoint, "place" | "name" | "rule" | "verdict" | "detail">,
    before: FlowTuple,
    after: FlowTuple,
  ): void {
    this.host.tracePoint(p, point, before, after);
  }

  private verdict: number = HookVerdict.accept;

  private track(p: Packet, f: Flow): boolean {
    const icmp = f.protocol === 1 || f.protocol === 58;
    const type = icmp ? f.dport >> 8 : 0;
    // Neighbour discovery and its like are not connections.
    if (f.protocol === 58 && type >= 130 && type <= 137) {
      f.ctState = CtState.untracked;
      return true;
    }
    let inner: Flow | undefined;
    if (icmp && isIcmpError(f.protocol, type)) {
      const quoted = new Packet(p.data, p.start + f.l4 + 8, p.end);
      this.inner.ct = -1;
      inner = readQuoted(quoted, this.inner) ? this.inner : undefined;
    }
    return this.conntrack.track(f, type, inner);
  }

  /** True when the table lets the packet go on; else `verdict` says how it ends. */
  private walkTable(table: Table, hook: HookName, p: Packet, f: Flow, at: Position): boolean {
    const chain = table.byHook[hook];
    if (chain === undefined || (chain.rules.length === 0 && chain.policy === "ACCEPT")) return true;
    const v = this.walker.walk(table, chain, p, f, at);
    if (v === Verdict.accept) return true;
    const { rule, chain: where } = this.walker;
    if (v === Verdict.notrack) {
      if (f.ctState === CtState.none) f.ctState = CtState.untracked;
      return true;
    }
    this.reason = rule === undefined || where === undefined ? `policy ${table.name} ${chain.name}` : ruleText(where.name, rule);
    if (v === Verdict.reject && rule !== undefined) this.rejectWith = rule.with;
    this.verdict = v === Verdict.reject ? HookVerdict.reject : HookVerdict.drop;
    return false;
  }

  private extend(hook: HookName, stage: HookExtension["stage"], p: Packet, f: Flow, at: Position): number {
    for (const e of this.extensions) {
      if (e.hook !== hook || e.stage !== stage) continue;
      const v = e.decide(p, f, at, this);
      if (v !== HookVerdict.accept) return v;
    }
    return HookVerdict.accept;
  }

  /** Decides the translation of a first packet, applies that of every packet. */
  private nat(rules: Ruleset, hook: HookName, manip: Manip, p: Packet, f: Flow, at: Position): number {
    if (f.ct < 0) return HookVerdict.accept;
    const done = manip === "dst" ? Status.dstNatDone : Status.srcNatDone;
    let rule = "";
    let verdict: TracePoint["verdict"] = manip === "dst" ? "dnat" : "snat";
    if (f.ctState === CtState.new && (f.ct & 1) === 0 && (this.conntrack.statusOf(f.ct) & done) === 0) {
      const ref = f.ct;
      this.conntrack.setStatus(ref, done);
      this.translated = false;
      const v = this.chooseTranslation(rules, hook, manip, p, f, at);
      if (v !== HookVerdict.accept) return v;
      if (f.ct < 0 || this.translated) return HookVerdict.accept;
      rule = this.chosenRule;
      if (this.chosenVerdict !== "") verdict = this.chosenVerdict;
    }
    this.translate(p, f, manip, rule, verdict);
    return HookVerdict.accept;
  }

  /** An extension translated the packet itself. */
  private translated = false;
  private chosenRule = "";
  private chosenVerdict: TracePoint["verdict"] = "";

  private chooseTranslation(rules: Ruleset, hook: HookName, manip: Manip, p: Packet, f: Flow, at: Position): number {
    const ct = this.conntrack;
    this.chosenRule = "";
    this.chosenVerdict = "";
    const chain = rules.nat.byHook[hook];
    const v = chain === undefined || chain.rules.length === 0 ? Verdict.accept : this.walker.walk(rules.nat, chain, p, f, at);
    const r: CompiledRule | undefined = v === Verdict.accept ? undefined : this.walker.rule;
    if (r !== undefined && this.walker.chain !== undefined) {
      // Made only when somebody will read it.
      if (p.traceId !== 0 || v === Verdict.drop) this.chosenRule = ruleText(this.walker.chain.name, r);
    }
    let ok = true;
    switch (v) {
      case Verdict.dnat:
        if (manip !== "dst") break;
        ct.translateDestination(f.ct, r?.to ?? f.dst, r === undefined ? 0 : choosePort(r, this.host.random));
        this.chosenVerdict = "dnat";
        return HookVerdict.accept;
      case Verdict.snat:
      case Verdict.masquerade: {
        if (manip !== "src" || r === undefined) break;
        const to = v === Verdict.snat ? r.to : this.host.masqueradeAddress(at.out, f.dst);
        if (to === undefined) {
          this.cause = this.reason = "noMasqueradeAddress";
          return HookVerdict.drop;
        }
        ok = ct.translateSource(f.ct, to, r.portMin > 0 ? { min: r.portMin, max: r.portMax } : undefined, r.random);
        this.chosenVerdict = v === Verdict.snat ? "snat" : "masquerade";
        break;
      }
      case Verdict.drop:
      case Verdict.reject:
        this.reason = this.chosenRule === "" ? `policy nat ${hook.toUpperCase()}` : this.chosenRule;
        return HookVerdict.drop;
      default:
        if (manip === "dst") return this.extend(hook, "dstnat", p, f, at);
        {
          const v = this.extend(hook, "srcnat", p, f, at);
          if (v !== HookVerdict.accept || (ct.statusOf(f.ct) & Status.srcNat) !== 0) return v;
        }
        // Not to be translated; but two connections must not look alike on the other side.
        if (ct.clashes(f.ct)) ok = ct.translateSource(f.ct, undefined, undefined, false);
    }
    if (!ok) {
      this.cause = this.reason = "natPortsExhausted";
      return HookVerdict.drop;
    }
    return HookVerdict.accept;
  }

  private translate(p: Packet, f: Flow, manip: Manip, rule: string, verdict: TracePoint["verdict"]): void {
    if (p.traceId === 0) {
      natPacket(this.conntrack, p, f, manip);
      return;
    }
    const before = f.tuple();
    if (!natPacket(this.conntrack, p, f, manip)) return;
    const point = { place: "nat" as const, name: this.hookName, rule: rule === "" ? "conntrack" : rule, verdict };
    this.host.tracePoint(p, point, before, f.tuple());
  }

  private traceRule(p: Packet, f: Flow, table: Table, chain: CompiledChain, rule: CompiledRule): void {
    const t = f.tuple();
    const verdict: TracePoint["verdict"] =
      rule.verdict === Verdict.accept ? "accept" : rule.verdict === Verdict.drop ? "drop" : rule.verdict === Verdict.reject ? "reject" : "";
    this.host.tracePoint(
      p,
      { place: "hook", name: this.hookName, rule: ruleText(chain.name, rule), verdict, detail: { table: table.name } },
      t,
      t,
    );
  }
}

function choosePort(r: CompiledRule, random: Random): number {
  return r.portMax > r.portMin ? r.portMin + random.below(r.portMax - r.portMin + 1) : r.portMin;
}

/** Reads the packet quoted by an ICMP error: only its first bytes may be there. */
function readQuoted(q: Packet, f: Flow): boolean {
  const b = q.data;
  const have = q.end - q.start;
  if (have < 28) return false;
  // The quoted total length is the original's; what counts is the headers.
  const six = b[q.start]! >> 4 === 6;
  if (six && have < 48) return false;
  const room = new Uint8Array(Math.max(have, 60));
  room.set(b.subarray(q.start, q.end));
  const length = room.length;
  if (six) {
    room[4] = (length - 40) >> 8;
    room[5] = length - 40;
  } else {
    room[2] = length >> 8;
    room[3] = length;
  }
  return readFlow(new Packet(room, 0, length), f, false) === undefined;
}
