// The store: a dozen methods, MVCC, one revision counter for everything. Drivers: memory.ts, jetstream.ts; both pass
// `contract.suite.ts`. Invariants: revisions only grow; a feed delivers every change once, in order of revision, and a
// change is visible to `get` no later than its commit is acknowledged.
import type { Key } from "@podwire/bus";

export type { Key };

/** One version of one key. `value` is the object's JSON **without** metadata.resourceVersion: readers insert the revision. */
export interface Entry {
  key: Key;
  value: Uint8Array;
  /** The revision of this version, > 0. */
  revision: number;
  /** True for a deletion; `value` is then the last state and `revision` the deletion's own. */
  deleted: boolean;
  /** Revision of the version before this one of the same key; 0 when none is known. */
  previousRevision: number;
}

export interface Feed {
  /** Revision up to which every change was delivered. */
  readonly revision: number;
  /** Resolves when `revision` has reached `atLeast`; rejects when the signal aborts or the feed is closed. */
  reached(atLeast: number, signal?: AbortSignal): Promise<void>;
  close(): void;
}

export interface FeedHandlers {
  /** The live state when the feed begins (no deletions), then `onSynced` with the revision it is exact for. */
  onSnapshot(entry: Entry): void;
  onSynced(revision: number): void;
  /** Every later change. */
  onChange(entry: Entry): void;
  /** The feed lost its place (server gone and back, stream compacted): it starts again with a snapshot. */
  onRestart(reason: string): void;
}

export interface Store {
  /** Throws KeyExistsError. Resolves with the new revision once the write is committed. */
  create(key: Key, value: Uint8Array): Promise<number>;
  /** Throws RevisionConflictError (with the current revision) or KeyNotFoundError. */
  update(key: Key, value: Uint8Array, expectedRevision: number): Promise<number>;
  /** Writes a deletion marker that carries `lastState`. Throws as `update`. Resolves with the deletion's revision. */
  delete(key: Key, lastState: Uint8Array, expectedRevision: number): Promise<number>;
  /** The newest version, read from the leader; undefined when absent or deleted. */
  get(key: Key): Promise<Entry | undefined>;
  /** The last committed revision of the store: not older than any write that was acknowledged before the call. */
  currentRevision(): Promise<number>;
  /** `currentRevision` where it is known at once; undefined where the leader has to be asked. */
  knownRevision(): number | undefined;
  /** Everything, then every change. */
  feed(handlers: FeedHandlers): Promise<Feed>;
  /** Forgets superseded versions and old deletion markers up to `revision`; live objects stay. */
  compact(revision: number): Promise<void>;
  close(): Promise<void>;
}
