// Label selectors inside specs (apimachinery meta/v1/validation, Kubernetes 1.34).
import { forbidden, invalid, required } from "../errors/field-error.ts";
import { isLabelValue } from "../meta/names.ts";
import { validateLabels } from "./meta.ts";
import { type Errors, invalidAll, type Obj, qualifiedName } from "./rules.ts";

export function validateLabelSelector(errs: Errors, s: Obj, path: string, allowInvalidValues = false): void {
  if (s === undefined || s === null) return;
  if (s.matchLabels) validateLabels(errs, s.matchLabels, `${path}.matchLabels`);
  (s.matchExpressions ?? []).forEach((r: Obj, i: number) => {
    validateRequirement(errs, r, `${path}.matchExpressions[${i}]`, allowInvalidValues);
  });
}

function validateRequirement(errs: Errors, r: Obj, path: string, allowInvalidValues: boolean): void {
  const values: string[] = r.values ?? [];
  switch (r.operator) {
    case "In":
    case "NotIn":
      if (values.length === 0) errs.push(required(`${path}.values`, "must be specified when `operator` is 'In' or 'NotIn'"));
      break;
    case "Exists":
    case "DoesNotExist":
      if (values.length > 0) errs.push(forbidden(`${path}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
      break;
    default:
      errs.push(invalid(`${path}.operator`, r.operator, "not a valid selector operator"));
  }
  qualifiedName(errs, `${path}.key`, r.key);
  if (!allowInvalidValues)
    values.forEach((v, i) => {
      invalidAll(errs, `${path}.values[${i}]`, v, isLabelValue(v));
    });
}
