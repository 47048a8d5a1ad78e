// agnhost's servers of a few lines: serve-hostname, porter, liveness, and the page server test-webserver's siblings with one handler.
import type { Process } from "../../kernel/process.ts";
import { checkArgs, fatal, goJson, log, parseFlags, sysText } from "./go.ts";
import { notFound, serve, serveMux } from "./http-server.ts";
import { LOCALHOST_CERT, LOCALHOST_KEY } from "./localhost-cert.ts";

const forEver = (p: Process) => p.block(() => () => undefined);

/** serve-hostname waits this long for its pod to be deleted after SIGTERM. */
const DELETION_WAIT_MS = 60_000;

export async function serveHostname(p: Process, argv: readonly string[]): Promise<number> {
  const { flags, args } = parseFlags(argv, {
    port: { kind: "int", default: 9376 },
    http: { kind: "bool", default: true },
    tcp: { kind: "bool", default: false },
    udp: { kind: "bool", default: false },
    close: { kind: "bool", default: false },
  });
  checkArgs(args, 0, 0);
  const port = flags["port"] as number;
  if (flags["http"] && (flags["tcp"] || flags["udp"])) fatal(p, "Can't server TCP/UDP mode and HTTP mode at the same time");
  p.onSignal(15, () => {
    log(p, "Shutting down after receiving signal: terminated.");
    log(p, "Awaiting pod deletion.");
    p.clock.after(DELETION_WAIT_MS, () => p.terminate({ code: 0, signal: 0 }), { unref: true });
  });
  if (flags["tcp"])
    p.net.listen(p, { port }, (s) => {
      log(p, `TCP request from ${s.remoteAddress}:${s.remotePort}`);
      s.on("error", () => s.destroy());
      // Closed without reading: a peer that sent something sees a reset, as with the real one.
      s.write(p.hostname, () => s.destroy());
    });
  if (flags["udp"]) {
    const u = p.net.udp(p, { port });
    u.onMessage((_, from) => {
      log(p, `UDP request from ${from.address}:${from.port}`);
      u.send(Buffer.from(p.hostname), from.port, from.address);
    });
  }
  if (flags["http"])
    try {
      serve(p, port, (w, r) => {
        log(p, `HTTP request from ${r.remoteAddr}`);
        if (flags["close"]) w.setHeader("connection", "close");
        w.write(p.hostname);
      });
    } catch (e) {
      fatal(p, `listen tcp :${port}: bind: ${sysText(e)}`);
    }
  log(p, `Serving on port ${port}.`);
  await forEver(p);
  return 0;
}

/** One server for each SERVE_PORT_n and SERVE_TLS_PORT_n of the environment. */
export async function porter(p: Process, argv: readonly string[]): Promise<number> {
  const { flags } = parseFlags(argv, { "json-response": { kind: "bool", default: false } });
  for (const [name, body] of p.env) {
    const m = /^SERVE_(TLS_)?PORT_(.*)$/.exec(name);
    if (!m) continue;
    const port = m[2] as string;
    if (!/^\d+$/.test(port)) {
      log(p, `server on port "${port}" failed: listen tcp: lookup tcp/${port}: unknown port`);
      continue;
    }
    const read = (variable: string, standard: string, path: string) =>
      p.env.has(variable) ? p.fs.readText(p.env.get(variable) as string) : p.fs.exists(path) ? p.fs.readText(path) : standard;
    const tls = m[1]
      ? { cert: read("CERT_FILE", LOCALHOST_CERT, "/localhost.crt"), key: read("KEY_FILE", LOCALHOST_KEY, "/localhost.key") }
      : undefined;
    try {
      serve(
        p,
        Number(port),
        (w, r) => {
          if (!flags["json-response"]) return w.write(body);
          w.setHeader("content-type", "application/json");
          w.write(goJson({ Method: r.method, Body: body }));
        },
        tls,
      );
    } catch (e) {
      log(p, `server on port "${port}" failed: listen tcp :${port}: bind: ${sysText(e)}`);
    }
  }
  await forEver(p);
  return 0;
}

const ALIVE_SECONDS = 10;

export async function liveness(p: Process, argv: readonly string[]): Promise<number> {
  checkArgs(parseFlags(argv, {}).args, 0, 0);
  const startedMs = p.clock.nowMs();
  const seconds = () => (p.clock.nowMs() - startedMs) / 1000;
  serve(
    p,
    8080,
    serveMux({
      "/started": (w) => w.write(`${seconds().toFixed(9)}s`),
      "/healthz": (w) => {
        if (seconds() <= ALIVE_SECONDS) return w.write("ok");
        w.writeHeader(500);
        w.write(`error: ${seconds().toFixed(9)}`);
      },
      "/redirect": (w, r) => {
        // An absent location leads back to the root.
        w.redirect(r, r.query("loc") || "/", 302);
      },
      "/": (w) => notFound(w),
    }),
  );
  await forEver(p);
  return 0;
}

/** Reads a byte of each connection, then resets it. */
export async function tcpReset(p: Process, argv: readonly string[]): Promise<number> {
  const { flags, args } = parseFlags(argv, { port: { kind: "int", default: 8080 } });
  checkArgs(args, 0, 0);
  const port = flags["port"] as number;
  try {
    p.net.listen(p, { port, allowHalfOpen: true }, (s) => {
      s.on("error", () => s.destroy());
      const reset = () => {
        const from = `${s.remoteAddress}:${s.remotePort}`;
        // With an error the connection is aborted instead of closed, as closing with unread bytes does on Linux.
        if ("resetAndDestroy" in s) (s as unknown as { resetAndDestroy(): void }).resetAndDestroy();
        else s.destroy();
        log(p, `TCP request from ${from}`);
      };
      s.once("readable", reset);
      s.once("end", reset);
    });
  } catch (e) {
    fatal(p, `Error from net.Listen(): listen tcp :${port}: bind: ${sysText(e)}`);
  }
  p.onSignal(15, () => {
    log(p, "Shutting down after receiving signal: terminated.");
    log(p, "Awaiting pod deletion.");
    p.terminate({ code: 0, signal: 0 });
  });
  log(p, `Serving on port ${port}.`);
  await forEver(p);
  return 0;
}

/** Anything on port 8000 gets one sentence. */
export async function fakeGitserver(p: Process, argv: readonly string[]): Promise<number> {
  checkArgs(parseFlags(argv, {}).args, 0, 0);
  serve(p, 8000, (w) => w.write("I am a fake git server"));
  await forEver(p);
  return 0;
}

/** Takes audit.k8s.io/v1 EventLists on port 8080 and prints each event as a line of JSON. */
export async function auditProxy(p: Process, argv: readonly string[]): Promise<number> {
  checkArgs(parseFlags(argv, {}).args, 0, 0);
  const events = (body: Uint8Array): object[] | undefined => {
    try {
      const list = JSON.parse(Buffer.from(body).toString("utf8")) as { kind?: string; apiVersion?: string; items?: object[] };
      return list.kind === "EventList" && list.apiVersion === "audit.k8s.io/v1" ? (list.items ?? []) : undefined;
    } catch {
      return undefined;
    }
  };
  serve(p, 8080, (w, r) => {
    const items = events(r.body);
    if (items === undefined) {
      log(p, `failed decoding buf: ${goBytes(r.body)}, apiVersion: audit.k8s.io/v1`);
      w.writeHeader(500);
      return;
    }
    for (const item of items) void p.print(`${goJson({ kind: "Event", apiVersion: "audit.k8s.io/v1", ...item })}\n`);
  });
  await forEver(p);
  return 0;
}

/** Go's %b of bytes. */
const goBytes = (b: Uint8Array) => `[${[...b].map((x) => x.toString(2)).join(" ")}]`;
