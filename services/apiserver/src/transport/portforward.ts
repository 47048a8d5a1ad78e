// Port-forward inside a WebSocket: SPDY/3.1 frames in binary messages (kubectl 1.31 and newer).
import type { WebSocket } from "ws";
import type { ApiResponse } from "../call.ts";
import { SpdyConnection } from "./spdy.ts";
import { servePortForward } from "./spdy-upgrade.ts";

export function tunnelPortForward(ws: WebSocket, open: NonNullable<ApiResponse["portForward"]>): void {
  const connection = new SpdyConnection({
    send: (bytes) => {
      if (ws.readyState !== ws.OPEN) return undefined;
      return new Promise<void>((resolve) => ws.send(bytes, () => resolve()));
    },
    pause: () => ws.pause(),
    resume: () => ws.resume(),
  });
  ws.on("message", (data: Buffer) => {
    try {
      connection.receive(data);
    } catch {
      ws.terminate();
    }
  });
  ws.on("close", () => connection.close());
  ws.on("error", () => ws.terminate());
  servePortForward(connection, open);
}
