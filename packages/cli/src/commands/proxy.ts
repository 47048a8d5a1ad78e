// podwire proxy: how the nodes' kube-proxies translate Services: list, another mode on live nodes, the rules as the mode's own tool prints
// them. A mode set here lasts until the node's process ends; `up --arg=node-agent=--proxy-mode=...` is for good.
import { reasonOf } from "@podwire/base";
import { subjectsOf } from "@podwire/bus";
import { type Context, folderOf, type GlobalOptions, runningCluster, withBus } from "../context.ts";
import { ProcessFailedError, UsageError } from "../errors.ts";
import { table } from "../terminal/terminal.ts";

export const PROXY_MODES = ["iptables", "ipvs", "nftables"] as const;

/** What a node answers (services/node-agent/src/node-agent.ts). */
interface ProxyState {
  mode: string;
  counters: Record<string, number>;
}

const TIMEOUT_MS = 10_000;

export async function listProxies(c: Context, o: GlobalOptions & { output?: string }): Promise<void> {
  const answers = await askNodes<ProxyState>(c, o, [], { op: "proxy" });
  if (o.output === "json") return c.terminal.out(JSON.stringify(answers, null, 2));
  const rows = answers.map(({ node, mode, counters }) => [node, mode, String(counters["services"] ?? 0), String(counters["syncs"] ?? 0)]);
  for (const line of table(["NODE", "MODE", "SERVICES", "SYNCS"], rows)) c.terminal.out(line);
}

/** On the named nodes, or on all. */
export async function setProxyMode(c: Context, o: GlobalOptions, mode: string, nodes: readonly string[]): Promise<void> {
  for (const a of await askNodes<ProxyState>(c, o, nodes, { op: "proxy-mode", mode })) c.terminal.err(`node ${a.node}: ${a.mode}`);
}

export async function showProxyRules(c: Context, o: GlobalOptions & { ipv6?: boolean }, node: string): Promise<void> {
  const [answer] = await askNodes<{ rules: string }>(c, o, [node], { op: "proxy-rules", family: o.ipv6 ? 6 : 4 });
  c.terminal.out((answer as { rules: string }).rules.trimEnd());
}

async function askNodes<T>(c: Context, o: GlobalOptions, wanted: readonly string[], request: object): Promise<(T & { node: string })[]> {
  const folder = folderOf(c, o);
  const known = (await runningCluster(folder)).nodes.map((n) => n.name);
  const stranger = wanted.find((n) => !known.includes(n));
  if (stranger !== undefined) throw new UsageError(`there is no node ${stranger}`, { next: "podwire nodes" });
  return withBus(c, folder, (bus) =>
    Promise.all(
      (wanted.length > 0 ? wanted : known).map(async (node) => {
        try {
          const answer = await bus.request(subjectsOf(folder.name).control(`node:${node}`), request, { timeoutMs: TIMEOUT_MS });
          return { node, ...(answer as T) };
        } catch (e) {
          throw new ProcessFailedError(`node ${node}: ${reasonOf(e)}`, { cause: e, next: "podwire nodes" });
        }
      }),
    ),
  );
}
