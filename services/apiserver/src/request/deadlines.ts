// Requests that take too long are answered 504 (apiserver/pkg/server/filters/timeout.go): after --request-timeout, or ?timeout when that is
// shorter. What goes on for long by nature has no deadline here. Invariant: a request is answered once, by its work or by its deadline.
import { StatusError, statusErrors } from "@podwire/api";
import { type Clock, parseDurationMs, type Timer } from "@podwire/base";
import type { RequestInfo } from "./request-info.ts";

/** Deadlines are looked at this often; ?timeout has a timer of its own. */
const SWEEP_MS = 1_000;
const LONG_RUNNING = new Set(["attach", "exec", "proxy", "log", "portforward"]);

interface Pending {
  /** The sweep that finds it too late. */
  sweep: number;
  expire: () => void;
}

export class Deadlines {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #pending = new Set<Pending>();
  /** Counts sweeps: to read the clock for each request costs more than all the rest here. */
  #sweeps = 0;
  readonly #limitSweeps: number;
  #timer: Timer | undefined;

  constructor(clock: Clock, limitMs: number) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#limitSweeps = Math.ceil(limitMs / SWEEP_MS);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** The work's outcome, or a rejection with 504. Throws 400 when ?timeout is no duration. */
  guard<T>(info: RequestInfo, work: () => Promise<T>): Promise<T> {
    if (isLongRunning(info)) return work();
    const asked = info.query.get("timeout");
    const askedMs = asked ? parseDurationMs(asked) : undefined;
    if (asked && askedMs === undefined) {
      const why = `time: ${/^[\d.]+$/.test(asked) ? "missing unit in" : "invalid"} duration ${JSON.stringify(asked)}`;
      throw statusErrors.badRequest(`invalid timeout specified in the request URL - ${why}`);
    }
    const isShorter = askedMs !== undefined && askedMs > 0 && askedMs < this.#limitMs;
    return new Promise<T>((resolve, reject) => {
      const expire = () => {
        done();
        reject(new StatusError(504, "Timeout", "Timeout: request did not complete within the allotted timeout"));
      };
      const pending: Pending | undefined = isShorter ? undefined : { sweep: this.#sweeps + this.#limitSweeps + 1, expire };
      const timer = isShorter ? this.#clock.after(askedMs, expire, { unref: true }) : undefined;
      const done = () => {
        if (pending) this.#pending.delete(pending);
        timer?.cancel();
      };
      if (pending) {
        this.#pending.add(pending);
        this.#timer ??= this.#clock.every(SWEEP_MS, () => this.#sweep(), { unref: true });
      }
      work().then(
        (v) => {
          done();
          resolve(v);
        },
        (e) => {
          done();
          reject(e);
        },
      );
    });
  }

  #sweep(): void {
    this.#sweeps++;
    // In the order in which they came, so the first that has time left ends the look.
    for (const p of this.#pending) {
      if (p.sweep > this.#sweeps) break;
      p.expire();
    }
    if (this.#pending.size === 0) this.stop();
  }
}

export function isLongRunning(info: RequestInfo): boolean {
  return info.verb === "watch" || LONG_RUNNING.has(info.subresource);
}
