// A test's own connection to a cluster's bus, as its administrator: counters of the processes, and garbage for them.
import { randomBytes } from "node:crypto";
import { seededRandom, silentLogger, systemClock } from "@podwire/base";
import { type Bus, connectNats, subjectsOf, type WireCounters } from "@podwire/bus";
import { ClusterFolder, readIdentity } from "@podwire/cli";
import type { Cluster } from "./cluster.ts";

export interface ControlClient {
  bus: Bus;
  /** `{op: "counters"}` of a component by identity ("edge", "node:node-1"). */
  counters(identity: string): Promise<any>;
  wire(identity: string): Promise<WireCounters>;
  health(identity: string): Promise<string>;
  close(): Promise<void>;
}

/** Connects as `identity`, by default the person at the keyboard. */
export async function controlClient(cluster: Cluster, identity = "user:admin"): Promise<ControlClient> {
  const { seed, natsUrl } = readIdentity(new ClusterFolder(cluster.home, cluster.name), identity);
  const random = seededRandom(randomBytes(4).readUInt32LE());
  const bus = await connectNats({ url: natsUrl, cluster: cluster.name, identity, seed, clock: systemClock, random, log: silentLogger });
  const subjects = subjectsOf(cluster.name);
  const ask = (to: string, op: string) => bus.request(subjects.control(to), { op }, { timeoutMs: 5_000 }) as Promise<any>;
  return {
    bus,
    counters: (to) => ask(to, "counters"),
    wire: async (to) => (await ask(to, "counters")).wire as WireCounters,
    health: async (to) => (await ask(to, "health")).health as string,
    close: () => bus.close(),
  };
}
