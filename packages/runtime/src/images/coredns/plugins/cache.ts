// `cache [TTL] [ZONES...] { success CAP [TTL [MINTTL]]; denial CAP [TTL [MINTTL]]; disable success|denial; serve_stale; prefetch; servfail D }`
// Invariants: a record never outlives its own TTL; an answer that could not be given (SERVFAIL) is not kept; the kept sets are bounded.
import { CorefileError, type Directive, inZone, zonesOf } from "../corefile.ts";
import type { Plugin, Question, Reply, Surroundings } from "../plugin.ts";

const DEFAULT_CAPACITY = 9984;
const MAX_SUCCESS_TTL = 3600;
const MAX_DENIAL_TTL = 1800;
const MIN_TTL = 5;

interface Kept {
  reply: Reply;
  storedMs: number;
  ttl: number;
}

interface Store {
  capacity: number;
  maxTtl: number;
  minTtl: number;
  on: boolean;
  entries: Map<string, Kept>;
}

export function cachePlugin(d: Directive, blockZones: readonly string[], around: Surroundings): Plugin {
  const args = [...d.args];
  const limit = /^\d+$/.test(args[0] ?? "") ? Number(args.shift()) : undefined;
  const zones = args.length > 0 ? args.flatMap(zonesOf) : [...blockZones];
  const store = (maxTtl: number): Store => ({
    capacity: DEFAULT_CAPACITY,
    maxTtl: limit ?? maxTtl,
    minTtl: MIN_TTL,
    on: true,
    entries: new Map(),
  });
  const stores = { success: store(MAX_SUCCESS_TTL), denial: store(MAX_DENIAL_TTL) };
  for (const o of d.block) {
    const bad = (why: string) => new CorefileError(o.line, `plugin/cache: ${why}`);
    switch (o.name) {
      case "success":
      case "denial": {
        const [capacity, ttl, minTtl] = o.args.map(Number);
        if (capacity === undefined || [capacity, ttl ?? 0, minTtl ?? 0].some((n) => !Number.isInteger(n) || n < 0))
          throw bad(`${o.name}: bad numbers`);
        const s = stores[o.name];
        s.capacity = capacity;
        s.maxTtl = ttl ?? s.maxTtl;
        s.minTtl = minTtl ?? s.minTtl;
        break;
      }
      case "disable":
        for (const which of o.args.length > 0 && !zonesNamed(o.args[0]) ? [o.args[0] as string] : ["success", "denial"]) {
          if (which !== "success" && which !== "denial") throw bad(`cache type ${which} is not one of success, denial`);
          stores[which].on = false;
        }
        break;
      case "serve_stale":
      case "prefetch":
      case "servfail":
      case "keepttl":
        break;
      default:
        throw bad(`unknown property '${o.name}'`);
    }
  }

  const lookUp = (key: string): Reply | undefined => {
    for (const kind of ["success", "denial"] as const) {
      const kept = stores[kind].entries.get(key);
      if (!kept) continue;
      const age = Math.floor((around.clock.monotonicMs() - kept.storedMs) / 1000);
      if (age >= kept.ttl) {
        stores[kind].entries.delete(key);
        continue;
      }
      around.metrics.add("coredns_cache_hits_total", { type: kind });
      return aged(kept.reply, age, kept.ttl);
    }
    around.metrics.add("coredns_cache_misses_total");
    return undefined;
  };

  const keep = (key: string, reply: Reply) => {
    const denial = reply.rcode === "NXDOMAIN" || (reply.rcode === "NOERROR" && reply.answers.length === 0);
    if (!denial && reply.rcode !== "NOERROR") return;
    const s = denial ? stores.denial : stores.success;
    if (!s.on || s.capacity === 0) return;
    const records = [...reply.answers, ...reply.authority, ...reply.additional];
    const least = records.length === 0 ? s.minTtl : Math.min(...records.map((r) => r.ttl));
    const ttl = Math.min(Math.max(least, s.minTtl), s.maxTtl);
    if (s.entries.size >= s.capacity) s.entries.delete(s.entries.keys().next().value as string);
    s.entries.set(key, { reply, storedMs: around.clock.monotonicMs(), ttl });
    around.metrics.set("coredns_cache_entries", { type: denial ? "denial" : "success" }, s.entries.size);
  };

  return {
    name: "cache",
    async answer(q, next) {
      if (!zones.some((z) => inZone(q.name.toLowerCase(), z))) return next(q);
      const key = keyOf(q);
      const known = lookUp(key);
      if (known) return renamed(known, q.name);
      const reply = await next(q);
      keep(key, reply);
      return reply;
    },
  };
}

function zonesNamed(arg: string | undefined): boolean {
  return arg?.includes(".") ?? false;
}

function keyOf(q: Question): string {
  return `${q.name.toLowerCase()} ${q.type} ${q.dnssec ? "do" : ""}`;
}

function aged(r: Reply, ageSeconds: number, ttl: number): Reply {
  const older = <T extends { ttl: number }>(list: T[]): T[] =>
    list.map((x) => ({ ...x, ttl: Math.max(0, Math.min(x.ttl, ttl) - ageSeconds) }));
  return { ...r, answers: older(r.answers), authority: older(r.authority), additional: older(r.additional) };
}

/** The kept answer in the letters of this question. */
function renamed(r: Reply, name: string): Reply {
  const lower = name.toLowerCase();
  return { ...r, answers: r.answers.map((a) => (a.name.toLowerCase() === lower ? { ...a, name } : a)) };
}
