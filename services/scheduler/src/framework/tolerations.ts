// Which taints a pod tolerates (core/v1 Toleration). Pure.

export interface Taint {
  key: string;
  value?: string;
  effect: string;
}

export interface Toleration {
  key?: string;
  operator?: string;
  value?: string;
  effect?: string;
}

export function tolerates(t: Toleration, taint: Taint): boolean {
  if (t.effect && t.effect !== taint.effect) return false;
  if (t.key && t.key !== taint.key) return false;
  if (!t.key && t.operator !== "Exists") return false;
  return t.operator === "Exists" || (t.value ?? "") === (taint.value ?? "");
}

export const toleratesAny = (tolerations: readonly Toleration[], taint: Taint): boolean => tolerations.some((t) => tolerates(t, taint));

/** True when the pod may be put on a node with these taints. */
export function toleratesNode(tolerations: readonly Toleration[], taints: readonly Taint[]): boolean {
  for (const t of taints) if ((t.effect === "NoSchedule" || t.effect === "NoExecute") && !toleratesAny(tolerations, t)) return false;
  return true;
}
