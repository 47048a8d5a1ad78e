// The scheduler process: configuration, wiring, signals.
import { hostname } from "node:os";
import { PodwireError } from "@podwire/base";
import { leaderElection, runApiComponent } from "@podwire/client";
import { SCHEDULER_FLAGS, settingsOf } from "./config.ts";
import { scheduler } from "./scheduler.ts";

class NotLeadingError extends PodwireError {}
class PodUnknownError extends PodwireError {}

await runApiComponent({
  component: "scheduler",
  clientName: "kube-scheduler",
  flags: SCHEDULER_FLAGS,
  argv: process.argv.slice(2),
  env: process.env,
  async start({ client, bus, clock, random, log }, flags) {
    const settings = settingsOf(flags);
    const service = scheduler({
      client,
      bus,
      clock,
      random,
      log,
      profiles: settings.profiles,
      podInitialBackoffMs: settings.podInitialBackoffMs,
      podMaxBackoffMs: settings.podMaxBackoffMs,
      instance: hostname(),
    });
    let stopping = false;
    const election = settings.leaderElect
      ? leaderElection({
          client,
          clock,
          random,
          log,
          namespace: settings.resourceNamespace,
          name: settings.resourceName,
          identity: `${hostname()}_${random.uuid()}`,
          leaseDurationMs: settings.leaseDurationMs,
          renewDeadlineMs: settings.renewDeadlineMs,
          retryPeriodMs: settings.retryPeriodMs,
          onStartedLeading: () => void service.start(),
          onStoppedLeading() {
            if (stopping) return;
            log.error({}, "leader election lost");
            process.exit(1);
          },
        })
      : undefined;
    if (!election) void service.start();
    return {
      counters: () => ({ leading: election?.isLeader ?? true, ...service.counters() }),
      control(op, body) {
        if (op !== "explain") return undefined;
        const [namespace, name] = [String(body["namespace"] ?? "default"), String(body["name"] ?? "")];
        if (election?.isLeader === false) return Promise.reject(new NotLeadingError("this scheduler does not lead"));
        const explanation = service.explain(namespace, name);
        return explanation
          ? Promise.resolve(explanation)
          : Promise.reject(new PodUnknownError(`the scheduler knows no pod ${namespace}/${name}`));
      },
      async stop() {
        stopping = true;
        await service.stop();
        await election?.stop();
      },
    };
  },
});
