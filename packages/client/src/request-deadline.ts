// The time a request over HTTPS may take. Invariant: the timer ends with the request.
import type { Clock } from "@podwire/base";
import type { ApiRequest } from "./api-transport.ts";
import { ApiUnreachableError } from "./errors.ts";

/** client-go has none of its own; this is the API server's --request-timeout. */
const REQUEST_TIMEOUT_MS = 60_000;

/** Runs `ask` with a signal that fires when the caller's does, or with ApiUnreachableError when the time is over. */
export async function withDeadline<T>(
  clock: Clock,
  r: ApiRequest,
  opts: { timeoutMs?: number; signal?: AbortSignal } | undefined,
  ask: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const timeout = new AbortController();
  const timer = clock.after(opts?.timeoutMs ?? REQUEST_TIMEOUT_MS, () =>
    timeout.abort(new ApiUnreachableError(`${r.method} ${r.path}: no answer in time`)),
  );
  try {
    return await ask(opts?.signal ? AbortSignal.any([opts.signal, timeout.signal]) : timeout.signal);
  } finally {
    timer.cancel();
  }
}
