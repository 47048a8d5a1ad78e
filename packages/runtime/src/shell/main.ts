// sh, ash: the shell as a program. sh [-abefhimnuvxC] [-o option] [-c command [name [arg...]] | -s | file [arg...]]
import { strerror } from "../kernel/errno.ts";
import type { Process } from "../kernel/process.ts";
import { optionOfLetter, setOption } from "./builtins/variables.ts";
import { interactive } from "./interactive.ts";
import { Parser, ShellSyntaxError } from "./parser.ts";
import { type OptionName, Shell } from "./shell.ts";

/** Bytes of a script that is read from standard input before it is run. */
const MAX_SCRIPT_BYTES = 16 * 1024 * 1024;

export async function shellMain(p: Process): Promise<number> {
  const args = p.argv.slice(1);
  const options = new Set<OptionName>();
  let commandText: string | undefined;
  let takesCommand = false;
  let i = 0;
  for (; i < args.length; i++) {
    const a = args[i] as string;
    if (a === "--") {
      i++;
      break;
    }
    if (!/^[-+]./.test(a)) break;
    for (const c of a.slice(1)) {
      if (c === "c") takesCommand = true;
      else if (c === "l" || c === "h") continue;
      else if (c === "s") options.add("stdin");
      else if (c === "i") options.add("interactive");
      else if (c === "o") {
        const name = args[++i] as OptionName | undefined;
        if (name !== undefined) a[0] === "-" ? options.add(name) : options.delete(name);
      } else {
        const name = optionOfLetter(c);
        if (name === undefined) {
          await p.printError(`${p.argv[0]}: illegal option ${a[0]}${c}\n`);
          return 2;
        }
        a[0] === "-" ? options.add(name) : options.delete(name);
      }
    }
  }
  let arg0 = p.argv[0] ?? "sh";
  let params = args.slice(i);
  let file: string | undefined;
  if (takesCommand) {
    commandText = params[0];
    if (commandText === undefined) {
      await p.printError(`${arg0}: -c requires an argument\n`);
      return 2;
    }
    if (params[1] !== undefined) arg0 = params[1];
    params = params.slice(2);
  } else if (params.length > 0 && !options.has("stdin")) {
    file = params[0] as string;
    arg0 = file;
    params = params.slice(1);
  }
  const name = takesCommand || file === undefined ? (p.argv[0] ?? "sh") : file;
  const sh = new Shell(p, { arg0, params, name: takesCommand && args.length > i + 1 ? arg0 : name });
  for (const o of options) setOption(sh, o, true);
  initialize(sh);
  if (takesCommand) sh.fromCommand = "c";
  if (commandText !== undefined) {
    const text = commandText;
    return sh.runToEnd(() => sh.evalText(text, { exitAfter: true, firstLine: 0 }));
  }
  if (file !== undefined) {
    let text: string;
    try {
      text = Buffer.from(p.fs.readFile(file)).toString("utf8");
    } catch (e) {
      await p.printError(`${p.argv[0]}: can't open '${file}': ${strerror(e)}\n`);
      return 2;
    }
    return sh.runToEnd(() => sh.evalText(text));
  }
  const stdin = p.fds.find(0);
  if (options.has("interactive") || (stdin !== undefined && "tty" in stdin)) return interactive(sh);
  setOption(sh, "stdin", true);
  return sh.runToEnd(() => fromInput(sh));
}

function initialize(sh: Shell): void {
  const { p, vars } = sh;
  vars.map.set("PWD", { value: p.cwdPath, exported: true, readonly: false });
  vars.map.set("SHLVL", { value: String((Number(vars.get("SHLVL")) || 0) + 1), exported: true, readonly: false });
  if (vars.get("HOSTNAME") === undefined) vars.set("HOSTNAME", p.hostname);
  vars.set("OPTIND", "1");
  if (vars.get("IFS") === undefined) vars.set("IFS", " \t\n");
  else vars.map.set("IFS", { value: " \t\n", exported: false, readonly: false });
  vars.set("PS1", vars.get("PS1") ?? (p.identity.uid === 0 ? "\\w # " : "\\w $ "));
  vars.set("PS2", vars.get("PS2") ?? "> ");
  vars.set("PS4", vars.get("PS4") ?? "+ ");
  if (vars.get("PATH") === undefined) vars.set("PATH", "/sbin:/usr/sbin:/bin:/usr/bin");
  vars.set("PPID", String(p.ppid));
}

/** Commands from standard input, each run as soon as it is complete. */
async function fromInput(sh: Shell): Promise<void> {
  let buffer = "";
  let ended = false;
  let line = 1;
  for (;;) {
    while (buffer.includes("\n") || ended) {
      const parser = new Parser(buffer, { aliases: sh.aliases, firstLine: line });
      let node: ReturnType<Parser["next"]>;
      try {
        node = parser.next();
      } catch (e) {
        if (e instanceof ShellSyntaxError && parser.incomplete && !ended) break;
        throw e;
      }
      if (node === undefined) {
        if (ended) return;
        buffer = "";
        break;
      }
      // A command whose end is the end of what was read so far may go on.
      if (!ended && parser.position >= buffer.length && !buffer.endsWith("\n")) break;
      buffer = buffer.slice(parser.position);
      line = parser.line;
      if (node) await sh.run(node, false);
      if (sh.skip !== "") return;
    }
    if (ended) return;
    const bytes = await sh.p.read(0);
    if (bytes.length === 0) ended = true;
    else buffer += Buffer.from(bytes).toString("utf8");
    if (buffer.length > MAX_SCRIPT_BYTES) throw new ShellSyntaxError("script too long", line);
  }
}
