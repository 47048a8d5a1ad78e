// Values of request headers that say who a user is. Node gives a header as text or, where it came several times, as a list or joined with
// commas. Pure.
import type { ApiRequest } from "../call.ts";

type Value = ApiRequest["headers"][string];

/** The header's first value as it stands; "" when there is none. */
export function oneValue(v: Value): string {
  return (Array.isArray(v) ? v[0] : v) ?? "";
}

/** All values, trimmed, without empty ones. */
export function allValues(v: Value): string[] {
  if (v === undefined) return [];
  return (Array.isArray(v) ? v : v.split(",")).map((s) => s.trim()).filter((s) => s !== "");
}

/** The values of headers that begin with the prefix (lower case), by the rest of the name, percent-decoded where that can be done. */
export function extraValues(headers: ApiRequest["headers"], prefix: string): Record<string, string[]> {
  const extra: Record<string, string[]> = {};
  for (const [k, v] of Object.entries(headers)) if (k.startsWith(prefix)) extra[decoded(k.slice(prefix.length))] = allValues(v);
  return extra;
}

function decoded(k: string): string {
  try {
    return decodeURIComponent(k);
  } catch {
    return k; // As upstream: a name that is not encoded is taken as it is.
  }
}
