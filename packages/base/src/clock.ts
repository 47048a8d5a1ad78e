// Time as a value that is handed in. Everything below the services asks a Clock, so that a test can own time.
// Invariant: `monotonicMs` never goes back; timers of one clock fire in order of their due time, ties in order of creation.

/** A pending timer. `cancel` is idempotent; cancelling a fired timer does nothing. */
export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall time, milliseconds since the Unix epoch. */
  nowMs(): number;
  /** Time since an arbitrary start, milliseconds with a fraction; never goes back. */
  monotonicMs(): number;
  /** Calls `fn` once after `delayMs` (>= 0). The timer keeps the process alive unless `unref` is true. */
  after(delayMs: number, fn: () => void, opts?: { unref?: boolean }): Timer;
  /** Calls `fn` every `periodMs` until cancelled. */
  every(periodMs: number, fn: () => void, opts?: { unref?: boolean }): Timer;
  /** Calls `fn` in a later turn of the event loop, before timers that are due later. */
  soon(fn: () => void): void;
  /** Resolves after `delayMs`, or rejects with the signal's reason when it aborts first. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

/** The machine's own clock. */
export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, fn, opts) {
    const t = setTimeout(fn, delayMs);
    if (opts?.unref) t.unref();
    return { cancel: () => clearTimeout(t) };
  },
  every(periodMs, fn, opts) {
    const t = setInterval(fn, periodMs);
    if (opts?.unref) t.unref();
    return { cancel: () => clearInterval(t) };
  },
  soon: (fn) => void setImmediate(fn),
  sleep: (delayMs, signal) => sleepOn(systemClock, delayMs, signal),
};

/** `Clock.sleep` in terms of `Clock.after`, for implementations of Clock. */
export function sleepOn(clock: Pick<Clock, "after">, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const onAbort = () => {
      timer.cancel();
      reject(signal?.reason);
    };
    const timer = clock.after(delayMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
