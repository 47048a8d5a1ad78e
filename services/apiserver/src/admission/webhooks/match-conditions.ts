// matchConditions of webhooks: CEL over the request in the form that the hook's rule matched; all must hold for the hook to be called
// (apiserver/pkg/admission/plugin/webhook/matchconditions).
import { evaluateMatchConditions } from "@podwire/api";
import type { Api } from "../../call.ts";
import { celInput } from "../cel-input.ts";
import type { Attributes } from "../chain.ts";
import { forbiddenBy } from "../forbidden.ts";

/** Throws 403 when the conditions cannot be evaluated and the hook's failures count. */
export function matchConditionsHold(
  api: Api,
  form: Attributes,
  h: { failurePolicy?: string; matchConditions?: { name: string; expression: string }[] },
): boolean {
  if (!h.matchConditions?.length) return true;
  const r = evaluateMatchConditions(h.matchConditions, celInput(api, form));
  if (r.error === undefined) return r.matched;
  if (h.failurePolicy === "Ignore") return false;
  throw forbiddenBy(form.requested ?? form, r.error);
}
