// An apiserver in this process over a store in memory, for tests: requests go straight to its handler, as a user of system:masters unless
// another is given. What it cannot show is the transports' work; those have tests with real sockets.
import { mkdtempSync, rmSync } from "node:fs";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLogger, systemClock, systemRandom, z } from "@podwire/base";
import { openMemoryStore, type Store } from "@podwire/store";
import { ApiServer, type ApiServerOptions } from "./apiserver.ts";
import type { ResponseSink, User } from "./call.ts";
import { FLAGS } from "./config.ts";
import { bytesOf } from "./response.ts";
import { openPki, type Pki } from "./transport/pki.ts";

export interface Answer {
  status: number;
  headers: Record<string, string | string[]>;
  body: any;
}

export interface InProcess {
  server: ApiServer;
  store: Store;
  request(method: string, path: string, body?: unknown, o?: { user?: User; headers?: Record<string, string> }): Promise<Answer>;
  /** Events of a watch as they come; `end` closes it. */
  watch(path: string): Promise<{ events: any[]; readonly ended: boolean; until(n: number): Promise<any[]>; end(): void }>;
  stop(): Promise<void>;
}

const ADMIN: User = { name: "admin", groups: ["system:masters", "system:authenticated"] };

export async function startInProcess(o: Partial<ApiServerOptions> & { flags?: Record<string, unknown> } = {}): Promise<InProcess> {
  const { flags, ...options } = o;
  const base = { clock: systemClock, random: systemRandom(), log: silentLogger };
  const store = options.store ?? openMemoryStore({ clock: base.clock, log: base.log });
  const config = z.object(FLAGS).parse({ "secure-port": 0, ...flags });
  const server = new ApiServer({ ...base, ...options, store, config });
  await server.start();
  return {
    server,
    store,
    async request(method, path, body, r = {}) {
      const request = {
        method,
        path,
        headers: {
          "content-type": method === "PATCH" ? "application/merge-patch+json" : "application/json",
          "user-agent": "test/1",
          ...r.headers,
        },
        sourceAddress: "::ffff:10.1.2.3",
        ...(body === undefined ? {} : { body: new TextEncoder().encode(typeof body === "string" ? body : JSON.stringify(body)) }),
      };
      const answer = await server.handler.handle(request, r.user ?? ADMIN);
      const text = answer.stream ? await collected(answer.stream) : Buffer.from(bytesOf(answer.body)).toString("utf8");
      return { status: answer.status, headers: answer.headers, body: parsed(text) };
    },
    async watch(path) {
      const answer = await server.handler.handle({ method: "GET", path, headers: {} }, ADMIN);
      if (!answer.stream) throw new Error(`not a watch: ${answer.status} ${String(answer.body)}`);
      const events: any[] = [];
      const waiting = new Set<() => void>();
      const sink = sinkTo((text) => {
        for (const line of text.split("\n")) if (line !== "") events.push(JSON.parse(line));
        for (const w of waiting) w();
      });
      answer.stream(sink);
      return {
        events,
        get ended() {
          return sink.closed;
        },
        until: (n) =>
          new Promise((resolve) => {
            const look = () => {
              if (events.length < n) return;
              waiting.delete(look);
              resolve(events);
            };
            waiting.add(look);
            look();
          }),
        end: () => sink.close(),
      };
    },
    stop: () => server.stop(),
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function collected(stream: (sink: ResponseSink) => void): Promise<string> {
  return new Promise((resolve) => {
    let out = "";
    const sink = sinkTo((text) => {
      out += text;
    });
    sink.onClose(() => resolve(out));
    stream(sink);
  });
}

function sinkTo(write: (text: string) => void): ResponseSink & { close(): void } {
  const decoder = new TextDecoder();
  const listeners: (() => void)[] = [];
  let closed = false;
  const close = () => {
    if (closed) return;
    closed = true;
    for (const l of listeners) l();
  };
  return {
    write(bytes) {
      if (!closed) write(decoder.decode(bytes, { stream: true }));
      return true;
    },
    end: close,
    close,
    get closed() {
      return closed;
    },
    backlog: 0,
    onClose: (cb) => void listeners.push(cb),
    onDrain: () => {},
  };
}

export interface HttpsServer {
  port: number;
  url: string;
  /** Base64 of the PEM of its authority. */
  caBundle: string;
  close(): Promise<void>;
}

/** Certificates in a folder of their own. */
export async function testPki(names: readonly string[]): Promise<Pki & { dir: string; remove(): void }> {
  const dir = mkdtempSync(join(tmpdir(), "podwire-test-pki-"));
  const pki = await openPki(dir, systemClock, ["localhost", "127.0.0.1", ...names]);
  return { ...pki, dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}

interface HttpsAnswer {
  status?: number;
  body: unknown;
}

/** A real HTTPS server on a free port of 127.0.0.1. */
export async function startHttps(
  names: readonly string[],
  options: https.ServerOptions,
  answer: (request: {
    method: string;
    path: string;
    headers: Record<string, any>;
    body: any;
    socket: any;
  }) => HttpsAnswer | Promise<HttpsAnswer>,
): Promise<HttpsServer> {
  const pki = await testPki(names);
  const server = https.createServer({ cert: pki.servingCertPem, key: pki.servingKeyPem, ...options }, (req, res) => {
    const chunks: Buffer[] = [];
    req.on("data", (d: Buffer) => chunks.push(d));
    req.on("end", async () => {
      const body = parsed(Buffer.concat(chunks).toString("utf8"));
      const a = await answer({ method: req.method ?? "", path: req.url ?? "", headers: req.headers, body, socket: req.socket });
      res.writeHead(a.status ?? 200, { "content-type": "application/json" });
      res.end(typeof a.body === "string" ? a.body : JSON.stringify(a.body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `https://127.0.0.1:${port}`,
    caBundle: Buffer.from(pki.caPem).toString("base64"),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
        pki.remove();
      }),
  };
}
