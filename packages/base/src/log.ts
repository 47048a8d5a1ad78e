// Structured logs, one JSON object a line (pino). Every line carries the component; the supervisor adds nothing.
// Repeated complaints about bad input go through `oncePerMinute`, so that a flood of garbage is one line a kind and minute.
import { pino } from "pino";
import type { Clock } from "./clock.ts";

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";

export interface Logger {
  trace(fields: object, msg?: string): void;
  debug(fields: object, msg?: string): void;
  info(fields: object, msg?: string): void;
  warn(fields: object, msg?: string): void;
  error(fields: object, msg?: string): void;
  fatal(fields: object, msg?: string): void;
  child(fields: object): Logger;
}

/** A logger on standard output, synchronous so that the last line before a crash is not lost. */
export function createLogger(component: string, level: LogLevel = "info"): Logger {
  return pino(
    { level, base: { component }, timestamp: pino.stdTimeFunctions.epochTime, errorKey: "err" },
    pino.destination({ dest: 1, sync: true }),
  ) as unknown as Logger;
}

export const silentLogger: Logger = pino({ level: "silent" }) as unknown as Logger;

/** Counts complaints by kind; logs the first of a kind in each minute with the number since the last line. */
export function oncePerMinute(log: Logger, clock: Clock): Complaints {
  const seen = new Map<string, { lastMs: number; since: number; total: number }>();
  return {
    complain(kind, fields, msg) {
      const now = clock.monotonicMs();
      let s = seen.get(kind);
      if (!s) {
        if (seen.size >= MAX_COMPLAINT_KINDS) return;
        s = { lastMs: Number.NEGATIVE_INFINITY, since: 0, total: 0 };
        seen.set(kind, s);
      }
      s.since++;
      s.total++;
      if (now - s.lastMs < 60_000) return;
      log.warn({ kind, ...fields, times: s.since }, msg ?? kind);
      s.lastMs = now;
      s.since = 0;
    },
    counts: () => Object.fromEntries([...seen].map(([k, s]) => [k, s.total])),
  };
}

/** Past this many kinds, further kinds are neither counted nor logged. */
const MAX_COMPLAINT_KINDS = 256;

export interface Complaints {
  complain(kind: string, fields: object, msg?: string): void;
  counts(): Record<string, number>;
}
