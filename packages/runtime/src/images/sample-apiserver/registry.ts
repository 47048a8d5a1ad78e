// The objects of the sample API server: wardle.example.com's Flunders and Fischers, in memory, with the verbs of a REST registry.
// Invariant: one counter numbers every change; an update that names another resourceVersion than the stored one is a Conflict.
import { applyJsonPatch, applyMergePatch, isDns1123Subdomain, parseLabelSelector, statusErrors, timeFromMs } from "@podwire/api";

export const GROUP = "wardle.example.com";

export interface Wardle {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    generateName?: string;
    uid?: string;
    resourceVersion?: string;
    creationTimestamp?: string;
    deletionTimestamp?: string;
    generation?: number;
    labels?: { [k: string]: string };
    annotations?: { [k: string]: string };
    finalizers?: string[];
  };
  [field: string]: unknown;
}

export interface ResourceKind {
  resource: "flunders" | "fischers";
  kind: "Flunder" | "Fischer";
  namespaced: boolean;
  versions: readonly string[];
}

export const RESOURCES: readonly ResourceKind[] = [
  { resource: "fischers", kind: "Fischer", namespaced: false, versions: ["v1alpha1"] },
  { resource: "flunders", kind: "Flunder", namespaced: true, versions: ["v1alpha1", "v1beta1"] },
];

export type WatchEvent = { type: "ADDED" | "MODIFIED" | "DELETED"; object: Wardle };
/** Changes that a watch may start from; an older one is answered 410. */
const HISTORY_MAX = 1_000;
/** Objects of the whole server. */
const OBJECTS_MAX = 100_000;

export interface Selection {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
}

export class Registry {
  #revision = 1;
  readonly #objects = new Map<string, Wardle>();
  readonly #history: { revision: number; kind: ResourceKind; event: WatchEvent }[] = [];
  readonly #watchers = new Set<(kind: ResourceKind, e: WatchEvent) => void>();
  readonly #nowMs: () => number;
  readonly #uid: () => string;
  constructor(o: { nowMs: () => number; uid: () => string }) {
    this.#nowMs = o.nowMs;
    this.#uid = o.uid;
  }

  get revision(): string {
    return String(this.#revision);
  }

  list(kind: ResourceKind, s: Selection): Wardle[] {
    const wanted = matcher(s);
    return [...this.#objects]
      .filter(([key, o]) => key.startsWith(`${kind.resource}/`) && wanted(o))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, o]) => o);
  }

  get(kind: ResourceKind, namespace: string | undefined, name: string): Wardle {
    const o = this.#objects.get(keyOf(kind, namespace, name));
    if (o === undefined) throw statusErrors.notFound({ group: GROUP, resource: kind.resource }, name);
    return o;
  }

  create(kind: ResourceKind, namespace: string | undefined, given: Wardle, dryRun: boolean): Wardle {
    const { generateName } = given.metadata ?? {};
    const name = given.metadata?.name || (generateName ? `${generateName}${this.#uid().slice(0, 5)}` : "");
    if (name === "") throw statusErrors.badRequest("name or generateName is required");
    const [why] = isDns1123Subdomain(name);
    if (why !== undefined)
      throw statusErrors.invalid({ group: GROUP, kind: kind.kind }, name, [
        { type: "FieldValueInvalid", field: "metadata.name", detail: why, badValue: name },
      ]);
    const key = keyOf(kind, namespace, name);
    if (this.#objects.has(key)) throw statusErrors.alreadyExists({ group: GROUP, resource: kind.resource }, name);
    if (this.#objects.size >= OBJECTS_MAX) throw statusErrors.serviceUnavailable("the server holds as many objects as it can");
    const made: Wardle = {
      ...given,
      kind: kind.kind,
      metadata: {
        ...given.metadata,
        name,
        ...(namespace === undefined ? {} : { namespace }),
        uid: this.#uid(),
        creationTimestamp: timeFromMs(this.#nowMs()),
      },
    };
    return dryRun ? made : this.#store(kind, key, "ADDED", made);
  }

  update(
    kind: ResourceKind,
    namespace: string | undefined,
    name: string,
    given: Wardle,
    o: { status?: boolean; dryRun?: boolean },
  ): Wardle {
    const old = this.get(kind, namespace, name);
    const asked = given.metadata?.resourceVersion;
    if (asked !== undefined && asked !== "" && asked !== old.metadata.resourceVersion)
      throw statusErrors.conflict({ group: GROUP, resource: kind.resource }, name);
    const { uid, creationTimestamp } = old.metadata;
    const identity = { name, uid, creationTimestamp, ...(namespace === undefined ? {} : { namespace }) };
    const next = o.status
      ? { ...old, status: given["status"] }
      : { ...given, kind: kind.kind, metadata: { ...given.metadata, ...identity }, ...(old["status"] ? { status: old["status"] } : {}) };
    return o.dryRun ? (next as Wardle) : this.#store(kind, keyOf(kind, namespace, name), "MODIFIED", next as Wardle);
  }

  patch(
    kind: ResourceKind,
    namespace: string | undefined,
    name: string,
    type: string,
    patch: unknown,
    o: { status?: boolean; dryRun?: boolean },
  ): Wardle {
    const old = structuredClone(this.get(kind, namespace, name));
    const next = type === "application/json-patch+json" ? applyJsonPatch(old, patch as never) : applyMergePatch(old, patch);
    return this.update(kind, namespace, name, next as Wardle, o);
  }

  delete(kind: ResourceKind, namespace: string | undefined, name: string): Wardle {
    const old = this.get(kind, namespace, name);
    const key = keyOf(kind, namespace, name);
    if ((old.metadata.finalizers ?? []).length > 0)
      return this.#store(kind, key, "MODIFIED", {
        ...old,
        metadata: { ...old.metadata, deletionTimestamp: timeFromMs(this.#nowMs()) },
      });
    this.#objects.delete(key);
    return this.#announce(kind, "DELETED", old);
  }

  /** Events after `since`, then what comes; undefined when the history does not reach back that far. */
  watch(
    kind: ResourceKind,
    s: Selection,
    since: string | undefined,
    cb: (e: WatchEvent) => void,
  ): { stop: () => void; first: WatchEvent[] } | undefined {
    const wanted = matcher(s);
    const from = since === undefined || since === "" || since === "0" ? undefined : Number(since);
    const oldest = this.#history[0]?.revision ?? this.#revision + 1;
    if (from !== undefined && this.#history.length === HISTORY_MAX && from < oldest - 1) return undefined;
    const first: WatchEvent[] =
      from === undefined
        ? this.list(kind, s).map((object) => ({ type: "ADDED", object }))
        : this.#history.filter((h) => h.kind === kind && h.revision > from && wanted(h.event.object)).map((h) => h.event);
    const watcher = (k: ResourceKind, e: WatchEvent) => {
      if (k === kind && wanted(e.object)) cb(e);
    };
    this.#watchers.add(watcher);
    return { stop: () => void this.#watchers.delete(watcher), first };
  }

  #store(kind: ResourceKind, key: string, type: "ADDED" | "MODIFIED", o: Wardle): Wardle {
    if (o.metadata.deletionTimestamp !== undefined && (o.metadata.finalizers ?? []).length === 0) {
      this.#objects.delete(key);
      return this.#announce(kind, "DELETED", o);
    }
    const stored = this.#announce(kind, type, o);
    this.#objects.set(key, stored);
    return stored;
  }

  #announce(kind: ResourceKind, type: WatchEvent["type"], o: Wardle): Wardle {
    const object = { ...o, metadata: { ...o.metadata, resourceVersion: String(++this.#revision) } };
    this.#history.push({ revision: this.#revision, kind, event: { type, object } });
    if (this.#history.length > HISTORY_MAX) this.#history.shift();
    for (const w of this.#watchers) w(kind, { type, object });
    return object;
  }
}

const keyOf = (kind: ResourceKind, namespace: string | undefined, name: string) => `${kind.resource}/${namespace ?? ""}/${name}`;

function matcher(s: Selection): (o: Wardle) => boolean {
  const labels = parseLabelSelector(s.labelSelector ?? "");
  const fields = (s.fieldSelector ?? "").split(",").filter((f) => f !== "");
  return (o) => {
    if (s.namespace !== undefined && o.metadata.namespace !== s.namespace) return false;
    for (const f of fields) {
      const [, key, not, value] = /^(metadata\.name|metadata\.namespace)(!)?={1,2}(.*)$/.exec(f) ?? [];
      if (key === undefined) throw statusErrors.badRequest(`field label not supported: ${f}`);
      const got = key === "metadata.name" ? o.metadata.name : (o.metadata.namespace ?? "");
      if ((got === value) === (not === "!")) return false;
    }
    return labels.matches(o.metadata.labels ?? {});
  };
}
