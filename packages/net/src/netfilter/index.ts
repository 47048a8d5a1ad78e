// Rules as data, tables, hooks.

export * from "./ipvs/index.ts";
export { type HookExtension, HookVerdict, Netfilter } from "./netfilter.ts";
export * from "./nft/index.ts";
export { RecentLists } from "./recent.ts";
export * from "./rule.ts";
export { IpSets, type SetType } from "./sets.ts";
export { type Chain, type Policy, Ruleset, RulesetError, Table, type TableUpdate } from "./tables.ts";
export type { Position } from "./walk.ts";
