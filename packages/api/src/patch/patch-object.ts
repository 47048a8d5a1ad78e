// A PATCH request's body applied to an object: parses, applies, decodes again as a body of the kind, with the Status that
// kube-apiserver gives at each step. Server-side apply has its own door (apply/).

import { conformCustom, type DecodeTarget, type FieldValidation, mediaType } from "../body/decode-body.ts";
import { JsonSyntaxError, parseExact, parseJson } from "../body/json-text.ts";
import { invalid } from "../errors/field-error.ts";
import { StatusError, statusErrors } from "../errors/status-error.ts";
import { QuantityError } from "../meta/quantity.ts";
import { TimeError } from "../meta/time.ts";
import { parseApiVersion } from "../resources.ts";
import { cloneJson } from "../schema/clone.ts";
import { Conformer, DecodeError, unwrapNumbers } from "../schema/conform.ts";
import { kindType, type StructType, structOf, structType } from "../schema/registry.ts";
import { applyJsonPatch, JSON_PATCH_OPERATIONS_MAX, JsonPatchError, type JsonPatchOperation } from "./json-patch.ts";
import { applyMergePatch } from "./merge-patch.ts";
import { applyStrategicMergePatch, goMap } from "./strategic-merge-patch.ts";

export const JSON_PATCH = "application/json-patch+json";
export const MERGE_PATCH = "application/merge-patch+json";
export const STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json";
export const APPLY_PATCH = "application/apply-patch+yaml";

export interface PatchedObject {
  object: any;
  warnings: string[];
}

/** The media types that PATCH takes for a kind. */
export function patchTypes(target: DecodeTarget): string[] {
  return target.custom === undefined
    ? [JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, APPLY_PATCH]
    : [JSON_PATCH, MERGE_PATCH, APPLY_PATCH];
}

export function unsupportedPatchType(): StatusError {
  return new StatusError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {});
}

/** Applies a patch (not server-side apply) to `live`; throws StatusError. */
export function patchObject(
  target: DecodeTarget,
  live: any,
  body: Uint8Array,
  contentType: string | undefined,
  opts: { fieldValidation?: FieldValidation } = {},
): PatchedObject {
  const type = mediaType(contentType);
  if (type === STRATEGIC_MERGE_PATCH) return strategic(target, live, body, opts.fieldValidation ?? "Warn");
  if (type !== JSON_PATCH && type !== MERGE_PATCH) throw unsupportedPatchType();
  const { value: patch, notes } = readPatch(body, type);
  let patched: any;
  if (type === MERGE_PATCH) patched = applyMergePatch(live, patch);
  else {
    if (patch.length > JSON_PATCH_OPERATIONS_MAX) {
      throw statusErrors.requestEntityTooLarge(
        `The allowed maximum operations in a JSON patch is ${JSON_PATCH_OPERATIONS_MAX}, got ${patch.length}`,
      );
    }
    try {
      patched = applyJsonPatch(live, patch);
    } catch (e) {
      if (!(e instanceof JsonPatchError)) throw e;
      throw new StatusError(422, "Invalid", "the server rejected our request due to an error in our request", {}, e);
    }
  }
  const touched = type === MERGE_PATCH ? touchedByMerge(patch) : touchedByOperations(patch);
  return decodePatched(target, patched, opts.fieldValidation ?? "Warn", notes, () =>
    JSON.stringify(inPrintOrder(target.type, patched, touched)),
  );
}

const OPERATION_FIELDS = new Set(["op", "path", "from", "value"]);

function readPatch(body: Uint8Array, type: string): { value: any; notes: string[] } {
  let value: any;
  let duplicates: string[] = [];
  try {
    const parsed = parseJson(body);
    value = parsed.value;
    if (parsed.duplicates || (parsed.keys !== undefined && parsed.keys !== keysIn(value))) {
      const exact = parsed.duplicates ? parsed : parseExact(Buffer.from(body).toString("utf8"));
      duplicates = duplicatePaths(exact.value, exact.duplicates ?? new Map());
    }
  } catch (e) {
    if (!(e instanceof JsonSyntaxError)) throw e;
    throw statusErrors.badRequest(`error decoding patch: ${e.message}`);
  }
  const wrong = (goType: string): StatusError =>
    statusErrors.badRequest(
      `error decoding patch: json: cannot unmarshal ${Array.isArray(value) ? "array" : typeof value === "boolean" ? "bool" : typeof value} into Go value of type ${goType}`,
    );
  if (type === JSON_PATCH) {
    if (value === null) value = [];
    if (!Array.isArray(value)) throw wrong("[]handlers.jsonPatchOp");
  } else {
    if (value === null) value = {};
    if (typeof value !== "object" || Array.isArray(value)) throw wrong("map[string]interface {}");
  }
  const notes = duplicates.map((d) => `${type === JSON_PATCH ? "json patch " : ""}duplicate field ${JSON.stringify(d)}`);
  if (type === JSON_PATCH) {
    value.forEach((op: any, i: number) => {
      for (const k in op) if (!OPERATION_FIELDS.has(k)) notes.push(`json patch unknown field ${JSON.stringify(`[${i}].${k}`)}`);
    });
  }
  return { value: unwrapNumbers(value), notes };
}

function keysIn(root: any): number {
  let n = 0;
  const todo = [root];
  while (todo.length > 0) {
    const v = todo.pop();
    if (v === null || typeof v !== "object") continue;
    if (!Array.isArray(v)) n += Object.keys(v).length;
    todo.push(...Object.values(v));
  }
  return n;
}

function duplicatePaths(v: any, duplicates: Map<object, string[]>, path = ""): string[] {
  if (v === null || typeof v !== "object") return [];
  if (Array.isArray(v)) return v.flatMap((x, i) => duplicatePaths(x, duplicates, `${path}[${i}]`));
  const at = (k: string): string => (path === "" ? k : `${path}.${k}`);
  return Object.keys(v).flatMap((k) => [...(duplicates.get(v)?.includes(k) ? [at(k)] : []), ...duplicatePaths(v[k], duplicates, at(k))]);
}

function strategic(target: DecodeTarget, live: any, body: Uint8Array, validation: FieldValidation): PatchedObject {
  if (target.type === undefined) throw unsupportedPatchType();
  let patch: any;
  try {
    patch = unwrapNumbers(parseJson(body).value) ?? {};
  } catch (e) {
    if (!(e instanceof JsonSyntaxError)) throw e;
    throw statusErrors.badRequest(e.message);
  }
  const patched = applyStrategicMergePatch(target.type, live, patch);
  return decodePatched(target, patched, validation, [], () => goMap(patch), restoreMessage);
}

/** The conversion from maps words its failures in its own way. */
function restoreMessage(message: string): string {
  const m = /^json: cannot unmarshal (\w+) into Go (?:struct field \S+|value) of type (.+)$/.exec(message);
  if (m === null) return message;
  const from = m[1] === "object" ? "map" : m[1] === "array" ? "slice" : m[1];
  const into = m[2]!;
  if (into.startsWith("[]")) return `cannot restore slice from ${from}`;
  if (into.startsWith("map[")) return `cannot restore map from ${from}`;
  if (into.startsWith("v1.") && /^v1\.[A-Z]/.test(into)) return `cannot restore struct from: ${from}`;
  return `unrecognized type: ${from}`;
}

function decodePatched(
  target: DecodeTarget,
  patched: any,
  validation: FieldValidation,
  notes: string[],
  printed: () => string,
  word: (message: string) => string = (m) => m,
): PatchedObject {
  const { apiVersion = target.apiVersion, kind = target.kind } = patched ?? {};
  const gv = parseApiVersion(String(apiVersion));
  const type =
    target.custom === undefined
      ? (kindType(gv.group, gv.version, String(kind)) ?? target.type!)
      : structType("meta/v1.PartialObjectMetadata");
  const c = new Conformer();
  let object: any;
  try {
    object = target.custom === undefined ? c.struct(type, cloneJson(patched)) : conformCustom(c, cloneJson(patched));
  } catch (e) {
    if (!(e instanceof DecodeError || e instanceof QuantityError || e instanceof TimeError)) throw e;
    throw statusErrors.invalid({ group: "", kind: "" }, "", [invalid("patch", printed(), word(e.message))]);
  }
  const warnings = [...notes, ...c.strict];
  if (validation === "Strict" && warnings.length > 0) {
    throw statusErrors.invalid({ group: "", kind: "" }, "", [invalid("patch", printed(), `strict decoding error: ${warnings.join(", ")}`)]);
  }
  if (type !== target.type && target.custom === undefined) {
    throw statusErrors.badRequest(
      `${kind} in version ${JSON.stringify(gv.version)} cannot be handled as a ${target.kind}: converting (${type.goName}) to (${target.kind}): unknown conversion`,
    );
  }
  object.kind = target.kind;
  object.apiVersion = target.apiVersion;
  return { object, warnings: validation === "Ignore" ? [] : warnings };
}

/** The containers that a patch went through: their keys come out sorted, the others in the order of their type. */
type Touched = { [key: string]: Touched };

function touchedByMerge(patch: any): Touched {
  const out: Touched = {};
  for (const k in patch)
    if (patch[k] !== null && typeof patch[k] === "object" && !Array.isArray(patch[k])) out[k] = touchedByMerge(patch[k]);
  return out;
}

function touchedByOperations(operations: JsonPatchOperation[]): Touched {
  const root: Touched = {};
  for (const o of operations) {
    for (const pointer of [o.path, o.from]) {
      let at = root;
      for (const token of (pointer ?? "").split("/").slice(1, -1)) at = at[token.replaceAll("~1", "/").replaceAll("~0", "~")] ??= {};
    }
  }
  return root;
}

function inPrintOrder(type: StructType | undefined, v: any, touched: Touched | undefined): any {
  if (v === null || typeof v !== "object") return v;
  if (Array.isArray(v)) return v.map((x, i) => inPrintOrder(type, x, touched?.[i]));
  const out: Record<string, any> = {};
  const known = type?.fields.filter((f) => Object.hasOwn(v, f.name)).map((f) => f.name) ?? [];
  const keys = touched || type === undefined ? Object.keys(v).sort() : [...known, ...Object.keys(v).filter((k) => !known.includes(k))];
  for (const k of keys) {
    let t = type?.byName.get(k)?.type;
    while (t?.element) t = t.element;
    out[k] = inPrintOrder(t?.shape === "struct" ? structOf(t) : undefined, v[k], touched?.[k]);
  }
  return out;
}
