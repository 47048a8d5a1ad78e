// podwire explain-scheduling: asks the scheduler why a pod is on its node, or on none. The scheduler goes through its plugins once more,
// as if the pod had no node yet.
import { reasonOf } from "@podwire/base";
import { subjectsOf } from "@podwire/bus";
import { type Context, folderOf, type GlobalOptions, runningCluster, withBus } from "../context.ts";
import { UsageError } from "../errors.ts";
import { table } from "../terminal/terminal.ts";

export interface ExplainOptions extends GlobalOptions {
  namespace: string;
  output: string | undefined;
}

/** What the scheduler answers (services/scheduler/src/explanation.ts). */
interface Explanation {
  pod: string;
  node?: string;
  chosen?: string;
  message?: string;
  nodes: Record<string, { score: number; plugins: Record<string, number> } | { refusedBy: string; reasons: string[] }>;
  omitted?: number;
}

const TIMEOUT_MS = 10_000;

export async function explainScheduling(c: Context, o: ExplainOptions, target: string): Promise<void> {
  const folder = folderOf(c, o);
  const { processes } = await runningCluster(folder);
  if (!processes.some((p) => p.name === "scheduler"))
    throw new UsageError("this cluster's scheduler is a foreign one: ask it, or read the pod's events", { next: "kubectl describe pod" });
  const name = target.replace(/^(pods?|po)\//, "");
  const explanation = await withBus(c, folder, async (bus) => {
    const request = { op: "explain", namespace: o.namespace, name };
    try {
      return (await bus.request(subjectsOf(folder.name).control("scheduler"), request, { timeoutMs: TIMEOUT_MS })) as Explanation;
    } catch (e) {
      throw new UsageError(reasonOf(e), { cause: e, next: "kubectl get pods -A" });
    }
  });
  if (o.output === "json") c.terminal.out(JSON.stringify(explanation, null, 2));
  else for (const line of render(explanation)) c.terminal.out(line);
}

export function render(e: Explanation): string[] {
  const where = e.node === undefined ? "has no node" : `is on ${e.node}`;
  const verdict = e.chosen === undefined ? (e.message ?? "no node will do") : `the best node now is ${e.chosen}`;
  const rows = Object.entries(e.nodes).map(([node, n]) => {
    if ("refusedBy" in n) return [node, "-", `${n.refusedBy}: ${n.reasons.join(", ")}`];
    const plugins = Object.entries(n.plugins)
      .map(([plugin, points]) => `${plugin} ${points}`)
      .join(", ");
    return [node, String(n.score), plugins];
  });
  return [
    `pod ${e.pod} ${where}; ${verdict}`,
    ...(rows.length > 0 ? ["", ...table(["NODE", "SCORE", "BY PLUGIN"], rows)] : []),
    ...(e.omitted === undefined ? [] : [`and ${e.omitted} more nodes`]),
  ];
}
