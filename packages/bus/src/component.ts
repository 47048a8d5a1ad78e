// The life of a component process, the same for all: read configuration, connect as its identity, start, answer control
// requests, stop on SIGTERM. Invariants: bad configuration lists every problem and exits 2; a signal ends the process within
// STOP_LIMIT_MS whatever hangs; an error that nobody caught is logged before the process ends with 1.
import { readFileSync } from "node:fs";
import {
  type Clock,
  ConfigError,
  createLogger,
  type Logger,
  type LogLevel,
  type Random,
  readConfig,
  reasonOf,
  systemClock,
  systemRandom,
  z,
} from "@podwire/base";
import type { Bus } from "./bus.ts";
import { RemoteError } from "./errors.ts";
import type { IdentityFile } from "./identity.ts";
import { connectNats } from "./nats.ts";
import { subjectsOf } from "./subjects.ts";

/** Flags that every component takes. */
const COMMON_FLAGS = {
  "identity-file": z.string({ error: "required: the file with this component's name and NATS credential" }),
  cluster: z.string().optional(),
  "state-dir": z.string().default("."),
  v: z.enum(["trace", "debug", "info", "warn", "error", "silent"]).default("info"),
};

export interface ComponentContext {
  clock: Clock;
  random: Random;
  log: Logger;
  bus: Bus;
  identity: IdentityFile;
  stateDir: string;
}

/** What a started component offers to the process around it. */
export interface RunningComponent {
  /** For `{op: "health"}`: "ok", or what is wrong. Default "ok". */
  health?(): string;
  /** For `{op: "counters"}`. */
  counters?(): Record<string, unknown>;
  /** Any other operation; undefined when it is not known. */
  control?(op: string, body: Readonly<Record<string, unknown>>): Promise<unknown> | undefined;
  stop(): Promise<void>;
}

export interface ComponentOptions<S extends z.ZodRawShape> {
  /** Name in logs and messages, "scheduler". */
  component: string;
  /** Flags beside the common ones (--identity-file, --cluster, --state-dir, --v). */
  flags: S;
  argv: readonly string[];
  env: Readonly<Record<string, string | undefined>>;
  start(context: ComponentContext, config: z.infer<z.ZodObject<S>>): Promise<RunningComponent>;
}

/** Starting makes garbage that an idle process would keep for hours: it is collected once, where the launcher exposes gc. */
const SETTLED_MS = 10_000;

/** After a signal the process ends by itself within this time, or is ended. */
const STOP_LIMIT_MS = 4_500;

/** Runs until a signal. Never returns: the process exits 0 (stopped), 1 (failed) or 2 (configuration). */
export async function runComponent<S extends z.ZodRawShape>(o: ComponentOptions<S>): Promise<never> {
  let config: z.infer<z.ZodObject<S>> & { [K in keyof typeof COMMON_FLAGS]: z.infer<(typeof COMMON_FLAGS)[K]> };
  let identity: IdentityFile;
  try {
    config = readConfig(o.component, { ...COMMON_FLAGS, ...o.flags }, o.argv, o.env) as typeof config;
    identity = readIdentityFile(config["identity-file"] as string);
  } catch (e) {
    process.stderr.write(`${reasonOf(e)}\n`);
    return process.exit(e instanceof ConfigError ? 2 : 1);
  }
  return runProcess({
    component: o.component,
    log: createLogger(identity.identity.replace(/^node:/, ""), config.v as LogLevel),
    async start(p) {
      const { natsUrl: url, seed } = identity;
      const connection = connectNats({ url, cluster: identity.cluster, identity: identity.identity, seed, ...p });
      const bus = await Promise.race([connection, p.stopped.then(() => undefined)]);
      if (bus === undefined) return process.exit(0);
      const running = await o.start({ ...p, bus, identity, stateDir: config["state-dir"] as string }, config);
      serveControl(bus, o.component, p.clock, running);
      return {
        async stop() {
          await running.stop();
          await bus.close();
        },
      };
    },
  });
}

export interface ProcessContext {
  clock: Clock;
  random: Random;
  log: Logger;
  /** Resolves with the signal that ends the process. */
  stopped: Promise<NodeJS.Signals>;
}

export interface ProcessOptions {
  component: string;
  log: Logger;
  start(context: ProcessContext): Promise<{ stop(): Promise<void> }>;
}

/** The life of a process whose configuration has been read: start, wait for a signal, stop. Never returns. */
export async function runProcess(o: ProcessOptions): Promise<never> {
  const clock = systemClock;
  const { log } = o;
  const stopped = signalled();
  const fatal = (kind: string) => (e: unknown) => {
    log.fatal({ kind, reason: reasonOf(e), stack: (e as Error)?.stack }, "the process ends");
    process.exit(1);
  };
  process.on("uncaughtException", fatal("uncaughtException"));
  process.on("unhandledRejection", fatal("unhandledRejection"));
  let running: { stop(): Promise<void> };
  try {
    running = await o.start({ clock, random: systemRandom(), log, stopped });
  } catch (e) {
    return fatal("start")(e) as never;
  }
  log.info({ pid: process.pid }, `${o.component} started`);
  clock.after(SETTLED_MS, () => (globalThis as { gc?: () => void }).gc?.(), { unref: true });
  const signal = await stopped;
  log.info({ signal }, "stopping");
  clock.after(STOP_LIMIT_MS, () => process.exit(0), { unref: true });
  try {
    await running.stop();
  } catch (e) {
    log.error({ reason: reasonOf(e) }, "stopping failed");
  }
  return process.exit(0);
}

/** Reads an identity file; throws with the file's name and what is wrong with it. */
export function readIdentityFile(path: string): IdentityFile {
  let raw: unknown;
  try {
    raw = JSON.parse(readFileSync(path, "utf8"));
  } catch (e) {
    throw new ConfigError("identity file", [`${path}: ${reasonOf(e)}`]);
  }
  const shape = z.object({
    cluster: z.string().min(1),
    identity: z.string().min(1),
    seed: z.string().min(1),
    natsUrl: z.string().min(1),
    underlay: z.string().optional(),
  });
  const parsed = shape.safeParse(raw);
  if (!parsed.success)
    throw new ConfigError(
      "identity file",
      parsed.error.issues.map((i) => `${path}: ${i.path.join(".")}: ${i.message}`),
    );
  return parsed.data as IdentityFile;
}

function signalled(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const s of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(s, () => resolve(s));
  });
}

/** `{op}` on control.<identity> and, for everybody, on control-all. */
function serveControl(bus: Bus, component: string, clock: Clock, running: RunningComponent): void {
  const subjects = subjectsOf(bus.cluster);
  const startedMs = clock.nowMs();
  const answer = async (body: unknown): Promise<unknown> => {
    const request = (typeof body === "object" && body !== null ? body : {}) as Record<string, unknown>;
    const about = { identity: bus.identity, component, pid: process.pid, startedMs };
    switch (request["op"]) {
      case "health":
        return { ...about, health: running.health?.() ?? "ok" };
      case "counters": {
        const usage = process.resourceUsage();
        return {
          ...about,
          process: { rssBytes: process.memoryUsage.rss(), cpuMs: (usage.userCPUTime + usage.systemCPUTime) / 1000 },
          bus: bus.stats(),
          ...running.counters?.(),
        };
      }
      default: {
        const known = running.control?.(String(request["op"]), request);
        if (known === undefined)
          throw new RemoteError("unknown-op", `${component} knows no control operation ${JSON.stringify(request["op"])}`);
        return known;
      }
    }
  };
  bus.serve(subjects.control(bus.identity), answer);
  bus.serve(subjects.controlAll, answer);
}
