// How long a failed key waits before it is tried again: exponential per key, and a token bucket over all keys, the longer of
// both. The numbers are client-go's defaults for controllers.
import type { Clock } from "@podwire/base";

export interface RateLimiter {
  /** Delay before the next attempt; counts a failure of `key`. */
  whenMs(key: string): number;
  /** The key succeeded: its failures are forgotten. */
  forget(key: string): void;
  failures(key: string): number;
}

export const FIRST_DELAY_MS = 5;
export const MAX_DELAY_MS = 1000 * 1000;
export const BUCKET_PER_SECOND = 10;
export const BUCKET_BURST = 100;

/** Doubles a key's delay with each failure, from `firstMs` to `maxMs`. */
export function exponentialLimiter(firstMs = FIRST_DELAY_MS, maxMs = MAX_DELAY_MS): RateLimiter {
  const failures = new Map<string, number>();
  return {
    whenMs(key) {
      const n = failures.get(key) ?? 0;
      failures.set(key, n + 1);
      return Math.min(maxMs, firstMs * 2 ** Math.min(n, 40));
    },
    forget: (key) => void failures.delete(key),
    failures: (key) => failures.get(key) ?? 0,
  };
}

/** A bucket that may go into debt: each caller is told when its token will be there (golang.org/x/time/rate Reserve). */
export function tokenBucket(clock: Clock, perSecond: number, burst: number) {
  let tokens = burst;
  let lastMs = clock.monotonicMs();
  const refill = () => {
    const now = clock.monotonicMs();
    tokens = Math.min(burst, tokens + ((now - lastMs) / 1000) * perSecond);
    lastMs = now;
  };
  return {
    reserveMs(): number {
      refill();
      tokens -= 1;
      return tokens >= 0 ? 0 : (-tokens / perSecond) * 1000;
    },
    tryTake(): boolean {
      refill();
      if (tokens < 1) return false;
      tokens -= 1;
      return true;
    },
  };
}

/** client-go's DefaultTypedControllerRateLimiter. */
export function controllerLimiter(clock: Clock): RateLimiter {
  const perKey = exponentialLimiter();
  const bucket = tokenBucket(clock, BUCKET_PER_SECOND, BUCKET_BURST);
  return {
    whenMs: (key) => Math.max(perKey.whenMs(key), bucket.reserveMs()),
    forget: perKey.forget,
    failures: perKey.failures,
  };
}
