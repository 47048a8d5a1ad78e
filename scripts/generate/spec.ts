// Reads the field table and the resource table of a Kubernetes release, and names every type by one canonical
// reference ("core/v1.PodSpec"), so that the writers below need no knowledge of Go's import aliases.
import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface SpecField {
  name: string;
  type: string;
  pb?: number;
  inline?: boolean;
  omitempty?: boolean;
  optional?: boolean;
  required?: boolean;
  default?: string;
  patchStrategy?: string;
  patchMergeKey?: string;
  listType?: string;
  listMapKeys?: string[];
  mapType?: string;
  structType?: string;
  featureGate?: string;
}

export interface SpecType {
  fields: SpecField[];
  kind?: boolean;
  clusterScoped?: boolean;
  structType?: string;
}

export interface SpecGroup {
  group: string | null;
  types: Record<string, SpecType>;
  enums: Record<string, string[]>;
  aliases?: Record<string, string>;
}

export interface SpecResource {
  group: string;
  version: string;
  resource: string;
  kind: string;
  scope: "Namespaced" | "Cluster";
  singular: string;
  verbs: string[];
  shortNames?: string[];
  categories?: string[];
  subresources?: { name: string; kind: string; group: string; version: string; verbs: string[] }[];
  columns?: { name: string; type: string; format?: string; priority?: number }[];
}

export interface Spec {
  groups: Record<string, SpecGroup>;
  resources: SpecResource[];
}

/** Types with a wire form of their own; everything else is a scalar, a container or a struct of the table. */
export const SPECIAL = ["Time", "MicroTime", "Quantity", "IntOrString", "Duration", "RawExtension", "FieldsV1", "JSON"] as const;
export const SCALARS = ["string", "bool", "int32", "int64", "float64", "bytes"] as const;

/** Types that the table leaves out because their Go sources are not plain structs. */
const MISSING: Record<string, Record<string, SpecType>> = {
  "apiextensions/v1": { CustomResourceSubresourceStatus: { fields: [] } },
  "meta/v1": {
    GroupVersionKind: {
      fields: [
        { name: "group", type: "string", pb: 1 },
        { name: "version", type: "string", pb: 2 },
        { name: "kind", type: "string", pb: 3 },
      ],
    },
    GroupVersionResource: {
      fields: [
        { name: "group", type: "string", pb: 1 },
        { name: "version", type: "string", pb: 2 },
        { name: "resource", type: "string", pb: 3 },
      ],
    },
    WatchEvent: {
      fields: [
        { name: "type", type: "string", pb: 1 },
        { name: "object", type: "runtime.RawExtension", pb: 2 },
      ],
      kind: true,
    },
  },
};

export function readSpec(dir: string): Spec {
  const read = (name: string) => JSON.parse(readFileSync(join(dir, name), "utf8"));
  const groups = read("k8s-api-1.34.json") as Spec["groups"];
  for (const [gv, types] of Object.entries(MISSING)) Object.assign(groups[gv]!.types, types);
  for (const [gv, g] of Object.entries(groups)) {
    for (const name of SPECIAL) if (gv === "meta/v1" || gv === "runtime" || gv === "apiextensions/v1") delete g.types[name];
    for (const t of Object.values(g.types)) {
      t.fields = t.fields.filter((f) => f.name !== "-");
      for (const f of t.fields) f.type = canonical(groups, gv, f.type);
    }
  }
  return { groups, resources: read("resources-1.34.json") as SpecResource[] };
}

const PACKAGES: Record<string, string> = { metav1: "meta/v1", corev1: "core/v1", apiv1: "core/v1", authenticationv1: "authentication/v1" };

function canonical(groups: Spec["groups"], gv: string, expr: string): string {
  if (expr === "[]byte") return "bytes";
  if (expr.startsWith("*")) return `*${canonical(groups, gv, expr.slice(1))}`;
  if (expr.startsWith("[]")) return `[]${canonical(groups, gv, expr.slice(2))}`;
  const map = /^map\[([^\]]+)\](.+)$/.exec(expr);
  if (map) return `map[${canonical(groups, gv, map[1]!)}]${canonical(groups, gv, map[2]!)}`;
  if (expr === "ResourceList" || expr.endsWith(".ResourceList")) return "map[core/v1.ResourceName]Quantity";
  if (expr === "types.UID") return "types.UID";
  const last = expr.slice(expr.lastIndexOf(".") + 1);
  const own = gv === "meta/v1" || gv === "apiextensions/v1" || gv === "runtime" || expr.includes(".");
  if (own && (SPECIAL as readonly string[]).includes(last)) return last;
  if ((SCALARS as readonly string[]).includes(expr)) return expr;
  const candidates: string[] = [];
  const dot = expr.indexOf(".");
  if (dot < 0) candidates.push(gv);
  else if (PACKAGES[expr.slice(0, dot)]) candidates.push(PACKAGES[expr.slice(0, dot)]!);
  else candidates.push("core/v1", "meta/v1", "runtime");
  for (const c of candidates) {
    const g = groups[c];
    if (g?.types[last]) return `${c}.${last}`;
    if (g?.aliases?.[last]) return `${c}.${last}`;
  }
  throw new Error(`${gv}: cannot resolve the type ${expr}`);
}
