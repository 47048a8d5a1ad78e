// net/http's server as its clients see it: headers and bodies that a Go handler leaves to the library (length, sniffed type, date),
// ServeMux with its path cleaning, Redirect and Error.
// Invariant: a response is buffered; its length is told when Go would tell it (handlers that write at most 2048 bytes).
import http from "node:http";
import tls from "node:tls";
import type { Process } from "../../kernel/process.ts";
import type { StreamServer, StreamSocket } from "../../net/net-stack.ts";
import { GOROUTINE, GoPanic, log, parseQuery } from "./go.ts";

const GO_BUFFER_BYTES = 2048;
const MAX_BODY_BYTES = 32 * 1024 * 1024;

export class GoRequest {
  readonly message: http.IncomingMessage;
  readonly method: string;
  /** Decoded path; "" never. */
  readonly path: string;
  readonly rawQuery: string;
  readonly body: Buffer;
  readonly #form: Map<string, string>;
  constructor(message: http.IncomingMessage, body: Buffer) {
    this.message = message;
    this.method = message.method ?? "GET";
    const [rawPath = "/", ...query] = (message.url ?? "/").split("?");
    this.path = decoded(rawPath);
    this.rawQuery = query.join("?");
    this.body = body;
    this.#form = parseQuery(this.rawQuery);
    const isForm = (message.headers["content-type"] ?? "").startsWith("application/x-www-form-urlencoded");
    if (isForm && ["POST", "PUT", "PATCH"].includes(this.method))
      this.#form = new Map([...this.#form, ...parseQuery(body.toString("utf8"))]);
  }
  /** r.FormValue. */
  form(key: string): string {
    return this.#form.get(key) ?? "";
  }
  /** r.URL.Query().Get. */
  query(key: string): string {
    return parseQuery(this.rawQuery).get(key) ?? "";
  }
  get remoteAddr(): string {
    const { remoteAddress: a = "", remotePort } = this.message.socket;
    return a.includes(":") ? `[${a}]:${remotePort}` : `${a}:${remotePort}`;
  }
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

export class GoResponse {
  readonly headers = new Map<string, string>();
  readonly #res: http.ServerResponse;
  readonly #head: boolean;
  #status = 0;
  #chunks: Buffer[] = [];
  #size = 0;
  constructor(res: http.ServerResponse, method: string) {
    this.#res = res;
    this.#head = method === "HEAD";
  }
  setHeader(name: string, value: string): void {
    this.headers.set(name.toLowerCase(), value);
  }
  writeHeader(status: number): void {
    if (status < 100 || status > 999) throw new GoPanic(`invalid WriteHeader code ${status}`);
    // 1xx is informational: the final status is still to come.
    if (this.#status === 0 && status >= 200) this.#status = status;
  }
  write(text: string | Uint8Array): void {
    this.writeHeader(200);
    const bytes = Buffer.from(text as string);
    this.#chunks.push(bytes);
    this.#size += bytes.length;
  }
  /** http.Error. */
  error(text: string, status: number): void {
    this.headers.delete("content-length");
    for (const h of ["content-encoding", "etag", "last-modified", "cache-control"]) this.headers.delete(h);
    this.setHeader("content-type", "text/plain; charset=utf-8");
    this.setHeader("x-content-type-options", "nosniff");
    this.writeHeader(status);
    this.write(`${text}\n`);
  }
  /** http.Redirect. */
  redirect(r: GoRequest, to: string, status: number): void {
    const target = /^[a-z][a-z0-9+.-]*:|^\/\//i.test(to) || to === "" ? to : absolute(to, r.path);
    this.setHeader("location", encodeURI(target).replaceAll("%25", "%"));
    const shows = r.method === "GET" || r.method === "HEAD";
    if (shows && !this.headers.has("content-type")) this.setHeader("content-type", "text/html; charset=utf-8");
    this.writeHeader(status);
    if (shows) this.write(`<a href="${escapeHtml(target)}">${http.STATUS_CODES[status] ?? ""}</a>.\n\n`);
  }
  /** What the library does when the handler returns. */
  finish(): void {
    const status = this.#status || 200;
    const bare = status === 204 || status === 304;
    const body = Buffer.concat(this.#chunks);
    if (!bare && !this.headers.has("content-type") && body.length > 0) this.setHeader("content-type", detectContentType(body));
    if (!bare && !this.headers.has("content-length") && body.length <= GO_BUFFER_BYTES)
      this.setHeader("content-length", String(body.length));
    this.#res.statusCode = status;
    // Go leaves keep-alive unsaid.
    if (!this.headers.has("connection")) this.#res.removeHeader("connection");
    for (const [k, v] of this.headers) this.#res.setHeader(k, v);
    if (bare || this.#head) this.#res.end();
    else this.#res.end(body);
  }
  get size(): number {
    return this.#size;
  }
}

function absolute(to: string, path: string): string {
  const slash = to.endsWith("/") && to !== "/";
  const joined = to.startsWith("/") ? to : `${path.slice(0, path.lastIndexOf("/") + 1)}${to}`;
  const [bare = "", ...query] = joined.split("?");
  const clean = cleanPath(bare);
  return `${slash && !clean.endsWith("/") ? `${clean}/` : clean}${query.length > 0 ? `?${query.join("?")}` : ""}`;
}

/** path.Clean of an absolute path, keeping a final slash as ServeMux does. */
export function cleanPath(path: string): string {
  const out: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") out.pop();
    else out.push(part);
  }
  const clean = `/${out.join("/")}`;
  return path.endsWith("/") && clean !== "/" ? `${clean}/` : clean;
}

export function escapeHtml(s: string): string {
  const map: { [c: string]: string } = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;" };
  return s.replace(/[&<>"']/g, (c) => map[c] as string);
}

const HTML = [
  "<!doctype html",
  "<html",
  "<head",
  "<script",
  "<iframe",
  "<h1",
  "<div",
  "<font",
  "<table",
  "<a",
  "<style",
  "<title",
  "<b",
  "<body",
  "<br",
  "<p",
  "<!--",
];

/** http.DetectContentType (WHATWG MIME sniffing) for what these programs serve: HTML, XML, images, text, anything else. */
export function detectContentType(body: Uint8Array): string {
  const head = Buffer.from(body.subarray(0, 512));
  const text = head.toString("latin1").replace(/^[\t\n\f\r ]+/, "");
  const lower = text.toLowerCase();
  if (HTML.some((t) => lower.startsWith(t) && (t === "<!--" || /[ >]/.test(text[t.length] ?? "")))) return "text/html; charset=utf-8";
  if (lower.startsWith("<?xml")) return "text/xml; charset=utf-8";
  if (text.startsWith("%PDF-")) return "application/pdf";
  if (head.subarray(0, 8).toString("latin1") === "\x89PNG\r\n\x1a\n") return "image/png";
  if (head.subarray(0, 3).toString("latin1") === "\xff\xd8\xff") return "image/jpeg";
  if (text.startsWith("GIF8")) return "image/gif";
  return head.some((b) => b <= 8 || b === 0x0b || (b >= 0x0e && b <= 0x1a) || (b >= 0x1c && b <= 0x1f))
    ? "application/octet-stream"
    : "text/plain; charset=utf-8";
}

export type Handler = (w: GoResponse, r: GoRequest) => void | Promise<void>;

/** http.ServeMux: exact patterns, and patterns with a final slash for all below. */
export function serveMux(routes: { [pattern: string]: Handler }): Handler {
  return (w, r) => {
    const clean = cleanPath(r.path);
    if (clean !== r.path && r.method !== "CONNECT")
      return w.redirect(r, `${encodeURI(clean)}${r.rawQuery === "" ? "" : `?${r.rawQuery}`}`, 301);
    const exact = routes[r.path];
    if (exact) return exact(w, r);
    const best = Object.keys(routes)
      .filter((k) => k.endsWith("/") && r.path.startsWith(k))
      .sort((a, b) => b.length - a.length)[0];
    if (best !== undefined) return (routes[best] as Handler)(w, r);
    return notFound(w);
  };
}

export function notFound(w: GoResponse): void {
  w.error("404 page not found", 404);
}

export interface GoServer {
  listener: StreamServer;
  /** http.Server.Shutdown: no new connections, resolves when none is busy. */
  shutdown(): Promise<void>;
}

/** http.ListenAndServe on every address. Throws the listen error. */
export function serve(p: Process, port: number, handler: Handler, pair?: { cert: string; key: string }): GoServer {
  const server = http.createServer((req, res) => void respond(p, handler, req, res));
  server.keepAliveTimeout = 0;
  server.on("clientError", (_e, socket) => socket.destroy());
  const secureContext = pair && tls.createSecureContext(pair);
  const bound = p.net.listen(p, { port }, (s) => {
    if (secureContext) acceptTls(p, server, s, secureContext);
    else server.emit("connection", s);
  });
  p.onExit(() => server.closeAllConnections());
  return {
    listener: bound,
    shutdown: () =>
      new Promise((resolve) => {
        bound.close();
        server.closeIdleConnections();
        resolve();
      }),
  };
}

/** A connection to a TLS port, handed to the server when it is one; a plain request gets Go's answer. */
export function acceptTls(p: Process, server: http.Server, s: StreamSocket, secureContext: tls.SecureContext): void {
  s.on("error", () => s.destroy());
  s.once("readable", () => {
    const first = s.read() as Buffer | null;
    if (first === null) return;
    if (/^(GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH)/.test(first.subarray(0, 8).toString("latin1"))) {
      log(p, `http: TLS handshake error from ${s.remoteAddress}:${s.remotePort}: client sent an HTTP request to an HTTPS server`);
      s.end("HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n");
      return;
    }
    s.unshift(first);
    const secure = new tls.TLSSocket(s as never, { isServer: true, secureContext, ALPNProtocols: ["http/1.1"] });
    secure.on("error", () => secure.destroy());
    // The TLS layer knows the addresses of a real socket only.
    for (const key of ["remoteAddress", "remotePort", "localAddress", "localPort"] as const)
      Object.defineProperty(secure, key, { value: s[key] });
    server.emit("connection", secure);
  });
}

async function respond(p: Process, handler: Handler, req: http.IncomingMessage, res: http.ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const c of req) {
      size += (c as Buffer).length;
      if (size > MAX_BODY_BYTES) throw new RangeError("body too large");
      chunks.push(c as Buffer);
    }
  } catch {
    res.destroy();
    return;
  }
  const r = new GoRequest(req, Buffer.concat(chunks));
  const w = new GoResponse(res, r.method);
  try {
    await handler(w, r);
  } catch (e) {
    if (p.ended) return void res.destroy();
    log(p, `http: panic serving ${r.remoteAddr}: ${e instanceof Error ? e.message : String(e)}\n${GOROUTINE}`);
    return void res.destroy();
  }
  if (p.ended) return void res.destroy();
  w.finish();
}
