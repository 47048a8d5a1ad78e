// The built-in resources that Podwire's own components work with, by the names the API gives them. For anything else make
// a ResourceRef by hand.
import type { ResourceRef } from "./object.ts";

const ref = (group: string, version: string, resource: string, kind: string, namespaced: boolean): ResourceRef =>
  Object.freeze({ group, version, resource, kind, namespaced });

export const Resources = {
  pods: ref("", "v1", "pods", "Pod", true),
  nodes: ref("", "v1", "nodes", "Node", false),
  namespaces: ref("", "v1", "namespaces", "Namespace", false),
  services: ref("", "v1", "services", "Service", true),
  endpoints: ref("", "v1", "endpoints", "Endpoints", true),
  configMaps: ref("", "v1", "configmaps", "ConfigMap", true),
  secrets: ref("", "v1", "secrets", "Secret", true),
  serviceAccounts: ref("", "v1", "serviceaccounts", "ServiceAccount", true),
  events: ref("", "v1", "events", "Event", true),
  persistentVolumes: ref("", "v1", "persistentvolumes", "PersistentVolume", false),
  persistentVolumeClaims: ref("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", true),
  replicationControllers: ref("", "v1", "replicationcontrollers", "ReplicationController", true),
  resourceQuotas: ref("", "v1", "resourcequotas", "ResourceQuota", true),
  limitRanges: ref("", "v1", "limitranges", "LimitRange", true),
  podTemplates: ref("", "v1", "podtemplates", "PodTemplate", true),
  deployments: ref("apps", "v1", "deployments", "Deployment", true),
  replicaSets: ref("apps", "v1", "replicasets", "ReplicaSet", true),
  statefulSets: ref("apps", "v1", "statefulsets", "StatefulSet", true),
  daemonSets: ref("apps", "v1", "daemonsets", "DaemonSet", true),
  controllerRevisions: ref("apps", "v1", "controllerrevisions", "ControllerRevision", true),
  jobs: ref("batch", "v1", "jobs", "Job", true),
  cronJobs: ref("batch", "v1", "cronjobs", "CronJob", true),
  endpointSlices: ref("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", true),
  leases: ref("coordination.k8s.io", "v1", "leases", "Lease", true),
  horizontalPodAutoscalers: ref("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", true),
  podDisruptionBudgets: ref("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", true),
  priorityClasses: ref("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", false),
  storageClasses: ref("storage.k8s.io", "v1", "storageclasses", "StorageClass", false),
  csiDrivers: ref("storage.k8s.io", "v1", "csidrivers", "CSIDriver", false),
  csiStorageCapacities: ref("storage.k8s.io", "v1", "csistoragecapacities", "CSIStorageCapacity", true),
  volumeAttributesClasses: ref("storage.k8s.io", "v1", "volumeattributesclasses", "VolumeAttributesClass", false),
  csiNodes: ref("storage.k8s.io", "v1", "csinodes", "CSINode", false),
  volumeAttachments: ref("storage.k8s.io", "v1", "volumeattachments", "VolumeAttachment", false),
  certificateSigningRequests: ref("certificates.k8s.io", "v1", "certificatesigningrequests", "CertificateSigningRequest", false),
  clusterRoles: ref("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", false),
  clusterRoleBindings: ref("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", false),
  roles: ref("rbac.authorization.k8s.io", "v1", "roles", "Role", true),
  roleBindings: ref("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", true),
  ingresses: ref("networking.k8s.io", "v1", "ingresses", "Ingress", true),
  networkPolicies: ref("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", true),
} as const satisfies Record<string, ResourceRef>;
