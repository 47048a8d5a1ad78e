// POST to a collection (endpoints/handlers/create.go and registry/rest/create.go).
// Order: decode and default, names and system fields, managedFields, mutating admission, preparation, validation, validating
// admission, allocation, store.
import {
  type FieldError,
  type KubeObject,
  objectWarnings,
  prepareForCreate,
  StatusError,
  statusErrors,
  validateCreate,
} from "@podwire/api";
import type { Attributes } from "../admission/chain.ts";
import type { Api, ApiResponse, Call } from "../call.ts";
import { validateDefinition } from "../customresources/validate-definition.ts";
import { type WriteOptions, writeOptions } from "../request/options.ts";
import { stampCaller } from "../resources/caller-fields.ts";
import { toInternalForm } from "../resources/decoded-forms.ts";
import { objectResponse } from "../response.ts";
import type { Written } from "../storage/object-storage.ts";
import { bindNamespace, decodeObject, managerOf, recorded, timeText } from "./body.ts";

/** Letters of a generated suffix and how often another name is tried when one is taken. */
const SUFFIX_LENGTH = 5;
const NAME_ATTEMPTS = 8;
const MAX_GENERATED_PREFIX = 58;

export async function create(api: Api, call: Call): Promise<ApiResponse> {
  const options = writeOptions(call.info.query, "CreateOptions");
  const object = decodeObject(call, call.served.info, options.fieldValidation);
  bindNamespace(call, object);
  if (object.metadata.resourceVersion) throw new StatusError(500, "", "resourceVersion should not be set on objects to be created");
  const written = await createObject(api, call, object, options);
  await call.served.prepare?.([written.cached]);
  return objectResponse(201, written.cached, call.served, call.output, api.clock.nowMs(), call.info.query.get("includeObject"));
}

/** Everything after decoding; used by create-on-update and apply as well. */
export async function createObject(
  api: Api,
  call: Call,
  object: KubeObject,
  options: WriteOptions,
  managed: ((o: KubeObject) => KubeObject) | undefined = undefined,
  kind: "CreateOptions" | "UpdateOptions" | "PatchOptions" = "CreateOptions",
): Promise<Written> {
  const { info } = call.served;
  const generated = !object.metadata.name && !!object.metadata.generateName;
  fillSystemFields(api, object);
  toInternalForm(info, object, true);
  let o = managed
    ? managed(object)
    : recorded(info, undefined, object, {
        manager: managerOf(options.fieldManager, call.userAgent),
        operation: "Update",
        time: timeText(api.clock.nowMs()),
        subresource: call.subresource || undefined,
      });
  // Nobody owns fields of a request for a certificate: all of its spec is reset to what was first asked.
  if (info.kind === "CertificateSigningRequest") delete o.metadata.managedFields;
  const attributes = attributesOf(call, "CREATE", o, undefined, options, kind);
  try {
    await api.admission.admit(attributes);
    o = attributes.object as KubeObject;
    for (let attempt = 1; ; attempt++) {
      prepareForCreate(info, o, { nowMs: api.clock.nowMs() });
      stampCaller(info, o, call.user);
      const errors = [...validateCreate(info, o), ...moreErrors(call, o, undefined)];
      if (errors.length > 0) throw statusErrors.invalid(info, o.metadata.name ?? "", errors);
      for (const w of objectWarnings(info, o)) if (!call.warnings.includes(w)) call.warnings.push(w);
      attributes.object = o;
      await api.admission.validate(attributes);
      try {
        return await store(api, call, o, options, attributes);
      } catch (e) {
        if (!generated || attempt >= NAME_ATTEMPTS || !StatusError.is(e, "AlreadyExists")) throw e;
        o.metadata.name = generateName(api, o.metadata.generateName as string);
      }
    }
  } catch (e) {
    for (const undo of attributes.undo) undo();
    throw e;
  }
}

/** Rules of custom resources, and of their definitions. */
export function moreErrors(call: Call, o: KubeObject, old: KubeObject | undefined): FieldError[] {
  if (call.served.custom) return call.served.custom.validate(o, old);
  if (call.served.info.groupResource === "customresourcedefinitions.apiextensions.k8s.io" && call.subresource === "")
    return validateDefinition(o, old);
  return [];
}

async function store(api: Api, call: Call, o: KubeObject, options: WriteOptions, attributes: Attributes): Promise<Written> {
  const { served } = call;
  const key = { ...served.storage, namespace: o.metadata.namespace ?? "", name: o.metadata.name as string };
  const allocation = await api.allocators.onCreate(served.info, o, options.dryRun);
  try {
    const stored = await served.toStorage(o);
    if (options.dryRun) {
      if (await api.storage.read(key, false)) throw statusErrors.alreadyExists(served.info, key.name);
      for (const undo of attributes.undo) undo();
      attributes.undo.length = 0;
      const w = api.storage.unwritten(key, stored);
      allocation?.release();
      return w;
    }
    return await api.storage.create(key, stored, served.info);
  } catch (e) {
    allocation?.release();
    if (StatusError.is(e, "AlreadyExists")) throw await existsError(api, e, key, served.info);
    throw e;
  }
}

/** An object that is on its way out says so, as kube-apiserver does. */
async function existsError(
  api: Api,
  e: StatusError,
  key: { group: string; resource: string; namespace: string; name: string },
  info: { group: string; resource: string },
) {
  const there = await api.storage.read(key, false);
  if (!there?.object.metadata.deletionTimestamp) return e;
  return new StatusError(409, "AlreadyExists", `object is being deleted: ${e.message}`, {
    name: key.name,
    ...(info.group ? { group: info.group } : {}),
    kind: info.resource,
  });
}

export function attributesOf(
  call: Call,
  operation: Attributes["operation"],
  object: KubeObject | undefined,
  oldObject: KubeObject | undefined,
  options: { dryRun: boolean; fieldManager?: string; fieldValidation?: string },
  optionsKind: string,
): Attributes {
  const { info } = call.served;
  const sent: Record<string, unknown> = { kind: optionsKind, apiVersion: "meta.k8s.io/v1" };
  if (options.dryRun) sent["dryRun"] = ["All"];
  if (options.fieldManager) sent["fieldManager"] = options.fieldManager;
  if (options.fieldValidation && call.info.query.has("fieldValidation")) sent["fieldValidation"] = options.fieldValidation;
  return {
    operation,
    info,
    kind: kindOf(call),
    subresource: call.subresource,
    namespace: call.namespace,
    name: call.name || object?.metadata.name || "",
    object,
    oldObject,
    options: sent,
    dryRun: options.dryRun,
    user: call.user,
    warnings: call.warnings,
    notes: call.notes,
    undo: [],
  };
}

/** What the body of a request is: of a subresource that is no view of the object its own kind (Scale, Eviction, PodExecOptions). */
function kindOf(call: Call): Attributes["kind"] {
  const sub = call.subresource === "" ? undefined : call.served.info.subresources.find((s) => s.name === call.subresource);
  const { group, version, kind } = sub ?? call.served.info;
  return { group, version, kind };
}

/** uid, creationTimestamp, a generated name; what only the server may set goes (rest.FillObjectMetaSystemFields). */
export function fillSystemFields(api: Api, o: KubeObject): void {
  const m = o.metadata;
  delete m.deletionTimestamp;
  delete m.deletionGracePeriodSeconds;
  delete m.selfLink;
  m.creationTimestamp = timeText(api.clock.nowMs());
  m.uid = api.random.uuid();
  if (!m.name && m.generateName) m.name = generateName(api, m.generateName);
}

function generateName(api: Api, prefix: string): string {
  return prefix.slice(0, MAX_GENERATED_PREFIX) + api.random.suffix(SUFFIX_LENGTH);
}
