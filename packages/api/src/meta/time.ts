// Times and durations as the API prints them: Time to the second, MicroTime to the microsecond, both UTC; durations in
// Go's notation ("1h30m0s"). Specification: RFC 3339 and Go's time package.

import { PodwireError } from "@podwire/base";
import { lookup } from "../schema/lookup.ts";

export class TimeError extends PodwireError {}

const CANONICAL = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/;
const CANONICAL_MICRO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/;
const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)([.,]\d+)?(Z|[+-]\d\d:\d\d)$/;

interface Instant {
  seconds: number;
  nanos: number;
}

function parse(text: string, layout: string): Instant {
  const m = RFC3339.exec(text);
  if (m === null)
    throw new TimeError(
      `parsing time ${JSON.stringify(text)} as ${JSON.stringify(layout)}: cannot parse ${JSON.stringify(rest(text))} as ${JSON.stringify(part(text))}`,
    );
  const [, y, mo, d, h, mi, s, fraction, zone] = m;
  if (+mo! < 1 || +mo! > 12) throw new TimeError(`parsing time ${JSON.stringify(text)}: month out of range`);
  if (+d! < 1 || +d! > new Date(Date.UTC(2000 + (+y! % 400), +mo!, 0)).getUTCDate())
    throw new TimeError(`parsing time ${JSON.stringify(text)}: day out of range`);
  if (+h! > 23) throw new TimeError(`parsing time ${JSON.stringify(text)}: hour out of range`);
  if (+mi! > 59) throw new TimeError(`parsing time ${JSON.stringify(text)}: minute out of range`);
  if (+s! > 59) throw new TimeError(`parsing time ${JSON.stringify(text)}: second out of range`);
  const at = new Date(0);
  at.setUTCFullYear(+y!, +mo! - 1, +d!);
  at.setUTCHours(+h!, +mi!, +s!);
  let seconds = at.getTime() / 1000;
  if (zone !== "Z") {
    const offset = (+zone!.slice(1, 3) * 60 + +zone!.slice(4)) * 60;
    seconds -= zone![0] === "-" ? -offset : offset;
  }
  return { seconds, nanos: fraction === undefined ? 0 : Number(fraction.slice(1, 10).padEnd(9, "0")) };
}

const LAYOUT_PARTS: readonly [RegExp, string][] = [
  [/^\d{4}/, "2006"],
  [/^-/, "-"],
  [/^\d\d/, "01"],
  [/^-/, "-"],
  [/^\d\d/, "02"],
  [/^T/, "T"],
  [/^\d\d/, "15"],
  [/^:/, ":"],
  [/^\d\d/, "04"],
  [/^:/, ":"],
  [/^\d\d/, "05"],
  [/^([.,]\d+)?(Z|[+-]\d\d:\d\d)/, "Z07:00"],
];

/** What of the text Go could not parse, and the part of the layout it stood for. */
function failure(text: string): [string, string] {
  let at = 0;
  for (const [re, name] of LAYOUT_PARTS) {
    const m = re.exec(text.slice(at));
    if (m === null) return [text.slice(at), name];
    at += m[0].length;
  }
  return [text.slice(at), ""];
}
const rest = (text: string): string => failure(text)[0];
const part = (text: string): string => failure(text)[1];

/** RFC 3339 text -> the API's form; throws TimeError with Go's message. */
export function canonicalTime(text: string): string {
  if (CANONICAL.test(text) && validCivil(text)) return text;
  return formatSeconds(parse(text, "2006-01-02T15:04:05Z07:00").seconds);
}

/** RFC 3339 text -> MicroTime's form; throws TimeError with Go's message. */
export function canonicalMicroTime(text: string): string {
  if (CANONICAL_MICRO.test(text) && validCivil(text)) return text;
  const t = parse(text, "2006-01-02T15:04:05.000000Z07:00");
  return formatMicro(t.seconds, t.nanos);
}

/** Digits are checked by the pattern; only ranges are left, and days 29-31 need the calendar. */
function validCivil(t: string): boolean {
  const month = (t.charCodeAt(5) - 48) * 10 + t.charCodeAt(6) - 48;
  const day = (t.charCodeAt(8) - 48) * 10 + t.charCodeAt(9) - 48;
  return month >= 1 && month <= 12 && day >= 1 && day <= 28 && t.charCodeAt(11) < 50 && t.charCodeAt(14) < 54 && t.charCodeAt(17) < 54;
}

/** Seconds since the epoch -> "2006-01-02T15:04:05Z". */
export function formatSeconds(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`;
}

/** Seconds since the epoch and nanoseconds -> "2006-01-02T15:04:05.000000Z". */
export function formatMicro(seconds: number, nanos: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}.${String(Math.floor(nanos / 1000)).padStart(6, "0")}Z`;
}

/** A Time or MicroTime -> seconds and nanoseconds. */
export function parseTime(text: string): { seconds: number; nanos: number } {
  return parse(text, "2006-01-02T15:04:05Z07:00");
}

/** Milliseconds since the epoch -> Time. */
export function timeFromMs(ms: number): string {
  return formatSeconds(Math.floor(ms / 1000));
}

/** Milliseconds since the epoch -> MicroTime. */
export function microTimeFromMs(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return formatMicro(seconds, Math.round((ms - seconds * 1000) * 1000) * 1000);
}

const UNIT_NANOS: Record<string, bigint> = lookup({
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
});

/** Go's ParseDuration; nanoseconds. */
export function parseDuration(text: string): bigint {
  const m = /^([+-]?)(.*)$/s.exec(text)!;
  let left = m[2]!;
  if (left === "0") return 0n;
  if (left === "") throw new TimeError(`time: invalid duration ${JSON.stringify(text)}`);
  let total = 0n;
  while (left !== "") {
    const p = /^(\d*)(?:\.(\d*))?([^\d.]*)/.exec(left)!;
    if (p[1] === "" && (p[2] ?? "") === "") throw new TimeError(`time: invalid duration ${JSON.stringify(text)}`);
    if (p[3] === "") throw new TimeError(`time: missing unit in duration ${JSON.stringify(text)}`);
    const unit = UNIT_NANOS[p[3]!];
    if (unit === undefined) throw new TimeError(`time: unknown unit ${JSON.stringify(p[3])} in duration ${JSON.stringify(text)}`);
    total += BigInt(p[1] || "0") * unit;
    const fraction = (p[2] ?? "").slice(0, 18);
    if (fraction !== "") total += (BigInt(fraction) * unit) / 10n ** BigInt(fraction.length);
    if (total > 9_223_372_036_854_775_807n) throw new TimeError(`time: invalid duration ${JSON.stringify(text)}`);
    left = left.slice(p[0].length);
  }
  return m[1] === "-" ? -total : total;
}

/** Go's Duration.String(). */
export function formatDuration(nanos: bigint): string {
  if (nanos === 0n) return "0s";
  const sign = nanos < 0n ? "-" : "";
  const n = nanos < 0n ? -nanos : nanos;
  if (n < 1_000n) return `${sign}${n}ns`;
  if (n < 1_000_000n) return `${sign}${fractional(n, 1_000n)}µs`;
  if (n < 1_000_000_000n) return `${sign}${fractional(n, 1_000_000n)}ms`;
  const hours = n / 3_600_000_000_000n;
  const minutes = (n / 60_000_000_000n) % 60n;
  const seconds = fractional(n % 60_000_000_000n, 1_000_000_000n);
  if (hours > 0n) return `${sign}${hours}h${minutes}m${seconds}s`;
  return minutes > 0n ? `${sign}${minutes}m${seconds}s` : `${sign}${seconds}s`;
}

function fractional(n: bigint, unit: bigint): string {
  const fraction = (n % unit)
    .toString()
    .padStart(unit.toString().length - 1, "0")
    .replace(/0+$/, "");
  return fraction === "" ? `${n / unit}` : `${n / unit}.${fraction}`;
}

/** A Go duration -> the form in which Go prints it; throws when it is none. */
export function canonicalDuration(text: string): string {
  return formatDuration(parseDuration(text));
}
