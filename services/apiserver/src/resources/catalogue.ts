// Which resources are served: the built-in ones of the registry and, live, custom ones. Each with where it is stored and how it behaves.
// Invariant: two served resources with the same storage key (HorizontalPodAutoscaler v1 and v2, Event of both groups) share one cache.
import { betaResources, type FieldError, type KubeObject, printTable, type ResourceInfo, registry } from "@podwire/api";
import { CachedObject, encodeText } from "../cache/cached-object.ts";
import { conversionOf } from "./conversion.ts";
import { type Strategy, strategyOf } from "./strategy.ts";

export interface TableOptions {
  nowMs: number;
  includeObject: "None" | "Metadata" | "Object";
}

/** A resource in one version, as it is served. */
export interface Served {
  readonly info: ResourceInfo;
  readonly apiVersion: string;
  /** Group and resource of the storage key. */
  readonly storage: { group: string; resource: string };
  readonly strategy: Strategy;
  /** A custom resource's behaviour; undefined for built-in ones. */
  readonly custom: CustomResource | undefined;
  /** The object in this version as JSON with kind and apiVersion. */
  full(o: CachedObject): Buffer;
  /** As an item of a list, without its opening brace. */
  members(o: CachedObject): Buffer;
  /** Decoded in this version, shared: read only. */
  decoded(o: CachedObject): KubeObject;
  /** From the storage version to this one, and back; identity for most. May change its argument. */
  toServed(o: KubeObject): KubeObject | Promise<KubeObject>;
  toStorage(o: KubeObject): KubeObject | Promise<KubeObject>;
  /** There when somebody else converts (a webhook): `full`, `members` and `decoded` know only what was made ready. Throws a Status. */
  readonly prepare?: (objects: readonly CachedObject[]) => Promise<void>;
  table(objects: KubeObject[], o: TableOptions): unknown;
  /** Members besides kind, apiVersion and metadata that an empty object of this kind shows (Go structs without omitempty). */
  readonly emptyMembers: Record<string, unknown>;
}

/** What a CustomResourceDefinition version adds; made by customresources/. */
export interface CustomResource {
  readonly definition: KubeObject;
  readonly schema: unknown;
  /** Schemas of the kind for OpenAPI documents, by name. */
  readonly openApi?: (dialect: "v2" | "v3") => Record<string, unknown>;
  readonly scale?: { specReplicasPath: string; statusReplicasPath: string; labelSelectorPath?: string };
  /** Sent with every answer of a deprecated version. */
  readonly warning?: string;
  /** Field selectors besides metadata's, "spec.color". */
  readonly selectableFields: readonly string[];
  /** Prunes, defaults, and complains about unknown fields as asked. Throws a Status. */
  receive(o: KubeObject, fieldValidation: "Ignore" | "Warn" | "Strict", warnings: string[], noted?: readonly string[]): void;
  validate(o: KubeObject, old?: KubeObject): FieldError[];
}

export class Catalogue {
  readonly #builtIn = new Map<string, Served>();
  readonly #custom = new Map<string, Served>();
  readonly #customListeners = new Set<{ group: string; resource: string; cb: () => void }>();
  #groups: Map<string, string[]> | undefined;
  readonly #sharing = new Map<Served, readonly Served[]>();
  #sharingOf = 0;
  /** Counts changes of what is served; discovery compares it. */
  generation = 1;

  /** `isServed` says whether a kind is; beta kinds only when it does. */
  constructor(isServed: (info: ResourceInfo, isBeta: boolean) => boolean = (_info, isBeta) => !isBeta) {
    const infos = [...registry.resources().filter((i) => isServed(i, false)), ...betaResources.filter((i) => isServed(i, true))];
    for (const info of infos) this.#builtIn.set(idOf(info.group, info.version, info.resource), builtIn(info));
  }

  find(group: string, version: string, resource: string): Served | undefined {
    const id = idOf(group, version, resource);
    return this.#builtIn.get(id) ?? this.#custom.get(id);
  }

  /** Throws when absent: for resources that the server itself needs. */
  need(group: string, version: string, resource: string): Served {
    const s = this.find(group, version, resource);
    if (!s) throw new Error(`the registry has no ${group}/${version} ${resource}`);
    return s;
  }

  byKind(group: string, version: string, kind: string): Served | undefined {
    for (const s of this.all()) if (s.info.group === group && s.info.version === version && s.info.kind === kind) return s;
    return undefined;
  }

  /** The served form whose version is the storage version of a storage key. */
  ofStorage(group: string, resource: string): Served | undefined {
    for (const s of this.all()) {
      if (s.storage.group === group && s.storage.resource === resource && s.info.group === group && conversionOf(s.info) === undefined)
        return s;
    }
    return undefined;
  }

  /** Other resources and versions of the same objects, in order of registration. */
  sharing(s: Served): readonly Served[] {
    if (this.#sharingOf !== this.generation) {
      this.#sharing.clear();
      this.#sharingOf = this.generation;
    }
    let found = this.#sharing.get(s);
    if (!found) {
      const { group, resource } = s.storage;
      found = [...this.all()].filter((o) => o !== s && o.storage.group === group && o.storage.resource === resource);
      this.#sharing.set(s, found);
    }
    return found;
  }

  *all(): IterableIterator<Served> {
    yield* this.#builtIn.values();
    yield* this.#custom.values();
  }

  isBuiltIn(group: string, version?: string): boolean {
    for (const s of this.#builtIn.values())
      if (s.info.group === group && (version === undefined || s.info.version === version)) return true;
    return false;
  }

  /** Group -> versions in order of preference. The core group is "". */
  groups(): Map<string, string[]> {
    if (!this.#groups) {
      this.#groups = new Map();
      for (const s of this.all()) {
        const versions = this.#groups.get(s.info.group) ?? [];
        if (!versions.includes(s.info.version)) versions.push(s.info.version);
        this.#groups.set(s.info.group, versions);
      }
      for (const versions of this.#groups.values()) versions.sort(compareVersions);
    }
    return this.#groups;
  }

  inVersion(group: string, version: string): Served[] {
    return [...this.all()].filter((s) => s.info.group === group && s.info.version === version);
  }

  /** Serves one more resource of the server's own. */
  add(served: Served): void {
    this.#builtIn.set(idOf(served.info.group, served.info.version, served.info.resource), served);
    this.#groups = undefined;
    this.generation++;
  }

  /** Calls back when a custom resource is no longer served as it was; returns the way to stop listening. */
  onCustomChange(group: string, resource: string, cb: () => void): () => void {
    const entry = { group, resource, cb };
    this.#customListeners.add(entry);
    return () => this.#customListeners.delete(entry);
  }

  /** Replaces all custom resources; `changed` are those whose definitions are others than before, or gone. */
  setCustom(resources: Iterable<Served>, changed: readonly { group: string; resource: string }[] = []): void {
    for (const c of changed) for (const l of [...this.#customListeners]) if (l.group === c.group && l.resource === c.resource) l.cb();
    this.#custom.clear();
    for (const s of resources) this.#custom.set(idOf(s.info.group, s.info.version, s.info.resource), s);
    this.#groups = undefined;
    this.generation++;
  }
}

function idOf(group: string, version: string, resource: string): string {
  return `${group}/${version}/${resource}`;
}

export function apiVersionOf(group: string, version: string): string {
  return group === "" ? version : `${group}/${version}`;
}

/** Kubernetes' order of versions: GA before beta before alpha, then the larger first; others by name. */
export function compareVersions(a: string, b: string): number {
  const pa = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(a);
  const pb = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(b);
  if (!pa || !pb) return pa ? -1 : pb ? 1 : a < b ? -1 : a > b ? 1 : 0;
  const rank = (m: RegExpExecArray) => (m[2] === undefined ? 2 : m[2] === "beta" ? 1 : 0);
  return rank(pb) - rank(pa) || Number(pb[1]) - Number(pa[1]) || Number(pb[3] ?? 0) - Number(pa[3] ?? 0);
}

function builtIn(info: ResourceInfo): Served {
  const conversion = conversionOf(info);
  const apiVersion = apiVersionOf(info.group, info.version);
  const table = (objects: KubeObject[], o: TableOptions) => printTable(info, objects, o);
  const strategy = strategyOf(info);
  if (!conversion) {
    const same = (o: KubeObject) => o;
    return {
      info,
      apiVersion,
      storage: { group: info.group, resource: info.resource },
      strategy,
      custom: undefined,
      full: (o) => o.full,
      members: (o) => o.members,
      decoded: (o) => o.object,
      toServed: same,
      toStorage: same,
      table,
      emptyMembers: emptyMembersOf(info),
    };
  }
  const converted = (o: CachedObject): CachedObject =>
    CachedObject.fromValue(o.key, o.revision, Buffer.from(encodeText(conversion.toServed(o.copy()))));
  return {
    info,
    apiVersion,
    storage: conversion.storage,
    strategy,
    custom: undefined,
    full: (o) => o.format(apiVersion, () => converted(o).full),
    members: (o) => o.format(`${apiVersion} members`, () => converted(o).members),
    decoded: (o) => JSON.parse(o.format(apiVersion, () => converted(o).full).toString("utf8")),
    toServed: conversion.toServed,
    toStorage: conversion.toStorage,
    table,
    emptyMembers: emptyMembersOf(info),
  };
}

function emptyMembersOf(info: ResourceInfo): Record<string, unknown> {
  return EMPTY_MEMBERS.get(info.kind) ?? {};
}

const EMPTY_MEMBERS: ReadonlyMap<string, Record<string, unknown>> = new Map([
  ["Pod", { spec: { containers: null }, status: {} }],
  ["Service", { spec: {}, status: { loadBalancer: {} } }],
  ["Namespace", { spec: {}, status: {} }],
]);
