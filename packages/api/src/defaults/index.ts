// Defaults of every kind, by group and kind. Invariant: applyDefaults changes its object only by adding what is missing.

import type { ResourceInfo } from "../resources.ts";
import { lookup } from "../schema/lookup.ts";
import * as cluster from "./cluster.ts";
import * as network from "./network.ts";
import { defaultPod, defaultPodSpec } from "./pod.ts";
import * as workloads from "./workloads.ts";

type Defaulter = (o: any) => void;

const DEFAULTERS: Record<string, Defaulter> = lookup({
  "/Pod": defaultPod,
  "/PodTemplate": (o) => {
    if (o.template?.spec) defaultPodSpec(o.template.spec);
  },
  "/Namespace": cluster.defaultNamespace,
  "/Node": cluster.defaultNode,
  "/Secret": cluster.defaultSecret,
  "/Service": network.defaultService,
  "/Endpoints": network.defaultEndpoints,
  "/LimitRange": cluster.defaultLimitRange,
  "/PersistentVolume": cluster.defaultPersistentVolume,
  "/PersistentVolumeClaim": cluster.defaultPersistentVolumeClaim,
  "/ReplicationController": workloads.defaultReplicationController,
  "apps/Deployment": workloads.defaultDeployment,
  "apps/ReplicaSet": workloads.defaultReplicaSet,
  "apps/StatefulSet": workloads.defaultStatefulSet,
  "apps/DaemonSet": workloads.defaultDaemonSet,
  "batch/Job": workloads.defaultJob,
  "batch/CronJob": workloads.defaultCronJob,
  "autoscaling/v1/HorizontalPodAutoscaler": workloads.defaultAutoscalerV1,
  "autoscaling/v2/HorizontalPodAutoscaler": workloads.defaultAutoscalerV2,
  "discovery.k8s.io/EndpointSlice": network.defaultEndpointSlice,
  "networking.k8s.io/NetworkPolicy": network.defaultNetworkPolicy,
  "networking.k8s.io/IngressClass": network.defaultIngressClass,
  "rbac.authorization.k8s.io/RoleBinding": cluster.defaultRoleBinding,
  "rbac.authorization.k8s.io/ClusterRoleBinding": cluster.defaultRoleBinding,
  "storage.k8s.io/StorageClass": cluster.defaultStorageClass,
  "storage.k8s.io/CSIDriver": cluster.defaultCsiDriver,
  "scheduling.k8s.io/PriorityClass": cluster.defaultPriorityClass,
  "admissionregistration.k8s.io/MutatingWebhookConfiguration": (o) => cluster.defaultWebhooks(o, true),
  "admissionregistration.k8s.io/ValidatingWebhookConfiguration": (o) => cluster.defaultWebhooks(o, false),
  "admissionregistration.k8s.io/ValidatingAdmissionPolicy": cluster.defaultAdmissionPolicy,
  "admissionregistration.k8s.io/MutatingAdmissionPolicy": cluster.defaultMutatingPolicy,
  "admissionregistration.k8s.io/MutatingAdmissionPolicyBinding": cluster.defaultAdmissionPolicyBinding,
  "admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding": cluster.defaultAdmissionPolicyBinding,
  "apiextensions.k8s.io/CustomResourceDefinition": cluster.defaultCrd,
  "apiregistration.k8s.io/APIService": cluster.defaultApiService,
  "flowcontrol.apiserver.k8s.io/FlowSchema": cluster.defaultFlowSchema,
  "flowcontrol.apiserver.k8s.io/PriorityLevelConfiguration": cluster.defaultPriorityLevel,
  "authentication.k8s.io/TokenRequest": cluster.defaultTokenRequest,
  "resource.k8s.io/ResourceClaim": (o) => cluster.defaultDevices(o.spec?.devices),
  "resource.k8s.io/ResourceClaimTemplate": (o) => cluster.defaultDevices(o.spec?.spec?.devices),
});

/** Fills in what a client left out, in place. The object must be in canonical form (decodeBody's result). */
export function applyDefaults(info: Pick<ResourceInfo, "group" | "version" | "kind">, object: any): void {
  (DEFAULTERS[`${info.group}/${info.kind}`] ?? DEFAULTERS[`${info.group}/${info.version}/${info.kind}`])?.(object);
}
