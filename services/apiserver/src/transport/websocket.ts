// WebSocket upgrades: exec and attach in the channel.k8s.io subprotocols (v5 and v4, base64 variants not), logs and watches as messages.
// v5 adds channel 255: "close of channel N". Invariant: the status on channel 3 is the last thing a client of exec hears.

import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { systemClock } from "@podwire/base";
import { type WebSocket, WebSocketServer } from "ws";
import type { ApiRequest, ApiResponse, User } from "../call.ts";
import { bytesOf, errorResponse } from "../response.ts";
import { Buffered } from "./buffered.ts";
import { tunnelPortForward } from "./portforward.ts";
import { serveSpdy } from "./spdy-upgrade.ts";

const CHANNEL_PROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"];
const PORT_FORWARD_TUNNEL = "SPDY/3.1+portforward.k8s.io";
const MAX_MESSAGE_BYTES = 1024 * 1024 * 4;
const CLOSE_CHANNEL = 255;

export interface UpgradeOptions {
  handle: (request: ApiRequest, user: User) => Promise<ApiResponse>;
}

export function upgrader(o: UpgradeOptions) {
  const wss = new WebSocketServer({ noServer: true, maxPayload: MAX_MESSAGE_BYTES, perMessageDeflate: false });
  return (req: IncomingMessage, socket: Duplex, head: Buffer, authenticate: () => Promise<User>): void => {
    void upgrade(o, wss, req, socket, head, authenticate).catch(() => socket.destroy());
  };
}

async function upgrade(
  o: UpgradeOptions,
  wss: WebSocketServer,
  req: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  authenticate: () => Promise<User>,
) {
  const gone = new AbortController();
  socket.on("close", () => gone.abort());
  socket.on("error", () => socket.destroy());
  const kind = String(req.headers.upgrade ?? "").toLowerCase();
  let r: ApiResponse;
  try {
    const user = await authenticate();
    // A WebSocket always comes as GET and counts as such for authorization.
    r = await o.handle(
      {
        method: req.method ?? "GET",
        path: req.url ?? "/",
        headers: req.headers,
        signal: gone.signal,
        sourceAddress: req.socket.remoteAddress ?? "",
      },
      user,
    );
  } catch (e) {
    r = errorResponse(e);
  }
  if (kind === "spdy/3.1" && (r.connection || r.portForward)) {
    serveSpdy(req, socket, head, r);
    return;
  }
  if (kind !== "websocket" || r.status >= 400) return refuse(socket, r);
  const offered = String(req.headers["sec-websocket-protocol"] ?? "")
    .split(",")
    .map((s) => s.trim())
    .filter((s) => s !== "");
  if (r.portForward && offered.includes(PORT_FORWARD_TUNNEL)) {
    tunnel(wss, req, socket, head, r.portForward);
    return;
  }
  const chosen = CHANNEL_PROTOCOLS.find((p) => offered.includes(p)) ?? (offered.includes("binary.k8s.io") ? "binary.k8s.io" : undefined);
  if (r.connection && !chosen) return refuse(socket, errorResponse(new Error("unable to upgrade: no subprotocol is supported")));
  if (chosen) req.headers["sec-websocket-protocol"] = chosen;
  else delete req.headers["sec-websocket-protocol"];
  wss.handleUpgrade(req, socket, head, (ws) => {
    if (r.connection) void serveChannels(ws, r.connection, chosen === CHANNEL_PROTOCOLS[0]);
    else serveMessages(ws, r);
  });
}

/** ws rejects subprotocols with a slash: it is taken out of the request and pushed into the answer. */
function tunnel(
  wss: WebSocketServer,
  req: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  open: NonNullable<ApiResponse["portForward"]>,
): void {
  delete req.headers["sec-websocket-protocol"];
  wss.once("headers", (headers: string[]) => void headers.push(`Sec-WebSocket-Protocol: ${PORT_FORWARD_TUNNEL}`));
  wss.handleUpgrade(req, socket, head, (ws) => tunnelPortForward(ws, open));
}

/**
 * kubectl makes its channels after it has begun to read, and discards what comes for a channel that it has not made yet ("Unknown
 * stream id"). A container runtime never answers that fast; a program in the node's own process does.
 */
const CLIENT_BEGINS_MS = 20;

async function serveChannels(ws: WebSocket, open: NonNullable<ApiResponse["connection"]>, v5: boolean): Promise<void> {
  const early = new Buffered(ws);
  ws.on("message", (data: Buffer, binary) => early.push(binary ? data : Buffer.from(data)));
  ws.on("error", () => ws.terminate());
  await systemClock.sleep(CLIENT_BEGINS_MS);
  if (ws.readyState !== ws.OPEN) return;
  // Clients expect the output channels to be announced by an empty message each.
  let d: Awaited<ReturnType<typeof open>>;
  try {
    d = await open();
  } catch (e) {
    const status = errorResponse(e).body as string;
    ws.send(Buffer.concat([Buffer.from([3]), Buffer.from(status)]));
    ws.close(1000);
    return;
  }
  ws.on("close", () => d.end());
  d.onFrame((channel, data) => {
    if (ws.readyState !== ws.OPEN) return undefined;
    const message = Buffer.allocUnsafe(data.length + 1);
    message[0] = channel;
    message.set(data, 1);
    return new Promise<void>((resolve) => ws.send(message, () => resolve()));
  });
  d.onClose((error) => {
    if (ws.readyState !== ws.OPEN) return;
    if (error) ws.close(1011, error.slice(0, 100));
    else ws.close(1000);
  });
  early.drain(async (data) => {
    const channel = data[0];
    if (channel === undefined) return;
    if (v5 && channel === CLOSE_CHANNEL) return d.end(data[1]);
    await d.send(channel, new Uint8Array(data.subarray(1)));
  });
}

function serveMessages(ws: WebSocket, r: ApiResponse): void {
  ws.on("error", () => ws.terminate());
  if (!r.stream) {
    ws.send(typeof r.body === "string" ? r.body : bytesOf(r.body));
    ws.close(1000);
    return;
  }
  const text = r.headers["content-type"] === "application/json";
  r.stream({
    write: (bytes) => {
      // A watch over WebSocket is a message an event.
      if (text) for (const line of Buffer.from(bytes).toString("utf8").split("\n")) if (line !== "") ws.send(line);
      if (!text) ws.send(bytes);
      return ws.bufferedAmount < MAX_MESSAGE_BYTES;
    },
    end: () => ws.close(1000),
    get closed() {
      return ws.readyState !== ws.OPEN;
    },
    get backlog() {
      return ws.bufferedAmount;
    },
    onClose: (cb) => void ws.on("close", cb),
    onDrain: (cb) => ws.send("", cb),
  });
}

function refuse(socket: Duplex, r: ApiResponse): void {
  const body = bytesOf(r.body);
  const status = Math.max(r.status, 400);
  const type = r.headers["content-type"] ?? "text/plain";
  socket.end(
    Buffer.concat([
      Buffer.from(`HTTP/1.1 ${status} Refused\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n`),
      body,
    ]),
  );
}
