// IntOrString: a number, a name, or a percentage (apimachinery util/intstr).
import { PodwireError } from "@podwire/base";

export class IntOrStringError extends PodwireError {}

export type IntOrString = number | string;

/** "25%" -> 25; undefined for anything else. */
export function percentOf(v: IntOrString): number | undefined {
  if (typeof v !== "string" || !/^[+-]?\d+%$/.test(v)) return undefined;
  return Number(v.slice(0, -1));
}

/** A number, or a percentage of `total` rounded up or down; throws for other strings. */
export function scaledValue(v: IntOrString, total: number, roundUp: boolean): number {
  if (typeof v === "number") return v;
  const percent = percentOf(v);
  if (percent === undefined) throw new IntOrStringError(`invalid value for IntOrString: invalid type: string is not a percentage`);
  const exact = (percent * total) / 100;
  return roundUp ? Math.ceil(exact) : Math.floor(exact);
}
