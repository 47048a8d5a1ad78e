// PostgreSQL's frontend/backend protocol 3.0, server side: startup, MD5 password, simple and extended queries with text values.
// Invariant: every message of a client is answered in order; an error ends the current query and, in the extended protocol, skips to Sync.
import { createHash } from "node:crypto";
import type { Process } from "../../kernel/process.ts";
import type { StreamSocket } from "../../net/net-stack.ts";
import type { Databases, Dialect, Result, Session } from "../../tools/sql/database.ts";
import { SqlError, type Value } from "../../tools/sql/statement.ts";

const SSL_REQUEST = 80_877_103;
const GSS_REQUEST = 80_877_104;
const CANCEL_REQUEST = 80_877_102;
const PROTOCOL_3 = 196_608;
/** OIDs of types. */
const TEXT = 25;
const INT8 = 20;
/** Bytes of one message. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024;

export const POSTGRES: Dialect = {
  version: "PostgreSQL 17.2 (Podwire) on x86_64-pc-linux-gnu, 64-bit",
  system: ["template0", "template1"],
  unnamed: "?column?",
  noTable: (_db, t) => new SqlError(`relation "${t}" does not exist`, "42P01", 1146),
  tableExists: (t) => new SqlError(`relation "${t}" already exists`, "42P07", 1050),
  noColumn: (c) => new SqlError(`column "${c}" does not exist`, "42703", 1054),
  noDatabase: (d) => new SqlError(`database "${d}" does not exist`, "3D000", 1049),
  databaseExists: (d) => new SqlError(`database "${d}" already exists`, "42P04", 1007),
  duplicate: (t, c) => new SqlError(`duplicate key value violates unique constraint "${t}_${c}_key"`, "23505", 1062),
  notNull: (t, c) => new SqlError(`null value in column "${c}" of relation "${t}" violates not-null constraint`, "23502", 1048),
};

export interface PostgresOptions {
  databases: Databases;
  users: ReadonlyMap<string, string>;
  /** No password is asked of anybody. */
  trust: boolean;
}

export const md5Password = (user: string, password: string, salt: Uint8Array): string => {
  const md5 = (...parts: (string | Uint8Array)[]) => {
    const h = createHash("md5");
    for (const part of parts) h.update(part);
    return h.digest("hex");
  };
  return `md5${md5(md5(password, user), salt)}`;
};

/** A message: type, length, content. */
export function message(type: string, ...parts: (Buffer | string | number)[]): Buffer {
  const body = Buffer.concat(
    parts.map((x) => {
      if (typeof x === "string") return Buffer.from(`${x}\0`, "utf8");
      if (typeof x !== "number") return x;
      const b = Buffer.alloc(4);
      b.writeInt32BE(x);
      return b;
    }),
  );
  const head = Buffer.alloc(type.length + 4);
  head.write(type, 0, "latin1");
  head.writeInt32BE(body.length + 4, type.length);
  return Buffer.concat([head, body]);
}

const short = (n: number) => {
  const b = Buffer.alloc(2);
  b.writeInt16BE(n);
  return b;
};

export class PostgresConnection {
  readonly #p: Process;
  readonly #s: StreamSocket;
  readonly #o: PostgresOptions;
  #buffer: Buffer = Buffer.alloc(0);
  #session: Session | undefined;
  #user = "";
  #database = "";
  #salt: Uint8Array;
  #authenticated = false;
  #failed = false;
  #started = false;
  readonly #statements = new Map<string, string>();
  readonly #portals = new Map<string, { text: string; params: Value[] }>();

  constructor(p: Process, s: StreamSocket, o: PostgresOptions) {
    this.#p = p;
    this.#s = s;
    this.#o = o;
    this.#salt = p.random.bytes(4);
    s.on("error", () => s.destroy());
    s.on("end", () => s.end());
    s.on("data", (d: Buffer) => this.#data(d));
  }

  #data(d: Buffer): void {
    this.#buffer = this.#buffer.length === 0 ? d : Buffer.concat([this.#buffer, d]);
    if (this.#buffer.length > MAX_MESSAGE_BYTES) return void this.#s.destroy();
    for (;;) {
      const typed = this.#started ? 1 : 0;
      if (this.#buffer.length < typed + 4) return;
      const length = this.#buffer.readInt32BE(typed) + typed;
      if (length < typed + 4) return void this.#s.destroy();
      if (this.#buffer.length < length) return;
      const type = typed ? String.fromCharCode(this.#buffer[0] as number) : "";
      const body = this.#buffer.subarray(typed + 4, length);
      this.#buffer = this.#buffer.subarray(length);
      if (typed) this.#message(type, body);
      else this.#startup(body);
    }
  }

  #startup(body: Buffer): void {
    const code = body.readInt32BE(0);
    if (code === SSL_REQUEST || code === GSS_REQUEST) return void this.#s.write("N");
    if (code === CANCEL_REQUEST) return void this.#s.end();
    if (code !== PROTOCOL_3)
      return void this.#fatal(new SqlError(`unsupported frontend protocol ${code >> 16}.${code & 0xffff}`, "0A000", 0));
    const words = body.toString("utf8", 4).split("\0");
    const given = new Map<string, string>();
    for (let i = 0; i + 1 < words.length; i += 2) given.set(words[i] as string, words[i + 1] as string);
    this.#started = true;
    this.#user = given.get("user") ?? "";
    this.#database = given.get("database") || this.#user;
    const local = this.#s.remoteAddress === "127.0.0.1" || this.#s.remoteAddress === "::1";
    if (this.#o.trust || local) return void this.#admit();
    this.#s.write(message("R", 5, Buffer.from(this.#salt)));
  }

  #admit(): void {
    if (!this.#o.users.has(this.#user)) return void this.#fatal(new SqlError(`role "${this.#user}" does not exist`, "28000", 0));
    if (!this.#o.databases.has(this.#database)) return void this.#fatal(POSTGRES.noDatabase(this.#database));
    this.#authenticated = true;
    this.#session = this.#o.databases.session(this.#database, this.#user);
    this.#s.write(message("R", 0));
    for (const [k, v] of Object.entries(PARAMETERS)) this.#s.write(message("S", k, v));
    this.#s.write(message("K", this.#p.pid, this.#p.random.below(2 ** 31)));
    this.#ready();
  }

  #message(type: string, body: Buffer): void {
    if (type === "X") return void this.#s.end();
    if (!this.#authenticated) {
      const password = this.#o.users.get(this.#user);
      const good = type === "p" && password !== undefined && md5Password(this.#user, password, this.#salt) === text(body);
      if (good) this.#admit();
      else this.#fatal(new SqlError(`password authentication failed for user "${this.#user}"`, "28P01", 0));
      return;
    }
    if (type === "Q") {
      this.#query(text(body));
      return;
    }
    if (type === "S") {
      this.#failed = false;
      this.#ready();
      return;
    }
    if (this.#failed) return;
    try {
      this.#extended(type, body);
    } catch (e) {
      this.#failed = true;
      this.#error(e);
    }
  }

  #query(sql: string): void {
    try {
      let any = false;
      for (const r of (this.#session as Session).execute(sql)) {
        any = true;
        this.#result(r, true);
      }
      if (!any) this.#s.write(message("I"));
    } catch (e) {
      this.#error(e);
    }
    this.#ready();
  }

  #extended(type: string, body: Buffer): void {
    const [first = "", second = ""] = body.toString("utf8").split("\0");
    switch (type) {
      case "P":
        this.#statements.set(first, second);
        this.#s.write(message("1"));
        return;
      case "B":
        this.#bind(body);
        return;
      case "D": {
        const name = text(body.subarray(1));
        if (body[0] === 83) {
          const count = new Set((this.#statements.get(name) ?? "").match(/\$\d+/g)).size;
          this.#s.write(message("t", short(count), ...Array.from({ length: count }, () => TEXT)));
        }
        // What columns there will be is known when the statement has run.
        const described = body[0] === 83 ? { text: this.#statements.get(name) ?? "", params: [] } : this.#portals.get(name);
        if (described && /^\s*(select|show)/i.test(described.text))
          for (const r of (this.#session as Session).execute(described.text, described.params)) this.#rowDescription(r);
        else this.#s.write(message("n"));
        return;
      }
      case "E": {
        const portal = this.#portals.get(first);
        for (const r of portal ? (this.#session as Session).execute(portal.text, portal.params) : []) this.#result(r, false);
        return;
      }
      case "C":
        this.#s.write(message("3"));
        return;
      case "H":
        return;
      default:
        throw new SqlError(`invalid frontend message type ${type.charCodeAt(0)}`, "08P01", 0);
    }
  }

  #bind(body: Buffer): void {
    let at = 0;
    const string = () => {
      const end = body.indexOf(0, at);
      const out = body.toString("utf8", at, end);
      at = end + 1;
      return out;
    };
    const portal = string();
    const statement = string();
    const formats = body.readInt16BE(at);
    at += 2 + formats * 2;
    const count = body.readInt16BE(at);
    at += 2;
    const params: Value[] = [];
    for (let i = 0; i < count; i++) {
      const length = body.readInt32BE(at);
      at += 4;
      params.push(length < 0 ? null : body.toString("utf8", at, at + length));
      at += Math.max(0, length);
    }
    const sql = this.#statements.get(statement);
    if (sql === undefined) throw new SqlError(`prepared statement "${statement}" does not exist`, "26000", 0);
    this.#portals.set(portal, { text: sql, params });
    this.#s.write(message("2"));
  }

  #rowDescription(r: Result): void {
    const fields = r.columns.map((name, i) => {
      const number = r.rows.length > 0 && r.rows.every((row) => row[i] === null || Number.isInteger(row[i]));
      return Buffer.concat([
        Buffer.from(`${name}\0`),
        Buffer.alloc(6),
        int(number ? INT8 : TEXT),
        short(number ? 8 : -1),
        int(-1),
        short(0),
      ]);
    });
    this.#s.write(message("T", short(fields.length), ...fields));
  }

  #result(r: Result, described: boolean): void {
    if (described && r.columns.length > 0) this.#rowDescription(r);
    for (const row of r.rows) {
      const cells = row.map((v) => {
        if (v === null) return int(-1);
        const b = Buffer.from(String(v), "utf8");
        return Buffer.concat([int(b.length), b]);
      });
      this.#s.write(message("D", short(row.length), ...cells));
    }
    this.#s.write(message("C", r.tag));
  }

  #ready(): void {
    this.#s.write(message("Z", Buffer.from("I")));
  }
  #error(e: unknown): void {
    if (!(e instanceof SqlError)) throw e;
    this.#s.write(errorMessage("ERROR", e));
  }
  #fatal(e: SqlError): void {
    this.#started = true;
    this.#s.end(errorMessage("FATAL", e));
    void this.#p.printError(`FATAL:  ${e.message}\n`);
  }
}

const int = (n: number) => {
  const b = Buffer.alloc(4);
  b.writeInt32BE(n);
  return b;
};
const text = (b: Buffer) => b.toString("utf8").replace(/\0[\s\S]*$/, "");

function errorMessage(severity: string, e: SqlError): Buffer {
  return message(
    "E",
    Buffer.from("S"),
    severity,
    Buffer.from("V"),
    severity,
    Buffer.from("C"),
    e.state,
    Buffer.from("M"),
    e.message,
    Buffer.from([0]),
  );
}

const PARAMETERS = {
  server_version: "17.2",
  server_encoding: "UTF8",
  client_encoding: "UTF8",
  DateStyle: "ISO, MDY",
  TimeZone: "Etc/UTC",
  integer_datetimes: "on",
  standard_conforming_strings: "on",
};
