// The objects an informer knows, with indexes, as a pure structure: changes in, notifications out.
// Invariants: the revision of a key never goes back; an index holds exactly the cached objects; a change whose previous
// revision is not the one we hold is reported as a gap and not applied (the caller lists again).
import { type KubeObject, keyOf, objectKey, revisionOf } from "./object.ts";

/** Index values of an object; called once a version. */
export type IndexFunction<T extends KubeObject> = (object: T) => readonly string[];

export interface Lister<T extends KubeObject = KubeObject> {
  /** The cached object (shared: do not change it), or undefined. */
  get(namespace: string, name: string): T | undefined;
  /** All, or those of one namespace, or those that `where` keeps. */
  list(namespace?: string, where?: (object: T) => boolean): T[];
  /** Objects whose index function gave `value`. Throws when there is no such index. */
  byIndex(index: string, value: string): T[];
  readonly size: number;
}

export interface Change {
  namespace: string;
  name: string;
  revision: number;
  /** Revision of the version before of the same key; 0 when there was none; undefined when the source cannot say. */
  previousRevision: number | undefined;
  deleted: boolean;
}

export interface Notifications<T extends KubeObject> {
  onAdd(object: T): void;
  onUpdate(object: T, old: T): void;
  onDelete(object: T): void;
}

/** Deleted keys whose deletion revision is remembered for gap detection; past it the older half is forgotten. */
const MAX_TOMBSTONES = 20_000;

/** The index that every cache has. */
export const NAMESPACE_INDEX = "namespace";

/** Objects of one resource by key, with indexes and handlers; what an informer fills. */
export class ObjectCache<T extends KubeObject = KubeObject> implements Lister<T> {
  readonly #objects = new Map<string, T>();
  readonly #functions = new Map<string, IndexFunction<T>>();
  readonly #indexes = new Map<string, Map<string, Map<string, T>>>();
  #tombstones = new Map<string, number>();
  /** The list that this cache stands on was exact for this revision. */
  #baseRevision = 0;
  readonly #notify: Notifications<T>;

  constructor(notify: Notifications<T>, indexes: Record<string, IndexFunction<T>> = {}) {
    this.#notify = notify;
    this.addIndex(NAMESPACE_INDEX, (o) => [o.metadata.namespace ?? ""]);
    for (const [name, fn] of Object.entries(indexes)) this.addIndex(name, fn);
  }

  /** Adds an index over what is cached now and later; adding a name twice keeps the first. */
  addIndex(name: string, fn: IndexFunction<T>): void {
    if (this.#functions.has(name)) return;
    this.#functions.set(name, fn);
    this.#indexes.set(name, new Map());
    for (const [key, o] of this.#objects) this.#link(name, fn, key, o);
  }

  get size(): number {
    return this.#objects.size;
  }

  get(namespace: string, name: string): T | undefined {
    return this.#objects.get(keyOf(namespace, name));
  }

  list(namespace?: string, where?: (object: T) => boolean): T[] {
    const all = namespace === undefined ? [...this.#objects.values()] : this.byIndex(NAMESPACE_INDEX, namespace);
    return where ? all.filter(where) : all;
  }

  byIndex(index: string, value: string): T[] {
    const values = this.#indexes.get(index);
    if (!values) throw new RangeError(`no index named ${index}`);
    const found = values.get(value);
    return found ? [...found.values()] : [];
  }

  /** Replaces everything by a list that is exact for `revision`, notifying only differences. */
  replace(objects: readonly T[], revision: number): void {
    this.#baseRevision = Math.max(this.#baseRevision, revision);
    this.#tombstones.clear();
    const seen = new Set<string>();
    for (const o of objects) {
      const key = objectKey(o);
      seen.add(key);
      const old = this.#objects.get(key);
      if (!old) this.#put(key, undefined, o);
      else if (old.metadata.uid !== o.metadata.uid) {
        this.#remove(key, old);
        this.#put(key, undefined, o);
      } else if (revisionOf(old) < revisionOf(o)) this.#put(key, old, o);
    }
    for (const [key, old] of [...this.#objects]) if (!seen.has(key)) this.#remove(key, old);
  }

  /** Applies one change. "gap" means that versions in between were missed and nothing was applied; "old" that it was known. */
  apply(change: Change, object: T): "applied" | "old" | "gap" {
    if (change.revision <= this.#baseRevision) return "old";
    const key = keyOf(change.namespace, change.name);
    const held = this.#objects.get(key);
    const heldRevision = held ? revisionOf(held) : (this.#tombstones.get(key) ?? 0);
    if (change.revision <= heldRevision) return "old";
    const previous = change.previousRevision;
    if (previous !== undefined && previous !== heldRevision && previous > this.#baseRevision) return "gap";
    if (change.deleted) {
      this.#bury(key, change.revision);
      if (held) this.#remove(key, object);
      return "applied";
    }
    this.#tombstones.delete(key);
    if (held && held.metadata.uid !== object.metadata.uid) {
      this.#remove(key, held);
      this.#put(key, undefined, object);
    } else this.#put(key, held, object);
    return "applied";
  }

  #bury(key: string, revision: number): void {
    if (this.#tombstones.size >= MAX_TOMBSTONES) this.#tombstones = new Map([...this.#tombstones].slice(MAX_TOMBSTONES / 2));
    this.#tombstones.set(key, revision);
  }

  #put(key: string, old: T | undefined, o: T): void {
    for (const [name, fn] of this.#functions) {
      if (old) this.#unlink(name, fn, key, old);
      this.#link(name, fn, key, o);
    }
    this.#objects.set(key, o);
    if (old) this.#notify.onUpdate(o, old);
    else this.#notify.onAdd(o);
  }

  /** `last` is the final state, which may be newer than the cached one. */
  #remove(key: string, last: T): void {
    const held = this.#objects.get(key) as T;
    for (const [name, fn] of this.#functions) this.#unlink(name, fn, key, held);
    this.#objects.delete(key);
    this.#notify.onDelete(last);
  }

  #link(index: string, fn: IndexFunction<T>, key: string, o: T): void {
    const values = this.#indexes.get(index) as Map<string, Map<string, T>>;
    for (const v of fn(o)) {
      let bucket = values.get(v);
      if (!bucket) values.set(v, (bucket = new Map()));
      bucket.set(key, o);
    }
  }

  #unlink(index: string, fn: IndexFunction<T>, key: string, o: T): void {
    const values = this.#indexes.get(index) as Map<string, Map<string, T>>;
    for (const v of fn(o)) {
      const bucket = values.get(v);
      if (!bucket) continue;
      bucket.delete(key);
      if (bucket.size === 0) values.delete(v);
    }
  }
}
