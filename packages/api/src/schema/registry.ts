// The type registry: every API type as data (JSON name, protobuf number, presence, list and patch semantics), the one
// source that decoding, encoding, defaulting, patching and server-side apply walk.
// Invariant: a StructType is built once and never changes; inlined embeds appear flattened in `fields` (JSON) and as
// messages of their own in `wire` (protobuf).
// Line grammar of the generated table: name type pb flags option...; flags i inline, e omitempty, o optional, r required.
import { AssertionError } from "@podwire/base";
import { BETA_GROUPS, BETA_TYPES } from "../beta-types.ts";
import { ALIASES, GROUPS as DEFAULT_GROUPS, TYPES as DEFAULT_TYPES, ENUMS } from "../generated/fields.ts";

const TYPES: Record<string, string> = { ...DEFAULT_TYPES, ...BETA_TYPES };
const GROUPS: Record<string, string> = { ...DEFAULT_GROUPS, ...BETA_GROUPS };

export type Scalar = "string" | "bool" | "int32" | "int64" | "float64" | "bytes";
export type Special = "Time" | "MicroTime" | "Quantity" | "IntOrString" | "Duration" | "RawExtension" | "FieldsV1" | "JSON";
export type Shape = Scalar | Special | "list" | "map" | "struct" | "schemaUnion";

export interface TypeRef {
  readonly shape: Shape;
  readonly pointer: boolean;
  /** Element of a list, value of a map. */
  readonly element: TypeRef | undefined;
  /** Go's name of the type, as unmarshalling errors print it: "int32", "[]v1.Container". */
  readonly goName: string;
  /** Canonical reference of a struct ("core/v1.PodSpec") or a named scalar ("core/v1.PullPolicy"). */
  readonly ref: string | undefined;
  struct: StructType | undefined;
}

export interface Field {
  readonly name: string;
  readonly type: TypeRef;
  readonly pb: number;
  readonly omitEmpty: boolean;
  readonly optional: boolean;
  readonly required: boolean;
  readonly patchStrategy: readonly string[];
  readonly patchMergeKey: string | undefined;
  readonly listType: "atomic" | "set" | "map" | undefined;
  readonly listMapKeys: readonly string[];
  readonly mapType: string | undefined;
  readonly structType: string | undefined;
  readonly featureGate: string | undefined;
  readonly default: unknown;
  /** True for a field that stands for an inlined embed; only in `wire`. */
  readonly inline: boolean;
}

export interface StructType {
  readonly ref: string;
  /** "PodSpec" */
  readonly name: string;
  /** "v1.PodSpec" */
  readonly goName: string;
  readonly fields: readonly Field[];
  readonly byName: ReadonlyMap<string, Field>;
  readonly wire: readonly Field[];
  readonly byNumber: readonly (Field | undefined)[];
  readonly isKind: boolean;
  readonly atomic: boolean;
}

const structs = new Map<string, StructType>();
const SCALARS = new Set(["string", "bool", "int32", "int64", "float64", "bytes"]);
const SPECIALS: Record<string, string> = {
  Time: "v1.Time",
  MicroTime: "v1.MicroTime",
  Quantity: "resource.Quantity",
  IntOrString: "intstr.IntOrString",
  Duration: "v1.Duration",
  RawExtension: "runtime.RawExtension",
  FieldsV1: "v1.FieldsV1",
  JSON: "v1.JSON",
};
const UNIONS = new Set(["JSONSchemaPropsOrArray", "JSONSchemaPropsOrBool", "JSONSchemaPropsOrStringArray"]);

/** The struct behind a canonical reference; throws for a name that the table does not hold. */
export function structType(ref: string): StructType {
  let s = structs.get(ref);
  if (s === undefined) {
    s = build(ref);
    structs.set(ref, s);
  }
  return s;
}

export function hasStructType(ref: string): boolean {
  return ref in TYPES;
}

/** The table's package of a group and version: ("", "v1") -> "core/v1". */
export function packageOf(group: string, version: string): string | undefined {
  return packages.get(`${group}/${version}`);
}

const packages = new Map<string, string>();
for (const [pkg, group] of Object.entries(GROUPS)) {
  const version = pkg.slice(pkg.indexOf("/") + 1);
  if (pkg.includes("/")) packages.set(`${group}/${version}`, pkg);
}

/** The struct of a kind, or undefined when no kind of that name is registered. Option kinds of meta.k8s.io exist in every version. */
export function kindType(group: string, version: string, kind: string): StructType | undefined {
  const pkg = packageOf(group, version);
  if (pkg !== undefined && hasStructType(`${pkg}.${kind}`)) {
    const s = structType(`${pkg}.${kind}`);
    if (s.isKind) return s;
  }
  if (META_KINDS.has(kind)) return structType(`meta/v1.${kind}`);
  if (pkg !== undefined && kind === "WatchEvent") return structType("meta/v1.WatchEvent");
  return undefined;
}

const META_KINDS = new Set(["DeleteOptions", "CreateOptions", "UpdateOptions", "PatchOptions", "ListOptions", "GetOptions", "Status"]);

/** Values of an enumerated string type, by canonical reference. */
export function enumValues(ref: string): readonly string[] | undefined {
  return ENUMS[ref];
}

export function allStructRefs(): string[] {
  return Object.keys(TYPES);
}

/** Resolves the struct of a reference that was parsed lazily. */
export function structOf(t: TypeRef): StructType {
  if (t.struct === undefined) {
    if (t.ref === undefined) throw new AssertionError(`${t.goName} is not a struct`);
    t.struct = structType(t.ref);
  }
  return t.struct;
}

function build(ref: string): StructType {
  const text = TYPES[ref];
  if (text === undefined) throw new AssertionError(`the field table has no type ${ref}`);
  const lines = text.split("\n");
  const head = lines[0] ?? "";
  const fields: Field[] = [];
  const wire: Field[] = [];
  for (const line of lines.slice(1)) {
    const f = parseField(line);
    if (f.pb > 0) wire.push(f);
    if (!f.inline) fields.push(f);
    else if (f.type.shape === "struct") fields.push(...structOf(f.type).fields);
  }
  const byNumber: (Field | undefined)[] = [];
  for (const f of wire) byNumber[f.pb] = f;
  return {
    ref,
    name: ref.slice(ref.lastIndexOf(".") + 1),
    goName: goNameOf(ref),
    fields,
    byName: new Map(fields.map((f) => [f.name, f])),
    wire: wire.sort((a, b) => a.pb - b.pb),
    byNumber,
    isKind: head.includes("k"),
    atomic: head.includes("a"),
  };
}

function parseField(line: string): Field {
  const parts = line.split(" ");
  const [name, type, pb, flags] = parts as [string, string, string, string];
  const opts = new Map<string, string>();
  for (const p of parts.slice(4)) opts.set(p.slice(0, p.indexOf("=")), p.slice(p.indexOf("=") + 1));
  return {
    name: name === "-" ? "" : name,
    type: parseType(type),
    pb: Number(pb),
    omitEmpty: flags.includes("e"),
    optional: flags.includes("o"),
    required: flags.includes("r"),
    inline: flags.includes("i"),
    patchStrategy: opts.get("ps")?.split(",") ?? [],
    patchMergeKey: opts.get("pk"),
    listType: opts.get("lt") as Field["listType"],
    listMapKeys: opts.get("lk")?.split(",") ?? [],
    mapType: opts.get("mt"),
    structType: opts.get("st"),
    featureGate: opts.get("fg"),
    default: parseDefault(opts.get("d")),
  };
}

function parseDefault(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  if (text === "ref(AzureDataDiskCachingReadWrite)") return "ReadWrite";
  if (text === "ref(AzureSharedBlobDisk)") return "Shared";
  return JSON.parse(text);
}

const parsed = new Map<string, TypeRef>();

/** Parses a type expression of the table; equal expressions share one TypeRef. */
export function parseType(expr: string): TypeRef {
  let t = parsed.get(expr);
  if (t === undefined) {
    t = parseTypeUncached(expr);
    parsed.set(expr, t);
  }
  return t;
}

function parseTypeUncached(expr: string): TypeRef {
  if (expr.startsWith("*")) return { ...parseType(expr.slice(1)), pointer: true };
  if (expr.startsWith("[]")) {
    const element = parseType(expr.slice(2));
    return make("list", `[]${element.pointer ? "*" : ""}${element.goName}`, { element });
  }
  const map = /^map\[([^\]]+)\](.+)$/.exec(expr);
  if (map) {
    const element = parseType(map[2]!);
    return make("map", `map[${goNameOf(map[1]!)}]${element.goName}`, { element });
  }
  if (SCALARS.has(expr)) return make(expr as Scalar, expr === "bytes" ? "[]uint8" : expr, {});
  if (SPECIALS[expr]) return make(expr as Special, SPECIALS[expr], {});
  if (expr === "types.UID") return make("string", "types.UID", {});
  const alias = ALIASES[expr];
  if (alias !== undefined) {
    const pkg = expr.slice(0, expr.lastIndexOf("."));
    const target = parseType(qualify(alias, pkg));
    return { ...target, goName: goNameOf(expr), ref: expr };
  }
  const name = expr.slice(expr.lastIndexOf(".") + 1);
  return make(UNIONS.has(name) ? "schemaUnion" : "struct", goNameOf(expr), { ref: expr });
}

function make(shape: Shape, goName: string, rest: { element?: TypeRef; ref?: string }): TypeRef {
  return { shape, pointer: false, goName, element: rest.element, ref: rest.ref, struct: undefined };
}

function qualify(expr: string, pkg: string): string {
  if (expr.startsWith("[]")) return `[]${qualify(expr.slice(2), pkg)}`;
  const map = /^map\[string\](.+)$/.exec(expr);
  if (map) return `map[string]${qualify(map[1]!, pkg)}`;
  return SCALARS.has(expr) || SPECIALS[expr] ? expr : `${pkg}.${expr}`;
}

/** "core/v1.PodSpec" -> "v1.PodSpec". */
function goNameOf(ref: string): string {
  const slash = ref.indexOf("/");
  return slash < 0 ? ref : ref.slice(slash + 1);
}
