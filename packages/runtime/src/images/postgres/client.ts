// psql -c and pg_isready: the client side of the protocol, as far as scripts and readiness probes use it.
import type { Process } from "../../kernel/process.ts";
import type { StreamSocket } from "../../net/net-stack.ts";
import { plainTable } from "../../tools/sql/storage.ts";
import { md5Password, message } from "./server.ts";

const PORT = 5432;
const TIMEOUT_MS = 3_000;

interface Target {
  host: string;
  port: number;
  user: string;
  database: string;
}

function target(p: Process, values: ReadonlyMap<string, string>): Target {
  const user = values.get("U") ?? p.env.get("PGUSER") ?? "postgres";
  return {
    host: values.get("h") ?? p.env.get("PGHOST") ?? "127.0.0.1",
    port: Number(values.get("p") ?? p.env.get("PGPORT") ?? PORT),
    user,
    database: values.get("d") ?? p.env.get("PGDATABASE") ?? user,
  };
}

function parse(argv: readonly string[], taking: string): { values: Map<string, string>; flags: Set<string>; args: string[] } {
  const long: { [name: string]: string } = {
    host: "h",
    port: "p",
    username: "U",
    dbname: "d",
    command: "c",
    timeout: "t",
    quiet: "q",
    "tuples-only": "t",
  };
  const values = new Map<string, string>();
  const flags = new Set<string>();
  const args: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const a = argv[i] as string;
    const m = /^--([a-z-]+)(?:=(.*))?$/.exec(a) ?? /^-(\w)(.+)?$/.exec(a);
    if (m === null) args.push(a);
    else {
      const name = long[m[1] as string] ?? (m[1] as string);
      if (!taking.includes(name)) for (const f of a.startsWith("--") ? [name] : a.slice(1)) flags.add(f);
      else values.set(name, m[2] ?? argv[++i] ?? "");
    }
  }
  return { values, flags, args };
}

/** Messages as they come: [type, body]. Ends when the server closes. */
async function* messages(p: Process, s: StreamSocket): AsyncGenerator<[string, Buffer]> {
  let buffer: Buffer = Buffer.alloc(0);
  let ended = false;
  let wake: () => void = () => undefined;
  s.on("data", (d: Buffer) => {
    buffer = Buffer.concat([buffer, d]);
    wake();
  });
  for (const e of ["end", "close", "error"])
    s.on(e, () => {
      ended = true;
      wake();
    });
  for (;;) {
    if (buffer.length >= 5 && buffer.length >= 1 + buffer.readInt32BE(1)) {
      const length = 1 + buffer.readInt32BE(1);
      const m: [string, Buffer] = [String.fromCharCode(buffer[0] as number), buffer.subarray(5, length)];
      buffer = buffer.subarray(length);
      yield m;
    } else if (ended) return;
    else
      await p.until(
        new Promise<void>((resolve) => {
          wake = resolve;
        }),
      );
  }
}

function hello(s: StreamSocket, t: Target): void {
  const words = `user\0${t.user}\0database\0${t.database}\0\0`;
  s.write(message("", 196_608, Buffer.from(words)));
}

function errorText(body: Buffer): string {
  const fields = new Map(
    body
      .toString("utf8")
      .split("\0")
      .map((f) => [f[0] ?? "", f.slice(1)]),
  );
  return `${fields.get("S")}:  ${fields.get("M")}`;
}

export async function pgIsReady(p: Process): Promise<number> {
  const { values, flags } = parse(p.argv.slice(1), "hpUdt");
  const t = target(p, values);
  const say = async (what: string, code: number) => {
    if (!flags.has("q")) await p.print(`${t.host}:${t.port} - ${what}\n`);
    return code;
  };
  try {
    const s = await p.until(p.net.connect(p, { host: t.host, port: t.port, timeoutMs: TIMEOUT_MS }));
    s.destroy();
    return await say("accepting connections", 0);
  } catch {
    p.check();
    return say("no response", 2);
  }
}

export async function psql(p: Process): Promise<number> {
  const { values, flags, args } = parse(p.argv.slice(1), "hpUdcvf");
  if (args[0] !== undefined && !values.has("d")) values.set("d", args[0]);
  if (args[1] !== undefined && !values.has("U")) values.set("U", args[1]);
  const t = target(p, values);
  const failed = async (why: string) => {
    await p.printError(`psql: error: connection to server at "${t.host}", port ${t.port} failed: ${why}\n`);
    return 2;
  };
  let s: StreamSocket;
  try {
    s = await p.until(p.net.connect(p, { host: t.host, port: t.port, timeoutMs: TIMEOUT_MS }));
  } catch {
    p.check();
    return failed("Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?");
  }
  hello(s, t);
  const sql = values.get("c") ?? (await input(p));
  let status = 0;
  let asked = false;
  let columns: string[] = [];
  let rows: (string | null)[][] = [];
  for await (const [type, body] of messages(p, s)) {
    if (type === "R" && body.readInt32BE(0) === 5)
      s.write(message("p", md5Password(t.user, p.env.get("PGPASSWORD") ?? "", body.subarray(4, 8))));
    else if (type === "E" && !asked) return failed(errorText(body));
    else if (type === "E") {
      status = 1;
      await p.printError(`${errorText(body)}\n`);
    } else if (type === "T") columns = columnNames(body);
    else if (type === "D") rows.push(cells(body));
    else if (type === "C") {
      const bare = flags.has("t") || flags.has("A");
      if (columns.length > 0) await p.print(table(columns, rows, bare));
      else await p.print(`${body.toString("utf8").replace(/\0$/, "")}\n`);
      columns = [];
      rows = [];
    } else if (type === "Z") {
      if (asked) break;
      asked = true;
      s.write(message("Q", sql));
    }
  }
  s.end(message("X"));
  return status;
}

async function input(p: Process): Promise<string> {
  const parts: Uint8Array[] = [];
  for (let b = await p.read(0); b.length > 0; b = await p.read(0)) parts.push(b);
  return Buffer.concat(parts).toString("utf8");
}

function columnNames(body: Buffer): string[] {
  const out: string[] = [];
  for (let i = 0, at = 2; i < body.readInt16BE(0); i++) {
    const end = body.indexOf(0, at);
    out.push(body.toString("utf8", at, end));
    at = end + 1 + 18;
  }
  return out;
}

function cells(body: Buffer): (string | null)[] {
  const out: (string | null)[] = [];
  for (let i = 0, at = 2; i < body.readInt16BE(0); i++) {
    const length = body.readInt32BE(at);
    out.push(length < 0 ? null : body.toString("utf8", at + 4, at + 4 + length));
    at += 4 + Math.max(0, length);
  }
  return out;
}

function table(columns: string[], rows: (string | null)[][], bare: boolean): string {
  if (bare) return rows.map((r) => `${r.map((c) => c ?? "").join("|")}\n`).join("");
  const all = plainTable(columns, rows, "");
  const widths = columns.map((_, i) => Math.max(...all.map((r) => (r[i] ?? "").length)));
  const line = (r: string[]) =>
    ` ${r.map((c, i) => (/^-?\d+$/.test(c) ? c.padStart(widths[i] ?? 0) : c.padEnd(widths[i] ?? 0))).join(" | ")}`.trimEnd();
  const head = ` ${columns.map((c, i) => c.padStart(Math.floor(((widths[i] ?? 0) + c.length) / 2)).padEnd(widths[i] ?? 0)).join(" | ")} `;
  return `${head}\n${widths.map((w) => "-".repeat(w + 2)).join("+")}\n${rows.map((_, i) => `${line(all[i + 1] as string[])}\n`).join("")}(${rows.length} row${rows.length === 1 ? "" : "s"})\n\n`;
}
