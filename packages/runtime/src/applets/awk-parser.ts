// awk's grammar (POSIX awk): program text to a tree. Regular expressions are found where an operand may stand.
import { AwkError, type Token, tokenize } from "./awk-lexer.ts";

export { AwkError } from "./awk-lexer.ts";

export type Expr =
  | { t: "num"; v: number }
  | { t: "str"; v: string }
  | { t: "re"; v: string }
  | { t: "var"; name: string }
  | { t: "index"; name: string; subs: Expr[] }
  | { t: "field"; e: Expr }
  | { t: "assign"; op: string; to: Expr; e: Expr }
  | { t: "cond"; c: Expr; a: Expr; b: Expr }
  | { t: "bin"; op: string; a: Expr; b: Expr }
  | { t: "un"; op: string; a: Expr }
  | { t: "inc"; to: Expr; by: number; post: boolean }
  | { t: "in"; subs: Expr[]; name: string }
  | { t: "call"; name: string; args: Expr[] }
  | { t: "builtin"; name: string; args: Expr[] }
  | { t: "getline"; to: Expr | undefined; from: Expr | undefined; kind: "" | "<" | "|" }
  | { t: "group"; list: Expr[] };

export type Stmt =
  | { t: "expr"; e: Expr }
  | { t: "print"; args: Expr[]; printf: boolean; redirect: "" | ">" | ">>" | "|"; target: Expr | undefined }
  | { t: "if"; c: Expr; a: Stmt; b: Stmt | undefined }
  | { t: "while"; c: Expr; body: Stmt; first: boolean }
  | { t: "for"; init: Stmt | undefined; c: Expr | undefined; step: Stmt | undefined; body: Stmt }
  | { t: "forin"; name: string; array: string; body: Stmt }
  | { t: "block"; list: Stmt[] }
  | { t: "delete"; name: string; subs: Expr[] | undefined }
  | { t: "next" | "nextfile" | "break" | "continue" | "nothing" }
  | { t: "exit" | "return"; e: Expr | undefined };

export interface AwkProgram {
  begin: Stmt[];
  end: Stmt[];
  rules: { pattern: Expr | undefined; to: Expr | undefined; body: Stmt | undefined; active: boolean }[];
  functions: Map<string, { params: string[]; body: Stmt }>;
}

export function parseAwk(src: string): AwkProgram {
  const tokens = tokenize(src);
  let at = 0;
  /** Inside print's arguments ">" is a redirection; inside for(...) "in" is the loop's. */
  let noGreater = 0;
  let noIn = 0;
  const peek = () => tokens[at] as Token;
  const is = (v: string, t: Token["t"] = "op") => peek().t === t && peek().v === v;
  const accept = (v: string, t: Token["t"] = "op") => {
    const yes = is(v, t);
    if (yes) at++;
    return yes;
  };
  const fail = (): never => {
    throw new AwkError("Unexpected token");
  };
  const expect = (v: string, t: Token["t"] = "op") => {
    if (!accept(v, t)) fail();
  };
  const newlines = () => {
    while (peek().t === "nl") at++;
  };
  const terminators = () => {
    while (peek().t === "nl" || is(";")) at++;
  };

  const program: AwkProgram = { begin: [], end: [], rules: [], functions: new Map() };
  terminators();
  while (peek().t !== "eof") {
    if (accept("function", "key")) {
      const name = (tokens[at++] as Token).v;
      expect("(");
      const params: string[] = [];
      while (!accept(")")) {
        params.push((tokens[at++] as Token).v);
        accept(",");
        newlines();
      }
      newlines();
      program.functions.set(name, { params, body: block() });
    } else if (accept("BEGIN", "key")) {
      newlines();
      program.begin.push(block());
    } else if (accept("END", "key")) {
      newlines();
      program.end.push(block());
    } else {
      let pattern: Expr | undefined;
      let to: Expr | undefined;
      if (!is("{")) {
        pattern = expr();
        if (accept(",")) {
          newlines();
          to = expr();
        }
      }
      program.rules.push({ pattern, to, body: is("{") ? block() : undefined, active: false });
    }
    terminators();
  }
  return program;

  function block(): Stmt {
    expect("{");
    const list: Stmt[] = [];
    terminators();
    while (!accept("}")) {
      if (peek().t === "eof") fail();
      list.push(statement());
      terminators();
    }
    return { t: "block", list };
  }

  function end(): void {
    if (peek().t === "nl" || is(";")) at++;
    else if (!is("}") && peek().t !== "eof") fail();
  }

  function statement(): Stmt {
    if (is("{")) return block();
    if (accept(";")) return { t: "nothing" };
    const k = peek().t === "key" ? peek().v : "";
    switch (k) {
      case "if": {
        at++;
        expect("(");
        const c = expr();
        expect(")");
        newlines();
        const a = statement();
        const back = at;
        terminators();
        if (accept("else", "key")) {
          newlines();
          return { t: "if", c, a, b: statement() };
        }
        at = back;
        return { t: "if", c, a, b: undefined };
      }
      case "while": {
        at++;
        expect("(");
        const c = expr();
        expect(")");
        if (accept(";")) return { t: "while", c, body: { t: "nothing" }, first: false };
        newlines();
        return { t: "while", c, body: statement(), first: false };
      }
      case "do": {
        at++;
        newlines();
        const body = statement();
        terminators();
        expect("while", "key");
        expect("(");
        const c = expr();
        expect(")");
        return { t: "while", c, body, first: true };
      }
      case "for": {
        at++;
        expect("(");
        const n = peek();
        if (n.t === "name" && tokens[at + 1]?.v === "in" && tokens[at + 1]?.t === "key" && tokens[at + 3]?.v === ")") {
          const array = (tokens[at + 2] as Token).v;
          at += 4;
          newlines();
          return { t: "forin", name: n.v, array, body: statement() };
        }
        noIn++;
        const init = is(";") ? undefined : simple();
        noIn--;
        expect(";");
        newlines();
        const c = is(";") ? undefined : expr();
        expect(";");
        newlines();
        const step = is(")") ? undefined : simple();
        expect(")");
        if (accept(";")) return { t: "for", init, c, step, body: { t: "nothing" } };
        newlines();
        return { t: "for", init, c, step, body: statement() };
      }
      case "next":
      case "nextfile":
      case "break":
      case "continue":
        at++;
        end();
        return { t: k };
      case "exit":
      case "return": {
        at++;
        const e = peek().t === "nl" || is(";") || is("}") || peek().t === "eof" ? undefined : expr();
        end();
        return { t: k, e };
      }
    }
    const s = simple();
    end();
    return s;
  }

  function simple(): Stmt {
    if (accept("delete", "key")) {
      const name = (tokens[at++] as Token).v;
      if (!accept("[")) return { t: "delete", name, subs: undefined };
      const subs = list("]");
      return { t: "delete", name, subs };
    }
    if (is("print", "key") || is("printf", "key")) {
      const printf = (tokens[at++] as Token).v === "printf";
      const args: Expr[] = [];
      noGreater++;
      if (!(peek().t === "nl" || is(";") || is("}") || is(">") || is(">>") || is("|") || peek().t === "eof")) {
        args.push(expr());
        while (accept(",")) {
          newlines();
          args.push(expr());
        }
      }
      noGreater--;
      const only = args[0];
      const flat = args.length === 1 && only?.t === "group" ? only.list : args;
      for (const r of [">>", ">", "|"] as const) if (accept(r)) return { t: "print", args: flat, printf, redirect: r, target: concat() };
      return { t: "print", args: flat, printf, redirect: "", target: undefined };
    }
    return { t: "expr", e: expr() };
  }

  function list(close: string): Expr[] {
    const out: Expr[] = [];
    const g = noGreater;
    const n = noIn;
    noGreater = 0;
    noIn = 0;
    newlines();
    while (!accept(close)) {
      out.push(expr());
      newlines();
      if (!accept(",") && !is(close)) fail();
      newlines();
    }
    noGreater = g;
    noIn = n;
    return out;
  }

  function expr(): Expr {
    const left = ternary();
    const op = peek();
    if (
      op.t === "op" &&
      ["=", "+=", "-=", "*=", "/=", "%=", "^="].includes(op.v) &&
      (left.t === "var" || left.t === "index" || left.t === "field")
    ) {
      at++;
      newlines();
      return { t: "assign", op: op.v, to: left, e: expr() };
    }
    return left;
  }

  function ternary(): Expr {
    const c = or();
    if (!accept("?")) return c;
    newlines();
    const a = expr();
    newlines();
    expect(":");
    newlines();
    return { t: "cond", c, a, b: expr() };
  }
  function or(): Expr {
    let a = and();
    while (accept("||")) {
      newlines();
      a = { t: "bin", op: "||", a, b: and() };
    }
    return a;
  }
  function and(): Expr {
    let a = membership();
    while (accept("&&")) {
      newlines();
      a = { t: "bin", op: "&&", a, b: membership() };
    }
    return a;
  }
  function membership(): Expr {
    let a = match();
    while (noIn === 0 && accept("in", "key")) a = { t: "in", subs: a.t === "group" ? a.list : [a], name: (tokens[at++] as Token).v };
    return a;
  }
  function match(): Expr {
    let a = compare();
    while (is("~") || is("!~")) {
      const op = (tokens[at++] as Token).v;
      a = { t: "bin", op, a, b: compare() };
    }
    return a;
  }
  function compare(): Expr {
    const a = concat();
    const op = peek();
    if (op.t === "op" && (["<", "<=", "==", "!=", ">="].includes(op.v) || (op.v === ">" && noGreater === 0))) {
      at++;
      return { t: "bin", op: op.v, a, b: concat() };
    }
    if (is("|") && tokens[at + 1]?.v === "getline") {
      let left: Expr = a;
      while (is("|") && tokens[at + 1]?.v === "getline") {
        at += 2;
        left = { t: "getline", to: lvalue(), from: left, kind: "|" };
      }
      return left;
    }
    return a;
  }
  function concat(): Expr {
    let a = additive();
    for (;;) {
      const t = peek();
      const starts =
        t.t === "num" ||
        t.t === "str" ||
        t.t === "re" ||
        t.t === "name" ||
        t.t === "func" ||
        t.t === "builtin" ||
        (t.t === "op" && ["$", "!", "(", "-", "+", "++", "--"].includes(t.v));
      if (!starts || (t.t === "key" && t.v === "in")) return a;
      a = { t: "bin", op: " ", a, b: additive() };
    }
  }
  function additive(): Expr {
    let a = multiplicative();
    while (is("+") || is("-")) {
      const op = (tokens[at++] as Token).v;
      a = { t: "bin", op, a, b: multiplicative() };
    }
    return a;
  }
  function multiplicative(): Expr {
    let a = unary();
    while (is("*") || is("/") || is("%")) {
      const op = (tokens[at++] as Token).v;
      a = { t: "bin", op, a, b: unary() };
    }
    return a;
  }
  function unary(): Expr {
    for (const op of ["!", "-", "+"]) if (accept(op)) return { t: "un", op, a: unary() };
    return power();
  }
  function power(): Expr {
    const a = postfix();
    if (accept("^")) return { t: "bin", op: "^", a, b: is("-") || is("+") || is("!") ? unary() : power() };
    return a;
  }
  function postfix(): Expr {
    const a = primary();
    if ((a.t === "var" || a.t === "index" || a.t === "field") && (is("++") || is("--"))) {
      const by = (tokens[at++] as Token).v === "++" ? 1 : -1;
      return { t: "inc", to: a, by, post: true };
    }
    return a;
  }
  function lvalue(): Expr | undefined {
    if (is("$") || peek().t === "name") return primary();
    return undefined;
  }
  function primary(): Expr {
    const t = peek();
    at++;
    switch (t.t) {
      case "num":
        return { t: "num", v: Number(t.v) };
      case "str":
        return { t: "str", v: t.v };
      case "re":
        return { t: "re", v: t.v };
      case "builtin": {
        if (accept("(")) return { t: "builtin", name: t.v, args: list(")") };
        if (t.v !== "length") fail();
        return { t: "builtin", name: t.v, args: [] };
      }
      case "func":
        expect("(");
        return { t: "call", name: t.v, args: list(")") };
      case "name":
        if (accept("[")) return { t: "index", name: t.v, subs: list("]") };
        return { t: "var", name: t.v };
      case "key":
        if (t.v === "getline") {
          const to = lvalue();
          if (accept("<")) return { t: "getline", to, from: postfix(), kind: "<" };
          return { t: "getline", to, from: undefined, kind: "" };
        }
        break;
      case "op":
        if (t.v === "$") {
          if (is("++") || is("--")) return { t: "field", e: unaryIncrement() };
          return { t: "field", e: is("-") || is("!") || is("+") ? unary() : primary() };
        }
        if (t.v === "++" || t.v === "--") {
          at--;
          return unaryIncrement();
        }
        if (t.v === "(") {
          const items = list(")");
          if (items.length === 0) fail();
          return { t: "group", list: items };
        }
        break;
    }
    at--;
    return fail();
  }
  function unaryIncrement(): Expr {
    const by = (tokens[at++] as Token).v === "++" ? 1 : -1;
    return { t: "inc", to: primary(), by, post: false };
  }
}
