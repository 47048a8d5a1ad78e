// Writes the runtime field table: a line per type and field, parsed only when a type is first used, so that a
// process pays for the kinds it touches. The grammar stands in packages/api/src/schema/registry.ts.
import type { Spec } from "./spec.ts";

export function writeFields(spec: Spec, banner: string): Record<string, string> {
  let types = "";
  let aliases = "";
  let enums = "";
  for (const [gv, g] of Object.entries(spec.groups)) {
    for (const [name, t] of Object.entries(g.types)) {
      const head = (t.kind ? "k" : "") + (t.clusterScoped ? "c" : "") + (t.structType === "atomic" ? "a" : "");
      const lines = t.fields.map((f) => {
        const flags = (f.inline ? "i" : "") + (f.omitempty ? "e" : "") + (f.optional ? "o" : "") + (f.required ? "r" : "");
        const opts = [
          f.patchStrategy ? `ps=${f.patchStrategy}` : "",
          f.patchMergeKey ? `pk=${f.patchMergeKey}` : "",
          f.listType ? `lt=${f.listType}` : "",
          f.listMapKeys ? `lk=${f.listMapKeys.join(",")}` : "",
          f.mapType ? `mt=${f.mapType}` : "",
          f.structType ? `st=${f.structType}` : "",
          f.featureGate ? `fg=${f.featureGate}` : "",
          f.default !== undefined ? `d=${f.default}` : "",
        ].filter(Boolean);
        return [f.name || "-", f.type, f.pb ?? 0, flags || "-", ...opts].join(" ");
      });
      types += `  ${JSON.stringify(`${gv}.${name}`)}:\n    ${JSON.stringify([head, ...lines].join("\n"))},\n`;
    }
    for (const [name, to] of Object.entries(g.aliases ?? {})) aliases += `  ${JSON.stringify(`${gv}.${name}`)}: ${JSON.stringify(to)},\n`;
    for (const [name, values] of Object.entries(g.enums)) enums += `  ${JSON.stringify(`${gv}.${name}`)}: ${JSON.stringify(values)},\n`;
  }
  const groups = Object.entries(spec.groups).map(([gv, g]) => `  ${JSON.stringify(gv)}: ${JSON.stringify(g.group ?? "")},\n`);
  return {
    "fields.ts": `${banner}export const TYPES: Record<string, string> = {\n${types}};\n\nexport const ALIASES: Record<string, string> = {\n${aliases}};\n\nexport const ENUMS: Record<string, readonly string[]> = {\n${enums}};\n\n/** Package of the table -> API group. */\nexport const GROUPS: Record<string, string> = {\n${groups.join("")}};\n`,
  };
}
