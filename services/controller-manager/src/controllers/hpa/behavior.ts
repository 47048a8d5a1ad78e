// How fast an autoscaler may follow its recommendation (autoscaling/v2 behavior): stabilization windows and rate policies. Pure.

export interface Recommendation {
  atMs: number;
  replicas: number;
}

export interface ScaleEvent {
  atMs: number;
  change: number;
}

export interface Rules {
  stabilizationWindowSeconds: number;
  selectPolicy: "Max" | "Min" | "Disabled";
  policies: { type: "Pods" | "Percent"; value: number; periodSeconds: number }[];
  tolerance: number | undefined;
}

export function rulesOf(behavior: any, direction: "scaleUp" | "scaleDown", downWindowSeconds: number): Rules {
  const given = behavior?.[direction] ?? {};
  const defaults =
    direction === "scaleUp"
      ? [
          { type: "Pods" as const, value: 4, periodSeconds: 15 },
          { type: "Percent" as const, value: 100, periodSeconds: 15 },
        ]
      : [{ type: "Percent" as const, value: 100, periodSeconds: 15 }];
  return {
    stabilizationWindowSeconds: given.stabilizationWindowSeconds ?? (direction === "scaleUp" ? 0 : downWindowSeconds),
    selectPolicy: given.selectPolicy ?? "Max",
    policies: given.policies ?? defaults,
    tolerance: given.tolerance === undefined ? undefined : Number(given.tolerance),
  };
}

/** The recommendation held back by what was recommended within the windows. */
export function stabilized(
  current: number,
  wanted: number,
  history: readonly Recommendation[],
  up: Rules,
  down: Rules,
  nowMs: number,
): number {
  let lowest = wanted;
  let highest = wanted;
  for (const r of history) {
    if (r.atMs > nowMs - up.stabilizationWindowSeconds * 1000) lowest = Math.min(lowest, r.replicas);
    if (r.atMs > nowMs - down.stabilizationWindowSeconds * 1000) highest = Math.max(highest, r.replicas);
  }
  let result = current;
  if (result < lowest) result = lowest;
  if (result > highest) result = highest;
  return result;
}

/** The largest size that may be reached now when growing. */
export function upLimit(current: number, events: readonly ScaleEvent[], rules: Rules, nowMs: number): number {
  if (rules.selectPolicy === "Disabled") return current;
  let limit = rules.selectPolicy === "Min" ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  for (const p of rules.policies) {
    const started = current - added(events, p.periodSeconds, nowMs);
    const proposed = p.type === "Pods" ? started + p.value : Math.ceil(started * (1 + p.value / 100));
    limit = rules.selectPolicy === "Min" ? Math.min(limit, proposed) : Math.max(limit, proposed);
  }
  return Math.max(current, limit);
}

/** The smallest size that may be reached now when shrinking. */
export function downLimit(current: number, events: readonly ScaleEvent[], rules: Rules, nowMs: number): number {
  if (rules.selectPolicy === "Disabled") return current;
  let limit = rules.selectPolicy === "Min" ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  for (const p of rules.policies) {
    const started = current + added(events, p.periodSeconds, nowMs);
    const proposed = p.type === "Pods" ? started - p.value : Math.trunc(started * (1 - p.value / 100));
    limit = rules.selectPolicy === "Min" ? Math.max(limit, proposed) : Math.min(limit, proposed);
  }
  return Math.min(current, Math.max(0, limit));
}

function added(events: readonly ScaleEvent[], periodSeconds: number, nowMs: number): number {
  return events.filter((e) => e.atMs > nowMs - periodSeconds * 1000).reduce((n, e) => n + e.change, 0);
}
