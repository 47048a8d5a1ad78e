// Deployments, ReplicaSets, StatefulSets, DaemonSets, ReplicationControllers, ControllerRevisions (apps/validation of Kubernetes 1.34).
import { forbidden, invalid, notSupported, required, Verbatim } from "../errors/field-error.ts";
import { deepEqual } from "../patch/json-patch.ts";
import { labelSelector } from "../selectors/label-selector.ts";
import { internalForm } from "./internal-form.ts";
import { validatePodTemplate } from "./pod.ts";
import {
  type Errors,
  IMMUTABLE,
  isEmptyObject,
  nonNegative,
  notMoreThan100Percent,
  type Obj,
  positiveIntOrPercent,
  sortedMap,
} from "./rules.ts";
import { validateLabelSelector } from "./selectors.ts";

const NO_MATCH = "`selector` does not match template `labels`";
const nullable = (v: unknown): unknown => (v === undefined || v === null ? new Verbatim("null") : v);

/** True when nothing is selected by: neither labels nor expressions. */
const selectsNothing = (s: Obj): boolean => isEmptyObject(s.matchLabels) && (s.matchExpressions ?? []).length === 0;

/** The selector must select the template's own labels. */
function selectorFits(errs: Errors, selector: Obj, template: Obj, path: string): void {
  const labels = template?.metadata?.labels;
  let fits = false;
  try {
    fits = selector !== undefined && labelSelector(selector).matches(labels);
  } catch {
    return;
  }
  if (!fits) errs.push(invalid(`${path}.labels`, nullable(sortedMap(labels)), NO_MATCH));
}

function onlyAlways(errs: Errors, spec: Obj, path: string): void {
  if (spec?.restartPolicy !== "Always") errs.push(notSupported(`${path}.restartPolicy`, spec?.restartPolicy ?? "", ["Always"]));
}

function validateReplicaTemplate(errs: Errors, template: Obj, selector: Obj, path: string): void {
  if (template === undefined || template === null) {
    errs.push(required(path));
    return;
  }
  if (selector !== "bad") selectorFits(errs, selector, template, `${path}.metadata`);
  validatePodTemplate(errs, template, path);
  onlyAlways(errs, template.spec, `${path}.spec`);
  if (template.spec?.activeDeadlineSeconds !== undefined) {
    errs.push(forbidden(`${path}.spec.activeDeadlineSeconds`, "activeDeadlineSeconds in ReplicaSet is not Supported"));
  }
}

/** Checks a workload's selector; "bad" when it cannot be used to match. */
function requiredSelector(errs: Errors, selector: Obj, path = "spec.selector", what = "deployment"): Obj {
  if (selector === undefined || selector === null) {
    errs.push(required(path));
    return undefined;
  }
  const before = errs.length;
  validateLabelSelector(errs, selector, path);
  if (selectsNothing(selector)) errs.push(invalid(path, selector, `empty selector is invalid for ${what}`));
  if (errs.length > before && !selectsNothing(selector)) {
    try {
      labelSelector(selector);
    } catch {
      errs.push(invalid(path, selector, "invalid label selector"));
      return "bad";
    }
  }
  return selector;
}

export function validateDeployment(errs: Errors, o: Obj): void {
  const s = o.spec;
  nonNegative(errs, "spec.replicas", s.replicas);
  const selector = requiredSelector(errs, s.selector);
  validateReplicaTemplate(errs, s.template, selector, "spec.template");
  strategy(errs, s.strategy, "spec.strategy");
  nonNegative(errs, "spec.minReadySeconds", s.minReadySeconds);
  nonNegative(errs, "spec.revisionHistoryLimit", s.revisionHistoryLimit);
  if (s.progressDeadlineSeconds !== undefined) {
    nonNegative(errs, "spec.progressDeadlineSeconds", s.progressDeadlineSeconds);
    const ready = s.minReadySeconds ?? 0;
    if (s.progressDeadlineSeconds <= ready && ready >= 0) {
      errs.push(invalid("spec.progressDeadlineSeconds", s.progressDeadlineSeconds, "must be greater than minReadySeconds"));
    }
  }
}

function strategy(errs: Errors, s: Obj, path: string): void {
  switch (s.type) {
    case "Recreate":
      if (s.rollingUpdate !== undefined)
        errs.push(forbidden(`${path}.rollingUpdate`, "may not be specified when strategy `type` is 'Recreate'"));
      break;
    case "RollingUpdate":
      if (s.rollingUpdate === undefined) errs.push(required(`${path}.rollingUpdate`, "this should be defaulted and never be nil"));
      else rollingUpdate(errs, s.rollingUpdate, `${path}.rollingUpdate`);
      break;
    default:
      errs.push(notSupported(path, internalForm("apps/v1.DeploymentStrategy", s), ["Recreate", "RollingUpdate"]));
  }
}

const isZero = (v: unknown): boolean => v === 0 || (typeof v === "string" && /^0+%$/.test(v));

function rollingUpdate(errs: Errors, r: Obj, path: string): void {
  positiveIntOrPercent(errs, `${path}.maxUnavailable`, r.maxUnavailable);
  positiveIntOrPercent(errs, `${path}.maxSurge`, r.maxSurge);
  if (isZero(r.maxUnavailable) && isZero(r.maxSurge))
    errs.push(invalid(`${path}.maxUnavailable`, r.maxUnavailable, "may not be 0 when `maxSurge` is 0"));
  notMoreThan100Percent(errs, `${path}.maxUnavailable`, r.maxUnavailable);
}

export function selectorImmutable(errs: Errors, o: Obj, old: Obj): void {
  if (!deepEqual(o.spec.selector, old.spec.selector)) errs.push(invalid("spec.selector", nullable(o.spec.selector), IMMUTABLE));
}

export function validateDeploymentUpdate(errs: Errors, o: Obj, old: Obj): void {
  validateDeployment(errs, o);
  selectorImmutable(errs, o, old);
}

export function validateReplicaSet(errs: Errors, o: Obj): void {
  const s = o.spec;
  nonNegative(errs, "spec.replicas", s.replicas);
  nonNegative(errs, "spec.minReadySeconds", s.minReadySeconds);
  const selector = requiredSelector(errs, s.selector);
  validateReplicaTemplate(errs, s.template, selector, "spec.template");
}

export function validateReplicaSetUpdate(errs: Errors, o: Obj, old: Obj): void {
  validateReplicaSet(errs, o);
  selectorImmutable(errs, o, old);
}

export function validateReplicationController(errs: Errors, o: Obj): void {
  const s = o.spec;
  nonNegative(errs, "spec.minReadySeconds", s.minReadySeconds);
  if (isEmptyObject(s.selector)) errs.push(required("spec.selector"));
  if (s.replicas === undefined) errs.push(required("spec.replicas"));
  else nonNegative(errs, "spec.replicas", s.replicas);
  if (s.template === undefined) {
    errs.push(required("spec.template"));
    return;
  }
  if (!isEmptyObject(s.selector)) selectorFits(errs, { matchLabels: s.selector }, s.template, "spec.template.metadata");
  validatePodTemplate(errs, s.template, "spec.template");
  onlyAlways(errs, s.template.spec, "spec.template.spec");
  if (s.template.spec?.activeDeadlineSeconds !== undefined) {
    errs.push(forbidden("spec.template.spec.activeDeadlineSeconds", "activeDeadlineSeconds in ReplicationController is not Supported"));
  }
}

export function validateDaemonSet(errs: Errors, o: Obj): void {
  const s = o.spec;
  if (s.selector === undefined || s.selector === null) errs.push(required("spec.selector"));
  else validateLabelSelector(errs, s.selector, "spec.selector");
  if (s.selector) selectorFits(errs, s.selector, s.template, "spec.template.metadata");
  else errs.push(invalid("spec.template.metadata.labels", nullable(s.template?.metadata?.labels), NO_MATCH));
  if (s.selector && selectsNothing(s.selector)) errs.push(invalid("spec.selector", s.selector, "empty selector is invalid for daemonset"));
  validatePodTemplate(errs, s.template, "spec.template");
  onlyAlways(errs, s.template?.spec, "spec.template.spec");
  if (s.template?.spec?.activeDeadlineSeconds !== undefined)
    errs.push(forbidden("spec.template.spec.activeDeadlineSeconds", "activeDeadlineSeconds in DaemonSet is not Supported"));
  nonNegative(errs, "spec.minReadySeconds", s.minReadySeconds);
  daemonStrategy(errs, s.updateStrategy, "spec.updateStrategy");
  nonNegative(errs, "spec.revisionHistoryLimit", s.revisionHistoryLimit);
}

function daemonStrategy(errs: Errors, u: Obj, path: string): void {
  switch (u.type) {
    case "OnDelete":
      return;
    case "RollingUpdate": {
      const r = u.rollingUpdate;
      if (r === undefined) {
        errs.push(required(`${path}.rollingUpdate`));
        return;
      }
      const p = `${path}.rollingUpdate`;
      positiveIntOrPercent(errs, `${p}.maxUnavailable`, r.maxUnavailable);
      notMoreThan100Percent(errs, `${p}.maxUnavailable`, r.maxUnavailable);
      positiveIntOrPercent(errs, `${p}.maxSurge`, r.maxSurge);
      notMoreThan100Percent(errs, `${p}.maxSurge`, r.maxSurge);
      if (isZero(r.maxUnavailable) && isZero(r.maxSurge)) errs.push(required(`${p}.maxUnavailable`, "cannot be 0 when maxSurge is 0"));
      else if (!isZero(r.maxUnavailable) && !isZero(r.maxSurge))
        errs.push(invalid(`${p}.maxSurge`, r.maxSurge, "may not be set when maxUnavailable is non-zero"));
      return;
    }
    default:
      errs.push(notSupported(`${path}.type`, u.type ?? "", ["RollingUpdate", "OnDelete"]));
  }
}

export function validateDaemonSetUpdate(errs: Errors, o: Obj, old: Obj): void {
  validateDaemonSet(errs, o);
  selectorImmutable(errs, o, old);
}

export function validateStatefulSet(errs: Errors, o: Obj): void {
  const s = o.spec;
  switch (s.podManagementPolicy) {
    case "OrderedReady":
    case "Parallel":
      break;
    case undefined:
    case "":
      errs.push(required("spec.podManagementPolicy"));
      break;
    default:
      errs.push(invalid("spec.podManagementPolicy", s.podManagementPolicy, "must be 'OrderedReady' or 'Parallel'"));
  }
  statefulStrategy(errs, s.updateStrategy, "spec.updateStrategy");
  const r = s.persistentVolumeClaimRetentionPolicy;
  for (const f of ["whenDeleted", "whenScaled"]) {
    if (r !== undefined && !["Retain", "Delete"].includes(r[f])) {
      errs.push(notSupported(`spec.persistentVolumeClaimRetentionPolicy.${f}`, r[f] ?? "", ["Retain", "Delete"]));
    }
  }
  nonNegative(errs, "spec.replicas", s.replicas);
  nonNegative(errs, "spec.minReadySeconds", s.minReadySeconds);
  nonNegative(errs, "spec.ordinals.start", s.ordinals?.start);
  let selector: Obj;
  if (s.selector === undefined || s.selector === null) errs.push(required("spec.selector"));
  else {
    validateLabelSelector(errs, s.selector, "spec.selector");
    if (selectsNothing(s.selector)) errs.push(invalid("spec.selector", s.selector, "empty selector is invalid for statefulset"));
    selector = s.selector;
  }
  selectorFits(errs, selector, s.template, "spec.template.metadata");
  validatePodTemplate(errs, s.template ?? {}, "spec.template");
  onlyAlways(errs, s.template?.spec, "spec.template.spec");
  if (s.template?.spec?.activeDeadlineSeconds !== undefined)
    errs.push(forbidden("spec.template.spec.activeDeadlineSeconds", "activeDeadlineSeconds in StatefulSet is not Supported"));
}

function statefulStrategy(errs: Errors, u: Obj, path: string): void {
  switch (u.type) {
    case undefined:
    case "":
      errs.push(required(path));
      break;
    case "OnDelete":
      if (u.rollingUpdate !== undefined)
        errs.push(invalid(`${path}.rollingUpdate`, u.rollingUpdate, "only allowed for updateStrategy 'RollingUpdate'"));
      break;
    case "RollingUpdate":
      if (u.rollingUpdate) {
        nonNegative(errs, `${path}.rollingUpdate.partition`, u.rollingUpdate.partition);
        const m = u.rollingUpdate.maxUnavailable;
        if (m !== undefined) {
          positiveIntOrPercent(errs, `${path}.rollingUpdate.maxUnavailable`, m);
          if (isZero(m)) errs.push(invalid(`${path}.rollingUpdate.maxUnavailable`, m, "cannot be 0"));
          notMoreThan100Percent(errs, `${path}.rollingUpdate.maxUnavailable`, m);
        }
      }
      break;
    default:
      errs.push(invalid(path, internalForm("apps/v1.StatefulSetUpdateStrategy", u), "must be 'RollingUpdate' or 'OnDelete'"));
  }
}

const STATEFUL_MUTABLE = [
  "replicas",
  "template",
  "updateStrategy",
  "persistentVolumeClaimRetentionPolicy",
  "minReadySeconds",
  "ordinals",
  "revisionHistoryLimit",
];
const STATEFUL_IMMUTABLE =
  "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";

export function validateStatefulSetUpdate(errs: Errors, o: Obj, old: Obj): void {
  validateStatefulSet(errs, o);
  const strip = (s: Obj): Obj => Object.fromEntries(Object.entries(s).filter(([k]) => !STATEFUL_MUTABLE.includes(k)));
  if (!deepEqual(strip(o.spec), strip(old.spec))) errs.push(forbidden("spec", STATEFUL_IMMUTABLE));
}

export function validateControllerRevision(errs: Errors, o: Obj): void {
  if (o.data === undefined || o.data === null) errs.push(required("data", "data is mandatory"));
  nonNegative(errs, "revision", o.revision);
}

export function validateControllerRevisionUpdate(errs: Errors, o: Obj, old: Obj): void {
  validateControllerRevision(errs, o);
  if (!deepEqual(o.data, old.data)) errs.push(invalid("data", o.data, IMMUTABLE));
}

/** status of the workloads: counts are not negative and do not contradict each other. */
export function validateWorkloadStatus(errs: Errors, o: Obj): void {
  const s = o.status ?? {};
  for (const f of [
    "replicas",
    "updatedReplicas",
    "fullyLabeledReplicas",
    "readyReplicas",
    "availableReplicas",
    "unavailableReplicas",
    "observedGeneration",
    "currentReplicas",
  ]) {
    nonNegative(errs, `status.${f}`, s[f]);
  }
  for (const f of ["updatedReplicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas"]) {
    if ((s[f] ?? 0) > (s.replicas ?? 0)) errs.push(invalid(`status.${f}`, s[f], "cannot be greater than status.replicas"));
  }
  if ((s.availableReplicas ?? 0) > (s.readyReplicas ?? 0))
    errs.push(invalid("status.availableReplicas", s.availableReplicas, "cannot be greater than readyReplicas"));
}
