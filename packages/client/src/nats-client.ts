// The API over the bus: requests on subjects.api, streams on subjects.apiStream. The server knows who calls from the subject,
// which NATS permissions pin to the credential, so no token travels.
import { type Clock, reasonOf } from "@podwire/base";
import { type Bus, subjectsOf } from "@podwire/bus";
import { type ApiClient, apiClient } from "./api-client.ts";
import type { ApiRequest, ApiResponse, ApiStream, ApiTransport } from "./api-transport.ts";
import { ApiProtocolError, ApiUnreachableError } from "./errors.ts";

/** Unacknowledged bytes of a stream before the server waits for the reader. */
const STREAM_WINDOW_BYTES = 1024 * 1024;
const REQUEST_TIMEOUT_MS = 60_000;

/** An ApiClient of the identity that `bus` is connected as. Closing it leaves the bus open. */
export function natsClient(bus: Bus, options: { clock: Clock; fieldManager?: string; userAgent?: string }): ApiClient {
  return apiClient(natsTransport(bus), { userAgent: bus.identity, ...options });
}

/** Requests as the identity of the connection; rejects with ApiUnreachableError when nobody answers. */
export function natsTransport(bus: Bus): ApiTransport {
  const subjects = subjectsOf(bus.cluster);
  const apiSubject = subjects.api(bus.identity);
  const streamSubject = subjects.apiStream(bus.identity);
  return {
    async request(r, opts) {
      let answer: unknown;
      try {
        answer = await bus.request(apiSubject, r, {
          timeoutMs: opts?.timeoutMs ?? REQUEST_TIMEOUT_MS,
          ...(opts?.signal ? { signal: opts.signal } : {}),
        });
      } catch (e) {
        if (opts?.signal?.aborted) throw e;
        throw new ApiUnreachableError(`${r.method} ${r.path}: ${reasonOf(e)}`, { cause: e });
      }
      return responseOf(answer, r);
    },
    async stream(r, opts) {
      try {
        const stream = await bus.openStream(streamSubject, r, {
          windowBytes: STREAM_WINDOW_BYTES,
          ...(opts?.signal ? { signal: opts.signal } : {}),
        });
        return await firstFrame(stream, r, opts?.signal);
      } catch (e) {
        if (opts?.signal?.aborted || e instanceof ApiProtocolError) throw e;
        throw new ApiUnreachableError(`${r.method} ${r.path}: ${reasonOf(e)}`, { cause: e });
      }
    },
    close: async () => {},
  };
}

/** Waits for the frame {status, headers}; what follows are chunks of the body. */
function firstFrame(stream: Awaited<ReturnType<Bus["openStream"]>>, r: ApiRequest, signal?: AbortSignal): Promise<ApiStream> {
  return new Promise((resolve, reject) => {
    let head: { status: number; headers: Record<string, string> } | undefined;
    let onChunk: ((c: Uint8Array) => void | Promise<void>) | undefined;
    let onClose: ((e?: Error) => void) | undefined;
    let closed: { error?: Error } | undefined;
    const waiting: Uint8Array[] = [];
    const abort = () => stream.abort({ code: "cancelled", message: "the caller has gone" });
    const finish = (error?: Error) => {
      if (closed) return;
      closed = error === undefined ? {} : { error };
      signal?.removeEventListener("abort", abort);
      if (!head) reject(error ?? new ApiUnreachableError(`${r.method} ${r.path}: the stream ended before an answer`));
      else onClose?.(error);
    };
    signal?.addEventListener("abort", abort, { once: true });
    stream.onFrame((frame) => {
      if (head) {
        if (!(frame instanceof Uint8Array)) return finish(new ApiProtocolError(`${r.method} ${r.path}: a frame that is no bytes`));
        if (onChunk) return onChunk(frame);
        waiting.push(frame.slice());
        return;
      }
      const f = frame as { status?: unknown; headers?: unknown };
      if (typeof f?.status !== "number") return finish(new ApiProtocolError(`${r.method} ${r.path}: the first frame has no status`));
      head = { status: f.status, headers: (f.headers ?? {}) as Record<string, string> };
      resolve({
        status: head.status,
        headers: head.headers,
        onChunk(cb) {
          onChunk = cb;
          for (const c of waiting.splice(0)) void cb(c);
        },
        onClose(cb) {
          onClose = cb;
          if (closed) cb(closed.error);
        },
        close: () => {
          if (!stream.closed) abort();
        },
      });
    });
    stream.onEnd(() => {
      stream.end();
      finish();
    });
    stream.onClose((e) => finish(e ? new ApiUnreachableError(`${r.method} ${r.path}: ${e.code}: ${e.message}`) : undefined));
  });
}

function responseOf(answer: unknown, r: ApiRequest): ApiResponse {
  const a = answer as ApiResponse;
  if (typeof a?.status !== "number" || !(a.body instanceof Uint8Array))
    throw new ApiProtocolError(`${r.method} ${r.path}: malformed answer on the bus`);
  return { status: a.status, headers: a.headers ?? {}, body: a.body };
}
