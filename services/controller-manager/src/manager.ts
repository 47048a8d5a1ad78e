// The controllers of one process as a whole: their caches, leader election, start and stop.
// Invariant: no controller writes before this process leads, nor after it stopped leading.
import type { Clock, Logger, Random } from "@podwire/base";
import type { Bus } from "@podwire/bus";
import { type ApiClient, InformerSet, type LeaderElection, leaderElection } from "@podwire/client";
import { controllerContext, type RunningController, type Settings } from "./context.ts";
import { CONTROLLERS } from "./controllers/table.ts";

export interface ManagerOptions {
  client: ApiClient;
  bus: Bus | undefined;
  clock: Clock;
  random: Random;
  log: Logger;
  settings: Settings;
  /** Names out of CONTROLLERS. */
  controllers: readonly string[];
  leaderElection?: { identity: string; leaseDurationMs: number; renewDeadlineMs: number; retryPeriodMs: number };
  /** The lease is lost: the process must end, since writes may be under way. */
  onLost?(): void;
}

export interface Manager {
  readonly leading: boolean;
  /** Resolves once all caches are filled and (when leading) the controllers run. */
  start(): Promise<void>;
  stop(): Promise<void>;
  counters(): Record<string, unknown>;
}

export function controllerManager(o: ManagerOptions): Manager {
  const informers = new InformerSet(o);
  const context = controllerContext({ ...o, informers });
  const running = new Map<string, RunningController>();
  let election: LeaderElection | undefined;
  let leading = false;
  let stopping = false;

  async function startControllers(): Promise<void> {
    leading = true;
    for (const name of o.controllers) {
      const start = CONTROLLERS[name];
      if (start) running.set(name, start(context));
    }
    void informers.start().catch(() => {});
    await Promise.all([...running.values()].map((c) => c.start()));
    o.log.info({ controllers: running.size }, "controllers are running");
  }

  return {
    get leading() {
      return leading;
    },
    async start() {
      const e = o.leaderElection;
      if (!e) return startControllers();
      // With an election the start does not wait for it: who does not lead is up, too.
      election = leaderElection({
        client: o.client,
        clock: o.clock,
        random: o.random,
        log: o.log,
        namespace: "kube-system",
        name: "kube-controller-manager",
        ...e,
        onStartedLeading: () => void startControllers(),
        onStoppedLeading() {
          leading = false;
          if (!stopping) o.onLost?.();
        },
      });
    },
    async stop() {
      stopping = true;
      await Promise.all([...running.values()].map((c) => c.stop()));
      informers.stop();
      await election?.stop();
    },
    counters: () => ({
      leading,
      controllers: Object.fromEntries([...running].map(([name, c]) => [name, c.counters()])),
      informers: informers.counters(),
    }),
  };
}
