// NodeRestriction: a kubelet writes its own Node, its own Lease and the pods bound to it, and nothing else (plugin/pkg/admission/noderestriction).
import { type KubeObject, statusErrors } from "@podwire/api";
import { nodeOfUser } from "../authorization/node.ts";
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
const OWN_LABEL_DOMAINS = ["kubelet.kubernetes.io", "node.kubernetes.io"];

export function nodeRestriction(api: Api): AdmissionPlugin {
  return {
    name: "NodeRestriction",
    operations: ["CREATE", "UPDATE", "DELETE"],
    validate(a) {
      const node = nodeOfUser(a.user);
      if (node === undefined) return;
      switch (a.info.groupResource) {
        case "pods":
          return pods(api, a, node);
        case "nodes":
          return nodes(a, node);
        case "leases.coordination.k8s.io":
          if (a.namespace === "kube-node-lease" && a.name === node) return;
          throw forbiddenBy(a, `can only access node lease with the same name as the requesting node`);
        case "serviceaccounts":
          if (a.subresource === "token") token(api, a, node);
          return;
        case "csinodes.storage.k8s.io":
          if (a.name !== node) throw forbiddenBy(a, "can only access CSINode with the same name as the requesting node");
      }
    },
  };
}

function pods(api: Api, a: Attributes, node: string): void {
  const live = () => api.cache.of("", "pods").get(a.namespace, a.name)?.object;
  if (a.subresource === "eviction") {
    if (live()?.["spec"]?.nodeName !== node)
      throw forbiddenBy(a, `node ${JSON.stringify(node)} can only evict pods with spec.nodeName set to itself`);
    return;
  }
  if (a.operation === "CREATE") {
    const pod = a.object as KubeObject;
    if (pod.metadata.annotations?.["kubernetes.io/config.mirror"] === undefined)
      throw forbiddenBy(
        a,
        `pod does not have "kubernetes.io/config.mirror" annotation, node ${JSON.stringify(node)} can only create mirror pods`,
      );
    if (pod["spec"]?.nodeName !== node)
      throw forbiddenBy(a, `node ${JSON.stringify(node)} can only create pods with spec.nodeName set to itself`);
    return;
  }
  if (a.operation === "DELETE") {
    if ((a.oldObject ?? live())?.["spec"]?.nodeName !== node)
      throw forbiddenBy(a, `node ${JSON.stringify(node)} can only delete pods with spec.nodeName set to itself`);
    return;
  }
  if (a.subresource !== "status")
    throw forbiddenBy(
      a,
      `unexpected operation ${JSON.stringify(a.operation)}, node ${JSON.stringify(node)} can only create and delete mirror pods`,
    );
  if (a.oldObject?.["spec"]?.nodeName !== node)
    throw forbiddenBy(a, `node ${JSON.stringify(node)} can only update pod status for pods with spec.nodeName set to itself`);
  const labels = (o: KubeObject | undefined) => JSON.stringify(Object.entries(o?.metadata.labels ?? {}).sort());
  if (labels(a.object) !== labels(a.oldObject))
    throw forbiddenBy(a, `node ${JSON.stringify(node)} cannot update labels through pod status`);
}

function nodes(a: Attributes, node: string): void {
  if (a.name !== node) throw forbiddenBy(a, `node ${JSON.stringify(node)} is not allowed to modify node ${JSON.stringify(a.name)}`);
  if (a.operation === "DELETE") return;
  const o = a.object as KubeObject;
  if (a.operation === "UPDATE" && a.subresource === "") {
    if (JSON.stringify(o["spec"]?.taints ?? []) !== JSON.stringify(a.oldObject?.["spec"]?.taints ?? []))
      throw forbiddenBy(a, `node ${JSON.stringify(node)} is not allowed to modify taints`);
    if (JSON.stringify(o.metadata.ownerReferences ?? []) !== JSON.stringify(a.oldObject?.metadata.ownerReferences ?? []))
      throw forbiddenBy(a, `node ${JSON.stringify(node)} is not allowed to modify ownerReferences`);
  }
  const before = a.oldObject?.metadata.labels ?? {};
  const changed = Object.entries({ ...before, ...o.metadata.labels }).filter(([k]) => before[k] !== o.metadata.labels?.[k]);
  const bad = changed.map(([k]) => k).filter((k) => !mayLabel(k));
  if (bad.length > 0) throw forbiddenBy(a, `is not allowed to modify labels: ${bad.sort().join(", ")}`);
}

function mayLabel(label: string): boolean {
  if (OWN_LABELS.has(label)) return true;
  const domain = label.includes("/") ? label.slice(0, label.indexOf("/")) : "";
  if (OWN_LABEL_DOMAINS.some((d) => domain === d || domain.endsWith(`.${d}`))) return domain !== "node-restriction.kubernetes.io";
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
}
