// The whole of kube-proxy's iptables mode on one node and family: from Services and EndpointSlices to the chains of two tables.
// Invariant: pure. A plan made with the previous one shares its arrays wherever nothing changed, so that applying it costs what
// changed (Table.apply skips a chain whose array is the same).
import { isDeepStrictEqual } from "node:util";
import type { Rule, Target } from "@podwire/net";
import { MARK_MASQ, MASQUERADE_MARK, type PortRules, portRules } from "./iptables-rules.ts";
import { nodePortIPs, offLoopback, type ProxySettings } from "./proxy-settings.ts";
import { endpointsOf, type ServiceInput, type ServicePort, servicePorts } from "./service-ports.ts";
import { categorize } from "./topology.ts";

/** What one Service made of its input. */
export interface Contribution {
  input: ServiceInput;
  settings: ProxySettings;
  ports: readonly PortRules[];
}

export interface IptablesPlan {
  nat: ReadonlyMap<string, readonly Rule[]>;
  filter: ReadonlyMap<string, readonly Rule[]>;
  /** Rules to be first in the built-in chains, in this order. */
  jumps: readonly JumpRule[];
  /** By "namespace/name", for the next plan. */
  readonly contributions: ReadonlyMap<string, Contribution>;
}

export interface JumpRule {
  table: "nat" | "filter";
  chain: "PREROUTING" | "INPUT" | "FORWARD" | "OUTPUT" | "POSTROUTING";
  rule: Rule;
}

/** `services` by "namespace/name". Objects are compared by identity with those of `previous`. */
export function planIptables(services: ReadonlyMap<string, ServiceInput>, settings: ProxySettings, previous?: IptablesPlan): IptablesPlan {
  const contributions = new Map<string, Contribution>();
  for (const key of [...services.keys()].sort()) {
    const input = services.get(key) as ServiceInput;
    const old = previous?.contributions.get(key);
    contributions.set(
      key,
      old !== undefined && old.settings === settings && sameInput(old.input, input) ? old : contribute(input, settings, old),
    );
  }
  const nat = new Map<string, readonly Rule[]>();
  const filter = new Map<string, readonly Rule[]>();
  const parts: Record<
    "natServices" | "natNodePorts" | "filterServices" | "filterExternalServices" | "filterNodePorts" | "filterFirewall",
    Rule[]
  > = {
    natServices: [],
    natNodePorts: [],
    filterServices: [],
    filterExternalServices: [],
    filterNodePorts: [],
    filterFirewall: [],
  };
  for (const c of contributions.values())
    for (const p of c.ports) {
      for (const [name, rules] of p.natChains) nat.set(name, rules);
      for (const k of Object.keys(parts) as (keyof typeof parts)[]) for (const r of p[k]) parts[k].push(r);
    }
  const fixed = previous !== undefined && firstOf(previous.contributions)?.settings === settings ? previous : undefined;
  const put = (table: "nat" | "filter", chain: string, rules: readonly Rule[]) => {
    const old = previous?.[table].get(chain);
    (table === "nat" ? nat : filter).set(chain, old !== undefined && sameRules(old, rules) ? old : rules);
  };
  put("nat", "KUBE-SERVICES", [...parts.natServices, ...(fixedTail(fixed) ?? nodePortJumps(settings))]);
  put("nat", "KUBE-NODEPORTS", parts.natNodePorts);
  put("filter", "KUBE-SERVICES", parts.filterServices);
  put("filter", "KUBE-EXTERNAL-SERVICES", parts.filterExternalServices);
  put("filter", "KUBE-NODEPORTS", parts.filterNodePorts);
  put("filter", "KUBE-PROXY-FIREWALL", parts.filterFirewall);
  nat.set("KUBE-POSTROUTING", POSTROUTING);
  nat.set(MARK_MASQ, MARK_MASQ_RULES);
  filter.set("KUBE-FORWARD", FORWARD);
  filter.set("KUBE-FIREWALL", settings.family === 4 && settings.localhostNodePorts ? FIREWALL_V4 : NO_RULES);
  return { nat, filter, jumps: JUMPS, contributions };
}

function firstOf(m: ReadonlyMap<string, Contribution>): Contribution | undefined {
  return m.values().next().value;
}

/** The node-port jumps of an earlier plan with the same settings, so that they stay the same objects. */
function fixedTail(previous: IptablesPlan | undefined): readonly Rule[] | undefined {
  return previous?.nat.get("KUBE-SERVICES")?.filter((r) => r.target?.t === "JUMP" && r.target.chain === "KUBE-NODEPORTS");
}

function sameInput(a: ServiceInput, b: ServiceInput): boolean {
  return a.service === b.service && a.slices.length === b.slices.length && a.slices.every((s, i) => s === b.slices[i]);
}

function sameRules(a: readonly Rule[], b: readonly Rule[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Rules equal to those of `old` are the same objects, so that only what really differs is applied. */
function contribute(input: ServiceInput, settings: ProxySettings, old: Contribution | undefined): Contribution {
  const ports = servicePorts(input.service, settings.family).map((port: ServicePort) => {
    const endpoints = endpointsOf(port, input.slices, settings.family, settings.nodeName);
    return portRules(port, categorize(endpoints, port, settings), settings);
  });
  return { input, settings, ports: ports.map((p, i) => keepEqual(p, old?.ports[i])) };
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
const NO_RULES: readonly Rule[] = [];

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

const JUMPS: readonly JumpRule[] = [
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
