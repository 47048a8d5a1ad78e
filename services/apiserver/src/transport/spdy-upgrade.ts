// SPDY/3.1 after an HTTP/1.1 upgrade: exec and attach (streams by their streamtype header), and port-forward (a data and an error stream a port).
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { ApiResponse } from "../call.ts";
import { errorResponse } from "../response.ts";
import { SpdyConnection, type SpdyStream } from "./spdy.ts";

const EXEC_PROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io"];
const PORT_FORWARD_PROTOCOL = "portforward.k8s.io";
const CHANNELS: Readonly<Record<string, number>> = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4 };

/** Answers 101 and speaks SPDY on the socket. */
export function serveSpdy(req: IncomingMessage, socket: Duplex, head: Buffer, r: ApiResponse): void {
  const offered = String(req.headers["x-stream-protocol-version"] ?? "")
    .split(",")
    .map((s) => s.trim());
  const chosen = r.portForward ? PORT_FORWARD_PROTOCOL : (EXEC_PROTOCOLS.find((p) => offered.includes(p)) ?? "v4.channel.k8s.io");
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${chosen}\r\n\r\n`,
  );
  const connection = new SpdyConnection((bytes) => {
    if (socket.writable) socket.write(bytes);
  });
  const receive = (d: Buffer) => {
    try {
      connection.receive(d);
    } catch {
      socket.destroy();
    }
  };
  socket.on("data", receive);
  socket.on("close", () => connection.close());
  if (r.portForward) servePortForward(connection, r.portForward, () => socket.end());
  else if (r.connection) serveExec(connection, req, r.connection, () => socket.end());
  if (head.length > 0) receive(head);
}

function serveExec(
  connection: SpdyConnection,
  req: IncomingMessage,
  open: NonNullable<ApiResponse["connection"]>,
  close: () => void,
): void {
  const query = new URLSearchParams((req.url ?? "").split("?")[1] ?? "");
  const on = (name: string) => ["1", "true"].includes(query.get(name) ?? "");
  const tty = on("tty");
  const wanted = new Set([
    "error",
    ...(on("stdin") ? ["stdin"] : []),
    ...(on("stdout") ? ["stdout"] : []),
    ...(on("stderr") && !tty ? ["stderr"] : []),
    ...(tty ? ["resize"] : []),
  ]);
  const streams = new Map<number, SpdyStream>();
  /** What came before the container's side was there; no data is the end of the channel. */
  const early: [number, Uint8Array | undefined][] = [];
  let started = false;
  connection.onStream = (s) => {
    const type = s.headers["streamtype"] ?? "";
    const channel = CHANNELS[type];
    if (channel === undefined) return s.reset();
    streams.set(channel, s);
    void s.reply();
    s.onData = (d) => void early.push([channel, new Uint8Array(d)]);
    // Only stdin has an end that means something: clients also close the halves that they never write to.
    if (channel === CHANNELS["stdin"]) s.onEnd = () => void early.push([channel, undefined]);
    wanted.delete(type);
    if (wanted.size === 0 && !started) {
      started = true;
      void start();
    }
  };
  const start = async () => {
    let d: Awaited<ReturnType<typeof open>>;
    try {
      d = await open();
    } catch (e) {
      streams.get(3)?.write(Buffer.from(String(errorResponse(e).body)));
      for (const s of streams.values()) s.end();
      return close();
    }
    let order: Promise<void> = Promise.resolve(); // An end must not overtake the data before it.
    const pass = (channel: number, data: Uint8Array | undefined) => {
      order = order.then(() => (data === undefined ? d.end(channel) : d.send(channel, data))).catch(() => d.end());
    };
    for (const [channel, data] of early.splice(0)) pass(channel, data);
    for (const [channel, s] of streams) {
      s.onData = (data) => pass(channel, new Uint8Array(data));
      if (channel === CHANNELS["stdin"]) s.onEnd = () => pass(channel, undefined);
    }
    connection.onClose = () => d.end();
    d.onFrame((channel, data) => streams.get(channel)?.write(data));
    d.onClose(() => {
      for (const s of streams.values()) s.end();
      close();
    });
  };
}

/** Pairs data and error streams by requestid and joins each pair with a byte stream to the pod's port. */
export function servePortForward(connection: SpdyConnection, open: NonNullable<ApiResponse["portForward"]>, _close: () => void): void {
  const pairs = new Map<string, { data?: SpdyStream; error?: SpdyStream }>();
  connection.onStream = (s) => {
    const id = s.headers["requestid"] ?? s.headers["port"] ?? "";
    const pair = pairs.get(id) ?? {};
    pairs.set(id, pair);
    void s.reply();
    if (s.headers["streamtype"] === "error") pair.error = s;
    else pair.data = s;
    if (!pair.data || !pair.error) return;
    pairs.delete(id);
    void join(pair.data, pair.error, open);
  };
}

async function join(data: SpdyStream, error: SpdyStream, open: NonNullable<ApiResponse["portForward"]>): Promise<void> {
  const waiting: Uint8Array[] = [];
  let ended = false;
  data.onData = (d) => void waiting.push(new Uint8Array(d));
  data.onEnd = () => {
    ended = true;
  };
  try {
    const stream = await open(Number(data.headers["port"]));
    let chain: Promise<void> = Promise.resolve();
    const send = (d: Uint8Array) => {
      chain = chain.then(() => (stream.closed ? undefined : stream.send(d))).catch(() => {});
    };
    for (const d of waiting.splice(0)) send(d);
    data.onData = (d) => send(new Uint8Array(d));
    data.onEnd = () => void chain.then(() => stream.closed || stream.end());
    if (ended) data.onEnd();
    stream.onFrame((f) => {
      if (f instanceof Uint8Array) data.write(f);
    });
    stream.onEnd(() => data.end());
    stream.onClose((e) => {
      if (e) error.write(Buffer.from(`error forwarding port ${data.headers["port"]}: ${e.message}`));
      error.end();
      data.end();
    });
  } catch (e) {
    error.write(Buffer.from(`error forwarding port ${data.headers["port"]}: ${e instanceof Error ? e.message : String(e)}`));
    error.end();
    data.end();
  }
}
