// The router's memory: which node a flow goes to. Invariant: a flow stays with its node while that node is a candidate; a change of
// the candidates moves only flows that lost theirs (rendezvous hashing chooses for new ones).
import type { Clock } from "@podwire/base";
import type { Candidate } from "./candidates.ts";

/** Flows remembered; when full, the ones that were silent longest are forgotten (they are hashed again, mostly to the same node). */
export const MAX_FLOWS = 65_536;
/** A flow without a packet for this long is forgotten when room is needed. */
const SWEEP = 4_096;

interface Flow {
  node: string;
  seenMs: number;
}

export class FlowTable {
  private readonly flows = new Map<number, Flow>();
  private readonly clock: Clock;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  get size(): number {
    return this.flows.size;
  }

  /** The node for a flow; undefined when there is no candidate. `key` is `flowKey`'s. */
  choose(key: number, candidates: readonly Candidate[]): Candidate | undefined {
    const nowMs = this.clock.monotonicMs();
    const known = this.flows.get(key);
    if (known) {
      known.seenMs = nowMs;
      const still = candidates.find((c) => c.name === known.node);
      if (still) return still;
    }
    const chosen = rendezvous(key, candidates);
    if (!chosen) return undefined;
    if (this.flows.size >= MAX_FLOWS && !known) this.sweep();
    this.flows.set(key, { node: chosen.name, seenMs: nowMs });
    return chosen;
  }

  private sweep(): void {
    const oldest = [...this.flows].sort((a, b) => a[1].seenMs - b[1].seenMs).slice(0, SWEEP);
    for (const [key] of oldest) this.flows.delete(key);
  }
}

/** A number below 2^49 for (client, virtual address, ports, protocol); addresses come from one /24 each, so a byte is enough. */
export function flowKey(client: number, vip: number, sport: number, dport: number, protocol: number): number {
  const high = ((client & 0xff) << 9) | ((vip & 0xff) << 1) | (protocol === 17 ? 1 : 0);
  return high * 0x1_0000_0000 + sport * 0x1_0000 + dport;
}

/** Highest random weight: each (flow, node) pair has a score, the best node gets the flow. */
export function rendezvous(key: number, candidates: readonly Candidate[]): Candidate | undefined {
  let best: Candidate | undefined;
  let bestScore = -1;
  for (const c of candidates) {
    const score = scoreOf(key, c.name);
    if (score > bestScore) [best, bestScore] = [c, score];
  }
  return best;
}

function scoreOf(key: number, name: string): number {
  let h = Math.imul(key >>> 0, 0x9e3779b1) ^ Math.imul(Math.floor(key / 0x1_0000_0000), 0x85ebca6b);
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return (h ^ (h >>> 15)) >>> 0;
}
