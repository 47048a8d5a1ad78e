// A store whose values are encrypted by resource, over any other store: what lies on disk, and what the store broadcasts, is ciphertext.
// Invariant: nothing above this file sees ciphertext; a version that cannot be read is remembered and named, never passed on or dropped unsaid.
import { reasonOf } from "@podwire/base";
import type { Entry, Feed, FeedHandlers, Key, Store } from "@podwire/store";
import { DecryptionError, type EncryptionConfiguration } from "./providers.ts";

export class EncryptedStore implements Store {
  readonly #store: Store;
  readonly #config: EncryptionConfiguration;
  readonly #stale = new Set<string>();
  readonly #unreadable = new Map<string, { key: Key; reason: string }>();

  constructor(store: Store, config: EncryptionConfiguration) {
    this.#store = store;
    this.#config = config;
  }

  /** True when the newest version was written with a key that is no longer the first: the next write replaces it, changed or not. */
  isStale(key: Key): boolean {
    return this.#stale.has(pathOf(key));
  }

  /** Why an object, or one of a collection, cannot be read; undefined when all can. */
  unreadable(group: string, resource: string, namespace: string, name?: string): string | undefined {
    for (const [path, { key, reason }] of this.#unreadable) {
      if (key.group !== group || key.resource !== resource) continue;
      if (namespace !== "" && key.namespace !== namespace) continue;
      if (name === undefined || (key.name === name && key.namespace === namespace))
        return `unable to transform key ${JSON.stringify(path)}: ${reason}`;
    }
    return undefined;
  }

  create(key: Key, value: Uint8Array): Promise<number> {
    return this.#store.create(key, this.#encrypted(key, value));
  }

  update(key: Key, value: Uint8Array, expectedRevision: number): Promise<number> {
    return this.#store.update(key, this.#encrypted(key, value), expectedRevision);
  }

  delete(key: Key, lastState: Uint8Array, expectedRevision: number): Promise<number> {
    return this.#store.delete(key, this.#encrypted(key, lastState), expectedRevision);
  }

  async get(key: Key): Promise<Entry | undefined> {
    const e = await this.#store.get(key);
    return e && this.#decrypted(e);
  }

  knownRevision(): number | undefined {
    return this.#store.knownRevision();
  }

  currentRevision(): Promise<number> {
    return this.#store.currentRevision();
  }

  feed(handlers: FeedHandlers): Promise<Feed> {
    const passOn = (e: Entry, to: (e: Entry) => void) => {
      const plain = this.#readable(e);
      if (plain) to(plain);
    };
    return this.#store.feed({
      onSnapshot: (e) => passOn(e, (p) => handlers.onSnapshot(p)),
      onSynced: (revision) => handlers.onSynced(revision),
      onChange: (e) => passOn(e, (p) => handlers.onChange(p)),
      onRestart: (reason) => handlers.onRestart(reason),
    });
  }

  compact(revision: number): Promise<void> {
    return this.#store.compact(revision);
  }

  close(): Promise<void> {
    return this.#store.close();
  }

  #encrypted(key: Key, value: Uint8Array): Uint8Array {
    return this.#config.of(key.group, key.resource)?.encrypt(value, pathOf(key)) ?? value;
  }

  /** Throws DecryptionError. */
  #decrypted(e: Entry): Entry {
    const transformer = this.#config.of(e.key.group, e.key.resource);
    if (!transformer || e.value.length === 0) return e;
    return { ...e, value: transformer.decrypt(e.value, pathOf(e.key)).value };
  }

  #readable(e: Entry): Entry | undefined {
    const transformer = this.#config.of(e.key.group, e.key.resource);
    if (!transformer || e.value.length === 0) return e;
    const path = pathOf(e.key);
    this.#stale.delete(path);
    this.#unreadable.delete(path);
    try {
      const { value, stale } = transformer.decrypt(e.value, path);
      if (stale && !e.deleted) this.#stale.add(path);
      return { ...e, value };
    } catch (x) {
      if (!(x instanceof DecryptionError)) throw x;
      if (!e.deleted) this.#unreadable.set(path, { key: e.key, reason: reasonOf(x) });
      return undefined;
    }
  }
}

/** As etcd's keys are written, which authenticated ciphers bind a value to. */
function pathOf(key: Key): string {
  const resource =
    key.group === "" || key.group.endsWith(".k8s.io") || !key.group.includes(".") ? key.resource : `${key.group}/${key.resource}`;
  return `/registry/${resource}/${key.namespace === "" ? "" : `${key.namespace}/`}${key.name}`;
}
