// MutatingAdmissionPolicy's expressions: literals of the types Object and JSONPatch, and what they do to an object
// (apiserver/pkg/admission/plugin/policy/mutating/patch, apiserver/pkg/cel/mutation of Kubernetes 1.34). Pure.
// Invariant: the object that comes in is never changed; a patch that does not fit is refused whole.
import { PodwireError } from "@podwire/base";
import { smdOf } from "../apply/managed-fields.ts";
import { childType, type SmdType, UNTYPED } from "../apply/schema.ts";
import { checkTyped, mergeTyped, TypedError } from "../apply/typed.ts";
import type { KubeObject } from "../kube-object.ts";
import { applyJsonPatch, JsonPatchTestError } from "../patch/json-patch.ts";
import type { ResourceInfo } from "../resources.ts";
import type { StructTypes } from "./checker.ts";
import { type CelType, DYN, STRING } from "./types.ts";
import { Duration, isMap, mapGet, mapKeys, Optional, StructValue, Timestamp, Uint } from "./values.ts";

/** A mutation that cannot be made of what its expression answered. */
export class MutationError extends PodwireError {}

const JSON_PATCH_FIELDS: ReadonlyMap<string, CelType> = new Map([
  ["op", STRING],
  ["path", STRING],
  ["from", STRING],
  ["value", DYN],
]);

/** Object, Object.spec, ... and JSONPatch. */
export const mutationTypes: StructTypes = (name) => {
  if (name === "JSONPatch") return { field: (f) => JSON_PATCH_FIELDS.get(f) };
  return name === "Object" || name.startsWith("Object.") ? { field: () => DYN } : undefined;
};

/** The object with what an ApplyConfiguration's expression answered merged in. Throws MutationError. */
export function applyConfiguration(info: ResourceInfo, object: KubeObject, answer: unknown): KubeObject {
  if (!(answer instanceof StructValue) || answer.name !== "Object")
    throw new MutationError("unsupported return type from ApplyConfiguration expression");
  checkNames(answer, "Object");
  const patch = jsonOf(answer) as Record<string, unknown>;
  const { apiVersion, kind } = object;
  patch["apiVersion"] = apiVersion;
  patch["kind"] = kind;
  const type = smdOf(info);
  try {
    checkTyped(type, patch);
  } catch (e) {
    if (!(e instanceof TypedError)) throw e;
    throw new MutationError(`error applying patch: failed to convert patch object to typed object: ${e.message}`, { cause: e });
  }
  const atomics = atomicPaths(type, patch, "");
  if (atomics.length > 0)
    throw new MutationError(
      `error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: ${atomics.join(", ")}`,
    );
  return mergeTyped(type, object, patch) as KubeObject;
}

/** The object with the operations of a JSONPatch's expression; a test that fails leaves it as it was. Throws MutationError. */
export function applyCelJsonPatch(object: KubeObject, answer: unknown): KubeObject {
  if (!Array.isArray(answer)) throw new MutationError("type mismatch: JSONPatchType.expression should evaluate to array");
  const operations = answer.map((v) => {
    if (!(v instanceof StructValue) || v.name !== "JSONPatch")
      throw new MutationError("type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch");
    const value = v.fields.get("value");
    if (value instanceof StructValue) checkNames(value, value.name);
    return {
      op: String(v.fields.get("op") ?? ""),
      path: String(v.fields.get("path") ?? ""),
      ...(v.fields.get("from") ? { from: String(v.fields.get("from")) } : {}),
      ...(v.fields.has("value") ? { value: jsonOf(value) } : {}),
    };
  });
  try {
    return applyJsonPatch(structuredClone(object), operations as never) as KubeObject;
  } catch (e) {
    if (e instanceof JsonPatchTestError) return object;
    if (!(e instanceof PodwireError)) throw e;
    throw new MutationError(`JSONPath: ${e.message}`, { cause: e });
  }
}

/** Names of literals must be the path of the field they stand in: Object.spec under Object's spec. */
function checkNames(v: unknown, expected: string): void {
  if (Array.isArray(v)) for (const x of v) checkNames(x, expected);
  if (!(v instanceof StructValue)) return;
  if (v.name !== expected)
    throw new MutationError(
      `type mismatch: unexpected type name ${JSON.stringify(v.name)}, expected ${JSON.stringify(expected)}, which matches field name path from root Object type`,
    );
  for (const [field, value] of v.fields) checkNames(value, `${expected}.${field}`);
}

/** A CEL value as JSON. */
export function jsonOf(v: unknown): unknown {
  if (v === null || typeof v === "string" || typeof v === "boolean" || typeof v === "number" || v === undefined) return v ?? null;
  if (typeof v === "bigint") return Number(v);
  if (v instanceof Uint) return Number(v.value);
  if (v instanceof StructValue) return Object.fromEntries([...v.fields].map(([k, x]) => [k, jsonOf(x)]));
  if (Array.isArray(v)) return Array.prototype.map.call(v, jsonOf);
  if (v instanceof Uint8Array) return Buffer.from(v).toString("base64");
  if (v instanceof Timestamp) return new Date(v.seconds * 1000).toISOString().replace(/\.000Z$/, "Z");
  if (v instanceof Duration) return `${Number(v.nanos) / 1e9}s`;
  if (v instanceof Optional) return v.present ? jsonOf(v.value) : null;
  if (isMap(v)) return Object.fromEntries(mapKeys(v).map((k) => [String(k), jsonOf(mapGet(v, k).value)]));
  throw new MutationError("JSONPath valueExpression evaluated to a type that could not marshal to JSON");
}

function atomicPaths(t: SmdType, v: unknown, path: string): string[] {
  if (Array.isArray(v)) {
    if (t.shape !== "list") return [];
    const own = t.atomic ? [path] : [];
    return [...own, ...v.flatMap((x, i) => atomicPaths(t.element ?? UNTYPED, x, `${path}[${i}]`))];
  }
  if (typeof v !== "object" || v === null || t.shape !== "map") return [];
  const own = t.atomic ? [path] : [];
  return [...own, ...Object.entries(v).flatMap(([k, x]) => atomicPaths(childType(t, k) ?? UNTYPED, x, `${path}.${k}`))];
}
