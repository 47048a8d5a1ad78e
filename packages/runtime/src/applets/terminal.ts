// Applets of a terminal: stty (size, modes by name) and reset.
import type { Process } from "../kernel/process.ts";
import { TtyFile } from "../kernel/tty.ts";
import { die } from "./options.ts";

const MODES: { [name: string]: "canonical" | "echo" | "signals" | "outputNl" | "inputCr" } = {
  icanon: "canonical",
  echo: "echo",
  isig: "signals",
  onlcr: "outputNl",
  icrnl: "inputCr",
};

export async function stty(p: Process): Promise<number> {
  const f = p.fds.find(0);
  if (!(f instanceof TtyFile)) return die(p, "standard input: Inappropriate ioctl for device");
  const { tty } = f;
  const args = p.argv.slice(1).filter((a) => a !== "-F");
  const shown = (name: string, on: boolean) => `${on ? "" : "-"}${name}`;
  if (args.length === 0 || args[0] === "-a") {
    const head = `speed 38400 baud;${args[0] === "-a" ? ` rows ${tty.rows}; columns ${tty.columns};` : ""}`;
    await p.print(
      `${head} line = 0;\n${Object.entries(MODES)
        .map(([name, key]) => shown(name, tty.termios[key]))
        .join(" ")}\n`,
    );
    return 0;
  }
  for (let i = 0; i < args.length; i++) {
    const a = args[i] as string;
    const off = a.startsWith("-");
    const mode = MODES[off ? a.slice(1) : a];
    if (a === "size") await p.print(`${tty.rows} ${tty.columns}\n`);
    else if (a === "sane") tty.termios = { canonical: true, echo: true, signals: true, outputNl: true, inputCr: true };
    else if (a === "raw" || a === "-raw" || a === "cooked") {
      const on = a !== "raw";
      tty.termios = { ...tty.termios, canonical: on, signals: on, outputNl: on, inputCr: on };
    } else if (a === "rows" || a === "columns" || a === "cols") {
      const n = Number(args[++i]);
      if (!Number.isInteger(n)) return die(p, `invalid integer argument '${args[i]}'`);
      tty.resize(a === "rows" ? tty.columns : n, a === "rows" ? n : tty.rows);
    } else if (mode !== undefined) tty.termios = { ...tty.termios, [mode]: !off };
    else return die(p, `invalid argument '${a}'`);
  }
  return 0;
}

export async function reset(p: Process): Promise<number> {
  const f = p.fds.find(0);
  if (f instanceof TtyFile) f.tty.termios = { canonical: true, echo: true, signals: true, outputNl: true, inputCr: true };
  await p.print("\x1b[!p\x1b[?3;4l\x1b[4l\x1b>\x1b[H\x1b[J");
  return 0;
}
