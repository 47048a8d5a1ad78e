// Eviction thresholds as flags say them: "memory.available<100Mi,nodefs.available<10%" (eviction/helpers.go). Pure.
import { parseQuantity } from "@podwire/api";

export const SIGNALS = [
  "memory.available",
  "nodefs.available",
  "nodefs.inodesFree",
  "imagefs.available",
  "imagefs.inodesFree",
  "pid.available",
] as const;
export type Signal = (typeof SIGNALS)[number];

export interface Threshold {
  signal: Signal;
  /** An amount, or a share of the capacity. */
  quantity: number | undefined;
  fraction: number | undefined;
  /** As it was written. */
  text: string;
}

/** The thresholds, or what is wrong with the text. */
export function parseThresholds(text: string): Threshold[] | string {
  const out: Threshold[] = [];
  for (const part of text.split(",").filter((x) => x.trim() !== "")) {
    const [name = "", value = "", ...more] = part.trim().split("<");
    if (more.length > 0 || value === "") return `invalid eviction threshold syntax ${part}, expected <signal>operator<value>`;
    if (!(SIGNALS as readonly string[]).includes(name)) return `unsupported eviction signal ${name}`;
    const percent = /^(\d+(?:\.\d+)?)%$/.exec(value);
    if (percent) {
      const fraction = Number(percent[1]) / 100;
      if (fraction > 1) return `eviction percentage threshold ${name} must be <= 100%: ${value}`;
      if (fraction > 0) out.push({ signal: name as Signal, quantity: undefined, fraction, text: value });
      continue;
    }
    try {
      out.push({ signal: name as Signal, quantity: Number(parseQuantity(value).value()), fraction: undefined, text: value });
    } catch {
      return `invalid eviction threshold ${part}: not a quantity`;
    }
  }
  return out;
}

export function thresholdBytes(t: Threshold, capacity: number): number {
  return t.quantity ?? (t.fraction as number) * capacity;
}
