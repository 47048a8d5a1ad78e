// Objects on the store: create, guaranteed update, delete, with Kubernetes' conflict rules (apiserver/pkg/storage/etcd3).
// Invariant: an update is written only against the revision whose object the caller saw; on a conflict the newest object is read and the
// caller asked again. A change that changes nothing is not written and keeps its resourceVersion.

import { isDeepStrictEqual } from "node:util";
import { type KubeObject, statusErrors } from "@podwire/api";
import { type Key, KeyExistsError, KeyNotFoundError, RevisionConflictError, type Store } from "@podwire/store";
import { CachedObject, encodeText } from "../cache/cached-object.ts";
import type { WatchCache } from "../cache/watch-cache.ts";

/** Attempts of one guaranteed update before the client gets 409. */
const MAX_ATTEMPTS = 20;

export interface Written {
  object: KubeObject;
  revision: number;
  /** The whole object as JSON with its resourceVersion; made when first asked for. */
  cached: CachedObject;
  /** False when nothing changed. */
  changed: boolean;
}

/** Where a resource lives: its storage group and resource, and the name that error messages carry. */
export interface StorageOf {
  group: string;
  resource: string;
}

/** What `change` returns to delete the object; `lastState` goes into the deletion marker. */
export class Deletion {
  readonly lastState: KubeObject;
  /** A DELETE answers with the deletion's revision, an update that ends in a deletion with that of the last state. */
  readonly answersDeletionRevision: boolean;
  /** What watchers see of the object, where that is not what the client is answered. */
  readonly shown: KubeObject;
  constructor(lastState: KubeObject, answersDeletionRevision: boolean, shown = lastState) {
    this.lastState = lastState;
    this.shown = shown;
    this.answersDeletionRevision = answersDeletionRevision;
  }
}

export class ObjectStorage {
  readonly #store: Store;
  readonly #cache: WatchCache;
  readonly #encoder = new TextEncoder();
  readonly #isStale: (key: Key) => boolean;
  writes = 0;

  /** `isStale`: the stored form must be written again even when nothing changes. */
  constructor(store: Store, cache: WatchCache, isStale: (key: Key) => boolean = () => false) {
    this.#store = store;
    this.#cache = cache;
    this.#isStale = isStale;
  }

  /** Throws the 409 AlreadyExists of `errorResource`. */
  async create(key: Key, object: KubeObject, errorResource: StorageOf = key): Promise<Written> {
    const text = encodeText(object);
    const value = this.#encoder.encode(text);
    try {
      const revision = await this.#store.create(key, value);
      this.writes++;
      await this.#cache.seen(revision);
      return this.#committed(key, revision, value, object);
    } catch (e) {
      if (e instanceof KeyExistsError) throw statusErrors.alreadyExists(errorResource, key.name);
      throw e;
    }
  }

  /** What a create would give, for a dry run: no revision. */
  unwritten(key: Key, object: KubeObject): Written {
    return this.#written(key, 0, this.#encoder.encode(encodeText(object)), object, false);
  }

  /** The newest object: the cached one, which may be a little old; `fresh` asks the store. */
  async read(key: Key, fresh: boolean): Promise<CachedObject | undefined> {
    if (!fresh) {
      const cached = this.#cache.of(key.group, key.resource).get(key.namespace, key.name);
      if (cached) return cached;
    }
    const e = await this.#store.get(key);
    return e && !e.deleted ? CachedObject.fromValue(key, e.revision, e.value) : undefined;
  }

  /**
   * Reads, asks `change` for the next state of a private copy, writes. `change` gets undefined when the object is absent, and may throw; a
   * refusal that rests on a cached state is checked once against the store's. `change` returns what to write, or a Deletion.
   */
  async update(
    key: Key,
    change: (current: KubeObject | undefined, revision: number) => KubeObject | Deletion | Promise<KubeObject | Deletion>,
    opts: { dryRun?: boolean; errorResource?: StorageOf } = {},
  ): Promise<Written & { deleted: boolean; created: boolean }> {
    const errorResource = opts.errorResource ?? key;
    let fresh = false;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const current = await this.read(key, fresh);
      const asked = fresh || current === undefined;
      let next: KubeObject | Deletion;
      try {
        next = await change(current?.copy(), current?.revision ?? 0);
      } catch (e) {
        if (asked) throw e;
        fresh = true; // the refusal may come from an old state
        const now = await this.read(key, true);
        if (now?.revision === current?.revision) throw e;
        continue;
      }
      try {
        return await this.#write(key, current, next, opts.dryRun === true);
      } catch (e) {
        if (e instanceof RevisionConflictError || e instanceof KeyNotFoundError || e instanceof KeyExistsError) {
          fresh = true;
          continue;
        }
        throw e;
      }
    }
    throw statusErrors.conflict(
      errorResource,
      key.name,
      "the object has been modified; please apply your changes to the latest version and try again",
    );
  }

  async #write(key: Key, current: CachedObject | undefined, next: KubeObject | Deletion, dryRun: boolean) {
    if (next instanceof Deletion) {
      if (!current) throw new KeyNotFoundError(key);
      const value = this.#encoder.encode(encodeText(next.lastState));
      let revision = current.revision;
      if (!dryRun) {
        revision = await this.#store.delete(key, this.#encoder.encode(encodeText(next.shown)), current.revision);
        this.writes++;
        await this.#cache.seen(revision);
      }
      const shown = next.answersDeletionRevision ? revision : current.revision;
      return { ...this.#written(key, shown, value, next.lastState, !dryRun), revision, deleted: true, created: false };
    }
    const text = encodeText(next);
    const value = this.#encoder.encode(text);
    if (current && sameValue(current, value) && !this.#isStale(key)) {
      next.metadata.resourceVersion = String(current.revision);
      return { object: next, revision: current.revision, cached: current, changed: false, deleted: false, created: false };
    }
    if (dryRun) {
      const revision = current?.revision ?? 0;
      return { ...this.#written(key, revision, value, next, false), deleted: false, created: current === undefined };
    }
    const revision = current ? await this.#store.update(key, value, current.revision) : await this.#store.create(key, value);
    this.writes++;
    await this.#cache.seen(revision);
    return { ...this.#committed(key, revision, value, next), deleted: false, created: current === undefined };
  }

  /** Deletes the version of `revision`, with `lastState` in the deletion marker. */
  async delete(key: Key, lastState: KubeObject, revision: number): Promise<number> {
    const deleted = await this.#store.delete(key, this.#encoder.encode(encodeText(lastState)), revision);
    this.writes++;
    return deleted;
  }

  /** What was written is in the cache by now: its bytes serve the answer too. */
  #committed(key: Key, revision: number, value: Uint8Array, object: KubeObject): Written {
    const live = this.#cache.of(key.group, key.resource).get(key.namespace, key.name);
    if (live?.revision !== revision) return this.#written(key, revision, value, object, true);
    object.metadata.resourceVersion = String(revision);
    return { object, revision, cached: live, changed: true };
  }

  #written(key: Key, revision: number, value: Uint8Array, object: KubeObject, changed: boolean): Written {
    if (revision > 0) object.metadata.resourceVersion = String(revision);
    else delete object.metadata.resourceVersion;
    return { object, revision, cached: CachedObject.fromValue(key, revision, value), changed };
  }
}

/** Whether `value` (no resourceVersion) is what `current` holds. */
function sameValue(current: CachedObject, value: Uint8Array): boolean {
  const b = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const other = CachedObject.fromValue(current.key, current.revision, b);
  if (other.full.length !== current.full.length) return false;
  // Go's encoder sorts map keys, ours keeps the client's order: the same members in another order are no change.
  return other.full.equals(current.full) || isDeepStrictEqual(other.object, current.object);
}
