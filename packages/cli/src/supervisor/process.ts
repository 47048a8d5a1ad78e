// One process of the cluster: started, logged, stopped, and started again when it may be. Invariant: at most one process of a
// name runs at a time, and the guardian knows its group for as long as it runs.
import { type Clock, PodwireError, type Timer } from "@podwire/base";
import { execa, type ResultPromise } from "execa";
import { afterDeath, type Lives } from "./back-off.ts";
import type { Guardian } from "./guardian.ts";
import type { LogFile, LogLine } from "./log-files.ts";

/** After SIGTERM a process has this long until SIGKILL. */
export const STOP_GRACE_MS = 5_000;

export type ProcessKind = "nats" | "control-plane" | "edge" | "node";

export interface ProcessSpec {
  name: string;
  kind: ProcessKind;
  file: string;
  args: readonly string[];
  env: Readonly<Record<string, string>>;
}

export type ProcessState = "starting" | "running" | "waiting" | "stopped" | "killed";

export interface ProcessStatus {
  name: string;
  kind: ProcessKind;
  state: ProcessState;
  pid: number | undefined;
  restarts: number;
  startedMs: number | undefined;
  /** "exit code 1", "signal SIGKILL"; of the last life that ended. */
  lastExit: string | undefined;
}

export interface ProcessSurroundings {
  clock: Clock;
  guardian: Guardian;
  log: LogFile;
  onLine(line: LogLine): void;
  onChange(): void;
}

export class ManagedProcess {
  spec: ProcessSpec;
  private readonly around: ProcessSurroundings;
  private child: ResultPromise<{ buffer: false; reject: false }> | undefined;
  private state: ProcessState = "stopped";
  private lives: Lives = { quickDeaths: 0 };
  private restarts = 0;
  private startedMs: number | undefined;
  private lastExit: string | undefined;
  private retry: Timer | undefined;
  private ended: Promise<void> = Promise.resolve();
  /** Its last line of output, for whoever explains its end. */
  lastWords = "";

  constructor(spec: ProcessSpec, around: ProcessSurroundings) {
    this.spec = spec;
    this.around = around;
  }

  status(): ProcessStatus {
    const { name, kind } = this.spec;
    const { state, restarts, startedMs, lastExit } = this;
    return { name, kind, state, pid: this.child?.pid, restarts, startedMs, lastExit };
  }

  start(): void {
    if (this.child) return;
    this.retry?.cancel();
    const { clock, guardian } = this.around;
    const child = execa(this.spec.file, [...this.spec.args], {
      env: { ...this.spec.env },
      detached: true, // Its own process group: Ctrl-C reaches only the supervisor, and a signal to the group reaches its children.
      cleanup: false,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      buffer: false,
      reject: false,
    }) as unknown as ResultPromise<{ buffer: false; reject: false }>;
    this.child = child;
    this.startedMs = clock.nowMs();
    const bornMs = clock.monotonicMs();
    if (child.pid !== undefined) guardian.watch(child.pid);
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8");
      stream?.on("data", (text: string) => {
        for (const line of this.around.log.write(text)) {
          this.lastWords = line.msg ?? this.lastWords;
          this.around.onLine(line);
        }
      });
    }
    this.set("running");
    this.ended = child.then((result: { exitCode?: number; signal?: string; message?: string }) => {
      if (child.pid !== undefined) guardian.forget(child.pid);
      this.child = undefined;
      this.onEnd(result, clock.monotonicMs() - bornMs);
    });
  }

  private onEnd(result: { exitCode?: number; signal?: string; message?: string }, lifeMs: number): void {
    const { exitCode, signal } = result;
    this.lastExit = signal ? `signal ${signal}` : exitCode !== undefined ? `exit code ${exitCode}` : (result.message ?? "did not start");
    if (this.state === "stopped" || this.state === "killed") {
      this.around.onChange();
      return;
    }
    // A node that a signal ended had its power cut, by whoever sent it: it stays off until somebody turns it on.
    if (this.spec.kind === "node" && signal) {
      this.set("killed");
      return;
    }
    const { lives, delayMs } = afterDeath(this.lives, lifeMs);
    this.lives = lives;
    this.around.onLine(
      this.around.log.line(JSON.stringify({ level: 50, msg: `ended (${this.lastExit}); starting again in ${delayMs} ms` })),
    );
    this.set("waiting");
    this.retry = this.around.clock.after(delayMs, () => {
      this.restarts++;
      this.start();
    });
  }

  /** SIGTERM, then SIGKILL after the grace. Resolves when the process is gone. */
  async stop(graceMs = STOP_GRACE_MS): Promise<void> {
    this.retry?.cancel();
    this.set("stopped");
    if (!this.child) return;
    this.signal("SIGTERM");
    const timer = this.around.clock.after(graceMs, () => this.signal("SIGKILL"));
    await this.ended;
    timer.cancel();
  }

  /** A power cut: SIGKILL to the whole group, and no restart. */
  async kill(): Promise<void> {
    this.retry?.cancel();
    this.set("killed");
    this.signal("SIGKILL");
    await this.ended;
  }

  /** To the process alone (nats-server reads its configuration again on SIGHUP). */
  hangUp(): void {
    if (this.child?.pid === undefined) throw new PodwireError(`${this.spec.name} is not running`);
    process.kill(this.child.pid, "SIGHUP");
  }

  private signal(signal: NodeJS.Signals): void {
    if (this.child?.pid === undefined) return;
    try {
      process.kill(-this.child.pid, signal);
    } catch (e) {
      if ((e as NodeJS.ErrnoException).code !== "ESRCH") throw e; // It ended by itself meanwhile.
    }
  }

  private set(state: ProcessState): void {
    this.state = state;
    this.around.onChange();
  }
}
