// podwire demo, and the second half of npm start: applies the demo, sends real requests both ways, and shows the path of one.
import { type ApiClient, isNotFound, Resources } from "@podwire/client";
import { createMissing } from "../addons/apply.ts";
import { DEMO_CLIENT, DEMO_NAMESPACE, DEMO_SERVICE, demo } from "../addons/demo.ts";
import { type Context, folderOf, type GlobalOptions, runningCluster, withBus } from "../context.ts";
import { TimedOutError } from "../errors.ts";
import type { ClusterFolder } from "../state/cluster-folder.ts";
import { type Progress, progressOn } from "../terminal/progress.ts";
import { paint } from "../terminal/terminal.ts";
import { processesCrossed, renderTrace } from "../trace/render.ts";
import { reachOf, traceRequest } from "./trace.ts";

const LIMIT_MS = 60_000;
const REPLICAS = 3;

export async function runDemo(c: Context, o: GlobalOptions): Promise<void> {
  const folder = folderOf(c, o);
  await runningCluster(folder);
  await withBus(c, folder, (_, api) => showDemo(c, folder, api, progressOn(c.terminal, c.clock)));
}

export async function showDemo(c: Context, folder: ClusterFolder, api: ApiClient, progress: Progress): Promise<void> {
  await progress.phase("Applying the demo: Deployment web, Service web, Pod client", () => createMissing(api, demo));
  await progress.phase(`Waiting for ${REPLICAS} replicas`, (rename) =>
    until(c, "the replicas of web", async () => {
      const web = await api.get(Resources.deployments, DEMO_NAMESPACE, "web");
      const available = (web["status"]?.availableReplicas ?? 0) as number;
      rename(`Waiting for ${REPLICAS} replicas (${available} available)`);
      return available >= REPLICAS ? true : undefined;
    }),
  );
  const said = await progress.phase("A pod asks http://web by its DNS name", () => until(c, "an answer to the pod", () => lastAnswer(api)));
  const url = await progress.phase("This machine asks through the edge", () => until(c, "an answer through the edge", () => askEdge(api)));
  c.terminal.err(`   pod client got: ${said}`);
  c.terminal.err(`   curl ${url.url} got: ${url.answer}`);
  await withBus(c, folder, async (bus) => {
    const service = await api.get(Resources.services, DEMO_NAMESPACE, DEMO_SERVICE);
    const { points } = await traceRequest(c, bus, service);
    if (points.length === 0) return c.terminal.err("   (no trace points came back)");
    c.terminal.err(paint(c.terminal.errColour, "bold", `\nThe path of one request (${processesCrossed(points).join(" > ")}):`));
    for (const line of renderTrace(points, { outColour: c.terminal.errColour })) c.terminal.err(line);
  });
  suggest(c, folder, url.url);
}

/** The last line with an answer in the client's log. */
async function lastAnswer(api: ApiClient): Promise<string | undefined> {
  const path = `/api/v1/namespaces/${DEMO_NAMESPACE}/pods/${DEMO_CLIENT}/log?tailLines=20`;
  const stream = await api.transport.stream({ method: "GET", path, headers: {} });
  let text = "";
  await new Promise<void>((resolve) => {
    stream.onChunk((chunk) => {
      text += new TextDecoder().decode(chunk);
    });
    stream.onClose(() => resolve());
  });
  const lines = text.trim().split("\n");
  return stream.status === 200 ? lines.reverse().find((l) => /^200\b/.test(l)) : undefined;
}

async function askEdge(api: ApiClient): Promise<{ url: string; answer: string } | undefined> {
  try {
    const reached = reachOf(await api.get(Resources.services, DEMO_NAMESPACE, DEMO_SERVICE));
    if (!reached) return undefined;
    const response = await fetch(reached.url, { signal: AbortSignal.timeout(5000), headers: { connection: "close" } });
    const answer = (await response.text()).trim().split("\n")[0] ?? "";
    return response.ok ? { url: reached.url, answer } : undefined;
  } catch (e) {
    if (isNotFound(e) || e instanceof TypeError || (e as Error).name === "TimeoutError") return undefined; // Not there yet.
    throw e;
  }
}

function suggest(c: Context, folder: ClusterFolder, url: string): void {
  const { terminal } = c;
  const name = folder.name === "podwire" ? "" : ` --name ${folder.name}`;
  const command = `node ${c.installation.root}/bin/podwire.mjs`;
  terminal.err(paint(terminal.errColour, "bold", "\nTry next, in another terminal:"));
  for (const line of [
    `export KUBECONFIG=${folder.kubeconfig}`,
    "kubectl get pods -A -o wide",
    `curl ${url}`,
    `${command} status${name}`,
    `${command} trace web${name}`,
    `${command} logs -f node${name}`,
    `${command} nodes kill node-3${name}   # then watch: kubectl get nodes,pods -o wide -w`,
    `${command} down${name}`,
  ])
    terminal.err(`  ${line}`);
  terminal.err("");
}

async function until<T>(c: Context, what: string, ask: () => Promise<T | undefined>): Promise<T> {
  const deadline = c.clock.monotonicMs() + LIMIT_MS;
  for (;;) {
    const value = await ask();
    if (value !== undefined) return value;
    if (c.clock.monotonicMs() > deadline)
      throw new TimedOutError(`waited ${LIMIT_MS / 1000} s for ${what}`, { next: "kubectl get pods -A -o wide" });
    await c.clock.sleep(50, c.signal);
  }
}
