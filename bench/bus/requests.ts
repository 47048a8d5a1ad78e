// Requests and streams of the bus against the client library's own request, two connections in one process, real server.
//   node scripts/node.mjs bench/bus/requests.ts [--rounds 3]
// Prints medians and ratios; bodies are those of a small API call (400 bytes there, 1,500 back).
import { parseArgs } from "node:util";
import { silentLogger, systemClock, systemRandom } from "@podwire/base";
import { type Bus, memoryBus, natsConnectionOf } from "@podwire/bus";
import { startTestNats } from "@podwire/testkit";

const SEQUENTIAL = 1_000;
const PIPELINED = 10_000;
const IN_FLIGHT = 256;
const question = {
  method: "GET",
  path: "/api/v1/namespaces/default/pods/web",
  headers: { accept: "application/json" },
  body: new Uint8Array(300),
};
const answer = { status: 200, headers: { "content-type": "application/json" }, body: new Uint8Array(1_400) };

const median = (xs: number[]) => [...xs].sort((a, b) => a - b)[Math.floor(xs.length / 2)] ?? 0;

async function sequential(call: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < SEQUENTIAL; i++) {
    const t0 = performance.now();
    await call();
    times.push(performance.now() - t0);
  }
  return median(times);
}

async function pipelined(call: () => Promise<unknown>): Promise<number> {
  let left = PIPELINED;
  const t0 = performance.now();
  const worker = async () => {
    while (left-- > 0) await call();
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
  return (PIPELINED / (performance.now() - t0)) * 1000;
}

/** MB/s of a stream with frames of 32 KB. */
async function stream(client: Bus, subject: string): Promise<number> {
  const s = await client.openStream(subject, null);
  const frame = new Uint8Array(32_768);
  const frames = 2_000;
  const t0 = performance.now();
  for (let i = 0; i < frames; i++) await s.send(frame);
  s.end();
  await new Promise((r) => s.onClose(r));
  return (frames * frame.length) / 1e3 / (performance.now() - t0);
}

async function measure(client: Bus) {
  return {
    one: await sequential(() => client.request("pw.test.api.scheduler", question)),
    many: await pipelined(() => client.request("pw.test.api.scheduler", question)),
    stream: await stream(client, "pw.test.apistream.scheduler"),
  };
}

function serve(server: Bus): void {
  server.serve("pw.test.api.*", async () => answer, { queue: "apiserver" });
  server.serveStreams("pw.test.apistream.*", (_o, s) => {
    s.onFrame(() => {});
    s.onEnd(() => s.end());
  });
}

const { values } = parseArgs({ options: { rounds: { type: "string", default: "3" } } });
const nats = await startTestNats();
try {
  const server = await nats.connect("apiserver");
  const client = await nats.connect("scheduler");
  serve(server);
  const [ns, nc] = [natsConnectionOf(server), natsConnectionOf(client)];
  if (!ns || !nc) throw new Error("not a NATS bus");
  const raw = new Uint8Array(1_500);
  ns.subscribe("pw.test.trace.point.scheduler", { callback: (_e, m) => void m.respond(raw) });
  await server.flush();
  await client.flush();
  const local = memoryBus();
  const deps = { cluster: "test", clock: systemClock, random: systemRandom(), log: silentLogger };
  serve(local.connect({ identity: "apiserver", ...deps }));
  const localClient = local.connect({ identity: "scheduler", ...deps });

  const rows = {
    bus: [] as Awaited<ReturnType<typeof measure>>[],
    memory: [] as Awaited<ReturnType<typeof measure>>[],
    one: [] as number[],
    many: [] as number[],
  };
  for (let i = 0; i < Number(values.rounds); i++) {
    rows.bus.push(await measure(client));
    rows.one.push(await sequential(() => nc.request("pw.test.trace.point.scheduler", raw.subarray(0, 400), { timeout: 5_000 })));
    rows.many.push(await pipelined(() => nc.request("pw.test.trace.point.scheduler", raw.subarray(0, 400), { timeout: 5_000 })));
    rows.memory.push(await measure(localClient));
  }
  const m = (k: "bus" | "memory", f: "one" | "many" | "stream") => median(rows[k].map((r) => r[f]));
  console.log("| what | bus on NATS | client library's request | ratio | bus in memory |\n|---|---|---|---|---|");
  console.log(
    `| request p50 | ${m("bus", "one").toFixed(3)} ms | ${median(rows.one).toFixed(3)} ms | ${(m("bus", "one") / median(rows.one)).toFixed(2)} | ${m("memory", "one").toFixed(3)} ms |`,
  );
  console.log(
    `| requests, ${IN_FLIGHT} at a time | ${m("bus", "many").toFixed(0)} /s | ${median(rows.many).toFixed(0)} /s | ${(m("bus", "many") / median(rows.many)).toFixed(2)} | ${m("memory", "many").toFixed(0)} /s |`,
  );
  console.log(`| stream, 32 KB frames | ${m("bus", "stream").toFixed(0)} MB/s | | | ${m("memory", "stream").toFixed(0)} MB/s |`);
} finally {
  await nats.close();
}
