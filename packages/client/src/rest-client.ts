// The API over HTTPS, for tools outside the bus and for pods: one HTTP/2 connection with as many streams as needed,
// authenticated by a client certificate or a bearer token. A broken connection is opened again by the next request.
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import type { SecureContextOptions } from "node:tls";
import type { Clock } from "@podwire/base";
import { type ApiClient, apiClient } from "./api-client.ts";
import type { ApiRequest, ApiTransport } from "./api-transport.ts";
import { ApiProtocolError, ApiUnreachableError } from "./errors.ts";
import { withDeadline } from "./request-deadline.ts";

export interface RestOptions {
  /** "https://127.0.0.1:6443" */
  server: string;
  /** PEM of the CA that signed the server. */
  ca?: string | Buffer;
  cert?: string | Buffer;
  key?: string | Buffer;
  /** A bearer token; a function is asked before every request, as tokens of pods are replaced now and then. */
  token?: string | (() => string);
  clock: Clock;
  fieldManager?: string;
  userAgent?: string;
}

/** Bytes of a whole answer; a larger one fails with ApiProtocolError. Streams are not limited. */
const MAX_RESPONSE_BYTES = 512 * 1024 * 1024;
const STREAM_WINDOW_BYTES = 4 * 1024 * 1024;

/** The verbs of the API over HTTPS (HTTP/2). */
export function restClient(options: RestOptions): ApiClient {
  return apiClient(restTransport(options), options);
}

/** One connection for all requests and streams, opened by the first and again after it broke. `close` ends it. */
export function restTransport(options: RestOptions): ApiTransport {
  let session: ClientHttp2Session | undefined;
  const tls: SecureContextOptions = {
    ...(options.ca ? { ca: options.ca } : {}),
    ...(options.cert ? { cert: options.cert } : {}),
    ...(options.key ? { key: options.key } : {}),
  };

  function current(): ClientHttp2Session {
    if (session && !session.closed && !session.destroyed) return session;
    const s = connect(options.server, { ...tls, settings: { initialWindowSize: STREAM_WINDOW_BYTES } });
    s.setMaxListeners(0); // One a request.
    s.once("connect", () => s.setLocalWindowSize(STREAM_WINDOW_BYTES * 4));
    // Errors reach the streams of the session; without a listener here Node would end the process.
    s.on("error", () => s.destroy());
    s.on("goaway", () => {
      if (session === s) session = undefined;
    });
    s.on("close", () => {
      if (session === s) session = undefined;
    });
    session = s;
    return s;
  }

  function start(
    r: ApiRequest,
    signal?: AbortSignal,
    /** Called at once, before any of the body can pass unread. */
    onResponse?: (stream: ClientHttp2Stream, what: string) => void,
  ): Promise<{ stream: ClientHttp2Stream; status: number; headers: Record<string, string> }> {
    return new Promise((resolve, reject) => {
      const what = `${r.method} ${r.path}`;
      if (signal?.aborted) return reject(signal.reason);
      const s = current();
      const headers = {
        ":method": r.method,
        ":path": r.path,
        ...r.headers,
        ...(options.token ? { authorization: `Bearer ${typeof options.token === "function" ? options.token() : options.token}` } : {}),
      };
      // Said, because Node would take a DELETE to have no body.
      const stream = s.request(headers, { endStream: r.body === undefined });
      const onAbort = () => {
        stream.close(constants.NGHTTP2_CANCEL);
        reject(signal?.reason);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      stream.once("close", () => signal?.removeEventListener("abort", onAbort));
      const broken = (e: Error) => reject(new ApiUnreachableError(`${what}: ${e.message}`, { cause: e }));
      s.once("error", broken);
      stream.on("error", broken);
      stream.once("close", () => {
        s.off("error", broken);
        reject(new ApiUnreachableError(`${what}: the connection closed before an answer`));
      });
      stream.once("response", (h) => {
        const headers: Record<string, string> = {};
        onResponse?.(stream, what);
        for (const [k, v] of Object.entries(h)) if (!k.startsWith(":") && v !== undefined) headers[k] = String(v);
        resolve({ stream, status: Number(h[":status"]), headers });
      });
      if (r.body !== undefined) stream.end(r.body);
    });
  }

  return {
    request: (r, opts) =>
      withDeadline(options.clock, r, opts, async (signal) => {
        let body: Promise<Buffer> | undefined;
        const { status, headers } = await start(r, signal, (stream, what) => {
          body = wholeBody(stream, what);
          body.catch(() => {}); // Awaited below.
        });
        return { status, headers, body: await (body as unknown as Promise<Buffer>) };
      }),
    async stream(r, opts) {
      const { stream, status, headers } = await start(r, opts?.signal);
      let failure: Error | undefined;
      stream.on("error", (e) => {
        failure = new ApiUnreachableError(`${r.method} ${r.path}: ${e.message}`, { cause: e });
      });
      return {
        status,
        headers,
        onChunk(cb) {
          stream.on("data", (c: Buffer) => {
            const wait = cb(c);
            if (wait) {
              stream.pause();
              wait.then(
                () => stream.resume(),
                (e) => stream.destroy(e),
              );
            }
          });
        },
        onClose(cb) {
          if (stream.closed) cb(failure);
          else stream.once("close", () => cb(failure));
        },
        close: () => {
          if (!stream.closed) stream.close(constants.NGHTTP2_CANCEL);
        },
      };
    },
    async close() {
      const s = session;
      session = undefined;
      s?.destroy();
    },
  };
}

function wholeBody(stream: ClientHttp2Stream, what: string): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    let size = 0;
    stream.on("data", (chunk: Buffer) => {
      size += chunk.length;
      parts.push(chunk);
      if (size <= MAX_RESPONSE_BYTES) return;
      reject(new ApiProtocolError(`${what}: the answer is larger than ${MAX_RESPONSE_BYTES} bytes`));
      stream.close(constants.NGHTTP2_CANCEL);
    });
    stream.once("end", () => resolve(parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)));
    stream.once("error", (e) => reject(new ApiUnreachableError(`${what}: ${e.message}`, { cause: e })));
    stream.once("close", () =>
      reject(new ApiUnreachableError(`${what}: the connection closed within the answer (code ${stream.rstCode})`)),
    );
  });
}
