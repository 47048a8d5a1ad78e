// The watch cache: every resource's cache, fed by the store. Get, list and watch are answered from here.
// Invariant: objects of one revision are applied together and in order; `revision` says up to where everything has been applied.
import type { Clock, Logger } from "@podwire/base";
import type { Entry, Feed, Store } from "@podwire/store";
import { CachedObject } from "./cached-object.ts";
import { ResourceCache } from "./resource-cache.ts";

/** How long an answer to a write waits for the cache. */
const SEEN_LIMIT_MS = 2_000;

export class WatchCache {
  readonly #store: Store;
  readonly #log: Logger;
  readonly #clock: Clock;
  #unseen = 0;
  readonly #resources = new Map<string, ResourceCache>();
  #feed: Feed | undefined;
  #loading = true;
  #synced: (() => void) | undefined;
  #snapshotRevision = 0;
  #asking: Promise<number> | undefined;
  #nextAsk: Promise<number> | undefined;
  #restartListeners = new Set<() => void>();
  #changeListeners = new Set<(o: CachedObject, deleted: boolean, previous: CachedObject | undefined) => void>();
  #malformed = 0;

  constructor(store: Store, opts: { clock: Clock; log: Logger }) {
    this.#store = store;
    this.#log = opts.log;
    this.#clock = opts.clock;
  }

  /** Opens the feed and resolves when the first snapshot is in. */
  async start(): Promise<void> {
    const synced = new Promise<void>((resolve) => {
      this.#synced = resolve;
    });
    this.#beginLoad();
    this.#feed = await this.#store.feed({
      onSnapshot: (e) => this.#onSnapshot(e),
      onSynced: (revision) => this.#onSynced(revision),
      onChange: (e) => this.#onChange(e),
      onRestart: (reason) => this.#onRestart(reason),
    });
    await synced;
  }

  /** Revision up to which everything has been applied. */
  get revision(): number {
    return Math.max(this.#feed?.revision ?? 0, this.#snapshotRevision);
  }

  get ready(): boolean {
    return !this.#loading;
  }

  of(group: string, resource: string): ResourceCache {
    const id = group === "" ? resource : `${group}/${resource}`;
    let c = this.#resources.get(id);
    if (!c) {
      c = new ResourceCache();
      c.windowStart = this.#snapshotRevision;
      this.#resources.set(id, c);
    }
    return c;
  }

  resources(): IterableIterator<[string, ResourceCache]> {
    return this.#resources.entries();
  }

  /**
   * Resolves when the cache has seen everything that was committed before the call. Callers that come while a question to the
   * store is under way share the next one, so a busy server asks once a round trip.
   */
  async fresh(request?: { readonly signal?: AbortSignal }): Promise<void> {
    const revision = await this.#currentRevision();
    if (revision > this.revision) await this.reached(revision, request?.signal);
  }

  /** Whether the cache is known to have seen every committed write, without asking. */
  get isFresh(): boolean {
    if (this.#loading) return false;
    const known = this.#store.knownRevision();
    return known !== undefined && known <= this.revision;
  }

  #currentRevision(): Promise<number> {
    if (!this.#asking) {
      this.#asking = this.#store.currentRevision().finally(() => {
        this.#asking = undefined;
      });
      return this.#asking;
    }
    if (!this.#nextAsk) {
      const under = this.#asking;
      this.#nextAsk = under.then(
        () => this.#ask(),
        () => this.#ask(),
      );
    }
    return this.#nextAsk;
  }

  #ask(): Promise<number> {
    this.#nextAsk = undefined;
    return this.#currentRevision();
  }

  /** Resolves when everything up to `revision` has been applied. */
  async reached(revision: number, signal?: AbortSignal): Promise<void> {
    if (!this.#loading && this.revision >= revision) return;
    await this.#feed?.reached(revision, signal);
  }

  /**
   * Resolves when a write of this server is in the cache, so that whoever got its answer finds it in everything that is looked up
   * there (roles, definitions, namespaces). Gives up after a while: the write itself is done.
   */
  async seen(revision: number): Promise<void> {
    if (this.revision >= revision) return;
    const limit = new AbortController();
    const timer = this.#clock.after(SEEN_LIMIT_MS, () => limit.abort(), { unref: true });
    try {
      await this.reached(revision, limit.signal);
    } catch {
      this.#unseen++;
    } finally {
      timer.cancel();
    }
  }

  /** Calls back when the store's feed lost its place and clients must list again; returns the way to stop listening. */
  onRestart(cb: () => void): () => void {
    this.#restartListeners.add(cb);
    return () => this.#restartListeners.delete(cb);
  }

  /** Watches from before this revision answer 410: what came before is bootstrap, or the history of an earlier process. */
  forgetHistory(): void {
    this.#snapshotRevision = this.revision;
    for (const c of this.#resources.values()) c.windowStart = Math.max(c.windowStart, c.lastRevision);
  }

  /** Every change of every resource, after it was applied. */
  onChange(cb: (o: CachedObject, deleted: boolean, previous: CachedObject | undefined) => void): void {
    this.#changeListeners.add(cb);
  }

  counters(): Record<string, number> {
    return { revision: this.revision, malformedEntries: this.#malformed, unseenWrites: this.#unseen, resources: this.#resources.size };
  }

  close(): void {
    this.#feed?.close();
  }

  #beginLoad(): void {
    this.#loading = true;
    for (const c of this.#resources.values()) c.beginLoad();
  }

  #onSnapshot(e: Entry): void {
    const o = this.#object(e);
    if (!o) return;
    this.of(e.key.group, e.key.resource).load(o);
  }

  #onSynced(revision: number): void {
    this.#snapshotRevision = revision;
    for (const c of this.#resources.values()) {
      c.endLoad(revision);
      c.windowStart = revision;
      c.watchers.clear();
    }
    this.#loading = false;
    this.#synced?.();
  }

  #onChange(e: Entry): void {
    const o = this.#object(e);
    if (!o) return;
    const event = this.of(e.key.group, e.key.resource).apply(o, e.deleted);
    for (const cb of this.#changeListeners) cb(o, e.deleted, event.previous);
    event.previous?.retire();
  }

  #onRestart(reason: string): void {
    this.#log.warn({ reason }, "the store's feed starts again; watches are closed");
    this.#beginLoad();
    for (const cb of this.#restartListeners) cb();
  }

  #object(e: Entry): CachedObject | undefined {
    try {
      return CachedObject.fromValue(e.key, e.revision, e.value);
    } catch (err) {
      this.#malformed++;
      this.#log.error({ err, key: e.key, revision: e.revision }, "an entry of the store is not an object; left out");
      return undefined;
    }
  }
}
