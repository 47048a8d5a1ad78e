// nftables rules as data, in nft's own words, and their text as `nft list table` prints it.
// Invariant: a rule, an element and a verdict are plain JSON and never change once in a table. Source of the words: nft(8).
import type { HookName } from "../rule.ts";

export type NftVerdict = { v: "accept" | "drop" | "return" } | { v: "jump" | "goto"; chain: string };

export type NftMatch =
  | { k: "addr"; field: "saddr" | "daddr"; not?: true; in: readonly string[] }
  | { k: "addrSet"; field: "saddr" | "daddr"; set: string; not?: true }
  | { k: "local"; field: "saddr" | "daddr" }
  | { k: "l4proto"; is: "tcp" | "udp" | "sctp" }
  | { k: "dport"; protocol: "tcp" | "udp" | "sctp"; is: number }
  | { k: "ctNew" }
  | { k: "markClear"; mask: number };

export type NftStatement =
  | { s: "verdict"; is: NftVerdict }
  /** ip daddr . meta l4proto . th dport vmap @map */
  | { s: "serviceMap"; map: string }
  /** meta l4proto . th dport vmap @map */
  | { s: "portMap"; map: string }
  /** numgen random mod N vmap { 0 : goto ..., ... } */
  | { s: "random"; chains: readonly string[] }
  /** ip saddr @affinity-set goto chain */
  | { s: "affinity"; set: string; chain: string }
  /** update @affinity-set { ip saddr } */
  | { s: "remember"; set: string }
  | { s: "markOr" | "markXor"; value: number }
  | { s: "dnat"; to: string }
  | { s: "masquerade" }
  | { s: "reject" };

export interface NftRule {
  readonly match?: readonly NftMatch[];
  readonly do: NftStatement;
  readonly comment?: string;
}

/** A base chain's place. */
export interface NftHook {
  type: "filter" | "nat";
  hook: HookName;
  /** "dstnat-10", "dstnat", "filter", "srcnat". */
  priority: "dstnat-10" | "dstnat" | "filter" | "srcnat";
}

export type NftMapType = "service" | "port";

export interface NftElement {
  /** "10.96.0.1 . tcp . 80", or "tcp . 30080". */
  key: string;
  is: NftVerdict;
  comment?: string;
}

export function printVerdict(v: NftVerdict): string {
  return "chain" in v ? `${v.v} ${v.chain}` : v.v;
}

export function printNftRule(r: NftRule, ip: "ip" | "ip6"): string {
  const parts = (r.match ?? []).map((m) => printNftMatch(m, ip));
  parts.push(printStatement(r.do, ip));
  if (r.comment !== undefined) parts.push(`comment "${r.comment}"`);
  return parts.join(" ");
}

function printNftMatch(m: NftMatch, ip: "ip" | "ip6"): string {
  switch (m.k) {
    case "addr": {
      const value = m.in.length === 1 ? m.in[0] : `{ ${m.in.join(", ")} }`;
      return `${ip} ${m.field} ${m.not ? "!= " : ""}${value}`;
    }
    case "addrSet":
      return `${ip} ${m.field} ${m.not ? "!= " : ""}@${m.set}`;
    case "local":
      return `fib ${m.field} type local`;
    case "l4proto":
      return `meta l4proto ${m.is}`;
    case "dport":
      return `${m.protocol} dport ${m.is}`;
    case "ctNew":
      return "ct state new";
    case "markClear":
      return `meta mark & 0x${m.mask.toString(16).padStart(8, "0")} == 0x00000000`;
  }
}

function printStatement(s: NftStatement, ip: "ip" | "ip6"): string {
  switch (s.s) {
    case "verdict":
      return printVerdict(s.is);
    case "serviceMap":
      return `${ip} daddr . meta l4proto . th dport vmap @${s.map}`;
    case "portMap":
      return `meta l4proto . th dport vmap @${s.map}`;
    case "random":
      return `numgen random mod ${s.chains.length} vmap { ${s.chains.map((c, i) => `${i} : goto ${c}`).join(", ")} }`;
    case "affinity":
      return `${ip} saddr @${s.set} goto ${s.chain}`;
    case "remember":
      return `update @${s.set} { ${ip} saddr }`;
    case "markOr":
    case "markXor":
      return `meta mark set meta mark ${s.s === "markOr" ? "|" : "^"} 0x${s.value.toString(16).padStart(8, "0")}`;
    case "dnat":
      return `dnat to ${s.to}`;
    case "masquerade":
      return "masquerade fully-random";
    case "reject":
      return "reject";
  }
}
