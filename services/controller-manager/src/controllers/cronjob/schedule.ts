// Kubernetes' cron grammar (robfig/cron's standard parser): five fields, names of months and days, steps and ranges, the
// descriptors @hourly ... @yearly, and @every <duration>. Day of month and day of week: both must match when one is "*",
// else either. Refused: six fields, L, W, #, day 7, a time zone inside the schedule.
import { PodwireError, parseDurationMs } from "@podwire/base";

export class ScheduleError extends PodwireError {}

export interface Schedule {
  /** The first time after `afterMs`; undefined when there is none within five years. */
  next(afterMs: number): number | undefined;
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const DESCRIPTORS: Record<string, string> = {
  "@yearly": "0 0 1 1 *",
  "@annually": "0 0 1 1 *",
  "@monthly": "0 0 1 * *",
  "@weekly": "0 0 * * 0",
  "@daily": "0 0 * * *",
  "@midnight": "0 0 * * *",
  "@hourly": "0 * * * *",
};
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const HORIZON_DAYS = 366 * 5;

/** Throws ScheduleError. `timeZone` is an IANA name. */
export function parseSchedule(text: string, timeZone = "UTC"): Schedule {
  const zone = zoneOf(timeZone);
  const trimmed = text.trim();
  if (/(^|\s)(TZ|CRON_TZ)=/.test(trimmed)) throw new ScheduleError("cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
  if (trimmed.startsWith("@every ")) {
    const ms = parseDurationMs(trimmed.slice("@every ".length).trim());
    if (ms === undefined) throw new ScheduleError(`failed to parse duration ${trimmed}`);
    const period = Math.max(1000, Math.floor(ms / 1000) * 1000);
    return { next: (after) => Math.floor(after / 1000) * 1000 + period };
  }
  if (trimmed.startsWith("@") && !(trimmed in DESCRIPTORS)) throw new ScheduleError(`unrecognized descriptor: ${trimmed}`);
  const fields = (DESCRIPTORS[trimmed] ?? trimmed).split(/\s+/);
  if (fields.length !== 5) throw new ScheduleError(`expected exactly 5 fields, found ${fields.length}: ${JSON.stringify(fields)}`);
  const [minute, hour, dom, month, dow] = fields as [string, string, string, string, string];
  const minutes = field(minute, 0, 59, []);
  const hours = field(hour, 0, 23, []);
  const doms = field(dom, 1, 31, []);
  const months = field(month, 1, 12, MONTHS, 1);
  const dows = field(dow, 0, 6, DAYS, 0);
  const star = (f: string) => f.split(",").some((p) => p.startsWith("*") || p.startsWith("?"));
  const anyDay = star(dom) || star(dow);
  const dayMatches = (day: Date): boolean => {
    if (!months.includes(day.getUTCMonth() + 1)) return false;
    const byDom = doms.includes(day.getUTCDate());
    const byDow = dows.includes(day.getUTCDay());
    return anyDay ? byDom && byDow : byDom || byDow;
  };
  return {
    next(afterMs) {
      // Calendar days of the zone, walked as if they were UTC; only candidates are translated.
      const first = Math.floor((afterMs + zone.offsetMs(afterMs)) / DAY_MS) * DAY_MS;
      for (let d = 0; d < HORIZON_DAYS; d++) {
        const day = first + d * DAY_MS;
        if (!dayMatches(new Date(day))) continue;
        for (const h of hours)
          for (const m of minutes) {
            const local = day + (h * 60 + m) * MINUTE_MS;
            const at = zone.toUtc(local);
            if (at !== undefined && at > afterMs) return at;
          }
      }
      return undefined;
    },
  };
}

function field(text: string, min: number, max: number, names: readonly string[], nameBase = 0): number[] {
  const out = new Set<number>();
  const number = (s: string): number => {
    const named = names.indexOf(s.toLowerCase());
    if (named >= 0) return named + nameBase;
    if (!/^\d+$/.test(s))
      throw new ScheduleError(`failed to parse int from ${s}: strconv.Atoi: parsing ${JSON.stringify(s)}: invalid syntax`);
    return Number(s);
  };
  for (const part of text.split(",")) {
    const [range, step, more] = part.split("/") as [string, string | undefined, string | undefined];
    if (more !== undefined) throw new ScheduleError(`too many slashes: ${part}`);
    const [low, high, extra] = range.split("-") as [string, string | undefined, string | undefined];
    if (extra !== undefined) throw new ScheduleError(`too many hyphens: ${part}`);
    const all = low === "*" || low === "?";
    const from = all ? min : number(low);
    let to = all ? max : high !== undefined ? number(high) : from;
    const by = step === undefined ? 1 : number(step);
    if (step !== undefined && !all && high === undefined) to = max;
    if (from < min) throw new ScheduleError(`beginning of range (${from}) below minimum (${min}): ${part}`);
    if (to > max) throw new ScheduleError(`end of range (${to}) above maximum (${max}): ${part}`);
    if (from > to) throw new ScheduleError(`beginning of range (${from}) beyond end of range (${to}): ${part}`);
    if (by === 0) throw new ScheduleError(`step of range should be a positive number: ${part}`);
    for (let i = from; i <= to; i += by) out.add(i);
  }
  return [...out].sort((a, b) => a - b);
}

interface Zone {
  offsetMs(utcMs: number): number;
  /** The instant at which the zone's clocks show `localMs`; undefined when they skip it. */
  toUtc(localMs: number): number | undefined;
}

/** Throws ScheduleError for a zone that does not exist. */
function zoneOf(name: string): Zone {
  if (name === "UTC" || name === "Etc/UTC") return { offsetMs: () => 0, toUtc: (l) => l };
  let format: Intl.DateTimeFormat;
  try {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: name,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
  } catch (e) {
    throw new ScheduleError(`unknown time zone ${name}`, { cause: e });
  }
  const offsetMs = (utc: number): number => {
    const p: Record<string, number> = {};
    for (const { type, value } of format.formatToParts(utc)) p[type] = Number(value);
    const shown = Date.UTC(p["year"] ?? 0, (p["month"] ?? 1) - 1, p["day"], p["hour"], p["minute"], p["second"]);
    return shown - Math.floor(utc / 1000) * 1000;
  };
  return {
    offsetMs,
    toUtc(local) {
      for (const guess of [local - offsetMs(local), local - offsetMs(local - offsetMs(local))])
        if (guess + offsetMs(guess) === local) return guess;
      return undefined;
    },
  };
}
