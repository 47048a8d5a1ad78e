// SQL as small applications write it: the statements of create, insert, select, update, delete, without joins or subqueries.
// Anything else is a SqlError that says where the parser stopped.
import { PodwireError } from "@podwire/base";

export class SqlError extends PodwireError {
  /** SQLSTATE. */
  readonly state: string;
  /** MySQL's number. */
  readonly number: number;
  constructor(message: string, state: string, number: number) {
    super(message);
    this.state = state;
    this.number = number;
  }
}

export type Value = string | number | null;

export type Expr =
  | { t: "value"; value: Value }
  | { t: "column"; name: string }
  | { t: "call"; name: string; args: Expr[] }
  | { t: "all" }
  | { t: "unary"; op: string; of: Expr }
  | { t: "binary"; op: string; left: Expr; right: Expr }
  | { t: "in"; of: Expr; list: Expr[]; not: boolean };

export interface ColumnSpec {
  name: string;
  type: string;
  auto: boolean;
  notNull: boolean;
  unique: boolean;
  default: Expr | undefined;
}

export interface SelectColumn {
  expr: Expr;
  name: string;
  /** Named by AS, or by the function that makes it. */
  named: boolean;
}

export type Statement =
  | {
      t: "select";
      columns: SelectColumn[];
      from?: string;
      where?: Expr;
      order: { expr: Expr; desc: boolean }[];
      limit?: number;
      offset: number;
    }
  | { t: "insert"; table: string; columns: string[]; rows: Expr[][]; returning: string[]; ignore: boolean }
  | { t: "update"; table: string; set: { name: string; value: Expr }[]; where?: Expr }
  | { t: "delete"; table: string; where?: Expr }
  | { t: "createTable"; table: string; columns: ColumnSpec[]; ifNotExists: boolean }
  | { t: "dropTable"; table: string; ifExists: boolean }
  | { t: "truncate"; table: string }
  | { t: "createDatabase"; name: string; ifNotExists: boolean }
  | { t: "dropDatabase"; name: string; ifExists: boolean }
  | { t: "use"; name: string }
  | { t: "show"; what: string }
  /** Begin, set, grant and others that change nothing here; `tag` is what PostgreSQL answers. */
  | { t: "accepted"; tag: string };

interface Token {
  kind: "word" | "quoted" | "string" | "number" | "sign" | "end";
  text: string;
  at: number;
}

const TOKEN =
  /\s+|--[^\n]*|\/\*[\s\S]*?\*\/|#[^\n]*|([A-Za-z_@][\w@$.]*)|"((?:[^"]|"")*)"|`((?:[^`]|``)*)`|'((?:[^'\\]|''|\\[\s\S])*)'|(\d+(?:\.\d+)?)|(<>|<=|>=|!=|\|\||::|[-+*/%(),;=<>.$?])/y;

function tokens(text: string): Token[] {
  const out: Token[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < text.length) {
    const at = TOKEN.lastIndex;
    const m = TOKEN.exec(text);
    if (m === null) throw syntaxError(text.slice(at, at + 20));
    if (m[1] !== undefined) out.push({ kind: "word", text: m[1], at });
    else if (m[2] !== undefined) out.push({ kind: "quoted", text: m[2].replaceAll('""', '"'), at });
    else if (m[3] !== undefined) out.push({ kind: "quoted", text: m[3].replaceAll("``", "`"), at });
    else if (m[4] !== undefined) out.push({ kind: "string", text: unescaped(m[4]), at });
    else if (m[5] !== undefined) out.push({ kind: "number", text: m[5], at });
    else if (m[6] !== undefined) out.push({ kind: "sign", text: m[6], at });
  }
  out.push({ kind: "end", text: "", at: text.length });
  return out;
}

function unescaped(s: string): string {
  return s.replace(/''|\\([\s\S])/g, (m, c: string | undefined) =>
    m === "''" ? "'" : c === "n" ? "\n" : c === "t" ? "\t" : c === "r" ? "\r" : c === "0" ? "\0" : (c as string),
  );
}

function syntaxError(near: string): SqlError {
  return new SqlError(near === "" ? "syntax error at end of input" : `syntax error at or near "${near}"`, "42601", 1064);
}

/** Operators that bind weakest first. */
const LEVELS: readonly (readonly string[])[] = [
  ["or"],
  ["and"],
  ["=", "<>", "!=", "<", "<=", ">", ">=", "like", "is"],
  ["+", "-", "||"],
  ["*", "/", "%"],
];
const ACCEPTED: { [word: string]: string } = {
  begin: "BEGIN",
  start: "START TRANSACTION",
  commit: "COMMIT",
  rollback: "ROLLBACK",
  set: "SET",
  grant: "GRANT",
  revoke: "REVOKE",
  flush: "FLUSH",
  analyze: "ANALYZE",
  vacuum: "VACUUM",
  lock: "LOCK TABLE",
  unlock: "UNLOCK TABLES",
};

/** Every statement of a text. `params` take the place of $1 and ?. */
export function parseSql(text: string, params: readonly Value[] = []): Statement[] {
  const p = new Parser(tokens(text), params);
  const out: Statement[] = [];
  while (!p.done) {
    if (p.sign(";")) continue;
    out.push(p.statement());
    if (!p.done) p.need(";");
  }
  return out;
}

class Parser {
  readonly #tokens: Token[];
  readonly #params: readonly Value[];
  #at = 0;
  #marks = 0;
  constructor(list: Token[], params: readonly Value[]) {
    this.#tokens = list;
    this.#params = params;
  }
  get #next(): Token {
    return this.#tokens[this.#at] as Token;
  }
  get done(): boolean {
    return this.#next.kind === "end";
  }
  sign(text: string): boolean {
    if (this.#next.kind !== "sign" || this.#next.text !== text) return false;
    this.#at++;
    return true;
  }
  word(...words: string[]): boolean {
    for (let i = 0; i < words.length; i++) {
      const t = this.#tokens[this.#at + i];
      if (t?.kind !== "word" || t.text.toLowerCase() !== words[i]) return false;
    }
    this.#at += words.length;
    return true;
  }
  need(what: string): void {
    if (!this.sign(what) && !this.word(what)) throw syntaxError(this.#next.text);
  }
  name(): string {
    const t = this.#next;
    if (t.kind !== "word" && t.kind !== "quoted") throw syntaxError(t.text);
    this.#at++;
    let text = t.kind === "word" ? t.text.toLowerCase() : t.text;
    while (this.sign(".")) text = this.name();
    return text.replace(/^.*\./, "");
  }
  #rest(): void {
    while (!this.done && !(this.#next.kind === "sign" && this.#next.text === ";")) this.#at++;
  }

  statement(): Statement {
    const first = this.#next.text.toLowerCase();
    if (this.word("select")) return this.#select();
    if (this.word("insert") || this.word("replace")) return this.#insert();
    if (this.word("update")) return this.#update();
    if (this.word("delete", "from")) return { t: "delete", table: this.name(), ...this.#where() };
    if (this.word("truncate")) {
      this.word("table");
      return { t: "truncate", table: this.name() };
    }
    if (this.word("create")) return this.#create();
    if (this.word("drop")) return this.#drop();
    if (this.word("use")) return { t: "use", name: this.name() };
    if (this.word("show")) {
      const from = this.#at;
      this.#rest();
      return {
        t: "show",
        what: this.#tokens
          .slice(from, this.#at)
          .map((t) => t.text.toLowerCase())
          .join(" "),
      };
    }
    const tag = ACCEPTED[first];
    if (tag === undefined) throw syntaxError(this.#next.text);
    this.#rest();
    return { t: "accepted", tag };
  }

  #select(): Statement {
    const columns: SelectColumn[] = [];
    do {
      const from = this.#at;
      const expr: Expr = this.sign("*") ? { t: "all" } : this.#expr(0);
      const named = this.word("as") || (this.#next.kind === "word" && !RESERVED.has(this.#next.text.toLowerCase()));
      const text = this.#tokens
        .slice(from, this.#at)
        .map((t) => t.text)
        .join("");
      columns.push({
        expr,
        named: named || expr.t === "call",
        name: named
          ? this.name()
          : expr.t === "column"
            ? expr.name
            : expr.t === "call"
              ? `${expr.name}${text.slice(expr.name.length)}`
              : text,
      });
    } while (this.sign(","));
    const from = this.word("from") ? this.name() : undefined;
    const where = this.#where();
    const order: { expr: Expr; desc: boolean }[] = [];
    if (this.word("order", "by"))
      do {
        const expr = this.#expr(0);
        const desc = this.word("desc");
        if (!desc) this.word("asc");
        order.push({ expr, desc });
      } while (this.sign(","));
    let limit: number | undefined;
    let offset = 0;
    if (this.word("limit")) {
      limit = Number(this.#next.text);
      this.#at++;
      if (this.sign(",")) {
        offset = limit;
        limit = Number(this.#next.text);
        this.#at++;
      }
    }
    if (this.word("offset")) {
      offset = Number(this.#next.text);
      this.#at++;
    }
    return {
      t: "select",
      columns,
      order,
      offset,
      ...where,
      ...(from === undefined ? {} : { from }),
      ...(limit === undefined ? {} : { limit }),
    };
  }

  #where(): { where?: Expr } {
    return this.word("where") ? { where: this.#expr(0) } : {};
  }

  #names(): string[] {
    const out: string[] = [];
    do out.push(this.name());
    while (this.sign(","));
    this.need(")");
    return out;
  }

  #insert(): Statement {
    const ignore = this.word("ignore");
    this.word("into");
    const table = this.name();
    const columns = this.sign("(") ? this.#names() : [];
    this.need("values");
    const rows: Expr[][] = [];
    do {
      this.need("(");
      const row: Expr[] = [];
      do row.push(this.word("default") ? { t: "call", name: "default", args: [] } : this.#expr(0));
      while (this.sign(","));
      this.need(")");
      rows.push(row);
    } while (this.sign(","));
    const skip = this.word("on", "conflict");
    if (skip) while (!this.done && !this.word("nothing")) this.#at++;
    const returning: string[] = [];
    if (this.word("returning"))
      do returning.push(this.sign("*") ? "*" : this.name());
      while (this.sign(","));
    return { t: "insert", table, columns, rows, returning, ignore: ignore || skip };
  }

  #update(): Statement {
    const table = this.name();
    this.need("set");
    const set: { name: string; value: Expr }[] = [];
    do {
      const name = this.name();
      this.need("=");
      set.push({ name, value: this.#expr(0) });
    } while (this.sign(","));
    return { t: "update", table, set, ...this.#where() };
  }

  #create(): Statement {
    if (this.word("database") || this.word("schema")) {
      const ifNotExists = this.word("if", "not", "exists");
      const name = this.name();
      this.#rest();
      return { t: "createDatabase", name, ifNotExists };
    }
    if (!this.word("table")) {
      this.#rest();
      return { t: "accepted", tag: "CREATE" };
    }
    const ifNotExists = this.word("if", "not", "exists");
    const table = this.name();
    this.need("(");
    const columns: ColumnSpec[] = [];
    do {
      if (TABLE_CONSTRAINT.has(this.#next.text.toLowerCase()) && this.#next.kind === "word") this.#skipItem();
      else columns.push(this.#column());
    } while (this.sign(","));
    this.need(")");
    this.#rest();
    return { t: "createTable", table, columns, ifNotExists };
  }

  /** To the next comma or bracket of this level. */
  #skipItem(): void {
    for (let depth = 0; !this.done; this.#at++) {
      const s = this.#next.kind === "sign" ? this.#next.text : "";
      if (depth === 0 && (s === "," || s === ")")) return;
      depth += s === "(" ? 1 : s === ")" ? -1 : 0;
    }
  }

  #column(): ColumnSpec {
    const name = this.name();
    const type = this.name();
    const c: ColumnSpec = { name, type, auto: /serial/.test(type), notNull: false, unique: false, default: undefined };
    for (;;) {
      const s = this.#next.kind === "sign" ? this.#next.text : "";
      if (this.done || s === "," || s === ")") return c;
      if (this.sign("(")) {
        while (!this.sign(")")) this.#at++;
      } else if (this.word("not", "null")) c.notNull = true;
      else if (this.word("primary", "key")) c.unique = c.notNull = true;
      else if (this.word("unique")) c.unique = true;
      else if (this.word("auto_increment") || this.word("generated")) c.auto = true;
      else if (this.word("default")) c.default = this.#expr(3);
      else this.#at++;
    }
  }

  #drop(): Statement {
    if (this.word("database") || this.word("schema")) return { t: "dropDatabase", ifExists: this.word("if", "exists"), name: this.name() };
    if (this.word("table")) {
      const ifExists = this.word("if", "exists");
      const table = this.name();
      this.#rest();
      return { t: "dropTable", table, ifExists };
    }
    this.#rest();
    return { t: "accepted", tag: "DROP" };
  }

  #expr(level: number): Expr {
    const operators = LEVELS[level];
    if (operators === undefined) return this.#unary();
    let left = this.#expr(level + 1);
    for (;;) {
      const t = this.#next;
      const op = t.kind === "sign" || t.kind === "word" ? t.text.toLowerCase() : "";
      if (level === 2) {
        const not = this.word("not", "in");
        if (not || this.word("in")) {
          this.need("(");
          const list: Expr[] = [];
          do list.push(this.#expr(0));
          while (this.sign(","));
          this.need(")");
          left = { t: "in", of: left, list, not };
          continue;
        }
      }
      if (!operators.includes(op)) return left;
      this.#at++;
      const negated = op === "is" && this.word("not");
      left = { t: "binary", op: negated ? "is not" : op, left, right: this.#expr(level + 1) };
    }
  }

  #unary(): Expr {
    if (this.word("not")) return { t: "unary", op: "not", of: this.#unary() };
    if (this.sign("-")) return { t: "unary", op: "-", of: this.#unary() };
    return this.#cast(this.#primary());
  }

  #cast(e: Expr): Expr {
    while (this.sign("::")) this.name();
    return e;
  }

  #primary(): Expr {
    const t = this.#next;
    if (this.sign("(")) {
      const e = this.#expr(0);
      this.need(")");
      return e;
    }
    this.#at++;
    if (t.kind === "string") return { t: "value", value: t.text };
    if (t.kind === "number") return { t: "value", value: Number(t.text) };
    if (t.kind === "sign" && t.text === "?") return { t: "value", value: this.#params[this.#marks++] ?? null };
    if (t.kind === "sign" && t.text === "$") {
      const n = Number(this.#next.text);
      this.#at++;
      return { t: "value", value: this.#params[n - 1] ?? null };
    }
    if (t.kind !== "word" && t.kind !== "quoted") throw syntaxError(t.text);
    const lower = t.text.toLowerCase();
    if (t.kind === "word") {
      if (lower === "null") return { t: "value", value: null };
      if (lower === "true" || lower === "false") return { t: "value", value: lower === "true" ? 1 : 0 };
      if (this.sign("(")) {
        const args: Expr[] = [];
        if (!this.sign(")")) {
          do args.push(this.sign("*") ? { t: "all" } : this.#expr(0));
          while (this.sign(","));
          this.need(")");
        }
        return { t: "call", name: lower, args };
      }
      if (NILADIC.has(lower) || lower.startsWith("@@")) return { t: "call", name: lower, args: [] };
    }
    this.#at--;
    return { t: "column", name: this.name() };
  }
}

const RESERVED = new Set(["from", "where", "order", "limit", "offset", "group", "union", "for"]);
const NILADIC = new Set(["current_timestamp", "current_date", "current_user", "user", "current_database"]);
const TABLE_CONSTRAINT = new Set(["primary", "unique", "key", "constraint", "foreign", "index", "check"]);
