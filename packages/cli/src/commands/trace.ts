// podwire trace: the path of one request, hop by hop. With a Service that the edge serves, it sends the request itself; otherwise it
// waits for the next packet that matches.
import type { Bus } from "@podwire/bus";
import { type ApiClient, isNotFound, type KubeObject, Resources } from "@podwire/client";
import type { TracePoint } from "@podwire/net";
import { type Context, folderOf, type GlobalOptions, runningCluster, withBus } from "../context.ts";
import { TimedOutError, UsageError } from "../errors.ts";
import { collectTrace, firstExchange, type Selection } from "../trace/collect.ts";
import { processesCrossed, renderTrace } from "../trace/render.ts";
import { HOST_ADDRESS_ANNOTATION } from "./status.ts";

export interface TraceOptions extends GlobalOptions {
  namespace: string;
  from: string | undefined;
  src: string | undefined;
  dst: string | undefined;
  port: number | undefined;
  protocol: string | undefined;
  count: number;
  all: boolean;
  timeoutMs: number;
  output: string | undefined;
}

export async function trace(c: Context, o: TraceOptions, target: string | undefined): Promise<void> {
  const folder = folderOf(c, o);
  await runningCluster(folder);
  await withBus(c, folder, async (bus, api) => {
    const { selection, url } = await plan(api, o, target);
    if (Object.values(selection).every((v) => v === undefined))
      throw new UsageError("say what to trace: a Service, --from POD, --src, --dst or --port");
    const { clock, random } = c;
    if (!url) c.terminal.err(`waiting for a packet (${describe(selection)}) ...`);
    const act = url ? () => request(c, url) : undefined;
    const points = await collectTrace({ bus, clock, random, selection, maxPackets: o.count, timeoutMs: o.timeoutMs }, act);
    if (points.length === 0) throw new TimedOutError(`no packet was seen (${describe(selection)})`, { next: "podwire status" });
    print(c, o, o.all ? points : firstExchange(points));
  });
}

function print(c: Context, o: TraceOptions, points: readonly TracePoint[]): void {
  if (o.output === "json") c.terminal.out(JSON.stringify(points, null, 2));
  else for (const line of renderTrace(points, c.terminal)) c.terminal.out(line);
  c.terminal.err(`${points.length} points, processes: ${processesCrossed(points).join(" > ")}`);
}

/** One request through the edge to a Service, traced; for the demo. */
export async function traceRequest(c: Context, bus: Bus, service: KubeObject): Promise<{ points: TracePoint[]; url: string }> {
  const reached = reachOf(service);
  if (!reached) throw new UsageError(`Service ${service.metadata.name} has no address on this host`);
  const { clock, random } = c;
  const points = await collectTrace({ bus, clock, random, selection: reached.selection, maxPackets: 1, timeoutMs: 5000 }, () =>
    request(c, reached.url),
  );
  return { points: firstExchange(points), url: reached.url };
}

async function request(c: Context, url: string): Promise<void> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(10_000), headers: { connection: "close" } });
  const body = await answer.text();
  c.terminal.err(`GET ${url}: ${answer.status} ${body.trim().split("\n")[0]?.slice(0, 100) ?? ""}`);
}

async function plan(api: ApiClient, o: TraceOptions, target: string | undefined): Promise<{ selection: Selection; url?: string }> {
  const selection: Selection = {};
  if (o.src !== undefined) selection.src = o.src;
  if (o.dst !== undefined) selection.dst = o.dst;
  if (o.port !== undefined) selection.dport = o.port;
  if (o.protocol !== undefined) selection.protocol = o.protocol;
  if (o.from !== undefined) selection.src = await podAddress(api, o.namespace, o.from.replace(/^pods?\//, ""));
  if (target === undefined) return { selection };
  const service = await serviceNamed(api, o.namespace, target.replace(/^(svc|services?)\//, ""));
  const reached = o.from === undefined ? reachOf(service) : undefined;
  if (reached) return { selection: { ...reached.selection, ...selection }, url: reached.url };
  const port = service["spec"]?.ports?.[0];
  return {
    selection: { dst: service["spec"]?.clusterIP, dport: port?.port, protocol: (port?.protocol ?? "TCP").toLowerCase(), ...selection },
  };
}

/** How the edge turns a request from this host into packets: the URL to ask, and what those packets look like. */
export function reachOf(service: KubeObject): { url: string; selection: Selection } | undefined {
  const host = service.metadata.annotations?.[HOST_ADDRESS_ANNOTATION]?.split(",")[0];
  const vip = service["status"]?.loadBalancer?.ingress?.[0]?.ip as string | undefined;
  const port = service["spec"]?.ports?.[0]?.port as number | undefined;
  if (!host || port === undefined) return undefined;
  return { url: `http://${host}/`, selection: { protocol: "tcp", dport: port, ...(vip ? { dst: vip } : {}) } };
}

async function serviceNamed(api: ApiClient, namespace: string, name: string): Promise<KubeObject> {
  try {
    return await api.get(Resources.services, namespace, name);
  } catch (e) {
    if (isNotFound(e)) throw new UsageError(`there is no Service ${namespace}/${name}`, { cause: e });
    throw e;
  }
}

async function podAddress(api: ApiClient, namespace: string, name: string): Promise<string> {
  const { items } = await api.list(Resources.pods, { namespace });
  const pod = items.find((p) => p.metadata.name === name) ?? items.find((p) => p.metadata.name.startsWith(`${name}-`));
  const address = pod?.["status"]?.podIP as string | undefined;
  if (address === undefined) throw new UsageError(`no running pod named ${name} in namespace ${namespace}`);
  return address;
}

function describe(s: Selection): string {
  return Object.entries(s)
    .filter(([, v]) => v !== undefined)
    .map(([k, v]) => `${k}=${v}`)
    .join(" ");
}
