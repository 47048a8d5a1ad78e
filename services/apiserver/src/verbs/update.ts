// PUT, and what PATCH shares with it (endpoints/handlers/update.go, registry/generic/registry/store.go, registry/rest/update.go).
// Invariant: every attempt starts from a fresh copy of the stored object; the object that is written was validated as a whole.
import { type KubeObject, objectWarnings, prepareForUpdate, StatusError, statusErrors, validateUpdate } from "@podwire/api";
import type { Attributes } from "../admission/chain.ts";
import type { Api, ApiResponse, Call } from "../call.ts";
import { type WriteOptions, writeOptions } from "../request/options.ts";
import { stampConditions } from "../resources/caller-fields.ts";
import { toInternalForm } from "../resources/decoded-forms.ts";
import { objectResponse } from "../response.ts";
import { Deletion, type Written } from "../storage/object-storage.ts";
import { bindName, bindNamespace, decodeObject, managerOf, recorded, timeText } from "./body.ts";
import { attributesOf, createObject, moreErrors } from "./create.ts";

export async function update(api: Api, call: Call): Promise<ApiResponse> {
  const options = writeOptions(call.info.query, "UpdateOptions");
  const decode = () => {
    const object = decodeObject(call, call.served.info, options.fieldValidation);
    bindNamespace(call, object);
    bindName(call, object);
    toInternalForm(call.served.info, object, false);
    return object;
  };
  let first: KubeObject | undefined = decode();
  const written = await updateObject(api, call, {
    options,
    kind: "UpdateOptions",
    allowCreate: call.served.strategy.allowCreateOnUpdate && call.subresource === "",
    next: () => {
      const o = first ?? decode();
      first = undefined;
      return o;
    },
    managed: (live, next) =>
      recorded(call.served.info, live, next, {
        manager: managerOf(options.fieldManager, call.userAgent),
        operation: "Update",
        time: timeText(api.clock.nowMs()),
        subresource: call.subresource || undefined,
      }),
  });
  await call.served.prepare?.([written.cached]);
  return objectResponse(
    written.created ? 201 : 200,
    written.cached,
    call.served,
    call.output,
    api.clock.nowMs(),
    call.info.query.get("includeObject"),
  );
}

export interface UpdateRequest {
  options: WriteOptions;
  kind: "UpdateOptions" | "PatchOptions";
  allowCreate: boolean;
  /** The new object from the current one (a private copy in the served version; undefined: absent and to be created). */
  next: (current: KubeObject | undefined) => KubeObject | Promise<KubeObject>;
  /** For a subresource whose body is an object of another kind (Scale): what admission sees of an object, and how its changes are taken over. */
  view?: { subresource: string; of(o: KubeObject): KubeObject; take(o: KubeObject, seen: KubeObject): void };
  /** Records who owns which fields. */
  managed: (live: KubeObject | undefined, next: KubeObject) => KubeObject;
}

export async function updateObject(api: Api, call: Call, r: UpdateRequest): Promise<Written & { created: boolean; deleted: boolean }> {
  const { served } = call;
  const key = { ...served.storage, namespace: call.namespace, name: call.name };
  let undo: (() => void)[] = [];
  let release: (() => void) | undefined;
  let before: KubeObject | undefined;
  const rollBack = () => {
    for (const u of undo) u();
    undo = [];
    release?.();
    release = undefined;
  };
  if (r.allowCreate && !(await api.storage.read(key, false))) {
    const created = await createOnUpdate(api, call, r);
    if (created) return { ...created, created: true, deleted: false };
  }
  try {
    const written = await api.storage.update(
      key,
      async (stored, revision) => {
        rollBack();
        if (!stored) throw statusErrors.notFound(served.info, call.name);
        const current = await served.toServed(stored);
        const live = clone(current);
        const shown = r.view ? { ...call, subresource: r.view.subresource } : call;
        const attributes = attributesOf(shown, "UPDATE", undefined, r.view?.of(current) ?? current, r.options, r.kind);
        undo = attributes.undo;
        const next = await prepared(api, call, r, live, current, revision, attributes);
        if (served.strategy.deleteDuringUpdate(next) && (call.subresource === "" || call.subresource === "finalize"))
          return new Deletion(await served.toStorage(next), false, stored);
        before = current;
        release = (await api.allocators.onUpdate(served.info, next, current, r.options.dryRun))?.release;
        return served.toStorage(next);
      },
      { dryRun: r.options.dryRun, errorResource: served.info },
    );
    if (r.options.dryRun) rollBack();
    else if (written.deleted) api.allocators.onDelete(served.info, written.object);
    else if (before && written.changed) api.allocators.afterUpdate(served.info, written.object, before);
    return written;
  } catch (e) {
    rollBack();
    throw e;
  }
}

async function prepared(
  api: Api,
  call: Call,
  r: UpdateRequest,
  live: KubeObject,
  current: KubeObject,
  revision: number,
  attributes: Attributes,
): Promise<KubeObject> {
  const { info, strategy } = call.served;
  let next = await r.next(live);
  if (r.kind === "UpdateOptions") checkUid(call, next, current);
  next = r.managed(current, next);
  next = await mutated(api, r, next, current, attributes);
  checkRevision(call, next, revision, strategy.allowUnconditionalUpdate || r.kind === "PatchOptions");
  inherit(next, current);
  stampConditions(info, next, timeText(api.clock.nowMs()));
  api.allocators.inherit(info, next, current);
  prepareForUpdate(info, next, current, call.subresource || undefined);
  const errors = [...validateUpdate(info, next, current, call.subresource || undefined), ...moreErrors(call, next, current)];
  if (errors.length > 0) throw statusErrors.invalid(info, call.name, errors);
  for (const w of objectWarnings(info, next, current)) if (!call.warnings.includes(w)) call.warnings.push(w);
  attributes.object = r.view?.of(next) ?? next;
  await api.admission.validate(attributes);
  return next;
}

/** The object after the mutating plugins. */
async function mutated(api: Api, r: UpdateRequest, next: KubeObject, current: KubeObject, attributes: Attributes): Promise<KubeObject> {
  const { view } = r;
  attributes.object = view?.of(next) ?? next;
  const before = view && JSON.stringify(attributes.object);
  await api.admission.admit(attributes);
  const after = attributes.object;
  if (!view) return after;
  if (JSON.stringify(after) === before) return next;
  view.take(next, after);
  return r.managed(current, next);
}

async function createOnUpdate(api: Api, call: Call, r: UpdateRequest): Promise<Written | undefined> {
  const object = await r.next(undefined);
  if (object.metadata.uid && r.kind === "UpdateOptions") throw uidConflict(call, object.metadata.uid, "");
  delete object.metadata.resourceVersion;
  try {
    return await createObject(api, call, object, r.options, (o) => r.managed(undefined, o), r.kind);
  } catch (e) {
    if (StatusError.is(e, "AlreadyExists")) return undefined; // somebody was faster: update it
    throw e;
  }
}

/** An object that names another uid is an update of another object. */
function checkUid(call: Call, next: KubeObject, current: KubeObject): void {
  const uid = next.metadata.uid;
  if (uid && uid !== current.metadata.uid) throw uidConflict(call, uid, current.metadata.uid ?? "");
}

function uidConflict(call: Call, asked: string, actual: string): StatusError {
  const { resource } = call.served.storage;
  const key = `/registry/${resource}/${call.namespace ? `${call.namespace}/` : ""}${call.name}`;
  return statusErrors.conflict(
    call.served.info,
    call.name,
    `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: ${asked}, UID in object meta: ${actual}`,
  );
}

function checkRevision(call: Call, next: KubeObject, revision: number, unconditional: boolean): void {
  const text = next.metadata.resourceVersion ?? "";
  if (text !== "" && !/^\d+$/.test(text))
    throw new StatusError(500, "", `strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
  if (text === "" || Number(text) === 0) {
    if (unconditional) return;
    const { group, resource } = call.served.info;
    throw statusErrors.invalid({ group, kind: resource }, call.name, [
      { type: "FieldValueInvalid", field: "metadata.resourceVersion", badValue: 0, detail: "must be specified for an update" },
    ]);
  }
  if (Number(text) !== revision) throw statusErrors.conflict(call.served.info, call.name);
}

/** What a client may leave out, and what it may not change (rest.BeforeUpdate). */
function inherit(next: KubeObject, current: KubeObject): void {
  const n = next.metadata;
  const c = current.metadata;
  if (c.generation === undefined) delete n.generation;
  else n.generation = c.generation;
  n.creationTimestamp ??= c.creationTimestamp;
  n.uid ??= c.uid;
  // Without a resourceVersion the newest is meant; what is written is checked against it.
  n.resourceVersion ||= c.resourceVersion;
  if (c.deletionTimestamp !== undefined) n.deletionTimestamp ??= c.deletionTimestamp;
  if (c.deletionGracePeriodSeconds !== undefined) n.deletionGracePeriodSeconds ??= c.deletionGracePeriodSeconds;
  if (n.selfLink) delete n.selfLink;
}

export function clone<T>(o: T): T {
  return JSON.parse(JSON.stringify(o));
}
