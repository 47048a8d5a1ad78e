// RBAC policy beyond Kubernetes' own: components here are one process where Kubernetes has several users.
// The controller-manager works as one user, so it gets what each controller's service account would have; a node's process is kubelet,
// kube-proxy and network policy agent in one; the edge is the cloud controller and the cloud's storage driver.
import type { BootstrapRow } from "./bootstrap.ts";

const read = ["get", "list", "watch"];

export const OWN_CLUSTER_ROLES: readonly BootstrapRow[] = [
  // Whoever has an identity may find out who issues service account tokens.
  { name: "podwire:issuer-discovery", rules: [{ nonResourceURLs: ["/.well-known", "/.well-known/*"], verbs: ["get"] }] },
  {
    name: "podwire:node",
    rules: [
      { apiGroups: [""], resources: ["services", "endpoints", "namespaces", "nodes", "pods"], verbs: read },
      { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: read },
      { apiGroups: ["networking.k8s.io"], resources: ["networkpolicies", "servicecidrs", "ingresses", "ingressclasses"], verbs: read },
      { apiGroups: ["node.k8s.io"], resources: ["runtimeclasses"], verbs: read },
      { apiGroups: ["", "events.k8s.io"], resources: ["events"], verbs: ["create", "patch", "update"] },
    ],
  },
  {
    name: "podwire:edge",
    rules: [
      { apiGroups: [""], resources: ["services", "nodes", "endpoints", "pods", "namespaces"], verbs: read },
      { apiGroups: [""], resources: ["services", "services/status"], verbs: ["patch", "update"] },
      { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: read },
      { apiGroups: ["", "events.k8s.io"], resources: ["events"], verbs: ["create", "patch", "update"] },
      { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["create", "get", "list", "update", "watch", "patch"] },
      // The storage driver's: provisioner, attacher, resizer.
      { apiGroups: [""], resources: ["persistentvolumes"], verbs: [...read, "create", "delete", "patch", "update"] },
      { apiGroups: [""], resources: ["persistentvolumeclaims"], verbs: [...read, "patch", "update"] },
      { apiGroups: [""], resources: ["persistentvolumeclaims/status"], verbs: ["patch", "update"] },
      {
        apiGroups: ["storage.k8s.io"],
        resources: ["storageclasses", "csinodes", "csidrivers", "volumeattributesclasses"],
        verbs: read,
      },
      { apiGroups: ["storage.k8s.io"], resources: ["volumeattachments"], verbs: [...read, "patch", "update"] },
      { apiGroups: ["storage.k8s.io"], resources: ["volumeattachments/status"], verbs: ["patch", "update"] },
    ],
  },
  {
    name: "podwire:controller-manager",
    rules: [
      { apiGroups: ["*"], resources: ["*"], verbs: [...read, "delete", "patch", "update", "deletecollection"] },
      {
        apiGroups: [""],
        resources: ["configmaps", "serviceaccounts", "serviceaccounts/token", "secrets", "events", "pods", "endpoints"],
        verbs: ["create", "update", "patch"],
      },
    ],
  },
];

/** Bindings, with one for each controller's role in `controllerRoles`. */
export function ownBindings(controllerRoles: readonly string[]): BootstrapRow[] {
  const bind = (name: string, role: string, subject: { kind: string; name: string }): BootstrapRow => ({
    name,
    subjects: [{ ...subject, apiGroup: "rbac.authorization.k8s.io" }],
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: role },
  });
  const manager = { kind: "User", name: "system:kube-controller-manager" };
  return [
    bind("podwire:issuer-discovery", "podwire:issuer-discovery", { kind: "Group", name: "system:authenticated" }),
    bind("podwire:node", "podwire:node", { kind: "Group", name: "system:nodes" }),
    bind("podwire:edge", "podwire:edge", { kind: "User", name: "system:cloud-controller-manager" }),
    bind("podwire:controller-manager", "podwire:controller-manager", manager),
    ...controllerRoles.map((r) => bind(`podwire:${r.replace(/^system:/, "")}`, r, manager)),
  ];
}
