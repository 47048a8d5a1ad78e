// JSON schemas of API types, from the type registry: for OpenAPI v3 (with defaults and allOf) and for v2 (bare references).
// Specification: k8s.io/kube-openapi's builder, as kube-apiserver 1.34 publishes it.
import {
  betaResources,
  enumValues,
  type Field,
  kindType,
  registry,
  type StructType,
  structOf,
  structType,
  type TypeRef,
} from "@podwire/api";
import { type Descriptions, NO_DESCRIPTIONS } from "./descriptions.ts";
import { referenceText, valuesText } from "./reference-texts.ts";

export type Schema = Record<string, unknown>;
export type Dialect = "v3" | "v2";

const META = "io.k8s.apimachinery.pkg.apis.meta.v1";
const SPECIAL_NAMES: Readonly<Record<string, string>> = {
  Time: `${META}.Time`,
  MicroTime: `${META}.MicroTime`,
  Duration: `${META}.Duration`,
  FieldsV1: `${META}.FieldsV1`,
  Quantity: "io.k8s.apimachinery.pkg.api.resource.Quantity",
  IntOrString: "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
  RawExtension: "io.k8s.apimachinery.pkg.runtime.RawExtension",
  JSON: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON",
};
const SPECIAL_SCHEMAS: Readonly<Record<string, (d: Dialect) => Schema>> = {
  Time: () => ({ type: "string", format: "date-time" }),
  MicroTime: () => ({ type: "string", format: "date-time" }),
  Duration: () => ({ type: "string" }),
  FieldsV1: () => ({ type: "object" }),
  Quantity: (d) => (d === "v2" ? { type: "string" } : { oneOf: [{ type: "string" }, { type: "number" }] }),
  IntOrString: (d) =>
    d === "v2"
      ? { type: "string", format: "int-or-string" }
      : { format: "int-or-string", oneOf: [{ type: "integer" }, { type: "string" }] },
  RawExtension: () => ({ type: "object" }),
  JSON: () => ({}),
};
const SCALARS: Readonly<Record<string, { schema: Schema; zero: unknown }>> = {
  string: { schema: { type: "string" }, zero: "" },
  bool: { schema: { type: "boolean" }, zero: false },
  int32: { schema: { type: "integer", format: "int32" }, zero: 0 },
  int64: { schema: { type: "integer", format: "int64" }, zero: 0 },
  float64: { schema: { type: "number", format: "double" }, zero: 0 },
  bytes: { schema: { type: "string", format: "byte" }, zero: undefined },
};

/** "core/v1.PodSpec" -> "io.k8s.api.core.v1.PodSpec". */
export function schemaName(ref: string): string {
  const dot = ref.indexOf(".");
  const pkg = ref.slice(0, dot).replace("/", ".");
  const name = ref.slice(dot + 1);
  if (pkg === "meta.v1") return `${META}.${name}`;
  if (pkg === "apiextensions.v1") return `io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.${name}`;
  if (pkg === "apiregistration.v1") return `io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.${name}`;
  return `io.k8s.api.${pkg}.${name}`;
}

/** Collects the schemas that roots need, by name. */
export class SchemaSet {
  readonly schemas: Record<string, Schema> = {};
  readonly #dialect: Dialect;
  readonly #descriptions: Descriptions;

  constructor(dialect: Dialect, descriptions: Descriptions = NO_DESCRIPTIONS) {
    this.#dialect = dialect;
    this.#descriptions = descriptions;
  }

  /** A reference to a type by registry name; its schema and all that it needs are added. */
  add(ref: string): Schema {
    const name = schemaName(ref);
    if (!this.schemas[name]) {
      this.schemas[name] = {};
      this.schemas[name] = this.#struct(structType(ref));
    }
    return { $ref: `#/${this.#dialect === "v3" ? "components/schemas" : "definitions"}/${name}` };
  }

  #special(shape: string): Schema {
    const name = SPECIAL_NAMES[shape] as string;
    const description = this.#descriptions.special(shape);
    this.schemas[name] ??= { ...(description ? { description } : {}), ...(SPECIAL_SCHEMAS[shape]?.(this.#dialect) ?? {}) };
    return { $ref: `#/${this.#dialect === "v3" ? "components/schemas" : "definitions"}/${name}` };
  }

  #struct(t: StructType): Schema {
    const properties: Record<string, Schema> = {};
    const required: string[] = [];
    const docs = this.#descriptions.of(t.ref);
    for (const f of t.fields) {
      properties[f.name] = this.#field(f, docs?.fields.get(f.name) ?? referenceText(t, f));
      if (f.required || (!f.omitEmpty && !f.optional)) required.push(f.name);
    }
    if (t.isKind) {
      properties["apiVersion"] ??= { ...text(docs?.fields.get("apiVersion")), type: "string" };
      properties["kind"] ??= { ...text(docs?.fields.get("kind")), type: "string" };
    }
    const kinds = t.isKind ? kindsOf(t) : [];
    return {
      ...text(docs?.text),
      type: "object",
      ...(required.length > 0 ? { required: required.sort() } : {}),
      ...(Object.keys(properties).length > 0 ? { properties } : {}),
      ...(t.atomic ? { "x-kubernetes-map-type": "atomic" } : {}),
      ...(kinds.length > 0 ? { "x-kubernetes-group-version-kind": kinds } : {}),
    };
  }

  #field(f: Field, description: string | undefined): Schema {
    const s = this.#type(f.type);
    const v3 = this.#dialect === "v3";
    const out: Schema = {};
    const values = f.type.ref && f.type.shape === "string" ? enumValues(f.type.ref) : undefined;
    Object.assign(out, text(description));
    if (v3) {
      const fallback = f.default !== undefined ? f.default : defaultOf(f);
      if (fallback !== undefined) out["default"] = fallback;
      if (values) {
        out["enum"] = [...values].sort();
        if (description) out["description"] = `${description}\n\n${valuesText(f.type.ref as string, values)}`;
      }
    }
    if (f.patchStrategy.length > 0) out["x-kubernetes-patch-strategy"] = f.patchStrategy.join(",");
    if (f.patchMergeKey) out["x-kubernetes-patch-merge-key"] = f.patchMergeKey;
    if (f.listType) out["x-kubernetes-list-type"] = f.listType;
    if (f.listMapKeys.length > 0) out["x-kubernetes-list-map-keys"] = [...f.listMapKeys];
    if (f.mapType ?? f.structType) out["x-kubernetes-map-type"] = f.mapType ?? f.structType;
    // v3 keeps siblings of a reference by wrapping it; v2's readers ignore the rule and want it bare.
    if ("$ref" in s && v3 && Object.keys(out).length > 0) return { ...out, allOf: [s] };
    return { ...out, ...s };
  }

  #type(t: TypeRef): Schema {
    const scalar = SCALARS[t.shape];
    if (scalar) return { ...scalar.schema };
    if (t.shape === "struct") return this.add(structOf(t).ref);
    if (t.shape === "list") return { type: "array", items: this.#element(t.element as TypeRef) };
    if (t.shape === "map") return { type: "object", additionalProperties: this.#element(t.element as TypeRef) };
    if (t.shape in SPECIAL_NAMES) return this.#special(t.shape);
    return t.ref ? this.add(t.ref) : {};
  }

  #element(t: TypeRef): Schema {
    const s = this.#type(t);
    if (this.#dialect === "v2") return s;
    if ("$ref" in s) return t.shape === "struct" && !t.pointer ? { default: {}, allOf: [s] } : s;
    const zero = SCALARS[t.shape]?.zero;
    return zero === undefined || t.pointer ? s : { ...s, default: zero };
  }
}

/** What an absent field stands for, as kube-openapi writes it: structs by value are {}, scalars that are always written their zero. */
function defaultOf(f: Field): unknown {
  if (f.type.pointer) return undefined;
  if (f.type.shape === "struct") return {};
  return f.omitEmpty ? undefined : SCALARS[f.type.shape]?.zero;
}

function text(description: string | undefined): Schema {
  return description ? { description } : {};
}

const kindIndex = new Map<string, { group: string; kind: string; version: string }[]>();

/** Every group, version and kind that a registered type stands for. */
function kindsOf(t: StructType): { group: string; kind: string; version: string }[] {
  if (kindIndex.size === 0) {
    const seen = new Set<string>();
    for (const r of [...registry.resources(), ...betaResources]) {
      for (const kind of [r.kind, r.listKind, ...r.subresources.filter((s) => !s.foreign).map((s) => s.kind)]) {
        const id = `${r.group}/${r.version}/${kind}`;
        const type = seen.has(id) ? undefined : kindType(r.group, r.version, kind);
        seen.add(id);
        if (!type) continue;
        const list = kindIndex.get(type.ref) ?? [];
        list.push({ group: r.group, kind, version: r.version });
        kindIndex.set(type.ref, list);
      }
    }
    const versions = [...new Set(registry.resources().map((r) => `${r.group}/${r.version}`))].sort();
    for (const kind of ["DeleteOptions", "WatchEvent"]) {
      kindIndex.set(
        `meta/v1.${kind}`,
        versions.map((v) => ({ group: v.split("/")[0] as string, kind, version: v.split("/")[1] as string })),
      );
    }
    kindIndex.set("meta/v1.Status", [{ group: "", kind: "Status", version: "v1" }]);
  }
  return kindIndex.get(t.ref) ?? [];
}
