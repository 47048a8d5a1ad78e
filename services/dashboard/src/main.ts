// The dashboard process: a page on the host that shows the cluster as it is, and packets on their way through it.
import { runComponent } from "@podwire/bus";
import { natsClient } from "@podwire/client";
import { flags } from "./config.ts";
import { followCluster } from "./live.ts";
import { serveDashboard } from "./server.ts";
import { traceDesk } from "./traces.ts";

await runComponent({
  component: "dashboard",
  flags,
  argv: process.argv.slice(2),
  env: process.env,
  async start({ bus, clock, random, log, identity }, config) {
    const client = natsClient(bus, { clock });
    const live = followCluster({ bus, client, clock, random, log, cluster: identity.cluster });
    const traces = traceDesk({ bus, clock, random });
    const server = await serveDashboard({ live, traces, clock, log, host: config["listen-address"], port: config.port });
    log.info({ url: server.url }, "the dashboard listens");
    return {
      health: () => (live.synced() ? "ok" : "waiting for the apiserver"),
      counters: () => ({ dashboard: server.counters() }),
      control: (op) => (op === "url" ? Promise.resolve(server.url) : undefined),
      async stop() {
        live.stop();
        traces.stop();
        await server.close();
      },
    };
  },
});
