// How kubectl's columns write times, counts, lists and selectors (the apiserver's printers and util/duration; Kubernetes 1.34).
import { labelSelector } from "../selectors/label-selector.ts";

export type Cell = string | number | boolean | null;
export type Obj = any;
export interface PrintContext {
  readonly nowMs: number;
}
export type Printer = (o: Obj, c: PrintContext) => Cell[];

export const NONE = "<none>";
export const UNSET = "<unset>";
export const UNKNOWN = "<unknown>";
/** Items shown before "+ N more...". */
const LIST_MAX = 3;

/** Go's duration.HumanDuration. */
export function humanDuration(ms: number): string {
  const seconds = Math.trunc(ms / 1000);
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.trunc(seconds / 60);
  if (minutes < 10) return pair(minutes, "m", seconds % 60, "s");
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.trunc(minutes / 60);
  if (hours < 8) return pair(hours, "h", minutes % 60, "m");
  if (hours < 48) return `${hours}h`;
  const days = Math.trunc(hours / 24);
  if (hours < 192) return pair(days, "d", hours % 24, "h");
  if (days < 730) return `${days}d`;
  const years = Math.trunc(days / 365);
  return days < 365 * 8 ? pair(years, "y", days % 365, "d") : `${years}y`;
}

function pair(a: number, unit: string, b: number, small: string): string {
  return b === 0 ? `${a}${unit}` : `${a}${unit}${b}${small}`;
}

/** Age of a timestamp; "<unknown>" without one. */
export function since(time: string | null | undefined, c: PrintContext): string {
  return time ? humanDuration(c.nowMs - Date.parse(time)) : UNKNOWN;
}

export const age = (o: Obj, c: PrintContext): string => since(o.metadata?.creationTimestamp, c);

export function truncated(items: readonly string[], none: string, max = LIST_MAX): string {
  if (items.length === 0) return none;
  if (items.length <= max) return items.join(",");
  return `${items.slice(0, max).join(",")} + ${items.length - max} more...`;
}

/** "a=1,b=2" sorted by key. */
export function formatLabels(labels: Record<string, string> | undefined): string {
  const keys = Object.keys(labels ?? {}).sort();
  return keys.length === 0 ? NONE : keys.map((k) => `${k}=${labels![k]}`).join(",");
}

export function formatSelector(selector: Obj): string {
  if (selector === undefined || selector === null) return NONE;
  const text = labelSelector(selector).toString();
  return text === "" ? NONE : text;
}

export const names = (spec: Obj): string => (spec?.containers ?? []).map((x: Obj) => x.name).join(",");
export const images = (spec: Obj): string => (spec?.containers ?? []).map((x: Obj) => x.image ?? "").join(",");

const MODES: Record<string, string> = { ReadWriteOnce: "RWO", ReadOnlyMany: "ROX", ReadWriteMany: "RWX", ReadWriteOncePod: "RWOP" };

export function accessModes(modes: readonly string[] | undefined): string {
  return Object.keys(MODES)
    .filter((m) => (modes ?? []).includes(m))
    .map((m) => MODES[m])
    .join(",");
}

export const boolText = (b: boolean | undefined): string => (b === undefined ? UNSET : b ? "True" : "False");

export function conditionTrue(o: Obj, type: string): boolean {
  return (o.status?.conditions ?? []).some((x: Obj) => x.type === type && x.status === "True");
}
