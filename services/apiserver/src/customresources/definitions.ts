// The life of CustomResourceDefinitions: names are accepted or refused, versions served, and on deletion the objects go first
// (apiextensions-apiserver's naming, establishing and finalizing controllers).
// Invariant: no two definitions of a group share a plural, singular, short name, kind or list kind; the first to have a name keeps it.
import { type KubeObject, type ResourceInfo, registry, updateManaged } from "@podwire/api";
import { reasonOf } from "@podwire/base";
import type { CachedObject } from "../cache/cached-object.ts";
import type { Api } from "../call.ts";
import { Deletion } from "../storage/object-storage.ts";
import { timeText } from "../verbs/body.ts";
import { convertByWebhook } from "./conversion-webhook.ts";
import { servedOf } from "./served.ts";
import { approvalOf, isProtectedGroup } from "./validate-definition.ts";

const GROUP = "apiextensions.k8s.io";
const RESOURCE = "customresourcedefinitions";
const INFO = registry.byResource(GROUP, "v1", RESOURCE) as ResourceInfo;
export const CLEANUP_FINALIZER = "customresourcecleanup.apiextensions.k8s.io";
/** How often a definition whose objects are held by finalizers is looked at again. */
const RETRY_MS = 1_000;

interface DefinitionState {
  group: string;
  resource: string;
  /** Changes with the definition's specification and names. */
  state: string;
}

export class Definitions {
  readonly #api: Api;
  readonly #busy = new Set<string>();
  readonly #again = new Set<string>();
  /** What every definition was served by. */
  #states: ReadonlyMap<string, DefinitionState> = new Map();
  #stopped = false;

  constructor(api: Api) {
    this.#api = api;
  }

  /** Serves what is there, then follows every change. */
  start(): void {
    const definitions = this.#api.cache.of(GROUP, RESOURCE);
    this.#serve();
    for (const d of definitions.values()) this.#touch(d.key.name);
    this.#api.cache.onChange((o: CachedObject) => {
      if (o.key.group !== GROUP || o.key.resource !== RESOURCE) return;
      this.#serve();
      this.#touch(o.key.name);
    });
    this.#api.cache.onRestart(() => this.#api.clock.soon(() => this.#serve()));
  }

  stop(): void {
    this.#stopped = true;
  }

  #serve(): void {
    const served = [];
    const states = new Map<string, DefinitionState>();
    for (const d of this.#api.cache.of(GROUP, RESOURCE).values()) {
      if (!isTrue(d.object, "Established")) continue;
      const { group, names } = d.object["spec"];
      const state = `${d.object.metadata.uid} ${d.object.metadata.generation} ${JSON.stringify(d.object["status"].acceptedNames)}`;
      states.set(d.key.name, { group, resource: names.plural, state });
      served.push(...servedOf(d.object, (w) => (objects, to) => convertByWebhook(this.#api, w, objects, to)));
    }
    const changed = [...this.#states].filter(([name, s]) => states.get(name)?.state !== s.state).map(([, s]) => s);
    this.#states = states;
    this.#api.catalogue.setCustom(served, changed);
  }

  /** One reconciliation at a time for each definition; a change meanwhile asks for another. */
  #touch(name: string): void {
    if (this.#stopped) return;
    if (this.#busy.has(name)) {
      this.#again.add(name);
      return;
    }
    this.#busy.add(name);
    void this.#reconcile(name)
      .catch((err) => {
        this.#api.log.warn({ definition: name, reason: reasonOf(err) }, "a CustomResourceDefinition is tried again");
        this.#api.clock.after(RETRY_MS, () => this.#touch(name), { unref: true });
      })
      .finally(() => {
        this.#busy.delete(name);
        if (this.#again.delete(name)) this.#touch(name);
      });
  }

  async #reconcile(name: string): Promise<void> {
    const d = this.#api.cache.of(GROUP, RESOURCE).get("", name)?.object;
    if (!d) return;
    if (d.metadata.deletionTimestamp) return this.#cleanUp(d);
    const next = withNames(d, this.#others(d), timeText(this.#api.clock.nowMs()));
    if (JSON.stringify(next) === JSON.stringify(d["status"])) return;
    await this.#api.storage.update(key(name), (current) => {
      if (!current) throw new Error("the definition is gone");
      const now = timeText(this.#api.clock.nowMs());
      const next = { ...current, status: withNames(current, this.#others(current), now) };
      return updateManaged(INFO, current, next, { manager: "kube-apiserver", operation: "Update", time: now, subresource: "status" });
    });
  }

  #others(d: KubeObject): KubeObject[] {
    return [...this.#api.cache.of(GROUP, RESOURCE).values()]
      .map((o) => o.object)
      .filter((o) => o["spec"].group === d["spec"].group && o.metadata.name !== d.metadata.name);
  }

  /** Deletes the objects, waits until finalizers let them go, then lets the definition go. */
  async #cleanUp(d: KubeObject): Promise<void> {
    const { api } = { api: this.#api };
    const name = d.metadata.name as string;
    if (!d.metadata.finalizers?.includes(CLEANUP_FINALIZER)) return;
    const resource = d["spec"].names.plural;
    const objects = [...api.cache.of(d["spec"].group, resource).values()];
    for (const o of objects) {
      await api.storage
        .update(o.key, (current) => {
          if (!current) throw new Error("gone");
          if ((current.metadata.finalizers?.length ?? 0) === 0) return new Deletion(current, true);
          current.metadata.deletionTimestamp ??= timeText(api.clock.nowMs());
          current.metadata.deletionGracePeriodSeconds = 0;
          return current;
        })
        .catch(() => {});
    }
    if (objects.some((o) => (o.object.metadata.finalizers?.length ?? 0) > 0)) {
      api.clock.after(RETRY_MS, () => this.#touch(name), { unref: true });
      return;
    }
    await api.storage.update(key(name), (current) => {
      if (!current) throw new Error("the definition is gone");
      const left = (current.metadata.finalizers ?? []).filter((f) => f !== CLEANUP_FINALIZER);
      if (left.length === 0) {
        delete current.metadata.finalizers;
        return new Deletion(current, true);
      }
      current.metadata.finalizers = left;
      return current;
    });
  }
}

function key(name: string) {
  return { group: GROUP, resource: RESOURCE, namespace: "", name };
}

export function isTrue(d: KubeObject, type: string): boolean {
  return (d["status"]?.conditions ?? []).some((c: any) => c.type === type && c.status === "True");
}

/** The status with names accepted as far as nobody else in the group has them. Pure. */
export function withNames(d: KubeObject, others: readonly KubeObject[], now: string): Record<string, unknown> {
  const wanted = d["spec"].names;
  const status = d["status"] ?? {};
  const accepted = { ...(status.acceptedNames ?? { plural: "", kind: "" }) };
  const taken = { resources: new Set<string>(), kinds: new Set<string>() };
  for (const o of others) {
    const n = o["status"]?.acceptedNames ?? {};
    for (const r of [n.plural, n.singular, ...(n.shortNames ?? [])]) if (r) taken.resources.add(r);
    for (const k of [n.kind, n.listKind]) if (k) taken.kinds.add(k);
  }
  let conflict: { reason: string; message: string } | undefined;
  const take = (field: string, value: string | undefined, set: ReadonlySet<string>, reason: string) => {
    if (!value) return;
    if (set.has(value)) conflict = { reason, message: `${JSON.stringify(value)} is already in use` };
    else accepted[field] = value;
  };
  take("plural", wanted.plural, taken.resources, "PluralConflict");
  take("singular", wanted.singular, taken.resources, "SingularConflict");
  const short = (wanted.shortNames ?? []).find((s: string) => taken.resources.has(s));
  if (short) conflict = { reason: "ShortNamesConflict", message: `${JSON.stringify(short)} is already in use` };
  else if (wanted.shortNames?.length) accepted.shortNames = wanted.shortNames;
  take("kind", wanted.kind, taken.kinds, "KindConflict");
  take("listKind", wanted.listKind, taken.kinds, "ListKindConflict");
  if (wanted.categories?.length) accepted.categories = wanted.categories;
  const conditions = [...(status.conditions ?? [])];
  const set = (type: string, value: string, reason: string, message: string) => {
    const old = conditions.find((c) => c.type === type);
    const next = { type, status: value, lastTransitionTime: old?.status === value ? old.lastTransitionTime : now, reason, message };
    if (old) conditions[conditions.indexOf(old)] = next;
    else conditions.push(next);
  };
  if (conflict) set("NamesAccepted", "False", conflict.reason, conflict.message);
  else set("NamesAccepted", "True", "NoConflicts", "no conflicts found");
  if (conflict) {
    if (!conditions.some((c) => c.type === "Established")) set("Established", "False", "NotAccepted", "not all names are accepted");
  } else if (!conditions.some((c) => c.type === "Established" && c.status === "True")) {
    set("Established", "True", "InitialNamesAccepted", "the initial names have been accepted");
  }
  if (isProtectedGroup(d["spec"].group)) {
    const { state, reason } = approvalOf(d);
    const words = { approved: "Approved", bypassed: "Unapproved", missing: "Missing", invalid: "Invalid" };
    set("KubernetesAPIApprovalPolicyConformant", state === "approved" ? "True" : "False", `${words[state]}Annotation`, reason);
  }
  return { ...status, conditions, acceptedNames: accepted };
}
