// CEL text -> syntax tree: the grammar of cel-spec with optional syntax, positions for error messages, macros expanded.
// Invariant: bounded recursion (DEPTH_MAX) and bounded size (LENGTH_MAX); anything else wrong is a CelSyntaxError.

import { PodwireError } from "@podwire/base";
import { lookup } from "../schema/lookup.ts";

export class CelSyntaxError extends PodwireError {
  readonly at: number;
  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

export const LENGTH_MAX = 16 * 1024;
const DEPTH_MAX = 250;

export type Expr = { at: number; id: number } & (
  | { op: "const"; value: unknown; type: "int" | "uint" | "double" | "string" | "bytes" | "bool" | "null_type" }
  | { op: "ident"; name: string }
  | { op: "select"; target: Expr; field: string; test: boolean; optional: boolean }
  | { op: "index"; target: Expr; index: Expr; optional: boolean }
  | { op: "call"; name: string; target: Expr | undefined; args: Expr[] }
  | { op: "list"; items: Expr[]; optional: boolean[] }
  | { op: "map"; entries: { key: Expr; value: Expr; optional: boolean }[] }
  | { op: "struct"; name: string; fields: { name: string; value: Expr; optional: boolean; at: number }[] }
  | { op: "and" | "or"; left: Expr; right: Expr }
  | { op: "cond"; test: Expr; then: Expr; else: Expr }
  | { op: "loop"; kind: LoopKind; range: Expr; vars: string[]; filter: Expr | undefined; body: Expr }
  | { op: "bind"; name: string; init: Expr; body: Expr }
  | { op: "optmap"; flat: boolean; target: Expr; name: string; body: Expr }
);

export type LoopKind = "all" | "exists" | "exists_one" | "map" | "filter" | "transformList" | "transformMap";

interface Token {
  kind: "ident" | "int" | "uint" | "double" | "string" | "bytes" | "op" | "end";
  text: string;
  value?: unknown;
  at: number;
}

const OPERATORS = [
  "==",
  "!=",
  "<=",
  ">=",
  "&&",
  "||",
  "[",
  "]",
  "{",
  "}",
  "(",
  ")",
  ".",
  ",",
  "-",
  "!",
  "?",
  ":",
  "+",
  "*",
  "/",
  "%",
  "<",
  ">",
];
const EXPECTED = "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";

function lex(s: string): Token[] {
  const out: Token[] = [];
  let i = 0;
  while (i < s.length) {
    const c = s[i]!;
    if (/\s/.test(c)) {
      i++;
      continue;
    }
    if (s.startsWith("//", i)) {
      while (i < s.length && s[i] !== "\n") i++;
      continue;
    }
    const rest = s.slice(i);
    const str = /^([rR]?[bB]?|[bB][rR])("""|'''|"|')/.exec(rest);
    if (str) {
      const t = readString(s, i, str[1]!.toLowerCase(), str[2]!);
      out.push(t.token);
      i = t.end;
      continue;
    }
    const num = /^(?:0[xX][0-9a-fA-F]+[uU]?|\d+(?:\.\d+)?(?:[eE][+-]?\d+)|\d*\.\d+(?:[eE][+-]?\d+)?|\d+[uU]?)/.exec(rest);
    if (num && (/\d/.test(c) || (c === "." && /\d/.test(s[i + 1] ?? "")))) {
      out.push(number(num[0], i));
      i += num[0].length;
      continue;
    }
    const id = /^[_a-zA-Z][_a-zA-Z0-9]*/.exec(rest);
    if (id) {
      out.push({ kind: "ident", text: id[0], at: i });
      i += id[0].length;
      continue;
    }
    if (c === "`") {
      const end = s.indexOf("`", i + 1);
      if (end > 0) {
        out.push({ kind: "ident", text: s.slice(i + 1, end), at: i });
        i = end + 1;
        continue;
      }
    }
    const op = OPERATORS.find((o) => s.startsWith(o, i));
    if (op === undefined) throw new CelSyntaxError(`Syntax error: token recognition error at: '${c}'`, i);
    out.push({ kind: "op", text: op, at: i });
    i += op.length;
  }
  out.push({ kind: "end", text: "<EOF>", at: s.length });
  return out;
}

function number(text: string, at: number): Token {
  const unsigned = /[uU]$/.test(text) && true;
  const body = unsigned ? text.slice(0, -1) : text;
  if (!/^0[xX]/.test(body) && /[.eE]/.test(body)) return { kind: "double", text, value: Number(body), at };
  return { kind: unsigned ? "uint" : "int", text, value: BigInt(body), at };
}

const ESCAPES: Record<string, string> = lookup({
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
  "?": "?",
  '"': '"',
  "'": "'",
  "`": "`",
});

function readString(s: string, start: number, prefix: string, quote: string): { token: Token; end: number } {
  const raw = prefix.includes("r");
  const bytes = prefix.includes("b");
  let i = start + prefix.length + quote.length;
  let out = "";
  for (;;) {
    if (i >= s.length || (quote.length === 1 && s[i] === "\n"))
      throw new CelSyntaxError(`Syntax error: token recognition error at: '${s.slice(start)}'`, start);
    if (s.startsWith(quote, i)) break;
    if (s[i] !== "\\" || raw) {
      out += s[i++];
      continue;
    }
    const e = s[i + 1] ?? "";
    const hex = e === "x" || e === "X" ? 2 : e === "u" ? 4 : e === "U" ? 8 : 0;
    if (hex > 0) {
      const code = Number.parseInt(s.slice(i + 2, i + 2 + hex), 16);
      if (!/^[0-9a-fA-F]+$/.test(s.slice(i + 2, i + 2 + hex)) || code > 0x10ffff)
        throw new CelSyntaxError("Syntax error: invalid escape", i);
      out += String.fromCodePoint(code);
      i += 2 + hex;
    } else if (/[0-3]/.test(e)) {
      out += String.fromCharCode(Number.parseInt(s.slice(i + 1, i + 4), 8));
      i += 4;
    } else if (ESCAPES[e] !== undefined) {
      out += ESCAPES[e];
      i += 2;
    } else throw new CelSyntaxError(`Syntax error: token recognition error at: '${s.slice(start, i + 2)}'`, start);
  }
  const value = bytes ? Buffer.from(out, "latin1") : out;
  return { token: { kind: bytes ? "bytes" : "string", text: s.slice(start, i + quote.length), value, at: start }, end: i + quote.length };
}

export function parseCel(text: string): Expr {
  if (text.length > LENGTH_MAX)
    throw new CelSyntaxError(`expression code point size exceeds limit: size: ${text.length}, limit ${LENGTH_MAX}`, 0);
  return new Parser(lex(text)).document();
}

class Parser {
  private i = 0;
  private depth = 0;
  private ids = 0;
  private readonly tokens: Token[];
  constructor(tokens: Token[]) {
    this.tokens = tokens;
  }

  document(): Expr {
    const e = this.expr();
    if (this.peek().kind !== "end") throw this.unexpected();
    return e;
  }

  private peek(): Token {
    return this.tokens[this.i]!;
  }

  private is(op: string): boolean {
    const t = this.peek();
    return t.kind === "op" && t.text === op;
  }

  private accept(op: string): boolean {
    if (!this.is(op)) return false;
    this.i++;
    return true;
  }

  private expect(op: string): void {
    if (!this.accept(op)) throw this.unexpected(`'${op}'`);
  }

  private unexpected(expecting = EXPECTED): CelSyntaxError {
    const t = this.peek();
    if (this.i > 0 && this.tokens[this.i - 1]!.text === "." && expecting === EXPECTED)
      return new CelSyntaxError("Syntax error: no viable alternative at input '.'", t.at);
    if (expecting === EXPECTED && t.kind !== "end" && this.i > 0)
      return new CelSyntaxError(`Syntax error: extraneous input '${t.text}' expecting <EOF>`, t.at);
    return new CelSyntaxError(`Syntax error: mismatched input '${t.text}' expecting ${expecting}`, t.at);
  }

  private node<T extends object>(at: number, n: T): T & { at: number; id: number } {
    return { ...n, at, id: ++this.ids };
  }

  private expr(): Expr {
    if (++this.depth > DEPTH_MAX) throw new CelSyntaxError("expression recursion limit exceeded: 250", this.peek().at);
    const test = this.or();
    let out = test;
    if (this.is("?")) {
      const at = this.peek().at;
      this.i++;
      const then = this.or();
      this.expect(":");
      out = this.node(at, { op: "cond" as const, test, then, else: this.expr() });
    }
    this.depth--;
    return out;
  }

  private or(): Expr {
    let left = this.and();
    while (this.is("||")) {
      const at = this.peek().at;
      this.i++;
      left = this.node(at, { op: "or" as const, left, right: this.and() });
    }
    return left;
  }

  private and(): Expr {
    let left = this.relation();
    while (this.is("&&")) {
      const at = this.peek().at;
      this.i++;
      left = this.node(at, { op: "and" as const, left, right: this.relation() });
    }
    return left;
  }

  private relation(): Expr {
    let left = this.sum();
    for (;;) {
      const t = this.peek();
      const isOp = (t.kind === "op" && ["<", "<=", ">", ">=", "==", "!="].includes(t.text)) || (t.kind === "ident" && t.text === "in");
      if (!isOp) return left;
      this.i++;
      left = this.node(t.at, {
        op: "call" as const,
        name: t.text === "in" ? "@in" : `_${t.text}_`,
        target: undefined,
        args: [left, this.sum()],
      });
    }
  }

  private sum(): Expr {
    let left = this.product();
    while (this.is("+") || this.is("-")) {
      const t = this.peek();
      this.i++;
      left = this.node(t.at, { op: "call" as const, name: `_${t.text}_`, target: undefined, args: [left, this.product()] });
    }
    return left;
  }

  private product(): Expr {
    let left = this.unary();
    while (this.is("*") || this.is("/") || this.is("%")) {
      const t = this.peek();
      this.i++;
      left = this.node(t.at, { op: "call" as const, name: `_${t.text}_`, target: undefined, args: [left, this.unary()] });
    }
    return left;
  }

  private unary(): Expr {
    const t = this.peek();
    if (this.is("!") || this.is("-")) {
      if (++this.depth > DEPTH_MAX) throw new CelSyntaxError("expression recursion limit exceeded: 250", t.at);
      this.i++;
      const next = this.peek();
      if (t.text === "-" && (next.kind === "int" || next.kind === "double")) {
        next.value = next.kind === "int" ? -(next.value as bigint) : -(next.value as number);
        next.at = t.at;
        this.depth--;
        return this.member();
      }
      const e = this.node(t.at, { op: "call" as const, name: t.text === "!" ? "!_" : "-_", target: undefined, args: [this.unary()] });
      this.depth--;
      return e;
    }
    return this.member();
  }

  private member(): Expr {
    let e = this.primary();
    for (;;) {
      const at = this.peek().at;
      if (this.accept(".")) {
        const optional = this.accept("?");
        const t = this.peek();
        if (t.kind !== "ident") throw this.unexpected();
        this.i++;
        if (!optional && this.is("(")) {
          const paren = this.peek().at;
          this.i++;
          e = this.method(e, t.text, this.args(")"), paren);
        } else e = this.node(at, { op: "select" as const, target: e, field: t.text, test: false, optional });
      } else if (this.accept("[")) {
        const optional = this.accept("?");
        const index = this.expr();
        this.expect("]");
        e = this.node(at, { op: "index" as const, target: e, index, optional });
      } else {
        const name = this.is("{") ? qualifiedName(e) : undefined;
        if (name === undefined) return e;
        e = this.structLiteral(name, at);
      }
    }
  }

  private args(close: string): Expr[] {
    const out: Expr[] = [];
    if (this.accept(close)) return out;
    do out.push(this.expr());
    while (this.accept(","));
    this.expect(close);
    return out;
  }

  private primary(): Expr {
    const t = this.peek();
    switch (t.kind) {
      case "int":
      case "uint":
      case "double":
      case "string":
      case "bytes":
        this.i++;
        return this.literal(t);
      case "ident":
        return this.identifier(t);
    }
    if (this.accept("(")) {
      const e = this.expr();
      this.expect(")");
      return e;
    }
    if (this.accept("[")) return this.list(t.at);
    if (this.accept("{")) return this.mapLiteral(t.at);
    if (this.is(".")) {
      this.i++;
      const n = this.peek();
      if (n.kind === "ident") return this.identifier(n);
    }
    throw this.unexpected();
  }

  private literal(t: Token): Expr {
    if (t.kind === "int" && ((t.value as bigint) > 9223372036854775807n || (t.value as bigint) < -9223372036854775808n))
      throw new CelSyntaxError("Syntax error: invalid int literal", t.at);
    if (t.kind === "uint" && (t.value as bigint) > 18446744073709551615n)
      throw new CelSyntaxError("Syntax error: invalid uint literal", t.at);
    return this.node(t.at, { op: "const" as const, value: t.value, type: t.kind as "int" });
  }

  private identifier(t: Token): Expr {
    this.i++;
    if (t.text === "true" || t.text === "false")
      return this.node(t.at, { op: "const" as const, value: t.text === "true", type: "bool" as const });
    if (t.text === "null") return this.node(t.at, { op: "const" as const, value: null, type: "null_type" as const });
    if (this.is("(")) {
      const paren = this.peek().at;
      this.i++;
      const args = this.args(")");
      if (t.text === "has" && args.length === 1) return this.has(args[0]!);
      return this.node(paren, { op: "call" as const, name: t.text, target: undefined, args });
    }
    return this.node(t.at, { op: "ident" as const, name: t.text });
  }

  private structLiteral(name: string, at: number): Expr {
    this.i++;
    const fields: { name: string; value: Expr; optional: boolean; at: number }[] = [];
    while (!this.is("}")) {
      const optional = this.accept("?");
      const f = this.peek();
      if (f.kind !== "ident") throw this.unexpected("IDENTIFIER");
      this.i++;
      const colon = this.peek().at;
      this.expect(":");
      fields.push({ name: f.text, value: this.expr(), optional, at: colon });
      if (!this.accept(",")) break;
    }
    this.expect("}");
    return this.node(at, { op: "struct" as const, name, fields });
  }

  private list(at: number): Expr {
    const items: Expr[] = [];
    const optional: boolean[] = [];
    while (!this.is("]")) {
      optional.push(this.accept("?"));
      items.push(this.expr());
      if (!this.accept(",")) break;
    }
    this.expect("]");
    return this.node(at, { op: "list" as const, items, optional });
  }

  private mapLiteral(at: number): Expr {
    const entries: { key: Expr; value: Expr; optional: boolean }[] = [];
    while (!this.is("}")) {
      const optional = this.accept("?");
      const key = this.expr();
      this.expect(":");
      entries.push({ key, value: this.expr(), optional });
      if (!this.accept(",")) break;
    }
    this.expect("}");
    return this.node(at, { op: "map" as const, entries });
  }

  private has(e: Expr): Expr {
    if (e.op !== "select") throw new CelSyntaxError("invalid argument to has() macro", e.at);
    return { ...e, test: true };
  }

  private variable(e: Expr): string {
    if (e.op !== "ident") throw new CelSyntaxError("argument must be a simple name", e.at);
    return e.name;
  }

  private method(target: Expr, name: string, args: Expr[], at: number): Expr {
    const two = args.length === 3 && args[0]!.op === "ident" && args[1]!.op === "ident";
    switch (name) {
      case "all":
      case "exists":
      case "exists_one":
      case "existsOne": {
        const kind = name === "existsOne" ? "exists_one" : name;
        if (two)
          return this.node(at, {
            op: "loop" as const,
            kind,
            range: target,
            vars: [this.variable(args[0]!), this.variable(args[1]!)],
            filter: undefined,
            body: args[2]!,
          });
        if (args.length === 2)
          return this.node(at, {
            op: "loop" as const,
            kind,
            range: target,
            vars: [this.variable(args[0]!)],
            filter: undefined,
            body: args[1]!,
          });
        break;
      }
      case "filter":
        if (args.length === 2)
          return this.node(at, {
            op: "loop" as const,
            kind: "filter",
            range: target,
            vars: [this.variable(args[0]!)],
            filter: undefined,
            body: args[1]!,
          });
        break;
      case "map":
        if (args.length === 2)
          return this.node(at, {
            op: "loop" as const,
            kind: "map",
            range: target,
            vars: [this.variable(args[0]!)],
            filter: undefined,
            body: args[1]!,
          });
        if (args.length === 3)
          return this.node(at, {
            op: "loop" as const,
            kind: "map",
            range: target,
            vars: [this.variable(args[0]!)],
            filter: args[1]!,
            body: args[2]!,
          });
        break;
      case "transformList":
      case "transformMap":
        if (args.length === 3 || args.length === 4) {
          const filter = args.length === 4 ? args[2] : undefined;
          return this.node(at, {
            op: "loop" as const,
            kind: name,
            range: target,
            vars: [this.variable(args[0]!), this.variable(args[1]!)],
            filter,
            body: args.at(-1)!,
          });
        }
        break;
      case "optMap":
      case "optFlatMap":
        if (args.length === 2)
          return this.node(at, {
            op: "optmap" as const,
            flat: name === "optFlatMap",
            target,
            name: this.variable(args[0]!),
            body: args[1]!,
          });
        break;
      case "bind":
        if (args.length === 3 && target.op === "ident" && target.name === "cel")
          return this.node(at, { op: "bind" as const, name: this.variable(args[0]!), init: args[1]!, body: args[2]! });
        break;
    }
    // Functions with a name space: sets.contains(a, b), optional.of(x), ip.isCanonical(s).
    if (target.op === "ident" && NAMESPACES.has(target.name))
      return this.node(at, { op: "call" as const, name: `${target.name}.${name}`, target: undefined, args });
    return this.node(at, { op: "call" as const, name, target, args });
  }
}

const NAMESPACES = new Set(["sets", "optional", "math", "strings", "base64", "format", "ip", "cidr", "jsonpatch"]);

/** "a.b.c" of plain selections; undefined for anything else. */
function qualifiedName(e: Expr): string | undefined {
  if (e.op === "ident") return e.name;
  if (e.op !== "select" || e.test || e.optional) return undefined;
  const head = qualifiedName(e.target);
  return head === undefined ? undefined : `${head}.${e.field}`;
}
