// tr: translates, deletes and squeezes characters (POSIX tr), on bytes.
import type { Process } from "../kernel/process.ts";
import { options, usage } from "./options.ts";
import { chunks, encode, raw } from "./streams.ts";

/** A tr set: escapes, ranges, classes. */
function trSet(spec: string): string {
  const classes: Record<string, string> = {
    alpha: "A-Za-z",
    digit: "0-9",
    alnum: "0-9A-Za-z",
    upper: "A-Z",
    lower: "a-z",
    space: "\t\n\v\f\r ",
    blank: "\t ",
    punct: "!-/:-@[-`{-~",
    xdigit: "0-9A-Fa-f",
  };
  let text = encode(spec).replace(/\[:(\w+):\]/g, (w, c: string) => classes[c] ?? w);
  text = text.replace(/\\([0-7]{1,3}|.)/g, (_, c: string) => {
    if (/^[0-7]/.test(c)) return String.fromCharCode(Number.parseInt(c, 8) & 255);
    return ({ n: "\n", t: "\t", r: "\r", a: "\x07", b: "\b", f: "\f", v: "\v", "\\": "\\" } as Record<string, string>)[c] ?? c;
  });
  return text.replace(/([\s\S])-([\s\S])/g, (w, a: string, b: string) => {
    let out = "";
    if (a > b) return w;
    for (let i = a.charCodeAt(0); i <= b.charCodeAt(0); i++) out += String.fromCharCode(i);
    return out;
  });
}

export async function tr(p: Process): Promise<number> {
  const o = await options(p, "+cCds", "[-cds] STRING1 [STRING2]");
  if (o.args.length < 1) return usage(p, "[-cds] STRING1 [STRING2]");
  let first = trSet(o.args[0] as string);
  if (o.flags.has("c") || o.flags.has("C")) {
    const not = new Set(first);
    first = "";
    for (let i = 0; i < 256; i++) if (!not.has(String.fromCharCode(i))) first += String.fromCharCode(i);
  }
  const second = o.args[1] === undefined ? "" : trSet(o.args[1]);
  const remove = o.flags.has("d") ? new Set(first) : undefined;
  const squeeze = o.flags.has("s") ? new Set(second !== "" ? second : first) : undefined;
  const map = new Map<string, string>();
  if (!remove && second !== "") for (const [i, c] of [...first].entries()) map.set(c, second[Math.min(i, second.length - 1)] as string);
  let last = "";
  for await (const chunk of chunks(p, 0)) {
    let out = "";
    for (const c of Buffer.from(chunk).toString("latin1")) {
      if (remove?.has(c)) continue;
      const to = map.get(c) ?? c;
      if (squeeze?.has(to) && to === last) continue;
      out += to;
      last = to;
    }
    await p.write(1, raw(out));
  }
  return 0;
}
