// `log [ZONES...] { class success|denial|error|all }` and `errors`: one line a question, one line a failure, in CoreDNS's format.
import { CorefileError, type Directive, inZone, zonesOf } from "../corefile.ts";
import type { Plugin, Reply, Surroundings } from "../plugin.ts";

export function logPlugin(d: Directive, blockZones: readonly string[], around: Surroundings, sizeOf: (r: Reply) => number): Plugin {
  const zones = d.args.filter((a) => !a.startsWith("{")).flatMap(zonesOf);
  const where = zones.length > 0 ? zones : [...blockZones];
  const classes = new Set<string>();
  for (const o of d.block) {
    if (o.name !== "class") throw new CorefileError(o.line, `plugin/log: unknown property '${o.name}'`);
    for (const c of o.args) {
      if (!["success", "denial", "error", "all"].includes(c)) throw new CorefileError(o.line, `plugin/log: unknown class '${c}'`);
      classes.add(c);
    }
  }
  const shows = (r: Reply) => classes.size === 0 || classes.has("all") || classes.has(classOf(r));
  return {
    name: "log",
    async answer(q, next) {
      const startMs = around.clock.monotonicMs();
      const r = await next(q);
      if (!where.some((z) => inZone(q.name.toLowerCase(), z)) || !shows(r)) return r;
      const from = q.from.address.includes(":") ? `[${q.from.address}]:${q.from.port}` : `${q.from.address}:${q.from.port}`;
      const flags = ["qr", ...(r.authoritative ? ["aa"] : []), "rd", ...(r.authoritative ? [] : ["ra"])].join(",");
      const seconds = ((around.clock.monotonicMs() - startMs) / 1000).toFixed(9);
      around.print(
        `[INFO] ${from} - ${q.id} "${q.type} IN ${q.name} ${q.protocol} ${q.sizeBytes} ${q.dnssec} ${q.bufferBytes}" ${r.rcode} ${flags} ${sizeOf(r)} ${seconds}s`,
      );
      return r;
    },
  };
}

function classOf(r: Reply): string {
  if (r.rcode === "NXDOMAIN" || (r.rcode === "NOERROR" && r.answers.length === 0)) return "denial";
  return r.rcode === "NOERROR" ? "success" : "error";
}

export function errorsPlugin(around: Surroundings): Plugin {
  return {
    name: "errors",
    async answer(q, next) {
      const r = await next(q);
      if (r.error !== undefined) around.print(`[ERROR] plugin/errors: 2 ${q.name} ${q.type}: ${r.error}`);
      return r;
    },
  };
}
