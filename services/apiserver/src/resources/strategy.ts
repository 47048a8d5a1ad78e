// How resources differ in create, update and delete (pkg/registry/<group>/<resource>/strategy.go), as data.
// What depends on objects (grace periods, deletion during an update) is a small pure function here.
import type { KubeObject, ResourceInfo } from "@podwire/api";

export interface Strategy {
  /** PUT on a name that does not exist creates it. */
  readonly allowCreateOnUpdate: boolean;
  /** PUT without a resourceVersion overwrites. */
  readonly allowUnconditionalUpdate: boolean;
  /** DELETE answers the object, not a Status. */
  readonly returnDeletedObject: boolean;
  /** What happens to dependents when the client says nothing; none: no finalizers for garbage collection at all. */
  readonly dependents: "background" | "orphan" | "none";
  /** The grace period in seconds for a deletion, or undefined when the resource is deleted at once. */
  readonly gracePeriod?: (o: KubeObject, requestedSeconds: number | undefined) => number;
  /** Whether an update leaves an object that is to be deleted now. */
  readonly deleteDuringUpdate: (o: KubeObject) => boolean;
}

const CREATE_ON_UPDATE = new Set([
  "services",
  "endpoints",
  "events",
  "limitranges",
  "leases.coordination.k8s.io",
  "roles.rbac.authorization.k8s.io",
  "rolebindings.rbac.authorization.k8s.io",
  "clusterroles.rbac.authorization.k8s.io",
  "clusterrolebindings.rbac.authorization.k8s.io",
  "ipaddresses.networking.k8s.io",
]);

const CONDITIONAL_UPDATE = new Set([
  "leases.coordination.k8s.io",
  "poddisruptionbudgets.policy",
  "runtimeclasses.node.k8s.io",
  "csidrivers.storage.k8s.io",
  "csinodes.storage.k8s.io",
  "csistoragecapacities.storage.k8s.io",
  "volumeattachments.storage.k8s.io",
  "mutatingwebhookconfigurations.admissionregistration.k8s.io",
  "validatingwebhookconfigurations.admissionregistration.k8s.io",
  "validatingadmissionpolicies.admissionregistration.k8s.io",
  "validatingadmissionpolicybindings.admissionregistration.k8s.io",
  "apiservices.apiregistration.k8s.io",
  "customresourcedefinitions.apiextensions.k8s.io",
  "controllerrevisions.apps",
]);

const RETURN_DELETED = new Set([
  "pods",
  "services",
  "serviceaccounts",
  "persistentvolumes",
  "persistentvolumeclaims",
  "podtemplates",
  "resourcequotas",
  "storageclasses.storage.k8s.io",
  "volumeattachments.storage.k8s.io",
  "csidrivers.storage.k8s.io",
  "csinodes.storage.k8s.io",
]);
const ORPHAN_BY_DEFAULT = new Set(["jobs.batch", "replicationcontrollers"]);

export function qualifiedName(info: { group: string; resource: string }): string {
  return info.group === "" ? info.resource : `${info.resource}.${info.group}`;
}

export function strategyOf(info: ResourceInfo): Strategy {
  const name = qualifiedName(info);
  return {
    allowCreateOnUpdate: CREATE_ON_UPDATE.has(name) || (info.resource === "events" && info.group === "events.k8s.io"),
    allowUnconditionalUpdate: !CONDITIONAL_UPDATE.has(name),
    returnDeletedObject: RETURN_DELETED.has(name),
    dependents: info.resource === "events" ? "none" : ORPHAN_BY_DEFAULT.has(name) ? "orphan" : "background",
    gracePeriod: name === "pods" ? podGracePeriod : undefined,
    deleteDuringUpdate: name === "namespaces" ? namespaceIsEmpty : isFinalized,
  };
}

export const CUSTOM_STRATEGY: Strategy = {
  allowCreateOnUpdate: false,
  allowUnconditionalUpdate: false,
  returnDeletedObject: false,
  dependents: "background",
  deleteDuringUpdate: isFinalized,
};

/** rest.CheckGracefulDelete of pods: at once when not scheduled or already finished. */
export function podGracePeriod(pod: KubeObject, requested: number | undefined): number {
  let period = requested ?? pod["spec"]?.terminationGracePeriodSeconds ?? 0;
  if (!pod["spec"]?.nodeName) period = 0;
  const phase = pod["status"]?.phase;
  if (phase === "Failed" || phase === "Succeeded") period = 0;
  return period < 0 ? 1 : period;
}

/** The last finalizer went and no grace period is left. */
function isFinalized(o: KubeObject): boolean {
  const m = o.metadata;
  if (m.deletionTimestamp === undefined || (m.finalizers?.length ?? 0) > 0) return false;
  return (m.deletionGracePeriodSeconds ?? 0) === 0;
}

function namespaceIsEmpty(o: KubeObject): boolean {
  return isFinalized(o) && (o["spec"]?.finalizers?.length ?? 0) === 0;
}
