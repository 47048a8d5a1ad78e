// podwire container <role>: what one container of compose.yaml runs. Containers share a state folder (a volume): `nats` makes the
// credentials in it, the others wait for theirs. A component runs inside this process, so the container is the component.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Identity, natsServerConfig, obtainNatsServer } from "@podwire/bus";
import { createMissing } from "../addons/apply.ts";
import { clusterDns } from "../addons/cluster-dns.ts";
import { clusterStorage } from "../addons/cluster-storage.ts";
import { type Context, withBus } from "../context.ts";
import { UsageError } from "../errors.ts";
import type { Component } from "../installation.ts";
import { hasCertificates, kubeconfig } from "../kubeconfig.ts";
import { ClusterFolder, type ClusterRecord, writeWhole } from "../state/cluster-folder.ts";
import { ensureIdentities, nodeNameOfSlot, underlayOf, underlayOfSlot } from "../state/identities.ts";
import { controllerManagerFlags } from "../supervisor/components.ts";
import { claimSlot, RENEW_MS } from "./slots.ts";

export const ROLES = ["nats", "apiserver", "controller-manager", "scheduler", "edge", "dashboard", "node-agent"] as const;
export type Role = (typeof ROLES)[number];

export interface ContainerOptions {
  name: string;
  /** Nodes that may ever join; their credentials are made ahead. */
  slots: number;
  natsUrl: string;
  /** What the kubeconfig says; the API's port as the host publishes it. */
  server: string;
  /** Where the kubeconfig lands: a folder of the host. */
  kubeconfig: string;
}

const NATS_PORT = 4222;
const API_PORT = 6443;

export async function runContainer(c: Context, o: ContainerOptions, role: string, flags: readonly string[]): Promise<void> {
  if (!(ROLES as readonly string[]).includes(role)) throw new UsageError(`no role ${JSON.stringify(role)} (there are ${ROLES.join(", ")})`);
  const folder = new ClusterFolder(c.home, o.name);
  if (role === "nats") return runNats(c, o, folder, flags);
  await until(c, () => existsSync(folder.record));
  if (role === "node-agent") return runNode(c, o, folder, flags);
  if (role === "apiserver") {
    const own = [
      `--secure-port=${API_PORT}`,
      "--bind-address=0.0.0.0",
      `--cert-dir=${folder.pki}`,
      `--advertise-address=${underlayOf.apiserver}`,
    ];
    become(c, folder, "apiserver", Identity.apiserver, folder.file("apiserver"), [
      ...own,
      "--service-cluster-ip-range=10.96.0.0/12",
      ...flags,
    ]);
    await setUp(c, o, folder);
    return forever();
  }
  const own = role === "controller-manager" ? controllerManagerFlags(folder.pki) : [];
  if (own.length > 0) await until(c, () => hasCertificates(folder.pki));
  become(c, folder, role as Component, role, folder.file(role), [...own, ...flags]);
  return forever();
}

/** The component in this process ends it. */
const forever = (): Promise<never> => new Promise(() => undefined);

/** Credentials, configuration, and the server itself, which ends with this process and this process with it. */
async function runNats(c: Context, o: ContainerOptions, folder: ClusterFolder, flags: readonly string[]): Promise<void> {
  folder.create();
  const record: ClusterRecord = {
    version: 1,
    name: o.name,
    apiPort: API_PORT,
    natsPort: NATS_PORT,
    dashboardPort: 0,
    nodes: [],
    slots: o.slots,
    args: {},
    without: [],
  };
  const identities = ensureIdentities(folder, record, o.natsUrl);
  const config = folder.file("nats", "nats.conf");
  writeWhole(
    config,
    natsServerConfig({
      cluster: o.name,
      port: NATS_PORT,
      listenHost: "0.0.0.0",
      storeDir: folder.file("nats", "jetstream"),
      identities: identities.map(({ identity, publicKey, underlay }) => ({ identity, publicKey, ...(underlay ? { underlay } : {}) })),
    }),
  );
  folder.write(record); // Last: the others wait for it.
  const server = await obtainNatsServer({ env: c.env, cacheDir: folder.file("bin"), clock: c.clock });
  if (!("binary" in server)) throw new UsageError("the role nats needs a nats-server, not NATS_URL");
  const child = spawn(server.binary, ["-c", config, ...flags], { stdio: "inherit" });
  c.signal.addEventListener("abort", () => child.kill("SIGTERM"));
  const code = await new Promise<number>((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (status) => resolve(status ?? 1));
  });
  process.exit(c.signal.aborted ? 0 : code);
}

async function runNode(c: Context, o: ContainerOptions, folder: ClusterFolder, flags: readonly string[]): Promise<void> {
  const { slot, renew, release } = await claimSlot(folder.file("slots"), hostname(), o.slots, c.clock);
  c.clock.every(RENEW_MS, renew, { unref: true });
  process.on("exit", release);
  const name = nodeNameOfSlot(slot);
  // A node's disk is its container's own: another container under the same name is another machine.
  const state = c.env["PODWIRE_NODE_STATE"] || "/var/lib/podwire";
  become(c, folder, "node-agent", Identity.node(name), state, [
    `--node-name=${name}`,
    `--node-ip=${underlayOfSlot(slot)}`,
    `--client-ca-file=${join(folder.pki, "ca.crt")}`,
    ...flags,
  ]);
  return forever();
}

/** Starts a component in this process. Its main takes over: flags, signals, exit code. */
function become(c: Context, folder: ClusterFolder, component: Component, identity: string, state: string, flags: readonly string[]): void {
  const common = [`--identity-file=${folder.identityFile(identity)}`, `--cluster=${folder.name}`, `--state-dir=${state}`];
  process.argv = [process.argv[0] as string, c.installation.programOf(component), ...common, ...flags];
  // Not awaited: a component's main ends with the process.
  import(pathToFileURL(c.installation.programOf(component)).href).catch((e) => {
    process.stderr.write(`${component}: ${(e as Error).stack}\n`);
    process.exit(1);
  });
}

/** Once the API answers: roles, cluster DNS, and the kubeconfig on the host. */
async function setUp(c: Context, o: ContainerOptions, folder: ClusterFolder): Promise<void> {
  await withBus(c, folder, async (_, api) => {
    await until(c, async () => (await api.raw({ method: "GET", path: "/readyz", headers: {} })).status === 200);
    await until(c, () => hasCertificates(folder.pki));
    await until(c, async () => (await createMissing(api, [...clusterStorage, ...clusterDns(false)])) !== undefined);
  });
  writeWhole(o.kubeconfig, kubeconfig(o.name, o.server, folder.pki), 0o644);
}

async function until(c: Context, ask: () => Promise<boolean> | boolean): Promise<void> {
  while (!c.signal.aborted) {
    try {
      if (await ask()) return;
    } catch {
      // Not yet; whoever is waited for says in its own log why.
    }
    await c.clock.sleep(100, c.signal).catch(() => undefined);
  }
}
