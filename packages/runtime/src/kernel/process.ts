// A process of a pod: identity, descriptors, signals, children. A Program is an async function over a Process; it ends by
// returning its exit code, by `exit`, or by a signal.
// Invariant: once ended, a process's descriptors are closed, its status never changes, and every later system call of the
// program fails with ProcessEnded (or never returns, for a program that catches and goes on).
import type { Clock, Random } from "@podwire/base";
import { PodwireError } from "@podwire/base";
import type { PodNet } from "../net/pod-net.ts";
import { type FifoOpen, isFifoOpen, type MountTable, type OpenOptions, type Place, pathOf } from "../vfs/mounts.ts";
import { ProcessFs } from "../vfs/process-fs.ts";
import { DEFAULT_CAPS } from "./capabilities.ts";
import type { Cpu } from "./cpu.ts";
import { SysError } from "./errno.ts";
import type { Machine } from "./machine.ts";
import { FdTable, type OpenFile, type Wake } from "./open-file.ts";
import { openPipe, PipeEnd, WakeList } from "./pipe.ts";
import type { PidNamespace } from "./process-table.ts";
import { defaultAction, SIGCHLD, SIGCONT, SIGKILL, SIGPIPE, SIGSTOP } from "./signals.ts";
import type { ResourceUsage } from "./usage.ts";

export type Program = (p: Process) => Promise<number>;
export type SignalHandler = (signal: number) => void;
export type Disposition = "default" | "ignore" | SignalHandler;

/** How a process ended: an exit code, or the signal that killed it. */
export interface ExitStatus {
  code: number;
  /** 0 when it exited by itself. */
  signal: number;
}

/** Thrown by system calls of a process that is over; unwinds the program. */
export class ProcessEnded extends PodwireError {
  constructor() {
    super("the process has ended");
  }
}

/** `Process.exit`: unwinds to the runner. */
export class ExitRequest extends PodwireError {
  readonly code: number;
  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}

/** What the processes of one container share. */
export interface ContainerContext {
  readonly mounts: MountTable;
  readonly hostname: () => string;
  /** Set for the pod; the rest have their usual values. */
  readonly sysctls?: ReadonlyMap<string, string>;
  readonly net: PodNet;
  readonly clock: Clock;
  readonly random: Random;
  readonly cpu: Cpu;
  readonly machine: Machine;
  /** Looks up `name` as execvp does and tells what runs; throws SysError ENOENT, EACCES, ENOEXEC. */
  readonly resolveProgram: (p: Process, name: string) => { program: Program; path: string; argvPrefix: string[] };
  /** Bytes the container may use; absent is without a limit. */
  readonly memory: MemoryAccount;
  readonly usage: ResourceUsage;
  /** Things a node hands to built-in images (an API client for coredns); by name. */
  readonly annex: ReadonlyMap<string, unknown>;
  readonly processes: Set<Process>;
}

/** Simulated memory of a container (cgroup memory.max): programs report what they would use. */
export interface MemoryAccount {
  limitBytes: number | undefined;
  usedBytes: number;
  /** Called when a charge passes the limit: kills the process with the most. */
  onExceeded: (p: Process) => void;
}

export interface Identity {
  uid: number;
  gid: number;
  groups: readonly number[];
  /** Effective capabilities, without "CAP_". */
  caps: ReadonlySet<string>;
  /** What a set-user-ID program may gain at most; absent is `caps`. */
  bounding?: ReadonlySet<string>;
  /** Real ids, where a set-user-ID or set-group-ID program made `uid` and `gid` others. */
  realUid?: number;
  realGid?: number;
  /** prctl(PR_SET_NO_NEW_PRIVS): set-user-ID bits of programs do nothing. */
  noNewPrivileges?: boolean;
}

export interface SpawnOptions {
  program: Program;
  argv: string[];
  env?: Map<string, string>;
  cwd?: Place;
  fds?: FdTable;
  identity?: Identity;
  /** Path for /proc/<pid>/exe. */
  exe?: string;
  umask?: number;
  /** New process group, as a shell's job control makes. */
  newGroup?: boolean;
}

/** A program that swallows ProcessEnded this often is left hanging for ever. */
const MAX_ENDED_CALLS = 64;
/** What a small program's memory is taken as, beside what it says that it holds; it shows in stats, not at the limit. */
export const PROCESS_BYTES = 512 * 1024;
/** Processes of one container (pids cgroup). */
export const PIDS_LIMIT = 4096;

export class Process {
  readonly pid: number;
  ppid: number;
  pgid: number;
  sid: number;
  argv: string[];
  exe: string;
  env: Map<string, string>;
  cwd: Place;
  umask: number;
  identity: Identity;
  fds: FdTable;
  readonly namespace: PidNamespace;
  readonly container: ContainerContext;
  readonly startMs: number;
  parent: Process | undefined;
  status: ExitStatus | undefined;
  stopped = false;
  memoryBytes = 0;
  readonly fs: ProcessFs;
  readonly childChanged = new WakeList();
  #endedSignal: AbortController | undefined;
  #children: Set<Process> | undefined;
  #dispositions: Map<number, Disposition> | undefined;
  #onEnd: ((p: Process) => void)[] | undefined;
  readonly #ends = new WakeList();
  readonly #interrupts = new WakeList();
  readonly #resumed = new WakeList();
  #onExit: Set<() => void> | undefined;
  #endedCalls = 0;
  #millicores = 0;
  #cpuMs = 0;
  #rateSinceMs = 0;

  constructor(o: { pid: number; namespace: PidNamespace; container: ContainerContext; parent?: Process } & SpawnOptions) {
    this.pid = o.pid;
    this.namespace = o.namespace;
    this.container = o.container;
    this.parent = o.parent;
    this.ppid = o.parent?.pid ?? 0;
    this.pgid = o.newGroup || !o.parent ? o.pid : o.parent.pgid;
    this.sid = o.parent?.sid ?? o.pid;
    this.argv = o.argv;
    this.exe = o.exe ?? o.argv[0] ?? "";
    this.env = o.env ?? new Map(o.parent?.env);
    this.cwd = o.cwd ?? o.parent?.cwd ?? o.container.mounts.root;
    this.umask = o.umask ?? o.parent?.umask ?? 0o022;
    this.identity = o.identity ?? o.parent?.identity ?? ROOT;
    this.fds = o.fds ?? o.parent?.fds.clone(false) ?? new FdTable();
    this.startMs = o.container.clock.nowMs();
    this.fs = new ProcessFs(this);
    if (o.parent) for (const [sig, d] of o.parent.#dispositions ?? []) if (d === "ignore") this.onSignal(sig, d);
  }

  get clock(): Clock {
    return this.container.clock;
  }
  get random(): Random {
    return this.container.random;
  }
  get net(): PodNet {
    return this.container.net;
  }
  get hostname(): string {
    return this.container.hostname();
  }
  /** Aborted when the process ends. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }
  /** Made when somebody listens. */
  get #ended(): AbortController {
    if (this.#endedSignal === undefined) {
      this.#endedSignal = new AbortController();
      if (this.status !== undefined) this.#endedSignal.abort(new ProcessEnded());
    }
    return this.#endedSignal;
  }
  get children(): ReadonlySet<Process> {
    return this.#children ?? NO_CHILDREN;
  }
  adopt(child: Process): void {
    this.#children ??= new Set();
    this.#children.add(child);
  }
  /** The child is gone, or somebody else's. */
  disown(child: Process): void {
    this.#children?.delete(child);
  }
  get ended(): boolean {
    return this.status !== undefined;
  }
  get name(): string {
    return (this.argv[0] ?? "").replace(/^.*\//, "");
  }
  get cwdPath(): string {
    return pathOf(this.cwd);
  }

  /** Calls back when the process has ended and its parent was told. */
  whenEnded(cb: (p: Process) => void): void {
    if (this.status !== undefined) {
      cb(this);
      return;
    }
    // Made to measure: a pushed array would hold room for 17.
    this.#onEnd = this.#onEnd === undefined ? [cb] : this.#onEnd.concat(cb);
  }

  /** Runs at the end of the process, whatever ends it: closes sockets, cancels timers. What it answers takes `cb` back. */
  onExit(cb: () => void): () => void {
    if (this.status !== undefined) {
      cb();
      return NOTHING;
    }
    this.#onExit ??= new Set();
    this.#onExit.add(cb);
    return () => void this.#onExit?.delete(cb);
  }

  exit(code: number): never {
    throw new ExitRequest(code & 0xff);
  }

  /** Ends the process at once, also from a callback outside of the program's own flow. */
  terminate(status: ExitStatus): void {
    if (this.status !== undefined) return;
    this.status = status;
    this.#endedSignal?.abort(new ProcessEnded());
    this.#ends.wakeAll();
    const hooks = this.#onExit;
    this.#onExit = undefined;
    for (const h of hooks ?? []) h();
    this.fds.closeAll();
    this.charge(-this.memoryBytes);
    this.#interrupts.wakeAll();
    this.#resumed.wakeAll();
    this.namespace.exited(this);
    for (const cb of this.#onEnd?.splice(0) ?? []) cb(this);
  }

  // --- waiting

  /** Throws when the process is over: the first line of every system call. */
  check(): void {
    if (this.status === undefined) return;
    this.#endedCalls++;
    throw new ProcessEnded();
  }

  /** Waits until `register`'s wake is called. Answers "interrupted" when a signal was handled meanwhile. */
  async block(register: (wake: Wake) => () => void, opts: { interruptible?: boolean } = {}): Promise<"woken" | "interrupted"> {
    this.check();
    const result = await new Promise<"woken" | "interrupted" | "ended">((resolve) => {
      let cancel: (() => void) | undefined;
      let cancelInterrupt: (() => void) | undefined;
      const done = (r: "woken" | "interrupted" | "ended") => {
        cancel?.();
        cancelInterrupt?.();
        cancelEnd();
        resolve(r);
      };
      const cancelEnd = this.#ends.add(() => done("ended"));
      if (opts.interruptible) cancelInterrupt = this.#interrupts.add(() => done("interrupted"));
      cancel = register(() => done("woken"));
    });
    if (result === "ended") await this.#over();
    if (this.stopped) await this.#whileStopped();
    return result as "woken" | "interrupted";
  }

  /** Awaits a promise of the outside world (a socket), or unwinds when the process ends first. */
  async until<T>(promise: Promise<T>): Promise<T> {
    this.check();
    let onEnd: (() => void) | undefined;
    const ended = new Promise<never>((_, reject) => {
      onEnd = () => reject(this.#ended.signal.reason);
      this.#ended.signal.addEventListener("abort", onEnd, { once: true });
    });
    try {
      return await Promise.race([promise, ended]);
    } finally {
      this.#ended.signal.removeEventListener("abort", onEnd as () => void);
    }
  }

  async #over(): Promise<never> {
    if (++this.#endedCalls > MAX_ENDED_CALLS) await new Promise(() => undefined);
    throw new ProcessEnded();
  }

  async #whileStopped(): Promise<void> {
    while (this.stopped && this.status === undefined) await new Promise<void>((resolve) => void this.#resumed.add(resolve));
    if (this.status !== undefined) await this.#over();
  }

  /** Offers the processor to others; to be called in every loop that does not block. */
  checkpoint(): Promise<void> | undefined {
    if (this.status !== undefined) return this.#over();
    if (this.stopped) return this.#whileStopped();
    const wait = this.container.cpu.checkpoint(this);
    return wait === undefined
      ? undefined
      : wait.then(() => (this.status !== undefined ? this.#over() : this.stopped ? this.#whileStopped() : undefined));
  }

  /** nanosleep(2). "interrupted" when a signal handler ran. */
  sleep(ms: number): Promise<"woken" | "interrupted"> {
    return this.block(
      (wake) => {
        const t = this.clock.after(ms, wake);
        return () => t.cancel();
      },
      { interruptible: true },
    );
  }

  // --- descriptors

  /** read(2): at least one byte, or empty at end of file. */
  async read(fd: number, max = 65_536): Promise<Uint8Array> {
    this.check();
    for (;;) {
      const f = this.fds.get(fd);
      const bytes = f.readNow(max);
      if (bytes !== undefined) return bytes;
      await this.block((wake) => f.onReadable(wake));
    }
  }

  /** write(2) until all is taken. A broken pipe raises SIGPIPE; when that is ignored or handled, throws EPIPE. */
  write(fd: number, data: Uint8Array | string): Promise<void> | undefined {
    if (this.status !== undefined) return this.#over();
    const bytes = typeof data === "string" ? Buffer.from(data, "utf8") : data;
    const f = this.fds.get(fd);
    const n = this.#writeSome(f, bytes);
    return n === bytes.length ? undefined : this.#writeRest(f, bytes, n);
  }

  #writeSome(f: OpenFile, bytes: Uint8Array): number {
    try {
      return f.writeNow(bytes);
    } catch (e) {
      if (e instanceof SysError && e.code === "EPIPE") {
        this.namespace.deliver(this, SIGPIPE);
        this.check();
      }
      throw e;
    }
  }

  async #writeRest(f: OpenFile, bytes: Uint8Array, done: number): Promise<void> {
    let at = done;
    while (at < bytes.length) {
      await this.block((wake) => f.onWritable(wake));
      at += this.#writeSome(f, bytes.subarray(at));
    }
  }

  /** open(2): the lowest free descriptor. A FIFO waits for its other end. */
  async open(path: string, o: OpenOptions): Promise<number> {
    return this.fds.add(await this.openFile(path, o));
  }

  async openFile(path: string, o: OpenOptions): Promise<OpenFile> {
    this.check();
    const own = OWN_DESCRIPTOR.exec(path);
    if (own) return this.fds.get(own[1] !== undefined ? Number(own[1]) : ["in", "out", "err"].indexOf(own[2] as string));
    const f = this.container.mounts.open(this.cwd, path, this.cred, { umask: this.umask, ...o });
    return isFifoOpen(f) ? this.#openFifo(f) : f;
  }

  async #openFifo(f: FifoOpen): Promise<OpenFile> {
    const end = new PipeEnd(f.pipe, f.end).ref();
    try {
      while (f.end === "read" ? f.pipe.writers === 0 : f.end === "write" ? f.pipe.readers === 0 : false) {
        const before = f.end === "read" ? f.pipe.queue.length : 0;
        if (before > 0) break;
        await this.block((wake) => f.pipe.opened.add(wake));
      }
    } catch (e) {
      end.unref();
      throw e;
    }
    end.refs--;
    return end;
  }

  /** pipe(2). */
  pipe(): [OpenFile, OpenFile] {
    return openPipe();
  }

  get cred() {
    const i = this.identity;
    const has = (cap: string) => i.uid === 0 && i.caps.has(cap);
    return {
      uid: i.uid,
      gid: i.gid,
      groups: i.groups,
      override: has("DAC_OVERRIDE"),
      owner: has("FOWNER"),
      chown: has("CHOWN"),
      pid: this.pid,
    };
  }

  // --- signals and children

  /** Sets what a signal does; answers what it did. KILL and STOP cannot be changed. */
  onSignal(signal: number, d: Disposition): Disposition {
    const old = this.#dispositions?.get(signal) ?? "default";
    if (signal === SIGKILL || signal === SIGSTOP) throw new SysError("EINVAL");
    if (d === "default") this.#dispositions?.delete(signal);
    else {
      this.#dispositions ??= new Map();
      this.#dispositions.set(signal, d);
    }
    return old;
  }

  disposition(signal: number): Disposition {
    return this.#dispositions?.get(signal) ?? "default";
  }

  /** What the table does with a signal that has arrived; permission and PID 1 are checked there. */
  take(signal: number): void {
    if (this.status !== undefined) return;
    if (signal === SIGKILL) {
      this.terminate({ code: 0, signal });
      return;
    }
    if (signal === SIGCONT && this.stopped) {
      this.stopped = false;
      this.#resumed.wakeAll();
      this.parent?.childChanged.wakeAll();
    }
    const d = this.#dispositions?.get(signal) ?? "default";
    if (d === "ignore") return;
    if (typeof d === "function") {
      d(signal);
      this.#interrupts.wakeAll();
      return;
    }
    switch (defaultAction(signal)) {
      case "terminate":
        this.terminate({ code: 0, signal });
        return;
      case "stop":
        this.stopped = true;
        this.parent?.childChanged.wakeAll();
        this.#interrupts.wakeAll();
        return;
      case "ignore":
      case "continue":
        return;
    }
  }

  kill(pid: number, signal: number): void {
    this.check();
    this.namespace.kill(this, pid, signal);
  }

  /** fork(2) and exec(2) in one: the child starts in this turn of the event loop's microtasks. */
  spawn(o: SpawnOptions): Process {
    this.check();
    return this.namespace.spawn(this.container, o, this);
  }

  /** Waits for a child to end; takes its status. ECHILD when there is none. */
  async waitpid(
    pid: number | "any",
    opts: { nohang?: boolean; interruptible?: boolean } = {},
  ): Promise<{ pid: number; status: ExitStatus } | undefined> {
    for (;;) {
      const candidates = pid === "any" ? [...this.children] : [...this.children].filter((c) => c.pid === pid);
      if (candidates.length === 0) throw new SysError("ECHILD");
      const dead = candidates.find((c) => c.status !== undefined);
      if (dead) {
        this.namespace.reap(dead);
        return { pid: dead.pid, status: dead.status as ExitStatus };
      }
      if (opts.nohang) return undefined;
      if ((await this.block((wake) => this.childChanged.add(wake), { interruptible: opts.interruptible ?? false })) === "interrupted")
        return undefined;
    }
  }

  childEnded(): void {
    this.childChanged.wakeAll();
    if (this.status === undefined) this.take(SIGCHLD);
  }

  /** Processor time that this process took. */
  addCpu(ms: number): void {
    this.#cpuMs += ms;
    this.container.usage.add(ms);
    this.container.machine.usage.add(ms);
  }

  /** Simulated load from now on: thousandths of a core, negative to take it back. Ends with the process. */
  simulateCpu(millicores: number): void {
    if (this.status !== undefined) return;
    if (this.#millicores === 0) this.onExit(() => this.#changeRate(-this.#millicores));
    this.#changeRate(millicores);
  }

  #changeRate(millicores: number): void {
    this.#cpuMs = this.cpuMs;
    this.#rateSinceMs = this.clock.monotonicMs();
    this.#millicores += millicores;
    this.container.usage.changeRate(millicores);
    this.container.machine.usage.changeRate(millicores);
  }

  /** Processor time that it took of the event loop or says that it would take, milliseconds. */
  get cpuMs(): number {
    return this.#millicores === 0 ? this.#cpuMs : this.#cpuMs + ((this.clock.monotonicMs() - this.#rateSinceMs) * this.#millicores) / 1000;
  }

  /** Resident memory: what it says that it holds, and what a small program takes. */
  get residentBytes(): number {
    return this.status !== undefined ? 0 : this.memoryBytes + PROCESS_BYTES;
  }

  /** Reports simulated memory; past the container's limit the process is OOM-killed. */
  charge(bytes: number): void {
    this.memoryBytes += bytes;
    const m = this.container.memory;
    m.usedBytes += bytes;
    this.container.machine.usedBytes += bytes;
    if (bytes > 0 && m.limitBytes !== undefined && m.usedBytes > m.limitBytes) m.onExceeded(this);
  }

  // --- conveniences for programs

  print(text: string | Uint8Array): Promise<void> | undefined {
    return this.write(1, text);
  }
  printError(text: string | Uint8Array): Promise<void> | undefined {
    return this.write(2, text);
  }
}

const NO_CHILDREN: ReadonlySet<Process> = new Set();
const NOTHING = () => undefined;

/** Names of the caller's own descriptors: opening one is a dup. */
const OWN_DESCRIPTOR = /^(?:\/dev\/fd\/|\/proc\/self\/fd\/)(\d+)$|^\/dev\/std(in|out|err)$/;

export const ROOT: Identity = { uid: 0, gid: 0, groups: [0], caps: new Set<string>(DEFAULT_CAPS) };
