// ConfigMaps and Secrets that pods of this node use, each followed by a watch of its own while somebody uses it (the kubelet's
// WatchChangeDetection): a change reaches volumes at once, and reading again costs nothing.
// Invariant: an object is watched exactly while its reference count is above zero.
import type { Clock, Logger, Random } from "@podwire/base";
import {
  type ApiClient,
  type Informer,
  informer,
  isForbidden,
  isNotFound,
  type KubeObject,
  type ResourceRef,
  Resources,
} from "@podwire/client";

/** How long a first answer may take before the caller is told that the object is not there yet. */
const FIRST_ANSWER_MS = 2000;

interface Entry {
  informer: Informer;
  users: Map<string, () => void>;
}

export class ObjectSource {
  readonly #o: { client: ApiClient; clock: Clock; random: Random; log: Logger };
  readonly #entries = new Map<string, Entry>();

  constructor(o: { client: ApiClient; clock: Clock; random: Random; log: Logger }) {
    this.#o = o;
  }

  /** Starts to follow for `user` (a pod's uid); `onChange` is called after every change. */
  acquire(ref: ResourceRef, namespace: string, name: string, user: string, onChange: () => void): void {
    const key = `${ref.resource}/${namespace}/${name}`;
    let e = this.#entries.get(key);
    if (!e) {
      const i = informer({ ...this.#o, ref, namespace, fieldSelector: `metadata.name=${name}` });
      e = { informer: i, users: new Map() };
      const entry = e;
      const tell = () => {
        for (const cb of entry.users.values()) cb();
      };
      i.handle({ onAdd: tell, onUpdate: tell, onDelete: tell });
      i.start().catch(() => undefined);
      this.#entries.set(key, e);
    }
    e.users.set(user, onChange);
  }

  /** Lets go of everything that `user` follows. */
  release(user: string): void {
    for (const [key, e] of this.#entries) {
      if (!e.users.delete(user) || e.users.size > 0) continue;
      e.informer.stop();
      this.#entries.delete(key);
    }
  }

  /** The object now; undefined when it does not exist. */
  async get<T extends KubeObject>(ref: ResourceRef, namespace: string, name: string): Promise<T | undefined> {
    const e = this.#entries.get(`${ref.resource}/${namespace}/${name}`);
    if (e) {
      await Promise.race([e.informer.whenSynced().catch(() => undefined), this.#o.clock.sleep(FIRST_ANSWER_MS)]);
      if (e.informer.synced) {
        const cached = e.informer.lister.get(namespace, name) as T | undefined;
        if (cached) return cached;
      }
    }
    try {
      return await this.#o.client.get<T>(ref, namespace, name);
    } catch (err) {
      if (isNotFound(err) || isForbidden(err)) return undefined;
      throw err;
    }
  }

  configMap<T extends KubeObject>(namespace: string, name: string): Promise<T | undefined> {
    return this.get<T>(Resources.configMaps, namespace, name);
  }
  secret<T extends KubeObject>(namespace: string, name: string): Promise<T | undefined> {
    return this.get<T>(Resources.secrets, namespace, name);
  }

  stop(): void {
    for (const e of this.#entries.values()) e.informer.stop();
    this.#entries.clear();
  }
}
