// Traces for people who look: arms a filter in every process and hands on the points as they are reported.
// Invariant: a trace ends by itself after TRACE_LIMIT_MS, and at most MAX_TRACES run at a time.
import { type Clock, PodwireError, type Random, type Timer, z } from "@podwire/base";
import { armTrace, type Bus, collectTracePoints, type Subscription } from "@podwire/bus";
import type { TraceFilter, TracePoint } from "@podwire/net";

export const TRACE_LIMIT_MS = 60_000;
export const MAX_TRACES = 16;
const MAX_PACKETS = 40;

/** What a trace may be asked to follow. Addresses as text. */
export const traceRequest = z
  .object({
    src: z.string().max(64).optional(),
    dst: z.string().max(64).optional(),
    protocol: z.enum(["tcp", "udp", "icmp"]).optional(),
    dport: z.number().int().min(1).max(65_535).optional(),
  })
  .strict()
  .refine((r) => Object.values(r).some((v) => v !== undefined), "name at least one of src, dst, protocol, dport");

export class TooManyTracesError extends PodwireError {
  constructor() {
    super(`${MAX_TRACES} traces are running already`, { next: "stop one of them, or wait a minute" });
  }
}

export interface TraceDesk {
  /** Throws TooManyTracesError. Points come as they are reported; `onEnd` after the time limit or `stop`. */
  start(request: z.infer<typeof traceRequest>, onPoint: (p: TracePoint) => void, onEnd: () => void): { traceId: number; stop(): void };
  stop(): void;
}

export function traceDesk(o: { bus: Bus; clock: Clock; random: Random }): TraceDesk {
  const running = new Map<number, { onPoint: (p: TracePoint) => void; onEnd: () => void; limit: Timer }>();
  let subscription: Subscription | undefined;

  const end = (traceId: number) => {
    const trace = running.get(traceId);
    if (!trace) return;
    running.delete(traceId);
    trace.limit.cancel();
    if (running.size === 0) {
      subscription?.unsubscribe();
      subscription = undefined;
    }
    trace.onEnd();
  };

  return {
    start(request, onPoint, onEnd) {
      if (running.size >= MAX_TRACES) throw new TooManyTracesError();
      const traceId = 1 + o.random.below(0x7fff_fffe);
      subscription ??= collectTracePoints<TracePoint>(o.bus, (p) => running.get(p.traceId)?.onPoint(p));
      running.set(traceId, { onPoint, onEnd, limit: o.clock.after(TRACE_LIMIT_MS, () => end(traceId)) });
      const filter: TraceFilter = { ...request, traceId, maxPackets: MAX_PACKETS, untilMs: o.clock.nowMs() + TRACE_LIMIT_MS };
      armTrace(o.bus, filter);
      return { traceId, stop: () => end(traceId) };
    },
    stop() {
      for (const id of [...running.keys()]) end(id);
    },
  };
}
