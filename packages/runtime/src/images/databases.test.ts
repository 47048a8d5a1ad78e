// The database images: over their protocols with their own clients, what is kept on the volume, and what refuses.
import { systemClock } from "@podwire/base";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { Container, ContainerOptions } from "../container/container.ts";
import { type HeardContainer, LonePod } from "../container/lone-pod.ts";
import { FileSystem } from "../vfs/inode.ts";

let pod: LonePod;
beforeEach(() => {
  pod = new LonePod();
});
afterEach(() => pod.stop());

const start = (image: string, o: Partial<ContainerOptions> = {}): HeardContainer => pod.start(image, o);

async function exec(c: Container, ...argv: string[]): Promise<{ text: string; code: number }> {
  const s = c.execute(argv);
  let text = "";
  s.onOutput((_x, b) => {
    text += Buffer.from(b).toString();
  });
  return { code: (await s.wait()).code, text };
}

async function until(c: { text: string }, text: string): Promise<void> {
  for (let i = 0; i < 200 && !c.text.includes(text); i++) await new Promise((r) => setTimeout(r, 10));
  expect(c.text).toContain(text);
}

const volume = () => new FileSystem({ type: "ext4", now: () => systemClock.nowMs() });

it("postgres: readiness, tables, and what is kept for the next container", async () => {
  const mounts = [{ mountPath: "/var/lib/postgresql/data", root: volume().root, readOnly: false }];
  const o = { env: { POSTGRES_PASSWORD: "secret", POSTGRES_DB: "app" }, mounts };
  const db = start("postgres:17-alpine", o);
  await until(db, "ready to accept connections");
  expect((await exec(db, "pg_isready")).text).toBe("127.0.0.1:5432 - accepting connections\n");
  const psql = (sql: string, ...more: string[]) => exec(db, "psql", "-U", "postgres", "-d", "app", "-c", sql, ...more);
  expect((await psql("SELECT 1")).text).toBe(" ?column? \n----------\n        1\n(1 row)\n\n");
  expect((await psql("CREATE TABLE t (id serial PRIMARY KEY, name text NOT NULL, n int DEFAULT 5)")).text).toBe("CREATE TABLE\n");
  expect((await psql("INSERT INTO t (name) VALUES ('a'), ('it''s'), ('c')")).text).toBe("INSERT 0 3\n");
  expect((await psql("SELECT id, name FROM t WHERE id >= 2 AND name LIKE '%''%' ORDER BY id DESC LIMIT 1", "-t")).text).toBe("2|it's\n");
  expect((await psql("UPDATE t SET n = n + 1 WHERE id IN (1, 3)")).text).toBe("UPDATE 2\n");
  expect((await psql("SELECT sum(n), count(*) FROM t", "-t")).text).toBe("17|3\n");
  expect(await psql("SELECT * FROM none")).toEqual({ code: 1, text: 'ERROR:  relation "none" does not exist\n' });
  expect((await psql("SELEC")).text).toBe('ERROR:  syntax error at or near "SELEC"\n');
  expect((await psql("INSERT INTO t (id, name) VALUES (9, 'x'), (9, 'y')")).text).toContain("duplicate key value");
  db.kill(9);
  await db.wait();
  const again = start("postgres:17-alpine", o);
  await until(again, "ready to accept connections");
  expect((await exec(again, "psql", "-U", "postgres", "-d", "app", "-t", "-c", "SELECT count(*) FROM t")).text).toBe("3\n");
  expect((await exec(again, "psql", "-U", "nobody", "-c", "SELECT 1")).text).toContain('role "nobody" does not exist');
});

it("postgres without a password says what is missing", async () => {
  const db = start("postgres");
  expect(await db.wait()).toEqual({ code: 1, signal: 0 });
  expect(db.text).toContain("superuser password is not specified");
});

it("mysql: login, ping, tables, and refusals", async () => {
  const mounts = [{ mountPath: "/var/lib/mysql", root: volume().root, readOnly: false }];
  const db = start("mysql:8.0", {
    env: { MYSQL_ROOT_PASSWORD: "secret", MYSQL_DATABASE: "app", MYSQL_USER: "u", MYSQL_PASSWORD: "pw" },
    mounts,
  });
  await until(db, "ready for connections");
  expect(await exec(db, "mysqladmin", "ping", "-h", "127.0.0.1")).toEqual({ code: 0, text: "mysqld is alive\n" });
  const mysql = (sql: string) => exec(db, "mysql", "-uu", "-ppw", "app", "-e", sql);
  expect((await mysql("SELECT 1")).text).toBe("1\n1\n");
  expect(
    (
      await mysql(
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(20)); INSERT INTO t (name) VALUES ('a'), (NULL); SELECT * FROM t",
      )
    ).text,
  ).toBe("id\tname\n1\ta\n2\tNULL\n");
  expect((await mysql("SELECT * FROM none")).text).toBe("ERROR 1146 (42S02): Table 'app.none' doesn't exist\n");
  expect((await exec(db, "mysql", "-uu", "-pwrong", "-e", "SELECT 1")).text).toContain(
    "Access denied for user 'u'@'127.0.0.1' (using password: YES)",
  );
  expect((await exec(db, "mysql", "-uroot", "-psecret", "-N", "-e", "SHOW DATABASES")).text).toBe(
    "app\ninformation_schema\nmysql\nperformance_schema\nsys\n",
  );
});

it("wordpress installs itself into its database and shows posts; without one it says so", async () => {
  const web = start("wordpress:6-apache", {
    env: { WORDPRESS_DB_HOST: "127.0.0.1", WORDPRESS_DB_USER: "root", WORDPRESS_DB_PASSWORD: "pw" },
  });
  const curl = async (...args: string[]) => {
    const c = start("curlimages/curl", { command: ["curl", "-s", ...args] });
    await c.wait();
    return c.text;
  };
  await new Promise((r) => setTimeout(r, 50));
  expect(await curl("http://127.0.0.1/")).toContain("Error establishing a database connection");
  const db = start("mysql", { env: { MYSQL_ROOT_PASSWORD: "pw" } });
  await until(db, "ready for connections");
  expect(await curl("-o", "/dev/null", "-w", "%{http_code} %{redirect_url}", "http://127.0.0.1/")).toContain("302");
  expect(await curl("-d", "weblog_title=My+Site", "http://127.0.0.1/wp-admin/install.php?step=2")).toContain("Success!");
  const front = await curl("http://127.0.0.1/");
  expect(front).toContain("<h1>My Site</h1>");
  expect(front).toContain("Hello world!");
  expect(web.running).toBe(true);
});

it("a redis follower has its leader's data, before and after, and refuses writes", async () => {
  const leader = start("redis:7");
  await until(leader, "Ready");
  await exec(leader, "redis-cli", "SET", "a", "1");
  const follower = start("redis:7", { args: ["redis-server", "--port", "6380", "--replicaof", "127.0.0.1", "6379"] });
  await until(follower, "sync started");
  await exec(leader, "redis-cli", "RPUSH", "l", "x", "y");
  await new Promise((r) => setTimeout(r, 50));
  const ask = async (...args: string[]) => (await exec(follower, "redis-cli", "-p", "6380", ...args)).text;
  expect(await ask("GET", "a")).toContain("1");
  expect(await ask("LRANGE", "l", "0", "-1")).toContain("y");
  expect(await ask("SET", "a", "2")).toContain("READONLY");
});
