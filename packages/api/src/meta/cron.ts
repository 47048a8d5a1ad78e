// Cron expressions as robfig/cron's standard parser takes them: five fields or a descriptor; and its messages.
import { PodwireError } from "@podwire/base";
import { parseDuration } from "./time.ts";

interface Field {
  readonly min: number;
  readonly max: number;
  readonly names?: Record<string, number>;
}

const MONTHS = Object.fromEntries("jan feb mar apr may jun jul aug sep oct nov dec".split(" ").map((n, i) => [n, i + 1]));
const DAYS = Object.fromEntries("sun mon tue wed thu fri sat".split(" ").map((n, i) => [n, i]));
const FIELDS: readonly Field[] = [
  { min: 0, max: 59 },
  { min: 0, max: 23 },
  { min: 1, max: 31 },
  { min: 1, max: 12, names: MONTHS },
  { min: 0, max: 6, names: DAYS },
];

/** What is wrong with a schedule; undefined when nothing is. */
export function cronError(spec: string): string | undefined {
  try {
    parseCron(spec);
    return undefined;
  } catch (e) {
    return (e as Error).message;
  }
}

export interface CronSchedule {
  /** Sets of minutes, hours, days of the month, months, days of the week. */
  readonly fields: readonly ReadonlySet<number>[];
  /** Day-of-month or day-of-week was "*" or "?". */
  readonly anyDayOfMonth: boolean;
  readonly anyDayOfWeek: boolean;
  /** "@every": a fixed delay instead of fields. */
  readonly everyMs: number | undefined;
  readonly timeZone: string | undefined;
}

export class CronError extends PodwireError {}

/** Parses "*\/5 * * * *", "@daily", "@every 1h30m", each with an optional TZ= or CRON_TZ= prefix. */
export function parseCron(text: string): CronSchedule {
  let spec = text;
  if (spec === "") throw new CronError("empty spec string");
  let timeZone: string | undefined;
  const tz = /^(?:TZ|CRON_TZ)=(\S*)\s*(.*)$/s.exec(spec);
  if (tz) {
    timeZone = tz[1]!;
    spec = tz[2]!;
  }
  if (spec.startsWith("@")) return descriptor(spec, timeZone);
  const parts = spec.split(/\s+/).filter(Boolean);
  if (parts.length !== 5) throw new CronError(`expected exactly 5 fields, found ${parts.length}: [${parts.join(" ")}]`);
  return {
    fields: parts.map((p, i) => parseField(p, FIELDS[i]!)),
    anyDayOfMonth: /^[*?]/.test(parts[2]!) && !parts[2]!.includes(","),
    anyDayOfWeek: /^[*?]/.test(parts[4]!) && !parts[4]!.includes(","),
    everyMs: undefined,
    timeZone,
  };
}

const EVERY = "@every ";

function descriptor(spec: string, timeZone: string | undefined): CronSchedule {
  const star = (f: Field): Set<number> => new Set(range(f.min, f.max, 1));
  const base = { anyDayOfMonth: true, anyDayOfWeek: true, everyMs: undefined, timeZone };
  const all = FIELDS.map(star);
  const only = (...v: (number | undefined)[]): ReadonlySet<number>[] => v.map((x, i) => (x === undefined ? all[i]! : new Set([x])));
  switch (spec) {
    case "@yearly":
    case "@annually":
      return { ...base, fields: only(0, 0, 1, 1, undefined), anyDayOfMonth: false };
    case "@monthly":
      return { ...base, fields: only(0, 0, 1, undefined, undefined), anyDayOfMonth: false };
    case "@weekly":
      return { ...base, fields: only(0, 0, undefined, undefined, 0), anyDayOfWeek: false };
    case "@daily":
    case "@midnight":
      return { ...base, fields: only(0, 0, undefined, undefined, undefined) };
    case "@hourly":
      return { ...base, fields: only(0, undefined, undefined, undefined, undefined) };
  }
  if (spec.startsWith(EVERY)) {
    let ms: number;
    try {
      ms = Number(parseDuration(spec.slice(EVERY.length)) / 1_000_000n);
    } catch (e) {
      throw new CronError(`failed to parse duration ${spec}: ${(e as Error).message}`);
    }
    return { ...base, fields: all, everyMs: Math.max(1000, ms - (ms % 1000)) };
  }
  throw new CronError(`unrecognized descriptor: ${spec}`);
}

function range(lo: number, hi: number, step: number): number[] {
  const out: number[] = [];
  for (let i = lo; i <= hi; i += step) out.push(i);
  return out;
}

function parseField(text: string, f: Field): Set<number> {
  const out = new Set<number>();
  for (const part of text.split(",")) {
    if (part === "") continue;
    for (const n of parseRange(part, f)) out.add(n);
  }
  return out;
}

function parseRange(expr: string, f: Field): number[] {
  const slash = expr.split("/");
  const dash = slash[0]!.split("-");
  const single = dash.length === 1;
  let lo: number;
  let hi: number;
  if (dash[0] === "*" || dash[0] === "?") {
    lo = f.min;
    hi = f.max;
  } else {
    lo = number(dash[0]!, f);
    if (dash.length === 1) hi = lo;
    else if (dash.length === 2) hi = number(dash[1]!, f);
    else throw new CronError(`too many hyphens: ${expr}`);
  }
  let step = 1;
  if (slash.length === 2) {
    step = uint(slash[1]!);
    if (single && lo === hi && dash[0] !== "*" && dash[0] !== "?") hi = f.max;
  } else if (slash.length > 2) throw new CronError(`too many slashes: ${expr}`);
  if (lo < f.min) throw new CronError(`beginning of range (${lo}) below minimum (${f.min}): ${expr}`);
  if (hi > f.max) throw new CronError(`end of range (${hi}) above maximum (${f.max}): ${expr}`);
  if (lo > hi) throw new CronError(`beginning of range (${lo}) beyond end of range (${hi}): ${expr}`);
  if (step === 0) throw new CronError(`step of range should be a positive number: ${expr}`);
  return range(lo, hi, step);
}

function number(text: string, f: Field): number {
  const name = text.toLowerCase();
  return f.names !== undefined && Object.hasOwn(f.names, name) ? f.names[name]! : uint(text);
}

function uint(text: string): number {
  if (!/^[+-]?\d+$/.test(text))
    throw new CronError(`failed to parse int from ${text}: strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
  const n = Number(text);
  if (n < 0) throw new CronError(`negative number (${n}) not allowed: ${text}`);
  return n;
}
