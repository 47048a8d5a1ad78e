// top as busybox has it: processes of this PID namespace by processor time, every -d seconds (5), -n times, -b without a screen.
// On a terminal the keys q (or Ctrl-C), P, M, N, T and R work.
import type { Process } from "../kernel/process.ts";
import { TtyFile } from "../kernel/tty.ts";
import { nameOfId } from "./listing.ts";
import { die, options } from "./options.ts";

const SECOND_MS = 1000;

type SortKey = "cpu" | "memory" | "pid" | "time";
const KEYS: { [key: string]: SortKey } = { P: "cpu", M: "memory", N: "pid", T: "time" };

interface Sample {
  atMs: number;
  machineCpuMs: number;
  cpuMs: Map<Process, number>;
}

function sample(p: Process): Sample {
  const { machine } = p.container;
  return {
    atMs: p.clock.monotonicMs(),
    machineCpuMs: machine.usage.cpuMs,
    cpuMs: new Map([...p.namespace.processes.values()].map((q) => [q, q.cpuMs])),
  };
}

export async function top(p: Process): Promise<number> {
  const o = await options(p, "bn:d:", "[-b] [-n COUNT] [-d SECONDS]");
  const seconds = Number((o.values.get("d") ?? "5").replace(/^-/, ""));
  if (!(seconds >= 0)) return die(p, `invalid number '${o.values.get("d")}'`);
  const rounds = o.values.has("n") ? Number(o.values.get("n")) : Number.POSITIVE_INFINITY;
  if (!(rounds > 0)) return die(p, `invalid number '${o.values.get("n")}'`);
  const input = p.fds.find(0);
  const out = p.fds.find(1);
  const screen = !o.flags.has("b") && out instanceof TtyFile ? out.tty : undefined;
  const keyboard = screen !== undefined && input instanceof TtyFile ? input.tty : undefined;
  const saved = keyboard?.termios;
  if (keyboard !== undefined) keyboard.termios = { ...keyboard.termios, canonical: false, echo: false };
  let by: SortKey = "cpu";
  let reverse = false;
  let last = sample(p);
  // The first screen shows a short while, as the real one does.
  await p.sleep(Math.min(100, seconds * SECOND_MS));
  try {
    for (let round = 0; round < rounds; round++) {
      const now = sample(p);
      await p.print(
        `${screen === undefined ? "" : "\x1b[H\x1b[J"}${page(p, last, now, { by, reverse, ...(screen === undefined ? {} : { rows: screen.rows, columns: screen.columns }) })}`,
      );
      last = now;
      if (round + 1 >= rounds) break;
      const until = p.clock.monotonicMs() + seconds * SECOND_MS;
      for (;;) {
        const left = until - p.clock.monotonicMs();
        if (left <= 0) break;
        if (keyboard === undefined) {
          await p.sleep(left);
          continue;
        }
        const key = await keyWithin(p, left);
        if (key === "q" || key === "Q" || key === "\x03" || key === "") return 0;
        if (key === undefined) break;
        if (key === "R") reverse = !reverse;
        by = KEYS[key.toUpperCase()] ?? by;
        break;
      }
    }
    return 0;
  } finally {
    if (keyboard !== undefined && saved !== undefined) keyboard.termios = saved;
  }
}

/** A key of the terminal; "" at its end, undefined when none came. */
async function keyWithin(p: Process, ms: number): Promise<string | undefined> {
  const f = p.fds.get(0);
  const bytes = f.readNow(1);
  if (bytes !== undefined) return Buffer.from(bytes).toString("latin1");
  await p.block((wake) => {
    const timer = p.clock.after(ms, wake);
    const cancel = f.onReadable(wake);
    return () => {
      timer.cancel();
      cancel();
    };
  });
  const late = f.readNow(1);
  return late === undefined ? undefined : Buffer.from(late).toString("latin1");
}

const kib = (bytes: number) => Math.round(bytes / 1024);

function page(p: Process, before: Sample, now: Sample, o: { by: SortKey; reverse: boolean; rows?: number; columns?: number }): string {
  const { machine } = p.container;
  const total = Math.max(1, (now.atMs - before.atMs) * machine.cores);
  const percent = (ms: number) => Math.min(100, Math.max(0, Math.round((100 * ms) / total)));
  const busy = percent(now.machineCpuMs - before.machineCpuMs);
  const processes = [...p.namespace.processes.values()];
  const rows = processes.map((q) => ({ q, cpu: (now.cpuMs.get(q) ?? 0) - (before.cpuMs.get(q) ?? 0) }));
  const order: Record<SortKey, (a: (typeof rows)[number], b: (typeof rows)[number]) => number> = {
    cpu: (a, b) => b.cpu - a.cpu || a.q.pid - b.q.pid,
    memory: (a, b) => b.q.residentBytes - a.q.residentBytes || a.q.pid - b.q.pid,
    pid: (a, b) => b.q.pid - a.q.pid,
    time: (a, b) => b.q.cpuMs - a.q.cpuMs || a.q.pid - b.q.pid,
  };
  rows.sort(order[o.by]);
  if (o.reverse) rows.reverse();
  const used = kib(machine.usedBytes);
  const lines = [
    `Mem: ${used}K used, ${kib(machine.memoryBytes) - used}K free, 0K shrd, 0K buff, 0K cached`,
    `CPU: ${String(busy).padStart(3)}% usr   0% sys   0% nic ${String(100 - busy).padStart(3)}% idle   0% io   0% irq   0% sirq`,
    `Load average: ${machine
      .load()
      .map((l) => l.toFixed(2))
      .join(" ")} ${Math.max(1, processes.filter((q) => q === p).length)}/${processes.length} ${p.namespace.lastPid}`,
    "  PID  PPID USER     STAT   VSZ %VSZ %CPU COMMAND",
  ];
  for (const { q, cpu } of rows) {
    const state = q.ended ? "Z" : q.stopped ? "T" : q === p ? "R" : "S";
    const size = kib(q.residentBytes);
    const shown = size < 100_000 ? String(size) : `${Math.round(size / 1024)}m`;
    const share = Math.min(100, Math.round((100 * q.residentBytes) / machine.memoryBytes));
    lines.push(
      `${String(q.pid).padStart(5)} ${String(q.ppid).padStart(5)} ${nameOfId(p, "/etc/passwd", q.identity.uid).slice(0, 8).padEnd(8)} ${state.padEnd(4)} ${shown.padStart(5)} ${String(share).padStart(3)}% ${String(percent(cpu)).padStart(3)}% ${q.ended ? `[${q.name}]` : q.argv.join(" ")}`,
    );
  }
  const fitting = o.rows === undefined ? lines : lines.slice(0, Math.max(5, o.rows - 1));
  return `${fitting.map((l) => (o.columns === undefined ? l : l.slice(0, o.columns))).join("\n")}\n`;
}
