// A deep copy of a JSON value; several times faster than structuredClone, which also knows cycles, dates and buffers.

export function cloneJson<T>(v: T): T {
  if (v === null || typeof v !== "object") return v;
  if (Array.isArray(v)) {
    const out = new Array(v.length);
    for (let i = 0; i < v.length; i++) {
      const x = v[i];
      out[i] = x === null || typeof x !== "object" ? x : cloneJson(x);
    }
    return out as T;
  }
  const out: Record<string, unknown> = {};
  for (const k in v) {
    const x = (v as Record<string, unknown>)[k];
    const y = x === null || typeof x !== "object" ? x : cloneJson(x);
    if (k === "__proto__") Object.defineProperty(out, k, { value: y, enumerable: true, configurable: true, writable: true });
    else out[k] = y;
  }
  return out as T;
}
