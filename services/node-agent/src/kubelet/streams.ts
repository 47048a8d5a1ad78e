// The kubelet's streaming side on the bus: logs, exec, attach and port-forward of this node's pods (kubelet/server).
// Frames are as the apiserver's `subresources/connections.ts` says. Invariant: a stream ends with a Status on channel 3 (exec, attach)
// and never leaves a process or socket behind.
import type { Pod } from "@podwire/api";
import { type Clock, type Logger, reasonOf } from "@podwire/base";
import { type Bus, type BusStream, RemoteError, type Subscription, subjectsOf } from "@podwire/bus";
import { type Container, type ExitStatus, type NetStack, type Session, StartError } from "@podwire/runtime";
import { z } from "zod";
import { containerLog, LogUnavailableError } from "./container-log.ts";
import { readLog } from "./log-reader.ts";
import type { LogStore } from "./log-store.ts";
import type { PodRecord } from "./pod-record.ts";

const where = { namespace: z.string(), pod: z.string(), uid: z.string().optional() };
const streams = {
  stdin: z.boolean().default(false),
  stdout: z.boolean().default(true),
  stderr: z.boolean().default(true),
  tty: z.boolean().default(false),
};
const Open = z.discriminatedUnion("op", [
  z.object({
    op: z.literal("log"),
    ...where,
    container: z.string(),
    follow: z.boolean().default(false),
    previous: z.boolean().default(false),
    timestamps: z.boolean().default(false),
    tailLines: z.number().optional(),
    sinceSeconds: z.number().optional(),
    sinceTime: z.string().optional(),
    limitBytes: z.number().optional(),
    stream: z.enum(["Stdout", "Stderr"]).optional(),
  }),
  z.object({ op: z.literal("exec"), ...where, container: z.string(), command: z.array(z.string()), ...streams }),
  z.object({ op: z.literal("attach"), ...where, container: z.string(), ...streams }),
  z.object({ op: z.literal("portforward"), ...where, port: z.number().int().min(1).max(65535) }),
  z.object({ op: z.literal("stats") }),
  z.object({ op: z.literal("pods") }),
]);
type Open = z.infer<typeof Open>;

export interface KubeletStreamsOptions {
  bus: Bus;
  nodeName: string;
  clock: Clock;
  log: Logger;
  logs: LogStore;
  find(namespace: string, pod: string, uid: string | undefined): { record: PodRecord; pod: Pod } | undefined;
  stackOf(record: PodRecord): NetStack | undefined;
  stats(): unknown;
  pods(): readonly Pod[];
}

export function serveKubeletStreams(o: KubeletStreamsOptions): Subscription {
  return o.bus.serveStreams(subjectsOf(o.bus.cluster).kubelet(o.nodeName), (body, stream) => {
    const parsed = Open.safeParse(body);
    if (!parsed.success) throw new RemoteError("bad-request", `malformed request to the kubelet: ${parsed.error.issues[0]?.message}`);
    const open = parsed.data;
    if (open.op === "stats") return void stream.send(o.stats()).then(() => stream.end());
    if (open.op === "pods")
      return void stream.send({ kind: "PodList", apiVersion: "v1", metadata: {}, items: o.pods() }).then(() => stream.end());
    const found = o.find(open.namespace, open.pod, open.uid);
    if (!found) throw new RemoteError("not-found", `pod ${open.pod}_${open.namespace} does not exist on this node`);
    switch (open.op) {
      case "log":
        return serveLog(o, open, found.record, stream);
      case "exec":
        return serveExec(open, runningContainer(open, found.record), stream, o);
      case "attach":
        return serveAttach(open, runningContainer(open, found.record), stream, o);
      case "portforward":
        return servePortForward(o, open, found.record, stream);
    }
  });
}

function runningContainer(open: { container: string; pod: string; namespace: string }, record: PodRecord): Container {
  const c = record.containers.get(open.container);
  if (!c) throw new RemoteError("not-found", `container ${open.container} not found in pod ${open.pod}`);
  if (!c.container || !c.running) throw new RemoteError("internal", `container not found ("${open.container}")`);
  return c.container;
}

function serveLog(o: KubeletStreamsOptions, open: Extract<Open, { op: "log" }>, record: PodRecord, stream: BusStream): void {
  let log: ReturnType<typeof containerLog>;
  try {
    log = containerLog(record, open, o.logs, o.clock.nowMs());
  } catch (e) {
    if (e instanceof LogUnavailableError) throw new RemoteError("bad-request", e.message);
    throw e;
  }
  const { file, options } = log;
  const sink = {
    send: (bytes: Uint8Array) => stream.send(bytes),
    get closed() {
      return stream.closed;
    },
  };
  const live = o.logs.live(file);
  stream.onEnd(() => undefined);
  stream.onClose(() => live?.poke());
  void readLog(file, live, options, sink).then(
    () => stream.end(),
    (e) => (stream.closed ? undefined : stream.abort({ code: "internal", message: reasonOf(e) })),
  );
}

const OUT: Record<"stdout" | "stderr", number> = { stdout: 1, stderr: 2 };
const decoder = new TextDecoder();

function serveExec(open: Extract<Open, { op: "exec" }>, container: Container, stream: BusStream, o: KubeletStreamsOptions): void {
  let session: Session;
  try {
    session = container.execute(open.command, { stdin: open.stdin, tty: open.tty });
  } catch (e) {
    if (!(e instanceof StartError)) throw e;
    void stream
      .send({ channel: 3, data: Buffer.from(JSON.stringify(failure(`error executing command in container: ${e.message}`))) })
      .then(() => stream.end());
    return;
  }
  const queue = outputQueue(stream, open);
  session.onOutput((name, bytes) => queue.push(OUT[name], bytes));
  wireInput(stream, session, open.stdin);
  stream.onClose(() => {
    // The client is gone: a terminal hangs up, other processes keep running, as with a real runtime.
    if (session.process.ended) return;
    session.endInput();
    if (open.tty) session.tty?.hangUp();
  });
  void session.wait().then(async (status) => {
    queue.push(3, Buffer.from(JSON.stringify(exitStatus(status))));
    await queue.drained().catch((e) => o.log.debug({ reason: reasonOf(e) }, "an exec stream broke"));
    stream.end();
  });
}

function serveAttach(open: Extract<Open, { op: "attach" }>, container: Container, stream: BusStream, o: KubeletStreamsOptions): void {
  const queue = outputQueue(stream, open);
  const off = container.onOutput((name, bytes) => queue.push(OUT[name], bytes));
  const session = container.session as Session;
  wireInput(stream, session, open.stdin && (container.options.stdin ?? false));
  stream.onClose(() => {
    off();
    if (open.stdin && container.options.stdinOnce && !session.process.ended) session.endInput();
  });
  void container.wait().then(async (status) => {
    queue.push(3, Buffer.from(JSON.stringify(exitStatus(status))));
    await queue.drained().catch((e) => o.log.debug({ reason: reasonOf(e) }, "an attach stream broke"));
    stream.end();
  });
}

function wireInput(stream: BusStream, session: Session, stdin: boolean): void {
  stream.onFrame((frame) => {
    const { channel, data } = (frame ?? {}) as { channel?: unknown; data?: unknown };
    if (!(data instanceof Uint8Array)) return undefined;
    if (channel === 0 && stdin) return session.write(data.slice());
    if (channel === 4) {
      try {
        const size = JSON.parse(decoder.decode(data)) as { Width?: number; Height?: number };
        if (size.Width && size.Height) session.resize(size.Width, size.Height);
      } catch {
        // A malformed size changes nothing.
      }
    }
    return undefined;
  });
  stream.onEnd(() => session.endInput());
}

/** What may wait for the client's credit before the process's writes are held. */
const HELD_BYTES = 256 * 1024;
/** Small writes are put together in one frame up to this. */
const FRAME_BYTES = 64 * 1024;

/** Sends frames one after another; a client that reads slower than the process writes holds the process. */
function outputQueue(stream: BusStream, open: { stdout: boolean; stderr: boolean }) {
  const waiting: { channel: number; data: Uint8Array }[] = [];
  let bytes = 0;
  let room: PromiseWithResolvers<void> | undefined;
  let pumping: Promise<void> | undefined;
  const madeRoom = () => {
    room?.resolve();
    room = undefined;
  };
  const next = () => {
    const { channel, data } = waiting.shift() as { channel: number; data: Uint8Array };
    const parts = [data];
    let length = data.length;
    for (let f = waiting[0]; f?.channel === channel && length + f.data.length <= FRAME_BYTES; f = waiting[0]) {
      parts.push(f.data);
      length += f.data.length;
      waiting.shift();
    }
    return { channel, data: parts.length === 1 ? data : Buffer.concat(parts, length) };
  };
  const pump = async () => {
    try {
      await Promise.resolve(); // What is written in one turn goes together.
      while (waiting.length > 0 && !stream.closed) {
        const frame = next();
        await stream.send(frame);
        bytes -= frame.data.length;
        if (bytes < HELD_BYTES) madeRoom();
      }
    } finally {
      pumping = undefined;
      madeRoom(); // A stream that broke holds nobody.
    }
  };
  return {
    push(channel: number, data: Uint8Array): void | Promise<void> {
      if (stream.closed || (channel === 1 && !open.stdout) || (channel === 2 && !open.stderr)) return undefined;
      waiting.push({ channel, data: Uint8Array.from(data) });
      bytes += data.length;
      pumping ??= pump();
      pumping.catch(() => {}); // The stream's own end tells.
      if (bytes <= HELD_BYTES) return undefined;
      room ??= Promise.withResolvers<void>();
      return room.promise;
    },
    /** Settles when everything was sent; rejects when the stream broke. */
    drained: () => pumping ?? Promise.resolve(),
  };
}

function exitStatus(s: ExitStatus): object {
  const code = s.signal > 0 ? 128 + s.signal : s.code;
  if (code === 0) return { metadata: {}, status: "Success" };
  return {
    metadata: {},
    status: "Failure",
    message: `command terminated with non-zero exit code: error executing command, exit code ${code}`,
    reason: "NonZeroExitCode",
    details: { causes: [{ reason: "ExitCode", message: String(code) }] },
  };
}

function failure(message: string): object {
  return { metadata: {}, status: "Failure", message, reason: "InternalError", details: { causes: [{ message }] }, code: 500 };
}

function servePortForward(
  o: KubeletStreamsOptions,
  open: Extract<Open, { op: "portforward" }>,
  record: PodRecord,
  stream: BusStream,
): void {
  const stack = o.stackOf(record);
  if (!stack) throw new RemoteError("internal", `failed to find sandbox "${record.uid}" in store: not found`);
  const socket = stack.tcpConnect({ host: "127.0.0.1", port: open.port, allowHalfOpen: true });
  socket.on("error", (e) => {
    if (stream.closed) return;
    const refused = (e as { code?: string }).code === "ECONNREFUSED";
    stream.abort({
      code: "internal",
      message: `error forwarding port ${open.port} to pod ${record.uid}, uid : failed to execute portforward in network namespace "/var/run/netns/cni": failed to connect to localhost:${open.port} inside namespace "${record.uid}", IPv4: dial tcp4 127.0.0.1:${open.port}: ${refused ? "connect: connection refused" : e.message}`,
    });
  });
  stream.onFrame((frame) => {
    if (!(frame instanceof Uint8Array) || socket.destroyed) return undefined;
    if (socket.write(frame.slice())) return undefined;
    return new Promise<void>((resolve) => {
      const go = () => {
        socket.off("drain", go);
        socket.off("close", go);
        resolve();
      };
      socket.on("drain", go);
      socket.on("close", go);
    });
  });
  stream.onEnd(() => socket.end());
  stream.onClose(() => socket.destroy());
  socket.on("data", (d: Buffer) => {
    socket.pause();
    stream.send(Uint8Array.from(d)).then(
      () => socket.resume(),
      () => socket.destroy(),
    );
  });
  socket.on("end", () => stream.closed || stream.end());
}
