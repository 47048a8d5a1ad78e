// How fast and how large: time from `up` to the first curl through the edge, what an idle node-agent takes, and many nodes at once.
//   node scripts/node.mjs bench/start.ts [--runs 5] [--nodes 20]
// Prints Markdown for docs/performance.md. Everything is installed and bundled before the clock starts.
import { spawnSync } from "node:child_process";
import { cpus, totalmem } from "node:os";
import { type Cluster, clusterAt, curl, eventually, hostAddress, makeHome, podwireBin, run, sleep, webManifest } from "../test/cluster.ts";
import { cpuSeconds, memoryMb } from "./process-usage.ts";

const option = (name: string, standard: number) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? standard : Number(process.argv[at + 1]);
};
const median = (xs: number[]) => [...xs].sort((a, b) => a - b)[Math.floor(xs.length / 2)] as number;
const seconds = (ms: number) => (ms / 1000).toFixed(2);

const usage = (pid: number) => ({ ...memoryMb(pid), cpuSeconds: cpuSeconds(pid) });

async function up(home: string, nodes: number): Promise<{ cluster: Cluster; upMs: number }> {
  const startedMs = performance.now();
  const r = await run(process.execPath, [podwireBin, "up", "-d", `--nodes=${nodes}`, "--api-port=0", "--name=bench"], {
    env: { PODWIRE_HOME: home },
  });
  if (r.code !== 0) throw new Error(r.stderr);
  return { cluster: clusterAt(home, "bench"), upMs: performance.now() - startedMs };
}

const pidsOf = async (cluster: Cluster) =>
  new Map<string, number>((await cluster.status()).processes.map((p: { name: string; pid: number }) => [p.name, p.pid]));

const runs = option("runs", 5);
const many = option("nodes", 20);
spawnSync(process.execPath, [podwireBin, "version"]); // Bundles when sources are newer.
const starts: number[] = [];
const curls: number[] = [];
const agents: { residentMb: number; privateMb: number; cpuSeconds: number }[] = [];
const idleCpu: number[] = [];
const others = new Map<string, { residentMb: number; privateMb: number; cpuSeconds: number }[]>();
for (let i = 0; i < runs; i++) {
  const home = makeHome();
  const startedMs = performance.now();
  const { cluster, upMs } = await up(home, 3);
  starts.push(upMs);
  await cluster.kubectl(["apply", "--validate=false", "-f", "-"], { input: webManifest({ replicas: 3, type: "LoadBalancer" }) });
  const address = await hostAddress(cluster, "web");
  await eventually("curl", () => curl(`http://${address}/`));
  curls.push(performance.now() - startedMs);
  const pids = await pidsOf(cluster);
  const node = pids.get("node-1") as number;
  agents.push(usage(node));
  const before = usage(node).cpuSeconds;
  await sleep(10_000);
  const after = usage(node);
  idleCpu.push((after.cpuSeconds - before) / 10);
  for (const [name, pid] of pids) others.set(name, [...(others.get(name) ?? []), usage(pid)]);
  await cluster.stop();
}

console.log(
  `${cpus().length} cores (${cpus()[0]?.model}), ${(totalmem() / 2 ** 30).toFixed(0)} GB, Node ${process.version}, ${runs} runs, medians\n`,
);
console.log("| what | target | measured |\n|---|---|---|");
console.log(`| \`up -d\` with 3 nodes until it returns (nodes Ready, cluster DNS available) | | ${seconds(median(starts))} s |`);
console.log(`| from \`up\` to the first curl through the edge to a Deployment of 3 | 5 s | ${seconds(median(curls))} s |`);
console.log(`| start CPU of a node-agent (until that curl) | 0.3 s | ${median(agents.map((a) => a.cpuSeconds)).toFixed(2)} s |`);
console.log(`| idle node-agent, private memory | 25 MB | ${median((others.get("node-1") ?? []).map((a) => a.privateMb)).toFixed(0)} MB |`);
console.log(`| idle node-agent, resident memory | | ${median((others.get("node-1") ?? []).map((a) => a.residentMb)).toFixed(0)} MB |`);
console.log(`| idle node-agent, CPU | | ${(median(idleCpu) * 100).toFixed(1)} % of a core |`);
console.log("\n| process | resident MB | private MB | CPU s until 10 s after the curl |\n|---|---|---|---|");
for (const [name, us] of others)
  console.log(
    `| ${name} | ${median(us.map((u) => u.residentMb)).toFixed(0)} | ${median(us.map((u) => u.privateMb)).toFixed(0)} | ${median(us.map((u) => u.cpuSeconds)).toFixed(2)} |`,
  );

if (many > 0) {
  const home = makeHome();
  const { cluster, upMs } = await up(home, many);
  const pids = [...(await pidsOf(cluster)).values()];
  const before = pids.reduce((sum, pid) => sum + usage(pid).cpuSeconds, 0);
  await sleep(15_000);
  const after = pids.map(usage);
  console.log(
    `\n${many} nodes: up in ${seconds(upMs)} s; ${pids.length} processes take ${(after.reduce((s, u) => s + u.privateMb, 0) / 1024).toFixed(2)} GB private`,
  );
  console.log(`and ${(((after.reduce((s, u) => s + u.cpuSeconds, 0) - before) / 15) * 100).toFixed(0)} % of one core when idle.`);
  await cluster.stop();
}
