// The whole of kube-proxy's iptables mode on one node and family: from Services and EndpointSlices to the chains of two tables.
// Invariant: no I/O, and the steps' sum is always what one step from nothing would give. A step costs what changed: a rule that is
// equal to its predecessor is the same object, a chain without a new rule is not in the delta.
import { isDeepStrictEqual } from "node:util";
import type { Rule, Target } from "@podwire/net";
import { MARK_MASQ, MASQUERADE_MARK, type PortRules, portRules } from "./iptables-rules.ts";
import { nodePortIPs, offLoopback, type ProxySettings } from "./proxy-settings.ts";
import { endpointsOf, type ServiceInput, type ServicePort, sameInput, servicePorts } from "./service-ports.ts";
import { categorize } from "./topology.ts";

/** What one Service made of its input. */
interface Contribution {
  input: ServiceInput;
  ports: readonly PortRules[];
}

/** Chains to set and to delete, by table. */
export interface IptablesDelta {
  nat: { set: Map<string, readonly Rule[]>; remove: string[] };
  filter: { set: Map<string, readonly Rule[]>; remove: string[] };
}

export interface JumpRule {
  table: "nat" | "filter";
  chain: "PREROUTING" | "INPUT" | "FORWARD" | "OUTPUT" | "POSTROUTING";
  rule: Rule;
}

/** Rules of chains that all Services share, by part of PortRules. */
const SHARED = [
  ["natServices", "nat", "KUBE-SERVICES"],
  ["natNodePorts", "nat", "KUBE-NODEPORTS"],
  ["filterServices", "filter", "KUBE-SERVICES"],
  ["filterExternalServices", "filter", "KUBE-EXTERNAL-SERVICES"],
  ["filterNodePorts", "filter", "KUBE-NODEPORTS"],
  ["filterFirewall", "filter", "KUBE-PROXY-FIREWALL"],
] as const;

/** Plans one node and family; remembers what it planned, so that a step costs what changed. */
export class IptablesPlanner {
  readonly settings: ProxySettings;
  private readonly contributions = new Map<string, Contribution>();
  private readonly tail: readonly Rule[];
  private begun = false;

  constructor(settings: ProxySettings) {
    this.settings = settings;
    this.tail = nodePortJumps(settings);
  }

  /** From the last step to these Services (by "namespace/name"; objects are compared by identity). `changed` limits the comparison to
   *  those keys. */
  step(services: ReadonlyMap<string, ServiceInput>, changed?: Iterable<string>): IptablesDelta {
    const delta: IptablesDelta = { nat: { set: new Map(), remove: [] }, filter: { set: new Map(), remove: [] } };
    const dirty = new Set<(typeof SHARED)[number]>();
    for (const key of changed ?? new Set([...[...services.keys()].sort(), ...this.contributions.keys()])) {
      const input = services.get(key);
      const old = this.contributions.get(key);
      if (input === undefined ? old === undefined : old !== undefined && sameInput(old.input, input)) continue;
      const next = input === undefined ? undefined : contribute(input, this.settings, old);
      if (next === undefined) this.contributions.delete(key);
      else this.contributions.set(key, next);
      ownChains(delta, old, next);
      for (const shared of SHARED) if (!dirty.has(shared) && !sameShared(old, next, shared[0])) dirty.add(shared);
    }
    for (const shared of SHARED)
      if (!this.begun || dirty.has(shared)) {
        const [part, table, chain] = shared;
        const rules: Rule[] = [];
        for (const c of this.contributions.values()) for (const p of c.ports) for (const r of p[part]) rules.push(r);
        if (part === "natServices") rules.push(...this.tail);
        delta[table].set.set(chain, rules);
      }
    if (!this.begun) for (const [table, chain, rules] of fixedChains(this.settings)) delta[table].set.set(chain, rules);
    this.begun = true;
    return delta;
  }

  /** Every chain that the steps so far have made. */
  chains(): { nat: string[]; filter: string[] } {
    const nat = [...this.contributions.values()].flatMap((c) => c.ports.flatMap((p) => p.natChains.map(([name]) => name)));
    const filter: string[] = [];
    for (const [, table, chain] of SHARED) (table === "nat" ? nat : filter).push(chain);
    for (const [table, chain] of fixedChains(this.settings)) (table === "nat" ? nat : filter).push(chain);
    return { nat: [...new Set(nat)], filter };
  }
}

function ownChains(delta: IptablesDelta, old: Contribution | undefined, next: Contribution | undefined): void {
  const before = new Map(old?.ports.flatMap((p) => p.natChains));
  for (const [name, rules] of next?.ports.flatMap((p) => p.natChains) ?? []) {
    if (before.get(name) !== rules) delta.nat.set.set(name, rules);
    before.delete(name);
  }
  delta.nat.remove.push(...before.keys());
}

function sameShared(old: Contribution | undefined, next: Contribution | undefined, part: (typeof SHARED)[number][0]): boolean {
  const rules = (c: Contribution | undefined) => c?.ports.flatMap((p) => p[part]) ?? [];
  const [a, b] = [rules(old), rules(next)];
  return a.length === b.length && a.every((r, i) => r === b[i]);
}

function fixedChains(s: ProxySettings): ["nat" | "filter", string, readonly Rule[]][] {
  return [
    ["nat", "KUBE-POSTROUTING", POSTROUTING],
    ["nat", MARK_MASQ, MARK_MASQ_RULES],
    ["filter", "KUBE-FORWARD", FORWARD],
    ["filter", "KUBE-FIREWALL", s.family === 4 && s.localhostNodePorts ? FIREWALL_V4 : []],
  ];
}

/** Rules equal to those of `old` are the same objects, so that only what really differs is applied. */
function contribute(input: ServiceInput, settings: ProxySettings, old: Contribution | undefined): Contribution {
  const ports = servicePorts(input.service, settings.family).map((port: ServicePort) => {
    const endpoints = endpointsOf(port, input.slices, settings.family, settings.nodeName);
    return portRules(port, categorize(endpoints, port, settings), settings);
  });
  return { input, ports: ports.map((p, i) => keepEqual(p, old?.ports[i])) };
}

function keepEqual(next: PortRules, old: PortRules | undefined): PortRules {
  if (old === undefined) return next;
  const before = new Map(old.natChains);
  const list = (a: Rule[], b: Rule[]) => a.map((r, i) => (b[i] !== undefined && isDeepStrictEqual(r, b[i]) ? b[i] : r));
  return {
    natChains: next.natChains.map(([name, rules]) => [
      name,
      isDeepStrictEqual(rules, before.get(name)) ? (before.get(name) as Rule[]) : rules,
    ]),
    natServices: list(next.natServices, old.natServices),
    natNodePorts: list(next.natNodePorts, old.natNodePorts),
    filterServices: list(next.filterServices, old.filterServices),
    filterExternalServices: list(next.filterExternalServices, old.filterExternalServices),
    filterNodePorts: list(next.filterNodePorts, old.filterNodePorts),
    filterFirewall: list(next.filterFirewall, old.filterFirewall),
  };
}

/** The last rules of KUBE-SERVICES: what is addressed to the node goes on to KUBE-NODEPORTS. */
function nodePortJumps(s: ProxySettings): Rule[] {
  const text = { m: "comment", text: "kubernetes service nodeports; NOTE: this must be the last rule in this chain" } as const;
  const target: Target = { t: "JUMP", chain: "KUBE-NODEPORTS" };
  const loopback = s.family === 4 ? "127.0.0.0/8" : "::1/128";
  const ips = nodePortIPs(s);
  if (ips !== undefined) return ips.map((dst) => ({ dst, matches: [text], target }));
  const matches = [text, { m: "addrtype", of: "dst", type: "LOCAL" } as const];
  return [offLoopback(s) ? { dst: loopback, notDst: true, matches, target } : { matches, target }];
}

const mark = { m: "mark", value: MASQUERADE_MARK, mask: MASQUERADE_MARK } as const;
const POSTROUTING: readonly Rule[] = [
  { matches: [{ ...mark, not: true }], target: { t: "RETURN" } },
  // Cleared, so that a packet which is routed twice is masqueraded once.
  { target: { t: "MARK", value: MASQUERADE_MARK, mask: 0 } },
  { matches: [{ m: "comment", text: "kubernetes service traffic requiring SNAT" }], target: { t: "MASQUERADE", randomFully: true } },
];

const MARK_MASQ_RULES: readonly Rule[] = [{ target: { t: "MARK", value: MASQUERADE_MARK, mask: MASQUERADE_MARK } }];

const FORWARD: readonly Rule[] = [
  { matches: [{ m: "conntrack", states: ["INVALID"] }], target: { t: "DROP" } },
  { matches: [{ m: "comment", text: "kubernetes forwarding rules" }, mark], target: { t: "ACCEPT" } },
  {
    matches: [
      { m: "comment", text: "kubernetes forwarding conntrack rule" },
      { m: "conntrack", states: ["RELATED", "ESTABLISHED"] },
    ],
    target: { t: "ACCEPT" },
  },
];

const FIREWALL_V4: readonly Rule[] = [
  {
    src: "127.0.0.0/8",
    notSrc: true,
    dst: "127.0.0.0/8",
    matches: [
      { m: "comment", text: "block incoming localnet connections" },
      { m: "conntrack", states: ["RELATED", "ESTABLISHED", "DNAT"], not: true },
    ],
    target: { t: "DROP" },
  },
];

const isNew = { m: "conntrack", states: ["NEW"] } as const;
const jumpTo = (chain: string, text: string, onlyNew: boolean): Rule => ({
  matches: onlyNew ? [isNew, { m: "comment", text }] : [{ m: "comment", text }],
  target: { t: "JUMP", chain },
});

/** Rules to be first in the built-in chains, in this order. */
export const JUMPS: readonly JumpRule[] = [
  { table: "filter", chain: "INPUT", rule: jumpTo("KUBE-PROXY-FIREWALL", "kubernetes load balancer firewall", true) },
  { table: "filter", chain: "INPUT", rule: jumpTo("KUBE-NODEPORTS", "kubernetes health check service ports", false) },
  { table: "filter", chain: "INPUT", rule: jumpTo("KUBE-EXTERNAL-SERVICES", "kubernetes externally-visible service portals", true) },
  { table: "filter", chain: "INPUT", rule: { target: { t: "JUMP", chain: "KUBE-FIREWALL" } } },
  { table: "filter", chain: "FORWARD", rule: jumpTo("KUBE-PROXY-FIREWALL", "kubernetes load balancer firewall", true) },
  { table: "filter", chain: "FORWARD", rule: jumpTo("KUBE-FORWARD", "kubernetes forwarding rules", false) },
  { table: "filter", chain: "FORWARD", rule: jumpTo("KUBE-SERVICES", "kubernetes service portals", true) },
  { table: "filter", chain: "FORWARD", rule: jumpTo("KUBE-EXTERNAL-SERVICES", "kubernetes externally-visible service portals", true) },
  { table: "filter", chain: "OUTPUT", rule: jumpTo("KUBE-PROXY-FIREWALL", "kubernetes load balancer firewall", true) },
  { table: "filter", chain: "OUTPUT", rule: jumpTo("KUBE-SERVICES", "kubernetes service portals", true) },
  { table: "filter", chain: "OUTPUT", rule: { target: { t: "JUMP", chain: "KUBE-FIREWALL" } } },
  { table: "nat", chain: "PREROUTING", rule: jumpTo("KUBE-SERVICES", "kubernetes service portals", false) },
  { table: "nat", chain: "OUTPUT", rule: jumpTo("KUBE-SERVICES", "kubernetes service portals", false) },
  { table: "nat", chain: "POSTROUTING", rule: jumpTo("KUBE-POSTROUTING", "kubernetes postrouting rules", false) },
];
