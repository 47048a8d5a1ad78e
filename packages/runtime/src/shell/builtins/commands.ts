// alias, command, getopts, hash, help, let, read, type: builtins about commands and input.
import { SysError } from "../../kernel/errno.ts";
import { evaluate } from "../arith.ts";
import { singleQuoted } from "../quote.ts";
import type { Shell } from "../shell.ts";
import { ShellError } from "../shell-error.ts";
import { BUILTINS, SPECIAL_BUILTINS } from "./index.ts";

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

export async function aliasCommand(sh: Shell, argv: string[]): Promise<number> {
  if (argv.length === 1) {
    for (const [k, v] of sh.aliases) await sh.p.print(`${k}=${singleQuoted(v)}\n`);
    return 0;
  }
  let status = 0;
  for (const a of argv.slice(1)) {
    const at = a.indexOf("=", 1);
    if (at > 0) sh.ownAliases.set(a.slice(0, at), a.slice(at + 1));
    else if (sh.aliases.has(a)) await sh.p.print(`${a}=${singleQuoted(sh.aliases.get(a) as string)}\n`);
    else {
      await sh.writeError(`alias: ${a} not found\n`);
      status = 1;
    }
  }
  return status;
}

export async function unalias(sh: Shell, argv: string[]): Promise<number> {
  if (argv[1] === "-a") {
    sh.ownAliases.clear();
    return 0;
  }
  let status = 0;
  for (const a of argv.slice(1))
    if (!sh.ownAliases.delete(a)) {
      await sh.writeError(`unalias: ${a} not found\n`);
      status = 1;
    }
  return status;
}

/** Where a program lies, by PATH. */
export function findProgram(sh: Shell, name: string): string | undefined {
  const usable = (path: string) => {
    try {
      if (sh.p.fs.stat(path).kind !== "file") return false;
      sh.p.fs.access(path, 1);
      return true;
    } catch (e) {
      if (e instanceof SysError) return false;
      throw e;
    }
  };
  if (name.includes("/")) return usable(name) ? name : undefined;
  for (const dir of (sh.vars.get("PATH") ?? "").split(":")) {
    const path = `${dir === "" ? "." : dir}/${name}`;
    if (usable(path)) return path;
  }
  return undefined;
}

const KEYWORDS = new Set([
  "!",
  "case",
  "do",
  "done",
  "elif",
  "else",
  "esac",
  "fi",
  "for",
  "function",
  "if",
  "in",
  "then",
  "until",
  "while",
  "{",
  "}",
]);

export async function command(sh: Shell, argv: string[]): Promise<number> {
  let args = argv.slice(1);
  let how = "";
  while (args[0] !== undefined && /^-[pvV]+$/.test(args[0])) {
    if (args[0].includes("v")) how = "v";
    if (args[0].includes("V")) how = "V";
    args = args.slice(1);
  }
  if (args[0] === "--") args = args.slice(1);
  const name = args[0];
  if (name === undefined) return 0;
  if (how === "V") return describe(sh, name);
  if (how === "v") {
    const alias = sh.aliases.get(name);
    const text =
      alias !== undefined
        ? `alias ${name}=${singleQuoted(alias)}`
        : KEYWORDS.has(name) || sh.functions.has(name) || SPECIAL_BUILTINS.has(name) || BUILTINS.has(name)
          ? name
          : findProgram(sh, name);
    if (text === undefined) return 127;
    await sh.p.print(`${text}\n`);
    return 0;
  }
  const builtin = SPECIAL_BUILTINS.get(name) ?? BUILTINS.get(name);
  if (builtin) return builtin(sh, args, false);
  const functions = sh.functions.get(name);
  sh.ownFunctions.delete(name);
  try {
    await sh.run(
      { t: "simple", assigns: [], redirects: [], line: sh.line, words: args.map((text) => [{ t: "lit", text, quoted: true }]) },
      true,
    );
  } finally {
    if (functions) sh.ownFunctions.set(name, functions);
  }
  return sh.status;
}

async function describe(sh: Shell, name: string): Promise<number> {
  const alias = sh.aliases.get(name);
  let text: string;
  let status = 0;
  if (KEYWORDS.has(name)) text = `${name} is a shell keyword`;
  else if (alias !== undefined) text = `${name} is an alias for ${alias}`;
  else if (sh.functions.has(name)) text = `${name} is a function`;
  else if (SPECIAL_BUILTINS.has(name)) text = `${name} is a special shell builtin`;
  else if (BUILTINS.has(name)) text = `${name} is a shell builtin`;
  else {
    const path = findProgram(sh, name);
    if (path === undefined) {
      text = `${name}: not found`;
      status = 127;
    } else text = `${name} is ${path}`;
  }
  await sh.p.print(`${text}\n`);
  return status;
}

export async function type(sh: Shell, argv: string[]): Promise<number> {
  let status = 0;
  for (const a of argv.slice(1)) status = (await describe(sh, a)) || status;
  return status;
}

export function hash(): number {
  return 0;
}

export async function help(sh: Shell): Promise<number> {
  const names = [...SPECIAL_BUILTINS.keys(), ...BUILTINS.keys()].filter((n) => n !== "source" || true).sort();
  let text = "Built-in commands:\n------------------\n";
  let line = "\t";
  for (const n of names) {
    if (line.length + n.length > 70) {
      text += `${line}\n`;
      line = "\t";
    }
    line += `${n} `;
  }
  await sh.p.print(`${text}${line.trimEnd()}\n`);
  return 0;
}

export function letCommand(sh: Shell, argv: string[]): number {
  if (argv.length < 2) throw new ShellError("let: line 0: expression expected");
  let v = 0n;
  for (const a of argv.slice(1)) v = evaluate(a, sh);
  return v === 0n ? 1 : 0;
}

export async function getopts(sh: Shell, argv: string[]): Promise<number> {
  const spec = argv[1] ?? "";
  const name = argv[2] ?? "";
  if (argv.length < 3) throw new ShellError("getopts: line 0: usage: getopts OPTSTRING VAR [ARG]...");
  if (!NAME.test(name)) throw new ShellError(`getopts: line 0: ${name}: bad variable name`);
  const list = argv.length > 3 ? argv.slice(3) : sh.params;
  let index = Number(sh.vars.get("OPTIND") ?? "1");
  if (!Number.isInteger(index) || index < 1) index = 1;
  let offset = sh.getoptsOffset;
  const quiet = spec.startsWith(":");
  const options = quiet ? spec.slice(1) : spec;
  const finish = (value: string, status: number, next: number, nextOffset: number): number => {
    sh.set("OPTIND", String(next));
    sh.getoptsOffset = nextOffset;
    sh.set(name, value);
    return status;
  };
  let arg = list[index - 1];
  if (offset === 0 || arg === undefined || offset >= arg.length) {
    offset = 1;
    if (arg === undefined || !arg.startsWith("-") || arg === "-") {
      sh.vars.unset("OPTARG");
      return finish("?", 1, index, 0);
    }
    if (arg === "--") {
      sh.vars.unset("OPTARG");
      return finish("?", 1, index + 1, 0);
    }
  }
  arg = arg as string;
  const c = arg[offset] as string;
  offset++;
  const at = c === ":" ? -1 : options.indexOf(c);
  const done = offset >= arg.length;
  if (at < 0) {
    if (quiet) sh.set("OPTARG", c);
    else {
      sh.vars.unset("OPTARG");
      await sh.writeError(`Illegal option -${c}\n`);
    }
    return finish("?", 0, done ? index + 1 : index, done ? 0 : offset);
  }
  if (options[at + 1] !== ":") {
    sh.vars.unset("OPTARG");
    return finish(c, 0, done ? index + 1 : index, done ? 0 : offset);
  }
  if (!done) {
    sh.set("OPTARG", arg.slice(offset));
    return finish(c, 0, index + 1, 0);
  }
  const value = list[index];
  if (value === undefined) {
    if (quiet) {
      sh.set("OPTARG", c);
      return finish(":", 0, index + 1, 0);
    }
    sh.vars.unset("OPTARG");
    await sh.writeError(`No arg for -${c} option\n`);
    return finish("?", 0, index + 1, 0);
  }
  sh.set("OPTARG", value);
  return finish(c, 0, index + 2, 0);
}

/** read [-r] [-s] [-p prompt] [-t seconds] [-n chars] [-d delim] [-u fd] [name...] */
export async function read(sh: Shell, argv: string[]): Promise<number> {
  let raw = false;
  let fd = 0;
  let limit = 0;
  let timeoutMs: number | undefined;
  let delimiter = 10;
  let i = 1;
  for (; i < argv.length; i++) {
    const a = argv[i] as string;
    if (a === "--") {
      i++;
      break;
    }
    if (!/^-[a-z]/.test(a)) break;
    for (let at = 1; at < a.length; at++) {
      const c = a[at] as string;
      if (c === "r") raw = true;
      else if (c === "s") continue;
      else if ("pntdu".includes(c)) {
        const value = at + 1 < a.length ? a.slice(at + 1) : (argv[++i] ?? "");
        if (c === "p" && "tty" in (sh.p.fds.find(0) ?? {})) await sh.writeError(value);
        if (c === "n") limit = Number(value);
        if (c === "u") fd = Number(value);
        if (c === "d") delimiter = value === "" ? 0 : (Buffer.from(value)[0] as number);
        if (c === "t") {
          if (!/^\d+(\.\d+)?$/.test(value)) {
            await sh.error("read: invalid timeout");
            return 2;
          }
          timeoutMs = Number(value) * 1000;
        }
        break;
      } else throw new ShellError(`read: line 0: illegal option -${c}`);
    }
  }
  const names = argv.slice(i);
  for (const n of names)
    if (!NAME.test(n)) {
      await sh.error(`read: '${n}': bad variable name`);
      return 1;
    }
  const { bytes, literal, status } = await readLine(sh, { fd, raw, limit, timeoutMs, delimiter });
  if (names.length === 0) {
    sh.set("REPLY", Buffer.from(bytes).toString("utf8"));
    return status;
  }
  assign(sh, names, bytes, literal);
  return status;
}

interface Line {
  bytes: number[];
  /** Positions that a backslash made literal. */
  literal: Set<number>;
  status: number;
}

async function readLine(
  sh: Shell,
  o: { fd: number; raw: boolean; limit: number; timeoutMs: number | undefined; delimiter: number },
): Promise<Line> {
  const line: Line = { bytes: [], literal: new Set(), status: 0 };
  const f = sh.p.fds.find(o.fd);
  if (!f) {
    line.status = 1;
    return line;
  }
  const deadline = o.timeoutMs === undefined ? undefined : sh.p.clock.monotonicMs() + o.timeoutMs;
  let escaped = false;
  for (;;) {
    const b = f.readNow(1);
    if (b === undefined) {
      let timedOut = false;
      const r = await sh.p.block(
        (wake) => {
          const off = f.onReadable(wake);
          if (deadline === undefined) return off;
          const t = sh.p.clock.after(Math.max(0, deadline - sh.p.clock.monotonicMs()), () => {
            timedOut = true;
            wake();
          });
          return () => {
            off();
            t.cancel();
          };
        },
        { interruptible: true },
      );
      if (r === "interrupted" && sh.traps.pending) {
        line.status = 128 + sh.traps.lastSignal;
        return line;
      }
      if (timedOut && f.readNow(0) === undefined) {
        line.status = 1;
        return line;
      }
      continue;
    }
    if (b.length === 0) {
      line.status = 1;
      return line;
    }
    const c = b[0] as number;
    if (escaped) {
      escaped = false;
      if (c !== 10) {
        line.literal.add(line.bytes.length);
        line.bytes.push(c);
      }
      continue;
    }
    if (c === 92 && !o.raw) {
      escaped = true;
      continue;
    }
    if (c === o.delimiter) return line;
    if (c === 0) continue;
    line.bytes.push(c);
    if (o.limit > 0 && line.bytes.length >= o.limit) return line;
  }
}

/** Splits by IFS into as many fields as there are names; the last gets the rest. */
function assign(sh: Shell, names: readonly string[], bytes: readonly number[], literal: ReadonlySet<number>): void {
  const ifs = new Set([...Buffer.from(sh.ifs())]);
  const white = (i: number) => !literal.has(i) && ifs.has(bytes[i] as number) && (bytes[i] === 32 || bytes[i] === 9 || bytes[i] === 10);
  const isSep = (i: number) => !literal.has(i) && ifs.has(bytes[i] as number);
  const text = (from: number, to: number) => Buffer.from(bytes.slice(from, to)).toString("utf8");
  let i = 0;
  while (i < bytes.length && white(i)) i++;
  names.forEach((name, n) => {
    if (n === names.length - 1) {
      let end = bytes.length;
      while (end > i && white(end - 1)) end--;
      // One trailing separator that ends the only field left is not part of it.
      if (end > i && isSep(end - 1) && !white(end - 1)) {
        let inner = false;
        for (let k = i; k < end - 1; k++) if (isSep(k)) inner = true;
        if (!inner) {
          end--;
          while (end > i && white(end - 1)) end--;
        }
      }
      sh.set(name, text(i, end));
      return;
    }
    const start = i;
    while (i < bytes.length && !isSep(i)) i++;
    sh.set(name, text(start, i));
    while (i < bytes.length && white(i)) i++;
    if (i < bytes.length && isSep(i) && !white(i)) {
      i++;
      while (i < bytes.length && white(i)) i++;
    }
  });
}
