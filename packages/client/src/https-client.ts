// The API over HTTP/1.1 with keep-alive, for programs whose Node has no HTTP/2 (the image `node` inside a pod). Same paths, headers and
// bodies as over HTTP/2 (rest-client.ts); a stream has a connection of its own.
import type { IncomingMessage } from "node:http";
import { Agent, request as httpsRequest } from "node:https";
import { type ApiClient, apiClient } from "./api-client.ts";
import type { ApiRequest, ApiTransport } from "./api-transport.ts";
import { ApiProtocolError, ApiUnreachableError } from "./errors.ts";
import { withDeadline } from "./request-deadline.ts";
import type { RestOptions } from "./rest-client.ts";

const MAX_RESPONSE_BYTES = 64 * 1024 * 1024;
/** Connections for requests; streams come on top. */
const MAX_CONNECTIONS = 16;

/** The verbs of the API over HTTP/1.1 (for programs whose Node has no HTTP/2). */
export function httpsClient(options: RestOptions): ApiClient {
  return apiClient(httpsTransport(options), options);
}

/** Requests share a pool of connections; each stream has one of its own. `close` ends them all. */
export function httpsTransport(options: RestOptions): ApiTransport {
  const tls = {
    ...(options.ca ? { ca: options.ca } : {}),
    ...(options.cert ? { cert: options.cert } : {}),
    ...(options.key ? { key: options.key } : {}),
  };
  const agent = new Agent({ keepAlive: true, maxSockets: MAX_CONNECTIONS, ...tls });
  const streams = new Agent({ ...tls });

  function open(r: ApiRequest, using: Agent, signal?: AbortSignal): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const what = `${r.method} ${r.path}`;
      if (signal?.aborted) return reject(signal.reason);
      const { token } = options;
      const headers: Record<string, string> = { ...r.headers };
      if (token) headers["authorization"] = `Bearer ${typeof token === "function" ? token() : token}`;
      if (r.body !== undefined) headers["content-length"] = String(r.body.length);
      const req = httpsRequest(`${options.server}${r.path}`, { method: r.method, headers, agent: using });
      const onAbort = () => req.destroy(signal?.reason instanceof Error ? signal.reason : new ApiUnreachableError(`${what}: given up`));
      signal?.addEventListener("abort", onAbort, { once: true });
      req.on("error", (e) => reject(signal?.aborted ? signal.reason : new ApiUnreachableError(`${what}: ${e.message}`, { cause: e })));
      req.on("close", () => signal?.removeEventListener("abort", onAbort));
      req.on("response", resolve);
      req.end(r.body);
    });
  }

  const headersOf = (res: IncomingMessage): Record<string, string> =>
    Object.fromEntries(Object.entries(res.headers).flatMap(([k, v]) => (v === undefined ? [] : [[k, String(v)]])));

  return {
    request: (r, opts) =>
      withDeadline(options.clock, r, opts, async (signal) => {
        const res = await open(r, agent, signal);
        const parts: Buffer[] = [];
        let size = 0;
        for await (const chunk of res) {
          size += (chunk as Buffer).length;
          if (size > MAX_RESPONSE_BYTES)
            throw new ApiProtocolError(`${r.method} ${r.path}: the answer is larger than ${MAX_RESPONSE_BYTES} bytes`);
          parts.push(chunk as Buffer);
        }
        return { status: res.statusCode ?? 0, headers: headersOf(res), body: Buffer.concat(parts) };
      }),
    async stream(r, opts) {
      const res = await open(r, streams, opts?.signal);
      let failure: Error | undefined;
      let closed = false;
      res.on("error", (e) => {
        failure = new ApiUnreachableError(`${r.method} ${r.path}: ${e.message}`, { cause: e });
      });
      res.on("close", () => {
        closed = true;
      });
      return {
        status: res.statusCode ?? 0,
        headers: headersOf(res),
        onChunk(cb) {
          res.on("data", (c: Buffer) => {
            const wait = cb(c);
            if (!wait) return;
            res.pause();
            wait.then(
              () => res.resume(),
              (e) => res.destroy(e),
            );
          });
        },
        onClose(cb) {
          if (closed) cb(failure);
          else res.once("close", () => cb(failure));
        },
        close: () => {
          if (!closed) res.destroy();
        },
      };
    },
    async close() {
      agent.destroy();
      streams.destroy();
    },
  };
}
