// The Node authorizer: a kubelet reads what the pods of its node refer to, and writes what is its own (plugin/pkg/auth/authorizer/node).
// Invariant: a node never reads a Secret or ConfigMap of another node's pods.
import type { KubeObject } from "@podwire/api";
import type { WatchCache } from "../cache/watch-cache.ts";
import type { AccessAttributes, Authorizer, Decision } from "./authorizer.ts";
import { NO_OPINION } from "./authorizer.ts";
import { type PolicyRule, ruleAllows } from "./rbac.ts";

const PREFIX = "system:node:";
const ALLOWED: Decision = { allowed: true, reason: "" };

/** The node that a user is the kubelet of. */
export function nodeOfUser(user: { name: string; groups: readonly string[] }): string | undefined {
  return user.name.startsWith(PREFIX) && user.groups.includes("system:nodes") ? user.name.slice(PREFIX.length) : undefined;
}

export class NodeAuthorizer implements Authorizer {
  readonly #cache: WatchCache;
  #changes = -1;
  #podsByNode = new Map<string, KubeObject[]>();

  constructor(cache: WatchCache) {
    this.#cache = cache;
  }

  authorize(a: AccessAttributes): Decision {
    const node = nodeOfUser(a.user);
    if (node === undefined) return NO_OPINION;
    if (node === "") return refused(`unknown node for user ${JSON.stringify(a.user.name)}`);
    const own = a.isResource ? this.#own(a, node) : undefined;
    if (own !== undefined) return own;
    const rules = this.#cache.of("rbac.authorization.k8s.io", "clusterroles").get("", "system:node")?.object["rules"] as
      | PolicyRule[]
      | undefined;
    return rules?.some((r) => ruleAllows(r, a)) ? ALLOWED : NO_OPINION;
  }

  /** undefined: no rule of its own for this resource. */
  #own(a: AccessAttributes, node: string): Decision | undefined {
    switch (a.group === "" ? a.resource : `${a.resource}.${a.group}`) {
      case "secrets":
        return readNamespaced(a) ?? this.#related(a, node, () => this.#usesSecret(node, a.namespace, a.name));
      case "configmaps":
        return readNamespaced(a) ?? this.#related(a, node, () => this.#refers(node, a.namespace, (p) => configMapsOf(p).has(a.name)));
      case "persistentvolumeclaims":
        if (a.subresource !== "status") return getOne(a) ?? this.#related(a, node, () => this.#usesClaim(node, a.namespace, a.name));
        if (a.verb !== "update" && a.verb !== "patch") return refused("can only get/update/patch this type");
        return this.#related(a, node, () => this.#usesClaim(node, a.namespace, a.name));
      case "persistentvolumes":
        return getOne(a) ?? this.#related(a, node, () => this.#usesVolume(node, a.name));
      case "resourceclaims.resource.k8s.io":
        return getOne(a) ?? this.#related(a, node, () => this.#refers(node, a.namespace, (p) => resourceClaimsOf(p).has(a.name)));
      case "volumeattachments.storage.k8s.io": {
        const attachment = () => this.#cache.of("storage.k8s.io", "volumeattachments").get("", a.name)?.object;
        return getOne(a) ?? this.#related(a, node, () => attachment()?.["spec"]?.nodeName === node);
      }
      case "serviceaccounts":
        if (a.verb !== "create" || a.name === "") return refused("can only create tokens for individual service accounts");
        if (a.subresource !== "token") return refused("can only create token subresource of serviceaccount");
        return this.#related(a, node, () => this.#refers(node, a.namespace, (p) => p["spec"]?.serviceAccountName === a.name));
      case "leases.coordination.k8s.io":
        return lease(a, node);
      case "csinodes.storage.k8s.io":
        return csiNode(a, node);
      case "resourceslices.resource.k8s.io":
        return this.#slice(a, node);
      case "nodes":
        return ownNode(a, node);
      case "pods":
        return this.#pod(a, node);
      default:
        return undefined;
    }
  }

  #related(a: AccessAttributes, node: string, test: () => boolean): Decision {
    if (a.name === "") return refused("No Object name found");
    return test() ? ALLOWED : refused(`no relationship found between node '${node}' and this object`);
  }

  #pod(a: AccessAttributes, node: string): Decision {
    const bound = () => this.#pods(node).some((p) => p.metadata.namespace === a.namespace && p.metadata.name === a.name);
    if (a.subresource === "status") return a.verb === "update" || a.verb === "patch" ? ALLOWED : NO_OPINION;
    if (a.subresource === "eviction") return a.verb === "create" ? ALLOWED : NO_OPINION;
    if (a.subresource !== "") return NO_OPINION;
    switch (a.verb) {
      case "get":
        return this.#related(a, node, bound);
      case "list":
      case "watch":
        if (selects(a, "spec.nodeName", node)) return ALLOWED;
        if (a.name !== "") return this.#related(a, node, bound);
        return refused("can only list/watch pods with spec.nodeName field selector");
      case "create":
      case "delete":
        return ALLOWED; // NodeRestriction sees to it that they are mirror pods of this node.
      default:
        return NO_OPINION;
    }
  }

  #slice(a: AccessAttributes, node: string): Decision {
    if (a.subresource !== "") return refused("cannot authorize ResourceSlice subresources");
    switch (a.verb) {
      case "create":
        return ALLOWED; // NodeRestriction sees to it that it is of this node.
      case "get":
      case "update":
      case "patch":
      case "delete":
        return this.#related(
          a,
          node,
          () => this.#cache.of("resource.k8s.io", "resourceslices").get("", a.name)?.object["spec"]?.nodeName === node,
        );
      case "watch":
      case "list":
      case "deletecollection":
        if (selects(a, "spec.nodeName", node)) return ALLOWED;
        return refused("can only list/watch/deletecollection resourceslices with nodeName field selector");
      default:
        return refused(
          "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection",
        );
    }
  }

  #refers(node: string, namespace: string, test: (pod: KubeObject) => boolean): boolean {
    return this.#pods(node).some((p) => p.metadata.namespace === namespace && !isMirror(p) && test(p));
  }

  #usesClaim(node: string, namespace: string, name: string): boolean {
    return this.#refers(node, namespace, (p) => claimsOf(p).has(name));
  }

  #usesVolume(node: string, volume: string): boolean {
    const ref = this.#cache.of("", "persistentvolumes").get("", volume)?.object["spec"]?.claimRef;
    return ref !== undefined && this.#usesClaim(node, ref.namespace, ref.name);
  }

  /** By a pod, or by the volume of a claim of a pod. */
  #usesSecret(node: string, namespace: string, name: string): boolean {
    if (this.#refers(node, namespace, (p) => secretsOf(p).has(name))) return true;
    for (const v of this.#cache.of("", "persistentvolumes").values())
      if (volumeSecrets(v.object).some((s) => s.namespace === namespace && s.name === name) && this.#usesVolume(node, v.key.name))
        return true;
    return false;
  }

  #pods(node: string): readonly KubeObject[] {
    const pods = this.#cache.of("", "pods");
    if (pods.changes !== this.#changes) {
      this.#changes = pods.changes;
      this.#podsByNode = new Map();
      for (const p of pods.values()) {
        const n = p.object["spec"]?.nodeName;
        if (!n) continue;
        const list = this.#podsByNode.get(n);
        if (list) list.push(p.object);
        else this.#podsByNode.set(n, [p.object]);
      }
    }
    return this.#podsByNode.get(node) ?? [];
  }
}

const refused = (reason: string): Decision => ({ allowed: false, reason });
const READS = ["get", "list", "watch"];
const OWN_OBJECT_VERBS = ["get", "create", "update", "patch", "delete"];

/** Why a request is no read of objects in a namespace; undefined when it is one. */
function readNamespaced(a: AccessAttributes): Decision | undefined {
  if (!READS.includes(a.verb)) return refused("can only read resources of this type");
  if (a.subresource !== "") return refused("cannot read subresource");
  return a.namespace === "" ? refused("can only read namespaced object of this type") : undefined;
}

function getOne(a: AccessAttributes): Decision | undefined {
  if (a.verb !== "get") return refused("can only get individual resources of this type");
  return a.subresource === "" ? undefined : refused("cannot get subresource");
}

function lease(a: AccessAttributes, node: string): Decision {
  if (!OWN_OBJECT_VERBS.includes(a.verb)) return refused("can only get, create, update, patch, or delete a node lease");
  if (a.namespace !== "kube-node-lease") return refused('can only access leases in the "kube-node-lease" system namespace');
  if (a.verb !== "create" && a.name !== node) return refused("can only access node lease with the same name as the requesting node");
  return ALLOWED;
}

function csiNode(a: AccessAttributes, node: string): Decision {
  if (!OWN_OBJECT_VERBS.includes(a.verb)) return refused("can only get, create, update, patch, or delete a CSINode");
  if (a.subresource !== "") return refused("cannot authorize CSINode subresources");
  if (a.verb !== "create" && a.name !== node) return refused("can only access CSINode with the same name as the requesting node");
  return ALLOWED;
}

function ownNode(a: AccessAttributes, node: string): Decision {
  if (a.subresource === "status") return a.verb === "update" || a.verb === "patch" ? ALLOWED : NO_OPINION;
  if (a.subresource !== "") return NO_OPINION;
  // Which node is written NodeRestriction decides.
  if (a.verb === "create" || a.verb === "update" || a.verb === "patch") return ALLOWED;
  if (!READS.includes(a.verb)) return NO_OPINION;
  if (a.name === node) return ALLOWED;
  if (a.name === "") return refused(`node '${node}' cannot read all nodes, only its own Node object`);
  return refused(`node '${node}' cannot read '${a.name}', only its own Node object`);
}

/** Whether a field selector asks for one value of a field. */
function selects(a: AccessAttributes, field: string, value: string): boolean {
  return (a.fieldSelector ?? "").split(",").some((r) => r === `${field}=${value}` || r === `${field}==${value}`);
}

function isMirror(pod: KubeObject): boolean {
  return pod.metadata.annotations?.["kubernetes.io/config.mirror"] !== undefined;
}

function containersOf(pod: KubeObject): any[] {
  const s = pod["spec"] ?? {};
  return [...(s.containers ?? []), ...(s.initContainers ?? []), ...(s.ephemeralContainers ?? [])];
}

/** Secrets that a pod refers to, by name. */
export function secretsOf(pod: KubeObject): Set<string> {
  const names = new Set<string>();
  for (const s of pod["spec"]?.imagePullSecrets ?? []) names.add(s.name);
  for (const c of containersOf(pod)) {
    for (const e of c.envFrom ?? []) if (e.secretRef) names.add(e.secretRef.name);
    for (const e of c.env ?? []) if (e.valueFrom?.secretKeyRef) names.add(e.valueFrom.secretKeyRef.name);
  }
  for (const v of pod["spec"]?.volumes ?? []) {
    if (v.secret) names.add(v.secret.secretName);
    for (const s of v.projected?.sources ?? []) if (s.secret) names.add(s.secret.name);
    for (const k of ["csi", "cephfs", "cinder", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos", "azureFile"]) {
      const name = v[k]?.secretRef?.name ?? v[k]?.nodePublishSecretRef?.name ?? v[k]?.secretName;
      if (name) names.add(name);
    }
  }
  return names;
}

/** ConfigMaps that a pod refers to, by name. */
export function configMapsOf(pod: KubeObject): Set<string> {
  const names = new Set<string>();
  for (const c of containersOf(pod)) {
    for (const e of c.envFrom ?? []) if (e.configMapRef) names.add(e.configMapRef.name);
    for (const e of c.env ?? []) if (e.valueFrom?.configMapKeyRef) names.add(e.valueFrom.configMapKeyRef.name);
  }
  for (const v of pod["spec"]?.volumes ?? []) {
    if (v.configMap) names.add(v.configMap.name);
    for (const s of v.projected?.sources ?? []) if (s.configMap) names.add(s.configMap.name);
  }
  return names;
}

function claimsOf(pod: KubeObject): Set<string> {
  const names = new Set<string>();
  for (const v of pod["spec"]?.volumes ?? []) {
    if (v.persistentVolumeClaim) names.add(v.persistentVolumeClaim.claimName);
    if (v.ephemeral) names.add(`${pod.metadata.name}-${v.name}`);
  }
  return names;
}

function resourceClaimsOf(pod: KubeObject): Set<string> {
  const made = new Map<string, string | undefined>();
  for (const s of pod["status"]?.resourceClaimStatuses ?? []) made.set(s.name, s.resourceClaimName);
  const names = new Set<string>();
  for (const c of pod["spec"]?.resourceClaims ?? []) {
    const name = c.resourceClaimName ?? made.get(c.name);
    if (name) names.add(name);
  }
  const extended = pod["status"]?.extendedResourceClaimStatus?.resourceClaimName;
  if (extended) names.add(extended);
  return names;
}

/** Secrets of a volume that a kubelet needs; those of its controllers are not among them. */
function volumeSecrets(pv: KubeObject): { namespace: string; name: string }[] {
  const spec = pv["spec"] ?? {};
  const claims = spec.claimRef?.namespace ?? "";
  const out: { namespace: string; name: string }[] = [];
  const add = (ref: { name?: string; namespace?: string } | undefined) => {
    if (ref?.name) out.push({ namespace: ref.namespace || claims, name: ref.name });
  };
  if (spec.azureFile) add({ name: spec.azureFile.secretName, namespace: spec.azureFile.secretNamespace });
  for (const k of ["cephfs", "cinder", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos"]) add(spec[k]?.secretRef);
  for (const k of ["nodePublishSecretRef", "nodeStageSecretRef", "nodeExpandSecretRef"]) add(spec.csi?.[k]);
  return out;
}
