// MySQL's protocol, server side: handshake with mysql_native_password, COM_QUERY, COM_PING, COM_INIT_DB, text result sets.
import type { Databases, Dialect, Result, Session } from "../../tools/sql/database.ts";
import { SqlError } from "../../tools/sql/statement.ts";
import {
  CAPABILITIES as CAN,
  lengthEncoded,
  nativeProof,
  onPackets,
  PLUGIN,
  type Process,
  packet,
  Reader,
  type Socket,
} from "./packets.ts";

export const VERSION = "8.0.40";
const AUTOCOMMIT = 2;
const UTF8MB4 = 45;
const SERVER_CAN =
  CAN.longPassword | CAN.connectWithDb | CAN.protocol41 | CAN.transactions | CAN.secureConnection | CAN.pluginAuth | CAN.lengthEncodedAuth;

export const MYSQL: Dialect = {
  version: VERSION,
  system: ["information_schema", "mysql", "performance_schema", "sys"],
  noTable: (db, t) => new SqlError(`Table '${db}.${t}' doesn't exist`, "42S02", 1146),
  tableExists: (t) => new SqlError(`Table '${t}' already exists`, "42S01", 1050),
  noColumn: (c) => new SqlError(`Unknown column '${c}' in 'field list'`, "42S22", 1054),
  noDatabase: (d) =>
    d === "" ? new SqlError("No database selected", "3D000", 1046) : new SqlError(`Unknown database '${d}'`, "42000", 1049),
  databaseExists: (d) => new SqlError(`Can't create database '${d}'; database exists`, "HY000", 1007),
  duplicate: (t, c, v) => new SqlError(`Duplicate entry '${v}' for key '${t}.${c === "id" ? "PRIMARY" : c}'`, "23000", 1062),
  notNull: (_t, c) => new SqlError(`Field '${c}' doesn't have a default value`, "HY000", 1364),
};

export class MysqlConnection {
  readonly #s: Socket;
  readonly #databases: Databases;
  readonly #users: ReadonlyMap<string, string>;
  readonly #salt: Buffer;
  #session: Session | undefined;

  constructor(p: Process, s: Socket, o: { databases: Databases; users: ReadonlyMap<string, string> }) {
    this.#s = s;
    this.#databases = o.databases;
    this.#users = o.users;
    // No byte of the salt may be zero.
    this.#salt = Buffer.from(p.random.bytes(20).map((b) => (b & 0x7f) | 1));
    s.on("error", () => s.destroy());
    s.on("end", () => s.end());
    onPackets(s, (body, sequence) => this.#take(body, sequence));
    this.#greet(p.pid);
  }

  #greet(id: number): void {
    const fixed = Buffer.alloc(4 + 8 + 1 + 2 + 1 + 2 + 2 + 1 + 10);
    fixed.writeUInt32LE(id, 0);
    this.#salt.copy(fixed, 4, 0, 8);
    fixed.writeUInt16LE(SERVER_CAN & 0xffff, 13);
    fixed[15] = UTF8MB4;
    fixed.writeUInt16LE(AUTOCOMMIT, 16);
    fixed.writeUInt16LE(SERVER_CAN >>> 16, 18);
    fixed[20] = 21;
    this.#s.write(
      packet(
        0,
        Buffer.concat([
          Buffer.from([10]),
          Buffer.from(`${VERSION}\0`),
          fixed,
          this.#salt.subarray(8),
          Buffer.from([0]),
          Buffer.from(`${PLUGIN}\0`),
        ]),
      ),
    );
  }

  #take(body: Buffer, sequence: number): void {
    if (this.#session === undefined) return void this.#login(body, sequence);
    try {
      this.#command(body);
    } catch (e) {
      if (!(e instanceof SqlError)) throw e;
      this.#error(1, e);
    }
  }

  #login(body: Buffer, sequence: number): void {
    const r = new Reader(body);
    const can = r.uint(4);
    r.skip(4 + 1 + 23);
    const user = r.zeroEnded();
    const proof = r.bytes(can & CAN.lengthEncodedAuth ? r.length() : r.byte());
    const database = can & CAN.connectWithDb ? r.zeroEnded() : "";
    const plugin = can & CAN.pluginAuth && r.left > 0 ? r.zeroEnded() : PLUGIN;
    if (plugin !== PLUGIN && !this.#switched) {
      // The client has answered another question: ask again, by the plug-in that we have.
      this.#switched = { user, database };
      const ask = Buffer.concat([Buffer.from([0xfe]), Buffer.from(`${PLUGIN}\0`), this.#salt, Buffer.from([0])]);
      this.#s.write(packet(sequence + 1, ask));
      return;
    }
    if (this.#switched) this.#admit(this.#switched.user, body, this.#switched.database, sequence);
    else this.#admit(user, proof, database, sequence);
  }
  #switched: { user: string; database: string } | undefined;

  #admit(user: string, proof: Buffer, database: string, sequence: number): void {
    const password = this.#users.get(user);
    if (password === undefined || !nativeProof(password, this.#salt).equals(proof)) {
      const using = proof.length > 0 ? "YES" : "NO";
      this.#error(
        sequence + 1,
        new SqlError(`Access denied for user '${user}'@'${this.#s.remoteAddress}' (using password: ${using})`, "28000", 1045),
      );
      this.#s.end();
      return;
    }
    if (database !== "" && !this.#databases.has(database)) {
      this.#error(sequence + 1, MYSQL.noDatabase(database));
      this.#s.end();
      return;
    }
    this.#session = this.#databases.session(database, `${user}@%`);
    this.#ok(sequence + 1, 0, 0);
  }

  #command(body: Buffer): void {
    const session = this.#session as Session;
    const text = body.toString("utf8", 1);
    switch (body[0]) {
      case 1:
        this.#s.end();
        return;
      case 2:
        session.use(text);
        this.#ok(1, 0, 0);
        return;
      case 3: {
        let last: Result | undefined;
        for (const r of session.execute(text)) last = r;
        if (last === undefined) throw new SqlError("Query was empty", "42000", 1065);
        this.#result(last);
        return;
      }
      case 14:
      case 31:
        this.#ok(1, 0, 0);
        return;
      default:
        throw new SqlError(`Unknown command ${body[0]}: prepared statements are not built in Podwire's mysql`, "08S01", 1047);
    }
  }

  #result(r: Result): void {
    if (r.columns.length === 0) return void this.#ok(1, r.affected, r.insertId);
    let n = 1;
    const out: Buffer[] = [packet(n++, lengthEncoded(r.columns.length))];
    for (const [i, name] of r.columns.entries()) {
      const number = r.rows.length > 0 && r.rows.every((row) => row[i] === null || Number.isInteger(row[i]));
      const fixed = Buffer.alloc(13);
      fixed[0] = 0x0c;
      fixed.writeUInt16LE(number ? 63 : UTF8MB4, 1);
      fixed.writeUInt32LE(number ? 20 : 1024, 3);
      fixed[7] = number ? 8 : 253;
      out.push(packet(n++, Buffer.concat([...["def", "", "", "", name, name].map(lengthEncoded), fixed])));
    }
    const end = Buffer.from([0xfe, 0, 0, AUTOCOMMIT, 0]);
    out.push(packet(n++, end));
    for (const row of r.rows)
      out.push(packet(n++, Buffer.concat(row.map((v) => (v === null ? Buffer.from([0xfb]) : lengthEncoded(String(v)))))));
    out.push(packet(n, end));
    this.#s.write(Buffer.concat(out));
  }

  #ok(sequence: number, affected: number, insertId: number): void {
    this.#s.write(
      packet(
        sequence,
        Buffer.concat([Buffer.from([0]), lengthEncoded(affected), lengthEncoded(insertId), Buffer.from([AUTOCOMMIT, 0, 0, 0])]),
      ),
    );
  }
  #error(sequence: number, e: SqlError): void {
    const number = Buffer.alloc(3);
    number[0] = 0xff;
    number.writeUInt16LE(e.number, 1);
    this.#s.write(packet(sequence, Buffer.concat([number, Buffer.from(`#${e.state.padEnd(5).slice(0, 5)}${e.message}`)])));
  }
}
