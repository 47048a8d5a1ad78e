// SPDY/3.1 after an HTTP/1.1 upgrade: exec and attach (streams by their streamtype header), and port-forward (a data and an error stream a port).
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { systemClock } from "@podwire/base";
import type { ApiResponse, Duplexed } from "../call.ts";
import { errorResponse } from "../response.ts";
import { SpdyConnection, type SpdyStream } from "./spdy.ts";

const EXEC_PROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io"];
const PORT_FORWARD_PROTOCOL = "portforward.k8s.io";
/** The client closes when it has read everything: what it has received and not read is lost when the server closes first. */
const CLIENT_CLOSES_WITHIN_MS = 30_000;
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
  let room: PromiseWithResolvers<void> | undefined;
  const made = () => {
    room?.resolve();
    room = undefined;
  };
  socket.on("drain", made);
  const connection = new SpdyConnection({
    send: (bytes) => {
      if (!socket.writable || socket.write(bytes)) return undefined;
      room ??= Promise.withResolvers<void>();
      return room.promise;
    },
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
  });
  const receive = (d: Buffer) => {
    try {
      connection.receive(d);
    } catch {
      socket.destroy();
    }
  };
  socket.on("data", receive);
  socket.on("end", () => socket.end());
  let last: { cancel(): void } | undefined;
  socket.on("close", () => {
    last?.cancel();
    made();
    connection.close();
  });
  const finished = () => {
    last ??= systemClock.after(CLIENT_CLOSES_WITHIN_MS, () => socket.end(), { unref: true });
  };
  if (r.portForward) servePortForward(connection, r.portForward);
  else if (r.connection) serveExec(connection, req, r.connection, finished);
  if (head.length > 0) receive(head);
}

function serveExec(
  connection: SpdyConnection,
  req: IncomingMessage,
  open: NonNullable<ApiResponse["connection"]>,
  finished: () => void,
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
  const replies: Promise<void>[] = [];
  let ready: (d: Duplexed) => void = () => {};
  /** What comes before the container's side is there waits for it, and an end never overtakes the data before it. */
  const process = new Promise<Duplexed>((resolve) => {
    ready = resolve;
  });
  let order: Promise<unknown> = process;
  const pass = (channel: number, data: Uint8Array | undefined): Promise<void> => {
    const passed = order.then(() => process).then((d) => (data === undefined ? d.end(channel) : d.send(channel, data)));
    order = passed.catch(() => process.then((d) => d.end()));
    return passed;
  };
  let started = false;
  connection.onStream = (s) => {
    const type = s.headers["streamtype"] ?? "";
    const channel = CHANNELS[type];
    if (channel === undefined) return s.reset();
    streams.set(channel, s);
    replies.push(s.reply());
    s.onData = (data) => pass(channel, data);
    // Only stdin has an end that means something: clients also close the halves that they never write to.
    if (channel === CHANNELS["stdin"]) s.onEnd = () => void pass(channel, undefined).catch(() => {});
    wanted.delete(type);
    if (wanted.size === 0 && !started) {
      started = true;
      void start();
    }
  };
  const start = async () => {
    // A program may be done before the last reply is compressed: the client would wait for a stream on a connection that is closed.
    await Promise.all(replies);
    let d: Duplexed;
    try {
      d = await open();
    } catch (e) {
      void streams.get(3)?.write(Buffer.from(String(errorResponse(e).body)));
      for (const s of streams.values()) s.end();
      return finished();
    }
    ready(d);
    connection.onClose = () => d.end();
    if (connection.closed) return d.end();
    d.onFrame((channel, data) => streams.get(channel)?.write(data));
    d.onClose(() => {
      for (const s of streams.values()) s.end();
      finished();
    });
  };
}

/** Pairs data and error streams by requestid and joins each pair with a byte stream to the pod's port. */
export function servePortForward(connection: SpdyConnection, open: NonNullable<ApiResponse["portForward"]>): void {
  const pairs = new Map<string, { data?: SpdyStream; error?: SpdyStream; replied?: Promise<unknown> }>();
  connection.onStream = (s) => {
    const id = s.headers["requestid"] ?? s.headers["port"] ?? "";
    const pair = pairs.get(id) ?? {};
    pairs.set(id, pair);
    pair.replied = Promise.all([pair.replied, s.reply()]);
    if (s.headers["streamtype"] === "error") pair.error = s;
    else pair.data = s;
    if (!pair.data || !pair.error) return;
    pairs.delete(id);
    void join(pair.data, pair.error, open, pair.replied);
  };
}

async function join(
  data: SpdyStream,
  error: SpdyStream,
  open: NonNullable<ApiResponse["portForward"]>,
  replied: Promise<unknown>,
): Promise<void> {
  const port = Number(data.headers["port"]);
  const refuse = (e: unknown) => {
    void error.write(Buffer.from(`error forwarding port ${port}: ${e instanceof Error ? e.message : String(e)}`));
    error.end();
    data.end();
  };
  const opened = replied.then(() => open(port));
  let chain: Promise<unknown> = opened;
  data.onData = (d) => {
    const sent = chain.then(() => opened).then((stream) => (stream.closed ? undefined : stream.send(d)));
    chain = sent.catch(() => {});
    return sent;
  };
  data.onEnd = () =>
    void chain
      .then(() => opened)
      .then(
        (stream) => stream.closed || stream.end(),
        () => {},
      );
  try {
    const stream = await opened;
    stream.onFrame((f) => (f instanceof Uint8Array ? data.write(f) : undefined));
    stream.onEnd(() => data.end());
    stream.onClose((e) => {
      if (e) return refuse(e);
      error.end();
      data.end();
    });
  } catch (e) {
    refuse(e);
  }
}
