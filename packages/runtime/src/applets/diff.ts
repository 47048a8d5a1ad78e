// diff: unified differences of files and folders (busybox prints the unified form only), -q -r -N -b -w -i -B.
import { strerror } from "../kernel/errno.ts";
import type { Process } from "../kernel/process.ts";
import { complain, options, usage } from "./options.ts";
import { closeInput, Output, openInput, readAll } from "./streams.ts";

const USAGE = "[-abBdiNqrTstw] [-L LABEL] [-S FILE] [-U LINES] FILE1 FILE2";
/** Lines of each file; longer ones are compared as a whole. */
const MAX_LINES = 20_000;

export async function diff(p: Process): Promise<number> {
  const o = await options(p, "abBdiNqrTstwuL:S:U:", USAGE, { code: 2 });
  const [a, b] = o.args;
  if (a === undefined || b === undefined) return usage(p, USAGE, 2);
  const f = o.flags;
  const out = new Output(p);
  const context = Number(o.values.get("U") ?? 3);
  const labels = o.all.get("L") ?? [];
  const key = (l: string) => {
    let k = l;
    if (f.has("w")) k = k.replace(/\s+/g, "");
    else if (f.has("b")) k = k.replace(/\s+/g, " ").trimEnd();
    return f.has("i") ? k.toLowerCase() : k;
  };
  const load = async (path: string): Promise<string[] | undefined> => {
    if (f.has("N") && path !== "-" && !p.fs.exists(path)) return [];
    try {
      const fd = await openInput(p, path);
      const text = (await readAll(p, fd)).toString("latin1");
      closeInput(p, fd);
      return text === "" ? [] : text.split(/(?<=\n)/);
    } catch (e) {
      await complain(p, `can't stat '${path}': ${strerror(e)}`);
      return undefined;
    }
  };
  const compare = async (x: string, y: string): Promise<number> => {
    const left = await load(x);
    if (left === undefined) return 2;
    const right = await load(y);
    if (right === undefined) return 2;
    const edits = script(left.map(key), right.map(key));
    if (edits.every((e) => e.op === " ")) {
      if (f.has("s")) out.write(`Files ${x} and ${y} are identical\n`);
      return 0;
    }
    if (f.has("q")) {
      out.write(`Files ${x} and ${y} differ\n`);
      return 1;
    }
    out.write(`--- ${labels[0] ?? x}\n+++ ${labels[1] ?? y}\n`);
    hunks(edits, left, right, context, out);
    return 1;
  };
  const folders = async (x: string, y: string): Promise<number> => {
    const names = (d: string) => (p.fs.tryStat(d)?.kind === "dir" ? p.fs.readdir(d).map((e) => e.name) : []);
    let status = 0;
    for (const n of [...new Set([...names(x), ...names(y)])].sort()) {
      const [l, r] = [`${x}/${n}`, `${y}/${n}`];
      const [ls, rs] = [p.fs.tryStat(l), p.fs.tryStat(r)];
      if ((!ls || !rs) && !f.has("N")) {
        out.write(`Only in ${ls ? x : y}: ${n}\n`);
        status = Math.max(status, 1);
      } else if (ls?.kind === "dir" && rs?.kind === "dir") {
        if (f.has("r")) status = Math.max(status, await folders(l, r));
        else out.write(`Common subdirectories: ${l} and ${r}\n`);
      } else status = Math.max(status, await compare(l, r));
    }
    return status;
  };
  const [sa, sb] = [p.fs.tryStat(a), p.fs.tryStat(b)];
  let status: number;
  if (sa?.kind === "dir" && sb?.kind === "dir") status = await folders(a, b);
  else if (sa?.kind === "dir") status = await compare(`${a}/${b.split("/").at(-1)}`, b);
  else if (sb?.kind === "dir") status = await compare(a, `${b}/${a.split("/").at(-1)}`);
  else status = await compare(a, b);
  await out.flush();
  return status;
}

interface Edit {
  op: " " | "-" | "+";
  a: number;
  b: number;
}

/** Longest common subsequence; what is common at both ends is cut off first. */
function script(a: string[], b: string[]): Edit[] {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  const x = a.slice(start, a.length - end);
  const y = b.slice(start, b.length - end);
  const out: Edit[] = [];
  for (let i = 0; i < start; i++) out.push({ op: " ", a: i, b: i });
  if (x.length * y.length > MAX_LINES * 1000) {
    x.forEach((_, i) => void out.push({ op: "-", a: start + i, b: start }));
    y.forEach((_, i) => void out.push({ op: "+", a: start + x.length, b: start + i }));
  } else {
    const w = y.length + 1;
    const t = new Int32Array((x.length + 1) * w);
    for (let i = x.length - 1; i >= 0; i--)
      for (let j = y.length - 1; j >= 0; j--)
        t[i * w + j] =
          x[i] === y[j] ? (t[(i + 1) * w + j + 1] as number) + 1 : Math.max(t[(i + 1) * w + j] as number, t[i * w + j + 1] as number);
    let i = 0;
    let j = 0;
    while (i < x.length || j < y.length) {
      if (i < x.length && j < y.length && x[i] === y[j]) out.push({ op: " ", a: start + i++, b: start + j++ });
      else if (j >= y.length || (i < x.length && (t[(i + 1) * w + j] as number) >= (t[i * w + j + 1] as number)))
        out.push({ op: "-", a: start + i++, b: start + j });
      else out.push({ op: "+", a: start + i, b: start + j++ });
    }
  }
  for (let i = 0; i < end; i++) out.push({ op: " ", a: a.length - end + i, b: b.length - end + i });
  return out;
}

function hunks(edits: Edit[], a: string[], b: string[], context: number, out: Output): void {
  for (let i = 0; i < edits.length; ) {
    if (edits[i]?.op === " ") {
      i++;
      continue;
    }
    const from = Math.max(0, i - context);
    let to = i;
    for (let k = i, quiet = 0; k < edits.length && quiet <= context * 2; k++) {
      if (edits[k]?.op === " ") quiet++;
      else {
        quiet = 0;
        to = k;
      }
    }
    const stop = Math.min(edits.length, to + 1 + context);
    const part = edits.slice(from, stop);
    const count = (ops: string) => part.filter((e) => ops.includes(e.op)).length;
    const range = (at: number, n: number) => (n === 1 ? String(at + 1) : `${n === 0 ? at : at + 1},${n}`);
    out.write(`@@ -${range(part[0]?.a ?? 0, count(" -"))} +${range(part[0]?.b ?? 0, count(" +"))} @@\n`);
    for (const e of part) {
      const line = e.op === "+" ? (b[e.b] as string) : (a[e.a] as string);
      out.write(`${e.op}${line}${line.endsWith("\n") ? "" : "\n\\ No newline at end of file\n"}`);
    }
    i = stop;
  }
}
