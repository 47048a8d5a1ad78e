// HTTPS: HTTP/2 and HTTP/1.1 on one port by ALPN. TLS ends here once; two plain servers speak the protocols over the decrypted sockets,
// which may be the host's or those of the apiserver's NIC on the wire. Invariant: at most MAX_BODY_BYTES of a body are kept.
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import http2, { type ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import tls, { type TLSSocket } from "node:tls";
import { gzip } from "node:zlib";
import { statusErrors } from "@podwire/api";
import type { Clock, Logger, Timer } from "@podwire/base";
import { ANONYMOUS, type TokenAuthenticator } from "../authentication/authenticator.ts";
import { certificateHolder, FRONT_PROXY, remoteUser } from "../authentication/request-header.ts";
import { TokenRefusedError } from "../authentication/service-account-tokens.ts";
import type { ApiRequest, ApiResponse, ResponseSink, User } from "../call.ts";
import { MAX_BODY_BYTES } from "../handler.ts";
import { bytesOf, errorResponse } from "../response.ts";
import { HttpRequest, NO_BODY, type Out } from "./exchange.ts";
import { Http1Connection, type Http1Options } from "./http1.ts";

export interface HttpsOptions {
  cert: string;
  key: string;
  /** Authorities whose client certificates count. */
  clientCa: string;
  /** Authority of front proxies: who shows its certificate says in X-Remote-* headers for whom it asks. */
  requestHeaderCa: string;
  handle: (request: ApiRequest, user: User) => Promise<ApiResponse>;
  /** The answer where it is there at once. */
  handleNow: (request: ApiRequest, user: User) => ApiResponse | undefined;
  tokens: TokenAuthenticator;
  anonymous: boolean;
  /** Hears of requests whose credentials were refused. */
  refused?: (request: ApiRequest, response: ApiResponse) => void;
  /** Serves WebSocket and SPDY upgrades of HTTP/1.1 connections. */
  upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer, authenticate: () => Promise<User>) => void;
  clock: Clock;
  log: Logger;
}

/** Bodies from this size on are compressed for clients that take gzip. */
const GZIP_FROM_BYTES = 128 * 1024;
const GZIP_LEVEL = 1;
const MAX_STREAMS_PER_CONNECTION = 1_000;
const KEEP_ALIVE_MS = 180_000;
/** Connections are looked at this often for having been silent too long. */
const SWEEP_MS = 10_000;
const SECOND_MS = 1_000;

export class HttpsTransport {
  readonly #o: HttpsOptions;
  readonly #tls: tls.Server;
  readonly #http1: http.Server;
  readonly #http2: http2.Http2Server;
  readonly #sockets = new Set<TLSSocket>();
  readonly #plain = new Set<Http1Connection>();
  readonly #plainOptions: Http1Options;
  #sweeper: Timer | undefined;
  #date = { second: 0, text: "" };
  readonly #users = new WeakMap<TLSSocket, User | typeof FRONT_PROXY | null>();

  constructor(o: HttpsOptions) {
    this.#o = o;
    this.#http1 = http.createServer(
      { keepAliveTimeout: KEEP_ALIVE_MS, requestTimeout: 0, headersTimeout: 60_000, maxHeaderSize: 64 * 1024 },
      (req, res) => this.#onHttp1(req, res),
    );
    this.#http1.on("clientError", (e: NodeJS.ErrnoException, socket: Duplex) => refuseBytes(e, socket));
    this.#http1.on("upgrade", (req: IncomingMessage, socket: Duplex, head: Buffer) =>
      o.upgrade(req, socket, head, async () => this.#authenticate(socket as TLSSocket, req.headers)),
    );
    this.#http2 = http2.createServer({ settings: { maxConcurrentStreams: MAX_STREAMS_PER_CONNECTION, initialWindowSize: 1 << 20 } });
    this.#http2.on("stream", (stream, headers) => this.#onHttp2(stream as ServerHttp2Stream, headers));
    this.#http2.on("sessionError", () => {});
    this.#tls = tls.createServer(
      {
        cert: o.cert,
        key: o.key,
        ca: [o.clientCa, o.requestHeaderCa],
        requestCert: true,
        rejectUnauthorized: false,
        ALPNProtocols: ["h2", "http/1.1"],
        minVersion: "TLSv1.2",
      },
      (socket) => this.#onSecure(socket),
    );
    this.#tls.on("tlsClientError", () => {});
    this.#plainOptions = {
      respond: (request, body, socket, out) => this.#respond(request, body, socket, out),
      handOver: (socket) => void this.#http1.emit("connection", socket),
      date: () => this.#now(),
      idleSweeps: KEEP_ALIVE_MS / SWEEP_MS,
      idleSeconds: KEEP_ALIVE_MS / SECOND_MS,
    };
  }

  /** Resolves with the port. */
  listen(port: number, host: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#tls.once("error", reject);
      this.#tls.listen(port, host, () => {
        this.#tls.off("error", reject);
        this.#sweeper = this.#o.clock.every(SWEEP_MS, () => this.#sweep(), { unref: true });
        this.#tls.on("error", (err) => this.#o.log.error({ err }, "the listening socket failed"));
        resolve((this.#tls.address() as { port: number }).port);
      });
    });
  }

  /** Serves one more accepted connection, from another network. */
  accept(socket: Duplex): void {
    this.#tls.emit("connection", socket);
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#sweeper?.cancel();
      this.#tls.close(() => resolve());
      for (const s of this.#sockets) s.destroy();
    });
  }

  #onSecure(socket: TLSSocket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.setNoDelay?.(true);
    if (socket.alpnProtocol === "h2") this.#http2.emit("connection", socket);
    else {
      const connection = new Http1Connection(socket, this.#plainOptions);
      this.#plain.add(connection);
      socket.on("close", () => this.#plain.delete(connection));
    }
  }

  #sweep(): void {
    for (const c of this.#plain) c.sweep();
  }

  /** The Date field, which changes once a second. */
  #now(): string {
    const second = Math.floor(this.#o.clock.nowMs() / SECOND_MS);
    if (second !== this.#date.second) this.#date = { second, text: new Date(second * SECOND_MS).toUTCString() };
    return this.#date.text;
  }

  /** Who asks; most are known at once. Throws 401. */
  #authenticate(socket: TLSSocket, headers: ApiRequest["headers"]): User | Promise<User> {
    const byCertificate = this.#certificate(socket);
    if (byCertificate === FRONT_PROXY) {
      const user = remoteUser(headers);
      if (user) return user;
    }
    const authorization = one(headers["authorization"]);
    if (authorization !== undefined) {
      const m = /^bearer +(\S+)/i.exec(authorization);
      if (m) return this.#token(m[1] as string);
    }
    if (byCertificate && byCertificate !== FRONT_PROXY) return byCertificate;
    if (this.#o.anonymous) return ANONYMOUS;
    throw statusErrors.unauthorized();
  }

  #token(token: string): User | Promise<User> {
    const refused = (e: unknown): never => {
      throw e instanceof TokenRefusedError ? statusErrors.unauthorized() : e;
    };
    const known = (user: User | undefined): User => user ?? refused(new TokenRefusedError("nobody's token"));
    try {
      const user = this.#o.tokens.authenticate(token);
      return user instanceof Promise ? user.then(known, refused) : known(user);
    } catch (e) {
      return refused(e);
    }
  }

  #certificate(socket: TLSSocket): User | typeof FRONT_PROXY | undefined {
    let user = this.#users.get(socket);
    if (user === undefined) {
      const raw = socket.authorized ? socket.getPeerCertificate().raw : undefined;
      user = (raw && certificateHolder(raw, this.#o.requestHeaderCa)) ?? null;
      this.#users.set(socket, user);
    }
    return user ?? undefined;
  }

  #onHttp1(req: IncomingMessage, res: ServerResponse): void {
    const request = new HttpRequest(req.method ?? "GET", req.url ?? "/", req.headers, req.socket.remoteAddress ?? "");
    res.on("close", () => request.over());
    collect(req, (body) => {
      this.#respond(request, body, req.socket as TLSSocket, {
        send: (r, bytes) => {
          let length = 0;
          for (const b of bytes) length += b.length;
          r.headers["content-length"] = String(length);
          res.writeHead(r.status, r.headers);
          if (req.method === "HEAD") {
            res.end();
            return;
          }
          for (let i = 0; i < bytes.length - 1; i++) res.write(bytes[i] as Uint8Array);
          res.end(bytes[bytes.length - 1]);
        },
        stream: (r) => {
          res.writeHead(r.status, r.headers);
          res.flushHeaders();
          return sinkOf(res, () => res.writableLength);
        },
      });
    });
  }

  #onHttp2(stream: ServerHttp2Stream, headers: http2.IncomingHttpHeaders): void {
    stream.on("error", () => {});
    const session = stream.session as http2.ServerHttp2Session;
    const socket = session.socket as unknown as TLSSocket;
    const request = new HttpRequest(
      String(headers[":method"]),
      String(headers[":path"]),
      headers as ApiRequest["headers"],
      socket.remoteAddress ?? "",
    );
    stream.on("close", () => request.over());
    const respond = (body: Uint8Array | "too large") =>
      this.#respond(request, body, socketOf(session), {
        send: (r, bytes) => {
          if (stream.destroyed || stream.closed) return;
          const head: http2.OutgoingHttpHeaders = { ":status": r.status, ...r.headers };
          let length = 0;
          for (const b of bytes) length += b.length;
          if (length === 0 || request.method === "HEAD") {
            stream.respond(head, { endStream: true });
            return;
          }
          head["content-length"] = length;
          stream.respond(head);
          for (let i = 0; i < bytes.length - 1; i++) stream.write(bytes[i] as Uint8Array);
          stream.end(bytes[bytes.length - 1]);
        },
        stream: (r) => {
          if (!stream.destroyed) stream.respond({ ":status": r.status, ...r.headers });
          return sinkOf(stream, () => stream.writableLength);
        },
      });
    if (stream.endAfterHeaders) respond(NO_BODY);
    else collect(stream, respond);
  }

  #respond(request: ApiRequest, body: Uint8Array | "too large", socket: TLSSocket, out: Out): void {
    let who: User | Promise<User>;
    try {
      who = this.#authenticate(socket, request.headers);
    } catch (e) {
      who = Promise.reject(e);
    }
    const now = who instanceof Promise || body.length > 0 ? undefined : this.#o.handleNow(request, who);
    if (now) this.#send(request, now, out);
    else void this.#handled(request, body, who).then((r) => this.#send(request, r, out));
  }

  /** Never rejects. */
  async #handled(request: ApiRequest, body: Uint8Array | "too large", who: User | Promise<User>): Promise<ApiResponse> {
    let known = false;
    try {
      const user = who instanceof Promise ? await who : who;
      known = true;
      if (body === "too large") throw statusErrors.requestEntityTooLarge(`limit is ${MAX_BODY_BYTES}`);
      if (body.length > 0) request.body = body;
      return await this.#o.handle(request, user);
    } catch (e) {
      const r = errorResponse(e);
      if (!known) this.#o.refused?.(request, r);
      return r;
    }
  }

  #send(request: ApiRequest, answer: ApiResponse, out: Out): void {
    let r = answer;
    try {
      if (r.connection || r.portForward) r = errorResponse(statusErrors.badRequest("Upgrade request required"));
      if (r.stream) {
        r.stream(out.stream(r));
        return;
      }
      const { body } = r;
      const pieces = Array.isArray(body) ? (body as readonly Uint8Array[]) : [bytesOf(body)];
      if (takesGzip(request)) {
        const whole = bytesOf(body);
        if (whole.length >= GZIP_FROM_BYTES) {
          gzip(whole, { level: GZIP_LEVEL }, (err, zipped) => {
            if (err) return out.send(r, [whole]);
            out.send({ ...r, headers: { ...r.headers, "content-encoding": "gzip", vary: "Accept-Encoding" } }, [zipped]);
          });
          return;
        }
      }
      out.send(r, pieces);
    } catch (err) {
      this.#o.log.warn({ err, path: request.path }, "an answer could not be sent");
    }
  }
}

/** The TLS socket below a session; the session's own `socket` is a proxy that hides some methods. */
function socketOf(session: http2.ServerHttp2Session): TLSSocket {
  return session.socket as unknown as TLSSocket;
}

function takesGzip(request: ApiRequest): boolean {
  return request.method === "GET" && /\bgzip\b/.test(one(request.headers["accept-encoding"]) ?? "");
}

function one(v: string | string[] | undefined): string | undefined {
  return Array.isArray(v) ? v[0] : v;
}

/** Reads a body to its end, or says that it is too large. */
function collect(from: IncomingMessage | ServerHttp2Stream, done: (body: Uint8Array | "too large") => void): void {
  const chunks: Buffer[] = [];
  let size = 0;
  let over = false;
  from.on("data", (c: Buffer) => {
    size += c.length;
    if (size <= MAX_BODY_BYTES) chunks.push(c);
    else if (!over) {
      over = true;
      chunks.length = 0;
      done("too large");
    }
  });
  from.on("end", () => {
    if (!over) done(chunks.length === 1 ? (chunks[0] as Buffer) : chunks.length === 0 ? NO_BODY : Buffer.concat(chunks));
  });
  from.on("error", () => {});
}

/** What the HTTP parser does not take: methods it does not know are not allowed, anything else is a bad request. */
function refuseBytes(e: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || e.code === "ECONNRESET") return void socket.destroy();
  const unknownMethod = e.code === "HPE_INVALID_METHOD";
  const body = unknownMethod ? String(errorResponse(statusErrors.methodNotAllowed()).body) : "400 Bad Request";
  const type = unknownMethod ? "application/json" : "text/plain; charset=utf-8";
  const line = unknownMethod ? "405 Method Not Allowed" : "400 Bad Request";
  socket.end(`HTTP/1.1 ${line}\r\nContent-Type: ${type}\r\nConnection: close\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
}

function sinkOf(out: ServerResponse | ServerHttp2Stream, backlog: () => number): ResponseSink {
  let closed = out.destroyed;
  out.on("close", () => {
    closed = true;
  });
  out.on("error", () => {
    closed = true;
  });
  return {
    write: (bytes) => !closed && out.write(bytes),
    end: () => {
      if (closed || out.writableEnded) return;
      out.end();
    },
    get closed() {
      return closed || out.writableEnded;
    },
    get backlog() {
      return backlog();
    },
    onClose: (cb) => {
      if (closed) cb();
      else out.on("close", cb);
    },
    onDrain: (cb) => void out.once("drain", cb),
  };
}
