// The cluster's nats-server: its configuration file and the wait until it answers. The binary is found or obtained by the bus.
import { createConnection } from "node:net";
import type { Clock } from "@podwire/base";
import { natsServerConfig } from "@podwire/bus";
import { TimedOutError } from "../errors.ts";
import { type ClusterFolder, type ClusterRecord, writeWhole } from "../state/cluster-folder.ts";
import type { IdentityFile } from "../state/identities.ts";

/** nats-server starts in tens of milliseconds; a large stream on a slow disk takes longer to recover. */
const START_LIMIT_MS = 60_000;

export function writeNatsConfig(
  folder: ClusterFolder,
  record: ClusterRecord,
  identities: readonly IdentityFile[],
  listenHost: string,
): string {
  const path = folder.file("nats", "nats.conf");
  const config = natsServerConfig({
    cluster: record.name,
    port: record.natsPort,
    storeDir: folder.file("nats", "jetstream"),
    listenHost,
    identities: identities.map(({ identity, publicKey, underlay }) => ({ identity, publicKey, ...(underlay ? { underlay } : {}) })),
  });
  writeWhole(path, config);
  return path;
}

/** Resolves when the server greets (its INFO line), which it does once JetStream has recovered. `alive` says it still runs. */
export async function natsIsUp(port: number, clock: Clock, alive: () => boolean): Promise<void> {
  const deadline = clock.monotonicMs() + START_LIMIT_MS;
  while (!(await greets(port))) {
    if (!alive()) throw new TimedOutError("nats-server ended while starting", { next: "podwire logs nats" });
    if (clock.monotonicMs() > deadline)
      throw new TimedOutError(`nats-server does not answer on port ${port}`, { next: "podwire logs nats" });
    await clock.sleep(10);
  }
}

function greets(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: "127.0.0.1" });
    const done = (yes: boolean) => {
      socket.destroy();
      resolve(yes);
    };
    socket.once("data", (d) => done(d.toString("latin1").startsWith("INFO ")));
    socket.once("error", () => done(false));
  });
}
