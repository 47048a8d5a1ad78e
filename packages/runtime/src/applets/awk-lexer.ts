// awk's words. A "/" begins a regular expression where an operand may stand, and divides elsewhere.

export class AwkError extends Error {}

export type Token = { t: "num" | "str" | "re" | "name" | "func" | "builtin" | "key" | "op" | "nl" | "eof"; v: string; space?: boolean };

const KEYWORDS = new Set([
  "BEGIN",
  "END",
  "function",
  "func",
  "if",
  "else",
  "while",
  "for",
  "do",
  "break",
  "continue",
  "next",
  "nextfile",
  "exit",
  "return",
  "delete",
  "in",
  "getline",
  "print",
  "printf",
]);
export const AWK_BUILTINS = new Set([
  "length",
  "substr",
  "index",
  "split",
  "sub",
  "gsub",
  "match",
  "sprintf",
  "sin",
  "cos",
  "atan2",
  "exp",
  "log",
  "sqrt",
  "int",
  "rand",
  "srand",
  "tolower",
  "toupper",
  "system",
  "close",
  "fflush",
  "systime",
  "strftime",
  "and",
  "or",
  "xor",
  "lshift",
  "rshift",
  "compl",
  "gensub",
]);
const OPS = [
  "**=",
  "&&",
  "||",
  "++",
  "--",
  "+=",
  "-=",
  "*=",
  "/=",
  "%=",
  "^=",
  "**",
  "==",
  "<=",
  ">=",
  "!=",
  "!~",
  ">>",
  "{",
  "}",
  "(",
  ")",
  "[",
  "]",
  ";",
  ",",
  "+",
  "-",
  "*",
  "/",
  "%",
  "^",
  "!",
  "<",
  ">",
  "|",
  "?",
  ":",
  "~",
  "$",
  "=",
];

export function tokenize(src: string): Token[] {
  const out: Token[] = [];
  let i = 0;
  const operandBefore = () => {
    const p = out.at(-1);
    return (
      p !== undefined &&
      (["num", "str", "re", "name", "builtin"].includes(p.t) || (p.t === "op" && [")", "]", "$", "++", "--"].includes(p.v)))
    );
  };
  while (i < src.length) {
    const c = src[i] as string;
    const space = i > 0 && /[ \t]/.test(src[i - 1] as string);
    if (c === " " || c === "\t" || c === "\r") i++;
    else if (c === "\\" && src[i + 1] === "\n") i += 2;
    else if (c === "#") while (i < src.length && src[i] !== "\n") i++;
    else if (c === "\n") {
      out.push({ t: "nl", v: "\n" });
      i++;
    } else if (c === '"') {
      let text = "";
      for (i++; src[i] !== '"'; i++) {
        if (i >= src.length || src[i] === "\n") throw new AwkError("Unexpected end of string");
        if (src[i] === "\\") {
          i++;
          const m = /^([0-7]{1,3})/.exec(src.slice(i, i + 3));
          if (m) {
            text += String.fromCharCode(Number.parseInt(m[1] as string, 8));
            i += (m[1] as string).length - 1;
          } else
            text +=
              (
                { n: "\n", t: "\t", r: "\r", "\\": "\\", '"': '"', "/": "/", a: "\x07", b: "\b", f: "\f", v: "\v" } as Record<
                  string,
                  string
                >
              )[src[i] as string] ?? `\\${src[i]}`;
        } else text += src[i];
      }
      i++;
      out.push({ t: "str", v: text });
    } else if (c === "/" && !operandBefore()) {
      let text = "";
      let inSet = false;
      for (i++; src[i] !== "/" || inSet; i++) {
        if (i >= src.length || src[i] === "\n") throw new AwkError("Unexpected end of regex");
        if (src[i] === "\\") {
          text += src[i + 1] === "/" ? "/" : `\\${src[i + 1]}`;
          i++;
          continue;
        }
        if (src[i] === "[") inSet = true;
        if (src[i] === "]") inSet = false;
        text += src[i];
      }
      i++;
      out.push({ t: "re", v: text });
    } else if (/[0-9.]/.test(c) && /^(\d|\.\d)/.test(src.slice(i, i + 2))) {
      const m = /^(0[xX][0-9a-fA-F]+|\d*\.?\d*([eE][+-]?\d+)?)/.exec(src.slice(i)) as RegExpExecArray;
      out.push({ t: "num", v: m[0] });
      i += m[0].length;
    } else if (/[A-Za-z_]/.test(c)) {
      const name = (/^[A-Za-z_][A-Za-z0-9_]*/.exec(src.slice(i)) as RegExpExecArray)[0];
      i += name.length;
      if (KEYWORDS.has(name)) out.push({ t: "key", v: name === "func" ? "function" : name });
      else if (AWK_BUILTINS.has(name)) out.push({ t: "builtin", v: name });
      else out.push({ t: src[i] === "(" ? "func" : "name", v: name });
    } else {
      const op = OPS.find((o) => src.startsWith(o, i));
      if (op === undefined) throw new AwkError("Unexpected token");
      out.push({ t: "op", v: op === "**" ? "^" : op === "**=" ? "^=" : op, space });
      i += op.length;
    }
  }
  out.push({ t: "eof", v: "" });
  return out;
}
