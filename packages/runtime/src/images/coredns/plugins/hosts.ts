// `hosts [FILE [ZONES...]] { ADDRESS NAME...; ttl N; no_reverse; reload D; fallthrough [ZONES...] }`: names as hosts(5) gives them.
import { CorefileError, type Directive, inZone, zonesOf } from "../corefile.ts";
import { emptyReply, type Plugin, type Surroundings } from "../plugin.ts";
import { canonicalIp, type Record, reverseIp } from "../records.ts";

const DEFAULT_TTL = 3600;

export function hostsPlugin(d: Directive, blockZones: readonly string[], around: Surroundings): Plugin {
  const [file = "/etc/hosts", ...zoneArgs] = d.args;
  const zones = zoneArgs.length > 0 ? zoneArgs.flatMap(zonesOf) : [...blockZones];
  const byName = new Map<string, string[]>();
  const byAddress = new Map<string, string[]>();
  let ttl = DEFAULT_TTL;
  let reverse = true;
  let fallthrough: string[] = [];
  const add = (address: string, names: string[]) => {
    const ip = canonicalIp(address);
    for (const n of names) {
      const name = n.toLowerCase().endsWith(".") ? n.toLowerCase() : `${n.toLowerCase()}.`;
      byName.set(name, [...(byName.get(name) ?? []), ip]);
      byAddress.set(ip, [...(byAddress.get(ip) ?? []), name]);
    }
  };
  for (const o of d.block) {
    if (o.name === "ttl") {
      ttl = Number(o.args[0]);
      if (!Number.isInteger(ttl) || ttl <= 0 || ttl > 65_535)
        throw new CorefileError(o.line, `plugin/hosts: ttl provided is invalid: ${o.args[0]}`);
    } else if (o.name === "no_reverse") reverse = false;
    else if (o.name === "fallthrough") fallthrough = o.args.length > 0 ? o.args.flatMap(zonesOf) : ["."];
    else if (/^[\d.]+$|:/.test(o.name)) add(o.name, o.args);
    else if (o.name !== "reload") throw new CorefileError(o.line, `plugin/hosts: unknown property '${o.name}'`);
  }
  for (const line of readable(around, file).split("\n")) {
    const [address, ...names] = line.replace(/#.*$/, "").trim().split(/\s+/);
    if (address) add(address, names);
  }

  return {
    name: "hosts",
    async answer(q, next) {
      const name = q.name.toLowerCase();
      if (!zones.some((z) => inZone(name, z))) return next(q);
      const record = (data: string): Record => ({ name: q.name, type: q.type, ttl, data });
      let answers: Record[] = [];
      if (q.type === "PTR" && reverse) answers = (byAddress.get(reverseIp(name) ?? "") ?? []).map(record);
      else if (q.type === "A" || q.type === "AAAA")
        answers = (byName.get(name) ?? []).filter((ip) => ip.includes(":") === (q.type === "AAAA")).map(record);
      if (answers.length > 0 || byName.has(name)) return { ...emptyReply("NOERROR"), answers, authoritative: true };
      if (fallthrough.some((z) => inZone(name, z))) return next(q);
      // There is no SOA to say NXDOMAIN with.
      return emptyReply("SERVFAIL");
    },
  };
}

function readable(around: Surroundings, file: string): string {
  try {
    return around.readText(file);
  } catch {
    return ""; // A hosts file that is not there has no names.
  }
}
