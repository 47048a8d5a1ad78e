// expr: arithmetic, comparison and matching of arguments (POSIX expr).
import type { Process } from "../kernel/process.ts";
import { die } from "./options.ts";
import { bre } from "./regex.ts";

export async function expr(p: Process): Promise<number> {
  const args = p.argv.slice(1);
  if (args.length === 0) return die(p, "too few arguments", 2);
  let i = 0;
  type Value = string;
  const isNumber = (v: Value) => /^-?\d+$/.test(v);
  const truth = (v: Value) => v !== "" && !/^-?0+$/.test(v);
  const num = async (v: Value): Promise<bigint> => (isNumber(v) ? BigInt(v) : die(p, "non-numeric argument", 2));
  const level = async (n: number): Promise<Value> => {
    if (n === 5) return primary();
    let left = await level(n + 1);
    for (;;) {
      const op = args[i];
      if (op === undefined) return left;
      if (n === 0 && op === "|") {
        i++;
        const right = await level(1);
        left = truth(left) ? left : truth(right) ? right : "0";
      } else if (n === 1 && op === "&") {
        i++;
        const right = await level(2);
        left = truth(left) && truth(right) ? left : "0";
      } else if (n === 2 && ["=", "==", "!=", "<", "<=", ">", ">="].includes(op)) {
        i++;
        const right = await level(3);
        const c = isNumber(left) && isNumber(right) ? Number(BigInt(left) - BigInt(right)) : left < right ? -1 : left > right ? 1 : 0;
        left = (
          op === "=" || op === "=="
            ? c === 0
            : op === "!="
              ? c !== 0
              : op === "<"
                ? c < 0
                : op === "<="
                  ? c <= 0
                  : op === ">"
                    ? c > 0
                    : c >= 0
        )
          ? "1"
          : "0";
      } else if (n === 3 && (op === "+" || op === "-")) {
        i++;
        const right = await num(await level(4));
        const l = await num(left);
        left = String(op === "+" ? l + right : l - right);
      } else if (n === 4 && (op === "*" || op === "/" || op === "%" || op === ":")) {
        i++;
        const rightText = await level(5);
        if (op === ":") {
          left = match(left, rightText);
          continue;
        }
        const right = await num(rightText);
        const l = await num(left);
        if (op !== "*" && right === 0n) return die(p, "division by zero", 2);
        left = String(op === "*" ? l * right : op === "/" ? l / right : l % right);
      } else return left;
    }
  };
  const primary = async (): Promise<Value> => {
    const a = args[i++];
    if (a === undefined) return die(p, "syntax error", 2);
    if (a === "(") {
      const v = await level(0);
      if (args[i++] !== ")") return die(p, "syntax error", 2);
      return v;
    }
    if (a === "length" && args[i] !== undefined) return String((args[i++] as string).length);
    if (a === "index" && args.length >= i + 2) {
      const s = args[i++] as string;
      const set = args[i++] as string;
      return String([...s].findIndex((c) => set.includes(c)) + 1);
    }
    if (a === "substr" && args.length >= i + 3) {
      const s = args[i++] as string;
      const from = Number(args[i++]);
      const length = Number(args[i++]);
      return from < 1 || length < 1 || Number.isNaN(from) || Number.isNaN(length) ? "" : s.slice(from - 1, from - 1 + length);
    }
    if (a === "match" && args.length >= i + 2) return match(args[i++] as string, args[i++] as string);
    return a;
  };
  const v = await level(0);
  if (i < args.length) return die(p, "syntax error", 2);
  await p.print(`${v}\n`);
  return truth(v) ? 0 : 1;
}

function match(text: string, pattern: string): string {
  const m = new RegExp(`^(?:${bre(pattern)})`).exec(text);
  if (/\\\(/.test(pattern)) return m?.[1] ?? "";
  return String(m ? m[0].length : 0);
}
