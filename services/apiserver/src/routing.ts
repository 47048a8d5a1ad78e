// From a parsed request to the resource, subresource and verb that serve it, or to the 404 and 405 of kube-apiserver (which routes
// by go-restful's tables: a path that some method serves answers 405 to the others). Pure over the catalogue.
import { statusErrors } from "@podwire/api";
import type { RequestInfo } from "./request/request-info.ts";
import type { Catalogue, Served } from "./resources/catalogue.ts";

export interface Route {
  served: Served;
  /** "" for the resource itself. */
  subresource: string;
  namespace: string;
  name: string;
  verb: string;
  /** The rest of the path below a proxy subresource. */
  rest: readonly string[];
}

/** Subresources whose path goes on below them. */
const OPEN_ENDED = new Set(["proxy"]);
const METHOD_VERBS: Readonly<Record<string, string>> = { GET: "get", POST: "create", PUT: "update", PATCH: "patch", DELETE: "delete" };

/** Throws genericNotFound or methodNotAllowed; undefined when the path belongs to no API at all (a plain 404). */
export function route(method: string, info: RequestInfo, catalogue: Catalogue): Route | undefined {
  const served = catalogue.find(info.group, info.version, info.resource);
  const isBuiltIn = info.group === "" || catalogue.isBuiltIn(info.group);
  if (!served && isBuiltIn) throw statusErrors.genericNotFound();
  if (!served || (served.custom && misplaced(info, served))) return undefined;
  const inNamespace = info.namespace !== "" && !(info.resource === "namespaces" && info.group === "");
  const named = info.parts.length > 1;
  if (inNamespace && !served.info.namespaced) throw statusErrors.genericNotFound();
  if (!inNamespace && served.info.namespaced && named) throw statusErrors.genericNotFound();
  const namespace = inNamespace ? info.namespace : "";
  if (info.parts.length > 2) return subresourceRoute(method, info, served, namespace);
  const { verbs } = served.info;
  let verb: string;
  if (info.legacyWatch) {
    if (method !== "GET" || !verbs.includes("watch"))
      throw method === "GET" ? statusErrors.genericNotFound() : statusErrors.methodNotAllowed();
    verb = "watch";
  } else if (named) {
    if (!["get", "update", "patch", "delete"].some((v) => verbs.includes(v))) throw statusErrors.genericNotFound();
    verb = method === "POST" ? "" : (METHOD_VERBS[method] ?? "");
    if (verb === "get" && info.verb === "watch" && verbs.includes("watch")) verb = "watch";
  } else {
    verb = collectionVerb(method, info);
    if (verb === "create" && served.info.namespaced && !inNamespace) verb = "";
    if (verb === "deletecollection" && served.info.namespaced && !inNamespace) verb = "";
  }
  if (!verbs.includes(verb)) throw statusErrors.methodNotAllowed();
  return { served, subresource: "", namespace, name: info.name, verb, rest: [] };
}

/** Custom resources are routed by hand upstream: what is in the wrong scope, or below an unknown subresource, is no path. */
function misplaced(info: RequestInfo, served: Served): boolean {
  const inNamespace = info.namespace !== "";
  return inNamespace !== served.info.namespaced && (inNamespace || info.parts.length > 1);
}

function collectionVerb(method: string, info: RequestInfo): string {
  if (method === "GET") return info.verb === "watch" ? "watch" : "list";
  if (method === "POST") return "create";
  return method === "DELETE" ? "deletecollection" : "";
}

function subresourceRoute(method: string, info: RequestInfo, served: Served, namespace: string): Route {
  const sub = served.info.subresources.find((s) => s.name === info.subresource);
  if (!sub) throw served.custom ? statusErrors.notFound(served.info, info.name) : statusErrors.genericNotFound();
  if (info.parts.length > 3 && !OPEN_ENDED.has(sub.name)) throw statusErrors.genericNotFound();
  const verb = OPEN_ENDED.has(sub.name) ? (METHOD_VERBS[method] ?? "get") : (METHOD_VERBS[method] ?? "");
  if (!sub.verbs.includes(verb) && !OPEN_ENDED.has(sub.name)) throw statusErrors.methodNotAllowed();
  return { served, subresource: sub.name, namespace, name: info.name, verb, rest: info.parts.slice(3) };
}
