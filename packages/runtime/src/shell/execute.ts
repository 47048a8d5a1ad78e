// execve(2) as the shell does it: the process becomes the program and ends with it; a text file without "#!" is a script.
import { SysError, strerror } from "../kernel/errno.ts";
import { ExitRequest } from "../kernel/process.ts";
import { Shell } from "./shell.ts";
import { Variables } from "./variables.ts";

/** execve(2): this process becomes the program and ends with it. A program that cannot run is 126 or 127. */
export async function execute(
  sh: Shell,
  argv: string[],
  env: Map<string, string>,
  o: { message?: (name: string, e: SysError) => string } = {},
): Promise<void> {
  const name = argv[0] as string;
  const p = sh.p;
  const oldEnv = p.env;
  // PATH is the shell's own; a prefixed assignment of it counts for the program only.
  const path = sh.vars.get("PATH");
  p.env = path === undefined ? new Map() : new Map([["PATH", path]]);
  let found: ReturnType<typeof p.container.resolveProgram>;
  try {
    found = p.container.resolveProgram(p, name);
  } catch (e) {
    p.env = oldEnv;
    if (!(e instanceof SysError)) throw e;
    if (e.code === "ENOEXEC") return runScript(sh, e.path ?? name, argv, env);
    const text = name === "" ? "Permission denied" : e.code === "ENOENT" ? "not found" : e.code === "ENOTDIR" ? "not found" : strerror(e);
    sh.status = e.code === "ENOENT" || e.code === "ENOTDIR" ? 127 : 126;
    await sh.error(o.message?.(name, e) ?? `${name}: ${text}`);
    sh.skip = "exit";
    sh.traps.drop();
    return;
  }
  p.env = env;
  p.exe = found.path;
  p.argv = found.argvPrefix.length > 0 ? [...found.argvPrefix, ...argv.slice(1)] : argv;
  sh.traps.reset();
  sh.status = await found.program(p);
  throw new ExitRequest(sh.status);
}

/** A file without "#!" is a script of this shell. */
async function runScript(sh: Shell, path: string, argv: string[], env: Map<string, string>): Promise<void> {
  const text = Buffer.from(sh.p.fs.readFile(path)).toString("utf8");
  sh.p.env = env;
  const sub = new Shell(sh.p, {
    arg0: argv[0] as string,
    params: argv.slice(1),
    vars: Variables.fromEnvironment(env),
    name: argv[0] as string,
  });
  throw new ExitRequest(await sub.runToEnd(() => sub.evalText(text)));
}
