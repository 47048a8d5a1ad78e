// Brings the netfilter tables of a node from one plan to the next, touching only what differs.
// Invariant: between two plans the tables are never without the rules of either: chains are made before they are jumped to and
// deleted after, each table in one transaction.
import { printRule, type Ruleset } from "@podwire/net";
import type { IptablesPlan } from "./iptables-plan.ts";

export interface Applied {
  chainsSet: number;
  chainsRemoved: number;
}

export function applyIptables(ruleset: Ruleset, next: IptablesPlan, previous: IptablesPlan | undefined): Applied {
  const applied: Applied = { chainsSet: 0, chainsRemoved: 0 };
  for (const table of ["nat", "filter"] as const) {
    const chains = new Map<string, IptablesPlan["nat"] extends ReadonlyMap<string, infer R> ? R : never>();
    for (const [name, rules] of next[table]) if (previous?.[table].get(name) !== rules) chains.set(name, rules);
    const remove = [...(previous?.[table].keys() ?? [])].filter((name) => !next[table].has(name));
    if (chains.size > 0 || remove.length > 0) ruleset.table(table).apply({ chains, remove });
    applied.chainsSet += chains.size;
    applied.chainsRemoved += remove.length;
  }
  if (previous === undefined) placeJumps(ruleset, next);
  return applied;
}

/** Puts our jumps in front of what others have in the built-in chains; jumps of an earlier life are not doubled. */
function placeJumps(ruleset: Ruleset, plan: IptablesPlan): void {
  for (const table of ["nat", "filter"] as const)
    for (const chain of new Set(plan.jumps.filter((j) => j.table === table).map((j) => j.chain))) {
      const ours = plan.jumps.filter((j) => j.table === table && j.chain === chain).map((j) => j.rule);
      const texts = new Set(ours.map(printRule));
      const others = (ruleset.table(table).chains.get(chain)?.rules ?? []).filter((r) => !texts.has(printRule(r)));
      ruleset.table(table).apply({ chains: new Map([[chain, [...ours, ...others]]]) });
    }
}

/** Takes everything of this mode away again (a switch of mode). */
export function removeIptables(ruleset: Ruleset, plan: IptablesPlan): void {
  for (const j of plan.jumps) ruleset.table(j.table).deleteRule(j.chain, j.rule);
  for (const table of ["filter", "nat"] as const) ruleset.table(table).apply({ chains: new Map(), remove: [...plan[table].keys()] });
}
