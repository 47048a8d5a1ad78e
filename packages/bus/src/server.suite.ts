// A real nats-server for the tests of this package and the ones above: its own port, its own folder, killed at the end.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@podwire/base";
import { findNatsServer } from "./server.ts";
import { startNatsServer } from "./server-process.ts";

/** The server that tests use: PODWIRE_NATS_SERVER or the one on PATH; undefined when there is none. */
export const natsBinary: string | undefined = findNatsServer(process.env)?.binary;

export async function freePort(): Promise<number> {
  const s = createServer();
  await new Promise<void>((r) => s.listen(0, "127.0.0.1", r));
  const { port } = s.address() as { port: number };
  await new Promise((r) => s.close(r));
  return port;
}

export interface LocalServer {
  readonly url: string;
  readonly port: number;
  readonly folder: string;
  readonly pid: number;
  /** SIGKILL, then a new process on the same port and folder. */
  restart(): Promise<void>;
  kill(): Promise<void>;
  start(): Promise<void>;
  reconfigure(text: string): Promise<void>;
  close(): Promise<void>;
}

/** Starts a server. `config` gets the port and a folder; the default allows everything and has JetStream. */
export async function localServer(config?: (port: number, storeDir: string) => string): Promise<LocalServer> {
  const binary = natsBinary as string;
  const folder = await mkdtemp(join(tmpdir(), "podwire-nats-"));
  const port = await freePort();
  const configFile = join(folder, "nats.conf");
  const open = (p: number, dir: string) =>
    `listen: "127.0.0.1:${p}"\nmax_payload: 4194304\njetstream: { store_dir: ${JSON.stringify(dir)}, max_file_store: 4GB, max_memory_store: 256MB }\n`;
  await writeFile(configFile, (config ?? open)(port, join(folder, "js")));
  const launch = () => startNatsServer({ binary, configFile, host: "127.0.0.1", port, clock: systemClock });
  let server = await launch();
  return {
    url: server.url,
    port,
    folder,
    get pid() {
      return server.pid;
    },
    kill: () => server.kill(),
    async start() {
      server = await launch();
    },
    async restart() {
      await server.kill();
      server = await launch();
    },
    async reconfigure(text) {
      await writeFile(configFile, text);
      server.reload();
    },
    async close() {
      await server.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
