// The store in memory: for tests, and for a whole cluster in one process. It keeps every version until compaction, as the
// JetStream driver does, and publishes the same events when it is given a bus.
import { type Clock, type Logger, oncePerMinute, silentLogger } from "@podwire/base";
import { type Bus, subjectsOf } from "@podwire/bus";
import type { Entry, Feed, FeedHandlers, Key, Store } from "./contract.ts";
import { KeyExistsError, KeyNotFoundError, RevisionConflictError, StoreClosedError } from "./errors.ts";
import { FeedProgress } from "./feed-progress.ts";
import { ADD, DEL, OP } from "./version-headers.ts";

export interface MemoryStoreOptions {
  clock: Clock;
  log?: Logger;
  /** Every change is published here on `subjects.event(key)`, as JetStream's RePublish does. */
  bus?: Bus;
}

export interface MemoryStore extends Store {
  /** Versions and deletion markers that are kept, superseded ones included. */
  versions(): number;
}

/** An empty store that nothing outlives. */
export function openMemoryStore(opts: MemoryStoreOptions): MemoryStore {
  return new Memory(opts);
}

class Memory implements MemoryStore {
  private readonly clock: Clock;
  private readonly bus: Bus | undefined;
  private readonly subjects;
  private readonly complaints;
  private readonly keys = new Map<string, Entry[]>();
  private readonly feeds = new Set<MemoryFeed>();
  private revision = 0;
  private closed = false;

  constructor(opts: MemoryStoreOptions) {
    this.clock = opts.clock;
    this.bus = opts.bus;
    this.subjects = subjectsOf(opts.bus?.cluster ?? "memory");
    this.complaints = oncePerMinute(opts.log ?? silentLogger, opts.clock);
  }

  async create(key: Key, value: Uint8Array): Promise<number> {
    const last = this.last(key);
    if (last && !last.deleted) throw new KeyExistsError(key, last.revision);
    return this.commit(key, value, ADD);
  }

  async update(key: Key, value: Uint8Array, expectedRevision: number): Promise<number> {
    this.expect(key, expectedRevision);
    return this.commit(key, value, undefined);
  }

  async delete(key: Key, lastState: Uint8Array, expectedRevision: number): Promise<number> {
    this.expect(key, expectedRevision);
    return this.commit(key, lastState, DEL);
  }

  async get(key: Key): Promise<Entry | undefined> {
    const last = this.last(key);
    return last?.deleted ? undefined : last;
  }

  knownRevision(): number | undefined {
    return this.closed ? undefined : this.revision;
  }

  async currentRevision(): Promise<number> {
    this.mustBeOpen();
    return this.revision;
  }

  async feed(handlers: FeedHandlers): Promise<Feed> {
    this.mustBeOpen();
    const live: Entry[] = [];
    for (const versions of this.keys.values()) {
      const last = versions.at(-1) as Entry;
      if (!last.deleted) live.push(last);
    }
    live.sort((a, b) => a.revision - b.revision);
    const feed = new MemoryFeed(handlers, this.clock, live, this.revision, this.complaints, () => this.feeds.delete(feed));
    this.feeds.add(feed);
    return feed;
  }

  async compact(revision: number): Promise<void> {
    this.mustBeOpen();
    for (const [id, versions] of this.keys) {
      const last = versions.at(-1) as Entry;
      const kept = versions.filter((v) => v.revision > revision || (v === last && !v.deleted));
      if (kept.length === 0) this.keys.delete(id);
      else if (kept.length < versions.length) this.keys.set(id, kept);
    }
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const f of [...this.feeds]) f.close();
  }

  versions(): number {
    let n = 0;
    for (const v of this.keys.values()) n += v.length;
    return n;
  }

  private mustBeOpen(): void {
    if (this.closed) throw new StoreClosedError();
  }

  private last(key: Key): Entry | undefined {
    this.mustBeOpen();
    return this.keys.get(this.subjects.store(key))?.at(-1);
  }

  private expect(key: Key, expectedRevision: number): void {
    const last = this.last(key);
    if (!last || last.deleted) throw new KeyNotFoundError(key);
    if (last.revision !== expectedRevision) throw new RevisionConflictError(key, expectedRevision, last.revision);
  }

  private commit(key: Key, value: Uint8Array, op: string | undefined): number {
    const deleted = op === DEL;
    const id = this.subjects.store(key);
    const versions = this.keys.get(id);
    const previousRevision = versions?.at(-1)?.revision ?? 0;
    const entry: Entry = { key: { ...key }, value: value.slice(), revision: ++this.revision, deleted, previousRevision };
    if (versions) versions.push(entry);
    else this.keys.set(id, [entry]);
    for (const f of this.feeds) f.push(entry);
    this.bus?.publish(this.subjects.event(key), entry.value, {
      headers: {
        "Nats-Sequence": String(entry.revision),
        "Nats-Last-Sequence": String(previousRevision),
        ...(op === undefined ? {} : { [OP]: op }),
      },
    });
    return entry.revision;
  }
}

/** Delivers in later turns, so that a handler never runs inside somebody's write. */
class MemoryFeed implements Feed {
  private readonly handlers: FeedHandlers;
  private readonly clock: Clock;
  private readonly complaints;
  private readonly progress = new FeedProgress();
  private readonly released: () => void;
  private snapshot: Entry[] | undefined;
  private readonly snapshotRevision: number;
  private queue: Entry[] = [];
  private scheduled = false;
  private closed = false;

  constructor(
    handlers: FeedHandlers,
    clock: Clock,
    snapshot: Entry[],
    revision: number,
    complaints: ReturnType<typeof oncePerMinute>,
    released: () => void,
  ) {
    this.handlers = handlers;
    this.clock = clock;
    this.snapshot = snapshot;
    this.snapshotRevision = revision;
    this.complaints = complaints;
    this.released = released;
    this.schedule();
  }

  get revision(): number {
    return this.progress.revision;
  }

  reached(atLeast: number, signal?: AbortSignal): Promise<void> {
    return this.progress.reached(atLeast, signal);
  }

  push(e: Entry): void {
    this.queue.push(e);
    this.schedule();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.released();
    this.progress.close();
  }

  private schedule(): void {
    if (this.scheduled || this.closed) return;
    this.scheduled = true;
    this.clock.soon(() => this.deliver());
  }

  private deliver(): void {
    this.scheduled = false;
    if (this.closed) return;
    const { snapshot } = this;
    if (snapshot) {
      this.snapshot = undefined;
      for (const e of snapshot) this.guard(() => this.handlers.onSnapshot(e));
      this.guard(() => this.handlers.onSynced(this.snapshotRevision));
      this.progress.advance(this.snapshotRevision);
    }
    const batch = this.queue;
    this.queue = [];
    for (const e of batch) {
      if (this.closed) return;
      this.guard(() => this.handlers.onChange(e));
      this.progress.advance(e.revision);
    }
  }

  private guard(fn: () => void): void {
    try {
      fn();
    } catch (err) {
      this.complaints.complain("feed handler failed", { err });
    }
  }
}
