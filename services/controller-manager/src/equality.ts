// Equality of API objects as apimachinery's Semantic.DeepEqual has it: an absent list or map equals an empty one, null equals
// absent, the order of fields does not matter.

export function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (isNothing(a) && isNothing(b)) return true;
  if (a === null || b === null || typeof a !== "object" || typeof b !== "object") return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    for (let i = 0; i < a.length; i++) if (!equal(a[i], b[i])) return false;
    return true;
  }
  const x = a as Record<string, unknown>;
  const y = b as Record<string, unknown>;
  for (const k in x) if (!equal(x[k], y[k])) return false;
  for (const k in y) if (!(k in x) && !isNothing(y[k])) return false;
  return true;
}

function isNothing(v: unknown): boolean {
  return v === undefined || v === null || (Array.isArray(v) && v.length === 0);
}

/** JSON with sorted keys and without absent fields: equal objects give equal text. */
export function canonical(v: unknown): string {
  if (v === null || typeof v !== "object") return JSON.stringify(v) ?? "null";
  if (Array.isArray(v)) return `[${v.map(canonical).join(",")}]`;
  const o = v as Record<string, unknown>;
  const parts: string[] = [];
  for (const k of Object.keys(o).sort()) if (!isNothing(o[k])) parts.push(`${JSON.stringify(k)}:${canonical(o[k])}`);
  return `{${parts.join(",")}}`;
}
