// test, [ and [[ as busybox has them (test.c): the operators of POSIX and -nt -ot -ef, < >, =~ in [[.
import { PodwireError } from "@podwire/base";
import type { Process } from "../kernel/process.ts";
import { matches, plainPattern } from "./glob.ts";

/** Exit code 2 with this message. */
export class TestError extends PodwireError {}

const UNARY = new Set([
  "-e",
  "-f",
  "-d",
  "-r",
  "-w",
  "-x",
  "-s",
  "-L",
  "-h",
  "-p",
  "-S",
  "-b",
  "-c",
  "-u",
  "-g",
  "-k",
  "-O",
  "-G",
  "-t",
  "-n",
  "-z",
]);
const BINARY = new Set(["=", "==", "!=", "<", ">", "=~", "-eq", "-ne", "-gt", "-ge", "-lt", "-le", "-nt", "-ot", "-ef"]);

/** 0 true, 1 false; throws TestError. `args` without "[" and "]". */
export function test(args: readonly string[], p: Process, double = false): number {
  if (args.length === 0) return 1;
  let i = 0;
  const truth = (b: boolean) => (b ? 0 : 1);
  // With few arguments the number decides, as POSIX says.
  if (args.length === 1) return truth(args[0] !== "");
  if (args.length === 2) {
    if (args[0] === "!") return truth(args[1] === "");
    if (BINARY.has(args[1] as string)) throw new TestError(`${args[1]}: argument expected`);
    if (!UNARY.has(args[0] as string)) throw new TestError(`${args[1]}: unknown operand`);
    return truth(unary(args[0] as string, args[1] as string, p));
  }
  if (args.length === 3 && BINARY.has(args[1] as string))
    return truth(binary(args[0] as string, args[1] as string, args[2] as string, p, double));
  if (args.length === 4 && args[0] === "!" && BINARY.has(args[2] as string))
    return truth(!binary(args[1] as string, args[2] as string, args[3] as string, p, double));

  const or = (): boolean => {
    let v = and();
    while (args[i] === "-o" || (double && args[i] === "||")) {
      i++;
      const r = and();
      v = v || r;
    }
    return v;
  };
  const and = (): boolean => {
    let v = not();
    while (args[i] === "-a" || (double && args[i] === "&&")) {
      i++;
      const r = not();
      v = v && r;
    }
    return v;
  };
  const not = (): boolean => {
    if (args[i] === "!" && !(BINARY.has(args[i + 1] ?? "") && args[i + 2] !== undefined)) {
      i++;
      return !not();
    }
    return primary();
  };
  const primary = (): boolean => {
    const a = args[i];
    if (a === undefined) throw new TestError("argument expected");
    if (a === "(" && !(BINARY.has(args[i + 1] ?? "") && args[i + 2] !== undefined && args[i + 2] !== ")")) {
      i++;
      const v = or();
      if (args[i] !== ")") throw new TestError("closing paren expected");
      i++;
      return v;
    }
    const op = args[i + 1];
    if (op !== undefined && BINARY.has(op)) {
      const b = args[i + 2];
      if (b === undefined) throw new TestError(`${op}: argument expected`);
      i += 3;
      return binary(a, op, b, p, double);
    }
    if (UNARY.has(a)) {
      const b = args[i + 1];
      if (b === undefined) {
        i++;
        return true;
      }
      i += 2;
      return unary(a, b, p);
    }
    i++;
    return a !== "";
  };
  const v = or();
  if (i < args.length) throw new TestError(`${args[i]}: unknown operand`);
  return truth(v);
}

function unary(op: string, a: string, p: Process): boolean {
  switch (op) {
    case "-n":
      return a !== "";
    case "-z":
      return a === "";
    case "-t": {
      const f = p.fds.find(number(a));
      return f !== undefined && "tty" in f;
    }
  }
  const link = op === "-L" || op === "-h";
  const s = p.fs.tryStat(a, !link);
  if (!s) return false;
  switch (op) {
    case "-e":
      return true;
    case "-f":
      return s.kind === "file";
    case "-d":
      return s.kind === "dir";
    case "-L":
    case "-h":
      return s.kind === "symlink";
    case "-p":
      return s.kind === "fifo";
    case "-S":
      return s.kind === "socket";
    case "-c":
      return s.kind === "char";
    case "-b":
      return false;
    case "-s":
      return s.size > 0;
    case "-u":
      return (s.mode & 0o4000) !== 0;
    case "-g":
      return (s.mode & 0o2000) !== 0;
    case "-k":
      return (s.mode & 0o1000) !== 0;
    case "-O":
      return s.uid === p.identity.uid;
    case "-G":
      return s.gid === p.identity.gid;
    default:
      try {
        p.fs.access(a, op === "-r" ? 4 : op === "-w" ? 2 : 1);
        return true;
      } catch {
        return false;
      }
  }
}

function binary(a: string, op: string, b: string, p: Process, double: boolean): boolean {
  switch (op) {
    case "=":
    case "==":
      return double ? matches(plainPattern(b), a) : a === b;
    case "!=":
      return double ? !matches(plainPattern(b), a) : a !== b;
    case "<":
      return a < b;
    case ">":
      return a > b;
    case "=~":
      return new RegExp(b).test(a);
    case "-nt":
    case "-ot": {
      const x = p.fs.tryStat(a);
      const y = p.fs.tryStat(b);
      const [newer, older] = op === "-nt" ? [x, y] : [y, x];
      return newer !== undefined && older !== undefined && newer.mtimeMs > older.mtimeMs;
    }
    case "-ef": {
      const x = p.fs.tryStat(a);
      const y = p.fs.tryStat(b);
      return x !== undefined && y !== undefined && p.fs.resolve(a).inode === p.fs.resolve(b).inode;
    }
  }
  const x = number(a);
  const y = number(b);
  switch (op) {
    case "-eq":
      return x === y;
    case "-ne":
      return x !== y;
    case "-gt":
      return x > y;
    case "-ge":
      return x >= y;
    case "-lt":
      return x < y;
    default:
      return x <= y;
  }
}

function number(s: string): number {
  const t = s.trim();
  if (!/^[+-]?\d+$/.test(t)) throw new TestError(`${s}: bad number`);
  const n = Number(t);
  if (!Number.isSafeInteger(n) && (BigInt(t) > 9223372036854775807n || BigInt(t) < -9223372036854775808n))
    throw new TestError(`${s}: out of range`);
  return n;
}
