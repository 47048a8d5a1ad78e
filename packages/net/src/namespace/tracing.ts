// Tracing of one namespace: which packets begin a trace, and the points they leave.
// Invariant: with no filter armed and no traced packet the cost is one branch; a packet's hop numbers only grow.
import type { Clock } from "@podwire/base";
import { parseAddress } from "../codec/address.ts";
import { protocolName } from "../codec/numbers.ts";
import type { Packet } from "../packet.ts";
import type { FlowTuple, TraceFilter, TracePoint, TraceSink } from "../trace.ts";
import type { Flow } from "./flow.ts";

/** Filters armed at one time; the oldest goes first. */
export const FILTER_LIMIT = 64;

/**
 * Wall time minus monotonic time, one a clock, so that the points of one process do not differ by how it was rounded. Wall time is
 * adjusted all the while and by several milliseconds a minute, so it is taken anew when a trace is armed: processes then agree.
 */
const epochs = new WeakMap<Clock, { epochMs: number; takenMs: number }>();
/** Filters armed within this time share an epoch. */
const EPOCH_FRESH_MS = 1_000;
/** Looks at the clock while waiting for wall time, which counts whole milliseconds, to tick. A clock that stands still is left alone. */
const MAX_LOOKS = 20_000;

function epochOf(clock: Clock): { epochMs: number; takenMs: number } {
  let epoch = epochs.get(clock);
  if (epoch === undefined) epochs.set(clock, (epoch = { epochMs: clock.nowMs() - clock.monotonicMs(), takenMs: Number.NEGATIVE_INFINITY }));
  return epoch;
}

function takeEpoch(clock: Clock): void {
  const epoch = epochOf(clock);
  const startMs = clock.monotonicMs();
  if (startMs - epoch.takenMs < EPOCH_FRESH_MS) return;
  const before = clock.nowMs();
  let looks = 0;
  while (clock.nowMs() === before && looks++ < MAX_LOOKS && clock.monotonicMs() - startMs < 2);
  epoch.takenMs = clock.monotonicMs();
  epoch.epochMs = clock.nowMs() - epoch.takenMs;
}

interface Armed {
  filter: TraceFilter;
  src: number | bigint | undefined;
  dst: number | bigint | undefined;
  picked: number;
}

export class Tracing {
  private readonly clock: Clock;
  private readonly process: string;
  private readonly netns: string;
  private readonly sink: TraceSink | undefined;
  /** For wall times with a fraction. */
  private readonly epoch: { readonly epochMs: number };
  private filters: Armed[] = [];
  /** True when packets have to be compared with filters. */
  armed = false;

  constructor(clock: Clock, process: string, netns: string, sink: TraceSink | undefined) {
    this.clock = clock;
    this.process = process;
    this.netns = netns;
    this.sink = sink;
    this.epoch = epochOf(clock);
  }

  arm(filter: TraceFilter): void {
    if (this.sink === undefined) return;
    takeEpoch(this.clock);
    const src = filter.src === undefined ? undefined : parseAddress(filter.src);
    const dst = filter.dst === undefined ? undefined : parseAddress(filter.dst);
    // An address that does not parse matches nothing.
    if ((filter.src !== undefined && src === undefined) || (filter.dst !== undefined && dst === undefined)) return;
    this.filters = [...this.filters.filter((a) => a.filter.traceId !== filter.traceId), { filter, src, dst, picked: 0 }].slice(
      -FILTER_LIMIT,
    );
    this.armed = true;
  }

  disarm(traceId: number): void {
    this.filters = this.filters.filter((a) => a.filter.traceId !== traceId);
    this.armed = this.filters.length > 0;
  }

  /** Begins a trace of the packet when a filter wants it. */
  pick(p: Packet, f: Flow): void {
    if (p.traceId !== 0) return;
    const now = this.clock.nowMs();
    for (const a of this.filters) {
      const x = a.filter;
      if (now >= x.untilMs || a.picked >= x.maxPackets) {
        this.disarm(x.traceId);
        continue;
      }
      if (a.src !== undefined && a.src !== f.src) continue;
      if (a.dst !== undefined && a.dst !== f.dst) continue;
      if (x.protocol !== undefined && x.protocol !== protocolName(f.protocol)) continue;
      if (x.sport !== undefined && x.sport !== f.sport) continue;
      if (x.dport !== undefined && x.dport !== f.dport) continue;
      a.picked++;
      p.traceId = x.traceId;
      p.traceHop = 0;
      return;
    }
  }

  /** Reports a point of a traced packet. Callers check p.traceId first: that is the one branch. */
  point(p: Packet, point: Pick<TracePoint, "place" | "name" | "rule" | "verdict" | "detail">, before: FlowTuple, after: FlowTuple): void {
    this.sink?.point({
      traceId: p.traceId,
      hop: p.traceHop++,
      timeMs: this.epoch.epochMs + this.clock.monotonicMs(),
      process: this.process,
      netns: this.netns,
      ...point,
      before,
      after,
    });
  }
}
