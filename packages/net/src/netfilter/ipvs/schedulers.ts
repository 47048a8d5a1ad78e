// How IPVS picks a real server (ipvsadm(8) -s): each scheduler is a function of the servers, what it remembers, and the source.
// Invariant: a server of weight 0 is never picked; with no usable server the answer is undefined.
export type Scheduler = "rr" | "wrr" | "lc" | "wlc" | "sh" | "dh" | "sed" | "nq";

export const SCHEDULERS: readonly Scheduler[] = ["rr", "wrr", "lc", "wlc", "sh", "dh", "sed", "nq"];

export interface RealServer {
  readonly endpoint: string;
  readonly weight: number;
  /** Connections that are tracked now. */
  active: number;
}

/** What a virtual server's scheduler remembers between connections. */
export interface ScheduleState {
  /** rr, wrr: where the last pick was. */
  at: number;
  /** wrr: the weight that a server must have this time round. */
  currentWeight: number;
}

/** `sourceHash` and `destinationHash` are uint32. */
export function schedule<S extends RealServer>(
  scheduler: Scheduler,
  servers: readonly S[],
  state: ScheduleState,
  sourceHash: number,
  destinationHash: number,
): S | undefined {
  if (!servers.some((s) => s.weight > 0)) return undefined;
  switch (scheduler) {
    case "rr":
      return roundRobin(servers, state);
    case "wrr":
      return weightedRoundRobin(servers, state);
    case "lc":
      return least(servers, (s) => s.active);
    case "wlc":
      return least(servers, (s) => s.active / s.weight);
    case "sed":
      return least(servers, (s) => (s.active + 1) / s.weight);
    case "nq":
      return servers.find((s) => s.weight > 0 && s.active === 0) ?? least(servers, (s) => (s.active + 1) / s.weight);
    case "sh":
      return hashed(servers, sourceHash);
    case "dh":
      return hashed(servers, destinationHash);
  }
}

function roundRobin<S extends RealServer>(servers: readonly S[], state: ScheduleState): S | undefined {
  for (let i = 0; i < servers.length; i++) {
    state.at = (state.at + 1) % servers.length;
    const s = servers[state.at] as S;
    if (s.weight > 0) return s;
  }
  return undefined;
}

/** Goes round with a falling threshold: a server of weight 3 is picked three times as often as one of weight 1, interleaved. */
function weightedRoundRobin<S extends RealServer>(servers: readonly S[], state: ScheduleState): S | undefined {
  const max = Math.max(...servers.map((s) => s.weight));
  const step = servers.reduce((g, s) => (s.weight > 0 ? gcd(g, s.weight) : g), 0);
  for (let i = 0; i <= servers.length * (max / step + 1); i++) {
    state.at = (state.at + 1) % servers.length;
    if (state.at === 0 || state.currentWeight <= 0 || state.currentWeight > max) {
      state.currentWeight -= step;
      if (state.currentWeight <= 0 || state.currentWeight > max) state.currentWeight = max;
    }
    const s = servers[state.at] as S;
    if (s.weight >= state.currentWeight) return s;
  }
  return undefined;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

function least<S extends RealServer>(servers: readonly S[], cost: (s: S) => number): S | undefined {
  let best: S | undefined;
  for (const s of servers) if (s.weight > 0 && (best === undefined || cost(s) < cost(best))) best = s;
  return best;
}

/** The same source (or destination) always goes to the same server while the servers are the same. */
function hashed<S extends RealServer>(servers: readonly S[], hash: number): S | undefined {
  const table = servers.flatMap((s) => Array.from({ length: Math.min(s.weight, 16) }, () => s));
  return table[(Math.imul(hash, 0x9e3779b1) >>> 8) % table.length];
}
