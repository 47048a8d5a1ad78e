// Whether the API stays flat with many objects: pages of 500 and starts of watches at 1,000 pods and at --pods, CPU time of apiserver and nats-server a request.
//   node scripts/node.mjs bench/api/scale.ts [--pods 50000] [--storage jetstream|memory]
// Prints Markdown for docs/performance.md.
import https from "node:https";
import { startApiServer, TOKEN } from "../../test/api/apiserver-process.ts";
import { cpuSecondsOf, memoryMb } from "../process-usage.ts";

const option = (name: string, standard: string) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? standard : (process.argv[at + 1] as string);
};
const PODS = Number(option("pods", "50000"));
const FEW = 1_000;
const CONNECTIONS = 16;
const ROUNDS = 60;
const PATH = "/api/v1/namespaces/default/pods";

const server = await startApiServer(option("storage", "jetstream") as "jetstream" | "memory");
const pids = [server.pid, ...(server.nats ? [server.nats.pid] : [])];
const agent = new https.Agent({ keepAlive: true, maxSockets: CONNECTIONS, rejectUnauthorized: false });
const headers = { authorization: `Bearer ${TOKEN}` };
const base = { host: "127.0.0.1", port: server.port };

function request(method: string, path: string, body?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const more = body === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
    const r = https.request({ ...base, method, path, headers: { ...headers, ...more }, agent }, (res) => {
      let text = "";
      res.setEncoding("utf8").on("data", (d) => (text += d));
      res.on("end", () =>
        (res.statusCode ?? 0) < 300 ? resolve(text) : reject(new Error(`${method} ${path}: ${res.statusCode} ${text}`)),
      );
    });
    r.on("error", reject);
    r.end(body);
  });
}

/** Opens a watch from a revision and resolves with what closes it once the server has answered. */
function watchFrom(resourceVersion: string): Promise<() => void> {
  return new Promise((resolve, reject) => {
    const r = https.request(
      { ...base, path: `${PATH}?watch=1&resourceVersion=${resourceVersion}`, headers, agent: false, rejectUnauthorized: false },
      () => resolve(() => r.destroy()),
    );
    r.on("error", (e) => reject(e));
    r.end();
  });
}

let made = 0;
async function fillTo(count: number): Promise<void> {
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      while (made < count) {
        const i = made++;
        const env = Array.from({ length: 12 }, (_, k) => ({ name: `VARIABLE_${k}`, value: `value-${k}-${"x".repeat(24)}` }));
        const pod = {
          metadata: { name: `pod-${i}`, labels: { app: "bench" } },
          spec: { containers: [{ name: "c", image: "nginx:1.27", env }] },
        };
        await request("POST", PATH, JSON.stringify({ apiVersion: "v1", kind: "Pod", ...pod }));
      }
    }),
  );
}

async function each(work: () => Promise<unknown>): Promise<number> {
  for (let i = 0; i < 10; i++) await work();
  const before = cpuSecondsOf(pids);
  for (let i = 0; i < ROUNDS; i++) await work();
  return ((cpuSecondsOf(pids) - before) * 1000) / ROUNDS;
}

async function measured(): Promise<Record<string, number>> {
  const first = JSON.parse(await request("GET", `${PATH}?limit=500`));
  const next = encodeURIComponent(first.metadata.continue ?? "");
  await request(
    "POST",
    PATH,
    JSON.stringify({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: `between-${made++}` },
      spec: { containers: [{ name: "c", image: "nginx" }] },
    }),
  );
  const { resourceVersion } = JSON.parse(await request("GET", `${PATH}?limit=1`)).metadata;
  const open: (() => void)[] = [];
  const row = {
    "first page of 500": await each(() => request("GET", `${PATH}?limit=500`)),
    "second page of 500, objects written in between": await each(() => request("GET", `${PATH}?limit=500&continue=${next}`)),
    "watch from the newest revision": await each(async () => open.push(await watchFrom(resourceVersion))),
  };
  for (const close of open) close();
  return row;
}

await server.kubectl(["create", "serviceaccount", "default"]);
await fillTo(FEW);
const few = await measured();
await fillTo(PODS);
const many = await measured();
console.log(`| CPU ms a request | ${FEW} pods | ${PODS} pods |\n|---|---|---|`);
for (const [k, v] of Object.entries(few)) console.log(`| ${k} | ${v.toFixed(2)} | ${many[k]?.toFixed(2)} |`);
const resident = memoryMb(server.pid).residentMb;
console.log(`\nresident with ${PODS} pods: apiserver ${resident.toFixed(0)} MB`);
agent.destroy();
await server.close();
process.exit(0);
