// Runs a nats-server as a child process. Invariant: the promise of `startNatsServer` resolves when the server accepts
// connections, and `stop` leaves no process behind.
import { createConnection } from "node:net";
import { type Clock, PodwireError } from "@podwire/base";
import { execa } from "execa";

export interface NatsServerOptions {
  binary: string;
  /** The configuration file (see natsServerConfig). */
  configFile: string;
  host: string;
  port: number;
  clock: Clock;
  /** A line of the server's log. */
  onLog?: (line: string) => void;
  /** Default 10_000. */
  readyTimeoutMs?: number;
  /** True: the server outlives this process (its log is not read). */
  detached?: boolean;
}

export interface NatsServerProcess {
  readonly pid: number;
  readonly url: string;
  /** Resolves when the process has ended, whatever ended it. */
  readonly exited: Promise<{ code: number | undefined; signal: string | undefined }>;
  /** Reads the configuration file again. */
  reload(): void;
  /** SIGTERM, then SIGKILL after `graceMs` (default 5_000). */
  stop(graceMs?: number): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
}

/** The server ended before it was ready, or did not get ready in time. `log` has its last lines. */
export class NatsServerError extends PodwireError {
  readonly log: readonly string[];
  constructor(message: string, log: readonly string[]) {
    super(log.length === 0 ? message : `${message}: ${log.join(" | ")}`);
    this.log = log;
  }
}

const KEPT_LOG_LINES = 20;
const MAX_LOG_LINE = 4096;
const READY_POLL_MS = 10;

/** Throws NatsServerError: port taken, bad configuration, not ready in time. */
export async function startNatsServer(o: NatsServerOptions): Promise<NatsServerProcess> {
  // Without this look, another server on the port would answer our question whether ours is ready.
  if (await accepts(o.host, o.port)) throw new NatsServerError(`port ${o.port} is taken: a nats-server answers there`, []);
  const child = execa(o.binary, ["-c", o.configFile], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: o.detached ? "ignore" : "pipe",
    buffer: false,
    reject: false,
    detached: o.detached ?? false,
    cleanup: !o.detached,
  });
  const lastLines: string[] = [];
  let partial = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    const lines = (partial + text).split("\n");
    partial = (lines.pop() as string).slice(0, MAX_LOG_LINE);
    for (const line of lines) {
      lastLines.push(line);
      if (lastLines.length > KEPT_LOG_LINES) lastLines.shift();
      o.onLog?.(line);
    }
  });
  let ended = false;
  const exited = child.then((r) => {
    ended = true;
    return { code: r.exitCode, signal: r.signal };
  });
  const end = async (signal: "SIGTERM" | "SIGKILL", graceMs: number) => {
    if (ended) return;
    child.kill(signal);
    const timer = o.clock.after(graceMs, () => void child.kill("SIGKILL"));
    await exited;
    timer.cancel();
  };
  const deadline = o.clock.monotonicMs() + (o.readyTimeoutMs ?? 10_000);
  while (!(await accepts(o.host, o.port))) {
    if (ended) throw new NatsServerError(`nats-server ended at once (${o.binary})`, lastLines.slice(-5));
    if (o.clock.monotonicMs() > deadline) {
      await end("SIGKILL", 1_000);
      throw new NatsServerError("nats-server did not get ready in time", lastLines.slice(-5));
    }
    await o.clock.sleep(READY_POLL_MS);
  }
  if (ended || child.pid === undefined)
    throw new NatsServerError(`nats-server ended at once; is port ${o.port} taken by another?`, lastLines.slice(-5));
  if (o.detached) child.nodeChildProcess.unref();
  return {
    pid: child.pid,
    url: `nats://${o.host}:${o.port}`,
    exited,
    reload: () => void child.kill("SIGHUP"),
    stop: (graceMs = 5_000) => end("SIGTERM", graceMs),
    kill: () => end("SIGKILL", 5_000),
  };
}

/** True when a NATS server greets on the port: it sends INFO first. */
export function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const s = createConnection({ host, port });
    const done = (ok: boolean) => {
      s.destroy();
      resolve(ok);
    };
    s.setTimeout(1_000, () => done(false));
    s.once("data", (b) => done(b.subarray(0, 5).toString("latin1") === "INFO "));
    s.once("error", () => done(false));
    s.once("close", () => resolve(false));
  });
}
