// The apiserver process: configuration, wiring and signals. With an identity file it serves the cluster's bus and keeps objects in JetStream;
// with --storage-backend=memory and no identity file it stands alone, for trying the API without a cluster.
import { join } from "node:path";
import { createLogger, readConfig, reasonOf, systemClock, systemRandom, z } from "@podwire/base";
import { runComponent } from "@podwire/bus";
import { openJetStreamStore, openMemoryStore } from "@podwire/store";
import { ApiServer, type ApiServerOptions } from "./apiserver.ts";
import { type ApiServerConfig, FLAGS } from "./config.ts";
import { readFlagFiles } from "./flag-files.ts";
import { addressAt } from "./resources/ip-range.ts";
import { openPki } from "./transport/pki.ts";

const argv = process.argv.slice(2);
const standalone = !argv.some((a) => a.startsWith("--identity-file")) && process.env["PODWIRE_IDENTITY_FILE"] === undefined;

async function open(config: ApiServerConfig, o: Omit<ApiServerOptions, "pki" | "config" | "files">, stateDir: string): Promise<ApiServer> {
  const files = readFlagFiles(config);
  const [range] = config["service-cluster-ip-range"];
  const names = [
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
    "apiserver",
    "host.docker.internal",
  ];
  const addresses = ["127.0.0.1", "::1", addressAt(range, 1), config["advertise-address"]];
  const extra = [config["external-hostname"], config["bind-address"]].filter(
    (n) => n !== "" && n !== "0.0.0.0" && n !== "::" && !names.includes(n) && !addresses.includes(n),
  );
  const pki = await openPki(config["cert-dir"] || join(stateDir, "pki"), o.clock, [...names, ...addresses, ...extra]);
  const server = new ApiServer({ ...o, pki, config, files });
  await server.start();
  return server;
}

if (standalone) {
  const flags = { ...FLAGS, "state-dir": z.string().default("."), v: z.string().default("info") };
  try {
    const config = readConfig("apiserver", flags, argv, process.env) as ApiServerConfig & { "state-dir": string; v: string };
    if (config["storage-backend"] !== "memory")
      throw new Error("--identity-file is required, or --storage-backend=memory to try the API alone");
    const log = createLogger("apiserver", config.v as "info");
    const server = await open(
      config,
      { clock: systemClock, random: systemRandom(), log, store: openMemoryStore({ clock: systemClock, log }) },
      config["state-dir"],
    );
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => void server.stop().finally(() => process.exit(0)));
  } catch (e) {
    process.stderr.write(`${reasonOf(e)}\n`);
    process.exit(2);
  }
} else {
  await runComponent({
    component: "apiserver",
    flags: FLAGS,
    argv,
    env: process.env,
    async start(context, config) {
      const { clock, random, log, bus } = context;
      const store =
        config["storage-backend"] === "memory" ? openMemoryStore({ clock, log, bus }) : await openJetStreamStore(bus, { clock, log });
      const underlay = context.identity.underlay;
      const server = await open(
        config as ApiServerConfig,
        { clock, random, log, bus, store, ...(underlay ? { underlay } : {}) },
        context.stateDir,
      );
      return {
        health: () => server.health(),
        counters: () => server.counters(),
        stop: async () => {
          await server.stop();
          await store.close();
        },
      };
    },
  });
}
