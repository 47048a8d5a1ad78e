// agnhost's programs that use resources: stress and resource-consumer. Processor time and memory are simulated: what they would take
// is accounted to the container (and past its limit kills it), nothing is burned.
import type { Process } from "../../kernel/process.ts";
import { DialError, httpGet, resolve } from "./dial.ts";
import { checkArgs, fatal, klogLine, parseFlags } from "./go.ts";
import { type GoRequest, type GoResponse, type Handler, serve, serveMux } from "./http-server.ts";

const UNITS: { [suffix: string]: number } = {
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 1024,
  Mi: 1024 ** 2,
  Gi: 1024 ** 3,
  Ti: 1024 ** 4,
};

/** A resource quantity in bytes; undefined when it is none. */
function bytesOf(text: string): number | undefined {
  const [, n, suffix] = /^(\d+(?:\.\d+)?)([kMGT]i?|Ki)?$/.exec(text) ?? [];
  const unit = UNITS[suffix ?? ""];
  return n === undefined || unit === undefined ? undefined : Number(n) * unit;
}

const QUANTITY_ERROR = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

export async function stress(p: Process, argv: readonly string[]): Promise<number> {
  const { flags, args } = parseFlags(argv, {
    "mem-total": { kind: "string", default: "0" },
    "mem-alloc-size": { kind: "string", default: "4Ki" },
    "mem-alloc-sleep": { kind: "duration", default: 1 },
    cpus: { kind: "int", default: 0 },
  });
  checkArgs(args, 0, 0);
  const total = bytesOf(flags["mem-total"] as string);
  const step = bytesOf(flags["mem-alloc-size"] as string);
  if (total === undefined || step === undefined || step === 0) return fatal(p, QUANTITY_ERROR);
  const klog = (text: string) => p.printError(klogLine(p, "I", "main.go:1", text));
  const cpus = flags["cpus"] as number;
  for (let i = 0; i < cpus; i++) await klog("Spawning a thread to consume CPU");
  p.simulateCpu(cpus * 1000);
  await klog(
    `Allocating "${flags["mem-total"]}" memory, in "${flags["mem-alloc-size"]}" chunks, with a ${flags["mem-alloc-sleep"]}ms sleep between allocations`,
  );
  const pauseMs = flags["mem-alloc-sleep"] as number;
  // Several allocations a timer tick: a sleep of a millisecond is as short as there are.
  for (let taken = 0; taken < total; taken += step) {
    p.charge(Math.min(step, total - taken));
    await (pauseMs > 0 ? p.sleep(pauseMs) : p.checkpoint());
  }
  await klog("Allocated");
  await p.block(() => () => undefined);
  return 0;
}

const NOT_GIVEN = (name: string) => `not given ${name}`;

/** A number of the form, or an answer that says why not. */
function numberOf(w: GoResponse, r: GoRequest, name: string): number | undefined {
  const text = r.form(name);
  if (text === "") {
    w.error(NOT_GIVEN(name), 400);
    return undefined;
  }
  const n = Number(text);
  if (Number.isFinite(n)) return n;
  w.error(`incorrect ${name}: ${text}`, 400);
  return undefined;
}

function consumerRoutes(p: Process): { [path: string]: Handler } {
  const metrics = new Map<string, number>();
  const later = (seconds: number, f: () => void) => void p.clock.after(seconds * 1000, () => !p.ended && f(), { unref: true });
  return {
    "/ConsumeCPU": (w, r) => {
      const millicores = numberOf(w, r, "millicores");
      if (millicores === undefined) return;
      const seconds = numberOf(w, r, "durationSec");
      if (seconds === undefined) return;
      p.simulateCpu(millicores);
      later(seconds, () => p.simulateCpu(-millicores));
      w.write(`ConsumeCPU\n${millicores} millicores\n${seconds} durationSec\n`);
    },
    "/ConsumeMem": (w, r) => {
      const megabytes = numberOf(w, r, "megabytes");
      if (megabytes === undefined) return;
      const seconds = numberOf(w, r, "durationSec");
      if (seconds === undefined) return;
      p.charge(megabytes * 1024 * 1024);
      later(seconds, () => p.charge(-megabytes * 1024 * 1024));
      w.write(`ConsumeMem\n${megabytes} megabytes\n${seconds} durationSec\n`);
    },
    "/BumpMetric": (w, r) => {
      const name = r.form("metric");
      if (name === "") return void w.error(NOT_GIVEN("metric"), 400);
      const delta = numberOf(w, r, "delta");
      if (delta === undefined) return;
      const seconds = numberOf(w, r, "durationSec");
      if (seconds === undefined) return;
      const bump = (by: number) => void metrics.set(name, (metrics.get(name) ?? 0) + by);
      bump(delta);
      later(seconds, () => bump(-delta));
      w.write(`BumpMetric\n${name} metric\n${delta} delta\n${seconds} durationSec\n`);
    },
    "/GetCurrentStatus": (w) => w.write("Warning: not implemented!\n"),
    "/metrics": (w) => {
      for (const [name, value] of metrics) w.write(`# HELP ${name} ${name}\n# TYPE ${name} gauge\n${name} ${value}\n`);
    },
  };
}

export async function resourceConsumer(p: Process, argv: readonly string[]): Promise<number> {
  const { flags, args } = parseFlags(argv, { port: { kind: "int", default: 8080 } });
  checkArgs(args, 0, 0);
  serve(p, flags["port"] as number, serveMux(consumerRoutes(p)));
  await p.block(() => () => undefined);
  return 0;
}

/** What one consumer is asked for at most; the controller spreads more over several requests. */
const SHARES = [
  { path: "/ConsumeCPU", amount: "millicores", size: "requestSizeMillicores" },
  { path: "/ConsumeMem", amount: "megabytes", size: "requestSizeMegabytes" },
  { path: "/BumpMetric", amount: "delta", size: "requestSizeMetrics" },
] as const;
const TIMEOUT_MS = 30_000;
/** Requests that one order is split into. */
const REQUESTS_MAX = 1_000;

export async function resourceConsumerController(p: Process, argv: readonly string[]): Promise<number> {
  const { flags, args } = parseFlags(argv, {
    port: { kind: "int", default: 8080 },
    "consumer-port": { kind: "int", default: 8080 },
    "consumer-service-name": { kind: "string", default: "resource-consumer" },
    "consumer-service-namespace": { kind: "string", default: "default" },
  });
  checkArgs(args, 0, 0);
  const host = `${flags["consumer-service-name"]}.${flags["consumer-service-namespace"]}`;
  const port = String(flags["consumer-port"]);
  const routes: { [path: string]: Handler } = {};
  for (const s of SHARES)
    routes[s.path] = (w, r) => {
      const total = numberOf(w, r, s.amount);
      if (total === undefined) return;
      const seconds = numberOf(w, r, "durationSec");
      if (seconds === undefined) return;
      const size = numberOf(w, r, s.size);
      if (size === undefined || size <= 0) return;
      const metric = s.path === "/BumpMetric" ? `&metric=${encodeURIComponent(r.form("metric"))}` : "";
      let left = total;
      for (let n = 0; left > 0 && n < REQUESTS_MAX; n++, left -= size) {
        const url = `http://${host}:${port}${s.path}?${s.amount}=${Math.min(size, left)}&durationSec=${seconds}${metric}`;
        void resolve(p, "tcp", host, port)
          .then((at) => httpGet(p, url, at, TIMEOUT_MS))
          .catch((e: unknown) => {
            if (!p.ended && e instanceof DialError)
              void p.printError(klogLine(p, "E", "controller.go:1", `Failed to consume: ${e.message}`));
          });
      }
      w.write(`RC manager: ${s.path.slice(1)} handler: sending ${Math.ceil(total / size)} requests\n`);
    };
  serve(p, flags["port"] as number, serveMux(routes));
  await p.block(() => () => undefined);
  return 0;
}
