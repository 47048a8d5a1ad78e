// nginx: reads /etc/nginx/nginx.conf and what it includes, serves files, returns, and passes requests on.
import type http from "node:http";
import type { Process } from "../../kernel/process.ts";
import { matches, plainPattern } from "../../shell/glob.ts";
import { accessLog, staticFile } from "../../tools/static-server.ts";
import { busyboxFiles, GROUP, PASSWD } from "../busybox/index.ts";
import type { ImageSpec } from "../image.ts";
import {
  chooseLocation,
  chooseServer,
  type Directive,
  type Location,
  type NginxConfig,
  NginxConfigError,
  parseNginx,
  readConfig,
  type Server,
} from "./config.ts";

const VERSION = "1.27.5";
const CONF = "/etc/nginx/nginx.conf";
const UPSTREAM_TIMEOUT_MS = 60_000;

function load(p: Process): NginxConfig {
  const include = (pattern: string): Directive[] => {
    const full = pattern.startsWith("/") ? pattern : `/etc/nginx/${pattern}`;
    const dir = full.slice(0, full.lastIndexOf("/"));
    if (p.fs.tryStat(dir)?.kind !== "dir") return [];
    const names = p.fs
      .readdir(dir)
      .map((e) => e.name)
      .filter((n) => !n.startsWith(".") && matches(plainPattern(full.slice(full.lastIndexOf("/") + 1)), n))
      .sort();
    return names.flatMap((n) => parseNginx(p.fs.readText(`${dir}/${n}`), `${dir}/${n}`));
  };
  return readConfig(parseNginx(p.fs.readText(CONF), CONF), include, CONF);
}

async function nginxMain(p: Process): Promise<number> {
  if (p.argv.includes("-v")) {
    await p.printError(`nginx version: nginx/${VERSION}\n`);
    return 0;
  }
  let config: NginxConfig;
  try {
    config = load(p);
  } catch (e) {
    if (!(e instanceof NginxConfigError)) throw e;
    await p.printError(`nginx: [emerg] ${e.message}\n`);
    return 1;
  }
  if (p.argv.includes("-t")) {
    await p.printError(`nginx: the configuration file ${CONF} syntax is ok\nnginx: configuration file ${CONF} test is successful\n`);
    return 0;
  }
  let turn = 0;
  for (const port of new Set(config.servers.flatMap((s) => s.ports)))
    p.net.serveHttp(p, { port }, (req, res) => {
      const server = chooseServer(config.servers, port, req.headers.host ?? "");
      if (server) void serve(p, config, server, req, res, turn++);
      else res.destroy();
    });
  await p.printError(`[notice] ${p.pid}#${p.pid}: nginx/${VERSION}\n[notice] ${p.pid}#${p.pid}: start worker processes\n`);
  p.onSignal(1, () => {
    try {
      config = load(p);
    } catch (e) {
      void p.printError(`[emerg] ${p.pid}#${p.pid}: ${(e as Error).message}\n`);
    }
  });
  for (const s of [15, 3, 2]) p.onSignal(s, () => p.terminate({ code: 0, signal: 0 }));
  await p.block(() => () => undefined);
  return 0;
}

const WORDS: Record<number, string> = {
  301: "Moved Permanently",
  302: "Found",
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  502: "Bad Gateway",
  504: "Gateway Time-out",
};

function page(status: number): string {
  const text = `${status} ${WORDS[status] ?? ""}`.trim();
  return `<html>\r\n<head><title>${text}</title></head>\r\n<body>\r\n<center><h1>${text}</h1></center>\r\n<hr><center>nginx/${VERSION}</center>\r\n</body>\r\n</html>\r\n`;
}

async function serve(
  p: Process,
  config: NginxConfig,
  server: Server,
  req: http.IncomingMessage,
  res: http.ServerResponse,
  turn: number,
): Promise<void> {
  const path = (req.url ?? "/").split("?")[0] as string;
  const location = server.own.returns && server.locations.length === 0 ? server.own : chooseLocation(server, path);
  const vars = (text: string) => text.replace(/\$\{?(\w+)\}?/g, (_, name: string) => variable(p, req, name));
  const extra = Object.fromEntries(
    [...(location.headers.length > 0 ? location.headers : server.own.headers)].map(([k, v]) => [k, vars(v)]),
  );
  const answer = (status: number, headers: Record<string, string>, body: Uint8Array | string) => {
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    res.writeHead(status, { Server: `nginx/${VERSION}`, ...headers, ...extra, "Content-Length": String(bytes.length) });
    res.end(req.method === "HEAD" ? undefined : bytes);
    accessLog(p, req, status, bytes.length, true);
  };
  const returns = server.own.returns && location === server.own ? server.own.returns : location.returns;
  if (returns) {
    const redirect = returns.status >= 300 && returns.status < 400;
    answer(
      returns.status,
      redirect
        ? { Location: vars(returns.text), "Content-Type": "text/html" }
        : { "Content-Type": location.defaultType ?? "application/octet-stream" },
      redirect ? page(returns.status) : vars(returns.text),
    );
    return;
  }
  if (location.proxyPass)
    return proxy(p, config, location, vars, req, res, turn, (status) => answer(status, { "Content-Type": "text/html" }, page(status)));
  const root = location.root ?? server.root;
  const target = location.alias !== undefined ? location.alias + path.slice(location.path.length) : undefined;
  const find = (uri: string) =>
    target !== undefined && uri === path ? staticFile(p, "", target, location.index) : staticFile(p, root, uri, location.index);
  let a = find(path);
  for (const candidate of location.tryFiles ?? []) {
    const code = /^=(\d+)$/.exec(candidate);
    if (code) {
      a = { status: Number(code[1]), headers: {}, body: new Uint8Array(0) };
      break;
    }
    a = find(vars(candidate));
    if (a.status === 200) break;
  }
  if (a.status === 200)
    answer(
      200,
      {
        ...a.headers,
        ...(location.defaultType && a.headers["Content-Type"] === "application/octet-stream"
          ? { "Content-Type": location.defaultType }
          : {}),
      },
      a.body,
    );
  else answer(a.status, { "Content-Type": "text/html", ...a.headers }, page(a.status));
}

function variable(p: Process, req: http.IncomingMessage, name: string): string {
  const [uri = "", query = ""] = (req.url ?? "/").split("?");
  switch (name) {
    case "uri":
    case "document_uri":
      return uri;
    case "request_uri":
      return req.url ?? "";
    case "args":
    case "query_string":
      return query;
    case "host":
      return (req.headers.host ?? "").replace(/:\d+$/, "");
    case "http_host":
      return req.headers.host ?? "";
    case "remote_addr":
      return req.socket.remoteAddress ?? "";
    case "remote_port":
      return String(req.socket.remotePort ?? "");
    case "server_addr":
      return req.socket.localAddress ?? "";
    case "server_port":
      return String(req.socket.localPort ?? "");
    case "scheme":
      return "http";
    case "hostname":
      return p.hostname;
    case "request_method":
      return req.method ?? "";
    case "proxy_add_x_forwarded_for":
      return [req.headers["x-forwarded-for"], req.socket.remoteAddress].filter(Boolean).join(", ");
    default:
      return name.startsWith("http_") ? String(req.headers[name.slice(5).replaceAll("_", "-")] ?? "") : "";
  }
}

async function proxy(
  p: Process,
  config: NginxConfig,
  location: Location,
  vars: (t: string) => string,
  req: http.IncomingMessage,
  res: http.ServerResponse,
  turn: number,
  fail: (status: number) => void,
): Promise<void> {
  const url = /^https?:\/\/([^/]+)(\/.*)?$/.exec(vars(location.proxyPass as string));
  if (!url) return fail(502);
  const list = config.upstreams.get(url[1] as string);
  const address = list && list.length > 0 ? (list[turn % list.length] as string) : (url[1] as string);
  const [host = "", port = "80"] = address.split(":");
  const path = url[2] === undefined ? (req.url ?? "/") : url[2] + (req.url ?? "/").slice(location.path.length);
  const headers: Record<string, string> = {};
  for (const [k, v] of Object.entries(req.headers))
    if (k !== "connection" && k !== "host") headers[k] = Array.isArray(v) ? v.join(", ") : (v ?? "");
  headers["host"] = url[1] as string;
  headers["connection"] = "close";
  for (const [k, v] of location.proxyHeaders) {
    for (const old of Object.keys(headers)) if (old.toLowerCase() === k.toLowerCase()) delete headers[old];
    headers[k] = vars(v);
  }
  try {
    const up = await p.net.request(p, {
      host,
      port: Number(port),
      path,
      method: req.method ?? "GET",
      headers,
      connectTimeoutMs: UPSTREAM_TIMEOUT_MS,
    });
    up.on("error", () => (res.headersSent ? res.destroy() : fail(502)));
    up.on("response", (r) => {
      res.writeHead(r.statusCode ?? 502, {
        ...r.headers,
        server: `nginx/${VERSION}`,
        connection: "keep-alive",
      } as http.OutgoingHttpHeaders);
      r.pipe(res);
      accessLog(p, req, r.statusCode ?? 502, Number(r.headers["content-length"] ?? 0), true);
    });
    req.pipe(up);
  } catch {
    // The upstream cannot be reached.
    fail(502);
  }
}

export const nginx: ImageSpec = {
  repositories: ["nginx", "library/nginx", "e2e-test-images/nginx", "nginxinc/nginx-unprivileged"],
  tags: ["*"],
  entrypoint: ["/docker-entrypoint.sh"],
  cmd: ["nginx", "-g", "daemon off;"],
  stopSignal: "SIGQUIT",
  exposedPorts: [{ port: 80, protocol: "TCP" }],
  sizeBytes: 72_000_000,
  env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NGINX_VERSION: VERSION },
  files: [
    ...busyboxFiles(true),
    { path: "/etc/passwd", content: `${PASSWD}nginx:x:101:101:nginx:/nonexistent:/bin/false\n` },
    { path: "/etc/group", content: `${GROUP}nginx:x:101:\n` },
    { path: "/usr/sbin/nginx", program: nginxMain },
    { path: "/docker-entrypoint.sh", mode: 0o755, content: '#!/bin/sh\nexec "$@"\n' },
    {
      path: CONF,
      content:
        "user  nginx;\nworker_processes  auto;\nevents {\n    worker_connections  1024;\n}\nhttp {\n    default_type  application/octet-stream;\n    include /etc/nginx/conf.d/*.conf;\n}\n",
    },
    {
      path: "/etc/nginx/conf.d/default.conf",
      content:
        "server {\n    listen       80;\n    server_name  localhost;\n    location / {\n        root   /usr/share/nginx/html;\n        index  index.html index.htm;\n    }\n}\n",
    },
    {
      path: "/usr/share/nginx/html/index.html",
      content:
        "<!DOCTYPE html>\n<html>\n<head>\n<title>Welcome to nginx!</title>\n</head>\n<body>\n<h1>Welcome to nginx!</h1>\n</body>\n</html>\n",
    },
    { path: "/var/log/nginx", dir: true },
  ],
};
