// x-kubernetes-validations: CEL rules of custom resources, compiled against the schema, run on values and, for
// transitions, on what they were before (apiextensions-apiserver/pkg/apiserver/schema/cel of Kubernetes 1.34).
// Invariant: a value that did not change since it was stored is not judged again (ratcheting), and the cost of one
// request is bounded.
import { CEL_CALL_COST_MAX, CEL_REQUEST_COST_MAX, CelCompileError, type CelProgram, compileCel } from "../cel/index.ts";
import {
  BOOL,
  BYTES,
  type CelType,
  DOUBLE,
  DURATION,
  DYN,
  INT,
  listOf,
  mapOf,
  objectOf,
  optionalOf,
  STRING,
  TIMESTAMP,
} from "../cel/types.ts";
import { CelCostError, CelRuntimeError, Duration, NONE, nativeList, Optional, Timestamp } from "../cel/values.ts";
import { duplicate, type FieldError, forbidden, goJson, invalid, required, Verbatim } from "../errors/field-error.ts";
import { parseDuration, parseTime } from "../meta/time.ts";
import { deepEqual } from "../patch/json-patch.ts";
import type { JsonSchema, ValidationRule } from "./schema.ts";

const KEYWORDS = /^(true|false|null|in|as|break|const|continue|else|for|function|if|import|let|loop|package|namespace|return)$/;
const IDENTIFIER = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/** The name of a property inside an expression; undefined when it has none. */
export function celName(property: string): string | undefined {
  if (KEYWORDS.test(property)) return `__${property}__`;
  const escaped = property
    .replaceAll("__", "__underscores__")
    .replaceAll(".", "__dot__")
    .replaceAll("-", "__dash__")
    .replaceAll("/", "__slash__");
  return IDENTIFIER.test(escaped) ? escaped : undefined;
}

const META = objectOf(
  "metadata",
  new Map([
    ["name", STRING],
    ["generateName", STRING],
  ]),
);
const types = new WeakMap<JsonSchema, CelType>();

/** The CEL type of a schema; `isResource` adds apiVersion, kind and metadata. */
export function celTypeOf(s: JsonSchema, isResource = false): CelType {
  if (isResource) return build(s, true);
  let t = types.get(s);
  if (t === undefined) {
    t = build(s, s["x-kubernetes-embedded-resource"] === true);
    types.set(s, t);
  }
  return t;
}

function build(s: JsonSchema, isResource: boolean): CelType {
  if (s["x-kubernetes-int-or-string"]) return DYN;
  switch (s.type) {
    case "integer":
      return INT;
    case "number":
      return DOUBLE;
    case "boolean":
      return BOOL;
    case "string":
      if (s.format === "date" || s.format === "date-time") return TIMESTAMP;
      if (s.format === "duration") return DURATION;
      return s.format === "byte" ? BYTES : STRING;
    case "array":
      return listOf(s.items ? celTypeOf(s.items) : DYN);
    case "object": {
      if (s.additionalProperties !== undefined && s.additionalProperties !== false && !s.properties) {
        return mapOf(STRING, s.additionalProperties === true ? DYN : celTypeOf(s.additionalProperties));
      }
      const fields = new Map<string, CelType>();
      if (isResource) {
        fields.set("apiVersion", STRING);
        fields.set("kind", STRING);
        fields.set("metadata", META);
      }
      for (const [name, p] of Object.entries(s.properties ?? {})) {
        const n = celName(name);
        if (n !== undefined && !(isResource && fields.has(n))) fields.set(n, celTypeOf(p));
      }
      if (fields.size === 0 && s["x-kubernetes-preserve-unknown-fields"]) return DYN;
      return objectOf("object", fields);
    }
    default:
      return DYN;
  }
}

const conversions = new WeakMap<JsonSchema, boolean>();

/** True when values need converting: numbers that are doubles, times, durations, bytes. */
function needsConversion(s: JsonSchema): boolean {
  const known = conversions.get(s);
  if (known !== undefined) return known;
  conversions.set(s, false);
  const own = s.type === "number" || (s.type === "string" && ["date", "date-time", "duration", "byte"].includes(s.format ?? ""));
  const parts = [
    s.items,
    typeof s.additionalProperties === "object" ? s.additionalProperties : undefined,
    ...Object.values(s.properties ?? {}),
  ];
  const need = own || parts.some((p) => p !== undefined && needsConversion(p));
  conversions.set(s, need);
  return need;
}

/** A JSON value as the CEL value that its schema says. */
function toCel(s: JsonSchema, v: any): unknown {
  if (v === null || v === undefined || !needsConversion(s))
    return typeof v === "number" && Number.isInteger(v) && s.type !== "number" ? BigInt(v) : v;
  if (Array.isArray(v)) return nativeList(v.map((x) => (s.items ? toCel(s.items, x) : x)));
  if (typeof v === "object") {
    const out = new Map<string, unknown>();
    for (const k of Object.keys(v)) {
      const p = s.properties?.[k] ?? (typeof s.additionalProperties === "object" ? s.additionalProperties : {});
      out.set(k, toCel(p, v[k]));
    }
    return out;
  }
  try {
    if (s.format === "duration") return new Duration(parseDuration(v));
    if (s.format === "byte") return Buffer.from(v, "base64");
    if (s.format === "date" || s.format === "date-time") {
      const t = parseTime(s.format === "date" ? `${v}T00:00:00Z` : v);
      return new Timestamp(t.seconds, t.nanos);
    }
  } catch {
    // The format is the schema validation's to refuse.
  }
  return v;
}

interface CompiledRule {
  rule: ValidationRule;
  program: CelProgram | undefined;
  message: CelProgram | undefined;
  error: string | undefined;
  transition: boolean;
}

const compiled = new WeakMap<JsonSchema, CompiledRule[]>();

function rulesOf(s: JsonSchema, isResource: boolean): CompiledRule[] {
  let list = compiled.get(s);
  if (list !== undefined) return list;
  const self = celTypeOf(s, isResource);
  list = (s["x-kubernetes-validations"] ?? []).map((rule) => {
    const env = { self, oldSelf: rule.optionalOldSelf ? optionalOf(self) : self };
    const out: CompiledRule = { rule, program: undefined, message: undefined, error: undefined, transition: /\boldSelf\b/.test(rule.rule) };
    try {
      out.program = compileCel(rule.rule, env);
      if (rule.messageExpression) out.message = compileCel(rule.messageExpression, env);
    } catch (e) {
      if (!(e instanceof CelCompileError)) throw e;
      out.error = e.message;
    }
    return out;
  });
  compiled.set(s, list);
  return list;
}

/** What is wrong with the rules of a schema, for whoever defines it. `path` is that of the schema. */
export function schemaRuleErrors(s: JsonSchema, path: string, isResource = true): FieldError[] {
  const out: FieldError[] = [];
  (s["x-kubernetes-validations"] ?? []).forEach((rule, i) => {
    const p = `${path}.x-kubernetes-validations[${i}]`;
    if (!rule.rule?.trim()) {
      out.push(required(`${p}.rule`, "rule is not specified"));
      return;
    }
    const self = celTypeOf(s, isResource);
    const env = { self, oldSelf: rule.optionalOldSelf ? optionalOf(self) : self };
    const shown = new Verbatim(
      goJson({
        Rule: rule.rule,
        Message: rule.message ?? "",
        MessageExpression: rule.messageExpression ?? "",
        Reason: rule.reason ?? null,
        FieldPath: rule.fieldPath ?? "",
        OptionalOldSelf: rule.optionalOldSelf ?? null,
      }),
    );
    try {
      const t = compileCel(rule.rule, env).type;
      if (t.kind !== "bool" && t.kind !== "dyn") out.push(invalid(`${p}.rule`, shown, "cel expression must evaluate to a bool"));
    } catch (e) {
      if (!(e instanceof CelCompileError)) throw e;
      out.push(invalid(`${p}.rule`, shown, `compilation failed: ${e.message}`));
    }
    if (!rule.messageExpression) return;
    try {
      const t = compileCel(rule.messageExpression, env).type;
      if (t.kind !== "string" && t.kind !== "dyn")
        out.push(invalid(`${p}.messageExpression`, shown, "messageExpression must evaluate to a string"));
    } catch (e) {
      if (!(e instanceof CelCompileError)) throw e;
      out.push(invalid(`${p}.messageExpression`, shown, `messageExpression compilation failed: ${e.message}`));
    }
  });
  if (s.items) out.push(...schemaRuleErrors(s.items, `${path}.items`, false));
  if (typeof s.additionalProperties === "object")
    out.push(...schemaRuleErrors(s.additionalProperties, `${path}.additionalProperties`, false));
  for (const name of Object.keys(s.properties ?? {}).sort())
    out.push(...schemaRuleErrors(s.properties![name]!, `${path}.properties[${name}]`, false));
  return out;
}

interface Run {
  budget: number;
  errors: FieldError[];
}

/** Runs every rule on a resource; `old` is what is stored, undefined for a create. */
export function validateSchemaRules(schema: JsonSchema, value: unknown, old: unknown, root = ""): FieldError[] {
  const run: Run = { budget: CEL_REQUEST_COST_MAX, errors: [] };
  visit(run, schema, value, old, root, true);
  return run.errors;
}

const hasRules = new WeakMap<JsonSchema, boolean>();

function anyRules(s: JsonSchema): boolean {
  const known = hasRules.get(s);
  if (known !== undefined) return known;
  hasRules.set(s, false);
  const parts = [
    s.items,
    typeof s.additionalProperties === "object" ? s.additionalProperties : undefined,
    ...Object.values(s.properties ?? {}),
  ];
  const any = (s["x-kubernetes-validations"] ?? []).length > 0 || parts.some((p) => p !== undefined && anyRules(p));
  hasRules.set(s, any);
  return any;
}

function visit(run: Run, s: JsonSchema, v: any, old: any, path: string, isResource: boolean): void {
  if (v === null || v === undefined || run.budget < 0 || !anyRules(s)) return;
  if (old !== undefined && deepEqual(v, old)) return;
  if (Array.isArray(v)) {
    if (s.items) v.forEach((x, i) => void visit(run, s.items!, x, counterpart(s, x, old), `${path}[${i}]`, false));
  } else if (typeof v === "object") {
    for (const k of Object.keys(v).sort()) {
      const p = s.properties?.[k] ?? (typeof s.additionalProperties === "object" ? s.additionalProperties : undefined);
      const at = s.properties?.[k] ? (path === "" ? k : `${path}.${k}`) : `${path}[${k}]`;
      if (p) visit(run, p, v[k], old !== null && typeof old === "object" ? old[k] : undefined, at, false);
    }
  }
  for (const c of rulesOf(s, isResource)) one(run, c, s, v, old, path);
}

/** The item of the old list that an item of the new one was; only lists that are maps can tell. */
function counterpart(s: JsonSchema, item: any, old: any): unknown {
  const keys = s["x-kubernetes-list-map-keys"];
  if (s["x-kubernetes-list-type"] !== "map" || !keys || !Array.isArray(old)) return undefined;
  return old.find((o) => keys.every((k) => deepEqual(o?.[k], item?.[k])));
}

function one(run: Run, c: CompiledRule, s: JsonSchema, v: any, old: any, path: string): void {
  if (run.budget < 0) return;
  const type = Array.isArray(v) ? "array" : (s.type ?? typeof v);
  const shown = c.rule.message?.trim() || c.rule.rule.trim();
  if (c.program === undefined) {
    run.errors.push(invalid(path, type, `rule compile error: ${c.error}`));
    return;
  }
  if (c.transition && old === undefined && !c.rule.optionalOldSelf) return;
  const variables: Record<string, unknown> = { self: toCel(s, v) };
  if (c.transition)
    variables["oldSelf"] = c.rule.optionalOldSelf ? (old === undefined ? NONE : new Optional(true, toCel(s, old))) : toCel(s, old);
  try {
    const { value, cost } = c.program.run(variables, Math.min(CEL_CALL_COST_MAX, run.budget));
    run.budget -= cost;
    if (value === true) return;
    run.errors.push(failure(c, type, messageOf(c, variables), path));
  } catch (e) {
    if (!(e instanceof CelRuntimeError)) throw e;
    if (e instanceof CelCostError) {
      run.budget = -1;
      run.errors.push(
        invalid(path, type, `'${e.message}': no further validation rules will be run due to call cost exceeds limit for rule: ${shown}`),
      );
    } else if (e.message === "no such overload") {
      run.errors.push(
        invalid(
          path,
          type,
          `'${e.message}': call arguments did not match a supported operator, function or macro signature for rule: ${shown}`,
        ),
      );
    } else run.errors.push(invalid(path, type, `${e.message} evaluating rule: ${shown}`));
  }
}

function messageOf(c: CompiledRule, variables: Record<string, unknown>): string {
  if (c.message) {
    try {
      const { value } = c.message.run(variables);
      if (typeof value === "string" && value.trim() !== "" && !value.includes("\n")) return value.trim();
    } catch (e) {
      if (!(e instanceof CelRuntimeError)) throw e;
    }
  }
  return c.rule.message?.trim() || `failed rule: ${c.rule.rule.trim()}`;
}

function failure(c: CompiledRule, type: string, message: string, path: string): FieldError {
  const at = c.rule.fieldPath ? `${path}${c.rule.fieldPath}`.replace(/^\./, "") : path;
  switch (c.rule.reason) {
    case "FieldValueForbidden":
      return forbidden(at, message);
    case "FieldValueRequired":
      return required(at, message);
    case "FieldValueDuplicate":
      return duplicate(at, type);
    default:
      return invalid(at, type, message);
  }
}
