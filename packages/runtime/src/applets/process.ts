// Applets about processes, users and the machine: sleep, timeout, env, xargs, ps, id, uname, date, expr, which and small ones.
import { SysError, strerror } from "../kernel/errno.ts";
import { ExitRequest, type ExitStatus, type Process } from "../kernel/process.ts";
import { signalNumber } from "../kernel/signals.ts";
import { strftime } from "./date.ts";
import { findProgramIn } from "./find-program.ts";
import { nameOfId } from "./listing.ts";
import { complain, die, options, usage } from "./options.ts";
import { readAll } from "./streams.ts";

const codeOf = (s: ExitStatus) => (s.signal !== 0 ? 128 + s.signal : s.code);

/** Starts a program by name with PATH; undefined after saying why not. */
export async function launch(
  p: Process,
  argv: string[],
  o: { env?: Map<string, string>; prefix?: string; newGroup?: boolean } = {},
): Promise<Process | SysError> {
  try {
    const found = p.container.resolveProgram(p, argv[0] as string);
    return p.spawn({
      program: found.program,
      argv: found.argvPrefix.length > 0 ? [...found.argvPrefix, ...argv.slice(1)] : argv,
      exe: found.path,
      ...(o.env ? { env: o.env } : {}),
      ...(o.newGroup ? { newGroup: true } : {}),
    });
  } catch (e) {
    if (!(e instanceof SysError)) throw e;
    return e;
  }
}

const UNITS: Record<string, number> = { "": 1, s: 1, m: 60, h: 3600, d: 86_400 };

/** "1.5", "2m": seconds; undefined when it is no duration. */
export function duration(text: string): number | undefined {
  const m = /^(\d+\.?\d*|\.\d+)([smhd]?)$/.exec(text);
  return m ? Number(m[1]) * (UNITS[m[2] as string] as number) : undefined;
}

export async function sleep(p: Process): Promise<number> {
  const args = p.argv.slice(1);
  if (args.length === 0) return usage(p, "[N]...");
  let seconds = 0;
  for (const a of args) {
    if (a === "infinity" || a === "inf") seconds = Number.POSITIVE_INFINITY;
    else {
      const d = duration(a);
      if (d === undefined) return die(p, `invalid number '${a}'`);
      seconds += d;
    }
  }
  const end = p.clock.monotonicMs() + seconds * 1000;
  // Timers hold 2^31 ms.
  for (let left = seconds * 1000; left > 0; left = end - p.clock.monotonicMs()) await p.sleep(Math.min(left, 2 ** 31 - 1));
  return 0;
}

export async function usleep(p: Process): Promise<number> {
  await p.sleep(Number(p.argv[1] ?? 0) / 1000);
  return 0;
}

export async function timeout(p: Process): Promise<number> {
  const text = "[-s SIG] [-k KILL_SECS] SECS PROG ARGS";
  const o = await options(p, "+s:k:", text);
  if (o.args.length < 2) return usage(p, text);
  const signal = signalNumber(o.values.get("s") ?? "TERM");
  if (signal === undefined) return die(p, `unknown signal '${o.values.get("s")}'`);
  const seconds = duration(o.args[0] as string);
  if (seconds === undefined) return die(p, `invalid number '${o.args[0]}'`);
  const child = await launch(p, o.args.slice(1));
  if (child instanceof SysError) {
    await complain(p, `can't execute '${o.args[1]}': ${strerror(child)}`);
    return 127;
  }
  let timedOut = false;
  const timer = p.clock.after(seconds * 1000, () => {
    timedOut = true;
    if (!child.ended) p.namespace.deliver(child, signal);
    const kill = o.values.get("k");
    if (kill !== undefined) p.clock.after((duration(kill) ?? 0) * 1000, () => child.ended || child.take(9), { unref: true });
  });
  p.onExit(() => timer.cancel());
  const r = await p.waitpid(child.pid);
  timer.cancel();
  const status = (r as { status: ExitStatus }).status;
  // busybox's timeout is the process that becomes the program, so it dies as the program does.
  if (status.signal !== 0) {
    p.terminate({ code: 0, signal: status.signal });
    p.check();
  }
  return timedOut && status.code === 0 ? 143 : codeOf(status);
}

export async function env(p: Process): Promise<number> {
  const o = await options(p, "+iu:0", "[-i0] [-u NAME]... [-] [NAME=VALUE]... [PROG ARGS]");
  const vars = new Map(o.flags.has("i") || o.args[0] === "-" ? [] : p.env);
  for (const u of o.all.get("u") ?? []) vars.delete(u);
  let i = o.args[0] === "-" ? 1 : 0;
  for (; i < o.args.length && (o.args[i] as string).includes("="); i++) {
    const a = o.args[i] as string;
    vars.set(a.slice(0, a.indexOf("=")), a.slice(a.indexOf("=") + 1));
  }
  const rest = o.args.slice(i);
  if (rest.length === 0) {
    const end = o.flags.has("0") ? "\0" : "\n";
    await p.print([...vars].map(([k, v]) => `${k}=${v}${end}`).join(""));
    return 0;
  }
  const old = p.env;
  p.env = vars;
  try {
    const found = p.container.resolveProgram(p, rest[0] as string);
    p.argv = found.argvPrefix.length > 0 ? [...found.argvPrefix, ...rest.slice(1)] : rest;
    throw new ExitRequest(await found.program(p));
  } catch (e) {
    if (!(e instanceof SysError)) throw e;
    p.env = old;
    await complain(p, `can't execute '${rest[0]}': ${strerror(e)}`);
    return e.code === "ENOENT" ? 127 : 126;
  }
}

export async function printenv(p: Process): Promise<number> {
  const names = p.argv.slice(1);
  if (names.length === 0) {
    await p.print([...p.env].map(([k, v]) => `${k}=${v}\n`).join(""));
    return 0;
  }
  let status = 0;
  for (const n of names) {
    const v = p.env.get(n);
    if (v === undefined) status = 1;
    else await p.print(`${v}\n`);
  }
  return status;
}

export async function xargs(p: Process): Promise<number> {
  const o = await options(p, "+0rtpn:s:I:i:P:L:E:xd:e", "[OPTIONS] [PROG ARGS]");
  const command = o.args.length === 0 ? ["echo"] : o.args;
  const input = (await readAll(p, 0)).toString("utf8");
  const replace = o.values.get("I") ?? o.values.get("i");
  const items = o.flags.has("0")
    ? input.split("\0").filter((x, i, l) => x !== "" || i < l.length - 1)
    : replace !== undefined
      ? input
          .split("\n")
          .map((x) => x.trim())
          .filter((x) => x !== "")
      : await words(p, input);
  const size = o.values.has("n") ? Number(o.values.get("n")) : Number.POSITIVE_INFINITY;
  const batches: string[][] = [];
  if (replace !== undefined) for (const item of items) batches.push(command.map((c) => c.replaceAll(replace, item)));
  else {
    for (let i = 0; i < items.length; i += size) {
      batches.push([...command, ...items.slice(i, size === Number.POSITIVE_INFINITY ? undefined : i + size)]);
      if (size === Number.POSITIVE_INFINITY) break;
    }
    if (items.length === 0 && !o.flags.has("r")) batches.push(command);
  }
  let status = 0;
  for (const argv of batches) {
    if (o.flags.has("t")) await p.printError(`${argv.join(" ")}\n`);
    const child = await launch(p, argv);
    if (child instanceof SysError) {
      await complain(p, `${argv[0]}: ${strerror(child)}`);
      return child.code === "ENOENT" ? 127 : 126;
    }
    const s = ((await p.waitpid(child.pid)) as { status: ExitStatus }).status;
    if (s.signal !== 0) {
      await complain(p, `'${argv[0]}' terminated by signal ${s.signal}`);
      return 125;
    }
    if (s.code === 255) {
      await complain(p, `${argv[0]}: exited with status 255; aborting`);
      return 124;
    }
    if (s.code !== 0) status = 123;
  }
  return status;
}

async function words(p: Process, text: string): Promise<string[]> {
  const out: string[] = [];
  let word: string | undefined;
  for (let i = 0; i < text.length; i++) {
    const c = text[i] as string;
    if (c === "'" || c === '"') {
      const end = text.indexOf(c, i + 1);
      if (end < 0) return die(p, `unmatched ${c === "'" ? "single" : "double"} quote`);
      word = (word ?? "") + text.slice(i + 1, end);
      i = end;
    } else if (c === "\\") word = (word ?? "") + (text[++i] ?? "");
    else if (/\s/.test(c)) {
      if (word !== undefined) out.push(word);
      word = undefined;
    } else word = (word ?? "") + c;
  }
  if (word !== undefined) out.push(word);
  return out;
}

export async function id(p: Process): Promise<number> {
  const o = await options(p, "ugGnr", "[-ugGnr] [USER]");
  const effective = p.identity;
  let uid = effective.realUid ?? effective.uid;
  let gid = effective.realGid ?? effective.gid;
  let groups = [...p.identity.groups];
  const user = o.args[0];
  let other = "";
  if (user === undefined && uid !== effective.uid) other = ` euid=${effective.uid}(${nameOfId(p, "/etc/passwd", effective.uid)})`;
  if (user !== undefined) {
    const row = (p.fs.exists("/etc/passwd") ? p.fs.readText("/etc/passwd") : "")
      .split("\n")
      .map((l) => l.split(":"))
      .find((f) => f[0] === user || (/^\d+$/.test(user) && f[2] === user));
    if (!row) return die(p, `unknown user ${user}`);
    uid = Number(row[2]);
    gid = Number(row[3]);
    groups = [gid];
  }
  const u = nameOfId(p, "/etc/passwd", uid);
  const g = (n: number) => nameOfId(p, "/etc/group", n);
  const named = o.flags.has("n");
  const shownUid = user === undefined && !o.flags.has("r") ? effective.uid : uid;
  if (o.flags.has("u")) await p.print(`${named ? nameOfId(p, "/etc/passwd", shownUid) : shownUid}\n`);
  else if (o.flags.has("G")) await p.print(`${groups.map((n) => (named ? g(n) : n)).join(" ")}\n`);
  else if (o.flags.has("g")) await p.print(`${named ? g(gid) : gid}\n`);
  else {
    const label = (n: number, name: string) => (name === String(n) ? String(n) : `${n}(${name})`);
    await p.print(
      `uid=${label(uid, u)} gid=${label(gid, g(gid))}${other}${user !== undefined || groups.some((n) => n !== gid) ? ` groups=${groups.map((n) => label(n, g(n))).join(",")}` : ""}\n`,
    );
  }
  return 0;
}

export async function groupsCommand(p: Process): Promise<number> {
  await p.print(`${p.identity.groups.map((n) => nameOfId(p, "/etc/group", n)).join(" ")}\n`);
  return 0;
}

export async function whoami(p: Process): Promise<number> {
  const name = nameOfId(p, "/etc/passwd", p.identity.uid);
  if (/^\d+$/.test(name)) return die(p, `unknown uid ${p.identity.uid}`);
  await p.print(`${name}\n`);
  return 0;
}

export async function hostname(p: Process): Promise<number> {
  const o = await options(p, "sidfF:y", "[-sidf] [HOSTNAME | -F FILE]");
  const name = p.hostname;
  if (o.args.length > 0) return die(p, "sethostname: Operation not permitted");
  if (o.flags.has("i")) await p.print(`${(await p.net.lookup(name).catch(() => ["127.0.0.1"])).join(" ")}\n`);
  else if (o.flags.has("d")) await p.print(name.includes(".") ? `${name.slice(name.indexOf(".") + 1)}\n` : "");
  else if (o.flags.has("f")) {
    const hosts = p.fs.exists("/etc/hosts") ? p.fs.readText("/etc/hosts") : "";
    const line = hosts
      .split("\n")
      .map((l) => l.split(/\s+/))
      .find((f) => f.slice(1).includes(name));
    await p.print(`${line?.[1] ?? name}\n`);
  } else await p.print(`${o.flags.has("s") ? name.split(".")[0] : name}\n`);
  return 0;
}

export async function uname(p: Process): Promise<number> {
  const o = await options(p, "amnrspvio", "[-amnrspvio]");
  const parts: [string, string][] = [
    ["s", "Linux"],
    ["n", p.hostname],
    ["r", "6.12.0-podwire"],
    ["v", "#1 SMP"],
    ["m", "x86_64"],
    ["o", "GNU/Linux"],
  ];
  const f = o.flags;
  if (f.has("p")) parts.splice(5, 0, ["p", "unknown"]);
  const chosen = f.size === 0 ? ["s"] : f.has("a") ? parts.map(([k]) => k) : [...f];
  await p.print(
    `${parts
      .filter(([k]) => chosen.includes(k))
      .map(([, v]) => v)
      .join(" ")}\n`,
  );
  return 0;
}

export async function ps(p: Process): Promise<number> {
  const o = await options(p, "o:Teflawux", "[-o COL1,COL2=HEADER]", {
    argv: p.argv.slice(1).map((a) => (/^[a-z]+$/.test(a) ? `-${a}` : a)),
  });
  const columns = (o.values.get("o") ?? "pid,user,time,args").split(",");
  const titles: Record<string, string> = {
    pid: "PID",
    ppid: "PPID",
    user: "USER",
    time: "TIME",
    args: "COMMAND",
    comm: "COMMAND",
    stat: "STAT",
    vsz: "VSZ",
    rss: "RSS",
    pgid: "PGID",
  };
  const widths: Record<string, number> = { pid: 5, ppid: 5, user: 8, time: 5, stat: 4, vsz: 4, rss: 4, pgid: 5 };
  const right = new Set(["pid", "ppid", "vsz", "rss", "pgid"]);
  const cell = (q: Process, c: string): string => {
    switch (c) {
      case "pid":
        return String(q.pid);
      case "ppid":
        return String(q.ppid);
      case "pgid":
        return String(q.pgid);
      case "user":
        return nameOfId(p, "/etc/passwd", q.identity.uid).slice(0, 8);
      case "time":
        return `${Math.floor(q.cpuMs / 60_000)}:${String(Math.floor(q.cpuMs / 1000) % 60).padStart(2, "0")}`;
      case "stat":
        return q.ended ? "Z" : q.stopped ? "T" : q === p ? "R" : "S";
      case "vsz":
      case "rss":
        return String(Math.round(q.residentBytes / 1024));
      case "comm":
        return q.name;
      default:
        return q.ended ? `[${q.name}]` : q.argv.join(" ");
    }
  };
  const fit = (c: string, text: string, last: boolean) =>
    last ? text : right.has(c) ? text.padStart(widths[c] ?? 8) : text.padEnd(widths[c] ?? 8);
  const row = (texts: string[]) => `${texts.map((t, i) => fit(columns[i] as string, t, i === texts.length - 1)).join(" ")}\n`;
  let out = row(columns.map((c) => titles[c.split("=")[0] as string] ?? c.toUpperCase()));
  for (const q of [...p.namespace.processes.values()].sort((a, b) => a.pid - b.pid))
    out += row(columns.map((c) => cell(q, c.split("=")[0] as string)));
  await p.print(out);
  return 0;
}

export async function killall(p: Process): Promise<number> {
  const args = p.argv.slice(1);
  let signal = 15;
  if (args[0]?.startsWith("-")) signal = signalNumber((args.shift() as string).slice(1)) ?? 15;
  let status = 0;
  for (const name of args) {
    const found = [...p.namespace.processes.values()].filter((q) => q.name === name && q !== p && !q.ended);
    if (found.length === 0) {
      await complain(p, `${name}: no process killed`);
      status = 1;
    }
    for (const q of found) p.kill(q.pid, signal);
  }
  return status;
}

export async function pgrep(p: Process): Promise<number> {
  const o = await options(p, "flnovxs:P:", "[-flanovx] [-s SID|-P PPID|PATTERN]");
  const re = new RegExp(o.flags.has("x") ? `^(?:${o.args[0] ?? ""})$` : (o.args[0] ?? ""));
  const found = [...p.namespace.processes.values()].filter(
    (q) => q !== p && !q.ended && re.test(o.flags.has("f") ? q.argv.join(" ") : q.name),
  );
  for (const q of found) await p.print(`${q.pid}${o.flags.has("l") ? ` ${q.name}` : ""}\n`);
  return found.length > 0 ? 0 : 1;
}

export async function pidof(p: Process): Promise<number> {
  const names = p.argv.slice(1).filter((a) => !a.startsWith("-"));
  const found = [...p.namespace.processes.values()].filter((q) => names.includes(q.name) && !q.ended).map((q) => q.pid);
  if (found.length === 0) return 1;
  await p.print(`${found.reverse().join(" ")}\n`);
  return 0;
}

export async function which(p: Process): Promise<number> {
  const o = await options(p, "a", "[-a] COMMAND...");
  let status = 0;
  for (const name of o.args) {
    const path = findProgramIn(p, name);
    if (path === undefined) status = 1;
    else await p.print(`${path}\n`);
  }
  return status;
}

export async function tty(p: Process): Promise<number> {
  const f = p.fds.find(0);
  const is = f !== undefined && "tty" in f;
  if (!p.argv.includes("-s")) await p.print(is ? "/dev/pts/0\n" : "not a tty\n");
  return is ? 0 : 1;
}

export async function trueProgram(): Promise<number> {
  return 0;
}
export async function falseProgram(): Promise<number> {
  return 1;
}
export async function nproc(p: Process): Promise<number> {
  await p.print(`${p.container.machine.cores}\n`);
  return 0;
}
export async function arch(p: Process): Promise<number> {
  await p.print("x86_64\n");
  return 0;
}
export async function clear(p: Process): Promise<number> {
  await p.print("\x1b[H\x1b[J");
  return 0;
}
export async function uptime(p: Process): Promise<number> {
  const { machine } = p.container;
  const minutes = Math.floor(machine.uptimeMs / 60_000);
  const days = Math.floor(minutes / 1440);
  const hours = Math.floor(minutes / 60) % 24;
  const up = `${days === 0 ? "" : `${days} day${days === 1 ? "" : "s"}, `}${hours === 0 && days === 0 ? `${minutes} min` : `${String(hours).padStart(2)}:${String(minutes % 60).padStart(2, "0")}`}`;
  const load = machine.load().map((l) => l.toFixed(2));
  await p.print(` ${strftime("%H:%M:%S", p.clock.nowMs())} up ${up},  0 users,  load average: ${load.join(", ")}\n`);
  return 0;
}

/** free: the node's memory, as /proc/meminfo has it inside a container, too. */
export async function free(p: Process): Promise<number> {
  const o = await options(p, "bkmgh", "[-bkmgh]");
  const unit = o.flags.has("b") ? 1 : o.flags.has("m") ? 1024 ** 2 : o.flags.has("g") ? 1024 ** 3 : 1024;
  const { machine } = p.container;
  const used = machine.usedBytes;
  const shown = (bytes: number) => (o.flags.has("h") ? sizeText(bytes) : String(Math.floor(bytes / unit))).padStart(12);
  const rest = Math.max(0, machine.memoryBytes - used);
  await p.print(
    `              total        used        free      shared  buff/cache   available\nMem:   ${shown(machine.memoryBytes)}${shown(used)}${shown(rest)}${shown(0)}${shown(0)}${shown(rest)}\nSwap:  ${shown(0)}${shown(0)}${shown(0)}\n`,
  );
  return 0;
}

function sizeText(bytes: number): string {
  let n = bytes;
  let unit = 0;
  for (; n >= 1024 && unit < 4; unit++) n /= 1024;
  return unit === 0 ? String(n) : `${n.toFixed(1)}${"KMGT"[unit - 1]}`;
}

export async function watch(p: Process): Promise<number> {
  const o = await options(p, "+n:t", "[-n SEC] [-t] PROG ARGS");
  const seconds = duration(o.values.get("n") ?? "2") ?? 2;
  for (;;) {
    await p.print(`\x1b[H\x1b[J${o.flags.has("t") ? "" : `Every ${seconds.toFixed(1)}s: ${o.args.join(" ")}\n\n`}`);
    const child = await launch(p, ["sh", "-c", o.args.join(" ")]);
    if (!(child instanceof SysError)) await p.waitpid(child.pid);
    await p.sleep(seconds * 1000);
  }
}

/** chroot NEWROOT PROG: only to where we are. */
export async function chroot(p: Process): Promise<number> {
  const [root, ...argv] = p.argv.slice(1);
  if (root === undefined) return usage(p, "NEWROOT [PROG ARGS]");
  if (!p.identity.caps.has("SYS_CHROOT") || p.fs.realpath(root) !== "/")
    return die(p, `can't change root directory to '${root}': Operation not permitted`);
  const child = await launch(p, argv.length === 0 ? ["/bin/sh", "-i"] : argv);
  if (child instanceof SysError) return die(p, `can't execute '${argv[0]}': ${strerror(child)}`, 127);
  return codeOf(((await p.waitpid(child.pid)) as { status: ExitStatus }).status);
}

export async function time(p: Process): Promise<number> {
  const started = p.clock.monotonicMs();
  const child = await launch(p, p.argv.slice(1));
  const code = child instanceof SysError ? 127 : codeOf(((await p.waitpid(child.pid)) as { status: ExitStatus }).status);
  if (child instanceof SysError) await complain(p, `can't execute '${p.argv[1]}': ${strerror(child)}`);
  const text = (ms: number) => `${Math.floor(ms / 60_000)}m ${((ms % 60_000) / 1000).toFixed(2)}s`;
  await p.printError(
    `real\t${text(p.clock.monotonicMs() - started)}\nuser\t${text(child instanceof SysError ? 0 : child.cpuMs)}\nsys\t${text(0)}\n`,
  );
  return code;
}

export async function nohup(p: Process): Promise<number> {
  p.onSignal(1, "ignore");
  const child = await launch(p, p.argv.slice(1));
  if (child instanceof SysError) return die(p, `can't execute '${p.argv[1]}': ${strerror(child)}`, 127);
  return codeOf(((await p.waitpid(child.pid)) as { status: ExitStatus }).status);
}
