// The process side of a node container: starts the thread, answers its calls, carries its sockets, signals and output.
// Invariant: the thread lives no longer than its process, and a stream's bytes wait for room on both sides.
import { MessageChannel, Worker } from "node:worker_threads";
import type { Process } from "../../kernel/process.ts";
import { signalName } from "../../kernel/signals.ts";
import type { StreamServer, StreamSocket } from "../../net/net-stack.ts";
import { answer, callError } from "./calls.ts";
import type { Endpoint, FromWorker, ToWorker, WorkerStart } from "./protocol.ts";

/** Heap of a thread without a memory limit. */
const HEAP_MB = 256;
const USAGE_MS = 1_000;
/** Sockets of one thread. */
const STREAMS_MAX = 10_000;

const bundled = !import.meta.url.endsWith(".ts");
const WORKER = new URL(bundled ? "./node-worker.mjs" : "./worker/main.ts", import.meta.url);

export function runThread(p: Process, start: Omit<WorkerStart, "port" | "flag">): Promise<number> {
  const { port1, port2 } = new MessageChannel();
  const flag = new Int32Array(new SharedArrayBuffer(4));
  const limit = p.container.memory.limitBytes;
  const worker = new Worker(WORKER, {
    workerData: { ...start, port: port2, flag } satisfies WorkerStart,
    transferList: [port2],
    env: {},
    argv: [],
    execArgv: ["--disable-warning=ExperimentalWarning"],
    stdin: false,
    stdout: true,
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: limit === undefined ? HEAP_MB : Math.max(16, Math.floor(limit / 2 ** 20)) },
  });
  const host = new Host(p, worker, (reply) => {
    port1.postMessage(reply);
    Atomics.store(flag, 0, 1);
    Atomics.notify(flag, 0);
  });
  p.onExit(() => {
    port1.close();
    void worker.terminate();
  });
  return p.until(host.ended);
}

class Host {
  readonly #p: Process;
  readonly #worker: Worker;
  readonly #replyNow: (r: unknown) => void;
  readonly #streams = new Map<number, StreamSocket>();
  readonly #servers = new Map<number, StreamServer>();
  readonly ended: Promise<number>;
  #next = 1;
  #activeMs = 0;
  #heapBytes = 0;
  /** Output in the order it was written; the exit code waits for it. */
  #printing: Promise<void> = Promise.resolve();

  constructor(p: Process, worker: Worker, replyNow: (r: unknown) => void) {
    this.#p = p;
    this.#worker = worker;
    this.#replyNow = replyNow;
    this.ended = new Promise((resolve) => {
      const end = (code: number) => void this.#printing.catch(() => undefined).then(() => resolve(code));
      worker.on("message", (m: FromWorker) => (m.t === "exit" ? end(m.code) : this.#take(m)));
      worker.on("error", (e: NodeJS.ErrnoException) => {
        // The heap's limit is the container's memory limit.
        if (e.code === "ERR_WORKER_OUT_OF_MEMORY") p.charge(p.container.memory.limitBytes ?? 0);
        this.#print(2, `${e.stack ?? e.message}\n\nNode.js ${process.version}\n`);
        end(e.code === "ERR_WORKER_OUT_OF_MEMORY" ? 134 : 1);
      });
      worker.on("exit", end);
    });
    worker.stdout.on("data", (b: Buffer) => this.#print(1, b));
    worker.stderr.on("data", (b: Buffer) => this.#print(2, b));
    this.#measure();
  }

  #measure(): void {
    this.#p.clock.after(
      USAGE_MS,
      () => {
        if (this.#p.ended) return;
        const { active } = this.#worker.performance.eventLoopUtilization();
        this.#p.addCpu(Math.max(0, active - this.#activeMs));
        this.#activeMs = active;
        void this.#worker.getHeapStatistics?.().then(
          (h) => {
            if (this.#p.ended) return;
            this.#p.charge(h.used_heap_size - this.#heapBytes);
            this.#heapBytes = h.used_heap_size;
          },
          () => undefined,
        );
        this.#measure();
      },
      { unref: true },
    );
  }

  #send(m: ToWorker): void {
    if (!this.#p.ended) this.#worker.postMessage(m);
  }

  #print(fd: number, bytes: Uint8Array | string): void {
    this.#printing = this.#printing.then(() => (this.#p.ended ? undefined : this.#p.write(fd, bytes))).catch(() => undefined);
  }

  #take(m: Exclude<FromWorker, { t: "exit" }>): void {
    if (this.#p.ended) return;
    switch (m.t) {
      case "call":
        void this.#perform(m.name, m.args).then((reply) => this.#send({ t: "reply", id: m.id, reply }));
        return;
      case "ask":
        void answer(this.#p, m.name, m.args).then(this.#replyNow);
        return;
      case "out":
        this.#print(m.fd, m.bytes);
        return;
      case "listen-signal":
        this.#p.onSignal(m.signal, m.on ? (signal) => this.#send({ t: "signal", signal, name: `SIG${signalName(signal)}` }) : "default");
        return;
      case "stdin":
        void this.#readInput();
        return;
      default:
        this.#onStream(m);
    }
  }

  async #perform(name: string, args: unknown[]) {
    try {
      if (name === "connect") return { value: await this.#connect(args[0] as Endpoint) };
      if (name === "listen") return { value: this.#listen(args[0] as Endpoint) };
      if (name === "close") return { value: this.#close(args[0] as number) };
    } catch (e) {
      return { error: callError(e) };
    }
    return answer(this.#p, name, args);
  }

  async #connect(to: Endpoint): Promise<{ stream: number; local: Endpoint; remote: Endpoint }> {
    const s = await this.#p.net.connect(this.#p, { host: to.address, port: to.port, allowHalfOpen: true });
    return this.#adopt(s);
  }

  #listen(at: Endpoint): { server: number; address: Endpoint } {
    const server = this.#next++;
    const listener = this.#p.net.listen(
      this.#p,
      { port: at.port, allowHalfOpen: true, ...(at.address === "" ? {} : { host: at.address }) },
      (s) => {
        if (this.#streams.size >= STREAMS_MAX) return void s.destroy();
        this.#send({ t: "connection", server, ...this.#adopt(s) });
      },
    );
    this.#servers.set(server, listener);
    return { server, address: listener.address() };
  }

  #close(server: number): void {
    this.#servers.get(server)?.close();
    this.#servers.delete(server);
  }

  #adopt(s: StreamSocket): { stream: number; local: Endpoint; remote: Endpoint } {
    const stream = this.#next++;
    this.#streams.set(stream, s);
    s.on("data", (b: Buffer) => {
      s.pause();
      this.#send({ t: "data", stream, bytes: Uint8Array.from(b) });
    });
    s.on("end", () => this.#send({ t: "end", stream }));
    let error: unknown;
    s.on("error", (e) => {
      error = e;
    });
    s.on("close", () => {
      this.#streams.delete(stream);
      this.#send({ t: "closed", stream, ...(error === undefined ? {} : { error: callError(error) }) });
    });
    return {
      stream,
      local: { address: s.localAddress ?? "", port: s.localPort ?? 0 },
      remote: { address: s.remoteAddress ?? "", port: s.remotePort ?? 0 },
    };
  }

  #onStream(m: Extract<FromWorker, { stream: number }>): void {
    const s = this.#streams.get(m.stream);
    if (s === undefined) return;
    switch (m.t) {
      case "write":
        s.write(Buffer.from(m.bytes), () => this.#send({ t: "written", stream: m.stream }));
        return;
      case "taken":
        s.resume();
        return;
      case "end":
        s.end();
        return;
      case "destroy":
        s.destroy();
        return;
    }
  }

  async #readInput(): Promise<void> {
    try {
      for (;;) {
        const bytes = await this.#p.read(0);
        this.#send({ t: "stdin", bytes: bytes.length === 0 ? undefined : Uint8Array.from(bytes) });
        if (bytes.length === 0) return;
      }
    } catch {
      // The process is over.
    }
  }
}
