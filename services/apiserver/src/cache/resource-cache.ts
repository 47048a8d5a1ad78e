// The watch cache of one resource: live objects in key order, and a window of recent events.
// Invariants: `#keys` is sorted as etcd sorts ("namespace/name" by code unit) and holds exactly the live keys; the window holds every
// event with revision > `windowStart`; so the state at any revision >= windowStart can be rebuilt by undoing events.
import type { CachedObject } from "./cached-object.ts";

export interface CacheEvent {
  readonly revision: number;
  readonly id: string;
  /** The state after; for a deletion the last state, with the deletion's revision. */
  readonly object: CachedObject;
  readonly deleted: boolean;
  /** The state before; undefined for a creation. */
  readonly previous: CachedObject | undefined;
  /** Watch lines already encoded, by format and type; only while the watchers are told. */
  lines: Map<string, Buffer> | undefined;
}

/** Events kept for watches from an older revision and for lists at one; the oldest go first (then a client gets 410 Expired). */
export const MAX_WINDOW_EVENTS = 16_384;
/** The window also shrinks to half this many bytes of objects when past it. */
const MAX_WINDOW_BYTES = 48 * 1024 * 1024;

export interface Slice {
  objects: CachedObject[];
  /** Key of the last object when more follow. */
  next: string | undefined;
  /** How many follow after `objects`. */
  remaining: number;
}

export class ResourceCache {
  readonly #live = new Map<string, CachedObject>();
  #keys: string[] = [];
  #events: CacheEvent[] = [];
  #head = 0;
  #windowBytes = 0;
  #loading = false;
  /** Revision after which every event is in the window. */
  windowStart = 0;
  /** Revision of the newest change of this resource. */
  lastRevision = 0;
  /** Counts changes; consumers that derive something compare it. */
  changes = 0;
  readonly watchers = new Set<(e: CacheEvent) => void>();

  static id(namespace: string, name: string): string {
    return namespace === "" ? name : `${namespace}/${name}`;
  }

  get size(): number {
    return this.#live.size;
  }

  get(namespace: string, name: string): CachedObject | undefined {
    return this.#live.get(namespace === "" ? name : `${namespace}/${name}`);
  }

  /** Every live object (of a namespace), in key order. */
  *values(namespace?: string): IterableIterator<CachedObject> {
    const [from, to] = this.#range(namespace);
    for (let i = from; i < to; i++) yield this.#live.get(this.#keys[i] as string) as CachedObject;
  }

  /** Begins a snapshot: objects come in any order and are sorted once. */
  beginLoad(): void {
    this.#live.clear();
    this.#keys = [];
    this.#events = [];
    this.#head = 0;
    this.#windowBytes = 0;
    this.#loading = true;
    this.changes++;
  }

  /** Also of a cache that came into being during a snapshot, without beginLoad. */
  load(object: CachedObject): void {
    this.#loading = true;
    const id = ResourceCache.id(object.key.namespace, object.key.name);
    if (!this.#live.has(id)) this.#keys.push(id);
    this.#live.set(id, object);
    if (object.revision > this.lastRevision) this.lastRevision = object.revision;
  }

  endLoad(revision: number): void {
    if (!this.#loading) return;
    this.#keys.sort();
    this.#loading = false;
    this.windowStart = revision;
  }

  apply(object: CachedObject, deleted: boolean): CacheEvent {
    const id = ResourceCache.id(object.key.namespace, object.key.name);
    const previous = this.#live.get(id);
    if (deleted) {
      if (previous) {
        this.#live.delete(id);
        this.#keys.splice(lowerBound(this.#keys, id), 1);
      }
    } else {
      if (!previous) this.#keys.splice(lowerBound(this.#keys, id), 0, id);
      this.#live.set(id, object);
    }
    const event: CacheEvent = { revision: object.revision, id, object, deleted, previous, lines: undefined };
    this.#events.push(event);
    this.#windowBytes += object.full.length;
    this.lastRevision = object.revision;
    this.changes++;
    this.#shrink();
    for (const w of this.watchers) w(event);
    event.lines = undefined;
    return event;
  }

  #shrink(): void {
    let live = this.#events.length - this.#head;
    if (live <= MAX_WINDOW_EVENTS && this.#windowBytes <= MAX_WINDOW_BYTES) return;
    while (live > 0 && (live > MAX_WINDOW_EVENTS || this.#windowBytes > MAX_WINDOW_BYTES / 2)) {
      const e = this.#events[this.#head] as CacheEvent;
      this.#events[this.#head] = undefined as never;
      this.#windowBytes -= e.object.full.length;
      this.windowStart = e.revision;
      this.#head++;
      live--;
    }
    if (this.#head > 1024 && this.#head * 2 > this.#events.length) {
      this.#events = this.#events.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Events with revision > `after`, oldest first. The caller has checked `after >= windowStart`. */
  eventsAfter(after: number): CacheEvent[] {
    return this.#events.slice(this.#indexAfter(after));
  }

  #indexAfter(after: number): number {
    let lo = this.#head;
    let hi = this.#events.length;
    while (lo < hi) {
      const mid = (lo + hi) >>> 1;
      if ((this.#events[mid] as CacheEvent).revision <= after) lo = mid + 1;
      else hi = mid;
    }
    return lo;
  }

  #range(namespace: string | undefined): [number, number] {
    if (namespace === undefined || namespace === "") return [0, this.#keys.length];
    return [lowerBound(this.#keys, `${namespace}/`), lowerBound(this.#keys, `${namespace}0`)]; // "0" follows "/"
  }

  /**
   * Up to `limit` (0: all) objects of a namespace (undefined: all) that `accept`, with keys > `after`, as of `revision`
   * (0: now; else >= windowStart). `remaining` counts keys that follow, accepted or not.
   */
  slice(opts: { namespace?: string; after?: string; limit: number; revision: number; accept?: (o: CachedObject) => boolean }): Slice {
    const { limit, accept } = opts;
    if (opts.revision === 0 || opts.revision >= this.lastRevision) {
      const [start, to] = this.#range(opts.namespace);
      let i = opts.after === undefined ? start : Math.max(start, upperBound(this.#keys, opts.after));
      const objects: CachedObject[] = [];
      let last: string | undefined;
      for (; i < to && (limit === 0 || objects.length < limit); i++) {
        const id = this.#keys[i] as string;
        const o = this.#live.get(id) as CachedObject;
        if (accept && !accept(o)) continue;
        objects.push(o);
        last = id;
      }
      return { objects, next: i < to ? last : undefined, remaining: to - i };
    }
    return this.#sliceAt(opts);
  }

  #sliceAt(opts: { namespace?: string; after?: string; limit: number; revision: number; accept?: (o: CachedObject) => boolean }): Slice {
    const undone = new Map<string, CachedObject | undefined>();
    for (let i = this.#events.length - 1; i >= this.#head; i--) {
      const e = this.#events[i] as CacheEvent;
      if (e.revision <= opts.revision) break;
      undone.set(e.id, e.previous);
    }
    const prefix = opts.namespace ? `${opts.namespace}/` : "";
    const gone = [...undone].filter(([id, o]) => o && !this.#live.has(id) && id.startsWith(prefix)).map(([id]) => id);
    gone.sort();
    const [start, to] = this.#range(opts.namespace);
    let i = opts.after === undefined ? start : Math.max(start, upperBound(this.#keys, opts.after));
    let g = opts.after === undefined ? 0 : upperBound(gone, opts.after);
    const objects: CachedObject[] = [];
    let last: string | undefined;
    while ((i < to || g < gone.length) && (opts.limit === 0 || objects.length < opts.limit)) {
      const live = i < to ? (this.#keys[i] as string) : undefined;
      const dead = g < gone.length ? (gone[g] as string) : undefined;
      const id = live === undefined ? (dead as string) : dead === undefined || live < dead ? live : dead;
      if (id === live) i++;
      if (id === dead) g++;
      const o = undone.has(id) ? undone.get(id) : this.#live.get(id);
      if (!o) continue;
      if (opts.accept && !opts.accept(o)) continue;
      objects.push(o);
      last = id;
    }
    // What follows: the live keys, without those that came after the revision, and with those that went since.
    let remaining = to - i + (gone.length - g);
    const [from, until] = [this.#keys[i], to < this.#keys.length ? this.#keys[to] : undefined];
    if (i < to)
      for (const [id, o] of undone)
        if (!o && id >= (from as string) && (until === undefined || id < until) && this.#live.has(id)) remaining--;
    return { objects, next: remaining > 0 ? last : undefined, remaining };
  }
}

/** First index whose key is >= `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let lo = 0;
  let hi = keys.length;
  while (lo < hi) {
    const mid = (lo + hi) >>> 1;
    if ((keys[mid] as string) < key) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}

/** First index whose key is > `key`. */
function upperBound(keys: readonly string[], key: string): number {
  const at = lowerBound(keys, key);
  return keys[at] === key ? at + 1 : at;
}
