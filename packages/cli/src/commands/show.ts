// podwire kubeconfig, version and clusters: what the other commands know, printed.
import { existsSync, readFileSync } from "node:fs";
import { type Context, folderOf, type GlobalOptions } from "../context.ts";
import { UsageError } from "../errors.ts";
import { ClusterFolder, clustersIn } from "../state/cluster-folder.ts";
import { statusIfRunning } from "../supervisor/control.ts";
import { table } from "../terminal/terminal.ts";

export const KUBERNETES_VERSION = "v1.34";

export async function showKubeconfig(c: Context, o: GlobalOptions & { path: boolean }): Promise<void> {
  const folder = folderOf(c, o);
  if (!existsSync(folder.kubeconfig)) throw new UsageError(`cluster ${o.name} has no kubeconfig yet`, { next: "podwire up -d" });
  c.terminal.out(o.path ? folder.kubeconfig : readFileSync(folder.kubeconfig, "utf8").trimEnd());
}

export async function showVersion(c: Context, o: { output?: string }): Promise<void> {
  const v = { podwire: c.installation.version, kubernetes: KUBERNETES_VERSION, node: process.version };
  if (o.output === "json") c.terminal.out(JSON.stringify(v));
  else c.terminal.out(`podwire ${v.podwire} (Kubernetes API ${v.kubernetes}, Node.js ${v.node})`);
}

export async function showClusters(c: Context, o: { output?: string }): Promise<void> {
  const rows = await Promise.all(
    clustersIn(c.home).map(async (name) => {
      const folder = new ClusterFolder(c.home, name);
      const running = await statusIfRunning(folder.socket, name);
      return { name, state: running ? running.phase : "down", nodes: folder.read().nodes.length, api: running?.apiUrl ?? "" };
    }),
  );
  if (o.output === "json") c.terminal.out(JSON.stringify(rows, null, 2));
  else
    for (const line of table(
      ["CLUSTER", "STATE", "NODES", "API"],
      rows.map((r) => [r.name, r.state, String(r.nodes), r.api]),
    ))
      c.terminal.out(line);
}
