// A process that needs nothing but the Kubernetes API: a component of the cluster on its bus (--identity-file), or a foreign one
// that comes over HTTPS (--kubeconfig), as kube-controller-manager and kube-scheduler do. The same program either way.
import { type Clock, ConfigError, createLogger, type Logger, type LogLevel, type Random, readConfig, reasonOf, z } from "@podwire/base";
import { type Bus, type RunningComponent, runComponent, runProcess } from "@podwire/bus";
import type { ApiClient } from "./api-client.ts";
import { credentialsOfKubeconfig } from "./kubeconfig.ts";
import { natsClient } from "./nats-client.ts";
import { restClient } from "./rest-client.ts";

export interface ApiComponentContext {
  client: ApiClient;
  /** Undefined over HTTPS: informers then watch. */
  bus: Bus | undefined;
  clock: Clock;
  random: Random;
  log: Logger;
}

export interface ApiComponentOptions<S extends z.ZodRawShape> {
  component: string;
  /** The client's field manager and user agent. */
  clientName: string;
  flags: S;
  argv: readonly string[];
  env: Readonly<Record<string, string | undefined>>;
  start(context: ApiComponentContext, config: z.infer<z.ZodObject<S>>): Promise<RunningComponent>;
}

const FOREIGN_FLAGS = {
  kubeconfig: z.string(),
  v: z.enum(["trace", "debug", "info", "warn", "error", "silent"]).default("info"),
};

/** Runs until a signal. Never returns: the process exits 0 (stopped), 1 (failed) or 2 (configuration). */
export function runApiComponent<S extends z.ZodRawShape>(o: ApiComponentOptions<S>): Promise<never> {
  const names = { fieldManager: o.clientName, userAgent: o.clientName };
  if (!o.argv.some((a) => /^--?kubeconfig(=|$)/.test(a)))
    return runComponent<S>({
      ...o,
      start: ({ bus, clock, random, log }, config) =>
        o.start({ client: natsClient(bus, { clock, ...names }), bus, clock, random, log }, config),
    });
  let config: z.infer<z.ZodObject<S>> & { kubeconfig: string; v: LogLevel };
  let credentials: ReturnType<typeof credentialsOfKubeconfig>;
  try {
    config = readConfig(o.component, { ...FOREIGN_FLAGS, ...o.flags }, o.argv, o.env) as typeof config;
    credentials = credentialsOfKubeconfig(config.kubeconfig);
  } catch (e) {
    process.stderr.write(`${reasonOf(e)}\n`);
    return process.exit(e instanceof ConfigError ? 2 : 1);
  }
  return runProcess({
    component: o.component,
    log: createLogger(o.component, config.v),
    async start({ clock, random, log }) {
      const client = restClient({ ...credentials, clock, ...names });
      const running = await o.start({ client, bus: undefined, clock, random, log }, config);
      return {
        async stop() {
          await running.stop();
          await client.close();
        },
      };
    },
  });
}
