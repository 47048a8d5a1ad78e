// The answer of another HTTP server, carried to a client as it comes. Invariant: no more is read than the client takes; a client that goes
// away ends the reading.
import type { IncomingMessage } from "node:http";
import type { ApiResponse } from "../call.ts";

/** The response, streaming, without the headers that `isDropped` names (they are in lower case). */
export function relayedResponse(res: IncomingMessage, isDropped: (name: string) => boolean): ApiResponse {
  const headers: Record<string, string | string[]> = {};
  for (const [k, v] of Object.entries(res.headers)) if (v !== undefined && !isDropped(k)) headers[k] = v;
  return {
    status: res.statusCode ?? 502,
    headers,
    stream: (sink) => {
      res.on("data", (d: Buffer) => {
        if (sink.write(d)) return;
        res.pause();
        sink.onDrain(() => res.resume());
      });
      res.on("end", () => sink.end());
      res.on("error", () => sink.end());
      sink.onClose(() => res.destroy());
    },
  };
}
