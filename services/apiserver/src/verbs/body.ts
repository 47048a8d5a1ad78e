// Request bodies of create, update and patch as objects: decoded, of the right kind, in the right namespace, defaulted.
import { applyDefaults, decodeBody, type KubeObject, type ResourceInfo, StatusError, statusErrors, updateManaged } from "@podwire/api";
import { PodwireError } from "@podwire/base";
import type { Call } from "../call.ts";

/** Decodes the body as the resource's kind. `defaults` false leaves defaulting to the caller. */
export function decodeObject(call: Call, info: ResourceInfo, fieldValidation: "Ignore" | "Warn" | "Strict"): KubeObject {
  const contentType = header(call, "content-type") ?? "application/json";
  const body = call.request.body ?? new Uint8Array();
  if (call.served.custom && info === call.served.info) {
    // What the text and what the schema have against it is one complaint: the decoder only notes.
    const noted = fieldValidation === "Strict" ? "Warn" : fieldValidation;
    const { object, warnings } = decodeBody(info, body, contentType, { fieldValidation: noted });
    call.served.custom.receive(object, fieldValidation, call.warnings, warnings);
    return object;
  }
  const { object, warnings } = decodeBody(info, body, contentType, { fieldValidation });
  call.warnings.push(...warnings);
  applyDefaults(info, object);
  return object;
}

/** The namespace of the request goes into the object; another one there is refused. */
export function bindNamespace(call: Call, object: KubeObject): void {
  const metadata = (object.metadata ??= {} as KubeObject["metadata"]);
  if (!call.served.info.namespaced) {
    delete metadata.namespace;
    return;
  }
  if (metadata.namespace && metadata.namespace !== call.namespace) {
    throw statusErrors.badRequest("the namespace of the provided object does not match the namespace sent on the request");
  }
  metadata.namespace = call.namespace;
}

/** The name of the request goes into the object; another one there is refused (for update and patch). */
export function bindName(call: Call, object: KubeObject): void {
  const metadata = object.metadata;
  if (!metadata.name)
    throw statusErrors.badRequest(`the name of the object (${call.name} based on URL) was undeterminable: name must be provided`);
  if (metadata.name !== call.name) {
    throw statusErrors.badRequest(`the name of the object (${metadata.name}) does not match the name on the URL (${call.name})`);
  }
}

export function header(call: Call, name: string): string | undefined {
  const v = call.request.headers[name];
  return Array.isArray(v) ? v[0] : v;
}

/** The field manager that a write is recorded under: the option, or the client's program name. */
export function managerOf(fieldManager: string, userAgent: string): string {
  if (fieldManager !== "") return fieldManager;
  const program = userAgent.split("/", 1)[0] ?? "";
  let out = "";
  for (const ch of program) {
    if (Buffer.byteLength(out) + Buffer.byteLength(ch) > 128) break;
    const c = ch.codePointAt(0) as number;
    if (c >= 0x20 && c !== 0x7f) out += ch;
  }
  return out;
}

/** Records a writer in managedFields; an object that cannot be typed keeps the entries it had (validation will say what is wrong). */
export function recorded(
  info: ResourceInfo,
  live: KubeObject | undefined,
  next: KubeObject,
  w: Parameters<typeof updateManaged>[3],
): KubeObject {
  try {
    return updateManaged(info, live, next, w);
  } catch (e) {
    if (e instanceof StatusError || !(e instanceof PodwireError)) throw e;
    const managedFields = live?.metadata.managedFields;
    if (managedFields) next.metadata.managedFields = managedFields;
    else delete next.metadata.managedFields;
    return next;
  }
}

/** RFC 3339 with seconds, as metav1.Time is written. */
export function timeText(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}
