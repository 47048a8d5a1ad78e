// The API over HTTPS: operations per CPU-second of apiserver and nats-server together, 16 connections, pods of 1.5 KB.
//   node scripts/node.mjs bench/api/run.ts [--pods 1000] [--seconds 3] [--storage jetstream|memory] [--warm 2000] [--only get,create] [--profile DIR]
// Before what is measured, --warm objects of a namespace of their own are created, read, patched, applied and deleted: V8 compiles as it goes, kube-apiserver
// came compiled. --warm 0 shows the cold figures. Prints Markdown for docs/performance.md.
import https from "node:https";
import { performance } from "node:perf_hooks";
import { startApiServer, TOKEN } from "../../test/api/apiserver-process.ts";
import { cpuSecondsOf, memoryMb } from "../process-usage.ts";

const option = (name: string, standard: string) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? standard : (process.argv[at + 1] as string);
};
const PODS = Number(option("pods", "1000"));
const SECONDS = Number(option("seconds", "3"));
const CONNECTIONS = 16;
const WATCHERS = 50;
const NAMESPACE = "/api/v1/namespaces/default";

const WARM = Number(option("warm", "2000"));
const only = option("only", "");
const profile = option("profile", "");

if (profile) process.env["NODE_OPTIONS"] = `--cpu-prof --cpu-prof-dir=${profile}`;
const server = await startApiServer(option("storage", "jetstream") as "jetstream" | "memory");
const pids = [server.pid, ...(server.nats ? [server.nats.pid] : [])];
const agent = new https.Agent({ keepAlive: true, maxSockets: CONNECTIONS, rejectUnauthorized: false });

function request(method: string, path: string, body?: unknown, type = "application/json"): Promise<number> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const headers: Record<string, string | number> = { authorization: `Bearer ${TOKEN}`, "user-agent": "bench" };
    if (text !== undefined) Object.assign(headers, { "content-type": type, "content-length": Buffer.byteLength(text) });
    const r = https.request({ host: "127.0.0.1", port: server.port, method, path, headers, agent }, (res) => {
      res.resume();
      res.on("end", () => resolve(res.statusCode ?? 0));
      res.on("error", reject);
    });
    r.on("error", reject);
    r.end(text);
  });
}

function pod(name: string): Record<string, unknown> {
  const env = Array.from({ length: 12 }, (_, i) => ({ name: `VARIABLE_${i}`, value: `value-${i}-${"x".repeat(24)}` }));
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, labels: { app: "bench", tier: "load" } },
    spec: { containers: [{ name: "c", image: "nginx:1.27", env, ports: [{ containerPort: 80 }] }] },
  };
}

interface Row {
  phase: string;
  count: number;
  perCpuSecond: number;
  perSecond: number;
  /** The apiserver's, when the phase had ended. */
  residentMb: number;
}

const rows: Row[] = [];

/** Runs `work(i)` from all connections until `count` are done, or for SECONDS when there is no count. */
async function phase(name: string, count: number | undefined, work: (i: number) => Promise<number>, unit = 1): Promise<void> {
  const needed = name === "create" || name === "server-side apply"; // Later phases work on what these make.
  if (only && !needed && !only.split(",").some((o) => name.startsWith(o))) return;
  const startedMs = performance.now();
  const cpu = cpuSecondsOf(pids);
  let next = 0;
  let wrong = 0;
  const over = () => (count === undefined ? performance.now() - startedMs > SECONDS * 1000 : next >= count);
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      while (!over()) {
        const status = await work(next++);
        if (status < 200 || status > 299) wrong++;
      }
    }),
  );
  process.stderr.write(`${name}: ${next}\n`);
  if (wrong > 0) throw new Error(`${name}: ${wrong} of ${next} requests failed`);
  const used = cpuSecondsOf(pids) - cpu;
  rows.push({
    phase: name,
    count: next,
    perCpuSecond: (next * unit) / used,
    perSecond: (next * unit * 1000) / (performance.now() - startedMs),
    residentMb: memoryMb(server.pid).residentMb,
  });
}

const applied = (i: number) => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: `apply-${i % PODS}` },
  data: { a: `${i}`, b: "x".repeat(400) },
});
const name = (i: number) => `bench-${i % PODS}`;
await server.kubectl(["create", "serviceaccount", "default"]);
for (let i = 0; i < 200; i++) await request("GET", "/version");
await warmUp();
process.stderr.write(`resident after warming up: ${memoryMb(server.pid).residentMb.toFixed(0)} MB\n`);
await phase("create", PODS, (i) => request("POST", `${NAMESPACE}/pods`, pod(name(i))));
await phase("get", undefined, (i) => request("GET", `${NAMESPACE}/pods/${name(i)}`));
await phase(`list of ${PODS}`, undefined, () => request("GET", `${NAMESPACE}/pods`));
await phase("merge patch", PODS, (i) =>
  request("PATCH", `${NAMESPACE}/pods/${name(i)}`, { metadata: { labels: { round: `r${i}` } } }, "application/merge-patch+json"),
);
await phase("status patch", PODS, (i) =>
  request(
    "PATCH",
    `${NAMESPACE}/pods/${name(i)}/status`,
    { status: { phase: "Running", message: `m${i}` } },
    "application/merge-patch+json",
  ),
);
await phase("server-side apply", PODS, (i) =>
  request("PATCH", `${NAMESPACE}/configmaps/apply-${i % PODS}?fieldManager=bench`, applied(i), "application/apply-patch+yaml"),
);
if (!only || only.includes("watch")) await watchPhase();
const resident = memoryMb(server.pid).residentMb;
await phase("delete", PODS, (i) => request("DELETE", `${NAMESPACE}/pods/${name(i)}?gracePeriodSeconds=0`));

/** Every kind of request, on objects that nobody measures. */
async function warmUp(): Promise<void> {
  const space = "/api/v1/namespaces/kube-public";
  await server.kubectl(["create", "serviceaccount", "default", "-n", "kube-public"]);
  let next = 0;
  const merge = "application/merge-patch+json";
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      while (next < WARM) {
        const i = next++;
        const path = `${space}/pods/warm-${i}`;
        await request("POST", `${space}/pods`, pod(`warm-${i}`));
        for (let k = 0; k < 4; k++) await request("GET", path);
        await request("PATCH", path, { metadata: { labels: { round: `r${i}` } } }, merge);
        await request("PATCH", `${path}/status`, { status: { phase: "Running", message: `m${i}` } }, merge);
        await request(
          "PATCH",
          `${space}/configmaps/warm-${i % 50}?fieldManager=bench`,
          { ...applied(i), metadata: { name: `warm-${i % 50}` } },
          "application/apply-patch+yaml",
        );
        await request("DELETE", `${path}?gracePeriodSeconds=0`);
      }
    }),
  );
}

/** 50 watchers, and as many changes as there are pods. */
async function watchPhase(): Promise<void> {
  let delivered = 0;
  const watchers = await Promise.all(
    Array.from({ length: WATCHERS }, () => {
      return new Promise<ReturnType<typeof https.request>>((resolve) => {
        const r = https.request(
          {
            host: "127.0.0.1",
            port: server.port,
            path: `${NAMESPACE}/configmaps?watch=1&timeoutSeconds=600`,
            headers: { authorization: `Bearer ${TOKEN}` },
            agent: false,
            rejectUnauthorized: false,
          },
          (res) => {
            res.on("data", (d: Buffer) => {
              for (let at = d.indexOf(10); at >= 0; at = d.indexOf(10, at + 1)) delivered++;
            });
            resolve(r);
          },
        );
        r.end();
      });
    }),
  );
  while (delivered < WATCHERS * PODS) await new Promise((r) => setTimeout(r, 50)); // The initial state.
  delivered = 0;
  const cpu = cpuSecondsOf(pids);
  const startedMs = performance.now();
  let next = 0;
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      while (next < PODS) {
        const i = next++;
        await request("PATCH", `${NAMESPACE}/configmaps/apply-${i}`, { data: { c: `${i}` } }, "application/merge-patch+json");
      }
    }),
  );
  while (delivered < WATCHERS * PODS) await new Promise((r) => setTimeout(r, 10));
  const used = cpuSecondsOf(pids) - cpu;
  rows.push({
    phase: `watch deliveries (${WATCHERS} watchers)`,
    count: delivered,
    perCpuSecond: delivered / used,
    perSecond: (delivered * 1000) / (performance.now() - startedMs),
    residentMb: memoryMb(server.pid).residentMb,
  });
  for (const w of watchers) w.destroy();
}

console.log("| phase | requests | per CPU-second | per second | resident MB |\n|---|---|---|---|---|");
for (const r of rows)
  console.log(`| ${r.phase} | ${r.count} | ${r.perCpuSecond.toFixed(0)} | ${r.perSecond.toFixed(0)} | ${r.residentMb.toFixed(0)} |`);
console.log(`\nresident after the load: apiserver ${resident.toFixed(0)} MB`);
agent.destroy();
await server.close();
process.exit(0);
