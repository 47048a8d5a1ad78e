// Times as the API writes them: RFC 3339 in UTC, whole seconds (meta/v1 Time) or microseconds (meta/v1 MicroTime).

/** "2026-01-02T03:04:05Z" */
export function time(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** "2026-01-02T03:04:05.678000Z" */
export function microTime(ms: number): string {
  const micros = Math.floor((ms - Math.floor(ms)) * 1000);
  return `${new Date(Math.floor(ms)).toISOString().slice(0, 23)}${String(micros).padStart(3, "0")}Z`;
}

/** Milliseconds since the epoch; undefined for nothing or nonsense. */
export function timeMs(text: string | undefined | null): number | undefined {
  if (!text) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}
