// bench/pods/cluster: many pods on many nodes of a real cluster: time from the Deployment to the last Ready pod, a pod's own time from
// created to Ready as a watch sees it, processor time, and what a full node-agent takes.
//   node scripts/node.mjs bench/pods/cluster.ts [--nodes 20] [--pods 1000]
// Prints Markdown for docs/performance.md.
import { loadavg } from "node:os";
import { clusterAt, makeHome, podwireBin, run } from "../../test/cluster.ts";
import { restApi } from "../../test/conformance/rest.ts";
import { cpuSeconds, memoryMb } from "../process-usage.ts";

const option = (name: string, standard: number) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? standard : Number(process.argv[at + 1]);
};
const nodes = option("nodes", 20);
const pods = option("pods", 1000);
/** What is given up after. */
const LIMIT_MS = 240_000;

const home = makeHome();
const started = await run(process.execPath, [podwireBin, "up", "-d", `--nodes=${nodes}`, "--api-port=0", "--name=bench"], {
  env: { PODWIRE_HOME: home },
});
const cluster = clusterAt(home, "bench");
try {
  if (started.code !== 0) throw new Error(started.stderr);
  const api = restApi(cluster.kubeconfig);
  const processes = async () =>
    new Map<string, number>((await cluster.status()).processes.map((p: { name: string; pid: number }) => [p.name, p.pid]));
  const pids = await processes();
  const cpu = () => new Map([...pids].map(([name, pid]) => [name, cpuSeconds(pid)]));
  const before = cpu();
  const list = await api.get("/api/v1/namespaces/default/pods");
  const created = new Map<string, number>();
  const took: number[] = [];
  const enough = new AbortController();
  const limit = setTimeout(() => enough.abort(), LIMIT_MS);
  const startMs = performance.now();
  let lastMs = startMs;
  const watching = (async () => {
    const query = { resourceVersion: list.metadata.resourceVersion };
    for await (const e of api.watch("/api/v1/namespaces/default/pods", { query, signal: enough.signal })) {
      const { uid } = e.object.metadata;
      if (e.type === "ADDED") created.set(uid, performance.now());
      const at = created.get(uid);
      if (
        at === undefined ||
        !e.object.status?.conditions?.some((c: { type: string; status: string }) => c.type === "Ready" && c.status === "True")
      )
        continue;
      created.delete(uid);
      lastMs = performance.now();
      took.push(lastMs - at);
      if (took.length === pods) return;
    }
  })();
  await api.create({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "many", namespace: "default" },
    spec: {
      replicas: pods,
      selector: { matchLabels: { app: "many" } },
      template: {
        metadata: { labels: { app: "many" } },
        spec: { terminationGracePeriodSeconds: 0, containers: [{ name: "c", image: "busybox", command: ["sleep", "1000000"] }] },
      },
    },
  });
  await watching;
  clearTimeout(limit);
  // A component that lost its lease on a machine without time for it was started anew: its figures are of its last life.
  for (const [name, pid] of await processes())
    if (pids.get(name) !== pid) {
      console.log(`${name} ended and was started again: what it used before is not counted`);
      pids.set(name, pid);
      before.set(name, 0);
    }
  const after = cpu();
  const used = (pick: (name: string) => boolean) =>
    [...after].filter(([name]) => pick(name)).reduce((sum, [name, s]) => sum + s - (before.get(name) ?? 0), 0);
  took.sort((a, b) => a - b);
  const quantile = (q: number) => ((took[Math.min(took.length - 1, Math.floor(took.length * q))] ?? 0) / 1000).toFixed(2);
  const isNode = (name: string) => /^node-\d+$/.test(name);
  const agents = [...pids]
    .filter(([name]) => isNode(name))
    .map(([, pid]) => memoryMb(pid).privateMb)
    .sort((a, b) => a - b);
  console.log(
    `load average ${loadavg()
      .map((x) => x.toFixed(1))
      .join(" ")}\n\n| what | target | measured |\n|---|---|---|`,
  );
  console.log(
    `| ${took.length} of ${pods} pods on ${nodes} nodes: all Ready after | ${nodes === 20 ? "20 s" : ""} | ${((lastMs - startMs) / 1000).toFixed(1)} s |`,
  );
  console.log(`| a pod, created to Ready: p50, p99 | 5 s | ${quantile(0.5)} s, ${quantile(0.99)} s |`);
  console.log(`| processor time of all processes, a pod | | ${((used(() => true) * 1000) / pods).toFixed(1)} ms |`);
  for (const name of ["nats", "apiserver", "controller-manager", "scheduler"])
    console.log(`| of that ${name} | | ${((used((n) => n === name) * 1000) / pods).toFixed(1)} ms |`);
  console.log(`| of that node-agents | | ${((used(isNode) * 1000) / pods).toFixed(1)} ms |`);
  console.log(
    `| private memory of a node-agent with ${Math.round(pods / nodes)} pods, median | | ${(agents[Math.floor(agents.length / 2)] ?? 0).toFixed(0)} MB |`,
  );
  api.close();
} finally {
  await cluster.stop();
}
