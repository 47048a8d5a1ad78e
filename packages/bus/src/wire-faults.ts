// What a bad link does to a frame, decided purely: faults, randomness and time in; copies with their departure times out.
// Invariant: the same seed, frames and times give the same decisions. The order is netem's: loss, corruption,
// duplication, then delay; bandwidth is a queue in front of all delays that drops at its end.
import type { Random } from "@podwire/base";
import type { WireFaults } from "./wire.ts";

export const NO_FAULTS: WireFaults = {
  partitionedFrom: [],
  lossPercent: 0,
  duplicatePercent: 0,
  corruptPercent: 0,
  delayMs: 0,
  jitterMs: 0,
  reorderPercent: 0,
  bandwidthBitsPerSecond: 0,
};

/** A frame chosen for reordering leaves this much later than its fellows. */
export const REORDER_HOLD_MS = 5;
/** The queue of a link with limited bandwidth holds this much time's worth; what comes on top is dropped. */
export const BANDWIDTH_QUEUE_MS = 200;

export interface Departure {
  /** On the clock of `nowMs`. */
  atMs: number;
  /** Byte to damage and the bits to flip in it; -1 for none. */
  corruptAt: number;
  corruptXor: number;
}

export interface LinkState {
  /** When the link is free again, for bandwidth. */
  freeAtMs: number;
}

export function hasFaults(f: WireFaults): boolean {
  return (
    f.partitionedFrom.length > 0 ||
    f.lossPercent > 0 ||
    f.duplicatePercent > 0 ||
    f.corruptPercent > 0 ||
    f.delayMs > 0 ||
    f.jitterMs > 0 ||
    f.reorderPercent > 0 ||
    f.bandwidthBitsPerSecond > 0
  );
}

/** The copies of a frame of `sizeBytes` to `destination` that leave, and when; none when it is lost. Changes `link`. */
export function departures(
  f: WireFaults,
  link: LinkState,
  random: Random,
  destination: string,
  sizeBytes: number,
  nowMs: number,
): Departure[] {
  if (f.partitionedFrom.includes(destination) || f.partitionedFrom.includes("*")) return [];
  const chance = (percent: number) => percent > 0 && random.float() * 100 < percent;
  if (chance(f.lossPercent)) return [];
  const copies = chance(f.duplicatePercent) ? 2 : 1;
  const out: Departure[] = [];
  for (let i = 0; i < copies; i++) {
    let atMs = nowMs;
    if (f.bandwidthBitsPerSecond > 0) {
      const start = Math.max(nowMs, link.freeAtMs);
      if (start - nowMs > BANDWIDTH_QUEUE_MS) continue;
      link.freeAtMs = start + (sizeBytes * 8000) / f.bandwidthBitsPerSecond;
      atMs = link.freeAtMs;
    }
    if (f.delayMs > 0 || f.jitterMs > 0) atMs += Math.max(0, f.delayMs + (random.float() * 2 - 1) * f.jitterMs);
    if (chance(f.reorderPercent)) atMs += REORDER_HOLD_MS;
    const corrupt = sizeBytes > 0 && chance(f.corruptPercent);
    out.push({ atMs, corruptAt: corrupt ? random.below(sizeBytes) : -1, corruptXor: corrupt ? 1 << random.below(8) : 0 });
  }
  return out;
}
