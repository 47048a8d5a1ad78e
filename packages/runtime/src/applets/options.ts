// How busybox applets read their options (getopt with permutation) and complain: "cat: invalid option -- 'T'" and a usage line.
import { strerror } from "../kernel/errno.ts";
import { ExitRequest, type Process } from "../kernel/process.ts";

/** The version that the busybox images say they are. */
export const BUSYBOX = "BusyBox v1.37.0 (podwire) multi-call binary.";

export interface Options {
  flags: Set<string>;
  values: Map<string, string>;
  /** Every value of an option that may come several times. */
  all: Map<string, string[]>;
  args: string[];
}

/** Ends the program with a message. */
export async function die(p: Process, text: string, code = 1): Promise<never> {
  await complain(p, text);
  throw new ExitRequest(code);
}

/** "name: text" on standard error. */
export async function complain(p: Process, text: string): Promise<void> {
  await p.printError(`${p.name}: ${text}\n`);
}

/** "name: what: No such file or directory". */
export async function complainOf(p: Process, what: string, e: unknown): Promise<void> {
  await complain(p, `${what}: ${strerror(e)}`);
}

export async function usage(p: Process, text: string, code = 1): Promise<never> {
  await p.printError(`${BUSYBOX}\n\nUsage: ${p.name}${text === "" ? "" : ` ${text}`}\n`);
  throw new ExitRequest(code);
}

/**
 * `spec` as getopt's: "nb:" n is a flag, b takes a value. A leading "+" stops at the first operand.
 * `long` maps long names to letters.
 */
export async function options(
  p: Process,
  spec: string,
  usageText: string,
  o: { long?: Record<string, string>; code?: number; argv?: string[] } = {},
): Promise<Options> {
  const stop = spec.startsWith("+");
  const letters = stop ? spec.slice(1) : spec;
  const out: Options = { flags: new Set(), values: new Map(), all: new Map(), args: [] };
  const argv = o.argv ?? p.argv.slice(1);
  const take = (c: string, value: string) => {
    out.values.set(c, value);
    const list = out.all.get(c);
    if (list) list.push(value);
    else out.all.set(c, [value]);
    out.flags.add(c);
  };
  for (let i = 0; i < argv.length; i++) {
    const a = argv[i] as string;
    if (a === "--") {
      out.args.push(...argv.slice(i + 1));
      break;
    }
    if (a.startsWith("--")) {
      const [name, value] = split(a.slice(2));
      const letter = o.long?.[name];
      if (letter === undefined) {
        await complain(p, `unrecognized option '${a.split("=")[0]}'`);
        return usage(p, usageText, o.code);
      }
      if (letters[letters.indexOf(letter) + 1] === ":") {
        const v = value ?? argv[++i];
        if (v === undefined) {
          await complain(p, `option '${a}' requires an argument`);
          return usage(p, usageText, o.code);
        }
        take(letter, v);
      } else out.flags.add(letter);
      continue;
    }
    if (a.length > 1 && a.startsWith("-")) {
      for (let at = 1; at < a.length; at++) {
        const c = a[at] as string;
        const known = c === ":" ? -1 : letters.indexOf(c);
        if (known < 0) {
          await complain(p, `invalid option -- '${c}'`);
          return usage(p, usageText, o.code);
        }
        if (letters[known + 1] === ":") {
          const value = at + 1 < a.length ? a.slice(at + 1) : argv[++i];
          if (value === undefined) {
            await complain(p, `option requires an argument -- '${c}'`);
            return usage(p, usageText, o.code);
          }
          take(c, value);
          break;
        }
        out.flags.add(c);
      }
      continue;
    }
    out.args.push(a);
    if (stop) {
      out.args.push(...argv.slice(i + 1));
      break;
    }
  }
  return out;
}

function split(text: string): [string, string | undefined] {
  const at = text.indexOf("=");
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

/** A non-negative number, with k, m, g suffixes; ends the program as xatou does. */
export async function number(p: Process, text: string, o: { negative?: boolean } = {}): Promise<number> {
  const m = /^([+-]?\d+)([bkKmMgG]?)$/.exec(text);
  if (!m || (!o.negative && text.startsWith("-"))) return die(p, `invalid number '${text}'`);
  return (
    Number(m[1]) * ({ "": 1, b: 512, k: 1024, K: 1024, m: 1048576, M: 1048576, g: 1073741824, G: 1073741824 }[m[2] as string] as number)
  );
}
