// From nothing to a cluster that works, phase by phase: NATS, control plane, kubeconfig, add-ons, nodes. Processes start all at once
// as soon as NATS runs; the phases only say what is being waited for.
import type { Clock } from "@podwire/base";
import { type ApiClient, type KubeObject, Resources } from "@podwire/client";
import { createMissing } from "../addons/apply.ts";
import { clusterDns } from "../addons/cluster-dns.ts";
import { clusterStorage } from "../addons/cluster-storage.ts";
import { TimedOutError } from "../errors.ts";
import { hasCertificates, kubeconfig } from "../kubeconfig.ts";
import { type ClusterFolder, writeWhole } from "../state/cluster-folder.ts";
import type { Progress } from "../terminal/progress.ts";
import { REPLACEABLE } from "./components.ts";
import { isDualStack } from "./dual-stack.ts";
import type { Supervisor, UpRequest } from "./supervisor.ts";

/** A phase that takes longer than this has failed. */
const PHASE_LIMIT_MS = 120_000;
const POLL_MS = 25;

export interface BringUp {
  supervisor: Supervisor;
  folder: ClusterFolder;
  request: UpRequest;
  progress: Progress;
  clock: Clock;
}

/** Resolves when nodes are Ready and cluster DNS answers; without controllers or scheduler, which somebody else will bring, when our
 *  own processes are well. `api` is the supervisor's. */
export async function bringUp(b: BringUp): Promise<ApiClient> {
  const { supervisor, folder, progress } = b;
  const title = `Preparing cluster ${folder.name}`;
  const record = await progress.phase(title, (rename) => supervisor.prepare(b.request, (step) => rename(`${title}: obtaining ${step}`)));
  supervisor.phase = "starting NATS";
  await progress.phase(supervisor.natsTitle(), () => supervisor.startNats());
  supervisor.phase = "starting the control plane";
  const api = await progress.phase(`Starting the control plane on port ${record.apiPort}`, async () => {
    supervisor.startComponents();
    const client = await supervisor.api();
    await until(b, "the API server", async () => (await client.raw({ method: "GET", path: "/readyz", headers: {} })).status === 200);
    await until(b, "the API server's certificates", async () => hasCertificates(folder.pki));
    const server = `https://127.0.0.1:${record.apiPort}`;
    writeWhole(folder.kubeconfig, kubeconfig(folder.name, server, folder.pki));
    for (const name of REPLACEABLE) writeWhole(folder.kubeconfigOf(name), kubeconfig(folder.name, server, folder.pki, name));
    await until(b, "namespaces", async () => namespacesAreThere(client));
    await createMissing(client, [...clusterStorage, ...clusterDns(isDualStack(record.args))]);
    return client;
  });
  supervisor.phase = "joining nodes";
  const wanted = record.nodes.map((n) => n.name);
  const foreign = record.without.length > 0;
  await progress.phase(nodesTitle(wanted.length, undefined), (rename) =>
    until(b, "nodes", async () => {
      const { items } = await api.list(Resources.nodes);
      const there = wanted.filter((name) => items.some((n) => n.metadata.name === name && (foreign || isReady(n))));
      rename(nodesTitle(wanted.length, there.length));
      return there.length === wanted.length && (await supervisor.controlPlaneIsWell());
    }),
  );
  supervisor.phase = "starting cluster DNS";
  if (wanted.length > 0 && !foreign)
    await progress.phase("Starting cluster DNS", () =>
      until(b, "cluster DNS", async () => {
        const dns = await api.get(Resources.deployments, "kube-system", "coredns");
        return (dns["status"]?.availableReplicas ?? 0) > 0;
      }),
    );
  supervisor.startDashboard();
  supervisor.phase = "running";
  return api;
}

function nodesTitle(wanted: number, ready: number | undefined): string {
  const nodes = `${wanted} node${wanted === 1 ? "" : "s"}`;
  return ready === undefined || ready === wanted ? `Joining ${nodes}` : `Joining ${nodes} (${ready} ready)`;
}

async function namespacesAreThere(api: ApiClient): Promise<boolean> {
  const names = new Set((await api.list(Resources.namespaces)).items.map((n) => n.metadata.name));
  return names.has("default") && names.has("kube-system");
}

export function isReady(object: KubeObject): boolean {
  const conditions = (object["status"]?.conditions ?? []) as { type: string; status: string }[];
  return conditions.some((c) => c.type === "Ready" && c.status === "True");
}

/** Asks until the answer is yes; an error counts as no until the limit, and is then the cause. */
async function until(b: BringUp, what: string, ask: () => Promise<boolean>): Promise<void> {
  const deadline = b.clock.monotonicMs() + PHASE_LIMIT_MS;
  let cause: unknown;
  for (;;) {
    try {
      if (await ask()) return;
      cause = undefined;
    } catch (e) {
      cause = e;
    }
    b.supervisor.assertStarting();
    if (b.clock.monotonicMs() > deadline)
      throw new TimedOutError(`waited ${PHASE_LIMIT_MS / 1000} s for ${what}`, { cause, next: "podwire logs" });
    await b.clock.sleep(POLL_MS);
  }
}
