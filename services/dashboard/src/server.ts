// The page's HTTP server: three files, and two streams of server-sent events. Loopback by default and without a password, so it
// answers only to names of the loopback (a page of another origin cannot reach it by rebinding a name).
// Invariants: every stream ends when its reader goes; a slow reader is dropped, not buffered for ever.
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Clock, type Logger, PodwireError, reasonOf } from "@podwire/base";
import type { LiveCluster } from "./live.ts";
import { TooManyTracesError, type TraceDesk, traceRequest } from "./traces.ts";

const FILES: Record<string, { file: string; type: string }> = {
  "/": { file: "index.html", type: "text/html; charset=utf-8" },
  "/page.css": { file: "page.css", type: "text/css; charset=utf-8" },
  "/page.js": { file: "page.js", type: "text/javascript; charset=utf-8" },
};

const MAX_STREAMS = 64;
/** A reader this far behind is let go; its browser connects again. */
const MAX_BEHIND_BYTES = 1024 * 1024;
const KEEP_ALIVE_MS = 15_000;

export interface DashboardServer {
  url: string;
  counters(): Record<string, number>;
  close(): Promise<void>;
}

export async function serveDashboard(o: {
  live: LiveCluster;
  traces: TraceDesk;
  clock: Clock;
  log: Logger;
  host: string;
  port: number;
}): Promise<DashboardServer> {
  const counters = { requests: 0, streams: 0, refused: 0, dropped: 0 };
  const server = createServer((req, res) => {
    counters.requests++;
    try {
      route(req, res);
    } catch (e) {
      o.log.error({ reason: reasonOf(e) }, "a request failed");
      if (!res.headersSent) answer(res, 500, "the dashboard failed; its log says why");
      else res.destroy();
    }
  });

  const route = (req: IncomingMessage, res: ServerResponse) => {
    if (!isOwnName(req.headers.host ?? "", o.host)) {
      counters.refused++;
      return answer(res, 421, "this server answers to localhost only");
    }
    const url = new URL(req.url ?? "/", "http://dashboard");
    if (req.method !== "GET") return answer(res, 405, "GET only");
    const file = FILES[url.pathname];
    if (file) {
      res.writeHead(200, { "content-type": file.type, "cache-control": "no-cache", "content-security-policy": "default-src 'self'" });
      return void res.end(readFileSync(new URL(`page/${file.file}`, import.meta.url)));
    }
    if (url.pathname === "/healthz") return answer(res, 200, "ok");
    if (url.pathname === "/api/cluster") return answer(res, 200, JSON.stringify(o.live.view()), "application/json");
    if (url.pathname === "/api/live") return liveStream(res);
    if (url.pathname === "/api/trace") return traceStream(url, res);
    return answer(res, 404, "no such page");
  };

  const liveStream = (res: ServerResponse) => {
    const send = events(res);
    if (!send) return;
    res.on(
      "close",
      o.live.listen((e) => send(e.type, e.data)),
    );
  };

  const traceStream = (url: URL, res: ServerResponse) => {
    const raw: Record<string, unknown> = Object.fromEntries(url.searchParams);
    if (typeof raw["dport"] === "string") raw["dport"] = Number(raw["dport"]);
    const parsed = traceRequest.safeParse(raw);
    if (!parsed.success) return answer(res, 400, parsed.error.issues.map((i) => `${i.path.join(".")} ${i.message}`.trim()).join("; "));
    const send = events(res);
    if (!send) return;
    try {
      const trace = o.traces.start(
        parsed.data,
        (p) => send("point", p),
        () => res.end(),
      );
      send("armed", { traceId: trace.traceId });
      res.on("close", () => trace.stop());
    } catch (e) {
      if (!(e instanceof TooManyTracesError)) throw e;
      send("failed", { message: `${e.message}; ${e.next}` });
      res.end();
    }
  };

  const events = (res: ServerResponse) => {
    if (counters.streams >= MAX_STREAMS) {
      answer(res, 503, `${MAX_STREAMS} pages are open already; close one`);
      return undefined;
    }
    counters.streams++;
    res.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    const beat = o.clock.every(KEEP_ALIVE_MS, () => res.write(":\n\n"), { unref: true });
    res.on("close", () => {
      counters.streams--;
      beat.cancel();
    });
    return (type: string, data: unknown) => {
      if (res.writableLength > MAX_BEHIND_BYTES) {
        counters.dropped++;
        res.destroy();
        return;
      }
      res.write(`event: ${type}\ndata: ${JSON.stringify(data)}\n\n`);
    };
  };

  await new Promise<void>((resolve, reject) => {
    server.once("error", (e) =>
      reject(new PodwireError(`the dashboard cannot listen on ${o.host}:${o.port}`, { cause: e, next: "choose another --port, or 0" })),
    );
    server.listen(o.port, o.host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${o.host}:${port}/`,
    counters: () => ({ ...counters }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function isOwnName(host: string, listening: string): boolean {
  const name = host.replace(/:\d+$/, "");
  return ["localhost", "127.0.0.1", "[::1]", listening].includes(name) || !/^(127\.|localhost|::1)/.test(listening);
}

function answer(res: ServerResponse, status: number, text: string, type = "text/plain; charset=utf-8"): void {
  res.writeHead(status, { "content-type": type, "cache-control": "no-store" });
  res.end(text);
}
