// managedFields: who wrote what. Every writer's paths are kept; server-side apply adds conflicts, forced ownership and
// removal of what an applier no longer mentions.
// Specification: structured-merge-diff merge.Updater and apimachinery managedfields (Kubernetes 1.34).
// Invariant: entries are keyed by (manager, operation, apiVersion, subresource) and never empty.

import { StatusError, statusErrors } from "../errors/status-error.ts";
import type { KubeObject } from "../kube-object.ts";
import { deepEqual } from "../patch/json-patch.ts";
import type { ResourceInfo } from "../resources.ts";
import { cloneJson } from "../schema/clone.ts";
import { conform } from "../schema/conform.ts";
import { FieldSet, printPath } from "./field-set.ts";
import { type SmdType, smdOfStruct } from "./schema.ts";
import { type Comparison, checkTyped, compareTyped, fieldSetOf, mergeTyped, removeTyped, TypedError, withNamedFields } from "./typed.ts";

export interface Writer {
  manager: string;
  operation?: "Update" | "Apply";
  /** RFC 3339, to the second. */
  time: string;
  force?: boolean;
  subresource?: string | undefined;
}

interface Entry {
  manager: string;
  operation: "Update" | "Apply";
  apiVersion: string;
  subresource: string;
  time: string | undefined;
  set: FieldSet;
}

/** Update managers past this are folded into one. */
const UPDATE_MANAGERS_MAX = 10;
const ANCIENT = "ancient-changes";
const BEFORE_FIRST_APPLY = "before-first-apply";

/** Fields that nobody owns. */
const STRIPPED = FieldSet.of(
  ["f:apiVersion"],
  ["f:kind"],
  ["f:metadata"],
  ...["name", "namespace", "creationTimestamp", "selfLink", "uid", "clusterName", "generation", "managedFields", "resourceVersion"].map(
    (f) => ["f:metadata", `f:${f}`],
  ),
);

const RESET_STATUS = FieldSet.of(["f:status"]);
const RESET_SPEC = FieldSet.of(["f:spec"]);
const RESET_METADATA_AND_SPEC = FieldSet.of(["f:metadata"], ["f:spec"]);
const RESET: Record<string, FieldSet> = {
  "/Pod/status": FieldSet.of(["f:spec"], ["f:metadata", "f:deletionTimestamp"], ["f:metadata", "f:ownerReferences"]),
  "/Pod/ephemeralcontainers": RESET_STATUS,
  "/Pod/resize": RESET_STATUS,
  "apps/Deployment/status": FieldSet.of(["f:spec"], ["f:metadata", "f:labels"]),
  "apiextensions.k8s.io/CustomResourceDefinition/status": RESET_METADATA_AND_SPEC,
  "certificates.k8s.io/CertificateSigningRequest/": FieldSet.of(["f:spec"], ["f:status"]),
  "certificates.k8s.io/CertificateSigningRequest/approval": FieldSet.of(["f:spec"], ["f:status", "f:certificate"]),
  "certificates.k8s.io/CertificateSigningRequest/status": FieldSet.of(["f:spec"], ["f:status", "f:conditions"]),
  "flowcontrol.apiserver.k8s.io/FlowSchema/status": RESET_METADATA_AND_SPEC,
  "flowcontrol.apiserver.k8s.io/PriorityLevelConfiguration/status": RESET_METADATA_AND_SPEC,
  "resource.k8s.io/ResourceClaim/status": RESET_METADATA_AND_SPEC,
  "storage.k8s.io/VolumeAttachment/status": RESET_METADATA_AND_SPEC,
};

/** Paths that an endpoint ignores, and so lets nobody own. */
function resetFields(info: ResourceInfo, subresource: string): FieldSet {
  const known = RESET[`${info.group}/${info.kind}/${subresource}`];
  if (known) return known;
  const hasStatus = info.subresources.some((s) => s.name === "status");
  if (!hasStatus) return NOTHING;
  return subresource === "status" ? RESET_SPEC : subresource === "" ? RESET_STATUS : NOTHING;
}

const NOTHING = new FieldSet();

/** The schema of server-side apply for a resource. */
export function smdOf(info: ResourceInfo): SmdType {
  if (info.type) return smdOfStruct(info.type, false);
  const custom = info.custom as { smd?: SmdType } | undefined;
  return custom?.smd ?? { shape: "untyped", atomic: false };
}

function decode(entries: any[] | undefined): Entry[] | undefined {
  const out: Entry[] = [];
  for (const e of entries ?? []) {
    if (e.operation !== "Apply" && e.operation !== "Update") return undefined;
    if (e.fieldsType !== "FieldsV1" || e.apiVersion === undefined) return undefined;
    out.push({
      manager: e.manager ?? "",
      operation: e.operation,
      apiVersion: e.apiVersion,
      subresource: e.subresource ?? "",
      time: e.time ?? undefined,
      set: FieldSet.fromJson(e.fieldsV1 ?? {}),
    });
  }
  return out;
}

function encode(entries: Entry[]): any[] {
  const text = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
  return [...entries]
    .sort(
      (a, b) =>
        text(a.operation, b.operation) ||
        text(a.time ?? "", b.time ?? "") ||
        text(a.manager, b.manager) ||
        text(a.apiVersion, b.apiVersion) ||
        text(a.subresource, b.subresource),
    )
    .map((e) => {
      const out: any = { manager: e.manager, operation: e.operation, apiVersion: e.apiVersion };
      if (e.time !== undefined) out.time = e.time;
      out.fieldsType = "FieldsV1";
      out.fieldsV1 = e.set.toJson();
      if (e.subresource !== "") out.subresource = e.subresource;
      return out;
    });
}

const sameWriter = (a: Entry, b: Pick<Entry, "manager" | "operation" | "apiVersion" | "subresource">): boolean =>
  a.manager === b.manager && a.operation === b.operation && a.apiVersion === b.apiVersion && a.subresource === b.subresource;

/** A list that holds one empty entry asks for managedFields to be forgotten. */
const isReset = (entries: any[] | undefined): boolean =>
  entries?.length === 1 && Object.keys(entries[0]).every((k) => entries[0][k] === "" || entries[0][k] === undefined);

function bare(o: KubeObject): KubeObject {
  const { managedFields: _, ...metadata } = o.metadata;
  return { ...o, metadata };
}

/** The object of a kind that has nothing set, as Go prints it. */
function zeroObject(info: ResourceInfo): any {
  let zero = zeros.get(info);
  if (zero === undefined) {
    zero = { ...(info.type ? conform(info.type, {}) : { metadata: {} }), apiVersion: info.apiVersion, kind: info.kind };
    zeros.set(info, zero);
  }
  return zero;
}

const zeros = new WeakMap<ResourceInfo, any>();

/** Takes what another writer changed out of everybody else's sets; returns the conflicts instead when not forced. */
function takeOver(
  entries: Entry[],
  self: Entry,
  c: Comparison,
  force: boolean,
): { entries: Entry[]; conflicts: { entry: Entry; set: FieldSet }[] } {
  const changed = c.modified.union(c.added);
  const conflicts: { entry: Entry; set: FieldSet }[] = [];
  const out: Entry[] = [];
  for (const e of entries) {
    if (e === self) {
      out.push(e);
      continue;
    }
    const overlap = e.set.intersection(changed);
    if (!overlap.empty) conflicts.push({ entry: e, set: overlap });
    const set = e.set.difference(overlap).difference(c.removed);
    if (!set.empty) out.push({ ...e, set });
  }
  return { entries: out, conflicts: force ? [] : conflicts };
}

function excluding(c: Comparison, ignored: FieldSet): Comparison {
  if (ignored.empty) return c;
  return {
    added: c.added.recursiveDifference(ignored),
    modified: c.modified.recursiveDifference(ignored),
    removed: c.removed.recursiveDifference(ignored),
  };
}

/** Records what an ordinary write changed. Returns `next` with its managedFields; `live` is undefined for a create. */
export function updateManaged(info: ResourceInfo, live: KubeObject | undefined, next: KubeObject, w: Writer): KubeObject {
  const given = next.metadata.managedFields as any[] | undefined;
  const subresource = w.subresource ?? "";
  if (subresource === "" && isReset(given)) return bare(next);
  const liveEntries = () => decode(live?.metadata.managedFields as any[] | undefined) ?? [];
  const fromRequest = subresource === "" ? decode(given) : undefined;
  const managed = fromRequest !== undefined && fromRequest.length > 0 ? fromRequest : liveEntries();
  // An object whose ownership nobody tracks stays so until somebody applies.
  if (live !== undefined && managed.length === 0) return bare(next);
  const written = live === undefined ? withoutSystemFields(next) : next;
  try {
    const entries = recordUpdate(info, live ?? zeroObject(info), written, managed, w);
    return withEntries(next, keepTimes(entries, live, next));
  } catch (e) {
    // A list whose items cannot be told apart is not a writer's fault: ownership stays as it was.
    if (!(e instanceof TypedError)) throw e;
    return withEntries(next, liveEntries());
  }
}

/** What a create may say but the server decides. */
function withoutSystemFields(o: KubeObject): KubeObject {
  const { deletionTimestamp: _d, deletionGracePeriodSeconds: _g, ...metadata } = o.metadata;
  return { ...o, metadata };
}

function recordUpdate(info: ResourceInfo, live: KubeObject, next: KubeObject, managed: Entry[], w: Writer): Entry[] {
  const t = smdOf(info);
  const ignored = resetFields(info, w.subresource ?? "");
  const c = excluding(compareTyped(t, bare(live), bare(next)), ignored);
  const self: Entry = {
    manager: w.manager,
    operation: "Update",
    apiVersion: info.apiVersion,
    subresource: w.subresource ?? "",
    time: w.time,
    set: new FieldSet(),
  };
  const { entries } = takeOver(managed, self, c, true);
  self.set = c.modified.union(c.added).recursiveDifference(ignored).difference(STRIPPED);
  const stripped = entries.map((e) => ({ ...e, set: e.set.difference(STRIPPED) })).filter((e) => !e.set.empty);
  if (self.set.empty) return stripped;
  const own = stripped.find((e) => sameWriter(e, self));
  if (own) own.set = own.set.union(self.set);
  else stripped.push(self);
  if (own) own.time = w.time;
  return capUpdates(stripped);
}

/** Keeps the number of entries bounded: the oldest updates become one. */
function capUpdates(entries: Entry[]): Entry[] {
  const updates = entries
    .filter((e) => e.operation === "Update" && e.subresource === "")
    .sort((a, b) => ((a.time ?? "") < (b.time ?? "") ? -1 : 1));
  if (updates.length <= UPDATE_MANAGERS_MAX) return entries;
  const folded = updates.slice(0, updates.length - UPDATE_MANAGERS_MAX + 1);
  const rest = entries.filter((e) => !folded.includes(e));
  const byVersion = new Map<string, Entry>();
  for (const e of folded) {
    const into = byVersion.get(e.apiVersion);
    if (into) {
      into.set = into.set.union(e.set);
      if ((e.time ?? "") > (into.time ?? "")) into.time = e.time;
    } else byVersion.set(e.apiVersion, { ...e, manager: ANCIENT });
  }
  return [...rest, ...byVersion.values()];
}

function withEntries(o: KubeObject, entries: Entry[]): KubeObject {
  const out = bare(o);
  if (entries.length > 0) out.metadata.managedFields = encode(entries);
  return out;
}

/** A write that changes nothing but times keeps the old ones, so that it is no write at all. */
function keepTimes(entries: Entry[], live: KubeObject | undefined, next: KubeObject): Entry[] {
  if (live === undefined) return entries;
  const old = decode(live.metadata.managedFields as any[] | undefined) ?? [];
  if (old.length !== entries.length) return entries;
  const matched = entries.map((e) => old.find((o) => sameWriter(o, e) && o.set.equals(e.set)));
  if (matched.some((m) => m === undefined)) return entries;
  const content = (o: KubeObject): unknown => {
    const { resourceVersion: _r, ...metadata } = bare(o).metadata as any;
    return { ...o, metadata };
  };
  if (!deepEqual(content(live), content(next))) return entries;
  return entries.map((e, i) => ({ ...e, time: matched[i]!.time }));
}

function printManager(e: Entry): string {
  let s = JSON.stringify(e.manager);
  if (e.subresource !== "") s += ` with subresource ${JSON.stringify(e.subresource)}`;
  return e.operation === "Update" ? `${s} using ${e.apiVersion}` : s;
}

function conflictError(conflicts: { entry: Entry; set: FieldSet }[]): StatusError {
  const list = conflicts.flatMap(({ entry, set }) => [...set.paths()].map((p) => ({ who: printManager(entry), path: printPath(p) })));
  list.sort((a, b) => (a.who < b.who ? -1 : a.who > b.who ? 1 : 0));
  const causes = list.map((c) => ({ reason: "FieldManagerConflict", message: `conflict with ${c.who}`, field: c.path }));
  if (list.length === 1)
    return statusErrors.applyConflict(`Apply failed with 1 conflict: conflict with ${list[0]!.who}: ${list[0]!.path}`, causes);
  const lines: string[] = [];
  for (const who of [...new Set(list.map((c) => c.who))]) {
    lines.push(`conflicts with ${who}:`);
    for (const c of list) if (c.who === who) lines.push(`- ${c.path}`);
  }
  return statusErrors.applyConflict(`Apply failed with ${list.length} conflicts: ${lines.join("\n")}`, causes);
}

/** Server-side apply: `applied` is the configuration as sent; returns the merged object (not yet defaulted) with managedFields. */
export function applyManaged(info: ResourceInfo, live: KubeObject | undefined, applied: KubeObject, w: Writer): KubeObject {
  try {
    return apply(info, live, applied, w);
  } catch (e) {
    if (!(e instanceof TypedError)) throw e;
    throw new StatusError(500, "", e.message, undefined, e);
  }
}

function apply(info: ResourceInfo, live: KubeObject | undefined, applied: KubeObject, w: Writer): KubeObject {
  if (applied.metadata?.managedFields !== undefined && (applied.metadata.managedFields as any[]).length > 0)
    throw statusErrors.badRequest("metadata.managedFields must be nil");
  const t = smdOf(info);
  let managed = decode(live?.metadata.managedFields as any[] | undefined) ?? [];
  const before: KubeObject = bare(live ?? zeroObject(info));
  if (live !== undefined && managed.length === 0) {
    managed = recordUpdate(info, zeroObject(info), live, [], { manager: BEFORE_FIRST_APPLY, operation: "Update", time: w.time });
  }
  const config = bare({ ...applied, metadata: applied.metadata ?? {} });
  const where = `(${applied.metadata?.namespace ?? ""}/${applied.metadata?.name ?? ""}; ${info.group === "" ? "" : info.group}/${info.version}, Kind=${info.kind})`;
  try {
    checkTyped(t, config);
  } catch (e) {
    if (!(e instanceof TypedError)) throw e;
    throw new StatusError(500, "", `failed to create typed patch object ${where}: ${e.message}`, undefined, e);
  }
  const ignored = resetFields(info, w.subresource ?? "");
  const self: Entry = {
    manager: w.manager,
    operation: "Apply",
    apiVersion: info.apiVersion,
    subresource: w.subresource ?? "",
    time: w.time,
    set: new FieldSet(),
  };
  const last = managed.find((e) => sameWriter(e, self));
  self.set = fieldSetOf(t, config).recursiveDifference(ignored).difference(STRIPPED);
  const others = managed.filter((e) => e !== last);
  const merged = mergeTyped(t, before, config);
  const pruned = last === undefined ? merged : prune(t, merged, [...others, self], last.set);
  const c = excluding(compareTyped(t, before, pruned), ignored);
  const taken = takeOver([...others, self], self, c, w.force === true);
  if (taken.conflicts.length > 0) throw conflictError(taken.conflicts);
  const object: KubeObject = info.type ? conform(info.type, cloneJson(pruned)) : dropNulls(cloneJson(pruned));
  object.apiVersion = info.apiVersion;
  object.kind = info.kind;
  const entries = taken.entries.map((e) => ({ ...e, set: e.set.difference(STRIPPED) })).filter((e) => !e.set.empty);
  // An apply that changes no field is no operation: it keeps the time of the one before, if there was one.
  if (live !== undefined && deepEqual(bare(object), before)) for (const e of entries) if (sameWriter(e, self)) e.time = last?.time;
  return withEntries(object, entries);
}

/** Removes what the applier owned and no longer mentions, unless somebody else owns it too. */
function prune(t: SmdType, merged: any, entries: Entry[], last: FieldSet): any {
  const named = (s: FieldSet): FieldSet => withNamedFields(t, s);
  const lastNamed = named(last);
  let pruned = removeTyped(t, merged, lastNamed) ?? {};
  let owned = new FieldSet();
  for (const e of entries) owned = owned.union(e.set);
  const all = named(fieldSetOf(t, merged));
  pruned = removeTyped(t, merged, all.difference(named(fieldSetOf(t, pruned)).union(named(owned)))) ?? {};
  return removeTyped(t, merged, all.difference(named(fieldSetOf(t, pruned))).intersection(lastNamed)) ?? {};
}

function dropNulls(v: any): any {
  if (v === null || typeof v !== "object" || Array.isArray(v)) return v;
  for (const k of Object.keys(v)) {
    if (v[k] === null) delete v[k];
    else dropNulls(v[k]);
  }
  return v;
}
