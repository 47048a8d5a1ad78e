// Every collection that objects can lie in: the built-in ones of the registry and the custom ones of established CRDs, each once
// (a group that serves several versions is counted in its storage version).
import { parseApiVersion, registry } from "@podwire/api";
import type { Informer, KubeObject, ResourceRef } from "@podwire/client";

export interface Collection {
  ref: ResourceRef;
  verbs: readonly string[];
}

export const CUSTOM_RESOURCE_DEFINITIONS: ResourceRef = {
  group: "apiextensions.k8s.io",
  version: "v1",
  resource: "customresourcedefinitions",
  kind: "CustomResourceDefinition",
  namespaced: false,
};

/** Groups that are not stored, but computed or asked of others. */
const VIRTUAL_GROUPS = new Set(["authentication.k8s.io", "authorization.k8s.io", "metrics.k8s.io", "events.k8s.io"]);

export function builtinCollections(): Collection[] {
  const out = new Map<string, Collection>();
  for (const r of registry.resources()) {
    if (VIRTUAL_GROUPS.has(r.group) || !r.verbs.includes("list") || !r.verbs.includes("delete")) continue;
    const stored = registry.storage(r.group, r.resource) ?? r;
    const ref = {
      group: stored.group,
      version: stored.version,
      resource: stored.resource,
      kind: stored.kind,
      namespaced: stored.namespaced,
    };
    out.set(`${ref.group}/${ref.resource}`, { ref, verbs: stored.verbs });
  }
  return [...out.values()];
}

const CUSTOM_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

export function customCollections(crds: readonly KubeObject[]): Collection[] {
  return crds.flatMap((crd) => {
    const established = (crd["status"]?.conditions ?? []).some((c: any) => c.type === "Established" && c.status === "True");
    const version = crd["spec"]?.versions?.find((v: any) => v.storage && v.served) ?? crd["spec"]?.versions?.find((v: any) => v.served);
    if (!established || !version) return [];
    const { group, names, scope } = crd["spec"];
    const ref = { group, version: version.name, resource: names.plural, kind: names.kind, namespaced: scope === "Namespaced" };
    return [{ ref, verbs: CUSTOM_VERBS }];
  });
}

/** The collection in which an owner reference's object lies; any served version of its group will do. */
export function collectionOfKind(crds: Informer<any> | undefined, apiVersion: string, kind: string): ResourceRef | undefined {
  const { group, version } = parseApiVersion(apiVersion);
  const r = registry.byKind(group, version, kind);
  if (r) {
    const stored = registry.storage(r.group, r.resource) ?? r;
    return { group: stored.group, version: stored.version, resource: stored.resource, kind: stored.kind, namespaced: stored.namespaced };
  }
  return customCollections(crds?.lister.list() ?? []).find((c) => c.ref.group === group && c.ref.kind === kind)?.ref;
}
