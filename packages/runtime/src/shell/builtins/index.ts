// The shell's own commands. Special ones (POSIX 2.14) keep prefixed assignments, and their errors end the shell.
import type { Shell } from "../shell.ts";
import { aliasCommand, command, getopts, hash, help, letCommand, read, type, unalias } from "./commands.ts";
import {
  breakCommand,
  continueCommand,
  evalCommand,
  execCommand,
  exitCommand,
  returnCommand,
  shift,
  source,
  times,
  trap,
} from "./control.ts";
import { echoCommand, falseCommand, printfCommand, testCommand, trueCommand } from "./output.ts";
import { bg, cd, fg, jobsCommand, kill, pwd, ulimit, umask, wait } from "./process.ts";
import { exportCommand, local, readonlyCommand, set, unset } from "./variables.ts";

/** `tested`: the status is being looked at, so that errexit does not apply within (`eval`, `.`). */
export type Builtin = (sh: Shell, argv: string[], tested: boolean) => number | Promise<number>;

export const SPECIAL_BUILTINS: ReadonlyMap<string, Builtin> = new Map<string, Builtin>([
  [":", () => 0],
  [".", source],
  ["source", source],
  ["break", breakCommand],
  ["continue", continueCommand],
  ["eval", evalCommand],
  ["exec", execCommand],
  ["exit", exitCommand],
  ["export", exportCommand],
  ["readonly", readonlyCommand],
  ["return", returnCommand],
  ["set", set],
  ["shift", shift],
  ["times", times],
  ["trap", trap],
  ["unset", unset],
]);

export const BUILTINS: ReadonlyMap<string, Builtin> = new Map<string, Builtin>([
  ["[", testCommand],
  ["[[", testCommand],
  ["alias", aliasCommand],
  ["bg", bg],
  ["cd", cd],
  ["chdir", cd],
  ["command", command],
  ["echo", echoCommand],
  ["false", falseCommand],
  ["fg", fg],
  ["getopts", getopts],
  ["hash", hash],
  ["help", help],
  ["jobs", jobsCommand],
  ["kill", kill],
  ["let", letCommand],
  ["local", local],
  ["printf", printfCommand],
  ["pwd", pwd],
  ["read", read],
  ["test", testCommand],
  ["true", trueCommand],
  ["type", type],
  ["ulimit", ulimit],
  ["umask", umask],
  ["unalias", unalias],
  ["wait", wait],
]);
