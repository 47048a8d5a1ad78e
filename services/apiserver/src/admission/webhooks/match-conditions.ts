// matchConditions of webhooks: CEL over the request; all must hold for the hook to be called.
import { evaluateMatchConditions, StatusError } from "@podwire/api";
import type { Api } from "../../call.ts";
import { celInput } from "../cel-input.ts";
import type { Attributes } from "../chain.ts";

/** Throws 403 when the conditions cannot be evaluated and the hook's failures count. */
export function matchConditionsHold(
  api: Api,
  a: Attributes,
  h: { name: string; failurePolicy?: string; matchConditions?: { name: string; expression: string }[] },
): boolean {
  if (!h.matchConditions?.length) return true;
  const r = evaluateMatchConditions(h.matchConditions, celInput(api, a));
  if (r.error === undefined) return r.matched;
  if (h.failurePolicy === "Ignore") return false;
  throw new StatusError(
    403,
    "Forbidden",
    `admission webhook ${JSON.stringify(h.name)} could not evaluate its match conditions: ${r.error}`,
  );
}
