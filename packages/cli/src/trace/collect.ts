// Follows packets through the cluster: arms a filter in every process, does something that sends them, and gathers the points that
// the processes report. Points come from several processes; their order is the packet's own hop counter, then time.
import type { Clock, Random } from "@podwire/base";
import { armTrace, type Bus, collectTracePoints } from "@podwire/bus";
import type { TraceFilter, TracePoint } from "@podwire/net";

/** Processes report while a packet is under way; this long after the last point the trace is over. */
const QUIET_MS = 250;
/** A trace with more points than this is cut, and says so. */
export const MAX_POINTS = 2_000;

export type Selection = Pick<TraceFilter, "src" | "dst" | "protocol" | "sport" | "dport">;

export interface CollectOptions {
  bus: Bus;
  clock: Clock;
  random: Random;
  selection: Selection;
  maxPackets: number;
  timeoutMs: number;
}

/** Runs `act` once the filter is armed (or just waits) and resolves with the points in order. */
export async function collectTrace(o: CollectOptions, act?: () => Promise<void>): Promise<TracePoint[]> {
  const traceId = 1 + o.random.below(0x7fff_fffe);
  const points: TracePoint[] = [];
  let lastMs = o.clock.monotonicMs();
  const subscription = collectTracePoints<TracePoint>(o.bus, (p) => {
    if (p.traceId !== traceId || points.length >= MAX_POINTS) return;
    points.push(p);
    lastMs = o.clock.monotonicMs();
  });
  try {
    const filter: TraceFilter = { ...o.selection, traceId, maxPackets: o.maxPackets, untilMs: o.clock.nowMs() + o.timeoutMs };
    armTrace(o.bus, filter);
    await o.bus.flush();
    await o.clock.sleep(20); // The filter has left the server; give every process a turn to take it.
    const deadline = o.clock.monotonicMs() + o.timeoutMs;
    await act?.();
    lastMs = o.clock.monotonicMs();
    while (o.clock.monotonicMs() < deadline) {
      if (points.length > 0 && o.clock.monotonicMs() - lastMs > QUIET_MS) break;
      if (act && points.length === 0 && o.clock.monotonicMs() - lastMs > 4 * QUIET_MS) break;
      await o.clock.sleep(20);
    }
  } finally {
    subscription.unsubscribe();
  }
  return inOrder(points);
}

/**
 * The first packet and the answer to it: everything up to the moment when the place that sent first hears back. A connection has many
 * packets, which all take the same path. All points when no answer came (a drop is the end of the story).
 */
export function firstExchange(points: readonly TracePoint[]): TracePoint[] {
  const origin = points[0];
  if (!origin) return [];
  const answered = points.findIndex(
    (p) => p.place === "socket" && p.verdict === "deliver" && p.process === origin.process && p.netns === origin.netns,
  );
  return answered < 0 ? [...points] : points.slice(0, answered + 1);
}

/** By time, and points of one moment in the order of hops; clocks of one machine agree, so time orders across packets. */
export function inOrder(points: readonly TracePoint[]): TracePoint[] {
  return [...points].sort((a, b) => a.timeMs - b.timeMs || a.hop - b.hop);
}
