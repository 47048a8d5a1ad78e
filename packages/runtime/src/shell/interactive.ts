// The shell at a terminal: prompt, continuation lines, Ctrl-C back to the prompt, job messages. Line editing is the terminal's own.
import { ProcessEnded } from "../kernel/process.ts";
import { SIGINT } from "../kernel/signals.ts";
import { Parser, ShellSyntaxError } from "./parser.ts";
import type { Shell } from "./shell.ts";

export async function interactive(sh: Shell): Promise<number> {
  const { p } = sh;
  sh.options.add("interactive");
  sh.jobs.shown = true;
  p.onSignal(15, "ignore");
  p.onSignal(3, "ignore");
  let interrupted = false;
  p.onSignal(SIGINT, () => {
    interrupted = true;
  });
  let buffer = "";
  for (;;) {
    await p.write(1, promptText(sh, buffer === "" ? (sh.vars.get("PS1") ?? "# ") : (sh.vars.get("PS2") ?? "> ")));
    const line = await readLine(sh, () => interrupted);
    if (line === "interrupted") {
      interrupted = false;
      buffer = "";
      sh.status = 130;
      await p.write(1, "\n");
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
      await sh.report(e);
    }
    interrupted = false;
    for (const j of [...sh.jobs.all()])
      if (j.process.ended) {
        await p.write(1, sh.jobs.line(j));
        sh.jobs.remove(j);
      }
  }
  await p.write(1, "\n");
  return sh.exitTrap();
}

async function readLine(sh: Shell, interrupted: () => boolean): Promise<string | undefined | "interrupted"> {
  let text = "";
  const f = sh.p.fds.get(0);
  for (;;) {
    if (interrupted()) return "interrupted";
    const bytes = f.readNow(4096);
    if (bytes === undefined) {
      await sh.p.block((wake) => f.onReadable(wake), { interruptible: true });
      continue;
    }
    if (bytes.length === 0) return text === "" ? undefined : text;
    text += Buffer.from(bytes).toString("utf8");
    if (text.endsWith("\n")) return text;
  }
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
