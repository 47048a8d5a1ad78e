// podwire status: processes, nodes, and where Services are reached from the host. Exit code 3 when something is not well.
import { reasonOf } from "@podwire/base";
import { type KubeObject, Resources } from "@podwire/client";
import { type Context, folderOf, type GlobalOptions, withBus } from "../context.ts";
import { NotRunningError, UnhealthyError } from "../errors.ts";
import { isReady } from "../supervisor/bring-up.ts";
import { type SupervisorStatus, statusIfRunning } from "../supervisor/control.ts";
import { age, paint, table } from "../terminal/terminal.ts";

/** Where the edge says on which host addresses a Service answers, comma separated: "127.0.0.1:8080". */
export const HOST_ADDRESS_ANNOTATION = "podwire.io/host-address";

export interface StatusOptions extends GlobalOptions {
  wait: boolean;
  timeoutMs: number;
  output: string | undefined;
}

export interface NodeHealth {
  name: string;
  ready: boolean;
  address: string;
  podCIDR: string;
}

export interface ClusterHealth extends SupervisorStatus {
  nodeHealth: NodeHealth[];
  services: { name: string; clusterIP: string; vip: string; host: string }[];
  /** What is wrong, in words; empty when all is well. */
  problems: string[];
}

export async function status(c: Context, o: StatusOptions): Promise<void> {
  const folder = folderOf(c, o);
  const deadline = c.clock.monotonicMs() + o.timeoutMs;
  for (;;) {
    const health = await healthOf(c, o);
    if (o.wait && (!health || health.problems.length > 0) && c.clock.monotonicMs() < deadline) {
      await c.clock.sleep(100, c.signal);
      continue;
    }
    if (!health) throw new UnhealthyError(new NotRunningError(folder.name).message, { next: "podwire up -d" });
    if (o.output === "json") c.terminal.out(JSON.stringify(health, null, 2));
    else print(c, health);
    if (health.problems.length > 0) throw new UnhealthyError(health.problems.join("; "));
    return;
  }
}

/** Undefined when the cluster is not running. */
export async function healthOf(c: Context, o: GlobalOptions): Promise<ClusterHealth | undefined> {
  const folder = folderOf(c, o);
  const supervisor = await statusIfRunning(folder.socket, folder.name);
  if (!supervisor) return undefined;
  const problems = processProblems(supervisor);
  try {
    const [nodes, services] = await withBus(c, folder, (_, api) =>
      Promise.all([api.list(Resources.nodes, { signal: AbortSignal.timeout(5000) }), api.list(Resources.services)]),
    );
    const nodeHealth = supervisor.nodes.map((n) => healthOfNode(n, nodes.items));
    problems.push(...nodeHealth.filter((n) => !n.ready).map((n) => `node ${n.name} is not ready`));
    return { ...supervisor, nodeHealth, services: services.items.filter(isReachable).map(serviceRow), problems };
  } catch (e) {
    problems.push(`the API does not answer: ${reasonOf(e)}`);
    return { ...supervisor, nodeHealth: [], services: [], problems };
  }
}

export function processProblems(s: SupervisorStatus): string[] {
  const problems = s.phase === "running" ? [] : [`the cluster is ${s.phase}`];
  for (const p of s.processes) if (p.state !== "running") problems.push(`${p.name} is ${p.state}${p.lastExit ? ` (${p.lastExit})` : ""}`);
  return problems;
}

function healthOfNode(n: { name: string; underlay: string }, objects: readonly KubeObject[]): NodeHealth {
  const object = objects.find((o) => o.metadata.name === n.name);
  return { name: n.name, ready: object !== undefined && isReady(object), address: n.underlay, podCIDR: object?.["spec"]?.podCIDR ?? "" };
}

const isReachable = (s: KubeObject): boolean => s.metadata.annotations?.[HOST_ADDRESS_ANNOTATION] !== undefined;

function serviceRow(s: KubeObject): ClusterHealth["services"][number] {
  const ingress = (s["status"]?.loadBalancer?.ingress ?? []) as { ip?: string }[];
  return {
    name: `${s.metadata.namespace}/${s.metadata.name}`,
    clusterIP: s["spec"]?.clusterIP ?? "",
    vip: ingress
      .map((i) => i.ip)
      .filter(Boolean)
      .join(","),
    host: s.metadata.annotations?.[HOST_ADDRESS_ANNOTATION] ?? "",
  };
}

function print(c: Context, h: ClusterHealth): void {
  const { terminal, clock } = c;
  const now = clock.nowMs();
  const mark = h.problems.length === 0 ? paint(terminal.outColour, "green", "healthy") : paint(terminal.outColour, "red", "not healthy");
  terminal.out(`cluster ${h.cluster}: ${mark}, up ${age(now - h.startedMs)}, API ${h.apiUrl}, supervisor pid ${h.pid}`);
  terminal.out(`dashboard ${h.dashboardUrl}`);
  terminal.out(`export KUBECONFIG=${h.kubeconfig}`);
  terminal.out("");
  const rows = h.processes
    .filter((p) => p.kind !== "node")
    .map((p) => [p.name, p.state, String(p.pid ?? "-"), String(p.restarts), p.startedMs ? age(now - p.startedMs) : "-"]);
  for (const line of table(["COMPONENT", "STATE", "PID", "RESTARTS", "AGE"], rows)) terminal.out(line);
  terminal.out("");
  const nodes = h.nodes.map((n) => {
    const p = h.processes.find((x) => x.name === n.name);
    const node = h.nodeHealth.find((x) => x.name === n.name);
    return [n.name, node?.ready ? "Ready" : "NotReady", p?.state ?? "-", String(p?.pid ?? "-"), n.underlay, node?.podCIDR || "-"];
  });
  for (const line of table(["NODE", "STATUS", "PROCESS", "PID", "ADDRESS", "PODS"], nodes)) terminal.out(line);
  if (h.services.length > 0) {
    terminal.out("");
    const services = h.services.map((s) => [s.name, s.clusterIP, s.vip || "-", s.host]);
    for (const line of table(["SERVICE", "CLUSTER-IP", "EXTERNAL-IP", "ON THIS HOST"], services)) terminal.out(line);
  }
}
