// The controller-manager process: configuration, wiring, signals.
import { hostname } from "node:os";
import { runApiComponent } from "@podwire/client";
import { CONTROLLER_MANAGER_FLAGS, settingsOf } from "./config.ts";
import { selectControllers } from "./controllers/table.ts";
import { controllerManager } from "./manager.ts";

await runApiComponent({
  component: "controller-manager",
  clientName: "kube-controller-manager",
  flags: CONTROLLER_MANAGER_FLAGS,
  argv: process.argv.slice(2),
  env: process.env,
  async start({ client, bus, clock, random, log }, flags) {
    const manager = controllerManager({
      client,
      bus,
      clock,
      random,
      log,
      settings: settingsOf(flags),
      controllers: selectControllers(flags.controllers.split(",").map((c) => c.trim())),
      ...(flags["leader-elect"]
        ? {
            leaderElection: {
              identity: `${hostname()}_${random.uuid()}`,
              leaseDurationMs: flags["leader-elect-lease-duration"],
              renewDeadlineMs: flags["leader-elect-renew-deadline"],
              retryPeriodMs: flags["leader-elect-retry-period"],
            },
          }
        : {}),
      onLost() {
        log.error({}, "leader election lost");
        process.exit(1);
      },
    });
    await manager.start();
    return { counters: () => manager.counters(), stop: () => manager.stop() };
  },
});
