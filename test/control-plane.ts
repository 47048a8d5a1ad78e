// A whole control plane in one process on one clock: the real apiserver over a store in memory, the real controllers and, when asked
// for, the real scheduler, joined by a broker in memory. For recorded scenarios, property tests and benchmarks; on a virtual clock
// hours pass in moments. Nodes are objects only: whoever drives it plays the kubelets.

import { ApiServer, FLAGS } from "@podwire/apiserver";
import { type Clock, type Logger, type Random, silentLogger, z } from "@podwire/base";
import { type Bus, memoryBus } from "@podwire/bus";
import { type ApiClient, type KubeObject, microTime, natsClient, Resources } from "@podwire/client";
import { CONTROLLERS, controllerManager, DEFAULT_SETTINGS, type Manager, type Settings } from "@podwire/controller-manager";
import { type Scheduler, scheduler } from "@podwire/scheduler";
import { type MemoryStore, openMemoryStore } from "@podwire/store";

export interface ControlPlaneOptions {
  clock: Clock;
  random: Random;
  log?: Logger;
  /** Names of controllers; default all. */
  controllers?: readonly string[];
  settings?: Partial<Settings>;
  scheduler?: boolean;
  /** PEM of the key that signs tokens of service accounts; without one there are none. */
  serviceAccountKey?: string;
  /** Flags of the apiserver beside the defaults. */
  apiserver?: Readonly<Record<string, string>>;
}

export interface ControlPlane {
  /** The administrator's client. */
  client: ApiClient;
  bus(identity: string): Bus;
  manager: Manager;
  scheduler: Scheduler | undefined;
  store: MemoryStore;
  server: ApiServer;
  /** Renews the Leases of these nodes from now on, every ten seconds. */
  heartbeat(nodes: () => readonly string[]): void;
  stop(): Promise<void>;
}

const HEARTBEAT_MS = 10_000;

/** On a virtual clock the caller drives the clock while this promise is pending. */
export async function startControlPlane(o: ControlPlaneOptions): Promise<ControlPlane> {
  const log = o.log ?? silentLogger;
  const base = { clock: o.clock, random: o.random, log };
  const broker = memoryBus();
  const bus = (identity: string) => broker.connect({ cluster: "control", identity, ...base });
  const serverBus = bus("apiserver");
  const store = openMemoryStore({ clock: o.clock, log, bus: serverBus });
  const config = z.object(FLAGS).parse({ ...o.apiserver });
  const key = o.serviceAccountKey;
  const server = new ApiServer({ ...base, store, bus: serverBus, config, ...(key === undefined ? {} : { serviceAccountKeyPem: key }) });
  await server.start();
  // The controllers act as the administrator: who may do what is proved elsewhere.
  const manager = controllerManager({
    ...base,
    client: natsClient(bus("supervisor"), { clock: o.clock, fieldManager: "kube-controller-manager" }),
    bus: bus("supervisor"),
    settings: {
      ...DEFAULT_SETTINGS,
      rootCa: "-----BEGIN CERTIFICATE-----\ntest\n-----END CERTIFICATE-----\n",
      serviceAccountKey: key ?? "",
      ...o.settings,
    },
    controllers: o.controllers ?? Object.keys(CONTROLLERS),
  });
  await manager.start();
  let placing: Scheduler | undefined;
  if (o.scheduler) {
    const b = bus("supervisor");
    placing = scheduler({ ...base, client: natsClient(b, { clock: o.clock, fieldManager: "kube-scheduler" }), bus: b });
    await placing.start();
  }
  const client = natsClient(bus("user:admin"), { clock: o.clock, fieldManager: "driver" });
  const timers: { cancel(): void }[] = [];
  return {
    client,
    bus,
    manager,
    scheduler: placing,
    store,
    server,
    heartbeat(nodes) {
      const beat = async () => {
        const renewTime = microTime(o.clock.nowMs());
        for (const name of nodes()) {
          const spec = { holderIdentity: name, leaseDurationSeconds: 40, renewTime };
          await client
            .patch(Resources.leases, "kube-node-lease", name, "merge", { spec })
            .catch(() =>
              client.create(Resources.leases, { metadata: { namespace: "kube-node-lease", name }, spec } as KubeObject).catch(() => {}),
            );
        }
      };
      void beat();
      timers.push(o.clock.every(HEARTBEAT_MS, () => void beat(), { unref: true }));
    },
    async stop() {
      for (const t of timers) t.cancel();
      await placing?.stop();
      await manager.stop();
      await server.stop();
    },
  };
}
