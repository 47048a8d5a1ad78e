// Builtins that change where the shell goes on: break, continue, return, exit, eval, exec, ".", shift, times, trap.
import { SysError, strerror } from "../../kernel/errno.ts";
import { SIGNAL_MAX, signalName, signalNumber } from "../../kernel/signals.ts";
import { ShellSyntaxError } from "../parser.ts";
import { singleQuoted } from "../quote.ts";
import type { Shell } from "../shell.ts";
import { ShellError } from "../shell-error.ts";
import { ERR } from "../traps.ts";

/** "exit: line 0: Illegal number: abc": what ash says of an argument; ends the shell. */
function number(name: string, text: string): number {
  if (!/^\d+$/.test(text) || Number(text) > 2147483647) throw new ShellError(`${name}: line 0: Illegal number: ${text}`);
  return Number(text);
}

export function breakCommand(sh: Shell, argv: string[]): number {
  return leave(sh, argv, "break");
}

export function continueCommand(sh: Shell, argv: string[]): number {
  return leave(sh, argv, "continue");
}

function leave(sh: Shell, argv: string[], how: "break" | "continue"): number {
  const n = argv[1] === undefined ? 1 : number(how, argv[1]);
  if (n < 1) throw new ShellError(`${how}: line 0: Illegal number: ${argv[1]}`);
  if (sh.loopDepth === 0) return 0;
  sh.skip = how;
  sh.skipCount = Math.min(n, sh.loopDepth);
  return 0;
}

export function returnCommand(sh: Shell, argv: string[]): number {
  const status = argv[1] === undefined ? sh.status : number("return", argv[1]);
  sh.skip = "return";
  return status & 0xff;
}

export function exitCommand(sh: Shell, argv: string[]): number {
  const status = argv[1] === undefined ? sh.status : number("exit", argv[1]);
  sh.skip = "exit";
  return status & 0xff;
}

export async function evalCommand(sh: Shell, argv: string[]): Promise<number> {
  const text = argv.slice(1).join(" ");
  if (text.trim() === "") return 0;
  try {
    await sh.evalText(text);
  } catch (e) {
    if (e instanceof ShellSyntaxError) throw new ShellError(`eval: line 0: ${e.message}`);
    throw e;
  }
  return sh.status;
}

export async function source(sh: Shell, argv: string[]): Promise<number> {
  const name = argv[1];
  if (name === undefined) throw new ShellError(".: line 0: filename argument required");
  const text = read(sh, name);
  const params = sh.params;
  if (argv.length > 2) sh.params = argv.slice(2);
  try {
    await sh.evalText(text);
  } finally {
    if (argv.length > 2) sh.params = params;
  }
  if (sh.skip === "return") sh.skip = "";
  return sh.status;
}

function read(sh: Shell, name: string): string {
  try {
    if (name.includes("/")) return Buffer.from(sh.p.fs.readFile(name)).toString("utf8");
  } catch (e) {
    throw new ShellError(`.: line 0: can't open '${name}': ${strerror(e)}`);
  }
  for (const dir of (sh.vars.get("PATH") ?? "").split(":")) {
    const path = `${dir === "" ? "." : dir}/${name}`;
    if (sh.p.fs.tryStat(path)?.kind === "file") return Buffer.from(sh.p.fs.readFile(path)).toString("utf8");
  }
  throw new ShellError(`.: line 0: ${name}: not found`);
}

export async function execCommand(sh: Shell, argv: string[]): Promise<number> {
  if (argv.length === 1) return 0;
  const env = sh.vars.environment();
  await sh.execute(argv.slice(1), env, {
    message: (name, e) => `exec: line 0: ${name}: ${e instanceof SysError && e.code !== "ENOENT" ? strerror(e) : "not found"}`,
  });
  return sh.status;
}

export function shift(sh: Shell, argv: string[]): number {
  const n = argv[1] === undefined ? 1 : number("shift", argv[1]);
  if (n > sh.params.length) return 1;
  sh.params = sh.params.slice(n);
  return 0;
}

export async function times(sh: Shell): Promise<number> {
  await sh.p.print("0m0.000s 0m0.000s\n0m0.000s 0m0.000s\n");
  return 0;
}

export async function trap(sh: Shell, argv: string[]): Promise<number> {
  let args = argv.slice(1);
  if (args[0] === "--") args = args.slice(1);
  else if (args[0]?.startsWith("-") && args[0] !== "-") {
    await sh.error(`trap: line 0: illegal option ${args[0].slice(0, 2)}`);
    sh.status = 2;
    sh.skip = "exit";
    return 2;
  }
  if (args.length === 0) {
    const list = [...sh.traps.shown()].sort(([a], [b]) => a - b);
    for (const [signal, action] of list)
      await sh.p.print(`trap -- ${singleQuoted(action)} ${signal === 0 ? "EXIT" : signal === ERR ? "ERR" : signalName(signal)}\n`);
    return 0;
  }
  // A first argument that is a number resets: "trap 2".
  const only = args.length === 1 || /^\d+$/.test(args[0] as string);
  const action = only || args[0] === "-" ? undefined : args[0];
  const names = only ? args : args.slice(1);
  let status = 0;
  for (const name of names) {
    const n = name === "EXIT" || name === "0" ? 0 : name === "ERR" ? ERR : signalNumber(name);
    if (n === undefined || n > SIGNAL_MAX) {
      await sh.error(`trap: line 0: ${name}: invalid signal specification`);
      status = 1;
      continue;
    }
    sh.traps.set(n, action);
  }
  return status;
}
