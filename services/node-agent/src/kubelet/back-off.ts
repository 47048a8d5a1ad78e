// Exponential back-off per container, as the kubelet restarts (flowcontrol.Backoff): 10 s doubled to 5 min, forgotten when the
// container has run without a restart for twice the maximum.

export interface BackOff {
  delayMs: number;
  /** When the delay was raised last. */
  updatedMs: number;
}

export const INITIAL_BACK_OFF_MS = 10_000;
export const MAX_BACK_OFF_MS = 300_000;

/** The back-off after one more restart at `nowMs`. */
export function nextBackOff(b: BackOff | undefined, endedMs: number, nowMs: number): BackOff {
  if (b === undefined || expired(b, endedMs)) return { delayMs: INITIAL_BACK_OFF_MS, updatedMs: nowMs };
  return { delayMs: Math.min(b.delayMs * 2, MAX_BACK_OFF_MS), updatedMs: nowMs };
}

/** True while a container that ended at `endedMs` must wait. */
export function inBackOff(b: BackOff, endedMs: number, nowMs: number): boolean {
  return !expired(b, endedMs) && nowMs - endedMs < b.delayMs;
}

function expired(b: BackOff, endedMs: number): boolean {
  return endedMs - b.updatedMs > 2 * MAX_BACK_OFF_MS;
}
