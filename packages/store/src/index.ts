// store: where the cluster's objects live, version by version. One contract, two drivers: memory and JetStream.
export { DEFAULT_COMPACTION_PERIOD_MS, startCompaction } from "./compaction.ts";
export type { Entry, Feed, FeedHandlers, Key, Store } from "./contract.ts";
export * from "./errors.ts";
export { type JetStreamStore, type JetStreamStoreOptions, openJetStreamStore } from "./jetstream.ts";
export { type MemoryStore, type MemoryStoreOptions, openMemoryStore } from "./memory.ts";
