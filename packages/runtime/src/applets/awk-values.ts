// awk's values: numbers, strings, and strings from input that look like numbers; arithmetic, truth, printf.
import { formatFloat } from "../shell/printf.ts";
import { AwkError } from "./awk-parser.ts";

/** A number, a string, or a string that looks like a number (from input). */
export type Value = number | string | Strnum;
export class Strnum {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}
const NUMERIC = /^\s*[-+]?(\d+\.?\d*([eE][-+]?\d+)?|\.\d+([eE][-+]?\d+)?)\s*$/;

export function unescaped(s: string): string {
  return s.replace(/\\(.)/g, (_, c: string) => ({ n: "\n", t: "\t", r: "\r", "\\": "\\" })[c] ?? `\\${c}`);
}
export function input(s: string): Value {
  return NUMERIC.test(s) ? new Strnum(s) : s;
}

export function num(v: Value): number {
  if (typeof v === "number") return v;
  const n = Number.parseFloat(typeof v === "string" ? v : v.text);
  return Number.isNaN(n) ? 0 : n;
}

export function truth(v: Value): boolean {
  if (typeof v === "number") return v !== 0;
  if (v instanceof Strnum) return num(v) !== 0;
  return v !== "";
}

export function arithmetic(op: string, a: number, b: number): number {
  switch (op) {
    case "+":
      return a + b;
    case "-":
      return a - b;
    case "*":
      return a * b;
    case "/":
      if (b === 0) throw new AwkError("Division by zero");
      return a / b;
    case "%":
      if (b === 0) throw new AwkError("Division by zero");
      return a % b;
    default:
      return a ** b;
  }
}

/** printf's text of values; `str` is how a number becomes text without a format. */
export function format(text0: string, args: Value[], str: (v: Value) => string): string {
  let i = 0;
  return text0.replace(
    /%([-+ #0]*)(\*|\d+)?(?:\.(\*|\d+)?)?([a-zA-Z%])/g,
    (whole, flags: string, widthText: string | undefined, precisionText: string | undefined, kind: string) => {
      if (kind === "%") return "%";
      const width = widthText === "*" ? num(args[i++] ?? 0) : Number(widthText ?? 0);
      const precision = /\./.test(whole) ? (precisionText === "*" ? num(args[i++] ?? 0) : Number(precisionText ?? 0)) : undefined;
      const v = args[i++] ?? "";
      let text: string;
      switch (kind) {
        case "c":
          text = typeof v === "number" ? String.fromCharCode(v & 255) : str(v).slice(0, 1);
          break;
        case "s":
          text = str(v);
          if (precision !== undefined) text = text.slice(0, precision);
          break;
        case "d":
        case "i": {
          const n = Math.trunc(num(v));
          text =
            (n < 0 ? "-" : flags.includes("+") ? "+" : flags.includes(" ") ? " " : "") +
            BigInt(Number.isFinite(n) ? Math.abs(n) : 0)
              .toString()
              .padStart(precision ?? 0, "0");
          break;
        }
        case "o":
        case "x":
        case "X":
        case "u": {
          const n = BigInt.asUintN(64, BigInt(Math.trunc(num(v)) || 0));
          text = n.toString(kind === "o" ? 8 : kind === "u" ? 10 : 16).padStart(precision ?? 0, "0");
          if (kind === "X") text = text.toUpperCase();
          break;
        }
        default:
          text = "eEfFgG".includes(kind) ? formatFloat(num(v), kind, precision, flags) : whole;
      }
      if (text.length >= width) return text;
      if (flags.includes("-")) return text.padEnd(width);
      if (flags.includes("0") && kind !== "s" && kind !== "c") {
        const sign = /^[-+ ]/.exec(text)?.[0] ?? "";
        return sign + text.slice(sign.length).padStart(width - sign.length, "0");
      }
      return text.padStart(width);
    },
  );
}
