// wordpress: the pages that a first visit meets, over a MySQL: installation asks for a title, the front page shows posts, and a
// database that cannot be reached is said so. A stand-in: no PHP, no themes, no administration.
import type http from "node:http";
import type { Process } from "../../kernel/process.ts";
import { setting } from "../../tools/sql/storage.ts";
import { accessLog, staticFile } from "../../tools/static-server.ts";
import { escapeHtml } from "../agnhost/http-server.ts";
import { busyboxFiles, GROUP, PASSWD } from "../busybox/index.ts";
import type { ImageSpec } from "../image.ts";
import { type Login, MysqlClient, MysqlError } from "../mysql/client.ts";

const ROOT = "/var/www/html";
const MAX_FORM_BYTES = 1024 * 1024;

function database(p: Process): Login {
  const [host = "mysql", port] = (setting(p, "WORDPRESS_DB_HOST") ?? "mysql").split(":");
  return {
    host,
    ...(port === undefined ? {} : { port: Number(port) }),
    user: setting(p, "WORDPRESS_DB_USER") ?? "example username",
    password: setting(p, "WORDPRESS_DB_PASSWORD") ?? "example password",
  };
}

const quoted = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;

interface Page {
  status: number;
  body: string;
  location?: string;
}

const page = (title: string, body: string, status = 200): Page => ({
  status,
  body: `<!DOCTYPE html>\n<html lang="en-US">\n<head><meta charset="UTF-8"><title>${escapeHtml(title)}</title></head>\n<body>\n${body}\n</body>\n</html>\n`,
});
const to = (location: string): Page => ({ status: 302, body: "", location });

/** One request's conversation with the database. */
async function respond(p: Process, path: string, method: string, form: URLSearchParams): Promise<Page> {
  const name = setting(p, "WORDPRESS_DB_NAME") ?? "wordpress";
  const prefix = setting(p, "WORDPRESS_TABLE_PREFIX") ?? "wp_";
  const db = await MysqlClient.connect(p, database(p));
  try {
    await db.query(`CREATE DATABASE IF NOT EXISTS ${name}`);
    await db.query(`USE ${name}`);
    const installed = (await db.query("SHOW TABLES")).rows.some(([t]) => t === `${prefix}options`);
    if (path === "/wp-admin/install.php") {
      if (installed) return page("WordPress", "<h1>Already Installed</h1>");
      if (method !== "POST")
        return page(
          "WordPress &rsaquo; Installation",
          '<h1>Welcome</h1>\n<form method="post" action="/wp-admin/install.php?step=2"><input name="weblog_title"><button>Install WordPress</button></form>',
        );
      await install(db, prefix, form.get("weblog_title") ?? "My Blog");
      return page("WordPress &rsaquo; Success", "<h1>Success!</h1>\n<p>WordPress has been installed.</p>");
    }
    if (!installed) return to("/wp-admin/install.php");
    if (path === "/wp-json/wp/v2/posts" && method === "POST") {
      await db.query(
        `INSERT INTO ${prefix}posts (post_title, post_content) VALUES (${quoted(form.get("title") ?? "")}, ${quoted(form.get("content") ?? "")})`,
      );
      return { status: 201, body: "{}\n" };
    }
    const title = (await db.query(`SELECT option_value FROM ${prefix}options WHERE option_name = 'blogname'`)).rows[0]?.[0] ?? "";
    const posts = (await db.query(`SELECT post_title, post_content FROM ${prefix}posts ORDER BY ID DESC LIMIT 10`)).rows;
    const articles = posts.map(([t, c]) => `<article><h2>${escapeHtml(t ?? "")}</h2><p>${escapeHtml(c ?? "")}</p></article>`);
    return path === "/" || path === "/index.php"
      ? page(title, `<h1>${escapeHtml(title)}</h1>\n${articles.join("\n")}`)
      : page(title, "<h1>Not found</h1>", 404);
  } finally {
    db.close();
  }
}

async function install(db: MysqlClient, prefix: string, title: string): Promise<void> {
  await db.query(
    `CREATE TABLE ${prefix}options (option_id bigint NOT NULL AUTO_INCREMENT, option_name varchar(191) UNIQUE, option_value longtext)`,
  );
  await db.query(`CREATE TABLE ${prefix}posts (id bigint PRIMARY KEY AUTO_INCREMENT, post_title text, post_content longtext)`);
  await db.query(`INSERT INTO ${prefix}options (option_name, option_value) VALUES ('blogname', ${quoted(title)})`);
  await db.query(
    `INSERT INTO ${prefix}posts (post_title, post_content) VALUES ('Hello world!', 'Welcome to WordPress. This is your first post.')`,
  );
}

async function wordpressMain(p: Process): Promise<number> {
  p.fs.mkdirs(`${ROOT}/wp-content/uploads`);
  if (!p.fs.exists(`${ROOT}/index.php`)) {
    await p.printError(`WordPress not found in ${ROOT} - copying now...\nComplete! WordPress has been successfully copied to ${ROOT}\n`);
    p.fs.writeFile(`${ROOT}/index.php`, "<?php require __DIR__ . '/wp-blog-header.php';\n");
    p.fs.writeFile(`${ROOT}/wp-config.php`, `<?php define('AUTH_KEY', '${Buffer.from(p.random.bytes(16)).toString("hex")}');\n`);
  }
  p.net.serveHttp(p, { port: 80 }, (req, res) => void handle(p, req, res));
  await p.printError("[mpm_prefork:notice] AH00163: Apache/2.4.62 (Debian) PHP/8.2 configured -- resuming normal operations\n");
  for (const s of [15, 28]) p.onSignal(s, () => p.terminate({ code: 0, signal: 0 }));
  await p.block(() => () => undefined);
  return 0;
}

async function handle(p: Process, req: http.IncomingMessage, res: http.ServerResponse): Promise<void> {
  const url = new URL(req.url ?? "/", "http://x");
  const answer = (a: Page, type = "text/html; charset=UTF-8") => {
    res.writeHead(a.status, { "content-type": type, "x-powered-by": "PHP/8.2", ...(a.location ? { location: a.location } : {}) });
    res.end(a.body);
    accessLog(p, req, a.status, Buffer.byteLength(a.body), true);
  };
  try {
    let size = 0;
    const parts: Buffer[] = [];
    for await (const c of req) {
      size += (c as Buffer).length;
      if (size > MAX_FORM_BYTES) return void res.destroy();
      parts.push(c as Buffer);
    }
    if (url.pathname.startsWith("/wp-content/")) {
      const f = staticFile(p, ROOT, url.pathname);
      res.writeHead(f.status, f.headers).end(f.body);
      return;
    }
    answer(await respond(p, url.pathname, req.method ?? "GET", new URLSearchParams(Buffer.concat(parts).toString("utf8"))));
  } catch (e) {
    if (p.ended) return void res.destroy();
    if (!(e instanceof MysqlError)) throw e;
    await p.printError(`PHP Warning:  mysqli_real_connect(): (${e.state}/${e.number}): ${e.message}\n`);
    answer(page("Database Error", "<h1>Error establishing a database connection</h1>", 500));
  }
}

export const wordpress: ImageSpec = {
  repositories: ["wordpress", "library/wordpress"],
  tags: ["*"],
  entrypoint: ["docker-entrypoint.sh"],
  cmd: ["apache2-foreground"],
  workingDir: ROOT,
  stopSignal: "SIGWINCH",
  exposedPorts: [{ port: 80, protocol: "TCP" }],
  sizeBytes: 230_000_000,
  files: [
    ...busyboxFiles(true),
    { path: "/etc/passwd", content: PASSWD },
    { path: "/etc/group", content: GROUP },
    { path: ROOT, dir: true, mode: 0o1777, uid: 33, gid: 33 },
    { path: "/usr/local/bin/apache2-foreground", program: wordpressMain },
    { path: "/usr/local/bin/docker-entrypoint.sh", mode: 0o755, content: '#!/bin/sh\nexec "$@"\n' },
  ],
};
