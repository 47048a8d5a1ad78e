// Walks the chains of one table for one packet and says what they decide. The only place where a rule meets a packet.
// Invariant: a walk ends (at most MAX_DEPTH chains deep, MAX_STEPS rules read); it has no effect but on p.mark, the `recent` lists
// and rule counters: translations and refusals are the caller's, told by the verdict and `rule`.
import type { Clock, Random } from "@podwire/base";
import type { IpAddress } from "../codec/address.ts";
import { type Conntrack, CtState } from "../conntrack/conntrack.ts";
import type { Flow } from "../namespace/flow.ts";
import type { Packet } from "../packet.ts";
import {
  type CompiledChain,
  type CompiledMatch,
  type CompiledPrefix,
  type CompiledRule,
  MatchKind,
  probeRun,
  type Run,
  Verdict,
} from "./compile.ts";
import type { RecentLists } from "./recent.ts";
import type { IpSets } from "./sets.ts";
import { type Chain, compiledOf, type Table } from "./tables.ts";

/** Chains that may call each other; deeper drops the packet. */
const MAX_DEPTH = 32;
/** Rules read for one packet in one table; more drops it (a GOTO loop). */
const MAX_STEPS = 1_000_000;

export interface WalkEnvironment {
  clock: Clock;
  random: Random;
  conntrack: Conntrack | undefined;
  recent: RecentLists;
  sets: IpSets;
  isLocal(a: IpAddress): boolean;
  /** Called for each matched rule of a traced packet. */
  onRule(p: Packet, f: Flow, table: Table, chain: CompiledChain, rule: CompiledRule): void;
}

/** Where in the node the packet is. Device names, "" when there is none. */
export interface Position {
  in: string;
  out: string;
  physIn: string;
  physOut: string;
}

export class Walker {
  private readonly env: WalkEnvironment;
  private readonly chains: CompiledChain[] = [];
  private readonly resume = new Int32Array(MAX_DEPTH);
  private readonly runs: (Run | null)[] = [];
  /** The rule that decided, undefined when a policy did. */
  rule: CompiledRule | undefined;
  /** The chain of that rule. */
  chain: CompiledChain | undefined;
  steps = 0;

  constructor(env: WalkEnvironment) {
    this.env = env;
  }

  /** The verdict of `start` (a Verdict: accept, drop, reject, dnat, snat, masquerade, notrack). */
  walk(table: Table, start: Chain, p: Packet, f: Flow, at: Position): number {
    let chain = compiledOf(start);
    let depth = 0;
    let i = 0;
    let run: Run | null = null;
    this.rule = undefined;
    this.chain = undefined;
    this.steps = 0;
    for (;;) {
      if (run === null) {
        if (i >= chain.rules.length) {
          if (depth === 0) return start.policy === "DROP" ? Verdict.drop : Verdict.accept;
          depth--;
          chain = this.chains[depth]!;
          i = this.resume[depth]!;
          run = this.runs[depth]!;
          continue;
        }
        if (chain.hasRuns) {
          const r = chain.runs.get(i);
          if (r !== undefined) {
            const head = firstOfRun(r, f);
            if (head < 0) {
              i = r.to;
              continue;
            }
            run = r;
            i = head;
          }
        }
      }
      if (++this.steps > MAX_STEPS) return Verdict.drop;
      const rule: CompiledRule = chain.rules[i]!;
      // Where to go on when this rule does not end the walk.
      let next = i + 1;
      let nextRun: Run | null = null;
      if (run !== null) {
        next = run.next[i - run.from]!;
        if (next < 0) next = run.to;
        else nextRun = run;
      }
      i = next;
      run = nextRun;
      if (!this.matches(rule, p, f, at)) continue;
      rule.packets++;
      if (p.traceId !== 0) this.env.onRule(p, f, table, chain, rule);
      switch (rule.verdict) {
        case Verdict.next:
        case Verdict.log:
        case Verdict.trace:
          continue;
        case Verdict.mark:
          p.mark = ((p.mark & ~rule.mask) ^ rule.value) >>> 0;
          continue;
        case Verdict.jump:
        case Verdict.goto: {
          let target = rule.target;
          if (target === undefined || target.gone) rule.target = target = table.chains.get(rule.chain);
          if (target === undefined || depth >= MAX_DEPTH) return Verdict.drop;
          if (rule.verdict === Verdict.jump) {
            this.chains[depth] = chain;
            this.resume[depth] = i;
            this.runs[depth] = run;
            depth++;
          }
          chain = compiledOf(target);
          i = 0;
          run = null;
          continue;
        }
        case Verdict.return:
          i = chain.rules.length;
          run = null;
          this.rule = rule;
          this.chain = chain;
          continue;
        default:
          this.rule = rule;
          this.chain = chain;
          return rule.verdict;
      }
    }
  }

  private matches(r: CompiledRule, p: Packet, f: Flow, at: Position): boolean {
    if (r.protocol !== 0 && r.protocol !== f.protocol) return false;
    if (r.dst !== undefined && inPrefixWords(r.dst, f.family, f.d0, f.d1, f.d2, f.d3) === r.dst.not) return false;
    if (r.src !== undefined && inPrefixWords(r.src, f.family, f.s0, f.s1, f.s2, f.s3) === r.src.not) return false;
    if (r.in !== "" && deviceMatches(r.in, at.in) === r.notIn) return false;
    if (r.out !== "" && deviceMatches(r.out, at.out) === r.notOut) return false;
    for (const m of r.matches) if (this.test(m, p, f, at) === m.not) return false;
    return true;
  }

  private test(m: CompiledMatch, p: Packet, f: Flow, at: Position): boolean {
    switch (m.kind) {
      case MatchKind.dport:
        return f.dport >= m.a && f.dport <= m.b;
      case MatchKind.sport:
        return f.sport >= m.a && f.sport <= m.b;
      case MatchKind.ctstate: {
        const state = f.ctState === CtState.none ? CtState.untracked : f.ctState;
        if ((state & m.a) !== 0) return true;
        return m.b !== 0 && f.ct >= 0 && this.env.conntrack !== undefined && (this.env.conntrack.statusOf(f.ct) & m.b) !== 0;
      }
      case MatchKind.mark:
        return ((p.mark ^ m.a) & m.b) === 0;
      case MatchKind.statistic:
        return this.env.random.float() < m.p;
      case MatchKind.addrtype:
        return this.env.isLocal(m.a === 1 ? f.src : f.dst);
      case MatchKind.recent:
        return this.env.recent.test(m.name, m.a, m.b, f.src, this.env.clock.monotonicMs());
      case MatchKind.set:
        return this.env.sets.test(m.name, m.name2, f);
      case MatchKind.physdev:
        if (m.a === 1 && (at.physIn === "" || at.physOut === "")) return false;
        return (m.name === "" || deviceMatches(m.name, at.physIn)) && (m.name2 === "" || deviceMatches(m.name2, at.physOut));
      case MatchKind.tcpSyn:
        return (f.tcpFlags & 0x17) === 2;
      default:
        return false;
    }
  }
}

function firstOfRun(r: Run, f: Flow): number {
  const key = ((r.usePort ? f.dport : 0) << 8) | f.protocol | 0;
  const at = r.useDst ? probeRun(r, f.d0, f.d1, f.d2, f.d3, key) : probeRun(r, 0, 0, 0, 0, key);
  return r.slots[at + 5]! - 1;
}

function inPrefixWords(x: CompiledPrefix, family: number, w0: number, w1: number, w2: number, w3: number): boolean {
  if (x.family !== family || ((w3 ^ x.w[3]!) & x.mask[3]!) !== 0) return false;
  if (family === 4) return true;
  return ((w0 ^ x.w[0]!) & x.mask[0]!) === 0 && ((w1 ^ x.w[1]!) & x.mask[1]!) === 0 && ((w2 ^ x.w[2]!) & x.mask[2]!) === 0;
}

function deviceMatches(pattern: string, name: string): boolean {
  return pattern.endsWith("+") ? name.startsWith(pattern.slice(0, -1)) : pattern === name;
}
