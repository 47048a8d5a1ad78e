// What a version of a CustomResourceDefinition says besides its schema: printer columns, subresources, selectable fields, deprecation
// (apiextensions-apiserver/pkg/apis/apiextensions/validation). Pure.
import { duplicate, type FieldError, invalid, type JsonSchema, required, tooMany } from "@podwire/api";
import type { DefinitionVersion } from "./served.ts";

const COLUMN_TYPES = ["boolean", "date", "integer", "number", "string"];
const COLUMN_FORMATS = ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];
const MAX_SELECTABLE_FIELDS = 8;
const MAX_WARNING = 256;

type Column = NonNullable<DefinitionVersion["additionalPrinterColumns"]>[number];

export function columnErrors(c: Column, path: string): FieldError[] {
  const errors: FieldError[] = [];
  if (!c.name) errors.push(required(`${path}.name`));
  const types = `must be one of ${COLUMN_TYPES.join(",")}`;
  if (!c.type) errors.push(required(`${path}.type`, types));
  else if (!COLUMN_TYPES.includes(c.type)) errors.push(invalid(`${path}.type`, c.type, types));
  if (c.format && !COLUMN_FORMATS.includes(c.format))
    errors.push(invalid(`${path}.format`, c.format, `must be one of ${COLUMN_FORMATS.join(",")}`));
  if (!c.jsonPath) errors.push(required(`${path}.JSONPath`));
  else errors.push(...simplePathErrors(c.jsonPath, `${path}.JSONPath`));
  return errors;
}

export function subresourceErrors(s: DefinitionVersion["subresources"], path: string): FieldError[] {
  const scale = s?.scale;
  if (!scale) return [];
  const errors: FieldError[] = [];
  const check = (field: "specReplicasPath" | "statusReplicasPath", below: string) => {
    const at = `${path}.scale.${field}`;
    const value = scale[field];
    if (!value) return void errors.push(required(at));
    const wrong = simplePathErrors(value, at);
    if (wrong.length > 0) errors.push(...wrong);
    else if (!value.startsWith(`${below}.`)) errors.push(invalid(at, value, `should be a json path under ${below}`));
  };
  check("specReplicasPath", ".spec");
  check("statusReplicasPath", ".status");
  const selector = scale.labelSelectorPath;
  if (!selector) return errors;
  const at = `${path}.scale.labelSelectorPath`;
  const wrong = simplePathErrors(selector, at);
  if (wrong.length > 0) errors.push(...wrong);
  else if (!selector.startsWith(".spec.") && !selector.startsWith(".status."))
    errors.push(invalid(at, selector, "should be a json path under either .spec or .status"));
  return errors;
}

export function selectableFieldErrors(fields: readonly { jsonPath: string }[], schema: JsonSchema | undefined, path: string): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const [i, f] of fields.entries()) {
    const at = `${path}[${i}].jsonPath`;
    if (!f.jsonPath) {
      errors.push(required(at));
      continue;
    }
    const found = schemaAt(schema, f.jsonPath);
    if ("problem" in found) {
      errors.push(invalid(at, f.jsonPath, `is an invalid path: ${found.problem}`));
      continue;
    }
    if (/^\.metadata(\.|$)/.test(f.jsonPath)) errors.push(invalid(at, f.jsonPath, "must not point to fields in metadata"));
    if (!["string", "boolean", "integer"].includes(found.schema.type ?? ""))
      errors.push(
        invalid(
          at,
          f.jsonPath,
          "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.",
        ),
      );
    if (seen.has(f.jsonPath)) errors.push(duplicate(at, f.jsonPath));
    seen.add(f.jsonPath);
  }
  if (seen.size > MAX_SELECTABLE_FIELDS) errors.push(tooMany(path, seen.size, MAX_SELECTABLE_FIELDS));
  return errors;
}

export function deprecationErrors(v: DefinitionVersion, path: string): FieldError[] {
  const warning = v.deprecationWarning;
  if (warning === undefined || warning === null) return [];
  const at = `${path}.deprecationWarning`;
  if (!v.deprecated) return [invalid(at, warning, "can only be set for deprecated versions")];
  const errors: FieldError[] = [];
  if (Buffer.byteLength(warning) > MAX_WARNING) errors.push(invalid(at, warning, `must be <= ${MAX_WARNING} characters long`));
  if (warning === "") errors.push(invalid(at, warning, "must not be an empty string"));
  const odd = /[^\P{C}]/u.exec(warning);
  if (odd)
    errors.push(
      invalid(
        at,
        warning,
        `must only contain printable UTF-8 characters; non-printable character found at index ${Buffer.byteLength(warning.slice(0, odd.index))}`,
      ),
    );
  return errors;
}

function simplePathErrors(text: string, path: string): FieldError[] {
  return text.startsWith(".") ? [] : [invalid(path, text, "must be a simple json path starting with .")];
}

/** The schema that a path of properties leads to. */
function schemaAt(schema: JsonSchema | undefined, path: string): { schema: JsonSchema } | { problem: string } {
  if (!path.startsWith(".")) return { problem: "does not start with a '.' or '['" };
  let at: JsonSchema = schema ?? {};
  for (const name of path.slice(1).split(".")) {
    if (name === "") return { problem: "empty field name" };
    const next = at.properties && Object.hasOwn(at.properties, name) ? at.properties[name] : undefined;
    if (next) at = next;
    else if (typeof at.additionalProperties === "object") at = at.additionalProperties;
    else return { problem: "does not refer to a valid field" };
  }
  return { schema: at };
}
