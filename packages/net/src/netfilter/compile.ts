// Rules made ready for walking: text becomes numbers once, when a chain is first walked after it changed. Still data: a compiled
// rule is fields that one switch reads, no closures.
// Invariant: a compiled chain answers exactly as its rules read in order. A run of rules that all name the same of {protocol, one
// destination address, one destination port} exactly is found by one hash probe instead of being read one by one.
import { assert } from "@podwire/base";
import { type IpAddress, parsePrefix } from "../codec/address.ts";
import { IpProtocol } from "../codec/numbers.ts";
import { CtState, Status } from "../conntrack/conntrack.ts";
import { wordOf } from "../namespace/flow.ts";
import { type ProtocolName, printRule, type RejectWith, type Rule } from "./rule.ts";
import type { Chain } from "./tables.ts";

/** Runs shorter than this are read one by one. */
const MIN_RUN = 8;

/** In chains at least this long a rule is compiled once in its life, so that one Service more does not cost all others again. */
const KEEP_COMPILED = 64;
const COMPILED = new WeakMap<Rule, CompiledRule>();

function compileOnce(rule: Rule): CompiledRule {
  let c = COMPILED.get(rule);
  if (c === undefined) {
    c = compileRule(rule);
    COMPILED.set(rule, c);
  }
  return c;
}

export const MatchKind = {
  dport: 0,
  sport: 1,
  ctstate: 2,
  mark: 3,
  statistic: 4,
  addrtype: 5,
  recent: 6,
  set: 7,
  physdev: 8,
  tcpSyn: 9,
} as const;

export interface CompiledMatch {
  kind: number;
  not: boolean;
  /** Low port, state bits, mark value, "src" = 1, recent op, ... */
  a: number;
  /** High port, status bits (SNAT, DNAT), mask, seconds, ... */
  b: number;
  /** Probability. */
  p: number;
  /** Name of a recent list or set, or physdev-in. */
  name: string;
  /** Set flags or physdev-out. */
  name2: string;
}

export const Verdict = {
  next: 0,
  accept: 1,
  drop: 2,
  return: 3,
  reject: 4,
  jump: 5,
  goto: 6,
  mark: 7,
  dnat: 8,
  snat: 9,
  masquerade: 10,
  notrack: 11,
  log: 12,
  trace: 13,
} as const;

/** An address in masked words, for comparing with a Flow. */
export interface CompiledPrefix {
  family: 4 | 6;
  not: boolean;
  w: Int32Array;
  mask: Int32Array;
}

export interface CompiledRule {
  rule: Rule;
  /** As printed behind "-A <chain>", made when first asked for. */
  text: string;
  /** 0 matches every protocol. */
  protocol: number;
  src: CompiledPrefix | undefined;
  dst: CompiledPrefix | undefined;
  in: string;
  notIn: boolean;
  out: string;
  notOut: boolean;
  matches: CompiledMatch[];
  verdict: number;
  /** Jump target, LOG prefix. */
  chain: string;
  /** The chain of that name, once it was looked up. */
  target: Chain | undefined;
  value: number;
  mask: number;
  with: RejectWith;
  /** Translation address; undefined keeps it. */
  to: IpAddress | undefined;
  portMin: number;
  portMax: number;
  random: boolean;
  packets: number;
}

/** Rules from..to-1 of a chain, found by hash of (protocol, destination, destination port). */
export interface Run {
  from: number;
  to: number;
  useDst: boolean;
  usePort: boolean;
  /** Open-addressed: per slot w0..w3 of the address, port << 8 | protocol, first rule + 1 (0 is empty). */
  slots: Int32Array;
  slotMask: number;
  /** The next rule of the run with the same key, or -1; by rule index minus `from`. */
  next: Int32Array;
}

export interface CompiledChain {
  name: string;
  rules: CompiledRule[];
  /** By rule index: the run that begins there. */
  runs: Map<number, Run>;
  hasRuns: boolean;
}

export const PROTOCOLS: Readonly<Record<ProtocolName, number>> = {
  tcp: IpProtocol.TCP,
  udp: IpProtocol.UDP,
  sctp: IpProtocol.SCTP,
  icmp: IpProtocol.ICMP,
  "ipv6-icmp": IpProtocol.ICMPV6,
};

export function compileChain(name: string, rules: readonly Rule[]): CompiledChain {
  const compiled = rules.length < KEEP_COMPILED ? rules.map(compileRule) : rules.map(compileOnce);
  const runs = findRuns(compiled);
  return { name, rules: compiled, runs, hasRuns: runs.size > 0 };
}

/** The rule as iptables-save prints it, made when a trace first needs it. */
export function ruleText(chain: string, r: CompiledRule): string {
  if (r.text === "") r.text = printRule(r.rule);
  return `-A ${chain} ${r.text}`;
}

function compilePrefix(text: string, not: boolean): CompiledPrefix {
  const p = parsePrefix(text);
  assert(p !== undefined, `not a prefix in a rule: ${text}`);
  const w = new Int32Array(4);
  const mask = new Int32Array(4);
  const v4 = typeof p.address === "number";
  const maskBits = v4 ? p.length + 96 : p.length;
  for (let i = 0; i < 4; i++) {
    const bits = maskBits - 32 * i;
    mask[i] = bits <= 0 ? 0 : bits >= 32 ? -1 : ~(0xffffffff >>> bits);
    w[i] = wordOf(p.address, i) & mask[i]!;
  }
  return { family: v4 ? 4 : 6, not, w, mask };
}

function compileRule(rule: Rule): CompiledRule {
  const c: CompiledRule = {
    rule,
    text: "",
    protocol: rule.protocol === undefined ? 0 : PROTOCOLS[rule.protocol],
    src: rule.src === undefined ? undefined : compilePrefix(rule.src, rule.notSrc === true),
    dst: rule.dst === undefined ? undefined : compilePrefix(rule.dst, rule.notDst === true),
    in: rule.in ?? "",
    notIn: rule.notIn === true,
    out: rule.out ?? "",
    notOut: rule.notOut === true,
    matches: [],
    verdict: Verdict.next,
    chain: "",
    target: undefined,
    value: 0,
    mask: 0,
    with: "icmp-port-unreachable",
    to: undefined,
    portMin: 0,
    portMax: 0,
    random: false,
    packets: 0,
  };
  for (const m of rule.matches ?? []) {
    const x: CompiledMatch = { kind: 0, not: "not" in m && m.not === true, a: 0, b: 0, p: 0, name: "", name2: "" };
    switch (m.m) {
      case "comment":
      case "nfacct":
        continue;
      case "dport":
      case "sport":
        x.kind = m.m === "dport" ? MatchKind.dport : MatchKind.sport;
        x.a = m.from;
        x.b = m.to;
        break;
      case "conntrack":
        x.kind = MatchKind.ctstate;
        for (const s of m.states) {
          if (s === "SNAT") x.b |= Status.srcNat;
          else if (s === "DNAT") x.b |= Status.dstNat;
          else x.a |= STATE_BITS[s];
        }
        break;
      case "mark":
        x.kind = MatchKind.mark;
        x.a = m.value;
        x.b = m.mask;
        break;
      case "statistic":
        x.kind = MatchKind.statistic;
        x.p = m.probability;
        break;
      case "addrtype":
        x.kind = MatchKind.addrtype;
        x.a = m.of === "src" ? 1 : 0;
        break;
      case "recent":
        x.kind = MatchKind.recent;
        x.name = m.name;
        x.a = RECENT_OPS.indexOf(m.op);
        x.b = m.seconds ?? 0;
        break;
      case "set":
        x.kind = MatchKind.set;
        x.name = m.name;
        x.name2 = m.flags;
        break;
      case "physdev":
        x.kind = MatchKind.physdev;
        x.name = m.in ?? "";
        x.name2 = m.out ?? "";
        x.a = m.isBridged ? 1 : 0;
        break;
      case "tcpSyn":
        x.kind = MatchKind.tcpSyn;
        break;
    }
    c.matches.push(x);
  }
  compileTarget(c, rule);
  return c;
}

export const RECENT_OPS = ["rcheck", "set", "update", "remove"] as const;

const STATE_BITS = {
  NEW: CtState.new,
  ESTABLISHED: CtState.established,
  RELATED: CtState.related,
  INVALID: CtState.invalid,
  UNTRACKED: CtState.untracked,
} as const;

function compileTarget(c: CompiledRule, rule: Rule): void {
  const t = rule.target;
  if (t === undefined) return;
  switch (t.t) {
    case "ACCEPT":
      c.verdict = Verdict.accept;
      return;
    case "DROP":
      c.verdict = Verdict.drop;
      return;
    case "RETURN":
      c.verdict = Verdict.return;
      return;
    case "REJECT":
      c.verdict = Verdict.reject;
      c.with = t.with;
      return;
    case "JUMP":
    case "GOTO":
      c.verdict = t.t === "JUMP" ? Verdict.jump : Verdict.goto;
      c.chain = t.chain;
      return;
    case "MARK":
      c.verdict = Verdict.mark;
      c.value = t.value;
      c.mask = t.mask;
      return;
    case "DNAT":
    case "SNAT": {
      c.verdict = t.t === "DNAT" ? Verdict.dnat : Verdict.snat;
      const e = parseEndpoint(t.to);
      c.to = e.address;
      [c.portMin, c.portMax] = [e.portMin, e.portMax];
      c.random = t.t === "SNAT" && t.randomFully === true;
      return;
    }
    case "MASQUERADE":
      c.verdict = Verdict.masquerade;
      c.random = t.randomFully === true;
      if (t.toPorts !== undefined) [c.portMin, c.portMax] = parsePorts(t.toPorts);
      return;
    case "NOTRACK":
      c.verdict = Verdict.notrack;
      return;
    case "LOG":
      c.verdict = Verdict.log;
      c.chain = t.prefix;
      return;
    case "TRACE":
      c.verdict = Verdict.trace;
  }
}

/** "10.0.0.1:80", "[fd00::1]:80", ":80", "10.0.0.1", "10.0.0.1:1000-2000". */
function parseEndpoint(text: string): { address: IpAddress | undefined; portMin: number; portMax: number } {
  const m = /^(?:\[([0-9a-f:.]+)\]|([0-9.]*)|([0-9a-f:]+))(?::(\d+(?:-\d+)?))?$/.exec(text);
  assert(m !== null, `not a translation address in a rule: ${text}`);
  const host = m[1] ?? m[2] ?? m[3] ?? "";
  const p = host === "" ? undefined : parsePrefix(host);
  assert(host === "" || p !== undefined, `not a translation address in a rule: ${text}`);
  const [portMin, portMax] = m[4] === undefined ? [0, 0] : parsePorts(m[4]);
  return { address: p?.address, portMin, portMax };
}

function parsePorts(text: string): [number, number] {
  const [from, to] = text.split("-").map(Number);
  return [from!, to ?? from!];
}

/** The exact key of a rule, when it has one. */
function exactKey(r: CompiledRule): { useDst: boolean; usePort: boolean; port: number } | undefined {
  const useDst =
    r.dst !== undefined &&
    !r.dst.not &&
    r.dst.mask[3] === -1 &&
    (r.dst.family === 4 || (r.dst.mask[0] === -1 && r.dst.mask[1] === -1 && r.dst.mask[2] === -1));
  if (r.dst !== undefined && !useDst) return undefined;
  const m = r.matches.find((x) => x.kind === MatchKind.dport && !x.not && x.a === x.b);
  if (r.protocol === 0 || (!useDst && m === undefined)) return undefined;
  return { useDst, usePort: m !== undefined, port: m?.a ?? 0 };
}

function findRuns(rules: readonly CompiledRule[]): Map<number, Run> {
  const runs = new Map<number, Run>();
  for (let from = 0; from < rules.length; ) {
    const first = exactKey(rules[from]!);
    let to = from + 1;
    if (first !== undefined)
      for (; to < rules.length; to++) {
        const k = exactKey(rules[to]!);
        if (k === undefined || k.useDst !== first.useDst || k.usePort !== first.usePort) break;
      }
    if (first !== undefined && to - from >= MIN_RUN) runs.set(from, buildRun(rules, from, to, first.useDst, first.usePort));
    from = to;
  }
  return runs;
}

const SLOT_WORDS = 6;

function buildRun(rules: readonly CompiledRule[], from: number, to: number, useDst: boolean, usePort: boolean): Run {
  let size = 16;
  while (size < (to - from) * 2) size *= 2;
  const run: Run = {
    from,
    to,
    useDst,
    usePort,
    slots: new Int32Array(size * SLOT_WORDS),
    slotMask: size - 1,
    next: new Int32Array(to - from).fill(-1),
  };
  const last = new Int32Array(to - from).fill(-1);
  for (let i = from; i < to; i++) {
    const r = rules[i]!;
    const w = r.dst?.w ?? ZERO;
    const key = (exactKey(r)!.port << 8) | r.protocol | 0;
    const slot = probeRun(run, w[0]!, w[1]!, w[2]!, w[3]!, key);
    const s = run.slots;
    if (s[slot + 5] === 0) {
      s[slot] = w[0]!;
      s[slot + 1] = w[1]!;
      s[slot + 2] = w[2]!;
      s[slot + 3] = w[3]!;
      s[slot + 4] = key;
      s[slot + 5] = i + 1;
      last[i - from] = i;
      continue;
    }
    const head = s[slot + 5]! - 1;
    run.next[last[head - from]! - from] = i;
    last[head - from] = i;
  }
  return run;
}

const ZERO = new Int32Array(4);

/** Offset of the slot that holds the key, or of the empty slot where it would be. */
export function probeRun(run: Run, w0: number, w1: number, w2: number, w3: number, key: number): number {
  let h = Math.imul(w3 ^ Math.imul(key, 0x9e3779b1), 0x85ebca6b);
  if (w0 !== 0) h = Math.imul(h ^ w0 ^ Math.imul(w1, 0xc2b2ae35) ^ (w2 << 7), 0x27d4eb2f);
  h ^= h >>> 15;
  const s = run.slots;
  for (let i = h & run.slotMask; ; i = (i + 1) & run.slotMask) {
    const at = i * SLOT_WORDS;
    if (s[at + 5] === 0) return at;
    if (s[at + 3] === w3 && s[at + 4] === key && s[at] === w0 && s[at + 1] === w1 && s[at + 2] === w2) return at;
  }
}
