// How IPVS picks a real server (ipvsadm(8) -s): each scheduler is a function of the servers, what it remembers, and the source.
// Invariant: a server of weight 0 is never picked; with no usable server the answer is undefined.
export type Scheduler = "rr" | "wrr" | "lc" | "wlc" | "sh" | "dh" | "sed" | "nq" | "mh" | "fo" | "ovf";

export const SCHEDULERS: readonly Scheduler[] = ["rr", "wrr", "lc", "wlc", "sh", "dh", "sed", "nq", "mh", "fo", "ovf"];

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
    case "mh":
      return maglev(servers, sourceHash);
    case "fo":
      return least(servers, (s) => -s.weight);
    case "ovf": {
      // Those with room, the heaviest first; when all are full, nobody.
      const room = servers.filter((s) => s.active < s.weight);
      return least(room, (s) => -s.weight);
    }
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

/** Slots of the lookup table; a prime (CONFIG_IP_VS_MH_TAB_INDEX's smallest). */
const MAGLEV_SLOTS = 251;
/** Tables by their servers and weights; when full it is emptied. */
const MAGLEV_TABLES = 256;
const tables = new Map<string, Uint16Array>();

/** Maglev hashing (Eisenbud et al. 2016, 3.4): one server more or less moves few sources. */
function maglev<S extends RealServer>(servers: readonly S[], hash: number): S | undefined {
  const key = servers.map((s) => `${s.endpoint}=${s.weight}`).join(" ");
  let table = tables.get(key);
  if (table === undefined) {
    if (tables.size >= MAGLEV_TABLES) tables.clear();
    tables.set(key, (table = maglevTable(servers)));
  }
  return servers[table[(Math.imul(hash, 0x9e3779b1) >>> 0) % MAGLEV_SLOTS] as number];
}

function maglevTable(servers: readonly RealServer[]): Uint16Array {
  const table = new Uint16Array(MAGLEV_SLOTS).fill(0xffff);
  const order = servers
    .map((s, i) => ({ i, s, at: textHash(s.endpoint, 1) % MAGLEV_SLOTS, skip: (textHash(s.endpoint, 2) % (MAGLEV_SLOTS - 1)) + 1 }))
    .filter((o) => o.s.weight > 0);
  const step = order.reduce((g, o) => gcd(g, o.s.weight), 0);
  for (let filled = 0; ; )
    for (const o of order)
      for (let turn = 0; turn < o.s.weight / step; turn++) {
        while (table[o.at] !== 0xffff) o.at = (o.at + o.skip) % MAGLEV_SLOTS;
        table[o.at] = o.i;
        if (++filled === MAGLEV_SLOTS) return table;
      }
}

function textHash(text: string, seed: number): number {
  let h = Math.imul(seed, 0x9e3779b1) ^ 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  return (h ^ (h >>> 12)) >>> 0;
}
