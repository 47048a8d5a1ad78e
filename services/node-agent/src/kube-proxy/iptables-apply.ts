// Brings the netfilter tables of a node along with the planner's steps.
// Invariant: each table changes in one transaction, which checks that no jump leads nowhere; our jumps stand in front of what others
// have in the built-in chains, once.
import { printRule, type Ruleset } from "@podwire/net";
import { type IptablesDelta, JUMPS } from "./iptables-plan.ts";

export interface Applied {
  chainsSet: number;
  chainsRemoved: number;
}

export function applyIptables(ruleset: Ruleset, delta: IptablesDelta): Applied {
  const applied: Applied = { chainsSet: 0, chainsRemoved: 0 };
  for (const table of ["nat", "filter"] as const) {
    const { set, remove } = delta[table];
    if (set.size > 0 || remove.length > 0) ruleset.table(table).apply({ chains: set, remove });
    applied.chainsSet += set.size;
    applied.chainsRemoved += remove.length;
  }
  return applied;
}

/** Puts our jumps in front of what others have in the built-in chains; jumps of an earlier life are not doubled. */
export function placeJumps(ruleset: Ruleset): void {
  for (const table of ["nat", "filter"] as const)
    for (const chain of new Set(JUMPS.filter((j) => j.table === table).map((j) => j.chain))) {
      const ours = JUMPS.filter((j) => j.table === table && j.chain === chain).map((j) => j.rule);
      const texts = new Set(ours.map(printRule));
      const others = (ruleset.table(table).chains.get(chain)?.rules ?? []).filter((r) => !texts.has(printRule(r)));
      ruleset.table(table).apply({ chains: new Map([[chain, [...ours, ...others]]]) });
    }
}

/** Takes everything of this mode away again (a switch of mode). */
export function removeIptables(ruleset: Ruleset, chains: { nat: readonly string[]; filter: readonly string[] }): void {
  for (const j of JUMPS) ruleset.table(j.table).deleteRule(j.chain, j.rule);
  for (const table of ["filter", "nat"] as const) ruleset.table(table).apply({ chains: new Map(), remove: chains[table] });
}
