// When a process that ended is started again. Pure. A process that lived long enough starts afresh; one that keeps dying waits
// twice as long each time, up to a limit.

export const FIRST_DELAY_MS = 100;
export const MAX_DELAY_MS = 10_000;
/** A life this long proves the process well: the next restart is a first one again. */
export const HEALTHY_LIFE_MS = 30_000;

export interface Lives {
  /** Deaths in a row without a healthy life between them. */
  quickDeaths: number;
}

/** The delay before the next start, and the lives to remember, after a life of `lifeMs`. */
export function afterDeath(lives: Lives, lifeMs: number): { lives: Lives; delayMs: number } {
  const quickDeaths = lifeMs >= HEALTHY_LIFE_MS ? 1 : lives.quickDeaths + 1;
  return { lives: { quickDeaths }, delayMs: Math.min(FIRST_DELAY_MS * 2 ** (quickDeaths - 1), MAX_DELAY_MS) };
}
