// `rewrite [continue|stop] [name] [exact|prefix|suffix|substring|regex] FROM TO [answer auto]`, `... type FROM TO`, `... ttl exact NAME SECONDS`.
// The question is rewritten on its way down; the reply carries the original question again, and with `answer auto` (and for exact
// and suffix always) the records that carry the new name are named back.
import { RE2JS } from "re2js";
import { CorefileError, type Directive } from "../corefile.ts";
import type { Plugin, Question, Reply } from "../plugin.ts";

interface Rule {
  stop: boolean;
  /** The question as it goes on; undefined when the rule does not match. */
  apply(q: Question): { q: Question; back?: (r: Reply) => Reply } | undefined;
}

export function rewritePlugin(directives: readonly Directive[]): Plugin {
  const rules = directives.flatMap((d) =>
    d.args.length > 0 ? [ruleOf(d.args, d.line)] : d.block.map((b) => ruleOf([b.name, ...b.args], b.line)),
  );
  return {
    name: "rewrite",
    async answer(q, next) {
      let current = q;
      const undo: ((r: Reply) => Reply)[] = [];
      for (const rule of rules) {
        const hit = rule.apply(current);
        if (!hit) continue;
        current = hit.q;
        if (hit.back) undo.push(hit.back);
        if (rule.stop) break;
      }
      let reply = await next(current);
      for (const back of undo.reverse()) reply = back(reply);
      return reply;
    },
  };
}

const KINDS = ["exact", "prefix", "suffix", "substring", "regex"];

function ruleOf(all: readonly string[], line: number): Rule {
  const bad = (why: string) => new CorefileError(line, `plugin/rewrite: ${why}`);
  const args = [...all];
  const mode = args[0] === "continue" || args[0] === "stop" ? args.shift() : "stop";
  const field = args.shift();
  const stop = mode !== "continue";
  if (field === "type") {
    const [from, to] = args;
    if (from === undefined || to === undefined) throw bad("a type rule needs FROM and TO");
    return { stop, apply: (q) => (q.type === from ? { q: { ...q, type: to } } : undefined) };
  }
  if (field === "ttl") {
    const kind = KINDS.includes(args[0] ?? "") ? (args.shift() as string) : "exact";
    const [name, seconds] = args;
    if (name === undefined || !/^\d+(-\d+)?$/.test(seconds ?? "")) throw bad("a ttl rule needs a name and seconds");
    const match = matcher(kind, name, "", bad);
    const [low = 0, high] = (seconds as string).split("-").map(Number);
    const clamp = (ttl: number) => (high === undefined ? low : Math.min(Math.max(ttl, low), high));
    const back = (r: Reply): Reply => ({ ...r, answers: r.answers.map((a) => ({ ...a, ttl: clamp(a.ttl) })) });
    return { stop, apply: (q) => (match(q.name) === undefined ? undefined : { q, back }) };
  }
  if (field !== "name") throw bad(`invalid rule type '${field}'`);
  const kind = KINDS.includes(args[0] ?? "") ? (args.shift() as string) : "exact";
  const [from, to, ...rest] = args;
  if (from === undefined || to === undefined) throw bad("a name rule needs FROM and TO");
  const auto = kind === "exact" || kind === "suffix" || (rest[0] === "answer" && (rest[1] === "auto" || rest[1] === "name"));
  const match = matcher(kind, from, to, bad);
  return {
    stop,
    apply(q) {
      const name = match(q.name);
      if (name === undefined) return undefined;
      return { q: { ...q, name }, ...(auto ? { back: (r: Reply) => namedBack(r, name, q.name) } : {}) };
    },
  };
}

type Match = (name: string) => string | undefined;

/** Answers the new name, or undefined when `name` does not match. Regular expressions are RE2: no input can make them slow. */
function matcher(kind: string, from: string, to: string, bad: (why: string) => Error): Match {
  const dotted = (s: string) => (s.endsWith(".") ? s : `${s}.`);
  const wanted = from.toLowerCase();
  switch (kind) {
    case "exact":
      return (n) => (n.toLowerCase() === dotted(wanted) ? dotted(to) : undefined);
    case "prefix":
      return (n) => (n.toLowerCase().startsWith(wanted) ? to + n.slice(wanted.length) : undefined);
    case "suffix":
      return (n) => (n.toLowerCase().endsWith(dotted(wanted)) ? n.slice(0, n.length - dotted(wanted).length) + dotted(to) : undefined);
    case "substring":
      return (n) => (n.toLowerCase().includes(wanted) ? n.toLowerCase().replaceAll(wanted, to) : undefined);
    default: {
      let pattern: RE2JS;
      try {
        pattern = RE2JS.compile(from);
      } catch {
        throw bad(`invalid regex pattern in a name rule: ${from}`);
      }
      return (n) => {
        const m = pattern.matcher(n);
        if (!m.find()) return undefined;
        return dotted(to.replace(/\{(\d+)\}/g, (_, i: string) => (Number(i) <= m.groupCount() ? (m.group(Number(i)) ?? "") : "")));
      };
    }
  }
}

function namedBack(r: Reply, from: string, to: string): Reply {
  const lower = from.toLowerCase();
  const rename = <T extends { name: string }>(list: T[]): T[] => list.map((x) => (x.name.toLowerCase() === lower ? { ...x, name: to } : x));
  return { ...r, answers: rename(r.answers), additional: rename(r.additional) };
}
