// Taints and tolerations (core/v1): which taint a toleration tolerates, and for how long a pod may stay. Pure.

export interface Taint {
  key: string;
  value?: string;
  effect: string;
  timeAdded?: string;
}

export interface Toleration {
  key?: string;
  operator?: string;
  value?: string;
  effect?: string;
  tolerationSeconds?: number | null;
}

export function tolerates(t: Toleration, taint: Taint): boolean {
  if (t.effect && t.effect !== taint.effect) return false;
  if (t.key && t.key !== taint.key) return false;
  if (!t.key && t.operator !== "Exists") return false;
  return t.operator === "Exists" || (t.value ?? "") === (taint.value ?? "");
}

/** How long a pod may stay with these taints: seconds, Infinity for ever, or undefined when some taint is not tolerated at all. */
export function toleratedSeconds(taints: readonly Taint[], tolerations: readonly Toleration[]): number | undefined {
  let shortest = Number.POSITIVE_INFINITY;
  for (const taint of taints) {
    const t = tolerations.find((x) => tolerates(x, taint));
    if (!t) return undefined;
    if (t.tolerationSeconds !== undefined && t.tolerationSeconds !== null) shortest = Math.min(shortest, Math.max(0, t.tolerationSeconds));
  }
  return shortest;
}
