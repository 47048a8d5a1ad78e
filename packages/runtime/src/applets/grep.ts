// grep, egrep, fgrep: lines that match patterns.
import { SysError } from "../kernel/errno.ts";
import type { Process } from "../kernel/process.ts";
import { complainOf, die, options, usage } from "./options.ts";
import { bre, ere } from "./regex.ts";
import { closeInput, encode, lines, Output, openInput } from "./streams.ts";

const USAGE = "[-HhnlLoqvsrRiwFEz] [-m N] [-A|B|C N] { PATTERN | -e PATTERN... | -f FILE... } [FILE]...";

export async function grep(p: Process): Promise<number> {
  const o = await options(p, "HhnlLoqvsrRiwxcFEzm:A:B:C:e:f:P", USAGE, {
    code: 2,
    argv: p.argv.slice(1).map((a) => (/^-\d+$/.test(a) ? `-C${a.slice(1)}` : a)),
    long: { color: "z", "line-buffered": "s" },
  });
  const f = o.flags;
  let files = o.args;
  const patterns = (o.all.get("e") ?? []).flatMap((e) => e.split("\n"));
  for (const file of o.all.get("f") ?? []) patterns.push(...p.fs.readText(file).replace(/\n$/, "").split("\n"));
  if (!f.has("e") && !f.has("f")) {
    if (files.length === 0) return usage(p, USAGE, 2);
    patterns.push(...(files[0] as string).split("\n"));
    files = files.slice(1);
  }
  const fixed = f.has("F") || p.name === "fgrep";
  const extended = f.has("E") || f.has("P") || p.name === "egrep";
  let re: RegExp;
  try {
    const sources = patterns.map((x) =>
      fixed ? encode(x).replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&") : extended ? ere(encode(x)) : bre(encode(x)),
    );
    const any = sources.map((s) => `(?:${s})`).join("|");
    re = new RegExp(f.has("x") ? `^(?:${any})$` : f.has("w") ? `(?<!\\w)(?:${any})(?!\\w)` : any, `g${f.has("i") ? "i" : ""}`);
  } catch {
    return die(p, `bad regex '${patterns[0]}': Unmatched [, [^, [:, [., or [=`, 1);
  }
  const recursive = f.has("r") || f.has("R");
  const list = recursive ? (files.length === 0 ? ["."] : files).flatMap((x) => walk(p, x)) : files.length === 0 ? ["-"] : files;
  const named = (f.has("H") || list.length > 1 || (recursive && files.length !== 1) || recursive) && !f.has("h");
  const limit = f.has("m") ? Number(o.values.get("m")) : Number.POSITIVE_INFINITY;
  const before = Number(o.values.get("B") ?? o.values.get("C") ?? 0);
  const after = Number(o.values.get("A") ?? o.values.get("C") ?? 0);
  let found = false;
  let failed = false;
  const out = new Output(p);
  for (const name of list) {
    let fd: number;
    try {
      fd = await openInput(p, name);
    } catch (e) {
      if (!(e instanceof SysError)) throw e;
      failed = true;
      if (!f.has("s")) await complainOf(p, name, e);
      continue;
    }
    const label = name === "-" ? "(standard input)" : name;
    let n = 0;
    let count = 0;
    let trailing = 0;
    let lastShown = 0;
    const held: [number, string][] = [];
    try {
      for await (const l of lines(p, fd, f.has("z") && !f.has("color") ? 10 : 10)) {
        n++;
        re.lastIndex = 0;
        const hit = re.test(l.text) !== f.has("v");
        const prefix = (sep: string, at: number) => `${named ? `${label}${sep}` : ""}${f.has("n") ? `${at}${sep}` : ""}`;
        const show = (sep: string, at: number, text: string) => {
          if ((before > 0 || after > 0) && lastShown > 0 && at > lastShown + 1) out.write("--\n");
          lastShown = at;
          return out.write(`${prefix(sep, at)}${text}\n`);
        };
        if (hit) {
          found = true;
          count++;
          if (f.has("q")) return 0;
          if (f.has("l") || f.has("L")) break;
          if (!f.has("c")) {
            if (f.has("o") && !f.has("v")) {
              re.lastIndex = 0;
              for (const m of l.text.matchAll(re)) if (m[0] !== "") await out.write(`${prefix(":", n)}${m[0]}\n`);
            } else {
              for (const [at, text] of held.splice(0)) await show("-", at, text);
              await show(":", n, l.text);
            }
          }
          trailing = after;
          if (count >= limit) break;
        } else if (trailing > 0 && !f.has("c") && !f.has("o")) {
          trailing--;
          await show("-", n, l.text);
        } else if (before > 0) {
          held.push([n, l.text]);
          if (held.length > before) held.shift();
        }
      }
    } catch (e) {
      if (!(e instanceof SysError) || e.code === "EPIPE") throw e;
      if (e.code !== "EISDIR") failed = true;
      if (e.code !== "EISDIR" && !f.has("s")) await complainOf(p, name, e);
    } finally {
      closeInput(p, fd);
    }
    if (f.has("c") && !f.has("l")) await out.write(`${named ? `${label}:` : ""}${count}\n`);
    if (f.has("l") && count > 0) await out.write(`${label}\n`);
    if (f.has("L") && count === 0) await out.write(`${label}\n`);
    await out.flush();
  }
  await out.flush();
  return failed && !(found && f.has("q")) ? 2 : found ? 0 : 1;
}

function walk(p: Process, path: string): string[] {
  const s = p.fs.tryStat(path);
  if (s?.kind !== "dir") return [path];
  return p.fs.readdir(path).flatMap((e) => walk(p, path === "/" ? `/${e.name}` : `${path}/${e.name}`));
}
