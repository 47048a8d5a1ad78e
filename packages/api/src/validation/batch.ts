// Jobs and CronJobs (batch/validation of Kubernetes 1.34), with the cron expressions that Kubernetes takes.

import { invalid, notSupported, OMIT, required, tooMany, Verbatim } from "../errors/field-error.ts";
import { cronError } from "../meta/cron.ts";
import { deepEqual } from "../patch/json-patch.ts";
import { cloneJson } from "../schema/clone.ts";
import { labelSelector } from "../selectors/label-selector.ts";
import { internalForm } from "./internal-form.ts";
import { validatePodTemplate } from "./pod.ts";
import { type Errors, IMMUTABLE, nonNegative, type Obj, oneOf, qualifiedName, sortedMap } from "./rules.ts";
import { validateLabelSelector } from "./selectors.ts";

const RULES_MAX = 20;
const ACTIONS = ["Count", "FailIndex", "FailJob", "Ignore"];
const CRON_NAME_MAX = 52;
const PARALLELISM_INDEXED_MAX = 100_000;

export function validateJob(errs: Errors, o: Obj): void {
  const s = o.spec;
  jobSpec(errs, s, "spec");
  if (s.selector === undefined || s.selector === null) errs.push(required("spec.selector"));
  else {
    validateLabelSelector(errs, s.selector, "spec.selector");
    generatedSelector(errs, o);
  }
  if (s.selector) {
    const labels = s.template?.metadata?.labels;
    let fits = true;
    try {
      fits = labelSelector(s.selector).matches(labels);
    } catch {
      fits = true;
    }
    if (!fits)
      errs.push(
        invalid("spec.template.metadata.labels", sortedMap(labels) ?? new Verbatim("null"), "`selector` does not match template `labels`"),
      );
  }
}

/** Unless the selector is manual, it must be the one that the server makes. */
function generatedSelector(errs: Errors, o: Obj): void {
  const s = o.spec;
  if (s.manualSelector === true) return;
  const uid = o.metadata.uid;
  const labels = s.template?.metadata?.labels ?? {};
  for (const [key, value] of [
    ["controller-uid", uid],
    ["job-name", o.metadata.name],
    ["batch.kubernetes.io/controller-uid", uid],
    ["batch.kubernetes.io/job-name", o.metadata.name],
  ] as const) {
    if (value !== undefined && labels[key] !== undefined && labels[key] !== value) {
      errs.push(invalid("spec.template.metadata.labels", labels, `must be '${value}'`));
    } else if (value !== undefined && labels[key] === undefined) errs.push(required("spec.template.metadata.labels", `must be '${value}'`));
  }
  const expected = { matchLabels: { "batch.kubernetes.io/controller-uid": uid } };
  if (uid !== undefined && !deepEqual(s.selector, expected) && !deepEqual(s.selector, { matchLabels: { "controller-uid": uid } })) {
    errs.push(invalid("spec.selector", s.selector, "`selector` not auto-generated"));
  }
}

export function jobSpec(errs: Errors, s: Obj, path: string): void {
  nonNegative(errs, `${path}.parallelism`, s.parallelism);
  nonNegative(errs, `${path}.completions`, s.completions);
  nonNegative(errs, `${path}.activeDeadlineSeconds`, s.activeDeadlineSeconds);
  nonNegative(errs, `${path}.backoffLimit`, s.backoffLimit);
  nonNegative(errs, `${path}.ttlSecondsAfterFinished`, s.ttlSecondsAfterFinished);
  if (s.backoffLimitPerIndex !== undefined) {
    nonNegative(errs, `${path}.backoffLimitPerIndex`, s.backoffLimitPerIndex);
    if (s.completionMode !== "Indexed")
      errs.push(invalid(`${path}.backoffLimitPerIndex`, s.backoffLimitPerIndex, "requires indexed completion mode"));
  }
  if (s.maxFailedIndexes !== undefined) {
    nonNegative(errs, `${path}.maxFailedIndexes`, s.maxFailedIndexes);
    if (s.backoffLimitPerIndex === undefined) errs.push(required(`${path}.backoffLimitPerIndex`, "when maxFailedIndexes is specified"));
    if (s.completions !== undefined && s.maxFailedIndexes > s.completions)
      errs.push(invalid(`${path}.maxFailedIndexes`, s.maxFailedIndexes, "must be less than or equal to completions"));
  }
  if (s.managedBy !== undefined) qualifiedName(errs, `${path}.managedBy`, s.managedBy);
  if (s.completionMode !== undefined) {
    oneOf(errs, `${path}.completionMode`, s.completionMode, ["Indexed", "NonIndexed"]);
    if (s.completionMode === "Indexed") {
      if (s.completions === undefined) errs.push(required(`${path}.completions`, "when completion mode is Indexed"));
      if ((s.parallelism ?? 0) > PARALLELISM_INDEXED_MAX)
        errs.push(
          invalid(
            `${path}.parallelism`,
            s.parallelism,
            `must be less than or equal to ${PARALLELISM_INDEXED_MAX} when completion mode is Indexed`,
          ),
        );
    }
  }
  if (s.podFailurePolicy) podFailurePolicy(errs, s, `${path}.podFailurePolicy`);
  if (s.successPolicy) {
    if (s.completionMode !== "Indexed") errs.push(invalid(`${path}.successPolicy`, s.successPolicy, "requires indexed completion mode"));
    if ((s.successPolicy.rules ?? []).length === 0)
      errs.push(required(`${path}.successPolicy.rules`, "at least one rules must be specified when the successPolicy is specified"));
  }
  if (s.podReplacementPolicy !== undefined) {
    oneOf(
      errs,
      `${path}.podReplacementPolicy`,
      s.podReplacementPolicy,
      s.podFailurePolicy ? ["Failed"] : ["Failed", "TerminatingOrFailed"],
    );
  }
  validatePodTemplate(errs, s.template ?? {}, `${path}.template`);
  const restart = s.template?.spec?.restartPolicy;
  const at = `${path}.template.spec.restartPolicy`;
  if (restart === undefined || restart === "" || restart === "Always") errs.push(required(at, 'valid values: "OnFailure", "Never"'));
  else if (restart !== "OnFailure" && restart !== "Never") errs.push(notSupported(at, restart, ["OnFailure", "Never"]));
  else if (s.podFailurePolicy && restart !== "Never")
    errs.push(invalid(at, restart, 'only "Never" is supported when podFailurePolicy is specified'));
}

function podFailurePolicy(errs: Errors, s: Obj, path: string): void {
  const rules: Obj[] = s.podFailurePolicy.rules ?? [];
  const names = new Set((s.template?.spec?.containers ?? []).map((c: Obj) => c.name));
  if (rules.length > RULES_MAX) errs.push(tooMany(`${path}.rules`, rules.length, RULES_MAX));
  rules.forEach((r, i) => {
    const p = `${path}.rules[${i}]`;
    if (!r.action) errs.push(required(`${p}.action`, `valid values: ${ACTIONS.map((a) => JSON.stringify(a)).join(", ")}`));
    else if (!ACTIONS.includes(r.action)) errs.push(notSupported(`${p}.action`, r.action, ACTIONS));
    else if (r.action === "FailIndex" && s.backoffLimitPerIndex === undefined)
      errs.push(invalid(`${p}.action`, r.action, "requires the backoffLimitPerIndex to be set"));
    if (r.onExitCodes) {
      const e = r.onExitCodes;
      if (!e.operator) errs.push(required(`${p}.onExitCodes.operator`, 'valid values: "In", "NotIn"'));
      else oneOf(errs, `${p}.onExitCodes.operator`, e.operator, ["In", "NotIn"]);
      if (e.containerName !== undefined && !names.has(e.containerName))
        errs.push(
          invalid(
            `${p}.onExitCodes.containerName`,
            e.containerName,
            "must be one of the container or initContainer names in the pod template",
          ),
        );
      const values: number[] = e.values ?? [];
      if (values.length === 0) errs.push(required(`${p}.onExitCodes.values`, "at least one value is required"));
      else if (values.length > 255) errs.push(tooMany(`${p}.onExitCodes.values`, values.length, 255));
      values.forEach((v, j) => {
        if (e.operator === "In" && v === 0) errs.push(invalid(`${p}.onExitCodes.values[${j}]`, v, "must not be 0 for the In operator"));
        if (values.indexOf(v) < j)
          errs.push({ type: "FieldValueDuplicate", field: `${p}.onExitCodes.values[${j}]`, detail: "", badValue: v });
      });
      if (values.some((v, j) => j > 0 && v < values[j - 1]!)) errs.push(invalid(`${p}.onExitCodes.values`, values, "must be ordered"));
    }
    const conditions: Obj[] = r.onPodConditions ?? [];
    conditions.forEach((c, j) => {
      qualifiedName(errs, `${p}.onPodConditions[${j}].type`, c.type);
      oneOf(errs, `${p}.onPodConditions[${j}].status`, c.status, ["False", "True", "Unknown"], "required");
    });
    if (r.onExitCodes && conditions.length > 0)
      errs.push({
        type: "FieldValueInvalid",
        field: p,
        detail: "specifying both OnExitCodes and OnPodConditions is not supported",
        badValue: OMIT,
      });
    else if (!r.onExitCodes && conditions.length === 0)
      errs.push({
        type: "FieldValueInvalid",
        field: p,
        detail: "specifying one of OnExitCodes and OnPodConditions is required",
        badValue: OMIT,
      });
  });
}

export function validateJobUpdate(errs: Errors, o: Obj, old: Obj): void {
  validateJob(errs, o);
  const s = o.spec;
  const b = old.spec;
  const elastic = s.completionMode === "Indexed" && s.completions === s.parallelism;
  if ((s.completions ?? null) !== (b.completions ?? null) && !elastic)
    errs.push(invalid("spec.completions", s.completions ?? null, IMMUTABLE));
  if (!deepEqual(s.selector, b.selector)) errs.push(invalid("spec.selector", s.selector ?? null, IMMUTABLE));
  templateImmutable(errs, o, old);
  for (const f of ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"]) {
    if (!deepEqual(s[f] ?? null, b[f] ?? null)) errs.push(invalid(`spec.${f}`, s[f] ?? new Verbatim("null"), IMMUTABLE));
  }
}

/** A suspended job that never started may have its scheduling directives changed. */
function templateImmutable(errs: Errors, o: Obj, old: Obj): void {
  const next = cloneJson(o.spec.template);
  const before = old.spec.template;
  if (old.spec.suspend === true && old.status?.startTime === undefined) {
    for (const f of ["nodeSelector", "tolerations", "schedulingGates"]) copy(next.spec, before.spec, f);
    const affinity = before.spec.affinity?.nodeAffinity;
    if (next.spec.affinity || affinity) {
      next.spec.affinity = { ...next.spec.affinity };
      copy(next.spec.affinity, before.spec.affinity ?? {}, "nodeAffinity");
      if (before.spec.affinity === undefined && Object.keys(next.spec.affinity).length === 0) delete next.spec.affinity;
    }
    for (const f of ["labels", "annotations"]) copy(next.metadata, before.metadata, f);
  }
  if (!deepEqual(next, before)) errs.push(invalid("spec.template", internalForm("core/v1.PodTemplateSpec", o.spec.template), IMMUTABLE));
}

function copy(to: Obj, from: Obj, field: string): void {
  if (from[field] === undefined) delete to[field];
  else to[field] = from[field];
}

export function validateCronJob(errs: Errors, o: Obj): void {
  const s = o.spec;
  if (!s.schedule) errs.push(required("spec.schedule"));
  else {
    const bad = cronError(s.schedule);
    if (bad !== undefined) errs.push(invalid("spec.schedule", s.schedule, bad));
    if (s.schedule.includes("TZ"))
      errs.push(invalid("spec.schedule", s.schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"));
  }
  if (s.timeZone !== undefined) timeZone(errs, s.timeZone);
  nonNegative(errs, "spec.startingDeadlineSeconds", s.startingDeadlineSeconds);
  if (!s.concurrencyPolicy) errs.push(required("spec.concurrencyPolicy"));
  else oneOf(errs, "spec.concurrencyPolicy", s.concurrencyPolicy, ["Allow", "Forbid", "Replace"]);
  nonNegative(errs, "spec.successfulJobsHistoryLimit", s.successfulJobsHistoryLimit);
  nonNegative(errs, "spec.failedJobsHistoryLimit", s.failedJobsHistoryLimit);
  const job = s.jobTemplate?.spec ?? {};
  jobSpec(errs, job, "spec.jobTemplate.spec");
  if (job.manualSelector !== undefined)
    errs.push(notSupported("spec.jobTemplate.spec.manualSelector", job.manualSelector, ["nil", "false"]));
  if (o.metadata.name?.length > CRON_NAME_MAX)
    errs.push(invalid("metadata.name", o.metadata.name, `must be no more than ${CRON_NAME_MAX} characters`));
}

function timeZone(errs: Errors, zone: string): void {
  if (zone === "") {
    errs.push(invalid("spec.timeZone", zone, "timeZone must be nil or non-empty string"));
    return;
  }
  if (zone === "Local") {
    errs.push(invalid("spec.timeZone", zone, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"));
    return;
  }
  try {
    new Intl.DateTimeFormat("en", { timeZone: zone });
  } catch {
    errs.push(invalid("spec.timeZone", zone, `unknown time zone ${zone}`));
  }
}
