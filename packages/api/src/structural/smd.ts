// What server-side apply needs to know of a custom resource, from its structural schema: x-kubernetes-list-type, -list-map-keys, -map-type.
// Lists without a type are atomic, as for every custom resource.
import { SCALAR, type SmdType, smdOfStruct, UNTYPED } from "../apply/schema.ts";
import { structType } from "../schema/registry.ts";
import type { JsonSchema } from "./schema.ts";

/** The type of a whole resource. */
export function smdOfResource(schema: JsonSchema | undefined): SmdType {
  const fields = new Map<string, SmdType>();
  for (const [k, p] of Object.entries(schema?.properties ?? {})) fields.set(k, smdOfSchema(p));
  fields.set("apiVersion", SCALAR);
  fields.set("kind", SCALAR);
  fields.set("metadata", smdOfStruct(structType("meta/v1.ObjectMeta")));
  const free = schema === undefined || schema["x-kubernetes-preserve-unknown-fields"] === true;
  return { shape: "map", atomic: false, fields, ...(free ? { element: UNTYPED } : {}) };
}

function smdOfSchema(s: JsonSchema): SmdType {
  if (s["x-kubernetes-int-or-string"]) return SCALAR;
  const atomic = s["x-kubernetes-map-type"] === "atomic";
  switch (s.type) {
    case "object": {
      const element = typeof s.additionalProperties === "object" ? smdOfSchema(s.additionalProperties) : undefined;
      const free = s["x-kubernetes-preserve-unknown-fields"] === true || s.additionalProperties === true;
      if (s.properties === undefined) return element ? { shape: "map", atomic, element } : { shape: "map", atomic, element: UNTYPED };
      const fields = new Map(Object.entries(s.properties).map(([k, p]) => [k, smdOfSchema(p)]));
      return { shape: "map", atomic, fields, ...(element || free ? { element: element ?? UNTYPED } : {}) };
    }
    case "array": {
      const element = s.items ? smdOfSchema(s.items) : UNTYPED;
      const kind = s["x-kubernetes-list-type"];
      if (kind === "set") return { shape: "list", atomic: false, element, keys: [] };
      if (kind !== "map") return { shape: "list", atomic: true, element };
      const keys = s["x-kubernetes-list-map-keys"] ?? [];
      const keyDefaults = Object.fromEntries(
        keys.flatMap((k) => (s.items?.properties?.[k]?.default === undefined ? [] : [[k, s.items.properties[k].default]])),
      );
      return { shape: "list", atomic: false, element, keys, keyDefaults };
    }
    case "string":
      return { shape: "scalar", atomic: false, scalar: "string" };
    case "boolean":
      return { shape: "scalar", atomic: false, scalar: "boolean" };
    case "integer":
    case "number":
      return { shape: "scalar", atomic: false, scalar: "numeric" };
    default:
      return UNTYPED;
  }
}
