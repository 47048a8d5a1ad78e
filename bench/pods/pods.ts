// bench/pods: what a pod costs. One node on an API and a bus in memory: created to Running at a rate, many pods' memory, a container's
// start and idle size, a shell loop's iteration. Prints one line a figure, with its target.
//   node scripts/node.mjs bench/pods/pods.ts [--pods 110] [--rate 20]
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { seededRandom, silentLogger, systemClock, z } from "@podwire/base";
import { memoryBus } from "@podwire/bus";
import { memoryApi, Resources } from "@podwire/client";
import { FLAGS, NodeAgent, type NodeAgentConfig } from "@podwire/node-agent";
import { createPodSandbox, ImageCatalogue } from "@podwire/runtime";

const clock = systemClock;
const random = seededRandom(1);
const log = silentLogger;
const flag = (name: string, standard: number) => Number(process.argv[process.argv.indexOf(`--${name}`) + 1] || standard);
const PODS = process.argv.includes("--pods") ? flag("pods", 110) : 110;
const RATE = process.argv.includes("--rate") ? flag("rate", 20) : 20;

const sleep = (ms: number) => new Promise((r) => setTimeout(r, ms));
const collect = () => (globalThis as { gc?: () => void }).gc?.();
const quantile = (list: number[], q: number) =>
  [...list].sort((a, b) => a - b)[Math.min(list.length - 1, Math.floor(list.length * q))] ?? 0;
const line = (what: string, value: string, target: string) => console.log(`${what.padEnd(52)}${value.padStart(14)}   target ${target}`);

async function pods(): Promise<void> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "podwire-bench-"));
  const bus = memoryBus();
  const api = memoryApi({ clock, random, bus: bus.connect({ cluster: "b", identity: "apiserver", clock, random, log }) });
  const config = z.object(FLAGS).parse({}) as NodeAgentConfig;
  const node = new NodeAgent({
    config,
    nodeName: "n",
    address: "172.30.1.1",
    stateDir: folder,
    bus: bus.connect({ cluster: "b", identity: "node:n", clock, random, log }),
    client: api.client(),
    clock,
    random,
    log,
  });
  await node.start();
  await api.client().patch(Resources.nodes, "", "n", "merge", { spec: { podCIDR: "10.244.1.0/24" } });
  const created = new Map<string, number>();
  const took: number[] = [];
  api.onCommit = (resource, o) => {
    const at = created.get(o.metadata.name);
    if (
      resource !== "pods" ||
      at === undefined ||
      !o["status"]?.conditions?.some((c: { type: string; status: string }) => c.type === "Ready" && c.status === "True")
    )
      return;
    created.delete(o.metadata.name);
    took.push(performance.now() - at);
  };
  collect();
  const before = process.memoryUsage();
  const cpu = process.cpuUsage();
  for (let i = 0; i < PODS; i++) {
    created.set(`p${i}`, performance.now());
    await api.client().create(Resources.pods, {
      metadata: { name: `p${i}`, namespace: "default" },
      spec: { nodeName: "n", restartPolicy: "Always", containers: [{ name: "c", image: "busybox", command: ["sleep", "1000000"] }] },
    } as never);
    await sleep(1000 / RATE);
  }
  for (let i = 0; i < 100 && took.length < PODS; i++) await sleep(50);
  const used = process.cpuUsage(cpu);
  await sleep(500);
  collect();
  const after = process.memoryUsage();
  line(`pods created at ${RATE}/s: created to Ready, p50`, `${quantile(took, 0.5).toFixed(1)} ms`, "");
  line("  p99", `${quantile(took, 0.99).toFixed(1)} ms`, "< 300 ms");
  line(`  ${took.length} of ${PODS}: CPU a pod (API in memory included)`, `${((used.user + used.system) / 1000 / PODS).toFixed(1)} ms`, "");
  line(
    `${PODS} pods: heap and buffers on top of the node`,
    `${((after.heapUsed + after.external - before.heapUsed - before.external) / 1048576).toFixed(1)} MB`,
    "node < 100 MB",
  );
  line("  resident memory of the process", `${(after.rss / 1048576).toFixed(0)} MB`, "< 100 MB");
  await node.stop();
  fs.rmSync(folder, { recursive: true, force: true });
}

async function containers(): Promise<void> {
  const resolution = new ImageCatalogue({ strict: true }).resolve("busybox");
  if (resolution.kind !== "image") throw new Error("no busybox");
  const sandbox = createPodSandbox({ name: "b", namespace: "b", uid: "b", hostname: "b", netns: {} as never, clock, random, log });
  const make = (command: string[]) =>
    sandbox.createContainer({ name: "c", image: resolution.image, command, env: {}, mounts: [], stdin: true });
  const N = 2000;
  collect();
  const heap = process.memoryUsage().heapUsed;
  const t = process.cpuUsage();
  const all = Array.from({ length: N }, () => {
    const c = make(["sh", "-c", "read x; echo"]);
    c.start();
    return c;
  });
  await sleep(100);
  const started = process.cpuUsage(t);
  collect();
  line("container start (CPU)", `${((started.user + started.system) / 1000 / N).toFixed(3)} ms`, "< 1 ms");
  line("idle shell container", `${((process.memoryUsage().heapUsed - heap) / 1024 / N).toFixed(1)} KB`, "< 10 KB");
  for (const c of all) c.kill(9);
  const loop = make(["sh", "-c", "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done"]);
  const before = process.cpuUsage();
  loop.start();
  await loop.wait();
  const spent = process.cpuUsage(before);
  line("shell loop iteration (CPU)", `${((spent.user + spent.system) / 200_000).toFixed(1)} us`, "< 15 us");
  sandbox.stop();
}

await pods();
await containers();
process.exit(0);
