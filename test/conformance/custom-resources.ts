// Custom resources for a test: a definition in an API group of the test's own, established before it is used and removed afterwards.
import type { Context } from "./harness.ts";
import type { Json } from "./rest.ts";

export interface Version {
  name: string;
  served?: boolean;
  storage?: boolean;
  schema?: Json;
  [more: string]: unknown;
}

export interface DefineOptions {
  /** Default: `<namespace>.example.com`. */
  group?: string;
  plural?: string;
  kind?: string;
  scope?: "Namespaced" | "Cluster";
  versions?: Version[];
  labels?: Record<string, string>;
  /** Fields of the specification beside these. */
  spec?: Json;
}

export interface Custom {
  group: string;
  crd: Json;
  crdPath: string;
  /** The collection in the test's namespace (or the cluster's), of a version (default the first). */
  path(version?: string): string;
  object(name: string, fields?: Json, version?: string): Json;
}

/** Anything goes. */
export const FREE_FORM = { type: "object", "x-kubernetes-preserve-unknown-fields": true };

export function definitionOf(t: Context, o: DefineOptions = {}): Json {
  const group = o.group ?? `${t.namespace}.example.com`;
  const plural = o.plural ?? "widgets";
  const kind = o.kind ?? "Widget";
  const versions = o.versions ?? [{ name: "v1" }];
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}`, ...(o.labels ? { labels: o.labels } : {}) },
    spec: {
      group,
      scope: o.scope ?? "Namespaced",
      names: { plural, singular: kind.toLowerCase(), kind, listKind: `${kind}List` },
      versions: versions.map(({ schema, ...v }, i) => ({
        served: true,
        storage: i === 0,
        schema: { openAPIV3Schema: schema ?? FREE_FORM },
        ...v,
      })),
      ...o.spec,
    },
  };
}

export async function define(t: Context, o: DefineOptions = {}): Promise<Custom> {
  const crd = await t.createForCluster(definitionOf(t, o));
  const crdPath = await t.api.pathOf(crd);
  const { group, versions, names, scope } = crd.spec;
  const space = scope === "Namespaced" ? `/namespaces/${t.namespace}` : "";
  const first = versions.find((v: Version) => v.served).name;
  const path = (version = first) => `/apis/${group}/${version}${space}/${names.plural}`;
  await t.eventually(`${crd.metadata.name} is established and served`, async () => {
    const { conditions } = (await t.api.get(crdPath)).status;
    return conditions?.some((c: Json) => c.type === "Established" && c.status === "True") && (await t.api.find(path())) !== undefined;
  });
  return {
    group,
    crd,
    crdPath,
    path,
    object: (name, fields = {}, version = first) => ({
      apiVersion: `${group}/${version}`,
      kind: names.kind,
      ...fields,
      metadata: { name, ...(space ? { namespace: t.namespace } : {}), ...fields.metadata },
    }),
  };
}
