// Validation of every kind on create and update: metadata first, then the kind's own rules, in Kubernetes' order.
// Invariant: objects are in canonical form, defaulted and prepared; validation changes nothing.

import type { FieldError } from "../errors/field-error.ts";
import type { KubeObject } from "../kube-object.ts";
import type { ResourceInfo } from "../resources.ts";
import { lookup } from "../schema/lookup.ts";
import * as admission from "./admission.ts";
import * as batch from "./batch.ts";
import * as cluster from "./cluster.ts";
import * as core from "./core.ts";
import { validateJobStatus } from "./job-status.ts";
import {
  DNS1035_NAME,
  LABEL_NAME,
  type NameRule,
  PATH_SEGMENT_NAME,
  SUBDOMAIN_NAME,
  validateObjectMeta,
  validateObjectMetaUpdate,
} from "./meta.ts";
import * as network from "./network.ts";
import { validatePodCreate, validatePodTemplate } from "./pod.ts";
import * as pods from "./pod-update.ts";
import type { Errors, Obj } from "./rules.ts";
import * as service from "./service.ts";
import * as storage from "./storage.ts";
import * as workloads from "./workloads.ts";

interface Rules {
  name?: NameRule;
  /** Rules of a create, and of an update unless `update` is given. */
  create?: (errs: Errors, o: Obj) => void;
  update?: (errs: Errors, o: Obj, old: Obj) => void;
  /** Rules of an update through a subresource. */
  sub?: Record<string, (errs: Errors, o: Obj, old: Obj) => void>;
}

const workloadStatus = { status: workloads.validateWorkloadStatus };

const RULES = lookup<Rules>({
  "/Namespace": {
    name: LABEL_NAME,
    create: core.validateNamespace,
    sub: { status: core.validateNamespaceStatusUpdate, finalize: core.validateNamespace },
  },
  "/Node": { create: core.validateNode, update: core.validateNodeUpdate, sub: { status: core.validateNodeUpdate } },
  "/ConfigMap": { create: core.validateConfigMap, update: core.validateConfigMapUpdate },
  "/Secret": { create: core.validateSecret, update: core.validateSecretUpdate },
  "/ServiceAccount": {},
  "/Event": { create: core.validateCoreEvent },
  "events.k8s.io/Event": { create: core.validateEvent },
  "/ResourceQuota": { create: core.validateQuota, update: core.validateQuotaUpdate },
  "/LimitRange": { create: core.validateLimitRange },
  "/Service": {
    name: DNS1035_NAME,
    create: service.validateService,
    update: service.validateServiceUpdate,
    sub: { status: service.validateServiceStatus },
  },
  "/Endpoints": { create: network.validateEndpoints },
  "/PersistentVolume": { create: storage.validateVolume, update: storage.validateVolumeUpdate, sub: { status: () => undefined } },
  "/PersistentVolumeClaim": { create: storage.validateClaim, update: storage.validateClaimUpdate, sub: { status: () => undefined } },
  "/PodTemplate": { create: (errs, o) => validatePodTemplate(errs, o.template ?? {}, "template") },
  "/ReplicationController": { create: workloads.validateReplicationController, sub: workloadStatus },
  "apps/Deployment": { create: workloads.validateDeployment, update: workloads.validateDeploymentUpdate, sub: workloadStatus },
  "apps/ReplicaSet": { create: workloads.validateReplicaSet, update: workloads.validateReplicaSetUpdate, sub: workloadStatus },
  "apps/StatefulSet": { create: workloads.validateStatefulSet, update: workloads.validateStatefulSetUpdate, sub: workloadStatus },
  "apps/DaemonSet": { create: workloads.validateDaemonSet, update: workloads.validateDaemonSetUpdate, sub: { status: () => undefined } },
  "apps/ControllerRevision": { create: workloads.validateControllerRevision, update: workloads.validateControllerRevisionUpdate },
  "batch/Job": { create: batch.validateJob, update: batch.validateJobUpdate, sub: { status: validateJobStatus } },
  "batch/CronJob": { create: batch.validateCronJob },
  "autoscaling/HorizontalPodAutoscaler": { create: cluster.validateAutoscaler },
  "discovery.k8s.io/EndpointSlice": { create: network.validateEndpointSlice, update: network.validateEndpointSliceUpdate },
  "networking.k8s.io/Ingress": {
    create: (errs, o) => network.validateIngress(errs, o, true),
    update: (errs, o) => network.validateIngress(errs, o),
    sub: { status: network.validateIngressStatus },
  },
  "networking.k8s.io/IngressClass": { create: network.validateIngressClass, update: network.validateIngressClassUpdate },
  "networking.k8s.io/NetworkPolicy": { create: network.validateNetworkPolicy },
  "networking.k8s.io/IPAddress": { create: network.validateIpAddress, update: network.immutableSpec },
  "networking.k8s.io/ServiceCIDR": { create: network.validateServiceCidr, update: network.immutableSpec },
  "policy/PodDisruptionBudget": { create: cluster.validateBudget },
  "rbac.authorization.k8s.io/Role": { name: PATH_SEGMENT_NAME, create: (errs, o) => cluster.validateRole(errs, o, true) },
  "rbac.authorization.k8s.io/ClusterRole": { name: PATH_SEGMENT_NAME, create: (errs, o) => cluster.validateRole(errs, o, false) },
  "rbac.authorization.k8s.io/RoleBinding": {
    name: PATH_SEGMENT_NAME,
    create: (errs, o) => cluster.validateRoleBinding(errs, o, true),
    update: (errs, o, old) => cluster.validateRoleBindingUpdate(errs, o, old, true),
  },
  "rbac.authorization.k8s.io/ClusterRoleBinding": {
    name: PATH_SEGMENT_NAME,
    create: (errs, o) => cluster.validateRoleBinding(errs, o, false),
    update: (errs, o, old) => cluster.validateRoleBindingUpdate(errs, o, old, false),
  },
  "scheduling.k8s.io/PriorityClass": { create: cluster.validatePriorityClass, update: cluster.validatePriorityClassUpdate },
  "node.k8s.io/RuntimeClass": { create: cluster.validateRuntimeClass, update: cluster.validateRuntimeClassUpdate },
  "coordination.k8s.io/Lease": { create: cluster.validateLease },
  "certificates.k8s.io/CertificateSigningRequest": {
    create: cluster.validateCsr,
    sub: { status: cluster.validateCsrStatus, approval: cluster.validateCsrVerdicts },
  },
  "flowcontrol.apiserver.k8s.io/FlowSchema": { create: cluster.validateFlowSchema },
  "flowcontrol.apiserver.k8s.io/PriorityLevelConfiguration": { create: cluster.validatePriorityLevel },
  "apiregistration.k8s.io/APIService": { name: PATH_SEGMENT_NAME, create: cluster.validateApiService },
  "storage.k8s.io/StorageClass": { create: storage.validateStorageClass, update: storage.validateStorageClassUpdate },
  "storage.k8s.io/CSIDriver": { create: storage.validateCsiDriver },
  "storage.k8s.io/CSINode": { create: storage.validateCsiNode },
  "storage.k8s.io/VolumeAttachment": { create: storage.validateVolumeAttachment, update: storage.validateVolumeAttachmentUpdate },
  "admissionregistration.k8s.io/MutatingWebhookConfiguration": { create: (errs, o) => admission.validateWebhooks(errs, o, true) },
  "admissionregistration.k8s.io/ValidatingWebhookConfiguration": { create: (errs, o) => admission.validateWebhooks(errs, o, false) },
  "admissionregistration.k8s.io/ValidatingAdmissionPolicy": { create: admission.validateAdmissionPolicy },
  "admissionregistration.k8s.io/MutatingAdmissionPolicy": { create: admission.validateMutatingPolicy },
  "admissionregistration.k8s.io/MutatingAdmissionPolicyBinding": { create: admission.validateMutatingPolicyBinding },
  "admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding": { create: admission.validateAdmissionPolicyBinding },
});

const NO_RULES: Rules = {};
const rulesOf = (info: Pick<ResourceInfo, "group" | "kind">): Rules => RULES[`${info.group}/${info.kind}`] ?? NO_RULES;

/** What is wrong with a new object; [] when nothing is. */
export function validateCreate(info: ResourceInfo, object: KubeObject): FieldError[] {
  const errs: Errors = [];
  if (info.group === "" && info.kind === "Pod") {
    validatePodCreate(errs, object);
    return errs;
  }
  const rules = rulesOf(info);
  validateObjectMeta(errs, object.metadata, { namespaced: info.namespaced, name: rules.name ?? SUBDOMAIN_NAME });
  rules.create?.(errs, object);
  return errs;
}

/** What is wrong with an update, through the resource itself or a subresource ("status", "resize", ...). */
export function validateUpdate(info: ResourceInfo, object: KubeObject, old: KubeObject, subresource = ""): FieldError[] {
  const errs: Errors = [];
  if (info.group === "" && info.kind === "Pod") {
    (Object.hasOwn(POD_UPDATES, subresource) ? POD_UPDATES[subresource]! : pods.validatePodUpdate)(errs, object, old);
    return errs;
  }
  const rules = rulesOf(info);
  validateObjectMetaUpdate(errs, object.metadata, old.metadata);
  if (subresource !== "") rules.sub?.[subresource]?.(errs, object, old);
  else if (rules.update) rules.update(errs, object, old);
  else rules.create?.(errs, object);
  return errs;
}

const POD_UPDATES: Record<string, (errs: Errors, o: Obj, old: Obj) => void> = {
  "": pods.validatePodUpdate,
  status: pods.validatePodStatusUpdate,
  ephemeralcontainers: pods.validateEphemeralContainersUpdate,
  resize: pods.validateResize,
};
