// What goes wrong when, decided before the run from a seed: so a failing run can be repeated, and shortened by hand.
// Invariant: every fault of a plan ends within the plan; after its last step nothing is disturbed.
import type { Clock, Random } from "@podwire/base";
import { NO_FAULTS, type WireFaults } from "@podwire/bus";

export interface FaultStep {
  atMs: number;
  /** Who: the name of a port, process or server, as the caller gave it. */
  target: string;
  action: { kind: "wire"; faults: Partial<WireFaults> } | { kind: "kill" } | { kind: "start" };
}

export interface FaultPlanOptions {
  durationMs: number;
  /** Names of ports whose sending may be disturbed. */
  ports?: readonly string[];
  /** Addresses that partitions may name. Default: none, so no partitions. */
  addresses?: readonly string[];
  /** Names of processes that may be killed and started again. */
  processes?: readonly string[];
  /** Mean time between faults of one target. Default: a fifth of the duration. */
  everyMs?: number;
  /** How long a fault lasts at most. Default: a tenth of the duration. */
  lastsMs?: number;
}

/** A plan in order of time. */
export function faultPlan(random: Random, o: FaultPlanOptions): FaultStep[] {
  const everyMs = o.everyMs ?? o.durationMs / 5;
  const lastsMs = o.lastsMs ?? o.durationMs / 10;
  const steps: FaultStep[] = [];
  const disturb = (target: string, begin: () => FaultStep["action"], end: FaultStep["action"]) => {
    let at = random.float() * everyMs;
    while (at < o.durationMs) {
      const until = Math.min(o.durationMs, at + random.float() * lastsMs);
      steps.push({ atMs: at, target, action: begin() }, { atMs: until, target, action: end });
      at = until + random.float() * 2 * everyMs;
    }
  };
  for (const port of o.ports ?? [])
    disturb(port, () => ({ kind: "wire", faults: someFaults(random, o.addresses ?? []) }), { kind: "wire", faults: NO_FAULTS });
  for (const p of o.processes ?? []) disturb(p, () => ({ kind: "kill" }), { kind: "start" });
  return steps.sort((a, b) => a.atMs - b.atMs);
}

function someFaults(random: Random, addresses: readonly string[]): Partial<WireFaults> {
  const kinds: (() => Partial<WireFaults>)[] = [
    () => ({ lossPercent: 1 + random.float() * 30 }),
    () => ({ duplicatePercent: 1 + random.float() * 20 }),
    () => ({ corruptPercent: 1 + random.float() * 10 }),
    () => ({ delayMs: random.float() * 100, jitterMs: random.float() * 50 }),
    () => ({ reorderPercent: 1 + random.float() * 30 }),
    () => ({ bandwidthBitsPerSecond: 1_000_000 + random.below(100_000_000) }),
  ];
  if (addresses.length > 0) kinds.push(() => ({ partitionedFrom: [random.pick(addresses)] }));
  return random.pick(kinds)();
}

/** Carries a plan out; resolves after its last step. A step that fails is told and does not stop the plan. */
export async function runFaultPlan(
  clock: Clock,
  plan: readonly FaultStep[],
  apply: (step: FaultStep) => void | Promise<void>,
  onError: (step: FaultStep, e: unknown) => void,
): Promise<void> {
  const start = clock.monotonicMs();
  for (const step of plan) {
    const wait = start + step.atMs - clock.monotonicMs();
    if (wait > 0) await clock.sleep(wait);
    try {
      await apply(step);
    } catch (e) {
      onError(step, e);
    }
  }
}
