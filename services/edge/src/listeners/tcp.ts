// A real TCP listener whose connections become TCP connections of an internet client to a Service.
import { createServer, type Server, type Socket } from "node:net";
import type { Internet } from "../internet/internet.ts";
import type { OpenListener, Reach } from "./host-ports.ts";
import { type Spliceable, splice } from "./splice.ts";

/** Connections of one listener at a time; more are reset at once. */
export const MAX_CONNECTIONS = 4_096;
const CONNECT_TIMEOUT_MS = 15_000;

export function openTcp(host: string, port: number, internet: Internet, reach: Reach): Promise<OpenListener> {
  const open = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, (real) => {
    open.add(real);
    real.on("close", () => open.delete(real));
    real.on("error", () => undefined); // Until it is spliced; a reset before that needs no answer.
    connect(real).catch(() => real.resetAndDestroy());
  });
  server.maxConnections = MAX_CONNECTIONS;

  async function connect(real: Socket): Promise<void> {
    const to = reach(real.remoteAddress);
    if (!to) return void real.resetAndDestroy();
    const ours = (await internet.connect(real.remoteAddress, to.address, to.port, CONNECT_TIMEOUT_MS)) as Spliceable;
    if (real.destroyed) return void ours.destroy();
    splice(real, ours, () => undefined);
  }

  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, exclusive: true }, () => {
      server.removeListener("error", reject);
      resolve({
        port: (server.address() as { port: number }).port,
        connections: () => open.size,
        close: () => {
          server.close();
          for (const s of open) s.destroy();
        },
      });
    });
  });
}
