// awk's command line: options, the program's text, variables given from outside; the program itself runs in awk.ts.
import type { Process } from "../kernel/process.ts";
import { Awk } from "./awk.ts";
import { AwkError, type AwkProgram, parseAwk } from "./awk-parser.ts";
import { input, unescaped } from "./awk-values.ts";
import { die, options, usage } from "./options.ts";
import { encode } from "./streams.ts";

const USAGE = "[OPTIONS] [AWK_PROGRAM] [FILE]...";

export async function awk(p: Process): Promise<number> {
  const o = await options(p, "+F:v:f:e:W:", USAGE);
  let text = (o.all.get("e") ?? []).join("\n");
  for (const f of o.all.get("f") ?? []) text += `${Buffer.from(p.fs.readFile(f)).toString("latin1")}\n`;
  let args = o.args;
  if (text === "") {
    if (args.length === 0) return usage(p, USAGE);
    text = encode(args[0] as string);
    args = args.slice(1);
  }
  let program: AwkProgram;
  try {
    program = parseAwk(text);
  } catch (e) {
    if (e instanceof AwkError) return die(p, `cmd. line:1: ${e.message}`);
    throw e;
  }
  const run = new Awk(p, program, args.map(encode));
  const fs = o.values.get("F");
  if (fs !== undefined) run.vars.set("FS", unescaped(encode(fs === "t" ? "\t" : fs)));
  for (const v of o.all.get("v") ?? []) run.vars.set(v.slice(0, v.indexOf("=")), input(unescaped(encode(v.slice(v.indexOf("=") + 1)))));
  try {
    return await run.main();
  } catch (e) {
    if (e instanceof AwkError) {
      await run.flush();
      return die(p, `cmd. line:1: ${e.message}`);
    }
    throw e;
  }
}
