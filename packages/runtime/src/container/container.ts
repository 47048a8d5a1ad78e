// A container of a sandbox: its root file system, its first process and whatever is exec'ed into it.
// Invariant: `start` happens at most once; when the first process ends, every process of the container ends with it.
import { PodwireError } from "@podwire/base";
import type { Image } from "../images/image.ts";
import { DEFAULT_CAPS } from "../kernel/capabilities.ts";
import { SysError } from "../kernel/errno.ts";
import { type ContainerContext, type ExitStatus, type Identity, type MemoryAccount, PROCESS_BYTES, Process } from "../kernel/process.ts";
import type { PidNamespace } from "../kernel/process-table.ts";
import { SIGKILL } from "../kernel/signals.ts";
import { ResourceUsage } from "../kernel/usage.ts";
import { PodNet } from "../net/pod-net.ts";
import { FileInode, type SpacePool } from "../vfs/inode.ts";
import type { MountTable, Place } from "../vfs/mounts.ts";
import { mountProc } from "../vfs/proc.ts";
import { resolveProgram } from "./exec-path.ts";
import { buildRootfs, type ContainerMount } from "./rootfs.ts";
import type { PodSandbox } from "./sandbox.ts";
import { Session } from "./session.ts";
import { type OutputListener, SessionOutput } from "./session-output.ts";
import { identityOf, type UserRequest } from "./user.ts";

export interface ContainerOptions {
  name: string;
  image: Image;
  /** Replaces the image's entry point. */
  command?: string[];
  /** Replaces the image's default command. */
  args?: string[];
  /** On top of the image's; later wins. */
  env: Record<string, string>;
  workingDir?: string;
  mounts: ContainerMount[];
  tty?: boolean;
  stdin?: boolean;
  stdinOnce?: boolean;
  user?: UserRequest;
  readOnlyRootFilesystem?: boolean;
  memoryLimitBytes?: number;
  /** What the node gives to this container's programs, over the sandbox's. */
  annex?: ReadonlyMap<string, unknown>;
  /** The disk on which the writable layer lies. */
  diskPool?: SpacePool;
}

export interface ContainerStats {
  /** Since the container was made, milliseconds of one core. */
  cpuMs: number;
  memoryBytes: number;
  memoryLimitBytes: number | undefined;
  processes: number;
  /** The writable layer. */
  rootfsBytes: number;
  rootfsInodes: number;
}

/** The container could not be started; `message` is the runtime's text as the kubelet shows it. */
export class StartError extends PodwireError {
  /** Exit code that the container's status gets: 127 not found, 126 not executable, 128 else. */
  readonly exitCode: number;
  constructor(message: string, exitCode: number) {
    super(message);
    this.exitCode = exitCode;
  }
}

const RUNC =
  "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: error during container init: ";

export interface ExecOptions {
  stdin?: boolean;
  tty?: boolean;
  user?: UserRequest;
  /** Default: the container's. */
  workingDir?: string;
}

export class Container {
  readonly sandbox: PodSandbox;
  readonly options: ContainerOptions;
  readonly mounts: MountTable;
  readonly context: ContainerContext;
  readonly memory: MemoryAccount;
  pids: PidNamespace | undefined;
  init: Process | undefined;
  startedMs = 0;
  finishedMs = 0;
  oomKilled = false;
  #session: Session | undefined;
  readonly #output = new SessionOutput();
  #exit: ExitStatus | undefined;
  #waiting: ((s: ExitStatus) => void)[] | undefined;

  constructor(sandbox: PodSandbox, o: ContainerOptions) {
    this.sandbox = sandbox;
    this.options = o;
    const { clock, random } = sandbox.options;
    const shm: ContainerMount = { mountPath: "/dev/shm", root: sandbox.sharedMemory.root, readOnly: false, source: "shm" };
    this.mounts = buildRootfs({
      image: o.image,
      now: sandbox.now,
      random,
      readOnly: o.readOnlyRootFilesystem ?? false,
      mounts: [shm, ...o.mounts],
      ...(o.diskPool === undefined ? {} : { pool: o.diskPool }),
    });
    this.memory = { limitBytes: o.memoryLimitBytes, usedBytes: 0, onExceeded: () => this.#oom() };
    this.context = {
      mounts: this.mounts,
      hostname: () => sandbox.options.hostname,
      ...(sandbox.options.sysctls ? { sysctls: sandbox.options.sysctls } : {}),
      net: new PodNet({ stack: sandbox.options.netns, clock, random, etc: (path) => this.#readText(path) }),
      clock,
      random,
      cpu: sandbox.cpu,
      machine: sandbox.machine,
      resolveProgram,
      memory: this.memory,
      usage: new ResourceUsage(clock),
      annex: o.annex ? new Map([...(sandbox.options.annex ?? []), ...o.annex]) : (sandbox.options.annex ?? NO_ANNEX),
      processes: new Set(),
    };
    mountProc(this.context, this);
  }

  get exit(): ExitStatus | undefined {
    return this.#exit;
  }
  get running(): boolean {
    return this.init !== undefined && this.#exit === undefined;
  }

  /** argv as an OCI runtime puts it together. */
  argv(): string[] {
    const { image, command, args } = this.options;
    const useImageCmd = command === undefined || command.length === 0;
    const entry = useImageCmd ? (image.entrypoint ?? []) : command;
    const rest = args !== undefined && args.length > 0 ? args : useImageCmd ? (image.cmd ?? []) : [];
    return [...entry, ...rest];
  }

  /** Starts the first process. Throws StartError. */
  start(pids?: PidNamespace): void {
    const argv = this.argv();
    if (argv.length === 0) throw new StartError(`failed to generate container spec: failed to generate spec: no command specified`, 128);
    this.pids = pids ?? this.sandbox.pidNamespace();
    const streams = { stdin: this.options.stdin ?? false, tty: this.options.tty ?? false };
    const session = this.#launch(argv, streams, StartErrorStyle.start, this.#output);
    this.#session = session;
    this.init = session.process;
    this.startedMs = this.sandbox.options.clock.nowMs();
    this.pids.onEnd(session.process, (p) => {
      for (const other of [...this.context.processes]) if (!other.ended) other.terminate({ code: 0, signal: SIGKILL });
      this.finishedMs = this.sandbox.options.clock.nowMs();
      this.#exit = p.status as ExitStatus;
      this.sandbox.containers.delete(this);
      for (const w of this.#waiting?.splice(0) ?? []) w(this.#exit);
    });
  }

  /** Runs one more process in the container. Throws StartError. */
  execute(argv: string[], o: ExecOptions = {}): Session {
    if (!this.running) throw new StartError("cannot exec in a stopped container", 128);
    return this.#launch(argv, o, StartErrorStyle.exec, new SessionOutput());
  }

  /** The first process's streams, for attach. */
  get session(): Session | undefined {
    return this.#session;
  }

  onOutput(cb: OutputListener): () => void {
    return this.#output.add(cb);
  }

  kill(signal: number): void {
    if (this.init && this.pids && this.running) {
      if (signal === SIGKILL) this.init.terminate({ code: 0, signal });
      else this.pids.deliver(this.init, signal, "outside");
    }
  }

  wait(): Promise<ExitStatus> {
    if (this.#exit) return Promise.resolve(this.#exit);
    return new Promise((resolve) => {
      this.#waiting ??= [];
      this.#waiting.push(resolve);
    });
  }

  /** What the container uses now, for /stats and metrics. */
  stats(): ContainerStats {
    let processes = 0;
    for (const p of this.context.processes) if (!p.ended) processes++;
    const fs = this.mounts.rootMount.root.fs;
    return {
      cpuMs: this.context.usage.cpuMs,
      memoryBytes: this.memory.usedBytes + processes * PROCESS_BYTES,
      memoryLimitBytes: this.memory.limitBytes,
      processes,
      rootfsBytes: Math.max(0, fs.usedBytes - fs.lowerBytes),
      rootfsInodes: fs.inodes,
    };
  }

  /** A file's text as root sees it; undefined when it cannot be read. */
  readFile(path: string): Uint8Array | undefined {
    try {
      const inode = this.mounts.resolve(this.mounts.root, path, { uid: 0, gid: 0, groups: [], override: true }).inode;
      return inode instanceof FileInode ? inode.view().slice() : undefined;
    } catch (e) {
      if (e instanceof SysError) return undefined;
      throw e;
    }
  }

  #readText(path: string): string {
    return Buffer.from(this.readFile(path) ?? []).toString("utf8");
  }

  #oom(): void {
    let worst: Process | undefined;
    for (const p of this.context.processes) if (!p.ended && (worst === undefined || p.memoryBytes > worst.memoryBytes)) worst = p;
    if (worst === undefined) return;
    this.oomKilled = true;
    // cgroup v2 with memory.oom.group, as the kubelet sets it: the whole container goes.
    this.kill(SIGKILL);
  }

  #launch(argv: string[], o: ExecOptions, style: (typeof StartErrorStyle)[keyof typeof StartErrorStyle], output: SessionOutput): Session {
    const pids = this.pids as PidNamespace;
    const identity = this.#identity(o.user ?? this.options.user);
    const env = this.#env(identity);
    const cwd = this.#workingDirectory(o.workingDir);
    const session = new Session({ stdin: o.stdin ?? false, tty: o.tty ?? false }, output);
    this.#checkExecutable(argv[0] as string, { env, cwd, identity }, style);
    return session.attach(pids.spawn(this.context, { program: executeArgv, argv, env, cwd, fds: session.fds, identity }));
  }

  /** What an OCI runtime checks before the process exists; asked by a process that is in no table. */
  #checkExecutable(
    name: string,
    o: { env: Map<string, string>; cwd: Place; identity: Identity },
    style: (name: string, e: SysError) => StartError,
  ): void {
    const asker = new Process({
      pid: 0,
      namespace: this.pids as PidNamespace,
      container: this.context,
      program: async () => 0,
      argv: [name],
      ...o,
    });
    try {
      resolveProgram(asker, name);
    } catch (e) {
      throw e instanceof SysError ? style(name, e) : e;
    }
  }

  #identity(user: UserRequest | undefined): Identity {
    return identityOf(user ?? {}, this.options.image.user, {
      passwd: this.#readText("/etc/passwd"),
      group: this.#readText("/etc/group"),
      defaultCaps: DEFAULT_CAPS,
    });
  }

  #env(identity: Identity): Map<string, string> {
    const env = new Map<string, string>([["PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]]);
    env.set("HOSTNAME", this.sandbox.options.hostname);
    for (const [k, v] of Object.entries(this.options.image.env ?? {})) env.set(k, v);
    for (const [k, v] of Object.entries(this.options.env)) env.set(k, v);
    if (this.options.tty) if (!env.has("TERM")) env.set("TERM", "xterm");
    if (!env.has("HOME")) env.set("HOME", homeOf(this.#readText("/etc/passwd"), identity.uid));
    return env;
  }

  #workingDirectory(asked: string | undefined): Place {
    const path = asked ?? this.options.workingDir ?? this.options.image.workingDir ?? "/";
    const root = { uid: 0, gid: 0, groups: [], override: true };
    const at = this.mounts.walk(this.mounts.root, path === "" ? "/" : path, root);
    if (at.place === undefined) {
      let made = "";
      for (const part of path.split("/").filter((x) => x !== "")) {
        made += `/${part}`;
        if (this.mounts.walk(this.mounts.root, made, root).place === undefined) this.mounts.mkdir(this.mounts.root, made, root, 0o755);
      }
    }
    return this.mounts.resolve(this.mounts.root, path === "" ? "/" : path, root);
  }
}

function homeOf(passwd: string, uid: number): string {
  for (const line of passwd.split("\n")) {
    const f = line.split(":");
    if (f[2] === String(uid) && f[5]) return f[5];
  }
  return uid === 0 ? "/root" : "/";
}

const StartErrorStyle = {
  start: (name: string, e: SysError) =>
    new StartError(`${RUNC}${execMessage(name, e)}: unknown`, e.code === "ENOENT" ? 127 : e.code === "EACCES" ? 126 : 128),
  exec: (name: string, e: SysError) =>
    new StartError(
      `failed to exec in container: failed to start exec "${name}": OCI runtime exec failed: exec failed: unable to start container process: ${execMessage(name, e)}: unknown`,
      e.code === "ENOENT" ? 127 : e.code === "EACCES" ? 126 : 128,
    ),
};

function execMessage(name: string, e: SysError): string {
  if (e.code === "ENOENT")
    return name.includes("/")
      ? `exec: "${name}": stat ${name}: no such file or directory`
      : `exec: "${name}": executable file not found in $PATH`;
  if (e.code === "EACCES") return `exec: "${name}": permission denied`;
  if (e.code === "ENOEXEC") return `exec ${name}: exec format error`;
  return `exec: "${name}": ${e.message.toLowerCase()}`;
}

const NO_ANNEX: ReadonlyMap<string, unknown> = new Map();

/** execve(2) of the process's own arguments. */
async function executeArgv(p: Process): Promise<number> {
  const r = p.container.resolveProgram(p, p.argv[0] as string);
  p.exe = r.path;
  if (r.argvPrefix.length > 0) p.argv = [...r.argvPrefix, ...p.argv.slice(1)];
  return r.program(p);
}
