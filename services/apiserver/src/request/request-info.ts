// What a URL and a method ask for: Kubernetes' RequestInfo (apiserver/pkg/endpoints/request). Pure.
// Invariant: nothing here knows which resources exist; routing decides that later, after authorization has seen the attributes.

export interface RequestInfo {
  isResource: boolean;
  /** The path without the query, not decoded. */
  path: string;
  query: URLSearchParams;
  /** get, list, watch, create, update, patch, delete, deletecollection; lower-case method for non-resources. */
  verb: string;
  apiPrefix: "api" | "apis" | "";
  group: string;
  version: string;
  namespace: string;
  resource: string;
  subresource: string;
  name: string;
  /** Path segments from the resource on, decoded. */
  parts: readonly string[];
  /** True for the old /api/v1/watch/... form. */
  legacyWatch: boolean;
}

const VERBS: Readonly<Record<string, string>> = {
  POST: "create",
  GET: "get",
  HEAD: "get",
  PUT: "update",
  PATCH: "patch",
  DELETE: "delete",
};
const NAMESPACE_SUBRESOURCES: ReadonlySet<string> = new Set(["status", "finalize"]);
const EMPTY_QUERY = new URLSearchParams();

/** Splits a request target. A segment that is not valid percent-encoding stays as it is. */
export function parseRequest(method: string, target: string): RequestInfo {
  const q = target.indexOf("?");
  const path = q < 0 ? target : target.slice(0, q);
  const query = q < 0 ? EMPTY_QUERY : new URLSearchParams(target.slice(q + 1));
  const info: RequestInfo = {
    isResource: false,
    path,
    query,
    verb: method.toLowerCase(),
    apiPrefix: "",
    group: "",
    version: "",
    namespace: "",
    resource: "",
    subresource: "",
    name: "",
    parts: [],
    legacyWatch: false,
  };
  let parts = path.split("/").filter((s) => s !== "");
  if (path.includes("%")) parts = parts.map(decodeSegment);
  const prefix = parts[0];
  if (prefix !== "api" && prefix !== "apis") return info;
  info.apiPrefix = prefix;
  if (parts.length < (prefix === "api" ? 3 : 4)) return info;
  if (prefix === "apis") info.group = parts[1] as string;
  info.version = parts[prefix === "api" ? 1 : 2] as string;
  parts = parts.slice(prefix === "api" ? 2 : 3);
  info.isResource = true;
  info.verb = VERBS[method] ?? "";
  if (parts[0] === "watch" && parts.length > 1) {
    info.legacyWatch = true;
    info.verb = "watch";
    parts = parts.slice(1);
  }
  if (parts[0] === "namespaces") {
    if (parts.length > 1) {
      info.namespace = parts[1] as string;
      if (parts.length > 2 && !NAMESPACE_SUBRESOURCES.has(parts[2] as string)) parts = parts.slice(2);
    }
  }
  info.parts = parts;
  info.resource = parts[0] ?? "";
  info.name = parts[1] ?? "";
  info.subresource = parts[2] ?? "";
  if (info.verb === "get" && info.name === "") info.verb = isWatch(query) ? "watch" : "list";
  else if (info.verb === "get" && info.subresource === "" && isWatch(query)) info.verb = "watch";
  if (info.verb === "delete" && info.name === "") info.verb = "deletecollection";
  return info;
}

/** `watch=1`, `watch=true`, `watch`: Kubernetes takes anything but false and 0. */
export function isWatch(query: URLSearchParams): boolean {
  const w = query.get("watch");
  return w !== null && w !== "0" && w.toLowerCase() !== "false";
}

/** Metadata.name of a field selector `metadata.name=x`, which authorization takes as the request's name. */
export function nameInFieldSelector(selector: string | null): string | undefined {
  if (!selector) return undefined;
  for (const term of selector.split(",")) {
    const m = /^metadata\.name==?([^!=]+)$/.exec(term);
    if (m) return m[1];
  }
  return undefined;
}

function decodeSegment(s: string): string {
  try {
    return decodeURIComponent(s);
  } catch {
    return s;
  }
}
