// What web server images share: a folder of the container served over HTTP, with an access log.
import type http from "node:http";
import { strftime } from "../applets/date.ts";
import { SysError } from "../kernel/errno.ts";
import type { Process } from "../kernel/process.ts";

const TYPES: Record<string, string> = {
  html: "text/html",
  htm: "text/html",
  css: "text/css",
  js: "application/javascript",
  json: "application/json",
  txt: "text/plain",
  png: "image/png",
  jpg: "image/jpeg",
  svg: "image/svg+xml",
  xml: "text/xml",
  ico: "image/x-icon",
};

export interface StaticAnswer {
  status: number;
  headers: Record<string, string>;
  body: Uint8Array;
}

/** The file that a path names below `root`; a folder is its index. */
export function staticFile(p: Process, root: string, path: string, index: readonly string[] = ["index.html"]): StaticAnswer {
  let decoded: string;
  try {
    decoded = decodeURIComponent(path.split("?")[0] as string);
  } catch {
    return { status: 400, headers: {}, body: new Uint8Array(0) };
  }
  if (decoded.split("/").includes("..")) return { status: 400, headers: {}, body: new Uint8Array(0) };
  const file = `${root.replace(/\/+$/, "")}${decoded}`;
  const s = p.fs.tryStat(file);
  if (s?.kind === "dir") {
    if (!decoded.endsWith("/")) return { status: 301, headers: { Location: `${decoded}/` }, body: new Uint8Array(0) };
    for (const i of index) if (p.fs.tryStat(file + i)?.kind === "file") return read(p, file + i);
    return { status: 403, headers: {}, body: new Uint8Array(0) };
  }
  return s === undefined ? { status: 404, headers: {}, body: new Uint8Array(0) } : read(p, file);
}

function read(p: Process, file: string): StaticAnswer {
  try {
    const s = p.fs.stat(file);
    return {
      status: 200,
      headers: {
        "Content-Type": TYPES[file.split(".").at(-1) as string] ?? "application/octet-stream",
        "Last-Modified": new Date(s.mtimeMs).toUTCString(),
        "Accept-Ranges": "bytes",
      },
      body: p.fs.readFile(file),
    };
  } catch (e) {
    if (e instanceof SysError) return { status: 403, headers: {}, body: new Uint8Array(0) };
    throw e;
  }
}

/** One line of the common log format on standard output. */
export function accessLog(p: Process, req: http.IncomingMessage, status: number, bytes: number, combined: boolean): void {
  const when = strftime("%d/%b/%Y:%H:%M:%S %z", p.clock.nowMs());
  const line = `${req.socket.remoteAddress ?? "-"} - - [${when}] "${req.method} ${req.url} HTTP/${req.httpVersion}" ${status} ${bytes === 0 ? "-" : bytes}${combined ? ` "${req.headers.referer ?? "-"}" "${req.headers["user-agent"] ?? "-"}" "-"` : ""}\n`;
  void p.print(line);
}
