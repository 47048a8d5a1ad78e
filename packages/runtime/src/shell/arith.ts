// $((...)) and let: C's integer operators on 64-bit signed numbers, variables, assignment (busybox math.c; its messages).
import { PodwireError } from "@podwire/base";

export class ArithError extends PodwireError {}

export interface ArithVariables {
  get(name: string): string | undefined;
  set(name: string, value: string): void;
}

const wrap = (v: bigint) => BigInt.asIntN(64, v);
const BINARY: string[][] = [
  ["||"],
  ["&&"],
  ["|"],
  ["^"],
  ["&"],
  ["==", "!="],
  ["<=", ">=", "<", ">"],
  ["<<", ">>"],
  ["+", "-"],
  ["*", "/", "%"],
  ["**"],
];
const ASSIGN = new Set(["=", "+=", "-=", "*=", "/=", "%=", "<<=", ">>=", "&=", "|=", "^="]);
const TOKEN =
  /\s*(?:(0[xX][0-9a-fA-F]+|[0-9]+#[0-9a-zA-Z@_]+|[0-9]+)|([A-Za-z_][A-Za-z0-9_]*)|(\*\*|<<=|>>=|\+\+|--|&&|\|\||<<|>>|[<>=!+\-*/%&|^]=|[-+*/%<>=!~&|^?:(),]))/y;
/** A variable's value may itself be an expression; this deep. */
const MAX_RECURSION = 32;

interface Token {
  t: "num" | "name" | "op";
  v: string;
}

/** Expressions come again in loops: their tokens are kept, up to a number. */
const TOKEN_CACHE_LIMIT = 500;
const tokenCache = new Map<string, Token[]>();

function tokensOf(text: string): Token[] {
  const known = tokenCache.get(text);
  if (known) return known;
  const tokens: Token[] = [];
  for (let at = 0; at < text.length; ) {
    TOKEN.lastIndex = at;
    const m = TOKEN.exec(text);
    if (!m) {
      if (/^\s*$/.test(text.slice(at))) break;
      throw new ArithError("arithmetic syntax error");
    }
    at = TOKEN.lastIndex;
    tokens.push(m[1] !== undefined ? { t: "num", v: m[1] } : m[2] !== undefined ? { t: "name", v: m[2] } : { t: "op", v: m[3] as string });
  }
  if (tokenCache.size >= TOKEN_CACHE_LIMIT) tokenCache.clear();
  tokenCache.set(text, tokens);
  return tokens;
}

export function evaluate(text: string, vars: ArithVariables, depth = 0): bigint {
  if (depth > MAX_RECURSION) throw new ArithError("expression recursion loop detected");
  const tokens = tokensOf(text);
  if (tokens.length === 0) return 0n;
  let i = 0;
  const fail = (): never => {
    throw new ArithError("arithmetic syntax error");
  };
  const isOp = (v: string) => tokens[i]?.t === "op" && tokens[i]?.v === v;
  const read = (name: string): bigint => {
    const s = vars.get(name);
    if (s === undefined || s.trim() === "") return 0n;
    if (/^\s*-?[0-9]+\s*$/.test(s) && !/^\s*-?0[0-9]/.test(s)) return wrap(BigInt(s.trim()));
    return evaluate(s, vars, depth + 1);
  };
  const number = (s: string): bigint => {
    const base = /^([0-9]+)#(.*)$/.exec(s);
    if (base) {
      let v = 0n;
      for (const ch of (base[2] as string).toLowerCase()) {
        const d = Number.parseInt(ch, 36);
        if (Number.isNaN(d) || d >= Number(base[1])) return fail();
        v = v * BigInt(base[1] as string) + BigInt(d);
      }
      return wrap(v);
    }
    if (/^0[xX]/.test(s)) return wrap(BigInt(s));
    if (/^0[0-9]/.test(s)) {
      if (/[89]/.test(s)) return fail();
      return wrap(BigInt(`0o${s.slice(1)}`));
    }
    return wrap(BigInt(s));
  };

  // `live` false: parsed but without effect, as the other arm of && || ?: is.
  const comma = (live: boolean): bigint => {
    let v = ternary(live);
    while (isOp(",")) {
      i++;
      v = ternary(live);
    }
    return v;
  };
  const ternary = (live: boolean): bigint => {
    if (tokens[i]?.t === "name" && tokens[i + 1]?.t === "op" && ASSIGN.has((tokens[i + 1] as Token).v)) {
      const name = (tokens[i] as Token).v;
      const op = (tokens[i + 1] as Token).v;
      i += 2;
      const right = ternary(live);
      const v = op === "=" ? right : live ? apply(op.slice(0, -1), read(name), right) : 0n;
      if (live) vars.set(name, String(v));
      return v;
    }
    const cond = binary(0, live);
    if (!isOp("?")) return cond;
    i++;
    const yes = comma(live && cond !== 0n);
    if (!isOp(":")) fail();
    i++;
    const no = ternary(live && cond === 0n);
    return cond !== 0n ? yes : no;
  };
  const binary = (level: number, live: boolean): bigint => {
    const ops = BINARY[level];
    if (ops === undefined) return unary(live);
    let left = binary(level + 1, live);
    for (;;) {
      const t = tokens[i];
      if (t?.t !== "op" || !ops.includes(t.v)) return left;
      i++;
      if (t.v === "&&") {
        const right = binary(level + 1, live && left !== 0n);
        left = left !== 0n && right !== 0n ? 1n : 0n;
      } else if (t.v === "||") {
        const right = binary(level + 1, live && left === 0n);
        left = left !== 0n || right !== 0n ? 1n : 0n;
      } else {
        const right = t.v === "**" ? binary(level, live) : binary(level + 1, live);
        left = live ? apply(t.v, left, right) : 0n;
      }
    }
  };
  const unary = (live: boolean): bigint => {
    const t = tokens[i];
    if (t === undefined) return fail();
    if (t.t === "op") {
      if (t.v === "++" || t.v === "--") {
        const n = tokens[i + 1];
        if (n?.t === "name") {
          i += 2;
          const v = wrap(read(n.v) + (t.v === "++" ? 1n : -1n));
          if (live) vars.set(n.v, String(v));
          return v;
        }
        i++;
        return unary(live);
      }
      i++;
      if (t.v === "+") return unary(live);
      if (t.v === "-") return wrap(-unary(live));
      if (t.v === "!") return unary(live) === 0n ? 1n : 0n;
      if (t.v === "~") return wrap(~unary(live));
      if (t.v === "(") {
        const v = comma(live);
        if (!isOp(")")) fail();
        i++;
        return v;
      }
      return fail();
    }
    i++;
    if (t.t === "num") return number(t.v);
    const v = read(t.v);
    if (isOp("++") || isOp("--")) {
      const up = isOp("++");
      i++;
      if (live) vars.set(t.v, String(wrap(v + (up ? 1n : -1n))));
    }
    return v;
  };
  const v = comma(true);
  if (i < tokens.length) fail();
  return v;
}

function apply(op: string, a: bigint, b: bigint): bigint {
  switch (op) {
    case "+":
      return wrap(a + b);
    case "-":
      return wrap(a - b);
    case "*":
      return wrap(a * b);
    case "/":
      if (b === 0n) throw new ArithError("divide by zero");
      return wrap(a / b);
    case "%":
      if (b === 0n) throw new ArithError("divide by zero");
      return wrap(a % b);
    case "**":
      if (b < 0n) throw new ArithError("exponent less than 0");
      return wrap(a ** (b > 4096n ? 4096n : b));
    case "<<":
      return wrap(a << (b & 63n));
    case ">>":
      return wrap(a >> (b & 63n));
    case "&":
      return a & b;
    case "|":
      return a | b;
    case "^":
      return a ^ b;
    case "==":
      return a === b ? 1n : 0n;
    case "!=":
      return a !== b ? 1n : 0n;
    case "<=":
      return a <= b ? 1n : 0n;
    case ">=":
      return a >= b ? 1n : 0n;
    case "<":
      return a < b ? 1n : 0n;
    default:
      return a > b ? 1n : 0n;
  }
}
