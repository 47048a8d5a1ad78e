// A PID namespace (pid_namespaces(7)): one a container, one a pod when the processes are shared.
// Invariant: a pid names at most one process, living or zombie; PID 1's death kills everything else; orphans go to PID 1;
// inside the namespace PID 1 receives only signals that it handles, and from outside besides only KILL and STOP.
import { SysError, strerror } from "./errno.ts";
import { type ContainerContext, ExitRequest, PIDS_LIMIT, Process, ProcessEnded, type SpawnOptions } from "./process.ts";
import { SIGCHLD, SIGCONT, SIGKILL, SIGPIPE, SIGSTOP } from "./signals.ts";

const PID_MAX = 4_194_304;

export class PidNamespace {
  readonly processes = new Map<number, Process>();
  #next = 1;
  /** A program threw something that is no system call error: a bug of the image, told to the node's log. */
  readonly onProgramError: (p: Process, error: unknown) => void;

  constructor(onProgramError: (p: Process, error: unknown) => void) {
    this.onProgramError = onProgramError;
  }

  /** The newest process's. */
  get lastPid(): number {
    return this.#next - 1;
  }

  get init(): Process | undefined {
    return this.processes.get(1);
  }

  /** Starts a process. Without a parent it is a container's first, or one that was brought in by exec. */
  spawn(container: ContainerContext, o: SpawnOptions, parent?: Process): Process {
    if (container.processes.size >= PIDS_LIMIT) throw new SysError("EAGAIN");
    const pid = this.#freePid();
    const p = new Process({ ...o, pid, namespace: this, container, ...(parent ? { parent } : {}) });
    this.processes.set(pid, p);
    container.processes.add(p);
    parent?.adopt(p);
    void this.#run(p, o);
    return p;
  }

  async #run(p: Process, o: SpawnOptions): Promise<void> {
    try {
      await Promise.resolve();
      const code = await o.program(p);
      p.terminate({ code: code & 0xff, signal: 0 });
    } catch (e) {
      if (p.ended || e instanceof ProcessEnded) return;
      if (e instanceof ExitRequest) return p.terminate({ code: e.code, signal: 0 });
      if (!(e instanceof SysError)) this.onProgramError(p, e);
      try {
        if (!(e instanceof SysError && e.code === "EPIPE"))
          await p.write(2, `${p.name}: ${e instanceof SysError && e.path !== undefined ? `${e.path}: ` : ""}${strerror(e)}\n`);
      } catch {
        // Standard error is closed: there is nobody to tell.
      }
      p.terminate({ code: 1, signal: 0 });
    }
  }

  #freePid(): number {
    for (let tries = 0; tries < PID_MAX; tries++) {
      const pid = this.#next;
      this.#next = this.#next >= PID_MAX ? 300 : this.#next + 1;
      if (!this.processes.has(pid)) return pid;
    }
    throw new SysError("EAGAIN");
  }

  /** Calls back when the process has ended (its status is set). */
  onEnd(p: Process, cb: (p: Process) => void): void {
    p.whenEnded(cb);
  }

  /** Called by Process.terminate, once. */
  exited(p: Process): void {
    const init = this.init;
    for (const child of [...p.children]) {
      p.disown(child);
      child.parent = p === init ? undefined : init;
      child.ppid = child.parent?.pid ?? 0;
      if (child.parent) {
        child.parent.adopt(child);
        if (child.ended) child.parent.childEnded();
      }
    }
    if (p === init) for (const other of [...this.processes.values()]) if (other !== p) other.terminate({ code: 0, signal: SIGKILL });
    const parent = p.parent;
    if (parent === undefined || parent.ended || parent.disposition(SIGCHLD) === "ignore") this.reap(p);
    else parent.childEnded();
  }

  /** Removes a zombie. */
  reap(p: Process): void {
    this.processes.delete(p.pid);
    p.container.processes.delete(p);
    p.parent?.disown(p);
  }

  /** kill(2): pid > 0 one process, 0 the caller's group, -1 all but PID 1 and the caller, < -1 a group. */
  kill(from: Process, pid: number, signal: number): void {
    const targets =
      pid > 0
        ? [this.processes.get(pid)].filter((p) => p !== undefined)
        : [...this.processes.values()].filter((p) => (pid === -1 ? p.pid !== 1 && p !== from : p.pgid === (pid === 0 ? from.pgid : -pid)));
    if (targets.length === 0) throw new SysError("ESRCH");
    const allowed = targets.filter((t) => mayKill(from, t, signal));
    if (allowed.length === 0) throw new SysError("EPERM");
    if (signal === 0) return;
    for (const t of allowed) this.deliver(t, signal, "inside");
  }

  /** A signal from inside the namespace, or from the node ("outside"). */
  deliver(p: Process, signal: number, from: "inside" | "outside" = "inside"): void {
    if (p.ended) return;
    if (p.pid === 1 && typeof p.disposition(signal) !== "function" && signal !== SIGCONT) {
      const forced = from === "outside" && (signal === SIGKILL || signal === SIGSTOP);
      const own = signal === SIGPIPE && from === "inside";
      if (!forced && !own) return;
      if (own) return;
    }
    p.take(signal);
  }
}

function mayKill(from: Process, target: Process, signal: number): boolean {
  if (from.identity.uid === 0 && from.identity.caps.has("KILL")) return true;
  if (from.identity.uid === target.identity.uid) return true;
  return signal === SIGCONT && from.sid === target.sid;
}
