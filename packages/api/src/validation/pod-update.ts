// What an update of a Pod may change: the main endpoint, status, ephemeralcontainers and resize (core/validation of Kubernetes 1.34).

import { forbidden, invalid } from "../errors/field-error.ts";
import { deepEqual } from "../patch/json-patch.ts";
import { cloneJson } from "../schema/clone.ts";
import { internalForm, unifiedDiff } from "./internal-form.ts";
import { validateObjectMetaUpdate } from "./meta.ts";
import { validatePod } from "./pod.ts";
import type { Errors, Obj } from "./rules.ts";

const ALLOWED =
  "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

export function validatePodUpdate(errs: Errors, o: Obj, old: Obj): void {
  validateObjectMetaUpdate(errs, o.metadata, old.metadata);
  validatePod(errs, o);
  const before = old.spec;
  for (const list of ["containers", "initContainers"]) {
    if ((o.spec[list] ?? []).length !== (before[list] ?? []).length) {
      errs.push(forbidden(`spec.${list}`, "pod updates may not add or remove containers"));
      return;
    }
  }
  validateDeadline(errs, o.spec, before);
  validateTolerationAdditions(errs, o.spec.tolerations ?? [], before.tolerations ?? []);
  const next = munge(o.spec, before);
  if (!deepEqual(next, before)) {
    errs.push(
      forbidden("spec", `${ALLOWED}\n${unifiedDiff(internalForm("core/v1.PodSpec", before), internalForm("core/v1.PodSpec", next))}`),
    );
  }
}

/** The new spec with everything that may change put back, so that any difference left is an error. */
function munge(spec: Obj, before: Obj): Obj {
  const next = cloneJson(spec);
  for (const list of ["containers", "initContainers"]) {
    (next[list] ?? []).forEach((c: Obj, i: number) => {
      c.image = before[list][i].image;
      if (c.image === undefined) delete c.image;
    });
  }
  for (const f of ["activeDeadlineSeconds", "tolerations"]) restore(next, before, f);
  if ((before.terminationGracePeriodSeconds ?? 0) < 0 && next.terminationGracePeriodSeconds === 1)
    restore(next, before, "terminationGracePeriodSeconds");
  if ((before.schedulingGates ?? []).length > 0) mungeGated(next, before);
  return next;
}

function restore(next: Obj, before: Obj, field: string): void {
  if (before[field] === undefined) delete next[field];
  else next[field] = before[field];
}

/** A gated pod may lose gates and have its node constraints tightened. */
function mungeGated(next: Obj, before: Obj): void {
  const gates = (before.schedulingGates ?? []).map((g: Obj) => g.name);
  if ((next.schedulingGates ?? []).every((g: Obj) => gates.includes(g.name))) restore(next, before, "schedulingGates");
  const selector = before.nodeSelector ?? {};
  if (Object.keys(selector).every((k) => next.nodeSelector?.[k] === selector[k])) restore(next, before, "nodeSelector");
  if (
    !deepEqual(next.affinity?.nodeAffinity, before.affinity?.nodeAffinity) &&
    nodeAffinityTightened(next.affinity?.nodeAffinity, before.affinity?.nodeAffinity)
  ) {
    if (before.affinity === undefined && Object.keys(next.affinity ?? {}).every((k) => k === "nodeAffinity")) delete next.affinity;
    else if (before.affinity !== undefined) {
      next.affinity = { ...next.affinity };
      restore(next.affinity, before.affinity, "nodeAffinity");
    }
  }
}

function nodeAffinityTightened(next: Obj, before: Obj): boolean {
  const was = before?.requiredDuringSchedulingIgnoredDuringExecution;
  if (was === undefined) return true;
  const now = next?.requiredDuringSchedulingIgnoredDuringExecution;
  const a: Obj[] = was.nodeSelectorTerms ?? [];
  const b: Obj[] = now?.nodeSelectorTerms ?? [];
  if (a.length !== b.length) return false;
  return a.every((t, i) =>
    ["matchExpressions", "matchFields"].every(
      (f) =>
        (t[f] ?? []).every((r: Obj, j: number) => deepEqual(r, b[i]![f]?.[j])) &&
        ((t[f] ?? []).length > 0 || (b[i]![f] ?? []).length === 0 || f === "matchExpressions"),
    ),
  );
}

function validateDeadline(errs: Errors, spec: Obj, before: Obj): void {
  const path = "spec.activeDeadlineSeconds";
  const next = spec.activeDeadlineSeconds;
  const was = before.activeDeadlineSeconds;
  if (next !== undefined) {
    if (next < 0 || next > 2147483647) errs.push(invalid(path, next, "must be between 0 and 2147483647, inclusive"));
    else if (was !== undefined && was < next) errs.push(invalid(path, next, "must be less than or equal to previous value"));
  } else if (was !== undefined) errs.push(invalid(path, null, "must not update from a positive integer to nil value"));
}

/** Existing tolerations stay; only their tolerationSeconds may change; new ones may be added. */
function validateTolerationAdditions(errs: Errors, next: Obj[], before: Obj[]): void {
  const strip = ({ tolerationSeconds: _, ...rest }: Obj): Obj => rest;
  const ok = before.every((b) => next.some((n) => deepEqual(strip(n), strip(b)) && (b.effect === "NoExecute" || deepEqual(n, b))));
  if (!ok) errs.push(forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds"));
}

export function validatePodStatusUpdate(errs: Errors, o: Obj, old: Obj): void {
  validateObjectMetaUpdate(errs, o.metadata, old.metadata);
  const qosBefore = old.status?.qosClass;
  if (qosBefore && o.status?.qosClass !== qosBefore) errs.push(invalid("status.qosClass", o.status?.qosClass ?? "", "field is immutable"));
  const nominated = o.status?.nominatedNodeName;
  if (nominated && !/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(nominated))
    errs.push(invalid("status.nominatedNodeName", nominated, "not a valid node name"));
  if (old.spec.nodeName && o.spec.nodeName !== old.spec.nodeName) errs.push(forbidden("status.nodeName", "may not be changed directly"));
  terminatedStaysTerminated(errs, o, old);
}

/** A container that ended, and is not to be restarted, stays ended. */
function terminatedStaysTerminated(errs: Errors, o: Obj, old: Obj): void {
  const policy = old.spec.restartPolicy;
  if (policy === "Always") return;
  for (const was of old.status?.containerStatuses ?? []) {
    const ended = was.state?.terminated;
    if (!ended || (policy === "OnFailure" && ended.exitCode !== 0)) continue;
    const i = (o.status?.containerStatuses ?? []).findIndex((s: Obj) => s.name === was.name);
    if (i >= 0 && !o.status.containerStatuses[i].state?.terminated) {
      errs.push(forbidden(`status.containerStatuses[${i}].state`, "may not be transitioned to non-terminated state"));
    }
  }
}

export function validateEphemeralContainersUpdate(errs: Errors, o: Obj, old: Obj): void {
  validateObjectMetaUpdate(errs, o.metadata, old.metadata);
  validatePod(errs, o);
  const next: Obj[] = o.spec.ephemeralContainers ?? [];
  for (const was of old.spec.ephemeralContainers ?? []) {
    const now = next.find((c) => c.name === was.name);
    if (now === undefined)
      errs.push(forbidden("spec.ephemeralContainers", `existing ephemeral containers ${JSON.stringify(was.name)} may not be removed\n`));
    else if (!deepEqual(now, was))
      errs.push(forbidden("spec.ephemeralContainers", `existing ephemeral containers ${JSON.stringify(was.name)} may not be changed\n`));
  }
}

const RESIZABLE = new Set(["cpu", "memory"]);
const RESIZE_ONLY = "only cpu and memory resources are mutable";

export function validateResize(errs: Errors, o: Obj, old: Obj): void {
  validateObjectMetaUpdate(errs, o.metadata, old.metadata);
  validatePod(errs, o);
  if (qos(o) !== qos(old)) errs.push(invalid("metadata", qos(o), "Pod QOS Class may not change as a result of resizing"));
  const next = cloneJson(o.spec);
  for (const list of ["containers", "initContainers"]) {
    (next[list] ?? []).forEach((c: Obj, i: number) => {
      const was = old.spec[list]?.[i];
      if (was === undefined) return;
      for (const f of ["requests", "limits"]) {
        for (const name of new Set([...Object.keys(c.resources?.[f] ?? {}), ...Object.keys(was.resources?.[f] ?? {})])) {
          if (!RESIZABLE.has(name) && c.resources?.[f]?.[name] !== was.resources?.[f]?.[name]) {
            errs.push(forbidden(`spec.${list}[${i}].resources.${f}`, RESIZE_ONLY));
          }
        }
      }
      c.resources = was.resources;
    });
  }
  if (!deepEqual(next, old.spec)) errs.push(forbidden("spec", RESIZE_ONLY));
}

function qos(pod: Obj): string {
  return pod.status?.qosClass ?? "";
}
