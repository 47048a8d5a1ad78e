// The shell at a terminal: prompt, continuation lines, line editing with history, Ctrl-C back to the prompt, jobs.
import { ProcessEnded } from "../kernel/process.ts";
import { SIGINT, SIGQUIT, SIGTERM, SIGTSTP } from "../kernel/signals.ts";
import { TtyFile } from "../kernel/tty.ts";
import { ShellInterrupt } from "./foreground.ts";
import { LineEditor } from "./line-editor.ts";
import { Parser, ShellSyntaxError } from "./parser.ts";
import type { Shell } from "./shell.ts";

export async function interactive(sh: Shell): Promise<number> {
  const { p } = sh;
  sh.options.add("interactive");
  sh.jobs.shown = true;
  // Handlers, so that what it starts does not inherit that they are ignored.
  for (const signal of [SIGTERM, SIGQUIT, SIGTSTP]) p.onSignal(signal, () => undefined);
  p.onSignal(SIGINT, () => {
    sh.interrupted = true;
  });
  const file = p.fds.find(0);
  const input = file instanceof TtyFile ? new TerminalInput(sh, file) : new PlainInput(sh);
  if (file instanceof TtyFile) {
    sh.options.add("monitor");
    sh.terminal = file.tty;
  }
  let buffer = "";
  for (;;) {
    const line = await input.line(promptText(sh, buffer === "" ? (sh.vars.get("PS1") ?? "# ") : (sh.vars.get("PS2") ?? "> ")));
    sh.interrupted = false;
    if (line === "interrupted") {
      buffer = "";
      sh.status = 130;
      continue;
    }
    if (line === undefined) {
      if (buffer === "") break;
      buffer = "";
      continue;
    }
    buffer += line;
    const parser = new Parser(buffer, { aliases: sh.aliases });
    try {
      for (let node = parser.next(); node !== undefined; node = parser.next()) {
        if (node) await sh.run(node, false);
        if (sh.skip === "exit") return sh.exitTrap();
        sh.skip = "";
      }
      buffer = "";
    } catch (e) {
      if (e instanceof ProcessEnded) throw e;
      if (e instanceof ShellSyntaxError && parser.incomplete) continue;
      buffer = "";
      if (e instanceof ShellInterrupt) {
        sh.status = 130;
        sh.skip = "";
        await p.write(1, "\n");
      } else await sh.report(e);
    }
    for (const j of [...sh.jobs.all()])
      if (j.process.ended) {
        await p.write(1, sh.jobs.line(j));
        sh.jobs.remove(j);
      }
  }
  await p.write(1, "\n");
  return sh.exitTrap();
}

/** A line with its end, undefined at the end of input, or "interrupted" after Ctrl-C. */
interface LineInput {
  line(prompt: string): Promise<string | undefined | "interrupted">;
}

/** Input that is no terminal (`sh -i` from a pipe). */
class PlainInput implements LineInput {
  readonly #sh: Shell;
  #rest = "";
  constructor(sh: Shell) {
    this.#sh = sh;
  }
  async line(prompt: string): Promise<string | undefined> {
    await this.#sh.p.write(1, prompt);
    while (!this.#rest.includes("\n")) {
      const bytes = await this.#sh.p.read(0);
      if (bytes.length === 0) {
        const last = this.#rest;
        this.#rest = "";
        return last === "" ? undefined : `${last}\n`;
      }
      this.#rest += Buffer.from(bytes).toString("utf8");
    }
    const at = this.#rest.indexOf("\n") + 1;
    const line = this.#rest.slice(0, at);
    this.#rest = this.#rest.slice(at);
    return line;
  }
}

/** A terminal: raw while a line is edited, as it was while commands run. */
class TerminalInput implements LineInput {
  readonly #sh: Shell;
  readonly #file: TtyFile;
  readonly #editor: LineEditor;
  #rest: Uint8Array = new Uint8Array(0);
  constructor(sh: Shell, file: TtyFile) {
    this.#sh = sh;
    this.#file = file;
    this.#editor = new LineEditor((line, cursor) => complete(sh, line, cursor));
  }
  async line(prompt: string): Promise<string | undefined | "interrupted"> {
    const { tty } = this.#file;
    const cooked = tty.termios;
    tty.termios = { ...cooked, canonical: false, echo: false, signals: false };
    try {
      this.#editor.columns = tty.columns;
      await this.#sh.p.write(1, this.#editor.begin(prompt));
      for (;;) {
        if (this.#rest.length === 0) {
          const bytes = this.#file.readNow(4096);
          if (bytes === undefined) {
            await this.#sh.p.block((wake) => this.#file.onReadable(wake), { interruptible: true });
            this.#editor.columns = tty.columns;
            await this.#sh.runTraps();
            continue;
          }
          if (bytes.length === 0) return undefined;
          this.#rest = bytes;
        }
        const { output, event, rest } = this.#editor.feed(this.#rest);
        this.#rest = rest;
        if (output !== "") await this.#sh.p.write(1, output);
        if (event?.t === "line") return `${event.text}\n`;
        if (event?.t === "end") return undefined;
        if (event?.t === "interrupt") return "interrupted";
      }
    } finally {
      tty.termios = cooked;
    }
  }
}

/** Files below the word's folder, and for a first word programs of PATH. */
function complete(sh: Shell, line: string, cursor: number): { from: number; names: string[] } {
  const before = line.slice(0, cursor);
  const from = before.search(/[^\s;|&<>()]*$/);
  const word = before.slice(from);
  const slash = word.lastIndexOf("/") + 1;
  const entries = (dir: string, prefix: string) => {
    try {
      return sh.p.fs
        .readdir(dir === "" ? "." : dir)
        .filter((e) => e.name.startsWith(prefix) && e.name !== "." && e.name !== ".." && (prefix !== "" || !e.name.startsWith(".")))
        .map((e) => ({ name: e.name, dir: e.inode.kind === "dir" }));
    } catch {
      return [];
    }
  };
  const names = entries(word.slice(0, slash), word.slice(slash)).map((e) => `${word.slice(0, slash)}${e.name}${e.dir ? "/" : ""}`);
  if (slash === 0 && /(^|[;|&(])\s*$/.test(before.slice(0, from)) && word !== "")
    for (const dir of (sh.vars.get("PATH") ?? "").split(":")) for (const e of entries(dir, word)) if (!e.dir) names.push(e.name);
  return { from, names: [...new Set(names)].sort() };
}

/** PS1 with \w, \h, \u, \$ and \W. */
function promptText(sh: Shell, ps: string): string {
  const cwd = sh.vars.get("PWD") ?? sh.p.cwdPath;
  const home = sh.vars.get("HOME") ?? "";
  const short = home !== "" && home !== "/" && (cwd === home || cwd.startsWith(`${home}/`)) ? `~${cwd.slice(home.length)}` : cwd;
  return ps.replace(/\\([whuWn$\\])/g, (_, c: string) => {
    switch (c) {
      case "w":
        return short;
      case "W":
        return short === "/" ? "/" : (short.split("/").pop() as string);
      case "h":
        return sh.p.hostname.split(".")[0] as string;
      case "u":
        return sh.p.identity.uid === 0 ? "root" : String(sh.p.identity.uid);
      case "n":
        return "\n";
      case "$":
        return sh.p.identity.uid === 0 ? "#" : "$";
      default:
        return "\\";
    }
  });
}
