// Traces over the bus: filters come in by the arm subject, points leave gathered for a moment, so that one packet's points travel in
// one message.
import { type Clock, type Complaints, reasonOf } from "@podwire/base";
import { type Bus, decode, encode, MalformedError, subjectsOf } from "@podwire/bus";
import type { TraceFilter, TracePoint, TraceSink } from "@podwire/net";

/** Points wait this long for others. */
const GATHER_MS = 5;
/** Points waiting at one time; more are dropped (a trace that big says nothing). */
const MAX_WAITING = 1_000;

/** Where trace points go: to whoever listens on the bus. */
export function traceSinkOn(bus: Bus, clock: Clock): TraceSink {
  const subject = subjectsOf(bus.cluster).tracePoint(bus.identity);
  let waiting: TracePoint[] = [];
  const flush = () => {
    bus.publish(subject, encode(waiting));
    waiting = [];
  };
  return {
    point(p) {
      if (waiting.length >= MAX_WAITING) return;
      if (waiting.push(p) === 1) clock.after(GATHER_MS, flush);
    },
  };
}

/** Calls `arm` for each filter that somebody arms; what is no filter is counted and logged once a minute. */
export function followTraceFilters(bus: Bus, complaints: Complaints, arm: (filter: TraceFilter) => void): void {
  bus.subscribe(subjectsOf(bus.cluster).traceArm, (m) => {
    try {
      arm(filterOf(decode(m.data)));
    } catch (e) {
      complaints.complain("malformed trace filter", { reason: reasonOf(e) });
    }
  });
}

function filterOf(value: unknown): TraceFilter {
  const f = value as Partial<TraceFilter> | null;
  if (typeof f?.traceId !== "number" || typeof f.maxPackets !== "number" || typeof f.untilMs !== "number")
    throw new MalformedError("a trace filter needs traceId, maxPackets and untilMs");
  return f as TraceFilter;
}
