// One watch: newline-delimited JSON events of a stream, as the API documents them (meta/v1 WatchEvent).
// Invariant: events are handed over in order; after `onEnd` nothing more comes.
import { PodwireError } from "@podwire/base";
import type { ApiRequest, ApiTransport } from "./api-transport.ts";
import { ApiError, ApiProtocolError } from "./errors.ts";
import { apiVersionOf, type KubeObject, type ResourceRef } from "./object.ts";

export type WatchEventType = "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";

export interface WatchHandlers {
  onEvent(type: WatchEventType, object: KubeObject): void;
  /** The watch is over; without error it simply ended (server timeout). An ERROR event arrives as ApiError. */
  onEnd(error?: Error): void;
}

export interface Watch {
  close(): void;
}

/** Bytes of one event; a longer line ends the watch with WatchLineTooLongError. */
export const MAX_WATCH_LINE_BYTES = 8 * 1024 * 1024;

export class WatchLineTooLongError extends PodwireError {}

export async function openWatch(
  transport: ApiTransport,
  request: ApiRequest,
  ref: ResourceRef,
  handlers: WatchHandlers,
  signal?: AbortSignal,
): Promise<Watch> {
  const stream = await transport.stream(request, signal ? { signal } : {});
  const lines = lineSplitter();
  let over = false;
  const end = (error?: Error) => {
    if (over) return;
    over = true;
    stream.close();
    handlers.onEnd(error);
  };
  if (stream.status !== 200) {
    const body = await collect(stream);
    let status = {};
    try {
      status = JSON.parse(body);
    } catch {
      status = { message: body };
    }
    throw new ApiError(stream.status, status, `watch ${request.path}`);
  }
  const apiVersion = apiVersionOf(ref);
  stream.onChunk((chunk) => {
    if (over) return;
    try {
      lines.push(chunk, (line) => {
        if (over || line.length === 0) return;
        const event = JSON.parse(line);
        if (event.type === "ERROR") return end(new ApiError(event.object?.code ?? 500, event.object ?? {}, `watch ${request.path}`));
        const object = event.object as KubeObject;
        object.apiVersion ??= apiVersion;
        object.kind ??= ref.kind;
        handlers.onEvent(event.type, object);
      });
    } catch (e) {
      end(e instanceof PodwireError ? e : new ApiProtocolError(`watch ${request.path}: malformed event`, { cause: e }));
    }
  });
  stream.onClose((error) => end(error));
  return { close: () => end() };
}

function collect(stream: { onChunk(cb: (c: Uint8Array) => void): void; onClose(cb: () => void): void }): Promise<string> {
  return new Promise((resolve) => {
    const parts: Uint8Array[] = [];
    stream.onChunk((c) => void parts.push(c.slice()));
    stream.onClose(() => resolve(Buffer.concat(parts).toString("utf8")));
  });
}

/** Splits chunks at "\n"; characters that straddle chunks are kept whole because lines are decoded as bytes. */
export function lineSplitter() {
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  const decoder = new TextDecoder();
  return {
    push(chunk: Uint8Array, onLine: (line: string) => void): void {
      let from = 0;
      for (;;) {
        const at = chunk.indexOf(10, from);
        if (at < 0) break;
        const tail = chunk.subarray(from, at);
        from = at + 1;
        if (pendingBytes === 0) onLine(decoder.decode(tail));
        else {
          const whole = Buffer.concat([...pending, tail]);
          pending = [];
          pendingBytes = 0;
          onLine(decoder.decode(whole));
        }
      }
      if (from < chunk.length) {
        const rest = chunk.slice(from);
        pending.push(rest);
        pendingBytes += rest.length;
        if (pendingBytes > MAX_WATCH_LINE_BYTES)
          throw new WatchLineTooLongError(`a watch event is larger than ${MAX_WATCH_LINE_BYTES} bytes`);
      }
    },
  };
}
