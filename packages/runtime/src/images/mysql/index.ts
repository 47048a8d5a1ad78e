// mysql and mariadb: accept connections on 3306, keep tables of simple statements in /var/lib/mysql; mysql and mysqladmin beside them.
import type { Process } from "../../kernel/process.ts";
import { openDatabases, plainTable, setting } from "../../tools/sql/storage.ts";
import { busyboxFiles, GROUP, PASSWD } from "../busybox/index.ts";
import type { ImageSpec } from "../image.ts";
import { type Login, MysqlClient, MysqlError } from "./client.ts";
import { PORT } from "./packets.ts";
import { MYSQL, MysqlConnection, VERSION } from "./server.ts";

const DATA = "/var/lib/mysql";

async function mysqldMain(p: Process): Promise<number> {
  const rootPassword = setting(p, "MYSQL_ROOT_PASSWORD") ?? setting(p, "MARIADB_ROOT_PASSWORD");
  const empty = ["MYSQL_ALLOW_EMPTY_PASSWORD", "MARIADB_ALLOW_EMPTY_ROOT_PASSWORD", "MYSQL_RANDOM_ROOT_PASSWORD"].some((n) => p.env.get(n));
  if (rootPassword === undefined && !empty) {
    await p.printError(
      "[ERROR] [Entrypoint]: Database is uninitialized and password option is not specified\n    You need to specify one of the following as an environment variable:\n    - MYSQL_ROOT_PASSWORD\n    - MYSQL_ALLOW_EMPTY_PASSWORD\n    - MYSQL_RANDOM_ROOT_PASSWORD\n",
    );
    return 1;
  }
  p.fs.mkdirs(DATA);
  const databases = openDatabases(p, `${DATA}/podwire-tables.json`, MYSQL);
  const database = setting(p, "MYSQL_DATABASE") ?? setting(p, "MARIADB_DATABASE");
  if (database !== undefined && !databases.has(database)) databases.create(database);
  const users = new Map([["root", rootPassword ?? ""]]);
  const user = setting(p, "MYSQL_USER") ?? setting(p, "MARIADB_USER");
  if (user !== undefined) users.set(user, setting(p, "MYSQL_PASSWORD") ?? setting(p, "MARIADB_PASSWORD") ?? "");
  p.net.listen(p, { port: PORT, allowHalfOpen: true }, (s) => new MysqlConnection(p, s, { databases, users }));
  await p.printError(`[Note] [MY-010931] [Server] /usr/sbin/mysqld: ready for connections. Version: '${VERSION}'  port: ${PORT}\n`);
  p.onSignal(15, () => {
    void p.printError("[Note] [MY-010910] [Server] /usr/sbin/mysqld: Shutdown complete\n");
    p.terminate({ code: 0, signal: 0 });
  });
  await p.block(() => () => undefined);
  return 0;
}

/** -h HOST -P PORT -u USER -pPASSWORD and their long forms. */
function login(p: Process): { login: Login; args: string[]; execute: string | undefined; bare: boolean } {
  const o: Login = { host: "127.0.0.1", user: "root", password: p.env.get("MYSQL_PWD") ?? "" };
  const args: string[] = [];
  let execute: string | undefined;
  let bare = false;
  const words = p.argv.slice(1);
  for (let i = 0; i < words.length; i++) {
    const w = words[i] as string;
    const [, name, given] = /^--([a-z-]+)(?:=(.*))?$/.exec(w) ?? /^-([hPuepDNsB])(.+)?$/.exec(w) ?? [];
    const value = () => given ?? words[++i] ?? "";
    if (name === undefined) args.push(w);
    else if (name === "h" || name === "host") o.host = value();
    else if (name === "P" || name === "port") o.port = Number(value());
    else if (name === "u" || name === "user") o.user = value();
    else if (name === "p" || name === "password") o.password = given ?? o.password;
    else if (name === "e" || name === "execute") execute = value();
    else if (name === "D" || name === "database") o.database = value();
    else if (["N", "s", "B", "skip-column-names", "silent", "batch"].includes(name))
      bare = name === "N" || name === "skip-column-names" || bare;
  }
  if (o.host === "localhost") o.host = "127.0.0.1";
  return { login: o, args, execute, bare };
}

async function mysqlMain(p: Process): Promise<number> {
  const { login: o, args, execute, bare } = login(p);
  if (args[0] !== undefined) o.database = args[0];
  let sql = execute;
  if (sql === undefined) {
    const parts: Uint8Array[] = [];
    for (let b = await p.read(0); b.length > 0; b = await p.read(0)) parts.push(b);
    sql = Buffer.concat(parts).toString("utf8");
  }
  try {
    const c = await MysqlClient.connect(p, o);
    const r = await c.query(sql);
    for (const line of plainTable(r.columns, r.rows, "NULL").slice(bare ? 1 : 0))
      if (r.columns.length > 0) await p.print(`${line.join("\t")}\n`);
    c.close();
    return 0;
  } catch (e) {
    if (!(e instanceof MysqlError)) throw e;
    await p.printError(`ERROR ${e.number} (${e.state}): ${e.message}\n`);
    return 1;
  }
}

async function mysqladminMain(p: Process): Promise<number> {
  const { login: o, args } = login(p);
  if (args[0] !== "ping" && args[0] !== "status") {
    await p.printError(`mysqladmin: Unknown command: '${args[0] ?? ""}'\n`);
    return 1;
  }
  try {
    const c = await MysqlClient.connect(p, o);
    c.close();
  } catch (e) {
    if (!(e instanceof MysqlError)) throw e;
    // A server that refuses the password is alive.
    if (e.number !== 1045) {
      await p.printError(`mysqladmin: connect to server at '${o.host}' failed\nerror: '${e.message}'\n`);
      return 1;
    }
  }
  await p.print("mysqld is alive\n");
  return 0;
}

export const mysql: ImageSpec = {
  repositories: ["mysql", "library/mysql", "mariadb", "library/mariadb", "bitnami/mysql"],
  tags: ["*"],
  entrypoint: ["docker-entrypoint.sh"],
  cmd: ["mysqld"],
  exposedPorts: [{ port: PORT, protocol: "TCP" }],
  sizeBytes: 170_000_000,
  files: [
    ...busyboxFiles(true),
    { path: "/etc/passwd", content: `${PASSWD}mysql:x:999:999::/var/lib/mysql:/bin/false\n` },
    { path: "/etc/group", content: `${GROUP}mysql:x:999:\n` },
    { path: DATA, dir: true, mode: 0o1777, uid: 999, gid: 999 },
    ...["/usr/sbin/mysqld", "/usr/sbin/mariadbd"].map((path) => ({ path, program: mysqldMain })),
    ...["/usr/bin/mysql", "/usr/bin/mariadb"].map((path) => ({ path, program: mysqlMain })),
    ...["/usr/bin/mysqladmin", "/usr/bin/mariadb-admin"].map((path) => ({ path, program: mysqladminMain })),
    {
      path: "/usr/local/bin/docker-entrypoint.sh",
      mode: 0o755,
      content: '#!/bin/sh\ncase "$1" in -*) set -- mysqld "$@";; esac\nexec "$@"\n',
    },
  ],
};
