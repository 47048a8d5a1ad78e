// All controllers of this process, by kube-controller-manager's names for --controllers.
import type { StartController } from "../context.ts";
import { startAttachDetach } from "./attachdetach/controller.ts";
import { startBootstrapSigner, startTokenCleaner } from "./bootstrap/signer.ts";
import { startClusterRoleAggregation } from "./clusterrole-aggregation/controller.ts";
import { startCronJob } from "./cronjob/controller.ts";
import { startCsrApproving } from "./csr/approver.ts";
import { startCsrCleaner } from "./csr/cleaner.ts";
import { startCsrSigning } from "./csr/controller.ts";
import { startDaemonSet } from "./daemonset/controller.ts";
import { startDeployment } from "./deployment/controller.ts";
import { startDisruption } from "./disruption/controller.ts";
import { startEndpoints } from "./endpoints/controller.ts";
import { startEndpointSlice } from "./endpointslice/controller.ts";
import { startEndpointSliceMirroring } from "./endpointslicemirroring/controller.ts";
import { startEphemeralVolume } from "./ephemeral-volume/controller.ts";
import { startGarbageCollector } from "./garbage-collector/controller.ts";
import { startHorizontalPodAutoscaler } from "./hpa/controller.ts";
import { startJob } from "./job/controller.ts";
import { startTtlAfterFinished } from "./job/ttl-controller.ts";
import { startNamespace } from "./namespace/controller.ts";
import { startNodeIpam } from "./node-ipam/controller.ts";
import { startNodeLifecycle } from "./node-lifecycle/controller.ts";
import { startNodeTtl } from "./node-ttl/controller.ts";
import { startPersistentVolume } from "./persistentvolume/controller.ts";
import { startExpander } from "./persistentvolume/expander.ts";
import { startAttributesClassProtection, startClaimProtection, startVolumeProtection } from "./persistentvolume/protection.ts";
import { startPodGc } from "./pod-gc/controller.ts";
import { startReplicaSet, startReplicationController } from "./replicaset/controller.ts";
import { startResourceClaim } from "./resourceclaim/controller.ts";
import { startResourceQuota } from "./resourcequota/controller.ts";
import { startRootCa } from "./root-ca/controller.ts";
import { startServiceAccount } from "./serviceaccount/controller.ts";
import { startLegacyTokenCleaner } from "./serviceaccount/token-cleaner.ts";
import { startServiceAccountToken } from "./serviceaccount/token-controller.ts";
import { startServiceCidr } from "./servicecidr/controller.ts";
import { startStatefulSet } from "./statefulset/controller.ts";
import { startTaintEviction } from "./taint-eviction/controller.ts";
import { startValidatingAdmissionPolicyStatus } from "./validatingadmissionpolicy-status/controller.ts";

export const CONTROLLERS: Readonly<Record<string, StartController>> = {
  "deployment-controller": startDeployment,
  "replicaset-controller": startReplicaSet,
  "replicationcontroller-controller": startReplicationController,
  "statefulset-controller": startStatefulSet,
  "daemonset-controller": startDaemonSet,
  "job-controller": startJob,
  "cronjob-controller": startCronJob,
  "horizontal-pod-autoscaler-controller": startHorizontalPodAutoscaler,
  "ttl-after-finished-controller": startTtlAfterFinished,
  "endpoints-controller": startEndpoints,
  "endpointslice-controller": startEndpointSlice,
  "endpointslice-mirroring-controller": startEndpointSliceMirroring,
  "ephemeral-volume-controller": startEphemeralVolume,
  "namespace-controller": startNamespace,
  "serviceaccount-controller": startServiceAccount,
  "serviceaccount-token-controller": startServiceAccountToken,
  "legacy-serviceaccount-token-cleaner-controller": startLegacyTokenCleaner,
  "root-ca-certificate-publisher-controller": startRootCa,
  "node-ipam-controller": startNodeIpam,
  "node-lifecycle-controller": startNodeLifecycle,
  "ttl-controller": startNodeTtl,
  "taint-eviction-controller": startTaintEviction,
  "pod-garbage-collector-controller": startPodGc,
  "disruption-controller": startDisruption,
  "resourceclaim-controller": startResourceClaim,
  "resourcequota-controller": startResourceQuota,
  "persistentvolume-binder-controller": startPersistentVolume,
  "persistentvolume-attach-detach-controller": startAttachDetach,
  "persistentvolumeclaim-protection-controller": startClaimProtection,
  "persistentvolume-protection-controller": startVolumeProtection,
  "persistentvolume-expander-controller": startExpander,
  "volumeattributesclass-protection-controller": startAttributesClassProtection,
  "certificatesigningrequest-signing-controller": startCsrSigning,
  "certificatesigningrequest-approving-controller": startCsrApproving,
  "certificatesigningrequest-cleaner-controller": startCsrCleaner,
  "bootstrap-signer-controller": startBootstrapSigner,
  "token-cleaner-controller": startTokenCleaner,
  "service-cidr-controller": startServiceCidr,
  "clusterrole-aggregation-controller": startClusterRoleAggregation,
  "garbage-collector-controller": startGarbageCollector,
  "validatingadmissionpolicy-status-controller": startValidatingAdmissionPolicyStatus,
};

/** Off unless they are named, as in kube-controller-manager. */
const OFF_BY_DEFAULT: ReadonlySet<string> = new Set(["bootstrap-signer-controller", "token-cleaner-controller"]);

/** Which controllers a --controllers list names: "*" all that are on by default, "name" one, "-name" not that one; "deployment" means "deployment-controller". */
export function selectControllers(list: readonly string[]): string[] {
  const full = (name: string) => (name in CONTROLLERS ? name : `${name}-controller`);
  const off = new Set(list.filter((x) => x.startsWith("-")).map((x) => full(x.slice(1))));
  const on = new Set(list.filter((x) => !x.startsWith("-") && x !== "*").map(full));
  return Object.keys(CONTROLLERS).filter((name) => !off.has(name) && ((list.includes("*") && !OFF_BY_DEFAULT.has(name)) || on.has(name)));
}
