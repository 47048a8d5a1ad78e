// A real nats-server for a test: its own port and folder, credentials generated for the identities that it names, gone
// when the test is. The server is the one that PODWIRE_NATS_SERVER or PATH names.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, type Logger, type Random, silentLogger, systemClock, systemRandom } from "@podwire/base";
import {
  type Bus,
  connectNats,
  createIdentity,
  findNatsServer,
  type IdentityFile,
  type IdentityKey,
  type NatsServerProcess,
  natsServerConfig,
  startNatsServer,
} from "@podwire/bus";

/** The binary that tests use; undefined where there is none (skip the test and say so). */
export const testNatsBinary: string | undefined = findNatsServer(process.env)?.binary;

export interface TestNatsOptions {
  /** Default "test". */
  cluster?: string;
  /** Identities with their underlay addresses; default: apiserver, controller-manager, scheduler, edge, supervisor. */
  identities?: Readonly<Record<string, string | undefined>>;
  syncAlways?: boolean;
  clock?: Clock;
  log?: Logger;
  random?: Random;
}

export interface TestNats {
  readonly cluster: string;
  readonly url: string;
  readonly port: number;
  readonly folder: string;
  readonly pid: number;
  /** Connects with the identity's own credential; closed by `close`. */
  connect(identity: string): Promise<Bus>;
  /** What `--identity-file` of the identity's service holds. */
  identityFile(identity: string): IdentityFile;
  /** Writes that to a file in the test's folder; resolves with its path. */
  writeIdentityFile(identity: string): Promise<string>;
  /** Makes a credential and has the running server take it. */
  addIdentity(identity: string, underlay?: string): Promise<void>;
  /** SIGKILL; `start` brings it back on the same port and folder. */
  kill(): Promise<void>;
  start(): Promise<void>;
  restart(): Promise<void>;
  close(): Promise<void>;
}

const DEFAULT_IDENTITIES: Readonly<Record<string, string | undefined>> = {
  apiserver: "172.30.0.2",
  "controller-manager": undefined,
  scheduler: undefined,
  edge: "172.30.0.3",
  supervisor: undefined,
};

/** A nats-server of its own in a temporary folder; `close` ends and removes it. */
export async function startTestNats(opts: TestNatsOptions = {}): Promise<TestNats> {
  if (testNatsBinary === undefined) throw new Error("no nats-server: set PODWIRE_NATS_SERVER, or install one");
  const binary = testNatsBinary;
  const cluster = opts.cluster ?? "test";
  const clock = opts.clock ?? systemClock;
  const folder = await mkdtemp(join(tmpdir(), "podwire-test-nats-"));
  const port = await freePort();
  const configFile = join(folder, "nats.conf");
  const keys = new Map<string, IdentityKey & { underlay?: string }>();
  const addKey = (identity: string, underlay: string | undefined) =>
    void keys.set(identity, { ...createIdentity(identity), ...(underlay === undefined ? {} : { underlay }) });
  for (const [identity, underlay] of Object.entries(opts.identities ?? DEFAULT_IDENTITIES)) addKey(identity, underlay);
  const writeConfig = () =>
    writeFile(
      configFile,
      natsServerConfig({
        cluster,
        port,
        listenHost: "127.0.0.1",
        storeDir: join(folder, "jetstream"),
        identities: [...keys.values()],
        ...(opts.syncAlways ? { syncAlways: true } : {}),
      }),
    );
  const launch = () => startNatsServer({ binary, configFile, host: "127.0.0.1", port, clock: systemClock });
  await writeConfig();
  let server: NatsServerProcess = await launch();
  const buses: Bus[] = [];
  const url = server.url;
  const identityFile = (identity: string): IdentityFile => {
    const k = keys.get(identity);
    if (!k) throw new Error(`${identity} has no credential; call addIdentity first`);
    return { cluster, identity, seed: k.seed, natsUrl: url, ...(k.underlay === undefined ? {} : { underlay: k.underlay }) };
  };
  const t: TestNats = {
    cluster,
    url,
    port,
    folder,
    get pid() {
      return server.pid;
    },
    async connect(identity) {
      const { seed } = identityFile(identity);
      const bus = await connectNats({
        url,
        cluster,
        identity,
        seed,
        clock,
        random: opts.random ?? systemRandom(),
        log: opts.log ?? silentLogger,
      });
      buses.push(bus);
      return bus;
    },
    identityFile,
    async writeIdentityFile(identity) {
      const path = join(folder, `${encodeURIComponent(identity)}.json`);
      await writeFile(path, JSON.stringify(identityFile(identity)), { mode: 0o600 });
      return path;
    },
    async addIdentity(identity, underlay) {
      addKey(identity, underlay);
      await writeConfig();
      server.reload();
    },
    kill: () => server.kill(),
    async start() {
      server = await launch();
    },
    async restart() {
      await t.kill();
      await t.start();
    },
    async close() {
      await Promise.all(buses.map((b) => b.close()));
      await server.kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
  return t;
}

/** A TCP port of the loopback interface that was free a moment ago. */
export async function freePort(): Promise<number> {
  const s = createServer();
  await new Promise<void>((resolve) => s.listen(0, "127.0.0.1", resolve));
  const { port } = s.address() as { port: number };
  await new Promise((resolve) => s.close(resolve));
  return port;
}
