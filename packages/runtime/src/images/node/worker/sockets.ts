// node:net, http and https of a pod: the library's own servers and clients, over sockets that are the process's. Nothing here opens
// a socket of the host: listening and connecting are replaced where the library does them.
import http from "node:http";
import https from "node:https";
import net from "node:net";
import { Duplex, Readable } from "node:stream";
import tls from "node:tls";
import type { Endpoint } from "../protocol.ts";
import { call, hold, nodeError, on, send } from "./channel.ts";

const streams = new Map<number, PodSocket>();
const servers = new Map<number, net.Server>();

interface Opened {
  stream: number;
  local: Endpoint;
  remote: Endpoint;
}

interface ConnectOptions {
  host?: string;
  port?: number | string;
  path?: string;
  allowHalfOpen?: boolean;
}

export class PodSocket extends Duplex {
  #stream = 0;
  #held = false;
  #written: (() => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #timeoutMs = 0;
  connecting = false;
  bytesRead = 0;
  bytesWritten = 0;
  localAddress: string | undefined;
  localPort: number | undefined;
  remoteAddress: string | undefined;
  remotePort: number | undefined;
  readonly remoteFamily = "IPv4";
  constructor(o: { allowHalfOpen?: boolean } = {}) {
    super({ allowHalfOpen: o.allowHalfOpen ?? false });
  }

  adopt(o: Opened): this {
    this.#stream = o.stream;
    streams.set(o.stream, this);
    this.localAddress = o.local.address;
    this.localPort = o.local.port;
    this.remoteAddress = o.remote.address;
    this.remotePort = o.remote.port;
    this.connecting = false;
    if (!this.#held) hold(1);
    this.#held = true;
    return this;
  }

  connect(...args: unknown[]): this {
    const [o, done] = connectArguments(args);
    if (done) this.once("connect", done);
    this.connecting = true;
    if (typeof o.path === "string") {
      queueMicrotask(() => this.destroy(Object.assign(new Error("Unix sockets are not built in Podwire's node"), { code: "ENOSYS" })));
      return this;
    }
    const to = { address: o.host ?? "127.0.0.1", port: Number(o.port) };
    call("connect", [to]).then(
      (opened: Opened) => {
        this.adopt(opened);
        if (this.destroyed) send({ t: "destroy", stream: this.#stream });
        this.emit("connect");
        this.emit("ready");
      },
      (e: NodeJS.ErrnoException) => {
        const text =
          e.code?.startsWith("E") && e.code !== "EAI_AGAIN" && e.code !== "ENOTFOUND"
            ? `connect ${e.code} ${to.address}:${to.port}`
            : e.message;
        this.destroy(
          Object.assign(new Error(text), { code: e.code, errno: e.errno, syscall: "connect", address: to.address, port: to.port }),
        );
      },
    );
    return this;
  }

  override _read(): void {
    if (this.#stream > 0) send({ t: "taken", stream: this.#stream });
  }
  receive(bytes: Uint8Array): void {
    this.bytesRead += bytes.length;
    this.#touch();
    if (this.push(Buffer.from(bytes))) send({ t: "taken", stream: this.#stream });
  }
  override _write(chunk: Buffer, _encoding: string, done: (e?: Error) => void): void {
    if (this.connecting) {
      this.once("connect", () => this._write(chunk, _encoding, done));
      return;
    }
    this.bytesWritten += chunk.length;
    this.#touch();
    this.#written = done;
    send({ t: "write", stream: this.#stream, bytes: Uint8Array.from(chunk) });
  }
  taken(): void {
    const done = this.#written;
    this.#written = undefined;
    done?.();
  }
  override _final(done: () => void): void {
    if (this.connecting) {
      this.once("connect", () => this._final(done));
      return;
    }
    send({ t: "end", stream: this.#stream });
    done();
  }
  override _destroy(e: Error | null, done: (e: Error | null) => void): void {
    clearTimeout(this.#timer);
    if (this.#stream > 0) {
      send({ t: "destroy", stream: this.#stream });
      streams.delete(this.#stream);
    }
    if (this.#held) hold(-1);
    this.#held = false;
    this.taken();
    done(e);
  }

  get pending(): boolean {
    return this.connecting;
  }
  get readyState(): string {
    return this.connecting ? "opening" : this.destroyed ? "closed" : "open";
  }
  address(): { address: string | undefined; port: number | undefined; family: string } {
    return { address: this.localAddress, port: this.localPort, family: "IPv4" };
  }
  #touch(): void {
    clearTimeout(this.#timer);
    if (this.#timeoutMs > 0) this.#timer = globalThis.setTimeout(() => this.emit("timeout"), this.#timeoutMs);
    this.#timer?.unref();
  }
  readonly setTimeout = (ms: number, done?: () => void): this => {
    this.#timeoutMs = ms;
    if (done) this.once("timeout", done);
    this.#touch();
    return this;
  };
  setNoDelay(): this {
    return this;
  }
  setKeepAlive(): this {
    return this;
  }
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", () => this.destroy());
  }
}

/** net.connect's ways of being called. */
function connectArguments(args: unknown[]): [ConnectOptions, (() => void) | undefined] {
  const done = args.findLast((a) => typeof a === "function") as (() => void) | undefined;
  const first = args[0];
  if (typeof first === "object" && first !== null) return [first as ConnectOptions, done];
  if (typeof first === "string" && !/^\d+$/.test(first)) return [{ path: first }, done];
  return [{ port: Number(first), ...(typeof args[1] === "string" ? { host: args[1] } : {}) }, done];
}

const connect = (...args: unknown[]): PodSocket => new PodSocket(connectArguments(args)[0]).connect(...args);

on("connection", (m) => {
  const s = new PodSocket({ allowHalfOpen: true }).adopt(m);
  const server = servers.get(m.server);
  if (server === undefined) s.destroy();
  else server.emit("connection", s);
});
on("data", (m) => streams.get(m.stream)?.receive(m.bytes));
on("written", (m) => streams.get(m.stream)?.taken());
on("end", (m) => streams.get(m.stream)?.push(null));
on("closed", (m) => {
  const s = streams.get(m.stream);
  if (s === undefined) return;
  streams.delete(m.stream);
  s.destroy(m.error ? nodeError(m.error, "read") : undefined);
});

/** What a server of the library knows of the pod's listener. */
interface Listening {
  server: number;
  address: Endpoint;
}
const listening = new WeakMap<object, Listening>();

function listen(this: net.Server, ...args: unknown[]): net.Server {
  const done = args.findLast((a) => typeof a === "function") as (() => void) | undefined;
  const o = typeof args[0] === "object" && args[0] !== null ? (args[0] as ConnectOptions) : connectArguments(args)[0];
  if (done) this.once("listening", done);
  if (typeof o.path === "string") {
    queueMicrotask(() => this.emit("error", Object.assign(new Error("Unix sockets are not built in Podwire's node"), { code: "ENOSYS" })));
    return this;
  }
  const at = {
    address: o.host === "0.0.0.0" || o.host === "::" ? "" : o.host === "localhost" ? "127.0.0.1" : (o.host ?? ""),
    port: Number(o.port ?? 0),
  };
  call("listen", [at]).then(
    (l: Listening) => {
      listening.set(this, l);
      servers.set(l.server, this);
      hold(1);
      this.emit("listening");
    },
    (e: NodeJS.ErrnoException) => {
      const where = `${at.address || "::"}:${at.port}`;
      const why = e.code === "EADDRINUSE" ? "address already in use" : e.message;
      this.emit("error", Object.assign(new Error(`listen ${e.code}: ${why} ${where}`), { ...e, syscall: "listen", port: at.port }));
    },
  );
  return this;
}

function close(this: net.Server, done?: (e?: Error) => void): net.Server {
  const l = listening.get(this);
  if (l === undefined) {
    const e = Object.assign(new Error("Server is not running."), { code: "ERR_SERVER_NOT_RUNNING" });
    if (done) queueMicrotask(() => done(e));
    return this;
  }
  listening.delete(this);
  servers.delete(l.server);
  void call("close", [l.server]);
  hold(-1);
  if (done) this.once("close", () => done());
  queueMicrotask(() => this.emit("close"));
  return this;
}

function address(this: net.Server) {
  const l = listening.get(this);
  return l === undefined ? null : { address: l.address.address || "::", family: "IPv6", port: l.address.port };
}

/** fetch over the pod's sockets: http and https, redirects, bodies of text, bytes and forms. */
async function podFetch(input: string | URL | Request, init: RequestInit = {}, hops = 0): Promise<Response> {
  const request = new Request(input, init);
  const url = new URL(request.url);
  if (url.protocol !== "http:" && url.protocol !== "https:") throw new TypeError("fetch failed");
  const body = request.body === null ? undefined : Buffer.from(await request.arrayBuffer());
  const headers: { [k: string]: string } = { accept: "*/*", "user-agent": "node", ...Object.fromEntries(request.headers) };
  if (body) headers["content-length"] = String(body.length);
  const res = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const failed = (cause: Error) =>
      reject(request.signal.aborted ? request.signal.reason : Object.assign(new TypeError("fetch failed"), { cause }));
    const req = (url.protocol === "https:" ? https : http).request(url, { method: request.method, headers, signal: request.signal });
    req.on("error", failed);
    req.on("response", resolve);
    req.end(body);
  });
  const status = res.statusCode ?? 0;
  const location = res.headers.location;
  if (location !== undefined && status >= 300 && status < 400 && request.redirect === "follow") {
    if (hops >= 20) throw new TypeError("fetch failed");
    res.resume();
    const next: RequestInit = status === 303 || request.method === "POST" ? { headers: init.headers } : { ...init };
    return podFetch(new URL(location, url), next, hops + 1);
  }
  const answered = new Headers();
  for (const [k, v] of Object.entries(res.headers)) for (const one of [v ?? []].flat()) answered.append(k, one);
  const empty = status === 204 || status === 304 || request.method === "HEAD";
  const response = new Response(empty ? null : (Readable.toWeb(res) as never), {
    status,
    statusText: res.statusMessage ?? "",
    headers: answered,
  });
  Object.defineProperty(response, "url", { value: url.href });
  return response;
}

/** node:net as programs import it. */
export const podNet = { ...net, Socket: PodSocket, Stream: PodSocket, connect, createConnection: connect };

/** Replaces what the library would do with the host's sockets. */
export function installSockets(): void {
  Object.assign(net.Server.prototype, { listen, close, address });
  Object.defineProperty(net.Server.prototype, "listening", {
    get(this: object): boolean {
      return listening.has(this);
    },
  });
  Object.assign(net.Server.prototype, {
    getConnections: (done: (e: null, n: number) => void) => done(null, streams.size),
    ref(this: net.Server) {
      return this;
    },
    unref(this: net.Server) {
      return this;
    },
  });
  http.Agent.prototype.createConnection = connect as never;
  const secure = tls.connect;
  const podTls = (...args: unknown[]) => {
    const [given, done] = connectArguments(args);
    const o = {
      ...given,
      ...(args.find((a, i) => i > 0 && typeof a === "object" && a !== null) as object | undefined),
    } as tls.ConnectionOptions;
    const servername = o.servername ?? (net.isIP(o.host ?? "") ? undefined : o.host);
    return secure(
      { ...o, socket: o.socket ?? (connect(given) as never), ...(servername === undefined ? {} : { servername }) },
      done as never,
    );
  };
  tls.connect = podTls as never;
  globalThis.fetch = podFetch as never;
  for (const name of ["WebSocket", "EventSource"]) Reflect.deleteProperty(globalThis, name);
}
