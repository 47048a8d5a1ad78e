// The 403 of admission (apiserver/pkg/admission/errors.go): names the object, or what its name will be generated from.
import { type StatusError, statusErrors } from "@podwire/api";
import type { Attributes } from "./chain.ts";

export function forbiddenBy(a: Attributes, why: string): StatusError {
  return statusErrors.forbidden(a.info, nameOf(a), why);
}

export function nameOf(a: Attributes): string {
  return a.name || a.object?.metadata.name || a.object?.metadata.generateName || "Unknown/errors";
}
