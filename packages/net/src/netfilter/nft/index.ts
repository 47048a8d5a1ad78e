// nftables: a second form of rules as data.
export * from "./data.ts";
export { NftHooks } from "./hooks.ts";
export { emptyDelta, type NftChain, type NftDelta, NftError, NftTable } from "./table.ts";
