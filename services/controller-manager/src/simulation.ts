// A cluster without machines, for tests and benchmarks of controllers: an API in memory, a broker in memory, kubelets that make
// every bound pod ready and let every terminating pod go. Not part of the running service.
import type { Clock, Random } from "@podwire/base";
import { silentLogger } from "@podwire/base";
import { type Bus, memoryBus } from "@podwire/bus";
import { type ApiClient, type ApiTransport, apiClient, type KubeObject, type MemoryApi, memoryApi, Resources, time } from "@podwire/client";
import { DEFAULT_SETTINGS, type Settings } from "./context.ts";
import { controllerManager, type Manager } from "./manager.ts";
import { builtinCollections, CUSTOM_RESOURCE_DEFINITIONS } from "./resource-table.ts";

export interface SimulationOptions {
  clock: Clock;
  random: Random;
  controllers: readonly string[];
  nodes?: number;
  settings?: Partial<Settings>;
  /** Binds unbound pods round robin; off when a real scheduler runs. Default true. */
  bind?: boolean;
  /** Until a bound pod is ready; and until a terminating one is gone. Default 1. */
  kubeletDelayMs?: number;
  /** Between the controllers and the API, and between them and the broker. */
  wrapTransport?: (t: ApiTransport) => ApiTransport;
  wrapBus?: (b: Bus) => Bus;
}

export interface Simulation {
  api: MemoryApi;
  client: ApiClient;
  bus(identity: string): Bus;
  readonly manager: Manager;
  start(): Promise<void>;
  /** The controllers die without a word and new ones start with empty caches. */
  restartManager(): Promise<void>;
  stop(): Promise<void>;
  /** Resolves when `what` holds. Throws after `timeoutMs` of the clock. */
  until(what: () => boolean, why: string, timeoutMs?: number): Promise<void>;
}

export function simulation(o: SimulationOptions): Simulation {
  const base = { clock: o.clock, random: o.random, log: silentLogger };
  const broker = memoryBus();
  const bus = (identity: string) => broker.connect({ cluster: "sim", identity, ...base });
  const api = memoryApi({
    ...base,
    bus: bus("apiserver"),
    resources: [...builtinCollections().map((c) => c.ref), CUSTOM_RESOURCE_DEFINITIONS],
  });
  const client = api.client();
  const make = () => {
    const b = bus("controller-manager");
    return controllerManager({
      ...base,
      client: o.wrapTransport ? apiClient(o.wrapTransport(api.transport), { clock: o.clock }) : client,
      bus: o.wrapBus ? o.wrapBus(b) : b,
      settings: { ...DEFAULT_SETTINGS, rootCa: "test-ca", ...o.settings },
      controllers: o.controllers,
    });
  };
  let manager = make();
  const delay = o.kubeletDelayMs ?? 1;
  let turn = 0;
  let stopped = false;
  let address = 0;

  const nodeName = (i: number) => `node-${i + 1}`;
  const ignore = () => {};

  api.onCommit = (resource, object, deleted) => {
    if (resource !== "pods" || deleted || stopped) return;
    const { namespace = "", name } = object.metadata;
    if (object.metadata.deletionTimestamp) {
      o.clock.after(delay, () => void client.delete(Resources.pods, namespace, name, { gracePeriodSeconds: 0 }).catch(ignore));
    } else if (!object["spec"].nodeName) {
      if (o.bind === false || object["status"]?.conditions?.some((c: any) => c.type === "PodScheduled")) return;
      const target = { kind: "Node", name: nodeName(turn++ % (o.nodes ?? 3)) };
      o.clock.after(
        0,
        () =>
          void client
            .createSubresource(Resources.pods, namespace, name, "binding", { metadata: { name, namespace }, target })
            .catch(ignore),
      );
    } else if (object["status"]?.phase === "Pending") o.clock.after(delay, () => void run(object));
  };

  async function run(pod: KubeObject): Promise<void> {
    const { namespace = "", name } = pod.metadata;
    const now = time(o.clock.nowMs());
    address++;
    const podIP = `10.244.${(address >> 8) & 255}.${address & 255}`;
    const conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map((type) => ({
      type,
      status: "True",
      lastTransitionTime: now,
    }));
    const status = { phase: "Running", podIP, podIPs: [{ ip: podIP }], startTime: now, conditions };
    await client.patch(Resources.pods, namespace, name, "strategic", { status }, { subresource: "status" }).catch(ignore);
  }

  return {
    api,
    client,
    bus,
    get manager() {
      return manager;
    },
    async restartManager() {
      // What is under way when a process dies may still arrive: the old one is not waited for.
      void manager.stop();
      manager = make();
      await manager.start();
    },
    async start() {
      await client.create(Resources.namespaces, {
        metadata: { name: "default" },
        spec: { finalizers: ["kubernetes"] },
        status: { phase: "Active" },
      });
      for (let i = 0; i < (o.nodes ?? 3); i++)
        await client.create(Resources.nodes, {
          metadata: { name: nodeName(i), labels: { "kubernetes.io/hostname": nodeName(i) } },
          spec: {},
          status: {
            capacity: { cpu: "64", memory: "256Gi", pods: "500" },
            allocatable: { cpu: "64", memory: "256Gi", pods: "500" },
            conditions: [{ type: "Ready", status: "True", reason: "KubeletReady" }],
          },
        });
      await manager.start();
    },
    async stop() {
      stopped = true;
      await manager.stop();
    },
    async until(what, why, timeoutMs = 10_000) {
      const end = o.clock.monotonicMs() + timeoutMs;
      while (!what()) {
        if (o.clock.monotonicMs() > end) throw new Error(`it did not happen: ${why}`);
        await o.clock.sleep(5);
      }
    },
  };
}
