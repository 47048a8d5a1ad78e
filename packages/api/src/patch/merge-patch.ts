// JSON Merge Patch (RFC 7396). Invariant: neither the document nor the patch is changed.

import { cloneJson } from "../schema/clone.ts";

/** RFC 7386: null removes, objects merge, everything else replaces. Returns the patched document. */
export function applyMergePatch(doc: any, patch: any): any {
  if (patch === null || typeof patch !== "object" || Array.isArray(patch)) return cloneJson(patch);
  const out: Record<string, any> = doc !== null && typeof doc === "object" && !Array.isArray(doc) ? { ...doc } : {};
  for (const key of Object.keys(patch)) {
    const v = patch[key];
    if (v === null) delete out[key];
    else {
      const merged = applyMergePatch(Object.hasOwn(out, key) ? out[key] : undefined, v);
      if (key === "__proto__") Object.defineProperty(out, key, { value: merged, enumerable: true, configurable: true, writable: true });
      else out[key] = merged;
    }
  }
  return out;
}
