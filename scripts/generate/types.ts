// Writes the TypeScript interfaces, a file per group-version, and the door that exports every name once.
import { SCALARS, SPECIAL, type Spec, type SpecField } from "./spec.ts";

const TS: Record<string, string> = {
  string: "string",
  bool: "boolean",
  int32: "number",
  int64: "number",
  float64: "number",
  bytes: "string",
  Time: "string",
  MicroTime: "string",
  Quantity: "string",
  IntOrString: "number | string",
  Duration: "string",
  RawExtension: "any",
  FieldsV1: "Record<string, any>",
  JSON: "any",
  "types.UID": "string",
};

/** Structs whose JSON is one of several shapes. */
const UNIONS: Record<string, string> = {
  JSONSchemaPropsOrArray: "JSONSchemaProps | JSONSchemaProps[]",
  JSONSchemaPropsOrBool: "JSONSchemaProps | boolean",
  JSONSchemaPropsOrStringArray: "JSONSchemaProps | string[]",
};

/** Where two groups have a type of the same name, the group that comes first here owns the plain name. */
const PREFERENCE = [
  "meta/v1",
  "core/v1",
  "apps/v1",
  "batch/v1",
  "autoscaling/v2",
  "rbac/v1",
  "networking/v1",
  "policy/v1",
  "authentication/v1",
];

export const fileOf = (gv: string): string => gv.replace("/", "-");
const nsOf = (gv: string): string => gv.replace("/", "");

export function writeTypes(spec: Spec, banner: string): Record<string, string> {
  const files: Record<string, string> = {};
  const gvs = Object.keys(spec.groups);
  for (const gv of gvs) {
    const g = spec.groups[gv]!;
    const imports = new Set<string>();
    const refer = (ref: string): string => {
      const at = ref.lastIndexOf(".");
      const from = ref.slice(0, at);
      const name = ref.slice(at + 1);
      const alias = spec.groups[from]?.aliases?.[name];
      if (alias) return tsType(alias.startsWith("[]") ? `[]${qualify(alias.slice(2), from)}` : qualify(alias, from));
      if (from === gv) return name;
      imports.add(from);
      return `${nsOf(from)}.${name}`;
    };
    const qualify = (t: string, from: string): string => {
      if (SCALARS.includes(t as never) || SPECIAL.includes(t as never)) return t;
      const map = /^map\[string\](.+)$/.exec(t);
      return map ? `map[string]${qualify(map[1]!, from)}` : `${from}.${t}`;
    };
    const tsType = (expr: string): string => {
      if (expr.startsWith("*")) return tsType(expr.slice(1));
      if (expr.startsWith("[]")) {
        const el = tsType(expr.slice(2));
        return el.includes("|") ? `(${el})[]` : `${el}[]`;
      }
      const map = /^map\[([^\]]+)\](.+)$/.exec(expr);
      if (map) return `Record<string, ${tsType(map[2]!)}>`;
      return TS[expr] ?? refer(expr);
    };
    let body = "";
    for (const [name, t] of Object.entries(g.types)) {
      if (UNIONS[name]) {
        body += `\nexport type ${name} = ${UNIONS[name]};\n`;
        continue;
      }
      const bases: string[] = [];
      let lines = "";
      for (const f of t.fields) {
        if (f.inline) {
          if (f.type === "string" || f.type === "bool") continue;
          if (/TypeMeta$/.test(f.type)) lines += "  apiVersion?: string;\n  kind?: string;\n";
          else bases.push(tsType(f.type));
          continue;
        }
        lines += `  ${/^[A-Za-z_]\w*$/.test(f.name) ? f.name : JSON.stringify(f.name)}${isOptional(f, !!t.kind) ? "?" : ""}: ${tsType(f.type)};\n`;
      }
      body += `\nexport interface ${name}${bases.length ? ` extends ${bases.join(", ")}` : ""} {\n${lines}}\n`;
    }
    const head = [...imports]
      .sort()
      .map((i) => `import type * as ${nsOf(i)} from "./${fileOf(i)}.ts";\n`)
      .join("");
    files[`types/${fileOf(gv)}.ts`] = `${banner}${head}${body}`;
  }
  files["types/index.ts"] = writeDoor(spec, banner);
  return files;
}

function isOptional(f: SpecField, kind: boolean): boolean {
  if (kind && f.name === "metadata") return false;
  if (kind && f.name === "spec" && !f.type.startsWith("*")) return false;
  return !!f.omitempty || f.type.startsWith("*") || !!f.optional;
}

function writeDoor(spec: Spec, banner: string): string {
  const taken = new Set<string>();
  const order = [...PREFERENCE, ...Object.keys(spec.groups).filter((gv) => !PREFERENCE.includes(gv))];
  let out = banner;
  for (const gv of order) {
    const names = Object.keys(spec.groups[gv]!.types).filter((n) => !taken.has(n));
    for (const n of names) taken.add(n);
    out += `export type * as ${nsOf(gv)} from "./${fileOf(gv)}.ts";\n`;
    if (names.length)
      out += `export type {\n${names
        .sort()
        .map((n) => `  ${n},\n`)
        .join("")}} from "./${fileOf(gv)}.ts";\n`;
  }
  return out;
}
