// What server-side apply needs to know of a type: which maps and lists are atomic, which lists are sets or maps and by
// which keys. Built-in kinds get it from the type registry; custom resources from their structural schema.
// Specification: structured-merge-diff's schema, and how kube-openapi derives it (list-type, map-type, patch strategy).
import { type Field, type StructType, structOf, type TypeRef } from "../schema/registry.ts";

export interface SmdType {
  readonly shape: "scalar" | "map" | "list" | "untyped";
  readonly atomic: boolean;
  /** JSON type of a scalar that has one. */
  readonly scalar?: "string" | "boolean" | "numeric" | undefined;
  /** Declared fields of a struct; undefined for maps with free keys. */
  readonly fields?: ReadonlyMap<string, SmdType> | undefined;
  /** Values of a map with free keys, or items of a list. */
  readonly element?: SmdType | undefined;
  /** Key fields of a list that is a map; [] for a set. */
  readonly keys?: readonly string[] | undefined;
  readonly keyDefaults?: Readonly<Record<string, unknown>> | undefined;
}

export const SCALAR: SmdType = { shape: "scalar", atomic: false };
/** Values without a schema: maps are granular, lists atomic. */
export const UNTYPED: SmdType = { shape: "untyped", atomic: false };

const structs = new Map<string, SmdType>();

/** The schema of a registered struct. */
export function smdOfStruct(s: StructType, atomic = s.atomic): SmdType {
  const key = `${s.ref}/${atomic}`;
  const known = structs.get(key);
  if (known) return known;
  const fields = new Map<string, SmdType>();
  const t: SmdType = { shape: "map", atomic, fields };
  structs.set(key, t);
  for (const f of s.fields) fields.set(f.name, smdOfField(f));
  return t;
}

function smdOfField(f: Field): SmdType {
  const t = f.type;
  switch (t.shape) {
    case "list":
      return listOf(f, t);
    case "map":
      return { shape: "map", atomic: f.mapType === "atomic", element: smdOfType(t.element!) };
    case "struct":
      return smdOfStruct(structOf(t), f.structType === undefined ? structOf(t).atomic : f.structType === "atomic");
    default:
      return smdOfType(t);
  }
}

function smdOfType(t: TypeRef): SmdType {
  switch (t.shape) {
    case "string":
    case "bytes":
    case "Time":
    case "MicroTime":
    case "Duration":
      return STRING;
    case "bool":
      return BOOLEAN;
    case "int32":
    case "int64":
    case "float64":
      return NUMERIC;
    case "list":
      return { shape: "list", atomic: true, element: smdOfType(t.element!) };
    case "map":
      return { shape: "map", atomic: false, element: smdOfType(t.element!) };
    case "struct":
      return smdOfStruct(structOf(t));
    case "FieldsV1":
    case "schemaUnion":
      return UNTYPED;
    default:
      return SCALAR;
  }
}

const STRING: SmdType = { shape: "scalar", atomic: false, scalar: "string" };
const BOOLEAN: SmdType = { shape: "scalar", atomic: false, scalar: "boolean" };
const NUMERIC: SmdType = { shape: "scalar", atomic: false, scalar: "numeric" };

function listOf(f: Field, t: TypeRef): SmdType {
  const element = smdOfType(t.element!);
  const kind = f.listType ?? (f.patchStrategy.includes("merge") ? (f.patchMergeKey ? "map" : "set") : "atomic");
  if (kind === "atomic") return { shape: "list", atomic: true, element };
  if (kind === "set") return { shape: "list", atomic: false, element, keys: [] };
  const keys = f.listMapKeys.length > 0 ? f.listMapKeys : [f.patchMergeKey!];
  const keyDefaults: Record<string, unknown> = {};
  for (const k of keys) {
    const d = t.element!.shape === "struct" ? structOf(t.element!).byName.get(k)?.default : undefined;
    if (d !== undefined) keyDefaults[k] = d;
  }
  return { shape: "list", atomic: false, element, keys, keyDefaults };
}

/** The type below a key of a map or struct; undefined when a struct does not declare it. */
export function childType(t: SmdType, key: string): SmdType | undefined {
  if (t.shape === "untyped") return UNTYPED;
  return t.fields?.get(key) ?? t.element;
}

/** The path element of a list item: "k:{...}" or "v:...". `undefined` when a key is missing. */
export function itemElement(t: SmdType, item: any): string | undefined {
  if (t.keys === undefined || t.keys.length === 0) return `v:${JSON.stringify(item)}`;
  if (item === null || typeof item !== "object") return undefined;
  const key: Record<string, unknown> = {};
  for (const k of [...t.keys].sort()) {
    const v = item[k] ?? t.keyDefaults?.[k];
    if (v !== undefined) key[k] = v;
  }
  if (Object.keys(key).length === 0) return undefined;
  return `k:${JSON.stringify(key)}`;
}
