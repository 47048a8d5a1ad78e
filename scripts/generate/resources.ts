// Writes the table of served resources.
import type { Spec } from "./spec.ts";

export function writeResources(spec: Spec, banner: string): Record<string, string> {
  const rows = spec.resources.map((r) => {
    const row = {
      group: r.group,
      version: r.version,
      resource: r.resource,
      kind: r.kind,
      singular: r.singular,
      namespaced: r.scope === "Namespaced",
      verbs: r.verbs,
      shortNames: r.shortNames ?? [],
      categories: r.categories ?? [],
      columns: r.columns ?? [],
      subresources: (r.subresources ?? []).map((s) => ({
        ...s,
        group: s.version ? s.group : r.group,
        version: s.version || r.version,
        foreign: !!s.version,
      })),
    };
    return `  ${JSON.stringify(row)},\n`;
  });
  return {
    "resources.ts": `${banner}import type { ResourceRow } from "../resources.ts";\n\nexport const RESOURCES: readonly ResourceRow[] = [\n${rows.join("")}];\n`,
  };
}
