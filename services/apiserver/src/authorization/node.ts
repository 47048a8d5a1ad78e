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
    if (a.isResource) {
      const special = this.#special(a, node);
      if (special !== undefined)
        return special ? ALLOWED : { allowed: false, reason: `no relationship found between node '${node}' and this object` };
    }
    const rules = this.#cache.of("rbac.authorization.k8s.io", "clusterroles").get("", "system:node")?.object["rules"] as
      | PolicyRule[]
      | undefined;
    return rules?.some((r) => ruleAllows(r, a)) ? ALLOWED : NO_OPINION;
  }

  /** undefined: no rule of its own for this resource. */
  #special(a: AccessAttributes, node: string): boolean | undefined {
    const id = a.group === "" ? a.resource : `${a.resource}.${a.group}`;
    const reads = a.verb === "get" || a.verb === "list" || a.verb === "watch";
    switch (id) {
      case "secrets":
        return reads && a.subresource === "" && a.name !== "" && this.#refers(node, a.namespace, (p) => secretsOf(p).has(a.name));
      case "configmaps":
        return reads && a.subresource === "" && a.name !== "" && this.#refers(node, a.namespace, (p) => configMapsOf(p).has(a.name));
      case "persistentvolumeclaims":
        if (a.subresource === "status") return (a.verb === "update" || a.verb === "patch") && this.#usesClaim(node, a);
        return a.verb === "get" && this.#usesClaim(node, a);
      case "persistentvolumes":
        return a.verb === "get" && this.#usesVolume(node, a.name);
      case "serviceaccounts":
        if (a.subresource !== "token") return undefined;
        return a.verb === "create" && this.#refers(node, a.namespace, (p) => p["spec"]?.serviceAccountName === a.name);
      case "leases.coordination.k8s.io":
        if (a.namespace !== "kube-node-lease") return false;
        return a.verb === "create" || (["get", "update", "patch", "delete"].includes(a.verb) && a.name === node);
      case "csinodes.storage.k8s.io":
        return a.verb === "create" || (["get", "update", "patch", "delete"].includes(a.verb) && a.name === node);
      case "volumeattachments.storage.k8s.io":
        return a.verb === "get" && this.#cache.of("storage.k8s.io", "volumeattachments").get("", a.name)?.object["spec"]?.nodeName === node;
      default:
        return undefined;
    }
  }

  #refers(node: string, namespace: string, test: (pod: KubeObject) => boolean): boolean {
    return this.#pods(node).some((p) => p.metadata.namespace === namespace && test(p));
  }

  #usesClaim(node: string, a: AccessAttributes): boolean {
    return this.#refers(node, a.namespace, (p) => claimsOf(p).has(a.name));
  }

  #usesVolume(node: string, volume: string): boolean {
    const ref = this.#cache.of("", "persistentvolumes").get("", volume)?.object["spec"]?.claimRef;
    return ref !== undefined && this.#refers(node, ref.namespace, (p) => claimsOf(p).has(ref.name));
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

function containersOf(pod: KubeObject): any[] {
  const s = pod["spec"] ?? {};
  return [...(s.containers ?? []), ...(s.initContainers ?? []), ...(s.ephemeralContainers ?? [])];
}

function secretsOf(pod: KubeObject): Set<string> {
  const names = new Set<string>();
  for (const s of pod["spec"]?.imagePullSecrets ?? []) names.add(s.name);
  for (const c of containersOf(pod)) {
    for (const e of c.envFrom ?? []) if (e.secretRef) names.add(e.secretRef.name);
    for (const e of c.env ?? []) if (e.valueFrom?.secretKeyRef) names.add(e.valueFrom.secretKeyRef.name);
  }
  for (const v of pod["spec"]?.volumes ?? []) {
    if (v.secret) names.add(v.secret.secretName);
    for (const s of v.projected?.sources ?? []) if (s.secret) names.add(s.secret.name);
    for (const k of ["csi", "cephfs", "flexVolume", "iscsi", "rbd", "scaleIO", "storageos", "azureFile"]) {
      const name = v[k]?.secretRef?.name ?? v[k]?.nodePublishSecretRef?.name ?? v[k]?.secretName;
      if (name) names.add(name);
    }
  }
  return names;
}

function configMapsOf(pod: KubeObject): Set<string> {
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
