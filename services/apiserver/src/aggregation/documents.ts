// What an extension API server says about one group-version: its resources (aggregated discovery, or the old APIResourceList turned into
// it) and its part of OpenAPI v2 and v3. Whatever it does not serve is left out, never an error.
import type { Backend, Document } from "./backend.ts";

export interface RemoteDocuments {
  /** APIVersionDiscovery.resources of apidiscovery.k8s.io/v2. */
  resources: unknown[];
  /** Whether it has a document of OpenAPI v3, and of what state. */
  openApiHash?: string;
  /** Paths and definitions of OpenAPI v2 of this group-version. */
  v2?: { etag: string; paths: Record<string, unknown>; definitions: Record<string, unknown> };
}

const AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

export async function readDocuments(
  backend: Backend,
  group: string,
  version: string,
  before: RemoteDocuments | undefined,
): Promise<RemoteDocuments> {
  const gv = `apis/${group}/${version}`;
  const [groups, legacy, v3, v2] = await Promise.all([
    json(backend.ask("/apis", `${AGGREGATED},application/json`)),
    json(backend.ask(`/${gv}`, "application/json")),
    json(backend.ask("/openapi/v3", "application/json")),
    swagger(backend, `/${gv}/`, before?.v2),
  ]);
  const found = (groups?.kind === "APIGroupDiscoveryList" ? (groups.items ?? []) : [])
    .find((g: any) => g.metadata?.name === group)
    ?.versions?.find((v: any) => v.version === version);
  const documents: RemoteDocuments = { resources: found?.resources ?? fromLegacy(legacy?.resources ?? []) };
  const url: string | undefined = v3?.paths?.[gv]?.serverRelativeURL;
  if (url !== undefined) documents.openApiHash = /[?&]hash=([^&]*)/.exec(url)?.[1] ?? "";
  if (v2) documents.v2 = v2;
  return documents;
}

async function json(asked: Promise<Document>): Promise<any> {
  try {
    const d = await asked;
    return d.status === 200 ? JSON.parse(d.body) : undefined;
  } catch {
    return undefined;
  }
}

/** The part of the server's OpenAPI v2 below a path, with the definitions that its paths lead to. */
async function swagger(backend: Backend, prefix: string, before: RemoteDocuments["v2"]): Promise<RemoteDocuments["v2"]> {
  try {
    const d = await backend.ask("/openapi/v2", "application/json");
    if (d.status !== 200) return undefined;
    const etag = String(d.headers["etag"] ?? "");
    if (before && etag !== "" && before.etag === etag) return before;
    const whole = JSON.parse(d.body);
    const paths = Object.fromEntries(Object.entries(whole.paths ?? {}).filter(([p]) => p === prefix.slice(0, -1) || p.startsWith(prefix)));
    const definitions: Record<string, unknown> = {};
    const follow = (value: unknown) => {
      for (const [, name] of JSON.stringify(value).matchAll(/"#\/definitions\/([^"]+)"/g)) {
        const key = name as string;
        if (definitions[key] !== undefined || whole.definitions?.[key] === undefined) continue;
        definitions[key] = whole.definitions[key];
        follow(definitions[key]);
      }
    };
    follow(paths);
    return { etag, paths, definitions };
  } catch {
    return undefined;
  }
}

/** APIResourceList.resources as APIResourceDiscovery, subresources below their resource. */
export function fromLegacy(resources: readonly Record<string, any>[]): unknown[] {
  const out = new Map<string, Record<string, any>>();
  const kindOf = (r: Record<string, any>) => ({ group: r["group"] ?? "", version: r["version"] ?? "", kind: r["kind"] });
  for (const r of resources) {
    if (r["name"].includes("/")) continue;
    out.set(r["name"], {
      resource: r["name"],
      responseKind: kindOf(r),
      scope: r["namespaced"] ? "Namespaced" : "Cluster",
      singularResource: r["singularName"] ?? "",
      verbs: r["verbs"],
      ...(r["shortNames"] ? { shortNames: r["shortNames"] } : {}),
      ...(r["categories"] ? { categories: r["categories"] } : {}),
    });
  }
  for (const r of resources) {
    const [parent, subresource] = r["name"].split("/");
    if (subresource === undefined) continue;
    const above = out.get(parent) ?? {
      resource: parent,
      scope: r["namespaced"] ? "Namespaced" : "Cluster",
      singularResource: "",
      verbs: [],
    };
    above["subresources"] = [...(above["subresources"] ?? []), { subresource, responseKind: kindOf(r), verbs: r["verbs"] }];
    out.set(parent, above);
  }
  return [...out.values()];
}
