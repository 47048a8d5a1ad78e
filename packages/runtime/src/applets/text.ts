// Applets that pass text through: cat, head, tail, wc, tee, cut, tr, sort, uniq, seq, rev, tac, nl, paste, fold, expand, yes.
import { SysError, strerror } from "../kernel/errno.ts";
import type { Process } from "../kernel/process.ts";
import { complain, complainOf, die, number, options, usage } from "./options.ts";
import { chunks, closeInput, encode, lines, Output, openInput, raw, readAll } from "./streams.ts";

/** Runs `body` over each file (standard input when there is none); a file that cannot be read is reported. */
async function eachFile(
  p: Process,
  files: string[],
  report: (name: string, e: SysError) => Promise<void>,
  body: (fd: number, name: string) => Promise<void>,
): Promise<number> {
  let status = 0;
  for (const name of files.length === 0 ? ["-"] : files) {
    try {
      const fd = await openInput(p, name);
      try {
        await body(fd, name);
      } finally {
        closeInput(p, fd);
      }
    } catch (e) {
      if (!(e instanceof SysError) || e.code === "EPIPE") throw e;
      await report(name, e);
      status = 1;
    }
  }
  return status;
}

export const cantOpen = (p: Process) => (name: string, e: SysError) =>
  e.code === "EISDIR" || e.code === "EBADF"
    ? complain(p, `read error: ${strerror(e)}`)
    : complain(p, `can't open '${name}': ${strerror(e)}`);
const plainly = (p: Process) => (name: string, e: SysError) => complainOf(p, name, e);

export async function cat(p: Process): Promise<number> {
  const o = await options(p, "nbvteAu", "[-nbvteA] [FILE]...");
  const number = o.flags.has("n") || o.flags.has("b");
  const ends = o.flags.has("e") || o.flags.has("A");
  const visible = o.flags.has("v") || ends || o.flags.has("t");
  const tabs = o.flags.has("t") || o.flags.has("A");
  let n = 0;
  const out = new Output(p);
  return eachFile(p, o.args, cantOpen(p), async (fd) => {
    if (!number && !visible) {
      for await (const c of chunks(p, fd)) await p.write(1, c);
      return;
    }
    for await (const l of lines(p, fd)) {
      let text = l.text;
      if (visible) text = text.replace(/[\x00-\x08\x0b-\x1f\x7f-\xff]|\t/g, (c) => (c === "\t" ? (tabs ? "^I" : c) : caret(c)));
      if (number && (!o.flags.has("b") || l.text !== "")) text = `${String(++n).padStart(6)}\t${text}`;
      out.write(text + (l.ended ? (ends ? "$\n" : "\n") : ""));
    }
    await out.flush();
  });
}

function caret(c: string): string {
  const b = c.charCodeAt(0);
  if (b >= 128) return `M-${b - 128 < 32 || b === 255 ? caret(String.fromCharCode(b - 128)) : String.fromCharCode(b - 128)}`;
  return `^${String.fromCharCode(b ^ 64)}`;
}

export async function head(p: Process): Promise<number> {
  const argv = p.argv.slice(1).map((a, i, l) => (/^-\d+$/.test(a) && !/^-[nc]$/.test(l[i - 1] ?? "") ? `-n${a.slice(1)}` : a));
  const o = await options(p, "n:c:qv", "[OPTIONS] [FILE]...", { argv });
  const byBytes = o.flags.has("c");
  const count = await number(p, o.values.get(byBytes ? "c" : "n") ?? "10", { negative: true });
  const titles = (o.args.length > 1 && !o.flags.has("q")) || o.flags.has("v");
  let first = true;
  return eachFile(p, o.args, plainly(p), async (fd, name) => {
    if (titles) await p.print(`${first ? "" : "\n"}==> ${name === "-" ? "standard input" : name} <==\n`);
    first = false;
    if (count < 0) {
      const all = (await readAll(p, fd)).toString("latin1");
      if (byBytes) return void (await p.write(1, raw(all.slice(0, count))));
      const list = all.split(/(?<=\n)/);
      return void (await p.write(1, raw(list.slice(0, count).join(""))));
    }
    let left = count;
    if (byBytes) {
      while (left > 0) {
        const b = await p.read(fd, Math.min(left, 65_536));
        if (b.length === 0) return;
        left -= b.length;
        await p.write(1, b);
      }
      return;
    }
    const out = new Output(p);
    if (left > 0)
      for await (const l of lines(p, fd)) {
        out.write(l.text + (l.ended ? "\n" : ""));
        if (--left === 0) break;
      }
    await out.flush();
  });
}

const FOLLOW_MS = 100;

export async function tail(p: Process): Promise<number> {
  const argv = p.argv
    .slice(1)
    .map((a, i, l) => (/^[-+]\d+$/.test(a) && !/^-[nc]$/.test(l[i - 1] ?? "") ? `-n${a.startsWith("+") ? a : a.slice(1)}` : a));
  const o = await options(p, "n:c:fFqvs:", "[OPTIONS] [FILE]...", { argv });
  const byBytes = o.flags.has("c");
  const text = o.values.get(byBytes ? "c" : "n") ?? "10";
  const fromStart = text.startsWith("+");
  const count = Math.abs(await number(p, text, { negative: true }));
  const follow = o.flags.has("f") || o.flags.has("F");
  const titles = (o.args.length > 1 && !o.flags.has("q")) || o.flags.has("v");
  const open: { fd: number; name: string }[] = [];
  let status = 0;
  let shown = "";
  let opened = 0;
  const show = async (name: string) => {
    if (titles && shown !== name) await p.print(`${shown === "" ? "" : "\n"}==> ${name === "-" ? "standard input" : name} <==\n`);
    shown = name;
  };
  for (const name of o.args.length === 0 ? ["-"] : o.args) {
    let fd: number;
    try {
      fd = await openInput(p, name);
    } catch (e) {
      if (!(e instanceof SysError)) throw e;
      await complain(p, `can't open '${name}': ${strerror(e)}`);
      status = 1;
      continue;
    }
    opened++;
    await show(name);
    const all = (await readAll(p, fd)).toString("latin1");
    let part: string;
    if (byBytes) part = fromStart ? all.slice(Math.max(0, count - 1)) : count === 0 ? "" : all.slice(-count);
    else {
      const list = all === "" ? [] : all.split(/(?<=\n)/);
      part = (fromStart ? list.slice(Math.max(0, count - 1)) : count === 0 ? [] : list.slice(-count)).join("");
    }
    await p.write(1, raw(part));
    if (follow) open.push({ fd, name });
    else closeInput(p, fd);
  }
  if (opened === 0) return die(p, "no files");
  while (follow && open.length > 0) {
    for (const f of open) {
      for (;;) {
        const b = p.fds.get(f.fd).readNow(65_536);
        if (b === undefined || b.length === 0) break;
        await show(f.name);
        await p.write(1, b);
      }
    }
    await p.sleep(FOLLOW_MS);
  }
  return status;
}

export async function wc(p: Process): Promise<number> {
  const o = await options(p, "clwmL", "[-cmlwL] [FILE]...");
  const want = ["l", "w", "m", "c", "L"].filter((f) => o.flags.has(f));
  const fields = want.length > 0 ? want : ["l", "w", "c"];
  const total: Record<string, number> = { l: 0, w: 0, m: 0, c: 0, L: 0 };
  const row = (counts: Record<string, number>, name: string) => {
    const numbers = fields.map((f) => String(counts[f]).padStart(fields.length > 1 ? 9 : 1)).join(fields.length > 1 ? " " : "");
    return `${numbers}${name === "" ? "" : ` ${name}`}\n`;
  };
  const status = await eachFile(p, o.args, plainly(p), async (fd, name) => {
    const c: Record<string, number> = { l: 0, w: 0, m: 0, c: 0, L: 0 };
    let inWord = false;
    let width = 0;
    for await (const bytes of chunks(p, fd)) {
      c["c"] = (c["c"] as number) + bytes.length;
      for (const b of bytes) {
        c["m"] = (c["m"] as number) + 1;
        if (b === 10) {
          c["l"] = (c["l"] as number) + 1;
          c["L"] = Math.max(c["L"] as number, width);
          width = 0;
        } else width++;
        const space = b === 32 || (b >= 9 && b <= 13);
        if (!space && !inWord) c["w"] = (c["w"] as number) + 1;
        inWord = !space;
      }
    }
    c["L"] = Math.max(c["L"] as number, width);
    for (const k of Object.keys(total))
      total[k] = k === "L" ? Math.max(total[k] as number, c[k] as number) : (total[k] as number) + (c[k] as number);
    await p.print(row(c, o.args.length === 0 ? "" : name));
  });
  if (o.args.length > 1) await p.print(row(total, "total"));
  return status;
}

export async function tee(p: Process): Promise<number> {
  const o = await options(p, "ai", "[-ai] [FILE]...");
  let status = 0;
  const fds = [1];
  for (const f of o.args) {
    try {
      fds.push(await p.open(f, { write: true, create: true, append: o.flags.has("a"), truncate: !o.flags.has("a") }));
    } catch (e) {
      await complain(p, `${f}: ${strerror(e)}`);
      status = 1;
    }
  }
  for await (const c of chunks(p, 0)) for (const fd of fds) await p.write(fd, c);
  return status;
}

/** "1,3-5,7-" as ranges from 1. */
async function ranges(p: Process, list: string): Promise<[number, number][]> {
  const out: [number, number][] = [];
  for (const item of list.split(",")) {
    const m = /^(\d*)(-?)(\d*)$/.exec(item);
    if (!m || (m[1] === "" && m[3] === "")) return die(p, `invalid number '${item}'`);
    const from = m[1] === "" ? 1 : Number(m[1]);
    const to = m[2] === "" ? from : m[3] === "" ? Number.POSITIVE_INFINITY : Number(m[3]);
    out.push([from, to]);
  }
  return out.sort((a, b) => a[0] - b[0]);
}

export async function cut(p: Process): Promise<number> {
  const o = await options(p, "b:c:f:d:sno:D", "{-b|c LIST | -f LIST [-d SEP] [-s]} [-D] [-O SEP] [FILE]...", {
    long: { "output-delimiter": "o" },
  });
  const kind = ["f", "c", "b"].find((k) => o.flags.has(k));
  if (kind === undefined) return die(p, "expected a list of bytes, characters, or fields");
  const list = await ranges(p, o.values.get(kind) as string);
  const sep = encode(o.values.get("d") ?? "\t");
  const inside = (n: number) => list.some(([a, b]) => n >= a && n <= b);
  const out = new Output(p);
  const status = await eachFile(p, o.args, plainly(p), async (fd) => {
    for await (const l of lines(p, fd)) {
      if (kind === "f") {
        if (!l.text.includes(sep)) {
          if (!o.flags.has("s")) await out.write(`${l.text}\n`);
          continue;
        }
        await out.write(
          `${l.text
            .split(sep)
            .filter((_, i) => inside(i + 1))
            .join(o.values.get("o") ?? sep)}\n`,
        );
      } else await out.write(`${[...l.text].filter((_, i) => inside(i + 1)).join("")}\n`);
    }
    await out.flush();
  });
  return status;
}

export async function uniq(p: Process): Promise<number> {
  const o = await options(p, "cdiuf:s:w:z", "[-cduiz] [-f,s,w N] [FILE [OUTFILE]]");
  const skipFields = Number(o.values.get("f") ?? 0);
  const skipChars = Number(o.values.get("s") ?? 0);
  const width = o.values.get("w") === undefined ? undefined : Number(o.values.get("w"));
  const key = (l: string) => {
    let k = l;
    for (let i = 0; i < skipFields; i++) k = k.replace(/^[ \t]*[^ \t]+/, "");
    k = k.slice(skipChars, width === undefined ? undefined : skipChars + width);
    return o.flags.has("i") ? k.toLowerCase() : k;
  };
  const out = new Output(p);
  let current: string | undefined;
  let count = 0;
  const emit = () => {
    if (current === undefined) return;
    if (o.flags.has("d") && count < 2) return;
    if (o.flags.has("u") && count > 1) return;
    out.write(`${o.flags.has("c") ? `${String(count).padStart(7)} ` : ""}${current}\n`);
  };
  const status = await eachFile(p, o.args.slice(0, 1), plainly(p), async (fd) => {
    for await (const l of lines(p, fd)) {
      if (current !== undefined && key(current) === key(l.text)) {
        count++;
        continue;
      }
      emit();
      current = l.text;
      count = 1;
    }
  });
  emit();
  if (o.args[1] !== undefined) p.fds.set(1, await p.openFile(o.args[1], { write: true, create: true, truncate: true }));
  await out.flush();
  return status;
}

export async function seq(p: Process): Promise<number> {
  const args = p.argv.slice(1);
  let sep = "\n";
  let equal = false;
  while (args[0] !== undefined && /^-[ws]/.test(args[0])) {
    const a = args.shift() as string;
    if (a.startsWith("-w")) equal = true;
    else sep = a.length > 2 ? a.slice(2) : (args.shift() ?? "");
  }
  if (args.length === 0 || args.length > 3) return usage(p, "[-w] [-s SEP] [FIRST [INC]] LAST");
  for (const a of args) if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(a)) return die(p, `invalid number '${a}'`);
  const first = args.length > 1 ? Number(args[0]) : 1;
  const step = args.length > 2 ? Number(args[1]) : 1;
  const last = Number(args.at(-1));
  if (step === 0) return die(p, "increment is zero");
  const decimals = Math.max(...args.map((a) => /\.(\d+)/.exec(a)?.[1]?.length ?? 0));
  const width = equal ? Math.max(first.toFixed(decimals).length, last.toFixed(decimals).length) : 0;
  const out = new Output(p);
  for (let i = 0; ; i++) {
    const v = first + i * step;
    if (step > 0 ? v > last + 1e-10 : v < last - 1e-10) {
      if (i > 0) out.write("\n");
      break;
    }
    let text = v.toFixed(decimals);
    if (equal) text = v < 0 ? `-${text.slice(1).padStart(width - 1, "0")}` : text.padStart(width, "0");
    const wait = out.write((i > 0 ? sep : "") + text);
    if (wait) await wait;
  }
  await out.flush();
  return 0;
}

export async function rev(p: Process): Promise<number> {
  const out = new Output(p);
  return eachFile(p, p.argv.slice(1), plainly(p), async (fd) => {
    for await (const l of lines(p, fd))
      out.write(`${encode([...Buffer.from(l.text, "latin1").toString("utf8")].reverse().join(""))}${l.ended ? "\n" : ""}`);
    await out.flush();
  });
}

export async function tac(p: Process): Promise<number> {
  return eachFile(p, p.argv.slice(1), plainly(p), async (fd) => {
    const all = (await readAll(p, fd)).toString("latin1");
    await p.write(
      1,
      raw(
        all
          .split(/(?<=\n)/)
          .reverse()
          .join(""),
      ),
    );
  });
}

export async function nl(p: Process): Promise<number> {
  const o = await options(p, "b:i:n:s:v:w:l:p", "[OPTIONS] [FILE]...");
  const style = o.values.get("b") ?? "t";
  const width = Number(o.values.get("w") ?? 6);
  const sep = o.values.get("s") ?? "\t";
  let n = Number(o.values.get("v") ?? 1);
  const out = new Output(p);
  return eachFile(p, o.args, plainly(p), async (fd) => {
    for await (const l of lines(p, fd)) {
      if (style === "a" || (style === "t" && l.text !== "")) {
        out.write(`${String(n).padStart(width)}${sep}${l.text}\n`);
        n += Number(o.values.get("i") ?? 1);
      } else out.write(`${" ".repeat(width + sep.length)}${l.text}\n`);
    }
    await out.flush();
  });
}

export async function paste(p: Process): Promise<number> {
  const o = await options(p, "d:s", "[-d LIST] [-s] [FILE]...");
  const delimiters = (o.values.get("d") ?? "\t").replace(/\\n/g, "\n").replace(/\\t/g, "\t").replace(/\\0/g, "");
  const delimiter = (i: number) => delimiters[i % Math.max(1, delimiters.length)] ?? "";
  const files = o.args.length === 0 ? ["-"] : o.args;
  const readers: AsyncGenerator<{ text: string; ended: boolean }>[] = [];
  const shared = lines(p, 0);
  for (const f of files) {
    try {
      readers.push(f === "-" ? shared : lines(p, await openInput(p, f)));
    } catch (e) {
      return die(p, `${f}: ${strerror(e)}`);
    }
  }
  const out = new Output(p);
  if (o.flags.has("s")) {
    for (const r of readers) {
      let i = 0;
      for await (const l of r) out.write(`${i > 0 ? delimiter(i - 1) : ""}${l.text}${i++ < 0 ? "" : ""}`);
      out.write("\n");
    }
  } else
    for (;;) {
      const row: string[] = [];
      let any = false;
      for (const r of readers) {
        const n = await r.next();
        if (!n.done) any = true;
        row.push(n.done ? "" : n.value.text);
      }
      if (!any) break;
      out.write(`${row.map((t, i) => (i > 0 ? delimiter(i - 1) : "") + t).join("")}\n`);
    }
  await out.flush();
  return 0;
}

export async function fold(p: Process): Promise<number> {
  const o = await options(p, "bsw:", "[-bs] [-w WIDTH] [FILE]...");
  const width = await number(p, o.values.get("w") ?? "80");
  const out = new Output(p);
  return eachFile(p, o.args, plainly(p), async (fd) => {
    for await (const l of lines(p, fd)) {
      let rest = l.text;
      while (rest.length > width) {
        let at = width;
        if (o.flags.has("s")) {
          const space = rest.slice(0, width).lastIndexOf(" ");
          if (space >= 0) at = space + 1;
        }
        out.write(`${rest.slice(0, at)}\n`);
        rest = rest.slice(at);
      }
      out.write(rest + (l.ended ? "\n" : ""));
    }
    await out.flush();
  });
}

export async function expand(p: Process): Promise<number> {
  const o = await options(p, "fit:", "[-i] [-t N] [FILE]...");
  const stop = await number(p, o.values.get("t") ?? "8");
  const out = new Output(p);
  return eachFile(p, o.args, plainly(p), async (fd) => {
    for await (const l of lines(p, fd)) {
      let text = "";
      for (const c of l.text) text += c === "\t" ? " ".repeat(stop - (text.length % stop)) : c;
      out.write(text + (l.ended ? "\n" : ""));
    }
    await out.flush();
  });
}

export async function yes(p: Process): Promise<number> {
  const line = `${p.argv.length > 1 ? p.argv.slice(1).join(" ") : "y"}\n`;
  const block = Buffer.from(line.repeat(Math.ceil(4096 / line.length)));
  for (;;) {
    await p.write(1, block);
    const pause = p.checkpoint();
    if (pause) await pause;
  }
}
