// What a CustomResourceDefinition's schema may say: it has to be structural (KEP-1152), its defaults have to fit, its list and map types
// have to hold together (apiextensions-apiserver/pkg/apiserver/schema, pkg/apis/apiextensions/validation). Pure.
// Invariant: rules in CEL are looked at only where the schema itself is without error.
import {
  errorText,
  type FieldError,
  forbidden,
  invalid,
  type JsonSchema,
  notSupported,
  patternOf,
  prune,
  required,
  schemaRuleErrors,
  Verbatim,
  validateSchema,
} from "@podwire/api";

type Level = "root" | "item" | "field";
type Schema = JsonSchema & Record<string, any>;

const TYPES = ["array", "boolean", "integer", "number", "object", "string"];
const META_FIELDS = ["apiVersion", "kind", "metadata"];
/** Keywords of JSON Schema that are refused by name. */
const UNSUPPORTED = ["id", "additionalItems", "patternProperties", "definitions", "dependencies", "$ref"];
const JUNCTORS = ["allOf", "anyOf", "oneOf"] as const;
const INT_OR_STRING = JSON.stringify([{ type: "integer" }, { type: "string" }]);

/** Everything that is wrong with a root schema. */
export function schemaErrors(schema: JsonSchema, path: string): FieldError[] {
  const s = schema as Schema;
  const errors: FieldError[] = [];
  if (s["nullable"]) errors.push(forbidden(`${path}.nullable`, "nullable cannot be true at the root"));
  const structural = [...structuralErrors(s, "root", path), ...completenessErrors(s, s, path, path)];
  structural.sort((a, b) => (errorText(a) < errorText(b) ? -1 : 1));
  errors.push(...(structural.length > 0 ? structural : defaultErrors(s, path, true)));
  errors.push(...openApiErrors(s, path, { isRoot: true, insideMeta: false, noDefaults: undefined }));
  return errors.length > 0 ? errors : schemaRuleErrors(schema, path);
}

function structuralErrors(s: Schema, level: Level, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (s.type === "array" && !s.items) errors.push(required(`${path}.items`, "must be specified"));
  if (s.items) errors.push(...structuralErrors(s.items, "item", `${path}.items`));
  const properties = (s.properties ?? {}) as Record<string, Schema>;
  for (const [k, p] of Object.entries(properties)) errors.push(...structuralErrors(p, "field", `${path}.properties[${k}]`));
  if (s.additionalProperties !== undefined && s.additionalProperties !== false) {
    if (level === "root") errors.push(forbidden(`${path}.additionalProperties`, "must not be used at the root"));
    if (typeof s.additionalProperties === "object")
      errors.push(...structuralErrors(s.additionalProperties, "field", `${path}.additionalProperties`));
  }
  const free = s["x-kubernetes-int-or-string"] || s["x-kubernetes-preserve-unknown-fields"];
  const embedded = s["x-kubernetes-embedded-resource"] === true;
  if (s["x-kubernetes-int-or-string"] && s["x-kubernetes-preserve-unknown-fields"])
    errors.push(invalid(`${path}.x-kubernetes-preserve-unknown-fields`, true, "must be false if x-kubernetes-int-or-string is true"));
  if (s["x-kubernetes-int-or-string"] && embedded)
    errors.push(invalid(`${path}.x-kubernetes-embedded-resource`, true, "must be false if x-kubernetes-int-or-string is true"));
  errors.push(...junctorErrors(s, path));
  if (embedded && s.type !== "object") {
    const why = "must be object if x-kubernetes-embedded-resource is true";
    errors.push(s.type ? invalid(`${path}.type`, s.type, why) : required(`${path}.type`, why));
  } else if (!s.type && !free) errors.push(required(`${path}.type`, EMPTY_TYPE[level]));
  if (embedded && s.additionalProperties !== undefined)
    errors.push(forbidden(`${path}.additionalProperties`, "must not be used if x-kubernetes-embedded-resource is set"));
  if (level === "root" && s.type && s.type !== "object") errors.push(invalid(`${path}.type`, s.type, "must be object at the root"));
  if (level === "root" || embedded) errors.push(...typeMetaErrors(properties, path, level));
  if (embedded && !s["x-kubernetes-preserve-unknown-fields"] && Object.keys(properties).length === 0)
    errors.push(
      required(
        `${path}.properties`,
        "must not be empty if x-kubernetes-embedded-resource is true without x-kubernetes-preserve-unknown-fields",
      ),
    );
  return errors;
}

const EMPTY_TYPE: Record<Level, string> = {
  root: "must not be empty at the root",
  item: "must not be empty for specified array items",
  field: "must not be empty for specified object fields",
};

/** kind, apiVersion and metadata are what they are; only names may be restricted. */
function typeMetaErrors(properties: Record<string, Schema>, path: string, level: Level): FieldError[] {
  const errors: FieldError[] = [];
  const own = (k: string) => (Object.hasOwn(properties, k) ? (properties[k] as Schema) : undefined);
  for (const k of ["kind", "apiVersion"]) {
    const p = own(k);
    if (p && p.type !== "string") errors.push(invalid(`${path}.properties[${k}].type`, p.type ?? "", "must be string"));
  }
  const metadata = own("metadata");
  if (!metadata) return errors;
  const at = `${path}.properties[metadata]`;
  if (metadata.type !== "object") errors.push(invalid(`${at}.type`, metadata.type ?? "", "must be object"));
  if (level !== "root") return errors;
  const { type: _type, properties: inner = {}, default: _default, description: _description, ...rest } = metadata;
  const onlyNames = Object.keys(inner).every((k) => k === "name" || k === "generateName");
  if (!onlyNames || Object.keys(rest).length > 0)
    errors.push(forbidden(at, "must not specify anything other than name and generateName, but metadata is implicitly specified"));
  return errors;
}

function junctorErrors(s: Schema, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const anyOfIsType = JSON.stringify(s["anyOf"]) === INT_OR_STRING;
  for (const j of JUNCTORS)
    for (const [i, n] of ((s[j] ?? []) as Schema[]).entries()) {
      if (j === "anyOf" && anyOfIsType && s["x-kubernetes-int-or-string"]) continue;
      const typed = j === "allOf" && i === 0 && s["x-kubernetes-int-or-string"] === true && JSON.stringify(n["anyOf"]) === INT_OR_STRING;
      errors.push(...nestedErrors(typed ? { ...n, anyOf: [] } : n, `${path}.${j}[${i}]`));
    }
  if (s["not"]) errors.push(...nestedErrors(s["not"] as Schema, `${path}.not`));
  if (s.pattern && !patternOf(s.pattern))
    errors.push(invalid(`${path}.pattern`, s.pattern, `must be a valid regular expression, but isn't: error parsing regexp: ${s.pattern}`));
  return errors;
}

const NESTED_EMPTY: readonly [string, string][] = [
  ["type", "must be empty to be structural"],
  ["additionalProperties", "must be undefined to be structural"],
  ["default", "must be undefined to be structural"],
  ["title", "must be empty to be structural"],
  ["description", "must be empty to be structural"],
  ["nullable", "must be false to be structural"],
  ["externalDocs", "must be undefined to be structural"],
  ["x-kubernetes-preserve-unknown-fields", "must be false to be structural"],
  ["x-kubernetes-embedded-resource", "must be false to be structural"],
  ["x-kubernetes-int-or-string", "must be false to be structural"],
  ["x-kubernetes-list-map-keys", "must be empty to be structural"],
  ["x-kubernetes-list-type", "must be undefined to be structural"],
  ["x-kubernetes-map-type", "must be undefined to be structural"],
  ["x-kubernetes-validations", "must be empty to be structural"],
];

/** Below a logical junctor only values are restricted, nothing is declared. */
function nestedErrors(s: Schema, path: string): FieldError[] {
  const errors = junctorErrors(s, path);
  if (s.items) errors.push(...nestedErrors(s.items, `${path}.items`));
  for (const [k, p] of Object.entries(s.properties ?? {})) errors.push(...nestedErrors(p, `${path}.properties[${k}]`));
  for (const [field, why] of NESTED_EMPTY) {
    const v = s[field];
    if (v === undefined || v === false || v === "" || (Array.isArray(v) && v.length === 0)) continue;
    errors.push(forbidden(`${path}.${field}`, why));
  }
  if (s.properties && Object.hasOwn(s.properties, "metadata"))
    errors.push(forbidden(`${path}.properties[metadata]`, "must not be specified in a nested context"));
  return errors;
}

/** Every field that a junctor speaks of is declared outside of it, too. */
function completenessErrors(values: Schema, s: Schema | undefined, sPath: string, vPath: string): FieldError[] {
  const errors: FieldError[] = [];
  const nested = (v: Schema, declared: Schema | undefined, at: string, from: string): void => {
    if (!declared) return void errors.push(required(at, `because it is defined in ${from}`));
    errors.push(...completenessErrors(v, declared, at, from));
    if (v.items) nested(v.items, declared.items, `${at}.items`, `${from}.items`);
    for (const [k, p] of Object.entries(v.properties ?? {})) {
      const there = declared.properties && Object.hasOwn(declared.properties, k) ? declared.properties[k] : undefined;
      nested(p, there, `${at}.properties[${k}]`, `${from}.properties[${k}]`);
    }
  };
  if (values["not"]) nested(values["not"], s, sPath, `${vPath}.not`);
  for (const j of JUNCTORS) for (const [i, n] of (values[j] ?? []).entries()) nested(n as Schema, s, sPath, `${vPath}.${j}[${i}]`);
  return errors;
}

/** Defaults fit their own schema and say nothing that would be pruned. */
function defaultErrors(s: Schema, path: string, isResource: boolean): FieldError[] {
  const errors: FieldError[] = [];
  if (s.default !== undefined && s.default !== null) {
    const pruned = structuredClone(s.default);
    if (!s["x-kubernetes-embedded-resource"]) prune({ "": pruned }, { type: "object", properties: { "": s } });
    if (JSON.stringify(pruned) !== JSON.stringify(s.default))
      errors.push(invalid(`${path}.default`, s.default, "must not have unknown fields"));
    errors.push(...validateSchema(s.default, s, `${path}.default`));
  }
  if (s.items) errors.push(...defaultErrors(s.items, `${path}.items`, s.items["x-kubernetes-embedded-resource"] === true));
  for (const k of Object.keys(s.properties ?? {}).sort()) {
    if (isResource && META_FIELDS.includes(k)) continue;
    const p = (s.properties as Record<string, Schema>)[k] as Schema;
    errors.push(...defaultErrors(p, `${path}.properties[${k}]`, p["x-kubernetes-embedded-resource"] === true));
  }
  return errors;
}

interface Place {
  isRoot: boolean;
  insideMeta: boolean;
  /** Why there may be no default here. */
  noDefaults: string | undefined;
}

function openApiErrors(s: Schema, path: string, at: Place): FieldError[] {
  const errors: FieldError[] = [];
  if (s.type && !TYPES.includes(s.type)) errors.push(notSupported(`${path}.type`, s.type, TYPES));
  if (s.default !== undefined && at.noDefaults !== undefined)
    errors.push(forbidden(`${path}.default`, `must not be set ${at.noDefaults}`.trim()));
  for (const k of UNSUPPORTED) if (s[k] !== undefined) errors.push(forbidden(`${path}.${k}`, `${k} is not supported`));
  if ((s.type as string) === "null") errors.push(forbidden(`${path}.type`, "type cannot be set to null, use nullable as an alternative"));
  if (at.insideMeta && s["x-kubernetes-embedded-resource"])
    errors.push(forbidden(`${path}.x-kubernetes-embedded-resource`, "must not be used inside of resource meta"));
  if (s.uniqueItems)
    errors.push(forbidden(`${path}.uniqueItems`, "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"));
  if (s.additionalProperties !== undefined) {
    if (Object.keys(s.properties ?? {}).length > 0 && s.additionalProperties !== true)
      errors.push(forbidden(`${path}.additionalProperties`, "additionalProperties and properties are mutual exclusive"));
    const noDefaults = at.insideMeta ? "inside additionalProperties applying to object metadata" : at.noDefaults;
    if (typeof s.additionalProperties === "object")
      errors.push(...openApiErrors(s.additionalProperties, `${path}.additionalProperties`, { ...at, isRoot: false, noDefaults }));
  }
  for (const k of Object.keys(s.properties ?? {}).sort()) {
    const isMeta = (at.isRoot || s["x-kubernetes-embedded-resource"] === true) && META_FIELDS.includes(k);
    const place = {
      isRoot: false,
      insideMeta: at.insideMeta || isMeta,
      noDefaults: isMeta && at.isRoot ? `in top-level ${k}` : at.noDefaults,
    };
    errors.push(...openApiErrors((s.properties as Record<string, Schema>)[k] as Schema, `${path}.properties[${k}]`, place));
  }
  const below = { ...at, isRoot: false };
  if (s["not"]) errors.push(...openApiErrors(s["not"] as Schema, `${path}.not`, below));
  for (const j of JUNCTORS)
    for (const [i, n] of (s[j] ?? []).entries()) errors.push(...openApiErrors(n as Schema, `${path}.${j}[${i}]`, below));
  if (s.items) errors.push(...openApiErrors(s.items, `${path}.items`, below));
  if (s["x-kubernetes-preserve-unknown-fields"] === false)
    errors.push(invalid(`${path}.x-kubernetes-preserve-unknown-fields`, false, "must be true or undefined"));
  errors.push(...listAndMapErrors(s, path));
  return errors;
}

function listAndMapErrors(s: Schema, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const mapType = s["x-kubernetes-map-type"];
  const listType = s["x-kubernetes-list-type"];
  const keys: string[] = s["x-kubernetes-list-map-keys"] ?? [];
  const typed = (wanted: string, keyword: string) => {
    const why = `must be ${wanted} if ${keyword} is specified`;
    errors.push(s.type ? invalid(`${path}.type`, s.type, why) : required(`${path}.type`, why));
  };
  if (mapType !== undefined && s.type !== "object") typed("object", "x-kubernetes-map-type");
  if (mapType !== undefined && !["atomic", "granular"].includes(mapType))
    errors.push(notSupported(`${path}.x-kubernetes-map-type`, mapType, ["atomic", "granular"]));
  if (listType !== undefined && s.type !== "array") typed("array", "x-kubernetes-list-type");
  else if (listType === "set") errors.push(...setItemErrors(s.items as Schema | undefined, path));
  if (listType !== undefined && !["atomic", "set", "map"].includes(listType))
    errors.push(notSupported(`${path}.x-kubernetes-list-type`, listType, ["atomic", "set", "map"]));
  const where = `${path}.x-kubernetes-list-type`;
  if (keys.length > 0 && listType !== "map") {
    const why = "must be map if x-kubernetes-list-map-keys is non-empty";
    errors.push(listType === undefined ? required(where, why) : invalid(where, listType, why));
  }
  if (listType === "map") errors.push(...mapListErrors(s, keys, path));
  if ((listType === "set" || listType === "map") && s.items?.nullable)
    errors.push(forbidden(`${path}.items.nullable`, `cannot be nullable when x-kubernetes-list-type is ${listType}`));
  if (listType === "map" && s.items) errors.push(...keyErrors(s.items as Schema, keys, path));
  return errors;
}

function mapListErrors(s: Schema, keys: readonly string[], path: string): FieldError[] {
  const errors: FieldError[] = [];
  const where = `${path}.x-kubernetes-list-map-keys`;
  if (keys.length === 0) errors.push(required(where, "must not be empty if x-kubernetes-list-type is map"));
  if (!s.items) return [...errors, required(`${path}.items`, "must have a schema if x-kubernetes-list-type is map")];
  if (s.items.type !== "object")
    return [...errors, invalid(`${path}.items.type`, s.items.type ?? "", "must be object if parent array's x-kubernetes-list-type is map")];
  const seen = new Set<string>();
  for (const k of keys) {
    const p = s.items.properties && Object.hasOwn(s.items.properties, k) ? s.items.properties[k] : undefined;
    if (!p) errors.push(invalid(where, keys, "entries must all be names of item properties"));
    else if (p.type === "array" || p.type === "object")
      errors.push(
        invalid(
          `${path}.items.properties[${k}].type`,
          s.items.type,
          "must be a scalar type if parent array's x-kubernetes-list-type is map",
        ),
      );
    if (seen.has(k)) errors.push(invalid(where, keys, "must not contain duplicate entries"));
    seen.add(k);
  }
  return errors;
}

/** Keys of a list's items are always there: required, or with a default. */
function keyErrors(items: Schema, keys: readonly string[], path: string): FieldError[] {
  const errors: FieldError[] = [];
  for (const k of keys) {
    const p = items.properties && Object.hasOwn(items.properties, k) ? (items.properties[k] as Schema) : undefined;
    if (!p) continue;
    const at = `${path}.items.properties[${k}]`;
    const why = "this property is in x-kubernetes-list-map-keys, so it";
    if (!items.required?.includes(k) && p.default === undefined)
      errors.push(required(`${at}.default`, `${why} must have a default or be a required property`));
    if (p.nullable) errors.push(forbidden(`${at}.nullable`, `${why} cannot be nullable`));
  }
  return errors;
}

/** Items of a set are compared as wholes: objects and lists among them have to be atomic. */
function setItemErrors(items: Schema | undefined, path: string): FieldError[] {
  const why = "must be atomic as item of a list with x-kubernetes-list-type=set";
  const map = items?.["x-kubernetes-map-type"];
  const list = items?.["x-kubernetes-list-type"];
  if (items?.type === "object" && map !== "atomic")
    return [invalid(`${path}.items.x-kubernetes-map-type`, map ?? new Verbatim("null"), why)];
  if (items?.type === "array" && list !== undefined && list !== "atomic")
    return [invalid(`${path}.items.x-kubernetes-list-type`, list, why)];
  return [];
}
