// awk's own functions: strings, numbers, time, bits, and those that talk to other programs.
import { SysError } from "../kernel/errno.ts";
import type { ExitStatus } from "../kernel/process.ts";
import type { Awk } from "./awk.ts";
import { AwkError, type Expr } from "./awk-parser.ts";
import { format, input, num, type Value } from "./awk-values.ts";
import { strftime } from "./date.ts";
import { launch } from "./process.ts";

/** A function of the language itself. */
export async function callBuiltin(awk: Awk, name: string, args: Expr[]): Promise<Value> {
  const arg = async (i: number): Promise<Value> => (args[i] === undefined ? "" : awk.eval(args[i] as Expr));
  const text = async (i: number) => awk.str(await arg(i));
  switch (name) {
    case "length": {
      const a = args[0];
      if (a === undefined) return awk.record.length;
      if (a.t === "var" && (awk.arrays.has(a.name) || awk.locals.at(-1)?.get(a.name) instanceof Map)) return awk.array(a.name).size;
      return (await text(0)).length;
    }
    case "substr": {
      const s = await text(0);
      const from = Math.round(num(await arg(1)));
      const to = args[2] === undefined ? s.length + 1 : from + Math.round(num(await arg(2)));
      // busybox counts a start before the string from the string's beginning.
      const start = Math.max(1, from);
      const end = args[2] === undefined ? to : from < 1 ? Math.max(start, Math.round(num(await arg(2))) + start) : to;
      return s.slice(start - 1, Math.max(start - 1, end - 1));
    }
    case "index":
      return (await text(0)).indexOf(await text(1)) + 1;
    case "split": {
      const s = await text(0);
      const table = awk.array((args[1] as { name: string }).name);
      const sep = args[2];
      const parts =
        sep === undefined
          ? awk.splitText(s, awk.setting("FS"))
          : sep.t === "re"
            ? s === ""
              ? []
              : s.split(awk.regex(sep.v))
            : awk.splitText(s, await text(2));
      table.clear();
      parts.forEach((x, i) => void table.set(String(i + 1), input(x)));
      return parts.length;
    }
    case "sub":
    case "gsub": {
      const re = await awk.pattern(args[0] as Expr);
      const to = await text(1);
      const target: Expr = args[2] ?? { t: "field", e: { t: "num", v: 0 } };
      const s = awk.str(await awk.eval(target));
      let n = 0;
      const result = s.replace(new RegExp(re.source, name === "gsub" ? "g" : ""), (m: string) => {
        n++;
        return to.replace(/\\\\&|\\&|&/g, (x) => (x === "&" ? m : x === "\\&" ? "&" : `\\${m}`));
      });
      if (n > 0) await awk.assign(target, result);
      return n;
    }
    case "gensub": {
      const re = await awk.pattern(args[0] as Expr);
      const to = await text(1);
      const how = await text(2);
      const s = args[3] === undefined ? awk.record : await text(3);
      let n = 0;
      return s.replace(new RegExp(re.source, "g"), (...m) => {
        n++;
        if (!/^[gG]/.test(how) && n !== Number(how)) return m[0] as string;
        return to.replace(/\\(\d)|&/g, (x, d: string | undefined) => (x === "&" ? (m[0] as string) : String(m[Number(d)] ?? "")));
      });
    }
    case "match": {
      const s = await text(0);
      const re = await awk.pattern(args[1] as Expr);
      const m = new RegExp(re.source).exec(s);
      awk.vars.set("RSTART", m ? m.index + 1 : 0);
      awk.vars.set("RLENGTH", m ? m[0].length : -1);
      return m ? m.index + 1 : 0;
    }
    case "sprintf": {
      const rest: Value[] = [];
      for (let i = 1; i < args.length; i++) rest.push(await arg(i));
      return format(await text(0), rest, (x) => awk.str(x));
    }
    case "tolower":
      return (await text(0)).replace(/[A-Z]/g, (c) => c.toLowerCase());
    case "toupper":
      return (await text(0)).replace(/[a-z]/g, (c) => c.toUpperCase());
    case "int":
      return Math.trunc(num(await arg(0)));
    case "sin":
    case "cos":
    case "exp":
    case "log":
    case "sqrt":
      return Math[name](num(await arg(0)));
    case "atan2":
      return Math.atan2(num(await arg(0)), num(await arg(1)));
    case "rand": {
      awk.seed = (Math.imul(awk.seed, 1_103_515_245) + 12_345) >>> 0;
      return (awk.seed >>> 1) / 2 ** 31;
    }
    case "srand": {
      const old = awk.seed;
      awk.seed = args[0] === undefined ? Math.floor(awk.p.clock.nowMs() / 1000) : num(await arg(0)) >>> 0;
      return old;
    }
    case "systime":
      return Math.floor(awk.p.clock.nowMs() / 1000);
    case "strftime":
      return strftime(args[0] === undefined ? "%c" : await text(0), args[1] === undefined ? awk.p.clock.nowMs() : num(await arg(1)) * 1000);
    case "and":
      return (num(await arg(0)) & num(await arg(1))) >>> 0;
    case "or":
      return (num(await arg(0)) | num(await arg(1))) >>> 0;
    case "xor":
      return (num(await arg(0)) ^ num(await arg(1))) >>> 0;
    case "lshift":
      return (num(await arg(0)) << num(await arg(1))) >>> 0;
    case "rshift":
      return num(await arg(0)) >>> num(await arg(1));
    case "compl":
      return ~num(await arg(0)) >>> 0;
    case "fflush":
      await awk.flush();
      return 0;
    case "system": {
      await awk.flush();
      const child = await launch(awk.p, ["sh", "-c", Buffer.from(await text(0), "latin1").toString("utf8")]);
      if (child instanceof SysError) return 127;
      const s = ((await awk.p.waitpid(child.pid)) as { status: ExitStatus }).status;
      return s.signal !== 0 ? 256 + s.signal : s.code;
    }
    case "close": {
      const target = await text(0);
      const fd = awk.files.get(target);
      if (fd !== undefined) {
        awk.p.fds.close(fd);
        awk.files.delete(target);
        return 0;
      }
      const c = awk.commands.get(target);
      if (c) {
        awk.commands.delete(target);
        await awk.flush();
        return awk.pipeTo(target, c.text);
      }
      const r = awk.readers.get(target);
      if (r) {
        if (r.fd !== 0) awk.p.fds.close(r.fd);
        awk.readers.delete(target);
        return 0;
      }
      return -1;
    }
    default:
      throw new AwkError("Unexpected token");
  }
}
