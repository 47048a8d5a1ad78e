// podwire nodes: list, add, rm, kill (a power cut), restart (a reboot).
import { type Context, folderOf, type GlobalOptions, runningCluster } from "../context.ts";
import { askSupervisor, type ControlRequest } from "../supervisor/control.ts";
import { table } from "../terminal/terminal.ts";

export async function listNodes(c: Context, o: GlobalOptions & { output?: string }): Promise<void> {
  const status = await runningCluster(folderOf(c, o));
  const rows = status.nodes.map((n) => ({ ...n, process: status.processes.find((p) => p.name === n.name) }));
  if (o.output === "json") {
    c.terminal.out(JSON.stringify(rows, null, 2));
    return;
  }
  const cells = rows.map((r) => [r.name, r.process?.state ?? "-", String(r.process?.pid ?? "-"), r.underlay]);
  for (const line of table(["NODE", "PROCESS", "PID", "ADDRESS"], cells)) c.terminal.out(line);
}

export async function addNodes(c: Context, o: GlobalOptions & { count: number }, name: string | undefined): Promise<void> {
  const added = await ask<string[]>(c, o, { op: "node-add", count: o.count, ...(name === undefined ? {} : { name }) });
  for (const n of added) c.terminal.out(n);
}

export async function changeNodes(
  c: Context,
  o: GlobalOptions,
  op: "node-rm" | "node-kill" | "node-restart",
  names: readonly string[],
): Promise<void> {
  const past = { "node-rm": "removed", "node-kill": "killed", "node-restart": "restarted" }[op];
  for (const name of names) {
    await ask(c, o, { op, name });
    c.terminal.err(`node ${name} ${past}`);
  }
}

function ask<T>(c: Context, o: GlobalOptions, request: ControlRequest): Promise<T> {
  return askSupervisor<T>(folderOf(c, o).socket, o.name, request);
}
