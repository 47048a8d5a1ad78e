// A pipeline: every command a process of its own, joined by pipes; the last one's status counts, or with pipefail any failure.
import type { OpenFile } from "../kernel/open-file.ts";
import type { Process } from "../kernel/process.ts";
import type { Node } from "./ast.ts";
import { foreground } from "./foreground.ts";
import { type Shell, statusOf } from "./shell.ts";

export async function runPipeline(sh: Shell, node: Extract<Node, { t: "pipe" }>, tested: boolean): Promise<void> {
  if (node.commands.length === 1) {
    await sh.run(node.commands[0] as Node, true);
    if (sh.skip === "") sh.status = sh.status === 0 ? 1 : 0;
    return;
  }
  const children: Process[] = [];
  let input: OpenFile | undefined;
  for (let i = 0; i < node.commands.length; i++) {
    const last = i === node.commands.length - 1;
    const from = input;
    const pipe = last ? undefined : sh.p.pipe();
    pipe?.[0].ref();
    pipe?.[1].ref();
    children.push(
      sh.fork(node.commands[i] as Node, (fds) => {
        if (from) fds.set(0, from);
        if (pipe) fds.set(1, pipe[1]);
      }),
    );
    from?.unref();
    pipe?.[1].unref();
    input = pipe?.[0];
  }
  const statuses = (await foreground(sh, children, node)).map(statusOf);
  sh.status = statuses.at(-1) as number;
  if (sh.options.has("pipefail")) sh.status = statuses.filter((s) => s !== 0).at(-1) ?? 0;
  if (node.negate) sh.status = sh.status === 0 ? 1 : 0;
  else sh.checkErrexit(tested);
}
