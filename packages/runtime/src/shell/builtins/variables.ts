// Builtins about variables and options: export, readonly, local, set, unset.
import { byBytes } from "../expand.ts";
import { singleQuoted } from "../quote.ts";
import type { OptionName, Shell } from "../shell.ts";
import { ShellError } from "../shell-error.ts";
import { OPTION_LETTERS } from "../shell-state.ts";

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

export function exportCommand(sh: Shell, argv: string[]): number | Promise<number> {
  return mark(sh, argv, "exported", "export");
}

export function readonlyCommand(sh: Shell, argv: string[]): number | Promise<number> {
  return mark(sh, argv, "readonly", "readonly");
}

function mark(sh: Shell, argv: string[], what: "exported" | "readonly", name: string): number | Promise<number> {
  let args = argv.slice(1);
  let print = args.length === 0;
  let off = false;
  while (args[0]?.startsWith("-") && args[0].length > 1) {
    if (args[0] === "--") {
      args = args.slice(1);
      break;
    }
    if (args[0] === "-p") print = true;
    else if (args[0] === "-n" && what === "exported") off = true;
    else throw new ShellError(`${name}: line 0: illegal option ${args[0].slice(0, 2)}`);
    args = args.slice(1);
  }
  if (print && args.length === 0) return list(sh, what, name);
  for (const a of args) {
    const at = a.indexOf("=");
    const key = at < 0 ? a : a.slice(0, at);
    if (!NAME.test(key)) throw new ShellError(`${name}: line 0: ${key}: bad variable name`);
    if (at >= 0) sh.set(key, a.slice(at + 1));
    if (off) {
      const v = sh.vars.map.get(key);
      if (v) v.exported = false;
    } else sh.vars.mark(key, what);
  }
  return 0;
}

async function list(sh: Shell, what: "exported" | "readonly", name: string): Promise<number> {
  for (const [k, v] of [...sh.vars.map].sort(([a], [b]) => byBytes(a, b)))
    if (v[what]) await sh.p.print(`${name} ${k}${v.value === undefined ? "" : `=${singleQuoted(v.value)}`}\n`);
  return 0;
}

export function local(sh: Shell, argv: string[]): number {
  if (sh.callDepth === 0) throw new ShellError("local: line 0: not in a function");
  for (const a of argv.slice(1)) {
    const at = a.indexOf("=");
    const key = at < 0 ? a : a.slice(0, at);
    if (key === "-") continue;
    if (!NAME.test(key)) throw new ShellError(`local: line 0: ${key}: bad variable name`);
    sh.vars.local(key);
    if (at >= 0) sh.set(key, a.slice(at + 1));
  }
  return 0;
}

export function unset(sh: Shell, argv: string[]): number {
  let kind = "";
  let args = argv.slice(1);
  while (args[0]?.startsWith("-")) {
    if (args[0] === "-v" || args[0] === "-f") kind = args[0];
    else if (args[0] !== "--") throw new ShellError(`unset: line 0: illegal option ${args[0].slice(0, 2)}`);
    args = args.slice(1);
  }
  for (const a of args) {
    if (kind === "-f") sh.ownFunctions.delete(a);
    else if (!NAME.test(a)) throw new ShellError(`unset: line 0: ${a}: bad variable name`);
    else if (kind === "" && !sh.vars.map.has(a)) sh.ownFunctions.delete(a);
    else sh.vars.unset(a);
  }
  return 0;
}

/** In the order that `set -o` lists them. */
/** What `set` changes and `set -o` lists, in its order. */
const OPTIONS: readonly OptionName[] = [
  "errexit",
  "noglob",
  "ignoreeof",
  "monitor",
  "noexec",
  "xtrace",
  "verbose",
  "noclobber",
  "allexport",
  "notify",
  "nounset",
  "vi",
  "pipefail",
];

export async function set(sh: Shell, argv: string[]): Promise<number> {
  const args = argv.slice(1);
  if (args.length === 0) {
    for (const [k, v] of [...sh.vars.map].sort(([a], [b]) => byBytes(a, b)))
      if (v.value !== undefined) await sh.p.print(`${k}=${singleQuoted(v.value)}\n`);
    return 0;
  }
  let i = 0;
  for (; i < args.length; i++) {
    const a = args[i] as string;
    if (a === "--") {
      sh.params = args.slice(i + 1);
      return 0;
    }
    if (a === "-") {
      sh.options.delete("xtrace");
      sh.options.delete("verbose");
      if (i + 1 < args.length) sh.params = args.slice(i + 1);
      return 0;
    }
    if (!/^[-+]/.test(a) || a === "+") break;
    const on = a[0] === "-";
    for (const c of a.slice(1)) {
      if (c === "o") {
        const name = args[++i];
        if (name === undefined) {
          await listOptions(sh, on);
          return 0;
        }
        const known = OPTIONS.find((n) => n === name);
        if (!known) {
          await sh.error(`set: line 0: illegal option ${a[0]}o ${name}`);
          return 1;
        }
        setOption(sh, known, on);
        continue;
      }
      const known = optionOfLetter(c);
      if (!known) throw new ShellError(`set: line 0: illegal option ${a[0]}${c}`);
      setOption(sh, known, on);
    }
  }
  if (i < args.length) sh.params = args.slice(i);
  return 0;
}

export function setOption(sh: Shell, name: OptionName, on: boolean): void {
  if (on) sh.options.add(name);
  else sh.options.delete(name);
}

async function listOptions(sh: Shell, table: boolean): Promise<void> {
  for (const name of OPTIONS)
    await sh.p.print(
      table ? `${name.padEnd(16)}${sh.options.has(name) ? "on" : "off"}\n` : `set ${sh.options.has(name) ? "-" : "+"}o ${name}\n`,
    );
}

/** The letter of an option of `sh` itself; undefined when there is none. */
export function optionOfLetter(letter: string): OptionName | undefined {
  return OPTIONS.find((n) => OPTION_LETTERS[n] === letter);
}
