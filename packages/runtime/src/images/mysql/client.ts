// MySQL's protocol, client side: what `mysql -e`, `mysqladmin ping` and the WordPress stand-in ask with.
import { PodwireError } from "@podwire/base";
import {
  CAPABILITIES as CAN,
  lengthEncoded,
  nativeProof,
  onPackets,
  PLUGIN,
  PORT,
  type Process,
  packet,
  Reader,
  type Socket,
} from "./packets.ts";

/** An error packet, or a connection that could not be made. */
export class MysqlError extends PodwireError {
  readonly number: number;
  readonly state: string;
  constructor(number: number, state: string, message: string) {
    super(message);
    this.number = number;
    this.state = state;
  }
}

export interface Login {
  host: string;
  port?: number;
  user: string;
  password: string;
  database?: string;
}

export interface Rows {
  columns: string[];
  rows: (string | null)[][];
  affected: number;
}

const TIMEOUT_MS = 5_000;

export class MysqlClient {
  readonly #p: Process;
  readonly #s: Socket;
  readonly #packets: Buffer[] = [];
  #sequence = 0;
  #wake: () => void = () => undefined;
  #ended = false;
  private constructor(p: Process, s: Socket) {
    this.#p = p;
    this.#s = s;
    onPackets(s, (body, sequence) => {
      this.#packets.push(Buffer.from(body));
      this.#sequence = sequence;
      this.#wake();
    });
    for (const e of ["end", "close", "error"])
      s.on(e, () => {
        this.#ended = true;
        this.#wake();
      });
  }

  /** Connects and logs in. Rejects with MysqlError. */
  static async connect(p: Process, o: Login): Promise<MysqlClient> {
    let s: Socket;
    try {
      s = await p.until(p.net.connect(p, { host: o.host, port: o.port ?? PORT, timeoutMs: TIMEOUT_MS }));
    } catch (e) {
      p.check();
      const code = (e as { code?: string }).code;
      if (code === "ENOTFOUND" || code === "EAI_AGAIN") throw new MysqlError(2005, "HY000", `Unknown MySQL server host '${o.host}' (-2)`);
      throw new MysqlError(2003, "HY000", `Can't connect to MySQL server on '${o.host}:${o.port ?? PORT}' (111)`);
    }
    const c = new MysqlClient(p, s);
    await c.#login(o);
    return c;
  }

  async #login(o: Login): Promise<void> {
    const r = new Reader(await this.#next());
    r.byte();
    r.zeroEnded();
    r.skip(4);
    const half = r.bytes(8);
    r.skip(1 + 2 + 1 + 2 + 2 + 1 + 10);
    const salt = Buffer.concat([half, r.bytes(12)]);
    const can = CAN.longPassword | CAN.protocol41 | CAN.secureConnection | CAN.pluginAuth | (o.database ? CAN.connectWithDb : 0);
    const head = Buffer.alloc(32);
    head.writeUInt32LE(can, 0);
    head.writeUInt32LE(2 ** 24 - 1, 4);
    head[8] = 45;
    const proof = nativeProof(o.password, salt);
    const name = (text: string) => Buffer.from(`${text}\0`);
    this.#write(Buffer.concat([head, name(o.user), lengthEncoded(proof), ...(o.database ? [name(o.database)] : []), name(PLUGIN)]));
    this.#check(await this.#next());
  }

  async query(sql: string): Promise<Rows> {
    this.#sequence = -1;
    this.#write(Buffer.concat([Buffer.from([3]), Buffer.from(sql, "utf8")]));
    const first = this.#check(await this.#next());
    if (first[0] === 0) {
      const r = new Reader(first);
      r.byte();
      return { columns: [], rows: [], affected: r.length() };
    }
    const columns: string[] = [];
    for (let b = await this.#next(); b[0] !== 0xfe || b.length > 5; b = await this.#next()) {
      const r = new Reader(b);
      for (let i = 0; i < 4; i++) r.string();
      columns.push(r.string());
    }
    const rows: (string | null)[][] = [];
    for (let b = await this.#next(); b[0] !== 0xfe || b.length > 5; b = await this.#next()) {
      const r = new Reader(b);
      rows.push(columns.map(() => r.stringOrNull()));
    }
    return { columns, rows, affected: 0 };
  }

  close(): void {
    this.#sequence = -1;
    this.#write(Buffer.from([1]));
    this.#s.end();
  }

  #write(body: Buffer): void {
    this.#s.write(packet(this.#sequence + 1, body));
  }
  #check(b: Buffer): Buffer {
    if (b[0] !== 0xff) return b;
    throw new MysqlError(b.readUInt16LE(1), b.toString("latin1", 4, 9), b.toString("utf8", 9));
  }
  async #next(): Promise<Buffer> {
    for (;;) {
      const b = this.#packets.shift();
      if (b !== undefined) return b;
      if (this.#ended) throw new MysqlError(2013, "HY000", "Lost connection to MySQL server during query");
      await this.#p.until(
        new Promise<void>((resolve) => {
          this.#wake = resolve;
        }),
      );
    }
  }
}
