// Job control at a terminal (POSIX 2.9.3.1, termios): a foreground job is a process group of its own that owns the terminal until it
// ends or stops; Ctrl-C that ends it ends what the shell was doing, too.
// Invariant: when a foreground job is over, the terminal belongs to the shell's group again.
import { PodwireError } from "@podwire/base";
import type { ExitStatus, Process } from "../kernel/process.ts";
import { SIGINT, SIGTSTP, signalDescription } from "../kernel/signals.ts";
import type { Node } from "./ast.ts";
import type { Shell } from "./shell.ts";

/** Ctrl-C: the command line is given up. */
export class ShellInterrupt extends PodwireError {
  constructor() {
    super("interrupted");
  }
}

const SIGPIPE = 13;

/** Waits for children of one command; answers the last one's status, and says how it died when a signal killed it. */
export async function foreground(sh: Shell, children: readonly Process[], node?: Node): Promise<ExitStatus[]> {
  const leader = children[0] as Process;
  const { terminal } = sh;
  if (terminal !== undefined) {
    for (const c of children) c.pgid = leader.pid;
    terminal.foregroundGroup = leader.pid;
  }
  try {
    const out: ExitStatus[] = [];
    for (const c of children) {
      while (terminal !== undefined && !c.ended && !c.stopped) await sh.p.block((wake) => sh.p.childChanged.add(wake));
      if (!c.ended && c.stopped) return [...out, await stopped(sh, c, node)];
      out.push(await sh.wait(c));
    }
    await tell(sh, out.at(-1) as ExitStatus);
    return out;
  } finally {
    if (terminal !== undefined) terminal.foregroundGroup = sh.p.pgid;
  }
}

async function stopped(sh: Shell, c: Process, node: Node | undefined): Promise<ExitStatus> {
  const job = sh.jobs.all().find((j) => j.process === c) ?? sh.jobs.add(c, node ?? { t: "seq", list: [] });
  await sh.p.print(`\n${sh.jobs.line(job)}`);
  return { code: 128 + SIGTSTP, signal: 0 };
}

async function tell(sh: Shell, s: ExitStatus): Promise<void> {
  if (s.signal === SIGINT && sh.terminal !== undefined) throw new ShellInterrupt();
  if (s.signal !== 0 && s.signal !== SIGPIPE && s.signal !== SIGINT) await sh.writeError(`${signalDescription(s.signal)}\n`);
}

/** fg: the job goes on, with the terminal. */
export async function resume(sh: Shell, job: { process: Process }): Promise<ExitStatus> {
  const { terminal } = sh;
  if (terminal !== undefined) terminal.foregroundGroup = job.process.pgid;
  continueJob(sh, job);
  try {
    while (!job.process.ended && !job.process.stopped) await sh.p.block((wake) => sh.p.childChanged.add(wake));
    if (!job.process.ended) return await stopped(sh, job.process, undefined);
    const status = await sh.wait(job.process);
    sh.jobs.remove(job as never);
    await tell(sh, status);
    return status;
  } finally {
    if (terminal !== undefined) terminal.foregroundGroup = sh.p.pgid;
  }
}

export function continueJob(sh: Shell, job: { process: Process }): void {
  const { pgid, pid } = job.process;
  if (job.process.stopped) sh.p.kill(pgid === pid || pgid !== sh.p.pgid ? -pgid : pid, 18);
}
