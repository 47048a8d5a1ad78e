// podwire up: a cluster in the foreground (this process is its supervisor) or, with -d, in the background (a detached copy of this
// command is, and this one shows its progress until the cluster is up).
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { reasonOf } from "@podwire/base";
import { obtainNatsServer } from "@podwire/bus";
import type { ApiClient } from "@podwire/client";
import { type Context, folderOf, type GlobalOptions } from "../context.ts";
import { ProcessFailedError, UsageError } from "../errors.ts";
import type { ClusterFolder } from "../state/cluster-folder.ts";
import { bringUp } from "../supervisor/bring-up.ts";
import { ARG_COMPONENTS, REPLACEABLE } from "../supervisor/components.ts";
import { statusIfRunning } from "../supervisor/control.ts";
import { DUAL_STACK } from "../supervisor/dual-stack.ts";
import type { LogLine } from "../supervisor/log-files.ts";
import { Supervisor, type UpRequest } from "../supervisor/supervisor.ts";
import { renderLogLine } from "../terminal/log-lines.ts";
import { type Progress, progressOn } from "../terminal/progress.ts";
import { paint } from "../terminal/terminal.ts";

export interface UpOptions extends GlobalOptions {
  detach: boolean;
  reset: boolean;
  nodes: number | undefined;
  apiPort: number | undefined;
  arg: string[];
  without: string | undefined;
  dualStack: boolean;
  v: string;
}

/** What happens between "the cluster is up" and "streaming logs": nothing, or the demo. */
export type WhenUp = (api: ApiClient, progress: Progress) => Promise<void>;

export async function up(c: Context, o: UpOptions, whenUp?: WhenUp): Promise<void> {
  const folder = folderOf(c, o);
  const request = requestOf(o);
  const running = await statusIfRunning(folder.socket, folder.name);
  if (running) {
    const nodes = running.nodes.length;
    c.terminal.err(`cluster ${folder.name} is already running (supervisor pid ${running.pid}, ${nodes} nodes, ${running.apiUrl})`);
    c.terminal.err("change it with: podwire nodes add|rm; stop it with: podwire down");
    return printExport(c, folder);
  }
  if (o.reset) folder.remove();
  if (o.detach) return upInBackground(c, folder, o);
  await upInForeground(c, folder, o, request, whenUp);
}

/** Checks what was asked for before anything starts. */
export function requestOf(o: Pick<UpOptions, "nodes" | "apiPort" | "arg" | "without" | "dualStack">): UpRequest {
  const args: Record<string, string[]> = {};
  for (const text of [...(o.dualStack ? DUAL_STACK : []), ...o.arg]) {
    const m = /^([a-z0-9][a-z0-9.-]*)=(--?[^\s=]+(?:=.*)?)$/s.exec(text);
    if (!m) throw new UsageError(`--arg ${JSON.stringify(text)}: write component=--flag=value (components: ${ARG_COMPONENTS.join(", ")})`);
    (args[m[1] as string] ??= []).push(m[2] as string);
  }
  const known = (name: string) => (ARG_COMPONENTS as readonly string[]).includes(name) || name.startsWith("node-");
  const unknown = Object.keys(args).filter((name) => !known(name));
  if (unknown.length > 0) throw new UsageError(`--arg: no component named ${unknown.join(", ")} (there are ${ARG_COMPONENTS.join(", ")})`);
  return { nodes: o.nodes, apiPort: o.apiPort, args, without: o.without === undefined ? undefined : componentsOf(o.without) };
}

/** "controller-manager,scheduler", or "none". */
function componentsOf(text: string): string[] {
  const names = text === "none" ? [] : text.split(",").map((n) => n.trim());
  const unknown = names.filter((n) => !(REPLACEABLE as readonly string[]).includes(n));
  if (unknown.length > 0)
    throw new UsageError(`--without: ${unknown.join(", ")} cannot be replaced (${REPLACEABLE.join(", ")} can; none starts all again)`);
  return names;
}

export function supervisorFor(c: Context, folder: ClusterFolder, logLevel: string, onLine: (line: LogLine) => void): Supervisor {
  const { installation, clock, random, env } = c;
  return new Supervisor({
    folder,
    installation,
    clock,
    random,
    env,
    logLevel,
    natsServer: (say) => obtainNatsServer({ env, cacheDir: join(c.installation.root, ".cache", "nats"), clock, onProgress: say }),
    onLine,
  });
}

async function upInForeground(c: Context, folder: ClusterFolder, o: UpOptions, request: UpRequest, whenUp?: WhenUp): Promise<void> {
  const { terminal, clock, signal } = c;
  let streaming = false;
  const supervisor = supervisorFor(c, folder, o.v, (line) => {
    if (streaming) terminal.out(renderLogLine(line, terminal.outColour));
  });
  const progress = progressOn(terminal, clock);
  const stopped = new Promise<void>((resolve) => {
    supervisor.onDown = () => resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
  const starting = (async () => {
    const api = await bringUp({ supervisor, folder, request, progress, clock });
    await whenUp?.(api, progress);
    printExport(c, folder);
    terminal.err(paint(terminal.errColour, "dim", "Logs of all components follow; Ctrl-C stops the cluster."));
    streaming = true;
  })();
  starting.catch(() => undefined); // Awaited below; a stop during the start must not leave it unhandled.
  try {
    await Promise.race([starting, stopped]);
    await stopped;
  } finally {
    streaming = false;
    if (terminal.live) terminal.raw("\r\x1b[2K");
    await progress.phase("Stopping the cluster", () => supervisor.stop());
  }
}

/** Messages of a supervisor in the background to the command that started it. */
export type Announcement =
  | { type: "phase"; id: number; title: string }
  | { type: "title"; id: number; title: string }
  | { type: "end"; id: number; ok: boolean }
  | { type: "up" }
  | { type: "failed"; message: string; next?: string };

async function upInBackground(c: Context, folder: ClusterFolder, o: UpOptions): Promise<void> {
  folder.create();
  const log = openSync(folder.file("logs", "supervisor.out"), "w", 0o600);
  const args = ["supervise", `--name=${o.name}`, `--v=${o.v}`, ...o.arg.map((a) => `--arg=${a}`)];
  if (o.without !== undefined) args.push(`--without=${o.without}`);
  if (o.dualStack) args.push("--dual-stack");
  if (o.nodes !== undefined) args.push(`--nodes=${o.nodes}`);
  if (o.apiPort !== undefined) args.push(`--api-port=${o.apiPort}`);
  const child = spawn(c.installation.node, [c.installation.programOf("cli"), ...args], {
    detached: true,
    stdio: ["ignore", log, log, "ipc"],
    env: { ...c.env, PODWIRE_HOME: c.home },
    cwd: c.installation.root,
  });
  closeSync(log);
  const progress = progressOn(c.terminal, c.clock);
  const phases = new Map<number, { rename(title: string): void; end(ok: boolean): void }>();
  const onAbort = () => child.disconnect();
  c.signal.addEventListener("abort", onAbort, { once: true });
  await new Promise<void>((resolve, reject) => {
    child.on("message", (m: Announcement) => {
      if (m.type === "phase")
        progress
          .phase(m.title, (rename) => new Promise<void>((done, fail) => phases.set(m.id, { rename, end: (ok) => (ok ? done() : fail()) })))
          .catch(() => undefined); // The failure itself comes as a message of its own.
      else if (m.type === "title") phases.get(m.id)?.rename(m.title);
      else if (m.type === "end") phases.get(m.id)?.end(m.ok);
      else if (m.type === "up") resolve();
      else reject(new ProcessFailedError(m.message, m.next ? { next: m.next } : {}));
    });
    child.on("exit", (code, signal) =>
      reject(
        new ProcessFailedError(`the supervisor ended (${signal ?? `exit code ${code}`})`, {
          next: `cat ${folder.file("logs", "supervisor.out")}`,
        }),
      ),
    );
    child.on("error", reject);
  });
  c.signal.removeEventListener("abort", onAbort);
  child.removeAllListeners();
  child.disconnect();
  child.unref();
  printExport(c, folder);
}

/** podwire supervise: the background half of `up -d`. It lives until `down`, a signal, or the loss of its starter while starting. */
export async function supervise(c: Context, o: UpOptions): Promise<void> {
  const folder = folderOf(c, o);
  const send = (m: Announcement) => process.connected && process.send?.(m);
  const supervisor = supervisorFor(c, folder, o.v, () => undefined);
  let isUp = false;
  const stopped = new Promise<void>((resolve) => {
    supervisor.onDown = () => resolve();
    c.signal.addEventListener("abort", () => resolve(), { once: true });
    process.on("disconnect", () => {
      if (!isUp) resolve();
    });
  });
  let phases = 0;
  const progress: Progress = {
    async phase(title, work) {
      const id = phases++;
      send({ type: "phase", id, title });
      try {
        const value = await work((to) => send({ type: "title", id, title: to }));
        send({ type: "end", id, ok: true });
        return value;
      } catch (e) {
        send({ type: "end", id, ok: false });
        throw e;
      }
    },
  };
  const starting = bringUp({ supervisor, folder, request: requestOf(o), progress, clock: c.clock }).then(() => {
    isUp = true;
    send({ type: "up" });
  });
  starting.catch(() => undefined);
  try {
    await Promise.race([starting, stopped]);
    await stopped;
  } catch (e) {
    await supervisor.stop(); // First: whoever hears of the failure may rely on nothing being left.
    const next = (e as { next?: string }).next;
    send({ type: "failed", message: reasonOf(e), ...(next ? { next } : {}) });
    throw e;
  }
  await supervisor.stop();
}

function printExport(c: Context, folder: ClusterFolder): void {
  for (const name of folder.read().without) c.terminal.err(`no ${name}: start yours with ${folder.kubeconfigOf(name)}`);
  c.terminal.out(`export KUBECONFIG=${folder.kubeconfig}`);
}
