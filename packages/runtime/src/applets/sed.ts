// sed: the stream editor (POSIX, with busybox's and GNU's -i, -r, -E, I, 0~step, a/i/c on one line).
import { SysError, strerror } from "../kernel/errno.ts";
import type { Process } from "../kernel/process.ts";
import { complain, complainOf, die, options, usage } from "./options.ts";
import { bre, ere } from "./regex.ts";
import { closeInput, encode, Output, openInput, raw, readAll } from "./streams.ts";

type Address =
  | { t: "line"; n: number }
  | { t: "last" }
  | { t: "re"; re: RegExp | "last" }
  | { t: "plus"; n: number }
  | { t: "multiple"; n: number };

interface Command {
  from: Address | undefined;
  to: Address | undefined;
  not: boolean;
  name: string;
  text: string;
  re: RegExp | "last" | undefined;
  replacement: string;
  global: boolean;
  nth: number;
  print: boolean;
  file: string;
  label: string;
  target: number;
  map: Map<string, string> | undefined;
  active: boolean;
  end: number;
}

const USAGE = "[-i[SFX]] [-nrE] [-f FILE]... [-e CMD]... [FILE]...\nor: sed [-i[SFX]] [-nrE] CMD [FILE]...";

class SedError extends Error {}

export async function sed(p: Process): Promise<number> {
  // -i takes its suffix only when it is joined.
  let suffix: string | undefined;
  const argv: string[] = [];
  for (const a of p.argv.slice(1)) {
    const m = /^-([nrEsz]*)i(.*)$/.exec(a);
    if (m && suffix === undefined && !argv.includes("--")) {
      suffix = m[2] as string;
      if (m[1] !== "") argv.push(`-${m[1]}`);
    } else argv.push(a);
  }
  const o = await options(p, "nrEsze:f:", USAGE, {
    argv,
    long: { quiet: "n", silent: "n", "regexp-extended": "r", expression: "e", file: "f" },
  });
  let files = o.args;
  let script = (o.all.get("e") ?? []).join("\n");
  for (const f of o.all.get("f") ?? []) script += `${script === "" ? "" : "\n"}${p.fs.readText(f).replace(/\n$/, "")}`;
  if (!o.flags.has("e") && !o.flags.has("f")) {
    if (files.length === 0) return usage(p, USAGE);
    script = files[0] as string;
    files = files.slice(1);
  }
  let commands: Command[];
  try {
    commands = parse(encode(script), o.flags.has("r") || o.flags.has("E"));
  } catch (e) {
    if (e instanceof SedError || e instanceof SyntaxError) return die(p, e.message);
    throw e;
  }
  const quiet = o.flags.has("n") || script.startsWith("#n\n");
  let status = 0;
  const texts: { name: string; text: string }[] = [];
  for (const f of files.length === 0 ? ["-"] : files) {
    try {
      const fd = await openInput(p, f);
      texts.push({ name: f, text: (await readAll(p, fd)).toString("latin1") });
      closeInput(p, fd);
    } catch (e) {
      if (!(e instanceof SysError)) throw e;
      await complainOf(p, f, e);
      status = 1;
    }
  }
  if (suffix === undefined) {
    const out = new Output(p);
    const code = await run(p, commands, quiet, split(texts.map((t) => t.text)), (t) => out.write(t));
    await out.flush();
    return code || status;
  }
  for (const t of texts) {
    let result = "";
    await run(p, commands, quiet, split([t.text]), (x) => {
      result += x;
      return undefined;
    });
    const s = p.fs.stat(t.name);
    if (suffix !== "")
      p.fs.writeFile(suffix.includes("*") ? suffix.replaceAll("*", t.name) : t.name + suffix, raw(t.text), { mode: s.mode });
    try {
      p.fs.writeFile(t.name, raw(result));
    } catch (e) {
      await complain(p, `${t.name}: ${strerror(e)}`);
      status = 1;
    }
  }
  return status;
}

interface InputLine {
  text: string;
  ended: boolean;
}

function split(texts: string[]): InputLine[] {
  const out: InputLine[] = [];
  for (const text of texts) {
    const parts = text.split("\n");
    const last = parts.pop() as string;
    for (const x of parts) out.push({ text: x, ended: true });
    if (last !== "") out.push({ text: last, ended: false });
  }
  // Between files a missing newline is put in.
  for (let i = 0; i < out.length - 1; i++) (out[i] as InputLine).ended = true;
  return out;
}

function parse(script: string, extended: boolean): Command[] {
  const commands: Command[] = [];
  const blocks: number[] = [];
  let i = 0;
  const regex = (delimiter: string): RegExp | "last" => {
    let text = "";
    let inSet = false;
    for (; ; i++) {
      const c = script[i];
      if (c === undefined || c === "\n") throw new SedError(`unmatched '${delimiter}'`);
      if (c === "\\" && !inSet) {
        const n = script[++i];
        text += n === delimiter ? delimiter : n === "n" ? "\n" : `\\${n}`;
        continue;
      }
      if (c === "[" && !inSet) {
        inSet = true;
        text += c;
        if (script[i + 1] === "^") text += script[++i];
        if (script[i + 1] === "]") text += script[++i];
        continue;
      }
      if (c === "]") inSet = false;
      if (c === delimiter && !inSet) break;
      text += c;
    }
    i++;
    let flags = "";
    if (script[i] === "I") {
      flags = "i";
      i++;
    }
    return text === "" ? "last" : new RegExp(extended ? ere(text) : bre(text), `g${flags}`);
  };
  const address = (second: boolean): Address | undefined => {
    const c = script[i] as string | undefined;
    if (c === undefined) return undefined;
    const m = /^\d+/.exec(script.slice(i));
    if (m) {
      i += m[0].length;
      return { t: "line", n: Number(m[0]) };
    }
    if (second && (c === "+" || c === "~")) {
      const d = /^[+~](\d+)/.exec(script.slice(i));
      if (d) {
        i += d[0].length;
        return { t: c === "+" ? "plus" : "multiple", n: Number(d[1]) };
      }
    }
    if (c === "$") {
      i++;
      return { t: "last" };
    }
    if (c === "/") {
      i++;
      return { t: "re", re: regex("/") };
    }
    if (c === "\\") {
      const d = script[i + 1] as string;
      i += 2;
      return { t: "re", re: regex(d) };
    }
    return undefined;
  };
  while (i < script.length) {
    while (/[\s;]/.test(script[i] ?? "x")) i++;
    if (i >= script.length) break;
    if (script[i] === "#") {
      while (i < script.length && script[i] !== "\n") i++;
      continue;
    }
    const c: Command = {
      from: address(false),
      to: undefined,
      not: false,
      name: "",
      text: "",
      re: undefined,
      replacement: "",
      global: false,
      nth: 0,
      print: false,
      file: "",
      label: "",
      target: -1,
      map: undefined,
      active: false,
      end: 0,
    };
    while (script[i] === " ") i++;
    if (c.from && script[i] === ",") {
      i++;
      while (script[i] === " ") i++;
      c.to = address(true);
      if (!c.to) throw new SedError("no address after comma");
    }
    while (/[ !]/.test(script[i] ?? "")) if (script[i++] === "!") c.not = true;
    c.name = script[i++] ?? "";
    if (c.name === "") throw new SedError("missing command");
    switch (c.name) {
      case "{":
        blocks.push(commands.length);
        break;
      case "}": {
        const open = blocks.pop();
        if (open === undefined) throw new SedError("unexpected }");
        (commands[open] as Command).target = commands.length;
        break;
      }
      case "s": {
        const d = script[i++] as string;
        if (d === undefined) throw new SedError("unmatched '/'");
        c.re = regex(d);
        let text = "";
        for (; ; i++) {
          const x = script[i];
          if (x === undefined) throw new SedError(`unmatched '${d}'`);
          if (x === "\\") {
            const n = script[++i];
            text += n === d && !/[&\d]/.test(d) ? d : `\\${n}`;
            continue;
          }
          if (x === d) break;
          text += x;
        }
        i++;
        c.replacement = text;
        for (; i < script.length && !/[;\n}\s]/.test(script[i] as string); i++) {
          const x = script[i] as string;
          if (x === "g") c.global = true;
          else if (x === "p") c.print = true;
          else if (x === "i" || x === "I") c.re = c.re === "last" ? "last" : new RegExp(c.re.source, "gi");
          else if (/\d/.test(x)) c.nth = c.nth * 10 + Number(x);
          else if (x === "w") {
            c.file =
              script
                .slice(i + 1)
                .split("\n")[0]
                ?.trim() ?? "";
            i = script.indexOf("\n", i) < 0 ? script.length : script.indexOf("\n", i);
            break;
          } else throw new SedError("bad option in substitution expression");
        }
        break;
      }
      case "y": {
        const d = script[i++] as string;
        const sets: string[] = [];
        for (let k = 0; k < 2; k++) {
          let set = "";
          for (; script[i] !== d; i++) {
            if (script[i] === undefined) throw new SedError(`unmatched '${d}'`);
            if (script[i] === "\\") {
              i++;
              set += script[i] === "n" ? "\n" : (script[i] ?? "");
            } else set += script[i];
          }
          i++;
          sets.push(set);
        }
        c.map = new Map([...(sets[0] as string)].map((x, k) => [x, (sets[1] as string)[k] ?? x]));
        break;
      }
      case "a":
      case "i":
      case "c": {
        while (script[i] === " " || script[i] === "\t") i++;
        if (script[i] === "\\") {
          i++;
          while (script[i] === " " || script[i] === "\t") i++;
          if (script[i] === "\n") i++;
        }
        let text = "";
        for (; i < script.length && script[i] !== "\n"; i++) {
          if (script[i] === "\\" && i + 1 < script.length) text += script[++i];
          else text += script[i];
        }
        c.text = `${text}\n`;
        break;
      }
      case "b":
      case "t":
      case "T":
      case ":": {
        while (script[i] === " ") i++;
        const m = /^[^;\n}]*/.exec(script.slice(i)) as RegExpExecArray;
        i += m[0].length;
        c.label = m[0].trim();
        break;
      }
      case "r":
      case "w": {
        const end = script.indexOf("\n", i) < 0 ? script.length : script.indexOf("\n", i);
        c.file = script.slice(i, end).trim();
        i = end;
        break;
      }
      case "q":
      case "Q": {
        const m = /^\s*(\d+)?/.exec(script.slice(i)) as RegExpExecArray;
        i += m[0].length;
        c.nth = Number(m[1] ?? 0);
        break;
      }
      default:
        if (!"dDgGhHlnNpPxz=".includes(c.name)) throw new SedError(`unsupported command ${c.name}`);
    }
    commands.push(c);
  }
  if (blocks.length > 0) throw new SedError("unmatched '{'");
  for (const c of commands)
    if ("btT".includes(c.name)) {
      c.target = c.label === "" ? commands.length : commands.findIndex((x) => x.name === ":" && x.label === c.label);
      if (c.target < 0) throw new SedError(`can't find label for jump to '${c.label}'`);
    }
  return commands;
}

async function run(
  p: Process,
  commands: Command[],
  quiet: boolean,
  input: InputLine[],
  write: (t: string) => Promise<void> | undefined,
): Promise<number> {
  let at = 0;
  let space = "";
  let hold = "";
  let line = 0;
  let ended = true;
  let lastRe: RegExp | undefined;
  const appended: string[] = [];
  const written = new Set<string>();
  const isLast = () => at >= input.length;
  const real = (re: RegExp | "last"): RegExp => {
    if (re !== "last") lastRe = re;
    if (!lastRe) throw new SedError("no previous regexp");
    lastRe.lastIndex = 0;
    return lastRe;
  };
  const hits = (a: Address): boolean => {
    switch (a.t) {
      case "line":
        return line === a.n;
      case "last":
        return isLast();
      case "re":
        return real(a.re).test(space);
      default:
        return false;
    }
  };
  const selected = (c: Command): boolean => {
    if (!c.from) return true;
    if (!c.to) return hits(c.from);
    if (c.active) {
      const over = c.to.t === "line" ? line >= c.to.n : c.to.t === "plus" || c.to.t === "multiple" ? line >= c.end : hits(c.to);
      if (over) c.active = false;
      return !(c.to.t === "line" && line > c.to.n);
    }
    if (!hits(c.from)) return false;
    c.end = c.to.t === "plus" ? line + c.to.n : c.to.t === "multiple" ? Math.ceil(line / c.to.n) * c.to.n : 0;
    c.active = !((c.to.t === "line" && c.to.n <= line) || ((c.to.t === "plus" || c.to.t === "multiple") && c.end <= line));
    return true;
  };
  const next = (): boolean => {
    const l = input[at];
    if (l === undefined) return false;
    at++;
    line++;
    space = l.text;
    ended = l.ended;
    return true;
  };
  const print = (t: string, newline = true) => write(newline ? `${t}\n` : t);
  const flushAppended = async () => {
    for (const t of appended.splice(0)) await write(t);
  };
  const save = (file: string, text: string) => {
    if (file === "/dev/stdout") void write(text);
    else p.fs.writeFile(file, raw(text), { append: written.has(file) });
    written.add(file);
  };
  while (next()) {
    const pause = p.checkpoint();
    if (pause) await pause;
    let restart: boolean;
    do {
      restart = false;
      let deleted = false;
      let replaced = false;
      for (let pc = 0; pc < commands.length; pc++) {
        const c = commands[pc] as Command;
        if (c.name === ":" || c.name === "}") continue;
        if (selected(c) === c.not) {
          if (c.name === "{") pc = c.target;
          continue;
        }
        if (c.name === "{") continue;
        if (c.name === "d") {
          deleted = true;
          break;
        }
        if (c.name === "D") {
          const nl = space.indexOf("\n");
          deleted = true;
          if (nl >= 0) {
            space = space.slice(nl + 1);
            restart = true;
          }
          break;
        }
        if (c.name === "p") await print(space);
        else if (c.name === "P") await print(space.split("\n")[0] as string);
        else if (c.name === "h") hold = space;
        else if (c.name === "H") hold += `\n${space}`;
        else if (c.name === "g") space = hold;
        else if (c.name === "G") space += `\n${hold}`;
        else if (c.name === "x") [space, hold] = [hold, space];
        else if (c.name === "z") space = "";
        else if (c.name === "=") await print(String(line));
        else if (c.name === "l")
          await print(
            `${space
              .replace(/\\/g, "\\\\")
              .replace(/\t/g, "\\t")
              .replace(/\n/g, "\\n")
              .replace(/[\x00-\x1f\x7f-\xff]/g, (x) => `\\${x.charCodeAt(0).toString(8).padStart(3, "0")}`)}$`,
          );
        else if (c.name === "n") {
          if (isLast()) {
            if (!quiet) await print(space, ended);
            await flushAppended();
            return 0;
          }
          if (!quiet) await print(space);
          await flushAppended();
          next();
        } else if (c.name === "N") {
          if (isLast()) {
            if (!quiet) await print(space, ended);
            await flushAppended();
            return 0;
          }
          await flushAppended();
          const before = space;
          next();
          space = `${before}\n${space}`;
        } else if (c.name === "a") appended.push(c.text);
        else if (c.name === "i") await write(c.text);
        else if (c.name === "c") {
          if (!c.to || !c.active || c.not) await write(c.text);
          deleted = true;
          break;
        } else if (c.name === "r") {
          if (p.fs.exists(c.file)) appended.push(Buffer.from(p.fs.readFile(c.file)).toString("latin1"));
        } else if (c.name === "w") save(c.file, `${space}\n`);
        else if (c.name === "y") space = [...space].map((x) => c.map?.get(x) ?? x).join("");
        else if (c.name === "q" || c.name === "Q") {
          if (c.name === "q" && !quiet) await print(space, ended || at < input.length);
          await flushAppended();
          return c.nth;
        } else if (c.name === "s") {
          const re = real(c.re as RegExp | "last");
          let n = 0;
          let did = false;
          let previousEnd = -1;
          space = space.replace(re, (...m) => {
            const whole = m[0] as string;
            const position = m.find((x, k) => k > 0 && typeof x === "number") as unknown as number;
            // Nothing is not found again where the match before ended.
            if (whole === "" && position === previousEnd) return "";
            previousEnd = position + whole.length;
            n++;
            if (c.nth > 0 ? (c.global ? n < c.nth : n !== c.nth) : !c.global && n > 1) return whole;
            did = true;
            return expandReplacement(c.replacement, m as string[]);
          });
          if (did) {
            replaced = true;
            if (c.print) await print(space);
            if (c.file !== "") save(c.file, `${space}\n`);
          }
        } else if (c.name === "b") pc = c.target - 1;
        else if (c.name === "t" && replaced) {
          replaced = false;
          pc = c.target - 1;
        } else if (c.name === "T" && !replaced) pc = c.target - 1;
      }
      if (!deleted && !quiet) await print(space, ended);
      await flushAppended();
    } while (restart);
  }
  return 0;
}

function expandReplacement(text: string, m: string[]): string {
  let out = "";
  for (let i = 0; i < text.length; i++) {
    const c = text[i] as string;
    if (c === "&") out += m[0];
    else if (c === "\\") {
      const n = text[++i] as string;
      if (/\d/.test(n)) out += typeof m[Number(n)] === "string" && Number(n) < m.length - 2 ? m[Number(n)] : "";
      else if (n === "n") out += "\n";
      else if (n === "t") out += "\t";
      else if (n === "r") out += "\r";
      else out += n;
    } else out += c;
  }
  return out;
}
