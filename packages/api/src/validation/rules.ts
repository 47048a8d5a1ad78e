// Checks that many kinds share, each pushing FieldErrors in the words of Kubernetes 1.34.
// Invariant: a check never throws on a value that decodeBody lets through.
import { type FieldError, invalid, notSupported, required } from "../errors/field-error.ts";
import {
  inclusiveRangeError,
  isDns1123Label,
  isDns1123Subdomain,
  isPercent,
  isPortName,
  isPortNumber,
  isQualifiedName,
} from "../meta/names.ts";

export type Errors = FieldError[];
export type Obj = any;

export const IMMUTABLE = "field is immutable";
export const NOT_NEGATIVE = "must be greater than or equal to 0";
export const POSITIVE = "must be greater than 0";
export const INT32_MAX = 2147483647;

/** Pushes an Invalid error for each message. */
export function invalidAll(errs: Errors, path: string, value: unknown, messages: readonly string[]): void {
  for (const m of messages) errs.push(invalid(path, value, m));
}

export function nonNegative(errs: Errors, path: string, value: number | undefined): void {
  if (value !== undefined && value < 0) errs.push(invalid(path, value, NOT_NEGATIVE));
}

export function positive(errs: Errors, path: string, value: number | undefined): void {
  if (value !== undefined && value <= 0) errs.push(invalid(path, value, POSITIVE));
}

export const dnsLabel = (errs: Errors, path: string, value: string): void => invalidAll(errs, path, value, isDns1123Label(value));
export const dnsSubdomain = (errs: Errors, path: string, value: string): void => invalidAll(errs, path, value, isDns1123Subdomain(value));
export const qualifiedName = (errs: Errors, path: string, value: string): void => invalidAll(errs, path, value, isQualifiedName(value));

/** An enumerated value: required when empty, else one of `values` (listed in the order given). */
export function oneOf(
  errs: Errors,
  path: string,
  value: string | undefined,
  values: readonly string[],
  whenEmpty: "required" | "unsupported" | "ok" = "unsupported",
): void {
  if (value === undefined || value === "") {
    if (whenEmpty === "ok") return;
    errs.push(whenEmpty === "required" ? required(path) : notSupported(path, "", values));
  } else if (!values.includes(value)) errs.push(notSupported(path, value, values));
}

/** A port number, or the name of one. */
export function portOrName(errs: Errors, path: string, value: number | string | undefined): void {
  if (typeof value === "string") invalidAll(errs, path, value, isPortName(value));
  else invalidAll(errs, path, value ?? 0, isPortNumber(value ?? 0));
}

/** A count that is zero or more, or a percentage. */
export function positiveIntOrPercent(errs: Errors, path: string, value: number | string | undefined): void {
  if (typeof value === "string") invalidAll(errs, path, value, isPercent(value));
  else if (value !== undefined) nonNegative(errs, path, value);
}

export function notMoreThan100Percent(errs: Errors, path: string, value: number | string | undefined): void {
  if (typeof value === "string" && /^[0-9]+%$/.test(value) && Number(value.slice(0, -1)) > 100)
    errs.push(invalid(path, value, "must not be greater than 100%"));
}

export function rangeMessage(lo: number, hi: number): string {
  return inclusiveRangeError(lo, hi);
}

/** A map as Go prints it: keys sorted. */
export function sortedMap(m: Obj): Obj {
  if (m === undefined || m === null) return m;
  return Object.fromEntries(Object.entries(m).sort(([a], [b]) => (a < b ? -1 : 1)));
}

export const isEmptyObject = (o: Obj): boolean => o === undefined || o === null || Object.keys(o).length === 0;
export const list = (v: Obj[] | undefined | null): Obj[] => v ?? [];
