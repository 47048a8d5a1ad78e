// Builtins about processes and the shell's own surroundings: cd, pwd, umask, ulimit, kill, jobs, wait, fg, bg.
import { SysError, strerror } from "../../kernel/errno.ts";
import { signalName, signalNumber } from "../../kernel/signals.ts";
import { continueJob, resume } from "../foreground.ts";
import type { Job } from "../jobs.ts";
import { type Shell, statusOf } from "../shell.ts";
import { ShellError } from "../shell-error.ts";

export async function cd(sh: Shell, argv: string[]): Promise<number> {
  let args = argv.slice(1);
  let physical = false;
  while (args[0] !== undefined && /^-[LP]+$/.test(args[0])) {
    physical = args[0].endsWith("P");
    args = args.slice(1);
  }
  if (args[0] === "--") args = args.slice(1);
  let dest = args[0];
  let show = false;
  if (dest === undefined) {
    dest = sh.vars.get("HOME");
    if (dest === undefined || dest === "") return 0;
  } else if (dest === "-") {
    dest = sh.vars.get("OLDPWD") ?? "";
    show = true;
    if (dest === "") dest = ".";
  }
  const candidates = [dest];
  const cdpath = sh.vars.get("CDPATH");
  if (cdpath && !/^(\/|\.\.?(\/|$))/.test(dest))
    candidates.unshift(...cdpath.split(":").map((d) => (d === "" ? (dest as string) : `${d}/${dest}`)));
  const before = sh.p.cwdPath;
  let problem: unknown;
  for (const c of candidates) {
    try {
      sh.p.fs.chdir(c === "" ? "." : c);
      const old = sh.vars.get("PWD") ?? before;
      sh.set("OLDPWD", old);
      const now = physical ? sh.p.cwdPath : logical(old, c, sh.p.cwdPath);
      sh.set("PWD", now);
      if (show || c !== dest) await sh.p.print(`${now}\n`);
      return 0;
    } catch (e) {
      if (!(e instanceof SysError)) throw e;
      problem = e;
    }
  }
  await sh.error(`cd: line 0: can't cd to ${dest}: ${strerror(problem)}`);
  return 2;
}

/** The path as the user went, with "." and ".." taken out of the text. */
function logical(pwd: string, dest: string, physical: string): string {
  const parts = (dest.startsWith("/") ? dest : `${pwd}/${dest}`).split("/");
  const out: string[] = [];
  for (const part of parts) {
    if (part === "" || part === ".") continue;
    if (part === "..") out.pop();
    else out.push(part);
  }
  return out.length === 0 ? "/" : physical === "/" && out.length > 0 ? `/${out.join("/")}` : `/${out.join("/")}`;
}

export async function pwd(sh: Shell, argv: string[]): Promise<number> {
  const path = sh.vars.get("PWD");
  await sh.p.print(`${argv.includes("-P") || path === undefined ? sh.p.cwdPath : path}\n`);
  return 0;
}

export async function umask(sh: Shell, argv: string[]): Promise<number> {
  let args = argv.slice(1);
  const symbolic = args[0] === "-S";
  if (symbolic) args = args.slice(1);
  const mode = args[0];
  if (mode === undefined) {
    if (!symbolic) await sh.p.print(`${sh.p.umask.toString(8).padStart(4, "0")}\n`);
    else {
      const bits = (shift: number) =>
        [
          [4, "r"],
          [2, "w"],
          [1, "x"],
        ]
          .map(([b, l]) => ((~sh.p.umask >> shift) & (b as number) ? l : ""))
          .join("");
      await sh.p.print(`u=${bits(6)},g=${bits(3)},o=${bits(0)}\n`);
    }
    return 0;
  }
  if (/^[0-7]{1,4}$/.test(mode)) {
    sh.p.umask = Number.parseInt(mode, 8) & 0o777;
    return 0;
  }
  if (/^\d/.test(mode)) {
    await sh.error(`umask: line 0: illegal mode: ${mode}`);
    return 2;
  }
  let allowed = ~sh.p.umask & 0o777;
  for (const clause of mode.split(",")) {
    const m = /^([ugoa]*)([-+=])([rwx]*)$/.exec(clause);
    if (!m) {
      await sh.error(`umask: line 0: illegal mode: ${mode}`);
      return 1;
    }
    const who = m[1] === "" || m[1]?.includes("a") ? "ugo" : (m[1] as string);
    let bits = 0;
    for (const p of m[3] as string) bits |= p === "r" ? 4 : p === "w" ? 2 : 1;
    for (const [letter, shift] of [
      ["u", 6],
      ["g", 3],
      ["o", 0],
    ] as const) {
      if (!who.includes(letter)) continue;
      const b = bits << shift;
      if (m[2] === "+") allowed |= b;
      else if (m[2] === "-") allowed &= ~b;
      else allowed = (allowed & ~(7 << shift)) | b;
    }
  }
  sh.p.umask = ~allowed & 0o777;
  return 0;
}

const LIMITS: readonly [string, string, string][] = [
  ["-t", "cpu time (seconds)", "unlimited"],
  ["-f", "file size (blocks)", "unlimited"],
  ["-d", "data seg size (kb)", "unlimited"],
  ["-s", "stack size (kb)", "8192"],
  ["-c", "core file size (blocks)", "0"],
  ["-m", "resident set size (kb)", "unlimited"],
  ["-l", "locked memory (kb)", "64"],
  ["-p", "processes", "4096"],
  ["-n", "file descriptors", "1048576"],
  ["-v", "address space (kb)", "unlimited"],
  ["-w", "locks", "unlimited"],
  ["-e", "scheduling priority", "0"],
  ["-r", "real-time priority", "0"],
];

export async function ulimit(sh: Shell, argv: string[]): Promise<number> {
  const flags = argv.slice(1).filter((a) => a !== "-H" && a !== "-S");
  if (flags.includes("-a")) {
    for (const [flag, what, value] of LIMITS) await sh.p.print(`${`${flag}: ${what}`.padEnd(32)}${value}\n`);
    return 0;
  }
  const flag = flags.find((f) => f.startsWith("-")) ?? "-f";
  const known = LIMITS.find(([f]) => f === flag);
  if (!known) throw new ShellError(`ulimit: line 0: illegal option ${flag}`);
  if (flags.some((f) => !f.startsWith("-"))) return 0;
  await sh.p.print(`${known[2]}\n`);
  return 0;
}

export async function kill(sh: Shell, argv: string[]): Promise<number> {
  let args = argv.slice(1);
  let signal = 15;
  const first = args[0];
  if (first === "-l" || first === "-L") return listSignals(sh, args.slice(1));
  if (first === "-s") {
    const n = signalNumber(args[1] ?? "");
    if (n === undefined) {
      await sh.error(`bad signal name '${args[1] ?? ""}'`);
      return 1;
    }
    signal = n;
    args = args.slice(2);
  } else if (first !== undefined && /^-./.test(first) && first !== "--") {
    const n = signalNumber(first.slice(1));
    if (n === undefined) {
      await sh.error(`bad signal name '${first.slice(1)}'`);
      return 1;
    }
    signal = n;
    args = args.slice(1);
  }
  if (args[0] === "--") args = args.slice(1);
  if (args.length === 0) {
    await sh.error("you need to specify whom to kill");
    return 1;
  }
  let status = 0;
  for (const a of args) {
    let pid: number;
    if (a.startsWith("%")) {
      const job = sh.jobs.bySpec(a);
      if (!job) {
        await sh.error(`kill: line 0: ${a}: no such job`);
        status = 1;
        continue;
      }
      pid = job.process.pid;
    } else if (!/^-?\d+$/.test(a)) {
      await sh.error(`invalid number '${a}'`);
      status = 1;
      continue;
    } else pid = Number(a);
    try {
      sh.p.kill(pid, signal);
    } catch (e) {
      if (!(e instanceof SysError)) throw e;
      await sh.error(`can't kill pid ${pid}: ${strerror(e)}`);
      status = 1;
    }
  }
  // A signal to oneself has come before the next command.
  sh.p.check();
  return status;
}

async function listSignals(sh: Shell, args: string[]): Promise<number> {
  if (args.length === 0) {
    for (let n = 1; n <= 31; n++) await sh.p.print(`${String(n).padStart(2)}) ${signalName(n)}\n`);
    await sh.p.print("34) RTMIN\n64) RTMAX\n");
    return 0;
  }
  let status = 0;
  for (const a of args) {
    if (/^\d+$/.test(a)) await sh.p.print(`${signalName(Number(a) & 127)}\n`);
    else {
      const n = signalNumber(a);
      if (n === undefined) {
        await sh.error(`unknown signal '${a}'`);
        status = 1;
      } else await sh.p.print(`${n}\n`);
    }
  }
  return status;
}

export async function jobsCommand(sh: Shell, argv: string[]): Promise<number> {
  const pids = argv.includes("-l");
  for (const j of [...sh.jobs.all()]) {
    if (argv.includes("-p")) await sh.p.print(`${j.process.pid}\n`);
    else await sh.p.print(sh.jobs.line(j, { pids }));
    if (j.process.ended) sh.jobs.remove(j);
  }
  return 0;
}

export async function wait(sh: Shell, argv: string[]): Promise<number> {
  const args = argv.slice(1);
  if (args.length === 0) {
    for (const j of [...sh.jobs.all()]) {
      if (j.inherited) continue;
      const r = await waitFor(sh, j, false);
      if (r === "interrupted") return 128 + sh.traps.lastSignal;
    }
    return 0;
  }
  let status = 0;
  for (const a of args) {
    let job: Job | undefined;
    if (a.startsWith("%")) {
      job = sh.jobs.bySpec(a);
      if (!job) throw new ShellError(`wait: line 0: ${a}: no such job`);
    } else {
      if (!/^\d+$/.test(a)) {
        await sh.error(`wait: line 0: Illegal number: ${a}`);
        return 2;
      }
      job = sh.jobs.byPid(Number(a));
    }
    if (!job || job.inherited) {
      status = 127;
      continue;
    }
    const r = await waitFor(sh, job);
    if (r === "interrupted") return 128 + sh.traps.lastSignal;
    status = r;
  }
  return status;
}

async function waitFor(sh: Shell, job: Job, report = true): Promise<number | "interrupted"> {
  while (!job.process.ended) {
    if (sh.traps.pending) return "interrupted";
    const r = await sh.p.block((wake) => sh.p.childChanged.add(wake), { interruptible: true });
    if (r === "interrupted" && sh.traps.pending) return "interrupted";
  }
  const status = report ? await sh.waitReporting(job.process) : await sh.wait(job.process);
  sh.jobs.remove(job);
  return statusOf(status);
}

export async function fg(sh: Shell, argv: string[]): Promise<number> {
  const job = sh.jobs.bySpec(argv[1] ?? "%+");
  if (!job || !sh.options.has("monitor"))
    return sh.error(`fg: line 0: ${argv[1] ?? "No current job"}${argv[1] ? ": no such job" : ""}`).then(() => 2);
  await sh.p.print(`${job.text}\n`);
  return statusOf(await resume(sh, job));
}

export async function bg(sh: Shell, argv: string[]): Promise<number> {
  const job = sh.jobs.bySpec(argv[1] ?? "%+");
  if (!job || !sh.options.has("monitor"))
    return sh.error(`bg: line 0: ${argv[1] ?? "No current job"}${argv[1] ? ": no such job" : ""}`).then(() => 2);
  continueJob(sh, job);
  await sh.p.print(`[${job.number}] ${job.text}\n`);
  return 0;
}
