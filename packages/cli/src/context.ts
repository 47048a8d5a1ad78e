// What every command has at hand, and the ways into a cluster: its folder, its supervisor, its API.
import { type Clock, type Random, silentLogger } from "@podwire/base";
import { type Bus, connectNats } from "@podwire/bus";
import { type ApiClient, natsClient } from "@podwire/client";
import { NotRunningError } from "./errors.ts";
import type { Installation } from "./installation.ts";
import { ClusterFolder } from "./state/cluster-folder.ts";
import { ADMIN, readIdentity } from "./state/identities.ts";
import { type SupervisorStatus, statusIfRunning } from "./supervisor/control.ts";
import type { Terminal } from "./terminal/terminal.ts";

export interface Context {
  terminal: Terminal;
  clock: Clock;
  random: Random;
  installation: Installation;
  /** The folder of all clusters. */
  home: string;
  env: Readonly<Record<string, string | undefined>>;
  /** Aborted when the person wants the command to end (Ctrl-C, SIGTERM, the launcher gone). */
  signal: AbortSignal;
}

export interface GlobalOptions {
  name: string;
}

export const folderOf = (c: Context, o: GlobalOptions): ClusterFolder => new ClusterFolder(c.home, o.name);

/** The running cluster's status. Throws NotRunningError. */
export async function runningCluster(folder: ClusterFolder): Promise<SupervisorStatus> {
  const status = await statusIfRunning(folder.socket, folder.name);
  if (!status) throw new NotRunningError(folder.name);
  return status;
}

/** A connection as the cluster's administrator; closed when `work` is over. */
export async function withBus<T>(c: Context, folder: ClusterFolder, work: (bus: Bus, api: ApiClient) => Promise<T>): Promise<T> {
  const { seed, natsUrl } = readIdentity(folder, ADMIN);
  const { clock, random } = c;
  const bus = await connectNats({ url: natsUrl, cluster: folder.name, identity: ADMIN, seed, clock, random, log: silentLogger });
  try {
    return await work(bus, natsClient(bus, { clock, fieldManager: "podwire" }));
  } finally {
    await bus.close();
  }
}
