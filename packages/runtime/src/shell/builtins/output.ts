// echo, printf, test, true and false as builtins.
import { echo, printf } from "../printf.ts";
import type { Shell } from "../shell.ts";
import { TestError, test } from "../test-expression.ts";

export function echoCommand(sh: Shell, argv: string[]): number | Promise<number> {
  const wait = sh.p.write(1, Buffer.from(echo(argv.slice(1)), "latin1"));
  return wait === undefined ? 0 : wait.then(() => 0);
}

export async function printfCommand(sh: Shell, argv: string[]): Promise<number> {
  const args = argv[1] === "--" ? argv.slice(2) : argv.slice(1);
  const r = printf(args);
  if (r.out !== "") await sh.p.write(1, Buffer.from(r.out, "latin1"));
  for (const e of r.errors) await sh.error(Buffer.from(e, "latin1").toString("utf8"));
  return args.length === 0 ? 2 : r.code;
}

export function trueCommand(): number {
  return 0;
}

export function falseCommand(): number {
  return 1;
}

export function testCommand(sh: Shell, argv: string[]): number | Promise<number> {
  const name = argv[0] as string;
  let args = argv.slice(1);
  if (name !== "test") {
    const close = name === "[" ? "]" : "]]";
    if (args.at(-1) !== close) return sh.error(`missing ${close}`).then(() => 2);
    args = args.slice(0, -1);
  }
  try {
    return test(args, sh.p, name === "[[");
  } catch (e) {
    if (!(e instanceof TestError)) throw e;
    return sh.error(e.message).then(() => 2);
  }
}
