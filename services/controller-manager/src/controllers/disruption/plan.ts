// PodDisruptionBudget: how many of the selected pods may be disrupted now (policy/v1). Pure: the budget, its pods and the sizes their
// controllers want in; the status out.
import { percentOf, scaledValue } from "@podwire/api";
import { type KubeObject, time, timeMs } from "@podwire/client";
import { isActive, isReady, phaseOf } from "../../pods/status.ts";

/** After so long an eviction that was allowed and not seen is forgotten. */
export const DELETION_TIMEOUT_MS = 2 * 60_000;

export interface BudgetState {
  budget: KubeObject;
  /** Selected pods. */
  pods: readonly KubeObject[];
  /** What the pods' controllers want, each once; undefined entries are pods without a controller. */
  scales: { expected: number; unmanaged: readonly KubeObject[] };
  nowMs: number;
}

export interface BudgetPlan {
  status: Record<string, any>;
  recheckMs: number | undefined;
}

/** True when the budget is a number of pods that must stay, so that nobody's size needs to be known. */
export function countsPodsOnly(budget: KubeObject): boolean {
  const { minAvailable, maxUnavailable } = budget["spec"];
  return maxUnavailable === undefined && minAvailable !== undefined && percentOf(minAvailable) === undefined;
}

export function planBudget(s: BudgetState): BudgetPlan {
  const { budget, nowMs } = s;
  const spec = budget["spec"];
  const active = s.pods.filter((p) => phaseOf(p) !== "Succeeded" && phaseOf(p) !== "Failed");
  const { disrupted, recheckMs } = stillDisrupted(s, active);
  let expected: number;
  let desired: number;
  if (countsPodsOnly(budget)) {
    expected = active.length;
    desired = Number(spec.minAvailable);
  } else {
    expected = s.scales.expected;
    if (spec.maxUnavailable !== undefined) desired = Math.max(0, expected - scaledValue(spec.maxUnavailable, expected, true));
    else desired = spec.minAvailable === undefined ? 0 : scaledValue(spec.minAvailable, expected, true);
  }
  const healthy = s.pods.filter((p) => isActive(p) && isReady(p) && !(p.metadata.name in disrupted)).length;
  const allowed = expected <= 0 || healthy < desired ? 0 : Math.max(0, healthy - desired);
  const generation = budget.metadata.generation ?? 0;
  const old = budget["status"] ?? {};
  const status = {
    ...(Object.keys(disrupted).length > 0 ? { disruptedPods: disrupted } : {}),
    disruptionsAllowed: allowed,
    currentHealthy: healthy,
    desiredHealthy: desired,
    expectedPods: expected,
    observedGeneration: generation,
    conditions: withCondition(old.conditions ?? [], allowed > 0, generation, nowMs),
  };
  return { status, recheckMs };
}

function withCondition(conditions: readonly any[], sufficient: boolean, observedGeneration: number, nowMs: number): any[] {
  const status = sufficient ? "True" : "False";
  const old = conditions.find((c) => c.type === "DisruptionAllowed");
  const lastTransitionTime = old?.status === status ? old.lastTransitionTime : time(nowMs);
  const next = {
    type: "DisruptionAllowed",
    status,
    observedGeneration,
    lastTransitionTime,
    reason: sufficient ? "SufficientPods" : "InsufficientPods",
    message: "",
  };
  return [...conditions.filter((c) => c !== old), next];
}

/** Evictions that were allowed and whose pods are still there without being terminated. */
function stillDisrupted(
  s: BudgetState,
  active: readonly KubeObject[],
): { disrupted: Record<string, string>; recheckMs: number | undefined } {
  const disrupted: Record<string, string> = {};
  let recheckMs: number | undefined;
  for (const [name, since] of Object.entries((s.budget["status"]?.disruptedPods ?? {}) as Record<string, string>)) {
    const pod = active.find((p) => p.metadata.name === name);
    if (!pod || pod.metadata.deletionTimestamp) continue;
    const left = (timeMs(since) ?? 0) + DELETION_TIMEOUT_MS - s.nowMs;
    if (left <= 0) continue;
    disrupted[name] = since;
    recheckMs = Math.min(recheckMs ?? left, left);
  }
  return { disrupted, recheckMs };
}
