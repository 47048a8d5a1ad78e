// NodeRestriction: a kubelet writes its own Node, its own Lease and the pods bound to it, and nothing else (plugin/pkg/admission/noderestriction).
import { type KubeObject, statusErrors } from "@podwire/api";
import { reasonOf } from "@podwire/base";
import { may } from "../authorization/may.ts";
import { configMapsOf, nodeOfUser, secretsOf } from "../authorization/node.ts";
import type { Api } from "../call.ts";
import type { AdmissionPlugin, Attributes } from "./chain.ts";
import { forbiddenBy } from "./forbidden.ts";

/** Labels that a node may set on itself; others below kubernetes.io and k8s.io are not its own to give. */
const OWN_LABELS = new Set([
  "kubernetes.io/hostname",
  "kubernetes.io/arch",
  "kubernetes.io/os",
  "beta.kubernetes.io/arch",
  "beta.kubernetes.io/os",
  "beta.kubernetes.io/instance-type",
  "node.kubernetes.io/instance-type",
  "failure-domain.beta.kubernetes.io/zone",
  "failure-domain.beta.kubernetes.io/region",
  "topology.kubernetes.io/zone",
  "topology.kubernetes.io/region",
]);
const MIRROR = "kubernetes.io/config.mirror";
const OWN_LABEL_DOMAINS = ["kubelet.kubernetes.io", "node.kubernetes.io"];

const POD = { group: "", resource: "pods" };
const KUBELET_SIGNERS = ["kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet"];
/** The verb that lets a node ask for tokens of an audience (the "resource") that none of its pods' volumes names. */
const REQUEST_AUDIENCE = "request-serviceaccounts-token-audience";

/** `subjectOf` reads the common name of a certificate request; it throws when the request is none. */
export function nodeRestriction(api: Api, subjectOf: (request: string) => string | undefined): AdmissionPlugin {
  return {
    name: "NodeRestriction",
    operations: ["CREATE", "UPDATE", "DELETE"],
    // With the mutating plugins, as upstream: what a client sent is judged before the server takes over fields of the stored object.
    admit(a) {
      const node = nodeOfUser(a.user);
      if (node === undefined) return;
      if (node === "") throw forbiddenBy(a, `could not determine node from user ${quote(a.user.name)}`);
      switch (a.info.groupResource) {
        case "pods":
          return pods(api, a, node);
        case "nodes":
          return nodes(a, node);
        case "persistentvolumeclaims":
          return claims(a, node);
        case "serviceaccounts":
          return a.operation === "CREATE" && a.subresource === "token" ? token(api, a, node) : undefined;
        case "leases.coordination.k8s.io":
          if (a.namespace !== "kube-node-lease") throw forbiddenBy(a, 'can only access leases in the "kube-node-lease" system namespace');
          if (a.name !== node) throw forbiddenBy(a, "can only access node lease with the same name as the requesting node");
          return;
        case "csinodes.storage.k8s.io":
          if (a.name !== node) throw forbiddenBy(a, "can only access CSINode with the same name as the requesting node");
          return;
        case "resourceslices.resource.k8s.io":
          return slices(a, node);
        case "certificatesigningrequests.certificates.k8s.io":
          return certificates(a, node, subjectOf);
      }
    },
  };
}

const quote = (s: string) => JSON.stringify(s);
const same = (a: unknown, b: unknown) => JSON.stringify(a ?? null) === JSON.stringify(b ?? null);

function pods(api: Api, a: Attributes, node: string): undefined {
  const live = () => {
    const pod = api.cache.of("", "pods").get(a.namespace, a.name)?.object;
    if (!pod) throw statusErrors.notFound(POD, a.name);
    return pod;
  };
  switch (a.subresource) {
    case "":
      if (a.operation === "CREATE") return mirrorPod(api, a, node);
      if (a.operation !== "DELETE")
        throw forbiddenBy(a, `unexpected operation "${a.operation}", node ${quote(node)} can only create and delete mirror pods`);
      if ((a.oldObject ?? live())["spec"]?.nodeName !== node)
        throw forbiddenBy(a, `node ${quote(node)} can only delete pods with spec.nodeName set to itself`);
      return;
    case "status":
      return podStatus(a, node);
    case "eviction":
      if (live()["spec"]?.nodeName !== node) throw forbiddenBy(a, `node ${node} can only evict pods with spec.nodeName set to itself`);
      return;
    default:
      throw forbiddenBy(a, `unexpected pod subresource ${quote(a.subresource)}, only 'status' and 'eviction' are allowed`);
  }
}

/** A pod that a node creates is the image of one of its own, and leads to no other object. */
function mirrorPod(api: Api, a: Attributes, node: string): undefined {
  const pod = a.object as KubeObject;
  const spec = pod["spec"] ?? {};
  const may = (what: string) => forbiddenBy(a, `node ${quote(node)} can only create pods with ${what}`);
  const mayNotRefer = (what: string) => forbiddenBy(a, `node ${quote(node)} can not create pods that reference ${what}`);
  if (pod.metadata.annotations?.[MIRROR] === undefined)
    throw forbiddenBy(a, `pod does not have "${MIRROR}" annotation, node ${quote(node)} can only create mirror pods`);
  if (spec.nodeName !== node) throw may("spec.nodeName set to itself");
  const owners = pod.metadata.ownerReferences ?? [];
  if (owners.length > 1) throw may("a single owner reference set to itself");
  const [owner] = owners;
  if (owner?.apiVersion !== "v1" || owner.kind !== "Node" || owner.name !== node) throw may("an owner reference set to itself");
  if (owner.controller !== true) throw may("a controller owner reference set to itself");
  if (owner.blockOwnerDeletion) throw forbiddenBy(a, `node ${quote(node)} must not set blockOwnerDeletion on an owner reference`);
  const uid = api.cache.of("", "nodes").get("", node)?.object.metadata.uid;
  if (uid === undefined) throw statusErrors.notFound({ group: "", resource: "nodes" }, node);
  if (owner.uid !== uid) throw forbiddenBy(a, `node ${node} UID mismatch: expected ${owner.uid} got ${uid}`);
  if (spec.serviceAccountName) throw mayNotRefer("a service account");
  if (secretsOf(pod).size > 0) throw mayNotRefer("secrets");
  if (configMapsOf(pod).size > 0) throw mayNotRefer("configmaps");
  const volumes: any[] = spec.volumes ?? [];
  if (volumes.some((v) => v.projected?.sources?.some((s: any) => s.clusterTrustBundle))) throw mayNotRefer("clustertrustbundles");
  if (volumes.some((v) => v.persistentVolumeClaim)) throw mayNotRefer("persistentvolumeclaims");
  if (spec.resourceClaims?.length) throw mayNotRefer("resourceclaims");
}

function podStatus(a: Attributes, node: string): undefined {
  if (a.operation !== "UPDATE") throw forbiddenBy(a, `unexpected operation "${a.operation}"`);
  const [old, now] = [a.oldObject as KubeObject, a.object as KubeObject];
  if (old["spec"]?.nodeName !== node)
    throw forbiddenBy(a, `node ${quote(node)} can only update pod status for pods with spec.nodeName set to itself`);
  const labels = (o: KubeObject) => Object.entries(o.metadata.labels ?? {}).sort();
  if (!same(labels(old), labels(now))) throw forbiddenBy(a, `node ${quote(node)} cannot update labels through pod status`);
  const claims = (o: KubeObject) => (o["status"]?.resourceClaimStatuses ?? []).map((s: any) => [s.name, s.resourceClaimName ?? null]);
  const extended = (o: KubeObject) => o["status"]?.extendedResourceClaimStatus;
  if (!same(claims(old), claims(now))) throw forbiddenBy(a, `node ${quote(node)} cannot update resource claim statues`);
  if (!same(extended(old), extended(now))) throw forbiddenBy(a, `node ${quote(node)} cannot update extended resource claim statuses`);
}

function claims(a: Attributes, node: string): void {
  if (a.subresource !== "status") throw forbiddenBy(a, "may only update PVC status");
  if (a.operation !== "UPDATE") throw forbiddenBy(a, `unexpected operation "${a.operation}"`);
  const kept = (o: KubeObject | undefined) => {
    const { resourceVersion: _, managedFields: __, ...metadata } = o?.metadata ?? {};
    const { capacity: _c, conditions: _d, allocatedResources: _e, allocatedResourceStatuses: _f, ...status } = o?.["status"] ?? {};
    return sortedKeys({ metadata, spec: o?.["spec"], status });
  };
  if (kept(a.object) !== kept(a.oldObject))
    throw forbiddenBy(a, `node ${quote(node)} is not allowed to update fields other than status.capacity and status.conditions`);
}

/** JSON that does not depend on the order of keys. */
function sortedKeys(v: unknown): string {
  return JSON.stringify(v, (_k, x) =>
    x && typeof x === "object" && !Array.isArray(x) ? Object.fromEntries(Object.entries(x).sort(([p], [q]) => (p < q ? -1 : 1))) : x,
  );
}

function nodes(a: Attributes, node: string): void {
  if (a.name !== node) throw forbiddenBy(a, `node ${quote(node)} is not allowed to modify node ${quote(a.name)}`);
  if (a.operation === "DELETE") return;
  const o = a.object as KubeObject;
  const spec = o["spec"] ?? {};
  const before = a.oldObject;
  if (a.operation === "CREATE" && spec.configSource)
    throw forbiddenBy(a, `node ${quote(node)} is not allowed to create pods with a non-nil configSource`);
  if (before) {
    if (spec.configSource && !same(spec.configSource, before["spec"]?.configSource))
      throw forbiddenBy(a, `node ${quote(node)} is not allowed to update configSource to a new non-nil configSource`);
    if (!same(spec.taints ?? [], before["spec"]?.taints ?? [])) throw forbiddenBy(a, `node ${quote(node)} is not allowed to modify taints`);
  }
  const old = before?.metadata.labels ?? {};
  const now = o.metadata.labels ?? {};
  const changed = [...new Set([...Object.keys(old), ...Object.keys(now)])].filter((k) => old[k] !== now[k]);
  const bad = changed
    .filter((k) => !mayLabel(k))
    .sort()
    .join(", ");
  if (bad !== "")
    throw forbiddenBy(
      a,
      before ? `is not allowed to modify labels: ${bad}` : `node ${quote(node)} is not allowed to set the following labels: ${bad}`,
    );
  if (before && !same(o.metadata.ownerReferences ?? [], before.metadata.ownerReferences ?? []))
    throw forbiddenBy(a, `node ${quote(node)} is not allowed to modify ownerReferences`);
}

function slices(a: Attributes, node: string): void {
  if (a.operation === "UPDATE") return; // The Node authorizer knows whose it is.
  const o = a.operation === "CREATE" ? a.object : a.oldObject;
  if (o?.["spec"]?.nodeName === node) return;
  throw forbiddenBy(a, `can only ${a.operation.toLowerCase()} ResourceSlice with the same NodeName as the requesting node`);
}

/** A kubelet asks for certificates in its own name only. */
function certificates(a: Attributes, node: string, subjectOf: (request: string) => string | undefined): void {
  if (a.operation !== "CREATE" || !KUBELET_SIGNERS.includes(a.object?.["spec"]?.signerName)) return;
  let name: string | undefined;
  try {
    name = subjectOf(a.object?.["spec"]?.request ?? "");
  } catch (e) {
    throw forbiddenBy(a, `unable to parse csr: ${reasonOf(e)}`);
  }
  if (name !== `system:node:${node}`) throw forbiddenBy(a, `can only create a node CSR with CN=system:node:${node}`);
}

function mayLabel(label: string): boolean {
  if (OWN_LABELS.has(label)) return true;
  const domain = label.includes("/") ? label.slice(0, label.indexOf("/")) : "";
  if (OWN_LABEL_DOMAINS.some((d) => domain === d || domain.endsWith(`.${d}`))) return true;
  return !(domain === "kubernetes.io" || domain.endsWith(".kubernetes.io") || domain === "k8s.io" || domain.endsWith(".k8s.io"));
}

function token(api: Api, a: Attributes, node: string): void {
  const ref = a.object?.["spec"]?.boundObjectRef;
  if (ref?.apiVersion !== "v1" || ref.kind !== "Pod" || !ref.name) throw forbiddenBy(a, "node requested token not bound to a pod");
  if (!ref.uid) throw forbiddenBy(a, "node requested token with a pod binding without a uid");
  const pod = api.cache.of("", "pods").get(a.namespace, ref.name)?.object;
  if (!pod) throw statusErrors.notFound({ group: "", resource: "pods" }, ref.name);
  if (pod.metadata.uid !== ref.uid)
    throw forbiddenBy(
      a,
      `the UID in the bound object reference (${ref.uid}) does not match the UID in record. The object might have been deleted and then recreated`,
    );
  if (pod["spec"]?.nodeName !== node) throw forbiddenBy(a, "node requested token bound to a pod scheduled on a different node");
  const audiences: string[] = a.object?.["spec"]?.audiences ?? [];
  if (audiences.length > 1) throw forbiddenBy(a, "node may only request 0 or 1 audiences");
  const audience = audiences[0] ?? "";
  if (audiencesOf(api, pod).has(audience)) return;
  const asked = { verb: REQUEST_AUDIENCE, group: "", resource: audience, namespace: a.namespace, name: a.name };
  if (!may(api, a, asked))
    throw forbiddenBy(
      a,
      `audience ${quote(audience)} not found in pod spec volume, ${a.user.name} is not authorized to request tokens for this audience`,
    );
}

/** Audiences of the tokens that a pod's volumes ask for: projected ones, and those of the CSI drivers behind the others. */
function audiencesOf(api: Api, pod: KubeObject): Set<string> {
  const out = new Set<string>();
  const ofDriver = (name: string | undefined) => {
    const driver = name === undefined ? undefined : api.cache.of("storage.k8s.io", "csidrivers").get("", name)?.object;
    for (const t of driver?.["spec"]?.tokenRequests ?? []) out.add(t.audience ?? "");
  };
  for (const v of pod["spec"]?.volumes ?? []) {
    for (const s of v.projected?.sources ?? []) if (s.serviceAccountToken) out.add(s.serviceAccountToken.audience ?? "");
    if (v.csi) ofDriver(v.csi.driver);
    const claim = v.persistentVolumeClaim?.claimName ?? (v.ephemeral ? `${pod.metadata.name}-${v.name}` : undefined);
    if (claim === undefined) continue;
    const bound = api.cache.of("", "persistentvolumeclaims").get(pod.metadata.namespace ?? "", claim)?.object["spec"]?.volumeName;
    if (bound) ofDriver(api.cache.of("", "persistentvolumes").get("", bound)?.object["spec"]?.csi?.driver);
  }
  return out;
}
