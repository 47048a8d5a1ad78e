// Tables in memory, kept as one JSON file on the data volume: what the stand-ins for PostgreSQL and MySQL store.
// Invariant: a statement that fails changes nothing; what was answered as done is in the file.
import { type ColumnSpec, type Expr, parseSql, SqlError, type Statement, type Value } from "./statement.ts";

type Row = { [column: string]: Value };

interface Table {
  columns: Omit<ColumnSpec, "default">[];
  defaults: { [column: string]: Expr };
  rows: Row[];
  nextAuto: number;
}

interface Stored {
  [database: string]: { [table: string]: Table };
}

export interface Result {
  /** PostgreSQL's tag: "SELECT 1", "INSERT 0 1", "CREATE TABLE". */
  tag: string;
  columns: string[];
  rows: Value[][];
  affected: number;
  insertId: number;
}

export interface Dialect {
  version: string;
  /** Databases that are always there. */
  system: readonly string[];
  /** What a column without a name is called; absent is its own text. */
  unnamed?: string;
  noTable: (database: string, table: string) => SqlError;
  tableExists: (table: string) => SqlError;
  noColumn: (column: string) => SqlError;
  noDatabase: (database: string) => SqlError;
  databaseExists: (database: string) => SqlError;
  duplicate: (table: string, column: string, value: Value) => SqlError;
  notNull: (table: string, column: string) => SqlError;
}

/** Rows of all tables; more is refused as a full disk is. */
const ROWS_MAX = 200_000;

const none = (tag: string, affected = 0): Result => ({ tag, columns: [], rows: [], affected, insertId: 0 });

export class Databases {
  readonly dialect: Dialect;
  #stored: Stored;
  readonly #save: (text: string) => void;
  readonly #now: () => string;
  constructor(o: { dialect: Dialect; text: string | undefined; save: (text: string) => void; now: () => string }) {
    this.dialect = o.dialect;
    this.#stored = o.text === undefined ? {} : (JSON.parse(o.text) as Stored);
    this.#save = o.save;
    this.#now = o.now;
  }

  has(name: string): boolean {
    return this.#stored[name] !== undefined || this.dialect.system.includes(name);
  }
  create(name: string): void {
    this.#stored[name] ??= {};
    this.#save(JSON.stringify(this.#stored));
  }
  session(database: string, user: string): Session {
    return new Session(this, database, user);
  }

  /** Runs one statement for a session. Throws SqlError. */
  run(s: Statement, session: Session): Result {
    const changes = s.t !== "select" && s.t !== "show" && s.t !== "use" && s.t !== "accepted";
    const before = changes ? JSON.stringify(this.#stored) : "";
    try {
      const r = new Run(this.#stored, this.dialect, session, this.#now).statement(s);
      if (changes) this.#save(JSON.stringify(this.#stored));
      return r;
    } catch (e) {
      if (changes) this.#stored = JSON.parse(before) as Stored;
      throw e;
    }
  }
}

export class Session {
  readonly #databases: Databases;
  database: string;
  readonly user: string;
  lastInsertId = 0;
  constructor(databases: Databases, database: string, user: string) {
    this.#databases = databases;
    this.database = database;
    this.user = user;
  }
  get dialect(): Dialect {
    return this.#databases.dialect;
  }
  /** Every statement of a text, one after the other. Throws SqlError. */
  *execute(text: string, params: readonly Value[] = []): Generator<Result> {
    for (const s of parseSql(text, params)) yield this.#databases.run(s, this);
  }
  use(name: string): void {
    if (!this.#databases.has(name)) throw this.dialect.noDatabase(name);
    this.database = name;
  }
}

class Run {
  readonly #stored: Stored;
  readonly #d: Dialect;
  readonly #session: Session;
  readonly #now: () => string;
  constructor(stored: Stored, dialect: Dialect, session: Session, now: () => string) {
    this.#stored = stored;
    this.#d = dialect;
    this.#session = session;
    this.#now = now;
  }

  statement(s: Statement): Result {
    switch (s.t) {
      case "select":
        return this.#select(s);
      case "insert":
        return this.#insert(s);
      case "update":
        return this.#update(s);
      case "delete": {
        const t = this.#table(s.table);
        const kept = s.where === undefined ? [] : t.rows.filter((r) => !truth(this.#value(s.where as Expr, r)));
        const affected = t.rows.length - kept.length;
        t.rows = kept;
        return none(`DELETE ${affected}`, affected);
      }
      case "truncate":
        this.#table(s.table).rows = [];
        return none("TRUNCATE TABLE");
      case "createTable":
        return this.#createTable(s);
      case "dropTable": {
        const tables = this.#tables();
        if (tables[s.table] === undefined && !s.ifExists) throw this.#d.noTable(this.#session.database, s.table);
        delete tables[s.table];
        return none("DROP TABLE");
      }
      case "createDatabase":
        if (this.#stored[s.name] !== undefined && !s.ifNotExists) throw this.#d.databaseExists(s.name);
        this.#stored[s.name] ??= {};
        return none("CREATE DATABASE", 1);
      case "dropDatabase":
        if (this.#stored[s.name] === undefined && !s.ifExists) throw this.#d.noDatabase(s.name);
        delete this.#stored[s.name];
        return none("DROP DATABASE");
      case "use":
        this.#session.use(s.name);
        return none("USE");
      case "show":
        return this.#show(s.what);
      case "accepted":
        return none(s.tag);
    }
  }

  #tables(): { [table: string]: Table } {
    const db = this.#session.database;
    if (this.#stored[db] === undefined) {
      if (!this.#d.system.includes(db)) throw this.#d.noDatabase(db);
      this.#stored[db] = {};
    }
    return this.#stored[db] as { [table: string]: Table };
  }
  #table(name: string): Table {
    const t = this.#tables()[name];
    if (t === undefined) throw this.#d.noTable(this.#session.database, name);
    return t;
  }

  #createTable(s: Extract<Statement, { t: "createTable" }>): Result {
    const tables = this.#tables();
    if (tables[s.table] !== undefined) {
      if (s.ifNotExists) return none("CREATE TABLE");
      throw this.#d.tableExists(s.table);
    }
    const defaults: { [column: string]: Expr } = {};
    for (const c of s.columns) if (c.default) defaults[c.name] = c.default;
    tables[s.table] = { columns: s.columns.map(({ default: _, ...c }) => c), defaults, rows: [], nextAuto: 1 };
    return none("CREATE TABLE");
  }

  #insert(s: Extract<Statement, { t: "insert" }>): Result {
    const t = this.#table(s.table);
    const names = s.columns.length > 0 ? s.columns : t.columns.map((c) => c.name);
    for (const n of names) if (!t.columns.some((c) => c.name === n)) throw this.#d.noColumn(n);
    const added: Row[] = [];
    let insertId = 0;
    for (const values of s.rows) {
      const row: Row = {};
      for (const c of t.columns) {
        const i = names.indexOf(c.name);
        const given = i < 0 ? undefined : values[i];
        const isDefault = given === undefined || (given.t === "call" && given.name === "default");
        let v = isDefault ? (t.defaults[c.name] ? this.#value(t.defaults[c.name] as Expr, {}) : null) : this.#value(given, {});
        if (v === null && c.auto) v = t.nextAuto;
        if (c.auto && typeof v === "number") {
          if (insertId === 0) insertId = v;
          t.nextAuto = Math.max(t.nextAuto, v + 1);
        }
        if (v === null && c.notNull) throw this.#d.notNull(s.table, c.name);
        row[c.name] =
          /int|serial|numeric|decimal|float|double|real/.test(c.type) && typeof v === "string" && v !== "" && !Number.isNaN(Number(v))
            ? Number(v)
            : v;
      }
      const clash = t.columns.find((c) => c.unique && t.rows.some((r) => r[c.name] === row[c.name]));
      if (clash && s.ignore) continue;
      if (clash) throw this.#d.duplicate(s.table, clash.name, row[clash.name] ?? null);
      if (t.rows.length >= ROWS_MAX) throw new SqlError("could not extend file: No space left on device", "53100", 1114);
      t.rows.push(row);
      added.push(row);
    }
    this.#session.lastInsertId = insertId || this.#session.lastInsertId;
    const columns = s.returning.includes("*") ? t.columns.map((c) => c.name) : s.returning;
    const rows = columns.length === 0 ? [] : added.map((r) => columns.map((c) => r[c] ?? null));
    return { tag: `INSERT 0 ${added.length}`, columns, rows, affected: added.length, insertId };
  }

  #update(s: Extract<Statement, { t: "update" }>): Result {
    const t = this.#table(s.table);
    let affected = 0;
    for (const r of t.rows) {
      if (s.where !== undefined && !truth(this.#value(s.where, r))) continue;
      const next = s.set.map(({ name, value }) => {
        if (!t.columns.some((c) => c.name === name)) throw this.#d.noColumn(name);
        return [name, this.#value(value, r)] as const;
      });
      for (const [name, v] of next) r[name] = v;
      affected++;
    }
    return none(`UPDATE ${affected}`, affected);
  }

  #select(s: Extract<Statement, { t: "select" }>): Result {
    const t = s.from === undefined ? undefined : this.#table(s.from);
    let rows: Row[] = t === undefined ? [{}] : t.rows;
    if (t) for (const c of s.columns) this.#checkColumns(c.expr, t);
    if (s.where) rows = rows.filter((r) => truth(this.#value(s.where as Expr, r)));
    const aggregate = s.columns.some((c) => c.expr.t === "call" && AGGREGATES.has(c.expr.name));
    if (!aggregate && s.order.length > 0)
      rows = [...rows].sort((a, b) => {
        for (const o of s.order) {
          const n = compare(this.#value(o.expr, a), this.#value(o.expr, b));
          if (n !== 0) return o.desc ? -n : n;
        }
        return 0;
      });
    const names = s.columns.flatMap((c) =>
      c.expr.t === "all"
        ? (t?.columns.map((x) => x.name) ?? [])
        : [c.expr.t === "column" || c.named ? c.name : (this.#d.unnamed ?? c.name)],
    );
    let out: Value[][];
    if (aggregate) out = [s.columns.map((c) => this.#aggregate(c.expr, rows))];
    else
      out = rows
        .slice(s.offset, s.limit === undefined ? undefined : s.offset + s.limit)
        .map((r) =>
          s.columns.flatMap((c) => (c.expr.t === "all" ? (t?.columns.map((x) => r[x.name] ?? null) ?? []) : [this.#value(c.expr, r)])),
        );
    return { tag: `SELECT ${out.length}`, columns: names, rows: out, affected: 0, insertId: 0 };
  }

  #checkColumns(e: Expr, t: Table): void {
    if (e.t === "column" && !t.columns.some((c) => c.name === e.name)) throw this.#d.noColumn(e.name);
  }

  #aggregate(e: Expr, rows: Row[]): Value {
    if (e.t !== "call" || !AGGREGATES.has(e.name)) return rows[0] ? this.#value(e, rows[0]) : null;
    const of = e.args[0] ?? { t: "all" as const };
    const values = of.t === "all" ? rows.map(() => 1) : rows.map((r) => this.#value(of, r)).filter((v) => v !== null);
    if (e.name === "count") return values.length;
    if (values.length === 0) return null;
    if (e.name === "min" || e.name === "max") return [...values].sort(compare).at(e.name === "min" ? 0 : -1) ?? null;
    const sum = values.reduce((a: number, v) => a + Number(v), 0);
    return e.name === "sum" ? sum : sum / values.length;
  }

  #show(what: string): Result {
    const list = (column: string, values: string[]): Result => ({
      tag: "SHOW",
      columns: [column],
      rows: values.map((v) => [v]),
      affected: 0,
      insertId: 0,
    });
    if (what === "databases")
      return list("Database", [...this.#d.system, ...Object.keys(this.#stored)].filter((x, i, a) => a.indexOf(x) === i).sort());
    if (what === "tables") return list(`Tables_in_${this.#session.database}`, Object.keys(this.#tables()).sort());
    if (what === "server_version") return list("server_version", [this.#d.version]);
    return list(what.split(" ")[0] ?? "", []);
  }

  #value(e: Expr, row: Row): Value {
    switch (e.t) {
      case "value":
        return e.value;
      case "all":
        return null;
      case "column": {
        const v = row[e.name];
        if (v === undefined) throw this.#d.noColumn(e.name);
        return v;
      }
      case "unary": {
        const v = this.#value(e.of, row);
        return v === null ? null : e.op === "-" ? -Number(v) : truth(v) ? 0 : 1;
      }
      case "in": {
        const v = this.#value(e.of, row);
        const found = e.list.some((x) => compare(this.#value(x, row), v) === 0);
        return found !== e.not ? 1 : 0;
      }
      case "binary":
        return binary(e.op, this.#value(e.left, row), () => this.#value(e.right, row));
      case "call":
        return this.#call(
          e.name,
          e.args.map((a) => this.#value(a, row)),
        );
    }
  }

  #call(name: string, args: Value[]): Value {
    switch (name) {
      case "version":
      case "@@version":
        return this.#d.version;
      case "now":
      case "current_timestamp":
        return this.#now();
      case "current_date":
        return this.#now().slice(0, 10);
      case "database":
      case "current_database":
        return this.#session.database;
      case "user":
      case "current_user":
        return this.#session.user;
      case "last_insert_id":
        return this.#session.lastInsertId;
      case "lower":
        return args[0] === null ? null : String(args[0]).toLowerCase();
      case "upper":
        return args[0] === null ? null : String(args[0]).toUpperCase();
      case "length":
        return args[0] === null ? null : Buffer.byteLength(String(args[0]));
      case "concat":
        return args.map((a) => a ?? "").join("");
      case "coalesce":
      case "ifnull":
        return args.find((a) => a !== null) ?? null;
      default:
        if (name.startsWith("@@")) return "";
        throw new SqlError(`function ${name}() does not exist`, "42883", 1305);
    }
  }
}

const AGGREGATES = new Set(["count", "sum", "min", "max", "avg"]);
const truth = (v: Value): boolean => v !== null && Number(v) !== 0 && v !== "";

function compare(a: Value, b: Value): number {
  if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1;
  if (typeof a === "number" || typeof b === "number") return Number(a) - Number(b);
  return a < b ? -1 : a > b ? 1 : 0;
}

function binary(op: string, left: Value, rightOf: () => Value): Value {
  if (op === "and") return truth(left) && truth(rightOf()) ? 1 : 0;
  if (op === "or") return truth(left) || truth(rightOf()) ? 1 : 0;
  const right = rightOf();
  if (op === "is") return left === right ? 1 : 0;
  if (op === "is not") return left !== right ? 1 : 0;
  if (left === null || right === null) return null;
  const yes = (b: boolean) => (b ? 1 : 0);
  switch (op) {
    case "=":
      return yes(compare(left, right) === 0);
    case "<>":
    case "!=":
      return yes(compare(left, right) !== 0);
    case "<":
      return yes(compare(left, right) < 0);
    case "<=":
      return yes(compare(left, right) <= 0);
    case ">":
      return yes(compare(left, right) > 0);
    case ">=":
      return yes(compare(left, right) >= 0);
    case "like":
      return yes(like(String(left), String(right)));
    case "||":
      return `${left}${right}`;
    case "+":
      return Number(left) + Number(right);
    case "-":
      return Number(left) - Number(right);
    case "*":
      return Number(left) * Number(right);
    case "%":
      return Number(left) % Number(right);
    default:
      return Number(right) === 0 ? null : Number(left) / Number(right);
  }
}

/** LIKE in time linear in text times pattern: % and _ only. */
function like(text: string, pattern: string): boolean {
  let reach = new Set([0]);
  for (const c of pattern) {
    const next = new Set<number>();
    for (const at of reach)
      if (c === "%") for (let i = at; i <= text.length; i++) next.add(i);
      else if (at < text.length && (c === "_" || text[at]?.toLowerCase() === c.toLowerCase())) next.add(at + 1);
    reach = next;
  }
  return reach.has(text.length);
}
