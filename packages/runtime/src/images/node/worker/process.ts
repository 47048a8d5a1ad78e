// The `process` of a user's program: the pod's arguments, environment, working directory, streams, signals and end.
import { Console } from "node:console";
import { EventEmitter } from "node:events";
import os, { constants, type NetworkInterfaceInfo } from "node:os";
import { Readable, Writable } from "node:stream";
import { ask, call, hold, on, send, start } from "./channel.ts";

const real = process;

class Output extends Writable {
  readonly fd: number;
  readonly isTTY = false;
  readonly columns = 80;
  constructor(fd: number) {
    super({ decodeStrings: true });
    this.fd = fd;
  }
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    send({ t: "out", fd: this.fd, bytes: Uint8Array.from(chunk) });
    done();
  }
}

class Input extends Readable {
  readonly fd = 0;
  readonly isTTY = false;
  #asked = false;
  override _read(): void {
    if (this.#asked) return;
    this.#asked = true;
    hold(1);
    on("stdin", (m) => {
      if (m.bytes === undefined) hold(-1);
      this.push(m.bytes === undefined ? null : Buffer.from(m.bytes));
    });
    send({ t: "stdin", on: true });
  }
}

const SIGNALS = constants.signals as { [name: string]: number };
const startedSeconds = process.uptime();
let cwd = start.cwd;
let inputStream: Input | undefined;

const stdout = new Output(1);
const stderr = new Output(2);

/** Signals have the program's own handlers; everything else is the thread's process object. */
const signals = new EventEmitter();
on("signal", (m) => void signals.emit(m.name, m.name, m.signal));

const listens = (name: string) => {
  if (name in SIGNALS) send({ t: "listen-signal", signal: SIGNALS[name] as number, on: signals.listenerCount(name) > 0 });
};

function exit(code?: number | string): never {
  const status = Number(code ?? podProcess.exitCode ?? 0) & 0xff;
  podProcess.exitCode = status;
  real.emit("exit", status);
  send({ t: "exit", code: status });
  // The process ends this thread; nothing of the program runs any more.
  for (;;) Atomics.wait(start.flag, 0, Atomics.load(start.flag, 0));
}

const own: { [name: string]: unknown } = {
  argv: start.argv,
  argv0: "node",
  execPath: "/usr/local/bin/node",
  execArgv: [],
  title: "node",
  env: { ...start.env },
  pid: start.pid,
  ppid: start.ppid,
  platform: "linux",
  exitCode: undefined,
  stdout,
  stderr,
  get stdin() {
    inputStream ??= new Input();
    return inputStream;
  },
  cwd: () => cwd,
  chdir: (path: string) => {
    cwd = ask("chdir", [path]) as string;
  },
  exit,
  reallyExit: exit,
  abort: () => exit(134),
  kill: (pid: number, signal: string | number = "SIGTERM") => {
    void call("kill", [pid, typeof signal === "number" ? signal : (SIGNALS[signal] ?? 15)]);
    return true;
  },
  uptime: () => real.uptime() - startedSeconds,
  umask: (mask?: number) => ask("umask", [mask]) as number,
  getuid: () => start.uid,
  geteuid: () => start.uid,
  getgid: () => start.gid,
  getegid: () => start.gid,
  getgroups: () => [start.gid],
  binding: undefined,
  dlopen: undefined,
  getBuiltinModule: undefined,
};

const SUBSCRIBE = ["on", "once", "addListener", "prependListener", "prependOnceListener"];
const UNSUBSCRIBE = ["off", "removeListener", "removeAllListeners"];
for (const method of [...SUBSCRIBE, ...UNSUBSCRIBE])
  own[method] = (name: string, ...rest: unknown[]) => {
    const target = name in SIGNALS ? signals : real;
    (target as unknown as { [m: string]: (...a: unknown[]) => unknown })[method]?.(name, ...rest);
    if (target === signals) listens(name);
    return podProcess;
  };
own["emit"] = (name: string, ...rest: unknown[]) => (name in SIGNALS ? signals : real).emit(name as never, ...(rest as never[]));
own["listenerCount"] = (name: string) => (name in SIGNALS ? signals : real).listenerCount(name as never);

export const podProcess: { exitCode: number | undefined; [name: string]: unknown } = Object.create(
  real,
  Object.fromEntries(
    Object.entries(Object.getOwnPropertyDescriptors(own)).map(([k, d]) => [
      k,
      { ...d, configurable: true, ...("value" in d ? { writable: true } : {}) },
    ]),
  ),
);

export function installProcess(): void {
  Object.defineProperty(globalThis, "process", { value: podProcess, configurable: true, writable: true });
  globalThis.console = new Console({ stdout, stderr });
  // The program's own end of all work.
  real.on("exit", (code) => send({ t: "exit", code: podProcess.exitCode ?? code ?? 0 }));
}

/** node:os of the pod. */
export const podOs = {
  ...os,
  hostname: () => start.hostname,
  platform: () => "linux",
  type: () => "Linux",
  homedir: () => start.env["HOME"] ?? "/root",
  tmpdir: () => start.env["TMPDIR"] ?? "/tmp",
  userInfo: () => ({
    uid: start.uid,
    gid: start.gid,
    username: start.env["USER"] ?? "root",
    homedir: start.env["HOME"] ?? "/root",
    shell: "/bin/sh",
  }),
  networkInterfaces: () => {
    const of = (address: string, internal: boolean): NetworkInterfaceInfo => ({
      address,
      netmask: internal ? "255.0.0.0" : "255.255.255.0",
      family: "IPv4",
      mac: "00:00:00:00:00:00",
      internal,
      cidr: `${address}/${internal ? 8 : 24}`,
    });
    return { lo: [of("127.0.0.1", true)], eth0: start.addresses.map((a) => of(a, false)) };
  },
};
