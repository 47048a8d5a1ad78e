// Rules as data: what they print, what tables refuse, and that compiled chains decide as reading every rule in order would.
import { seededRandom, systemClock } from "@podwire/base";
import { describe, expect, test } from "vitest";
import { address } from "../codec/address.ts";
import { Flow } from "../namespace/flow.ts";
import { Packet } from "../packet.ts";
import { Verdict } from "./compile.ts";
import { RecentLists } from "./recent.ts";
import { type Match, printRule, type Rule } from "./rule.ts";
import { IpSets } from "./sets.ts";
import { RulesetError, Table } from "./tables.ts";
import { Walker } from "./walk.ts";

const random = seededRandom(5);
const sets = new IpSets();
const walker = new Walker({
  clock: systemClock,
  random,
  conntrack: undefined,
  recent: new RecentLists(),
  sets,
  isLocal: (a) => a === address("172.30.1.1"),
  onRule: () => undefined,
});
const nowhere = { in: "eth0", out: "", physIn: "", physOut: "" };

function flow(src: string, dst: string, dport: number, protocol = 6): Flow {
  const f = new Flow();
  f.family = 4;
  f.protocol = protocol;
  f.s3 = (address(src) as number) | 0;
  f.d3 = (address(dst) as number) | 0;
  f.sport = 40_000;
  f.dport = dport;
  return f;
}

function walk(table: Table, f: Flow, p = Packet.alloc(20)): number {
  const chain = table.byHook.prerouting;
  return walker.walk(table, chain as NonNullable<typeof chain>, p, f, nowhere);
}

describe("printing", () => {
  const cases: [Rule, string][] = [
    [{}, ""],
    [
      {
        src: "10.0.0.0/8",
        notSrc: true,
        dst: "10.96.0.1",
        protocol: "tcp",
        matches: [
          { m: "comment", text: "a b" },
          { m: "dport", from: 443, to: 443 },
        ],
        target: { t: "JUMP", chain: "X" },
      },
      '! -s 10.0.0.0/8 -d 10.96.0.1/32 -p tcp -m comment --comment "a b" -m tcp --dport 443 -j X',
    ],
    [{ in: "cni0", out: "eth+", notOut: true, target: { t: "ACCEPT" } }, "-i cni0 ! -o eth+ -j ACCEPT"],
    [
      { protocol: "udp", matches: [{ m: "dport", from: 1, to: 9, not: true }], target: { t: "DROP" } },
      "-p udp -m udp ! --dport 1:9 -j DROP",
    ],
    [
      { matches: [{ m: "conntrack", states: ["NEW", "DNAT"], not: true }], target: { t: "RETURN" } },
      "-m conntrack ! --ctstate NEW,DNAT -j RETURN",
    ],
    [
      { matches: [{ m: "mark", value: 0x4000, mask: 0x4000 }], target: { t: "MARK", value: 0x4000, mask: 0 } },
      "-m mark --mark 0x4000/0x4000 -j MARK --set-xmark 0x4000/0x0",
    ],
    [
      { matches: [{ m: "statistic", probability: 0.5 }], target: { t: "JUMP", chain: "Y" } },
      "-m statistic --mode random --probability 0.50000000000 -j Y",
    ],
    [
      { matches: [{ m: "recent", op: "rcheck", name: "L", seconds: 10_800, reap: true }], target: { t: "JUMP", chain: "Y" } },
      "-m recent --rcheck --seconds 10800 --reap --name L --mask 255.255.255.255 --rsource -j Y",
    ],
    [
      { matches: [{ m: "addrtype", of: "dst", type: "LOCAL" }], target: { t: "REJECT", with: "icmp-port-unreachable" } },
      "-m addrtype --dst-type LOCAL -j REJECT --reject-with icmp-port-unreachable",
    ],
    [{ protocol: "tcp", target: { t: "DNAT", to: "[fd00::1]:80" } }, "-p tcp -j DNAT --to-destination [fd00::1]:80"],
    [{ target: { t: "MASQUERADE", randomFully: true } }, "-j MASQUERADE --random-fully"],
    [{ matches: [{ m: "set", name: "S", flags: "dst,dst" }], target: { t: "GOTO", chain: "Z" } }, "-m set --match-set S dst,dst -g Z"],
  ];
  for (const [rule, text] of cases) test(text || "an empty rule", () => expect(printRule(rule)).toBe(text));
});

describe("tables", () => {
  const jump = (chain: string): Rule => ({ target: { t: "JUMP", chain } });

  test("a jump to nowhere and the deletion of a chain in use change nothing", () => {
    const t = new Table("nat");
    t.apply({
      chains: new Map([
        ["A", [jump("B")]],
        ["B", []],
      ]),
    });
    const before = t.save();
    expect(() => t.apply({ chains: new Map([["C", [jump("NOPE")]]]) })).toThrow(RulesetError);
    expect(() => t.apply({ chains: new Map(), remove: ["B"] })).toThrow(/still jumped to/);
    expect(() => t.apply({ chains: new Map(), remove: ["PREROUTING"] })).toThrow(/cannot be deleted/);
    expect(t.save()).toBe(before);
    t.apply({ chains: new Map(), remove: ["A", "B"] });
    expect(t.save()).not.toContain(":A");
  });

  test("a policy of DROP holds where no rule decides; RETURN from the built-in chain takes it", () => {
    const t = new Table("mangle");
    t.setPolicy("prerouting", "DROP");
    t.apply({
      chains: new Map([
        [
          "PREROUTING",
          [
            { protocol: "udp", target: { t: "RETURN" } },
            { protocol: "tcp", target: { t: "ACCEPT" } },
          ],
        ],
      ]),
    });
    expect(walk(t, flow("1.1.1.1", "2.2.2.2", 1))).toBe(Verdict.accept);
    expect(walk(t, flow("1.1.1.1", "2.2.2.2", 1, 17))).toBe(Verdict.drop);
  });

  test("a loop of chains ends in a drop", () => {
    const t = new Table("nat");
    t.apply({
      chains: new Map([
        ["PREROUTING", [jump("A")]],
        ["A", [jump("B")]],
        ["B", [jump("A")]],
      ]),
    });
    expect(walk(t, flow("1.1.1.1", "2.2.2.2", 1))).toBe(Verdict.drop);
  });

  test("a chain that is deleted and made again is found again by rules that stayed", () => {
    const t = new Table("nat");
    const rule = jump("A");
    const pad = Array.from({ length: 80 }, () => ({ protocol: "sctp", target: { t: "DROP" } }) as Rule);
    t.apply({
      chains: new Map([
        ["A", [{ target: { t: "DROP" } }]],
        ["PREROUTING", [...pad, rule]],
      ]),
    });
    expect(walk(t, flow("1.1.1.1", "2.2.2.2", 1))).toBe(Verdict.drop);
    t.apply({ chains: new Map([["PREROUTING", []]]), remove: ["A"] });
    t.apply({
      chains: new Map([
        ["A", [{ target: { t: "ACCEPT" } }]],
        ["PREROUTING", [...pad, rule]],
      ]),
    });
    expect(walk(t, flow("1.1.1.1", "2.2.2.2", 1))).toBe(Verdict.accept);
  });

  test("marks are set by mask and matched by mask", () => {
    const t = new Table("mangle");
    t.apply({
      chains: new Map([
        [
          "PREROUTING",
          [
            { target: { t: "MARK", value: 0x4000, mask: 0x4000 } },
            { matches: [{ m: "mark", value: 0x4001, mask: 0xffff }], target: { t: "DROP" } },
          ],
        ],
      ]),
    });
    const p = Packet.alloc(20);
    p.mark = 0x80000001;
    expect(walk(t, flow("1.1.1.1", "2.2.2.2", 1), p)).toBe(Verdict.drop);
    expect(p.mark).toBe(0x80004001);
  });

  test("sets match by their type", () => {
    sets.replace("ips", "hash:ip,port", ["10.96.0.1,tcp:80"]);
    sets.replace("nets", "hash:ip,port,net", ["10.96.0.1,tcp:80,10.1.0.0/16"]);
    const t = new Table("nat");
    t.apply({
      chains: new Map([
        [
          "PREROUTING",
          [
            { matches: [{ m: "set", name: "nets", flags: "dst,dst,src" }], target: { t: "DROP" } },
            { matches: [{ m: "set", name: "ips", flags: "dst,dst", not: true }], target: { t: "DROP" } },
          ],
        ],
      ]),
    });
    expect(walk(t, flow("10.2.0.1", "10.96.0.1", 80))).toBe(Verdict.accept);
    expect(walk(t, flow("10.1.0.1", "10.96.0.1", 80))).toBe(Verdict.drop);
    expect(walk(t, flow("10.2.0.1", "10.96.0.1", 81))).toBe(Verdict.drop);
  });
});

test("compiled runs decide as the rules read in order", () => {
  const r = seededRandom(11);
  const dst = () => `10.96.0.${r.below(12)}`;
  const rule = (depth: number): Rule => {
    const matches: Match[] = [];
    const protocol = r.pick(["tcp", "udp"] as const);
    if (r.float() < 0.9) matches.push({ m: "dport", from: r.below(4), to: 0 });
    for (const m of matches) if (m.m === "dport") m.to = m.from;
    const base: Rule = r.float() < 0.8 ? { dst: dst(), protocol, matches } : { dst: `10.96.0.${r.below(2) * 8}/29`, protocol, matches };
    const target = r.pick([
      { t: "ACCEPT" },
      { t: "DROP" },
      { t: "RETURN" },
      { t: "MARK", value: r.below(16), mask: 0 },
      { t: "JUMP", chain: `C${depth}` },
    ] as const);
    const extra = r.float() < 0.2 ? { src: `10.0.0.${r.below(4)}` } : {};
    return { ...base, ...extra, target: target.t === "JUMP" && depth > 2 ? { t: "DROP" } : target };
  };
  for (let round = 0; round < 60; round++) {
    const chains = new Map<string, Rule[]>([["PREROUTING", Array.from({ length: 60 }, () => rule(0))]]);
    for (let d = 0; d < 3; d++)
      chains.set(
        `C${d}`,
        Array.from({ length: 30 }, () => rule(d + 1)),
      );
    const t = new Table("mangle");
    t.apply({ chains });
    for (let i = 0; i < 200; i++) {
      const f = flow(`10.0.0.${r.below(5)}`, dst(), r.below(5), r.pick([6, 17]));
      const [fast, slow] = [Packet.alloc(20), Packet.alloc(20)];
      const got = walk(t, f, fast);
      const saved = [...t.chains.values()].map((c) => c.compiled);
      for (const c of t.chains.values()) if (c.compiled) c.compiled = { ...c.compiled, runs: new Map(), hasRuns: false };
      const want = walk(t, f, slow);
      [...t.chains.values()].forEach((c, k) => {
        c.compiled = saved[k];
      });
      expect([got, fast.mark]).toEqual([want, slow.mark]);
    }
  }
});
