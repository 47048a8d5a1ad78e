// Whether a request concerns a webhook or admission policy: rules, namespace selector, object selector (apiserver/pkg/admission/plugin/webhook/predicates).
import { type KubeObject, labelSelector, type ResourceInfo } from "@podwire/api";
import type { WatchCache } from "../cache/watch-cache.ts";
import type { Attributes } from "./chain.ts";

export interface Rule {
  operations?: string[];
  apiGroups?: string[];
  apiVersions?: string[];
  resources?: string[];
  resourceNames?: string[];
  scope?: string;
}

/** `info` stands for the request's own resource; another one asks whether the rule would concern an equivalent version. */
export function ruleMatches(r: Rule, a: Attributes, info: Pick<ResourceInfo, "group" | "version" | "resource"> = a.info): boolean {
  const has = (list: readonly string[] | undefined, v: string) => list !== undefined && (list.includes("*") || list.includes(v));
  if (!has(r.operations, a.operation) || !has(r.apiGroups, info.group) || !has(r.apiVersions, info.version)) return false;
  if (r.scope === "Cluster" && a.namespace !== "") return false;
  if (r.scope === "Namespaced" && a.namespace === "") return false;
  if (r.resourceNames?.length && !r.resourceNames.includes(a.name)) return false;
  return (r.resources ?? []).some((pattern) => {
    const [resource = "", sub = ""] = pattern.split("/");
    if (pattern === "*/*") return true;
    if (resource !== "*" && resource !== info.resource) return false;
    return sub === "*" || sub === a.subresource;
  });
}

/** Namespaces match by their labels; cluster-scoped objects always do, namespaces themselves by their own labels. */
export function namespaceMatches(cache: WatchCache, selector: object | undefined, a: Attributes): boolean {
  const s = labelSelector(selector ?? {});
  if (s.empty) return true;
  if (a.info.groupResource === "namespaces" && a.subresource === "") {
    const labels =
      (a.operation === "DELETE" ? a.oldObject : a.object)?.metadata.labels ??
      cache.of("", "namespaces").get("", a.name)?.object.metadata.labels;
    return s.matches(labels ?? {});
  }
  if (a.namespace === "") return true;
  return s.matches(cache.of("", "namespaces").get("", a.namespace)?.object.metadata.labels ?? {});
}

/** Either the new or the old object must match. */
export function objectMatches(selector: object | undefined, a: Attributes): boolean {
  const s = labelSelector(selector ?? {});
  if (s.empty) return true;
  const labels = (o: KubeObject | undefined) => o !== undefined && s.matches(o.metadata?.labels ?? {});
  return labels(a.object) || labels(a.oldObject);
}
