// The scheduler process: configuration, wiring, signals.
import { hostname } from "node:os";
import { PodwireError } from "@podwire/base";
import { leaderElection, runApiComponent } from "@podwire/client";
import { SCHEDULER_FLAGS } from "./config.ts";
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
    const instance = `${hostname()}_${random.uuid()}`;
    const service = scheduler({
      client,
      bus,
      clock,
      random,
      log,
      schedulerName: flags["scheduler-name"],
      percentageOfNodesToScore: flags["percentage-of-nodes-to-score"],
      podInitialBackoffMs: flags["pod-initial-backoff"],
      podMaxBackoffMs: flags["pod-max-backoff"],
      instance: `${flags["scheduler-name"]}-${hostname()}`,
    });
    let stopping = false;
    const election = flags["leader-elect"]
      ? leaderElection({
          client,
          clock,
          random,
          log,
          namespace: flags["leader-elect-resource-namespace"],
          name: flags["leader-elect-resource-name"],
          identity: instance,
          leaseDurationMs: flags["leader-elect-lease-duration"],
          renewDeadlineMs: flags["leader-elect-renew-deadline"],
          retryPeriodMs: flags["leader-elect-retry-period"],
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
