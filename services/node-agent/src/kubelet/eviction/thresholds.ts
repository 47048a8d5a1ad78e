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
  /** Soft: must be crossed for so long first. Absent is hard. */
  graceMs?: number;
  /** Once crossed, it is resolved only when so much more is available. */
  minReclaim?: { quantity: number | undefined; fraction: number | undefined };
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

/** The flags together: soft thresholds need a grace period each (--eviction-soft-grace-period); or what is wrong. */
export function combineThresholds(
  hard: readonly Threshold[],
  soft: readonly Threshold[],
  graceMs: ReadonlyMap<string, number>,
  reclaim: ReadonlyMap<string, { quantity: number | undefined; fraction: number | undefined }>,
): Threshold[] | string {
  const out: Threshold[] = [];
  for (const t of hard) out.push({ ...t });
  for (const t of soft) {
    const grace = graceMs.get(t.signal);
    if (grace === undefined) return `grace period must be specified for the soft eviction threshold ${t.signal}`;
    out.push({ ...t, graceMs: grace });
  }
  for (const t of out) {
    const minReclaim = reclaim.get(t.signal);
    if (minReclaim) t.minReclaim = minReclaim;
  }
  return out;
}

/** "memory.available=500Mi,nodefs.available=5%" (--eviction-minimum-reclaim), or what is wrong. */
export function parseMinimumReclaim(text: string): Map<string, { quantity: number | undefined; fraction: number | undefined }> | string {
  const parsed = parseThresholds(text.replaceAll("=", "<"));
  if (typeof parsed === "string") return parsed.replace("eviction threshold", "minimum reclaim");
  return new Map(parsed.map((t) => [t.signal, { quantity: t.quantity, fraction: t.fraction }]));
}

/** What must be available for a crossed threshold to count as resolved. */
export function resolvedBytes(t: Threshold, capacity: number): number {
  const more = t.minReclaim ? (t.minReclaim.quantity ?? (t.minReclaim.fraction as number) * capacity) : 0;
  return thresholdBytes(t, capacity) + more;
}

export function thresholdBytes(t: Threshold, capacity: number): number {
  return t.quantity ?? (t.fraction as number) * capacity;
}
