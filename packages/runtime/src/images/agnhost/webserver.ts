// agnhost test-webserver: Go's http.FileServer over the container's root file system, with CORS headers.
import type { Process } from "../../kernel/process.ts";
import { checkArgs, fatal, parseFlags, sysText } from "./go.ts";
import { cleanPath, detectContentType, escapeHtml, type GoRequest, type GoResponse, notFound, serve, serveMux } from "./http-server.ts";

/** mime.TypeByExtension without a mime.types file, plus what the image's file has. */
const TYPES: { [extension: string]: string } = {
  avif: "image/avif",
  css: "text/css; charset=utf-8",
  gif: "image/gif",
  htm: "text/html; charset=utf-8",
  html: "text/html; charset=utf-8",
  jpeg: "image/jpeg",
  jpg: "image/jpeg",
  js: "text/javascript; charset=utf-8",
  json: "application/json",
  mjs: "text/javascript; charset=utf-8",
  pdf: "application/pdf",
  png: "image/png",
  svg: "image/svg+xml",
  txt: "text/plain; charset=utf-8",
  wasm: "application/wasm",
  webp: "image/webp",
  xml: "text/xml; charset=utf-8",
};

const CORS: { [header: string]: string } = {
  "cache-control": "private",
  "access-control-allow-origin": "*",
  "access-control-allow-credentials": "true",
  "access-control-allow-methods": "GET, POST, OPTIONS",
  "access-control-allow-headers": "DNT,X-Mx-ReqToken,Keep-Alive,User-Agent,X-Requested-With,Cache-Control,Content-Type",
};

export async function testWebserver(p: Process, argv: readonly string[]): Promise<number> {
  const { flags, args } = parseFlags(argv, { port: { kind: "int", default: 80 } });
  checkArgs(args, 0, 0);
  const files = (w: GoResponse, r: GoRequest) => {
    for (const [k, v] of Object.entries(CORS)) w.setHeader(k, v);
    // Never answered with 304: the page is for tests that want the bytes.
    serveFile(p, w, r);
  };
  try {
    serve(p, flags["port"] as number, serveMux({ "/": files }));
  } catch (e) {
    fatal(p, `listen tcp :${flags["port"]}: bind: ${sysText(e)}`);
  }
  await p.block(() => () => undefined);
  return 0;
}

function serveFile(p: Process, w: GoResponse, r: GoRequest) {
  const local = (to: string) => {
    w.setHeader("location", to + (r.rawQuery === "" ? "" : `?${r.rawQuery}`));
    w.writeHeader(301);
  };
  if (r.path.endsWith("/index.html")) return local("./");
  const path = cleanPath(r.path).replace(/(.)\/$/, "$1");
  const stat = p.fs.tryStat(path);
  if (!stat) return notFound(w);
  const last = path.slice(path.lastIndexOf("/") + 1);
  if (stat.kind === "dir" && !r.path.endsWith("/")) return local(`${last}/`);
  if (stat.kind !== "dir" && r.path.endsWith("/")) return local(`../${last}`);
  if (stat.kind === "dir") {
    const index = `${path === "/" ? "" : path}/index.html`;
    if (p.fs.tryStat(index)?.kind === "file") return sendFile(p, w, r, index);
    return listing(p, w, path, stat.mtimeMs);
  }
  sendFile(p, w, r, path);
}

function sendFile(p: Process, w: GoResponse, r: GoRequest, path: string) {
  let bytes: Uint8Array;
  try {
    bytes = p.fs.readFile(path);
  } catch (e) {
    return (e as { code?: string }).code === "EACCES" ? w.error("403 Forbidden", 403) : w.error("500 Internal Server Error", 500);
  }
  const extension = /\.([^./]+)$/.exec(path)?.[1]?.toLowerCase() ?? "";
  w.setHeader("last-modified", new Date(Math.floor((p.fs.stat(path).mtimeMs ?? 0) / 1000) * 1000).toUTCString());
  w.setHeader("content-type", TYPES[extension] ?? (bytes.length === 0 ? "text/plain; charset=utf-8" : detectContentType(bytes)));
  const range = r.message.headers.range;
  if (range !== undefined) {
    const part = parseRange(range, bytes.length);
    if (part === undefined) {
      w.headers.delete("last-modified");
      w.setHeader("content-range", `bytes */${bytes.length}`);
      return w.error("invalid range: failed to overlap", 416);
    }
    w.setHeader("accept-ranges", "bytes");
    w.setHeader("content-range", `bytes ${part.from}-${part.to}/${bytes.length}`);
    w.setHeader("content-length", String(part.to - part.from + 1));
    w.writeHeader(206);
    return w.write(bytes.subarray(part.from, part.to + 1));
  }
  w.setHeader("accept-ranges", "bytes");
  w.setHeader("content-length", String(bytes.length));
  w.writeHeader(200);
  w.write(bytes);
}

/** One range of "bytes=a-b", "bytes=a-" or "bytes=-n"; undefined when it does not overlap. */
function parseRange(header: string, size: number): { from: number; to: number } | undefined {
  const m = /^bytes=(\d*)-(\d*)$/.exec(header.trim());
  if (!m || (m[1] === "" && m[2] === "")) return undefined;
  const from = m[1] === "" ? Math.max(0, size - Number(m[2])) : Number(m[1]);
  const to = m[1] === "" || m[2] === "" ? size - 1 : Math.min(Number(m[2]), size - 1);
  return from >= size || to < from ? undefined : { from, to };
}

function listing(p: Process, w: GoResponse, path: string, mtimeMs: number) {
  w.setHeader("content-type", "text/html; charset=utf-8");
  w.setHeader("last-modified", new Date(Math.floor(mtimeMs / 1000) * 1000).toUTCString());
  let page = '<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n';
  const names = p.fs
    .readdir(path)
    .filter((e) => e.name !== "." && e.name !== "..")
    .map((e) => (p.fs.tryStat(`${path}/${e.name}`, false)?.kind === "dir" ? `${e.name}/` : e.name))
    .sort((a, b) => (a < b ? -1 : 1));
  for (const n of names) page += `<a href="${goPathEscape(n)}">${escapeHtml(n)}</a>\n`;
  w.write(`${page}</pre>\n`);
}

/** url.URL{Path: name}.String(): what a path segment may hold stays as it is. */
function goPathEscape(name: string): string {
  const escaped = encodeURI(name).replaceAll("?", "%3F").replaceAll("#", "%23");
  return name.split("/")[0]?.includes(":") ? `./${escaped}` : escaped;
}
