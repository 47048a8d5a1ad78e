// Traces over the bus: filters come in by the arm subject, points leave gathered for a moment, so that one packet's points
// travel in one message. What a point or a filter says beyond these fields is the network's business (packages/net trace.ts).
import { type Clock, type Complaints, reasonOf } from "@podwire/base";
import type { Bus, Subscription } from "./bus.ts";
import { decode, encode } from "./codec.ts";
import { MalformedError } from "./errors.ts";
import { subjectsOf } from "./subjects.ts";

interface Point {
  traceId: number;
}

interface Filter {
  traceId: number;
  maxPackets: number;
  untilMs: number;
}

/** Points wait this long for others. */
const GATHER_MS = 5;
/** Points waiting at one time; more are dropped (a trace that big says nothing). */
const MAX_WAITING = 1_000;

/** Where a process's trace points go: to whoever listens on the bus. */
export function reportTraces<P extends Point>(bus: Bus, clock: Clock): { point(p: P): void } {
  const subject = subjectsOf(bus.cluster).tracePoint(bus.identity);
  let waiting: P[] = [];
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
export function followTraceFilters<F extends Filter>(bus: Bus, complaints: Complaints, arm: (filter: F) => void): Subscription {
  return bus.subscribe(subjectsOf(bus.cluster).traceArm, (m) => {
    try {
      const f = decode(m.data) as Partial<F> | null;
      if (typeof f?.traceId !== "number" || typeof f.maxPackets !== "number" || typeof f.untilMs !== "number")
        throw new MalformedError("a trace filter needs traceId, maxPackets and untilMs");
      arm(f as F);
    } catch (e) {
      complaints.complain("malformed trace filter", { reason: reasonOf(e) });
    }
  });
}

/** Arms a filter in every process of the cluster. */
export function armTrace<F extends Filter>(bus: Bus, filter: F): void {
  bus.publish(subjectsOf(bus.cluster).traceArm, encode(filter));
}

/** Every process's points, as they are reported. */
export function collectTracePoints<P extends Point>(bus: Bus, onPoint: (p: P) => void): Subscription {
  return bus.subscribe(subjectsOf(bus.cluster).tracePointAny, (m) => {
    let value: unknown;
    try {
      value = decode(m.data);
    } catch {
      return; // Somebody may send anything here; a trace shows what it understands.
    }
    for (const p of Array.isArray(value) ? value : [value]) if (typeof (p as P | null)?.traceId === "number") onPoint(p as P);
  });
}
