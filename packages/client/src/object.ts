// The shape that every Kubernetes object shares, as far as a generic client needs it, and names of resources.
// Invariant: objects that come out of a cache are shared; whoever wants to change one copies it first.

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  generateName?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: OwnerReference[];
  [field: string]: any;
}

export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
  [field: string]: any;
}

/** Which collection of the API is meant. `kind` lets lists name the kind of their items, which the wire leaves out. */
export interface ResourceRef {
  /** "" for core. */
  group: string;
  version: string;
  /** Plural, lower case. */
  resource: string;
  kind: string;
  namespaced: boolean;
}

/** "apps/v1", or "v1" for core. */
export function apiVersionOf(ref: Pick<ResourceRef, "group" | "version">): string {
  return ref.group === "" ? ref.version : `${ref.group}/${ref.version}`;
}

/** "namespace/name", or "name" for cluster-scoped objects: client-go's key function, and what work queues hold. */
export function objectKey(o: KubeObject): string {
  return keyOf(o.metadata.namespace ?? "", o.metadata.name);
}

/** The key of an object by its names; `namespace` is "" for objects of the cluster. */
export function keyOf(namespace: string, name: string): string {
  return namespace === "" ? name : `${namespace}/${name}`;
}

/** The inverse of `keyOf`. */
export function splitKey(key: string): { namespace: string; name: string } {
  const slash = key.indexOf("/");
  return slash < 0 ? { namespace: "", name: key } : { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** Revision of an object as a number; 0 when it has none. Stream sequences stay far below 2^53. */
export function revisionOf(o: KubeObject): number {
  return o.metadata.resourceVersion === undefined ? 0 : Number(o.metadata.resourceVersion);
}

/** The collection path of a resource: "/apis/apps/v1/namespaces/default/deployments". */
export function pathOf(ref: ResourceRef, namespace?: string, name?: string, subresource?: string): string {
  let p = ref.group === "" ? `/api/${ref.version}` : `/apis/${ref.group}/${ref.version}`;
  if (ref.namespaced && namespace !== undefined && namespace !== "") p += `/namespaces/${encodeURIComponent(namespace)}`;
  p += `/${ref.resource}`;
  if (name !== undefined) p += `/${encodeURIComponent(name)}`;
  if (subresource !== undefined) p += `/${subresource}`;
  return p;
}
