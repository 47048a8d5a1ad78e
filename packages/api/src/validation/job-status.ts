// status of Jobs: counters, times and conditions that must not contradict each other or go back (batch/validation of Kubernetes 1.34).
import { invalid, OMIT, required } from "../errors/field-error.ts";
import { type Errors, nonNegative, type Obj } from "./rules.ts";

const truth = (s: Obj, type: string): boolean => (s.conditions ?? []).some((c: Obj) => c.type === type && c.status === "True");

export function validateJobStatus(errs: Errors, o: Obj, old: Obj): void {
  const s = o.status ?? {};
  const was = old.status ?? {};
  for (const f of ["active", "succeeded", "failed", "ready"]) nonNegative(errs, `status.${f}`, s[f]);
  if ((s.succeeded ?? 0) < (was.succeeded ?? 0))
    errs.push(invalid("status.succeeded", s.succeeded ?? 0, "cannot decrease the succeeded counter"));
  if ((s.failed ?? 0) < (was.failed ?? 0)) errs.push(invalid("status.failed", s.failed ?? 0, "cannot decrease the failed counter"));
  const complete = truth(s, "Complete");
  const failed = truth(s, "Failed");
  if (complete && failed) errs.push(invalid("status.conditions", s.conditions, "cannot set Complete=True and Failed=true conditions"));
  if (complete && s.completionTime === undefined)
    errs.push(required("status.completionTime", "completionTime is required for Complete jobs"));
  if (!complete && s.completionTime !== undefined)
    errs.push(invalid("status.completionTime", s.completionTime, "cannot set completionTime when there is no Complete=True condition"));
  if (complete && !truth(s, "SuccessCriteriaMet"))
    errs.push(invalid("status.conditions", OMIT, "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"));
  if (failed && !truth(s, "FailureTarget"))
    errs.push(invalid("status.conditions", OMIT, "cannot set Failed=True condition without the FailureTarget=true condition"));
  if ((complete || failed) && s.startTime === undefined) errs.push(required("status.startTime", "startTime is required for finished job"));
  if ((complete || failed) && (s.active ?? 0) > 0) errs.push(invalid("status.active", s.active, "active>0 is invalid for finished job"));
  for (const type of ["Complete", "Failed", "FailureTarget", "SuccessCriteriaMet"]) {
    if (truth(was, type) && !truth(s, type))
      errs.push(invalid(`status.conditions`, OMIT, `cannot disable the terminal ${type}=True condition`));
  }
}
