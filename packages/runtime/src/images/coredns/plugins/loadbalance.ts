// `loadbalance [round_robin]`: address records in random order, behind the CNAMEs that lead to them.
import type { Random } from "@podwire/base";
import { CorefileError, type Directive } from "../corefile.ts";
import type { Plugin } from "../plugin.ts";
import type { Record } from "../records.ts";

export function loadbalancePlugin(d: Directive, random: Random): Plugin {
  if (d.args[0] !== undefined && d.args[0] !== "round_robin")
    throw new CorefileError(d.line, `plugin/loadbalance: unknown policy: ${d.args[0]}`);
  const mixed = (records: Record[]): Record[] => {
    const addresses = random.shuffle(records.filter((r) => r.type === "A" || r.type === "AAAA"));
    return [...records.filter((r) => r.type === "CNAME"), ...addresses, ...records.filter((r) => !["A", "AAAA", "CNAME"].includes(r.type))];
  };
  return {
    name: "loadbalance",
    async answer(q, next) {
      const r = await next(q);
      return r.answers.length > 1 ? { ...r, answers: mixed(r.answers) } : r;
    },
  };
}
