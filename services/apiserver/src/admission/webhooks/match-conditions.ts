// matchConditions of webhooks: CEL over the request; all must hold for the hook to be called.
import { NotBuiltError } from "@podwire/base";
import type { Api } from "../../call.ts";
import type { Attributes } from "../chain.ts";

export function matchConditionsHold(_api: Api, _a: Attributes, h: { matchConditions?: { name: string; expression: string }[] }): boolean {
  if (!h.matchConditions?.length) return true;
  throw new NotBuiltError("CEL in matchConditions of webhooks");
}
