// Type checking of a ValidatingAdmissionPolicy against the kinds that its rules name, for the warnings in its status
// (apiserver/pkg/admission/plugin/policy/validating/typechecking.go of Kubernetes 1.34). Pure. Invariant: rules with a wildcard are not
// checked, and what is found changes nothing of what the policy does.
import type { KubeObject } from "../kube-object.ts";
import { parseApiVersion, registry } from "../resources.ts";
import { type StructType, structOf, structType, type TypeRef } from "../schema/registry.ts";
import { celName, celTypeOf } from "../structural/rules.ts";
import type { JsonSchema } from "../structural/schema.ts";
import { admissionVariables } from "./admission.ts";
import { CelCompileError, compileCel } from "./index.ts";
import { BOOL, BYTES, type CelType, DOUBLE, DYN, INT, listOf, mapOf, objectOf, STRING, TIMESTAMP } from "./types.ts";

export interface ExpressionWarning {
  fieldRef: string;
  warning: string;
}

/** A kind and what an object of it looks like to an expression. */
export interface TypedKind {
  group: string;
  version: string;
  kind: string;
  type: CelType;
}

/** Kinds of one rule that are looked at. */
const MAX_TYPES = 10;

const structs = new Map<string, CelType>();

function ofStruct(s: StructType): CelType {
  let t = structs.get(s.ref);
  if (t) return t;
  const fields = new Map<string, CelType>();
  t = objectOf(s.name, fields);
  structs.set(s.ref, t); // Before its fields: types may hold themselves.
  for (const f of s.fields) {
    const name = celName(f.name);
    if (name !== undefined) fields.set(name, ofRef(f.type));
  }
  return t;
}

function ofRef(t: TypeRef): CelType {
  switch (t.shape) {
    case "string":
    case "Quantity":
    case "Duration":
      return STRING;
    case "bool":
      return BOOL;
    case "int32":
    case "int64":
      return INT;
    case "float64":
      return DOUBLE;
    case "bytes":
      return BYTES;
    case "Time":
    case "MicroTime":
      return TIMESTAMP;
    case "list":
      return listOf(t.element ? ofRef(t.element) : DYN);
    case "map":
      return mapOf(STRING, t.element ? ofRef(t.element) : DYN);
    case "struct":
      return ofStruct(structOf(t));
    default:
      return DYN;
  }
}

/** Finds kinds among the built-in ones and the given CustomResourceDefinitions. */
export function typedKinds(definitions: readonly KubeObject[]) {
  const custom = (test: (names: any, version: string, group: string) => boolean): TypedKind | undefined => {
    for (const d of definitions) {
      const spec = d["spec"] ?? {};
      for (const v of spec.versions ?? []) {
        const schema: JsonSchema | undefined = v.schema?.openAPIV3Schema;
        if (!schema || !v.served || !test(spec.names ?? {}, v.name, spec.group)) continue;
        const shape = celTypeOf(schema, true);
        const meta = ofStruct(structType("meta/v1.ObjectMeta"));
        const type = shape.fields ? objectOf(spec.names.kind, new Map([...shape.fields, ["metadata", meta]])) : shape;
        return { group: spec.group, version: v.name, kind: spec.names.kind, type };
      }
    }
    return undefined;
  };
  const builtIn = (info: ReturnType<typeof registry.byResource>): TypedKind | undefined =>
    info?.type && { group: info.group, version: info.version, kind: info.kind, type: ofStruct(info.type) };
  return {
    byResource: (group: string, version: string, resource: string): TypedKind | undefined =>
      builtIn(registry.byResource(group, version, resource)) ??
      custom((names, v, g) => g === group && v === version && names.plural === resource),
    byKind: (group: string, version: string, kind: string): TypedKind | undefined =>
      builtIn(registry.byKind(group, version, kind)) ?? custom((names, v, g) => g === group && v === version && names.kind === kind),
  };
}

/** The warnings for a policy's status; empty when nothing is wrong, or nothing can be known. */
export function typeCheckPolicy(policy: KubeObject, kinds: ReturnType<typeof typedKinds>): ExpressionWarning[] {
  const spec = policy["spec"] ?? {};
  const checked = kindsOf(spec.matchConstraints?.resourceRules ?? [], kinds);
  const ref = spec.paramKind ? { ...parseApiVersion(spec.paramKind.apiVersion ?? ""), kind: spec.paramKind.kind } : undefined;
  const params = ref && kinds.byKind(ref.group, ref.version, ref.kind);
  const warnings: ExpressionWarning[] = [];
  const check = (expression: string | undefined, fieldRef: string) => {
    if (!expression) return;
    const lines = checked.flatMap((k) => problemOf(expression, spec.variables ?? [], k, params));
    if (lines.length > 0) warnings.push({ fieldRef, warning: lines.join("\n") });
  };
  for (const [i, v] of (spec.validations ?? []).entries()) {
    check(v.expression, `spec.validations[${i}].expression`);
    check(v.messageExpression, `spec.validations[${i}].messageExpression`);
  }
  return warnings;
}

function kindsOf(rules: readonly any[], kinds: ReturnType<typeof typedKinds>): TypedKind[] {
  const found = new Map<string, TypedKind>();
  for (const r of rules) {
    const [groups, versions]: string[][] = [r.apiGroups ?? [], r.apiVersions ?? []];
    if ([...groups!, ...versions!].some((x) => x.includes("*"))) continue;
    const resources = (r.resources ?? []).filter((x: string) => !/[*/]/.test(x));
    let count = 0;
    for (const g of [...groups!].sort())
      for (const v of [...versions!].sort())
        for (const resource of [...resources].sort()) {
          const kind = count < MAX_TYPES ? kinds.byResource(g, v, resource) : undefined;
          if (!kind) continue;
          count++;
          found.set(`${kind.group}\n${kind.version}\n${kind.kind}`, kind);
        }
    if (count >= MAX_TYPES) break;
  }
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, k]) => k);
}

function problemOf(
  expression: string,
  variables: readonly { name: string; expression: string }[],
  kind: TypedKind,
  params: TypedKind | undefined,
): string[] {
  const types = new Map<string, CelType>();
  const environment = () => {
    const env = admissionVariables({ params: params !== undefined, variables: new Map(types) });
    env.set("object", kind.type);
    env.set("oldObject", kind.type);
    if (params) env.set("params", params.type);
    return env;
  };
  for (const v of variables) {
    try {
      types.set(v.name, compileCel(v.expression, environment()).type);
    } catch (e) {
      if (!(e instanceof CelCompileError)) throw e;
      types.set(v.name, DYN);
    }
  }
  try {
    compileCel(expression, environment());
    return [];
  } catch (e) {
    if (!(e instanceof CelCompileError)) throw e;
    return [`${kind.group}/${kind.version}, Kind=${kind.kind}: compilation failed: ${e.message}\n`];
  }
}
