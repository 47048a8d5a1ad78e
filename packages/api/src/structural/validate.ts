// Validation of a value against a structural schema, with the errors and words of kube-openapi's validator as apiextensions maps them.
// Patterns run on RE2 (no exponential backtracking). Properties are walked in order of name.
import { RE2JS } from "re2js";
import {
  duplicate,
  type FieldError,
  invalid,
  notSupported,
  required,
  tooLong,
  tooMany,
  typeInvalid,
  Verbatim,
} from "../errors/field-error.ts";
import { deepEqual } from "../patch/json-patch.ts";
import { type JsonSchema, own } from "./schema.ts";

/** Errors past this many are not collected. */
const MAX_ERRORS = 100;

export function validateSchema(value: unknown, schema: JsonSchema, root = ""): FieldError[] {
  const errors: FieldError[] = [];
  check(value, schema, root, true, errors);
  return errors;
}

function check(v: any, s: JsonSchema, path: string, isRoot: boolean, errors: FieldError[]): void {
  if (errors.length >= MAX_ERRORS) return;
  if (v === null && s.nullable) return;
  const bad = (detail: string, shown: unknown = v) => void errors.push(invalid(path, print(shown), `${path} in body ${detail}`));
  const type = typeOf(v);
  const wanted = s["x-kubernetes-int-or-string"] ? ["integer", "string"] : s.type ? [s.type] : [];
  if (wanted.length > 0 && !wanted.includes(type) && !(type === "integer" && wanted.includes("number"))) {
    errors.push(typeInvalid(path, type, `${path} in body must be of type ${wanted.join(",")}: ${JSON.stringify(type)}`));
    return;
  }
  if (s.enum && !s.enum.some((e) => deepEqual(e, v)))
    errors.push(
      notSupported(
        path,
        print(v),
        s.enum.map((e) => (typeof e === "string" ? e : JSON.stringify(e))),
      ),
    );
  if (typeof v === "string") checkString(v, s, path, bad, errors);
  else if (typeof v === "number") checkNumber(v, s, bad);
  else if (Array.isArray(v)) checkList(v, s, path, bad, errors);
  else if (type === "object") checkObject(v, s, path, isRoot, bad, errors);
  checkLogic(v, s, path, bad);
}

type Bad = (detail: string, shown?: unknown) => void;

function checkString(v: string, s: JsonSchema, path: string, bad: Bad, errors: FieldError[]): void {
  const length = [...v].length;
  // The first of these that fails is the only one reported.
  if (s.maxLength !== undefined && length > s.maxLength) errors.push(tooLong(path, s.maxLength));
  else if (s.minLength !== undefined && length < s.minLength) bad(`should be at least ${s.minLength} chars long`);
  else if (s.pattern !== undefined && !patternOf(s.pattern)?.matcher(v).find()) bad(`should match '${s.pattern}'`);
  const format = s.format ? FORMATS[s.format] : undefined;
  if (format && !format(v)) errors.push(typeInvalid(path, v, `${path} in body must be of type ${s.format}: ${JSON.stringify(v)}`));
}

function checkNumber(v: number, s: JsonSchema, bad: Bad): void {
  if (s.multipleOf && !isMultiple(v, s.multipleOf)) bad(`should be a multiple of ${s.multipleOf}`);
  if (s.maximum !== undefined && (s.exclusiveMaximum ? v >= s.maximum : v > s.maximum))
    bad(`should be less than ${s.exclusiveMaximum ? "" : "or equal to "}${s.maximum}`);
  if (s.minimum !== undefined && (s.exclusiveMinimum ? v <= s.minimum : v < s.minimum))
    bad(`should be greater than ${s.exclusiveMinimum ? "" : "or equal to "}${s.minimum}`);
  if (s.format === "int32" && (v > 2147483647 || v < -2147483648)) bad("must be a valid int32");
}

function checkList(v: unknown[], s: JsonSchema, path: string, bad: Bad, errors: FieldError[]): void {
  if (s.minItems !== undefined && v.length < s.minItems) bad(`should have at least ${s.minItems} items`);
  if (s.maxItems !== undefined && v.length > s.maxItems) errors.push(tooMany(path, v.length, s.maxItems));
  if (s.uniqueItems && v.some((x, i) => v.slice(0, i).some((y) => deepEqual(x, y)))) bad("shouldn't contain duplicates");
  if (s.items) for (const [i, x] of v.entries()) check(x, s.items, `${path}[${i}]`, false, errors);
  const kind = s["x-kubernetes-list-type"];
  if (kind !== "set" && kind !== "map") return;
  const keys = s["x-kubernetes-list-map-keys"] ?? [];
  const seen = new Set<string>();
  for (const [i, x] of v.entries()) {
    const id =
      kind === "set"
        ? x
        : Object.fromEntries(
            keys.map((k) => [k, (x as any)?.[k] ?? own(s.items?.properties, k)?.default]).filter(([, y]) => y !== undefined),
          );
    const text = JSON.stringify(id);
    if (seen.has(text)) errors.push(duplicate(`${path}[${i}]`, typeof id === "string" ? id : new Verbatim(text)));
    seen.add(text);
  }
}

function checkObject(v: Record<string, any>, s: JsonSchema, path: string, isRoot: boolean, bad: Bad, errors: FieldError[]): void {
  const names = Object.keys(v);
  const at = (k: string) => (path === "" ? k : `${path}.${k}`);
  if (s.minProperties !== undefined && names.length < s.minProperties) bad(`should have at least ${s.minProperties} properties`);
  if (s.maxProperties !== undefined && names.length > s.maxProperties) errors.push(tooMany(path, names.length, s.maxProperties));
  const embedded = s["x-kubernetes-embedded-resource"] === true;
  const needed = new Set([...(s.required ?? []), ...(embedded ? ["apiVersion", "kind"] : [])]);
  for (const k of [...needed].sort()) if (v[k] === undefined) errors.push(required(at(k)));
  for (const k of names.sort()) {
    if (isRoot && k === "metadata") continue; // validated as ObjectMeta
    const p = own(s.properties, k) ?? (typeof s.additionalProperties === "object" ? s.additionalProperties : undefined);
    if (p) check(v[k], p, at(k), false, errors);
  }
}

function checkLogic(v: any, s: JsonSchema, path: string, bad: Bad): void {
  const passes = (x: JsonSchema) => {
    const errors: FieldError[] = [];
    check(v, x, path, false, errors);
    return errors.length === 0;
  };
  if (s.allOf && !s.allOf.every(passes)) bad("must validate all the schemas (allOf)");
  if (s.anyOf && !s["x-kubernetes-int-or-string"] && !s.anyOf.some(passes)) bad("must validate at least one schema (anyOf)");
  if (s.oneOf && s.oneOf.filter(passes).length !== 1) bad("must validate one and only one schema (oneOf)");
  if (s.not && passes(s.not)) bad("must not validate the schema (not)");
}

/** The JSON type of a value, integers apart from numbers. */
export function typeOf(v: unknown): string {
  if (v === null) return "null";
  if (Array.isArray(v)) return "array";
  if (typeof v === "number") return Number.isInteger(v) ? "integer" : "number";
  return typeof v;
}

function print(v: unknown): unknown {
  return v !== null && typeof v === "object" ? new Verbatim(JSON.stringify(v)) : v;
}

function isMultiple(v: number, of: number): boolean {
  const q = v / of;
  return Math.abs(q - Math.round(q)) < 1e-9;
}

const patterns = new Map<string, RE2JS | undefined>();
const MAX_PATTERNS = 1_000;

/** A compiled pattern; undefined when RE2 does not take it (then nothing matches). */
export function patternOf(text: string): RE2JS | undefined {
  if (!patterns.has(text)) {
    if (patterns.size >= MAX_PATTERNS) patterns.clear();
    try {
      patterns.set(text, RE2JS.compile(text));
    } catch {
      patterns.set(text, undefined);
    }
  }
  return patterns.get(text);
}

const FORMATS: Readonly<Record<string, (v: string) => boolean>> = {
  "date-time": (v) => /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:?\d\d)$/.test(v) && !Number.isNaN(Date.parse(v)),
  date: (v) => /^\d{4}-\d\d-\d\d$/.test(v) && !Number.isNaN(Date.parse(v)),
  duration: (v) => /^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(v) || v === "0",
  byte: (v) => /^[A-Za-z0-9+/]*={0,2}$/.test(v) && v.length % 4 === 0,
  uuid: (v) => /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i.test(v),
  ipv4: (v) => /^(\d{1,3}\.){3}\d{1,3}$/.test(v) && v.split(".").every((p) => Number(p) < 256),
  ipv6: (v) => /^[0-9a-f:.]+$/i.test(v) && v.includes(":"),
  email: (v) => /^[^@\s]+@[^@\s]+$/.test(v),
  hostname: (v) => /^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/i.test(v) && v.length <= 255,
  uri: (v) => /^[a-z][a-z0-9+.-]*:/i.test(v) || v.startsWith("/"),
};
