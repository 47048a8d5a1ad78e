// The resources that the API serves: names, verbs, scope, subresources and Table columns (Kubernetes 1.34 discovery).
// Custom resources add themselves with `customResource`; built-in rows come from the generated table.

import { BETA_RESOURCES } from "./beta-types.ts";
import { RESOURCES } from "./generated/resources.ts";
import { lookup } from "./schema/lookup.ts";
import { kindType, type StructType } from "./schema/registry.ts";

export interface TableColumn {
  readonly name: string;
  readonly type: string;
  readonly format?: string;
  readonly description?: string;
  readonly priority?: number;
}

export interface SubresourceInfo {
  readonly name: string;
  readonly kind: string;
  readonly group: string;
  readonly version: string;
  readonly verbs: readonly string[];
  /** True when the kind belongs to another group-version than the resource, so that discovery must name it. */
  readonly foreign: boolean;
}

export interface ResourceRow {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly kind: string;
  readonly singular: string;
  readonly namespaced: boolean;
  readonly verbs: readonly string[];
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly columns: readonly TableColumn[];
  readonly subresources: readonly SubresourceInfo[];
}

export interface ResourceInfo extends ResourceRow {
  readonly listKind: string;
  /** "apps/v1", or "v1" for the core group. */
  readonly apiVersion: string;
  /** "deployments.apps", or "pods" for the core group. */
  readonly groupResource: string;
  /** The registered Go type of the kind; undefined for custom resources. */
  readonly type: StructType | undefined;
  /** Set for custom resources: schema, printer columns, selectable fields (see structural/). */
  readonly custom?: unknown;
}

/** "apps", "v1" -> "apps/v1"; the core group has its version alone. */
export function apiVersionOf(group: string, version: string): string {
  return group === "" ? version : `${group}/${version}`;
}

/** "apps/v1" -> {group: "apps", version: "v1"}; "v1" -> {group: "", version: "v1"}. */
export function parseApiVersion(apiVersion: string): { group: string; version: string } {
  const slash = apiVersion.indexOf("/");
  return slash < 0 ? { group: "", version: apiVersion } : { group: apiVersion.slice(0, slash), version: apiVersion.slice(slash + 1) };
}

/** "apps", "deployments" -> "deployments.apps"; the core group has its resource alone. */
export function groupResourceOf(group: string, resource: string): string {
  return group === "" ? resource : `${resource}.${group}`;
}

/** Completes a row; `type` is found in the type registry. */
export function resourceInfo(row: ResourceRow & { listKind?: string; custom?: unknown }): ResourceInfo {
  return {
    ...row,
    listKind: row.listKind ?? `${row.kind}List`,
    apiVersion: apiVersionOf(row.group, row.version),
    groupResource: groupResourceOf(row.group, row.resource),
    type: row.custom === undefined ? kindType(row.group, row.version, row.kind) : undefined,
  };
}

const builtins: ResourceInfo[] = RESOURCES.map((r) => resourceInfo(r));
const resourceIndex = new Map(builtins.map((r) => [`${r.group}/${r.version}/${r.resource}`, r]));
const kindIndex = new Map(builtins.map((r) => [`${r.group}/${r.version}/${r.kind}`, r]));
/** The version in which objects of a group-resource are stored, where a group serves several. */
const STORAGE_VERSION: Record<string, string> = lookup({ "autoscaling/horizontalpodautoscalers": "v2" });
/** Resources of one group that are views on another's storage. */
const STORED_AS: Record<string, string> = lookup({ "events.k8s.io/events": "/v1/events" });

/** Resources that are served only when they are switched on. */
export const betaResources: readonly ResourceInfo[] = BETA_RESOURCES.map((r) => resourceInfo(r));

export const registry = {
  resources(): readonly ResourceInfo[] {
    return builtins;
  },
  byResource(group: string, version: string, resource: string): ResourceInfo | undefined {
    return resourceIndex.get(`${group}/${version}/${resource}`);
  },
  byKind(group: string, version: string, kind: string): ResourceInfo | undefined {
    return kindIndex.get(`${group}/${version}/${kind}`);
  },
  /** The ResourceInfo under which objects of a group-resource are kept in the store. */
  storage(group: string, resource: string): ResourceInfo | undefined {
    const other = STORED_AS[`${group}/${resource}`];
    if (other !== undefined) return resourceIndex.get(other);
    const version = STORAGE_VERSION[`${group}/${resource}`];
    if (version !== undefined) return resourceIndex.get(`${group}/${version}/${resource}`);
    return builtins.find((r) => r.group === group && r.resource === resource);
  },
};
