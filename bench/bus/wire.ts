// The wire between two processes through a real nats-server, against the client library's plain publish and subscribe with
// messages of the same size. Both keep WINDOW_BYTES under way, acknowledged by the receiver, as a transport above would.
//   node scripts/node.mjs bench/bus/wire.ts [--seconds 2] [--rounds 3]
// Prints medians: MB/s, messages/s, CPU-seconds a gigabyte of sender, receiver and server, ratios, and ping-pong times.
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { seededRandom, silentLogger, systemClock } from "@podwire/base";
import { connectNats, type IdentityFile, openWire, subjectsOf } from "@podwire/bus";
import { startTestNats } from "@podwire/testkit";
import { cpuSeconds, ownCpuSeconds } from "../process-usage.ts";

const WINDOW_BYTES = 4 * 1024 * 1024;
const ACK_EVERY_BYTES = WINDOW_BYTES / 8;
const SELF = fileURLToPath(import.meta.url);

interface Job {
  role: "send" | "receive" | "ping" | "pong";
  carrier: "client" | "wire";
  identity: IdentityFile;
  peer: string;
  sizeBytes: number;
  seconds: number;
}

interface Outcome {
  bytes: number;
  messages: number;
  seconds: number;
  cpuSeconds: number;
  /** Round trips in ms, sorted. */
  times: number[];
}

/** One way to send to the peer and to hear from it, over either carrier. */
interface Pipe {
  send(b: Uint8Array): void;
  onMessage(cb: (b: Uint8Array) => void): void;
}

async function openPipe(j: Job): Promise<Pipe> {
  const deps = { clock: systemClock, random: seededRandom(1), log: silentLogger };
  const own = j.identity.underlay as string;
  const bus = await connectNats({ url: j.identity.natsUrl, ...j.identity, ...deps });
  if (j.carrier === "wire") {
    const port = openWire(bus, { address: own, ...deps });
    await port.ready;
    return {
      send: (bytes) => port.send(j.peer, { bytes, gsoSize: 0, traceId: 0, traceHop: 0 }),
      onMessage: (cb) => port.onFrame((_s, f) => cb(f.bytes)),
    };
  }
  const s = subjectsOf(bus.cluster);
  let receive: (b: Uint8Array) => void = () => {};
  bus.subscribe(s.wireTo(own), (m) => receive(m.data));
  await bus.flush();
  return {
    send: (b) => bus.publish(s.wire(j.peer, own), b),
    onMessage(cb) {
      receive = cb;
    },
  };
}

async function work(j: Job): Promise<Outcome> {
  const pipe = await openPipe(j);

  const out: Outcome = { bytes: 0, messages: 0, seconds: 0, cpuSeconds: 0, times: [] };
  const payload = new Uint8Array(j.sizeBytes);
  const ack = new Uint8Array(8);
  if (j.role === "pong") {
    pipe.onMessage((b) => pipe.send(b.slice()));
    process.send?.("ready");
    await told();
    return out;
  }
  if (j.role === "receive") {
    let since = 0;
    let t0 = 0;
    let t1 = 0;
    let cpu: NodeJS.CpuUsage | undefined;
    pipe.onMessage((b) => {
      if (cpu === undefined) {
        t0 = performance.now();
        cpu = process.cpuUsage();
      }
      out.bytes += b.length;
      out.messages++;
      since += b.length;
      if (since < ACK_EVERY_BYTES) return;
      since = 0;
      t1 = performance.now();
      new DataView(ack.buffer).setFloat64(0, out.bytes);
      pipe.send(ack.slice());
    });
    process.send?.("ready");
    await told();
    out.seconds = (t1 - t0) / 1000;
    out.cpuSeconds = cpu ? ownCpuSeconds(cpu) : 0;
    return out;
  }
  process.send?.("ready");
  const cpu = process.cpuUsage();
  const t0 = performance.now();
  if (j.role === "ping") {
    await new Promise<void>((resolve) => {
      let at = 0;
      pipe.onMessage(() => {
        const now = performance.now();
        out.times.push(now - at);
        if (now - t0 > j.seconds * 1000) return resolve();
        at = now;
        pipe.send(payload);
      });
      at = performance.now();
      pipe.send(payload);
    });
    out.times.sort((a, b) => a - b);
  } else {
    let acked = 0;
    let wake: (() => void) | undefined;
    pipe.onMessage((b) => {
      acked = new DataView(b.buffer, b.byteOffset).getFloat64(0);
      wake?.();
    });
    while (performance.now() - t0 < j.seconds * 1000) {
      // Not more than a batch a turn, so that acknowledgements are heard.
      for (let n = 0; n < 256 * 1024 && out.bytes - acked < WINDOW_BYTES; n += j.sizeBytes) {
        pipe.send(payload);
        out.bytes += j.sizeBytes;
        out.messages++;
      }
      if (out.bytes - acked < WINDOW_BYTES) await new Promise<void>((r) => setImmediate(r));
      else
        await new Promise<void>((r) => {
          wake = r;
        });
    }
  }
  out.seconds = (performance.now() - t0) / 1000;
  out.cpuSeconds = ownCpuSeconds(cpu);
  return out;
}

/** Resolves when the parent says that the sender is done. */
const told = () => new Promise<void>((r) => void process.once("message", () => r()));

const sleep = (ms: number) => new Promise<void>((r) => setTimeout(r, ms));

const median = (xs: number[]) => [...xs].sort((a, b) => a - b)[Math.floor(xs.length / 2)] ?? 0;

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { seconds: { type: "string", default: "2" }, rounds: { type: "string", default: "3" } } });
  const seconds = Number(values.seconds);
  const nats = await startTestNats({ identities: { "node:a": "172.30.1.1", "node:b": "172.30.1.2" } });
  const children = new Set<ChildProcess>();
  const start = async (j: Job) => {
    const child = fork(SELF, ["--worker"]);
    children.add(child);
    child.send(j);
    const outcome = new Promise<Outcome>((resolve, reject) => {
      child.on("message", (m) => m !== "ready" && resolve(m as Outcome));
      child.on("exit", (code) => reject(new Error(`worker ended with ${code}`)));
    });
    outcome.catch(() => {});
    await new Promise<void>((r) => child.once("message", () => r()));
    return { outcome, stop: () => child.send("stop") };
  };
  const pair = async (first: Job["role"], second: Job["role"], carrier: Job["carrier"], sizeBytes: number) => {
    const job = { carrier, sizeBytes, seconds };
    const cpu = cpuSeconds(nats.pid);
    const b = await start({ ...job, role: second, identity: nats.identityFile("node:b"), peer: "172.30.1.1" });
    const a = await start({ ...job, role: first, identity: nats.identityFile("node:a"), peer: "172.30.1.2" });

    const oa = await a.outcome;
    await sleep(100);
    b.stop();
    const ob = await b.outcome;
    for (const c of children) c.kill();
    children.clear();
    return { a: oa, b: ob, serverCpuSeconds: cpuSeconds(nats.pid) - cpu };
  };
  try {
    console.log("| bytes | carrier | MB/s | messages/s | CPU-s/GB sender | receiver | server | wire : client |");
    console.log("|---|---|---|---|---|---|---|---|");
    for (const sizeBytes of [1_450, 9_000, 32_768, 65_000]) {
      const speed: Record<string, number> = {};
      for (const carrier of ["client", "wire"] as const) {
        const rows: Awaited<ReturnType<typeof pair>>[] = [];
        for (let i = 0; i < Number(values.rounds); i++) rows.push(await pair("send", "receive", carrier, sizeBytes));
        const m = (f: (r: (typeof rows)[number]) => number) => median(rows.map(f));
        const mbps = m((r) => r.b.bytes / r.b.seconds / 1e6);
        speed[carrier] = mbps;
        const perGb = (cpu: (r: (typeof rows)[number]) => number) => m((r) => (cpu(r) / r.b.bytes) * 1e9).toFixed(2);
        const ratio = carrier === "wire" ? (mbps / (speed.client as number)).toFixed(2) : "";
        console.log(
          `| ${sizeBytes} | ${carrier} | ${mbps.toFixed(0)} | ${m((r) => r.b.messages / r.b.seconds).toFixed(0)} | ${perGb((r) => r.a.cpuSeconds)} | ${perGb((r) => r.b.cpuSeconds)} | ${perGb((r) => r.serverCpuSeconds)} | ${ratio} |`,
        );
      }
    }
    console.log("\n| ping-pong, 98 bytes | p50 ms | p99 ms | wire : client |\n|---|---|---|---|");
    let base = 0;
    for (const carrier of ["client", "wire"] as const) {
      const p50s = [];
      const p99s = [];
      for (let i = 0; i < Number(values.rounds); i++) {
        const { times } = (await pair("ping", "pong", carrier, 98)).a;
        p50s.push(times[Math.floor(times.length * 0.5)] ?? 0);
        p99s.push(times[Math.floor(times.length * 0.99)] ?? 0);
      }
      if (carrier === "client") base = median(p50s);
      const ratio = carrier === "wire" ? (median(p50s) / base).toFixed(2) : "";
      console.log(`| ${carrier} | ${median(p50s).toFixed(3)} | ${median(p99s).toFixed(3)} | ${ratio} |`);
    }
  } finally {
    await nats.close();
  }
}

if (process.argv.includes("--worker")) {
  process.once("message", async (j) => {
    process.send?.(await work(j as Job));
    await sleep(50);
    process.exit(0);
  });
} else await main();
