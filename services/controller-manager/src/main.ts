// The controller-manager process: configuration, wiring, signals.
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { ConfigError, createLogger, reasonOf, systemClock, systemRandom } from "@podwire/base";
import { connectNats, subjectsOf } from "@podwire/bus";
import { natsClient } from "@podwire/client";
import { readControllerManagerConfig } from "./config.ts";
import { selectControllers } from "./controllers/table.ts";
import { controllerManager } from "./manager.ts";

const COMPONENT = "controller-manager";
/** Longer than this a stop does not wait for what is under way. */
const STOP_TIMEOUT_MS = 4_000;

async function main(): Promise<void> {
  const config = readControllerManagerConfig(process.argv.slice(2), process.env);
  const log = createLogger(COMPONENT, config.logLevel);
  const clock = systemClock;
  const random = systemRandom();
  const id = JSON.parse(readFileSync(config.identityFile, "utf8"));
  const bus = await connectNats({ url: id.natsUrl, cluster: id.cluster, identity: id.identity, seed: id.seed, clock, random, log });
  const client = natsClient(bus, { clock, fieldManager: "kube-controller-manager", userAgent: "kube-controller-manager" });
  const manager = controllerManager({
    client,
    bus,
    clock,
    random,
    log,
    settings: config.settings,
    controllers: selectControllers(config.controllers),
    ...(config.leaderElect
      ? {
          leaderElection: {
            identity: `${hostname()}_${random.uuid()}`,
            leaseDurationMs: config.leaseDurationMs,
            renewDeadlineMs: config.renewDeadlineMs,
            retryPeriodMs: config.retryPeriodMs,
          },
        }
      : {}),
    onLost() {
      log.error({}, "leader election lost");
      process.exit(1);
    },
  });
  const stop = (signal: string) => {
    log.info({ signal }, "stopping");
    clock.after(STOP_TIMEOUT_MS, () => process.exit(0), { unref: true });
    void manager
      .stop()
      .then(() => bus.close())
      .finally(() => process.exit(0));
  };
  process.once("SIGTERM", () => stop("SIGTERM"));
  process.once("SIGINT", () => stop("SIGINT"));
  bus.serve(subjectsOf(id.cluster).control(COMPONENT), async (body) => {
    const op = (body as { op?: string })?.op;
    if (op === "health") return { ok: true, component: COMPONENT, leading: manager.leading };
    if (op === "counters") return { component: COMPONENT, ...manager.counters(), bus: bus.stats() };
    return { error: `unknown op ${JSON.stringify(op)}` };
  });
  await manager.start();
  log.info({ cluster: id.cluster }, "controller-manager is up");
}

main().catch((e) => {
  if (e instanceof ConfigError) process.stderr.write(`${e.problems.map((p) => `controller-manager: ${p}`).join("\n")}\n`);
  else process.stderr.write(`controller-manager: ${reasonOf(e)}\n`);
  process.exit(e instanceof ConfigError ? 2 : 1);
});
