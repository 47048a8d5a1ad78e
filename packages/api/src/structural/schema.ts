// Structural schemas of custom resources (apiextensions v1 JSONSchemaProps): the shape, pruning of unknown fields, defaulting.
// Invariant: apiVersion, kind and metadata of a resource are never pruned; an embedded one's metadata loses what ObjectMeta does not have.
// Specification: KEP-1152.
import { cloneJson } from "../schema/clone.ts";
import { structType } from "../schema/registry.ts";

export interface JsonSchema {
  type?: string;
  format?: string;
  properties?: Record<string, JsonSchema>;
  additionalProperties?: JsonSchema | boolean;
  items?: JsonSchema;
  required?: string[];
  nullable?: boolean;
  default?: unknown;
  enum?: unknown[];
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: boolean;
  exclusiveMaximum?: boolean;
  multipleOf?: number;
  minItems?: number;
  maxItems?: number;
  uniqueItems?: boolean;
  minProperties?: number;
  maxProperties?: number;
  allOf?: JsonSchema[];
  anyOf?: JsonSchema[];
  oneOf?: JsonSchema[];
  not?: JsonSchema;
  description?: string;
  "x-kubernetes-preserve-unknown-fields"?: boolean;
  "x-kubernetes-embedded-resource"?: boolean;
  "x-kubernetes-int-or-string"?: boolean;
  "x-kubernetes-list-type"?: "atomic" | "set" | "map";
  "x-kubernetes-list-map-keys"?: string[];
  "x-kubernetes-map-type"?: "atomic" | "granular";
  "x-kubernetes-validations"?: ValidationRule[];
}

export interface ValidationRule {
  rule: string;
  message?: string;
  messageExpression?: string;
  reason?: string;
  fieldPath?: string;
  optionalOldSelf?: boolean;
}

const RESOURCE_FIELDS = new Set(["apiVersion", "kind", "metadata"]);

/** Removes what the schema does not know, in place; returns the paths of what went, sorted. */
export function prune(object: unknown, schema: JsonSchema | undefined): string[] {
  const gone: string[] = [];
  pruneAt(object, schema, true, "", gone);
  return gone.sort();
}

function pruneAt(v: any, s: JsonSchema | undefined, isResource: boolean, path: string, gone: string[]): void {
  if (v === null || typeof v !== "object") return;
  if (Array.isArray(v)) {
    for (const [i, x] of v.entries()) pruneAt(x, s?.items, s?.items?.["x-kubernetes-embedded-resource"] === true, `${path}[${i}]`, gone);
    return;
  }
  const preserve = s?.["x-kubernetes-preserve-unknown-fields"] === true;
  for (const k of Object.keys(v)) {
    const at = path === "" ? k : `${path}.${k}`;
    if (isResource && RESOURCE_FIELDS.has(k)) {
      if (path !== "" && k === "metadata") pruneMetadata(v[k], at, gone); // The root's was read by its type.
      continue;
    }
    const known = own(s?.properties, k) ?? (typeof s?.additionalProperties === "object" ? s.additionalProperties : undefined);
    if (known) pruneAt(v[k], known, known["x-kubernetes-embedded-resource"] === true, at, gone);
    else if (!preserve && s?.additionalProperties !== true) {
      delete v[k];
      gone.push(at);
    }
  }
}

/** An embedded object's metadata is ObjectMeta, whatever the schema says. */
function pruneMetadata(metadata: any, path: string, gone: string[]): void {
  if (metadata === null || typeof metadata !== "object" || Array.isArray(metadata)) return;
  const known = structType("meta/v1.ObjectMeta").byName;
  for (const k of Object.keys(metadata)) {
    if (known.has(k)) continue;
    delete metadata[k];
    gone.push(`${path}.${k}`);
  }
}

/** Fills in defaults, in place; a null that is not allowed counts as absent where there is a default. */
export function applySchemaDefaults(v: any, s: JsonSchema | undefined): void {
  if (!s || v === null || typeof v !== "object") return;
  if (Array.isArray(v)) {
    for (const x of v) applySchemaDefaults(x, s.items);
    return;
  }
  for (const [k, p] of Object.entries(s.properties ?? {})) {
    if (p.default !== undefined && (v[k] === undefined || (v[k] === null && p.nullable !== true))) v[k] = cloneJson(p.default);
    applySchemaDefaults(v[k], p);
  }
  if (typeof s.additionalProperties === "object") {
    for (const k of Object.keys(v)) if (!own(s.properties, k)) applySchemaDefaults(v[k], s.additionalProperties);
  }
}

/** An own property; names come from users, so "constructor" must not find the prototype's. */
export function own<T>(o: Record<string, T> | undefined, k: string): T | undefined {
  return o !== undefined && Object.hasOwn(o, k) ? o[k] : undefined;
}
