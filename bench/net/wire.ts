// Pods of two node processes talk through a real nats-server: TCP goodput, ping, HTTP keep-alive and new connections, each
// beside what the client library's bare publish and subscribe does with messages of the same size in the same run.
//   node scripts/node.mjs bench/net/wire.ts [--seconds 2] [--rounds 3] [--service] [--only goodput] [--without-gro]
// Prints medians and ratios. --service puts a ClusterIP (kube-proxy's iptables rules) in the way of HTTP and of new connections;
// --only goodput leaves the times out, --without-gro measures goodput also with cards that join no segments. With node's --cpu-prof every worker leaves a profile.
import { type ChildProcess, fork } from "node:child_process";
import * as http from "node:http";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { seededRandom, silentLogger, systemClock } from "@podwire/base";
import { connectNats, type IdentityFile, openWire } from "@podwire/bus";
import { address, macOfIpv4, type NetNamespace, POD_MAC } from "@podwire/net";
import { startTestNats } from "@podwire/testkit";
import { SocketLayer } from "../../packages/net/src/sockets/socket-layer.ts";
import { type MemoryWire, TestNode } from "../../packages/testkit/src/two-nodes.ts";
import { createProxier } from "../../services/node-agent/src/kube-proxy/index.ts";
import { cpuSeconds, ownCpuSeconds } from "../process-usage.ts";

const SELF = fileURLToPath(import.meta.url);
const PIPE = fileURLToPath(new URL("../bus/wire.ts", import.meta.url));
const SERVER_POD = "10.244.2.2";
const SERVICE = "10.96.0.80";

interface Job {
  role: "server" | "goodput" | "ping" | "http" | "connect";
  identity: IdentityFile;
  seconds: number;
  /** Segmentation offload of the pods' TCP; 0: every segment a packet of MTU 1450. */
  gsoBytes: number;
  service: boolean;
  /** Joining of segments at the receiving card. */
  gro: boolean;
}

interface Outcome {
  bytes: number;
  count: number;
  seconds: number;
  cpuSeconds: number;
  times: number[];
}

const sleep = (ms: number) => new Promise<void>((r) => setTimeout(r, ms));
const told = () => new Promise<void>((r) => void process.once("message", () => r()));

/** This process as node `index` of two, with one pod. */
async function openNode(j: Job): Promise<{ pod: Pick<SocketLayer, "tcpConnect" | "tcpListen" | "ping">; root: NetNamespace }> {
  const deps = { clock: systemClock, random: seededRandom(1), log: silentLogger };
  const own = j.identity.underlay as string;
  const bus = await connectNats({ url: j.identity.natsUrl, ...j.identity, ...deps });
  const port = openWire(bus, { address: own, ...deps });
  await port.ready;
  const index = Number(own.split(".")[3]);
  const other = 3 - index;
  const node = new TestNode({ port: () => port } as unknown as MemoryWire, index, []);
  const mac = macOfIpv4(POD_MAC, address(`10.244.${other}.0`) as number);
  node.learn({ index: other, underlay: `172.30.1.${other}`, flannel: { mac } } as unknown as TestNode);
  if (!j.gro) node.nic.offload = undefined;
  const pod = node.addPod(2);
  const layer = new SocketLayer({ ip: pod, clock: systemClock, random: seededRandom(index), tcp: { gsoBytes: j.gsoBytes } });
  pod.sockets = layer;
  return { pod: layer, root: node.root };
}

function addService(root: NetNamespace, index: number): void {
  const ports = [
    { name: "http", port: 8080, protocol: "TCP" },
    { name: "short", port: 9, protocol: "TCP" },
  ];
  createProxier("iptables", root, {
    family: 4,
    nodeName: `node-${index}`,
    nodeLabels: {},
    nodeIPs: [`172.30.1.${index}`],
    podCIDR: "10.244.0.0/16",
    masqueradeAll: false,
    nodePortAddresses: undefined,
    localhostNodePorts: true,
    preferSameTrafficDistribution: true,
  }).sync(
    new Map([
      [
        "default/web",
        {
          service: {
            metadata: { namespace: "default", name: "web" },
            spec: {
              clusterIP: SERVICE,
              ports: [
                { name: "http", port: 80, protocol: "TCP" },
                { name: "short", port: 81, protocol: "TCP" },
              ],
            },
          },
          slices: [{ addressType: "IPv4", metadata: {}, ports, endpoints: [{ addresses: [SERVER_POD], conditions: { ready: true } }] }],
        },
      ],
    ]),
  );
}

async function work(j: Job): Promise<Outcome> {
  const { pod, root } = await openNode(j);
  const out: Outcome = { bytes: 0, count: 0, seconds: 0, cpuSeconds: 0, times: [] };
  if (j.role === "server") {
    let cpu: NodeJS.CpuUsage | undefined;
    pod.tcpListen({ port: 7 }, (s) =>
      s.on("data", (b: Buffer) => {
        cpu ??= process.cpuUsage();
        out.bytes += b.length;
      }),
    );
    pod.tcpListen({ port: 9 }, (s) => s.end("x"));
    const web = http.createServer((_req, res) => res.end("hello from a pod"));
    web.keepAliveTimeout = 60_000;
    pod.tcpListen({ port: 8080, allowHalfOpen: true }, (s) => void web.emit("connection", s));
    process.send?.("ready");
    await told();
    out.cpuSeconds = cpu ? ownCpuSeconds(cpu) : 0;
    return out;
  }
  if (j.service) addService(root, 1);
  const [host, httpPort] = j.service ? [SERVICE, 80] : [SERVER_POD, 8080];
  await pod.ping(SERVER_POD, { timeoutMs: 5_000 });
  process.send?.("ready");
  const end = performance.now() + j.seconds * 1000;
  const t0 = performance.now();
  const cpu = process.cpuUsage();
  if (j.role === "goodput") {
    const chunk = Buffer.alloc(65_536, 7);
    const s = pod.tcpConnect({ host: SERVER_POD, port: 7 });
    await new Promise((r) => s.once("connect", r));
    while (performance.now() < end) {
      out.count++;
      if (!s.write(chunk)) await new Promise((r) => s.once("drain", r));
    }
    out.seconds = (performance.now() - t0) / 1000;
    out.cpuSeconds = ownCpuSeconds(cpu);
    s.destroy();
    return out;
  }
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  (agent as unknown as { createConnection(): unknown }).createConnection = () =>
    pod.tcpConnect({ host, port: httpPort, allowHalfOpen: true });
  while (performance.now() < end) {
    const at = performance.now();
    if (j.role === "ping") await pod.ping(SERVER_POD, { timeoutMs: 5_000 });
    else if (j.role === "connect") {
      const s = pod.tcpConnect({ host, port: j.service ? 81 : 9 });
      s.resume();
      await new Promise((r) => s.once("close", r));
    } else
      await new Promise<void>((resolve, reject) => {
        http.get({ agent, host, path: "/" }, (res) => res.resume().once("end", resolve)).once("error", reject);
      });
    out.times.push(performance.now() - at);
  }
  out.seconds = (performance.now() - t0) / 1000;
  out.cpuSeconds = ownCpuSeconds(cpu);
  out.count = out.times.length;
  out.times.sort((a, b) => a - b);
  return out;
}

interface Pair {
  a: Outcome;
  b: Outcome;
  serverCpuSeconds: number;
}

const median = (xs: number[]) => [...xs].sort((a, b) => a - b)[Math.floor(xs.length / 2)] ?? 0;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      seconds: { type: "string", default: "2" },
      rounds: { type: "string", default: "3" },
      service: { type: "boolean", default: false },
      only: { type: "string", default: "" },
      "without-gro": { type: "boolean", default: false },
    },
  });
  const seconds = Number(values.seconds);
  const rounds = Number(values.rounds);
  const nats = await startTestNats({ identities: { "node:1": "172.30.1.1", "node:2": "172.30.1.2" } });
  const [one, two] = [nats.identityFile("node:1"), nats.identityFile("node:2")];

  const start = async (file: string, job: object) => {
    const child: ChildProcess = fork(file, ["--worker"]);
    child.send(job);
    const outcome = new Promise<Outcome>((resolve, reject) => {
      child.on("message", (m) => m !== "ready" && resolve(m as Outcome));
      child.on("exit", (code) => reject(new Error(`${file}: worker ended with ${code}`)));
    });
    outcome.catch(() => {});
    await new Promise<void>((r) => child.once("message", () => r()));
    return { outcome, stop: () => child.send("stop"), kill: () => void (child.connected && child.disconnect()) };
  };
  const pair = async (file: string, jobA: object, jobB: object): Promise<Pair> => {
    const cpu = cpuSeconds(nats.pid);
    const b = await start(file, jobB);
    const a = await start(file, jobA);
    const oa = await a.outcome;
    await sleep(100);
    b.stop();
    const ob = await b.outcome;
    a.kill();
    b.kill();
    return { a: oa, b: ob, serverCpuSeconds: cpuSeconds(nats.pid) - cpu };
  };
  const pipe = (first: string, second: string, sizeBytes: number) =>
    pair(
      PIPE,
      { role: first, carrier: "client", identity: one, peer: "172.30.1.2", sizeBytes, seconds },
      { role: second, carrier: "client", identity: two, peer: "172.30.1.1", sizeBytes, seconds },
    );
  const pods = (role: Job["role"], gsoBytes = 32_000, service = false, gro = true) =>
    pair(
      SELF,
      { role, identity: one, seconds, gsoBytes, service, gro },
      { role: "server", identity: two, seconds, gsoBytes, service: false, gro },
    );
  const several = async <T>(fn: () => Promise<T>): Promise<T[]> => {
    const out: T[] = [];
    for (let i = 0; i < rounds; i++) out.push(await fn());
    return out;
  };

  try {
    console.log(
      "| what | pods on two nodes | bare NATS client, same size | ratio | CPU-s/GB sender, receiver, server |\n|---|---|---|---|---|",
    );
    for (const [name, gsoBytes, sizeBytes] of [
      ["TCP goodput, 32 KB segments", 32_000, 32_768],
      ["TCP goodput, MTU 1450", 0, 1_450],
    ] as const) {
      // By turns, so that what else the machine does falls on all alike.
      const raw: Pair[] = [];
      const tcp = new Map<string, Pair[]>([[name, []]]);
      if (values["without-gro"]) tcp.set(`${name}, segments not joined`, []);
      for (let i = 0; i < rounds; i++) {
        raw.push(await pipe("send", "receive", sizeBytes));
        for (const [label, rows] of tcp) rows.push(await pods("goodput", gsoBytes, false, label === name));
      }
      const perGb = (rows: Pair[], cpu: (r: Pair) => number) => median(rows.map((r) => (cpu(r) / r.b.bytes) * 1e9)).toFixed(2);
      const cpus = (rows: Pair[]) =>
        [perGb(rows, (r) => r.a.cpuSeconds), perGb(rows, (r) => r.b.cpuSeconds), perGb(rows, (r) => r.serverCpuSeconds)].join(", ");
      const rawMbps = median(raw.map((r) => r.b.bytes / r.b.seconds / 1e6));
      for (const [label, rows] of tcp) {
        const mbps = median(rows.map((r) => r.b.bytes / r.a.seconds / 1e6));
        const ratio = median(rows.map((r, i) => r.b.bytes / r.a.seconds / ((raw[i] as Pair).b.bytes / (raw[i] as Pair).b.seconds)));
        console.log(
          `| ${label} | ${mbps.toFixed(0)} MB/s | ${rawMbps.toFixed(0)} MB/s | ${ratio.toFixed(2)} | ${cpus(rows)} (client ${cpus(raw)}) |`,
        );
      }
    }
    if (values.only === "goodput") return;
    const p50 = (rows: { a: Outcome }[]) => median(rows.map((r) => r.a.times[Math.floor(r.a.times.length / 2)] ?? 0));
    const base = p50(await several(() => pipe("ping", "pong", 148)));
    const line = (name: string, ms: number, extra = "") =>
      console.log(`| ${name} | ${ms.toFixed(3)} ms | ${base.toFixed(3)} ms | ${(ms / base).toFixed(2)} | ${extra} |`);
    line("ping p50", p50(await several(() => pods("ping"))));
    const web = await several(() => pods("http", 32_000, values.service));
    const perSecond = (rows: { a: Outcome }[]) => `${median(rows.map((r) => r.a.count / r.a.seconds)).toFixed(0)} /s, one at a time`;
    line(values.service ? "HTTP keep-alive through a ClusterIP p50" : "HTTP keep-alive p50", p50(web), perSecond(web));
    const fresh = await several(() => pods("connect", 32_000, values.service));
    line(
      values.service ? "connection through a ClusterIP, opened, answered and closed p50" : "connection opened, answered and closed p50",
      p50(fresh),
      perSecond(fresh),
    );
  } finally {
    await nats.close();
  }
}

if (process.argv.includes("--worker")) {
  // An orderly end, so that --cpu-prof writes its file.
  process.once("disconnect", () => process.exit(0));
  setInterval(() => {}, 1_000); // timers of the stack do not keep a process alive
  process.once("message", async (j) => {
    process.send?.(await work(j as Job));
  });
} else await main();
